-- A drone's socket has opened at this controller: it is the drone's current connection from now on.
--
-- It guarantees:
--   * What was known of the drone's clock is forgotten in the same commit, so nothing is scheduled before a heartbeat.
--   * A second instance (another journal) under the same name changes nothing while the first was heard lately.
--     Both rows are locked before they are read, so two instances at the same moment cannot both pass.
--   * A drone that names no instance is taken as published drones are: the newest connection wins.
with known as materialized (
    select n.id, d.instance, d.last_heard_at
    from drones_node n
    join drones_drone d on d.node_id = n.id
    where n.cluster = %(cluster)s::text and n.name = %(name)s::text
    for update
),
rival as materialized (
    select from known
    where %(instance)s::text <> '' and instance <> '' and instance <> %(instance)s::text
      and last_heard_at > now() - %(lost)s::interval
),
node as (
    insert into drones_node (kind, cluster, name, version, git_hash, extensions, controller_id, connection,
                             connected_at)
    select 'drone', %(cluster)s::text, %(name)s::text, %(version)s::text, %(git_hash)s::text, %(extensions)s::jsonb,
           %(controller)s::text, %(connection)s::uuid, now()
    where not exists (select from rival)
    on conflict (cluster, name) do update set
        version = excluded.version,
        git_hash = excluded.git_hash,
        extensions = excluded.extensions,
        controller_id = excluded.controller_id,
        connection = excluded.connection,
        connected_at = excluded.connected_at
    returning id
)
insert into drones_drone (node_id, pool, ready, draining, instance, last_heard_at)
select id, %(pool)s::text, true, false, %(instance)s::text, now() from node
on conflict (node_id) do update set
    pool = excluded.pool,
    ready = true,
    instance = excluded.instance,
    last_heard_at = excluded.last_heard_at,
    last_heartbeat_at = null,
    last_local_time = null
returning node_id
