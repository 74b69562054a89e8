-- Join the backend of a key, or spawn one: one statement, one round trip, one commit.
--
-- It guarantees:
--   * The unique index on (namespace, name) is the lock. Backend, order, history and token are inserted from the row
--     that the upsert of the key returns, never beside it: whoever loses the race stores nothing at all.
--   * A held key changes hands only if it is released, or if its lease has run out by the database's clock, on a server
--     that has been watched for one full lease (`clock_limit`: and has not jumped since the last heartbeat), and the
--     holder is still the one that this statement has read.
--   * Whoever loses an expired key is ended in the same commit: `terminated`, `lost`, its orders withdrawn.
--   * The fencing token grows over every change of hands: a released key keeps its row.
--   * Expiry counts from after the snapshot, the drone's deadlines from its last heartbeat within the snapshot, so the
--     deadlines pass before the lease does.
with held as materialized (
    select holder.*, not holder.free and holder.tag = %(tag)s::text and not holder.unhealthy
                     and not (%(waits)s::boolean and holder.status_rank >= 60) as joinable
    from (
        select k.backend_id, k.tag, b.status, b.status_rank, b.cluster, b.subdomain,
               (select t.secret from backends_token t where t.backend_id = k.backend_id and t.kind = 'static')
                   as static_token,
               k.backend_id is null or coalesce(k.expires_at < now() and now() < %(clock_limit)s::timestamptz and exists (
                   select from drones_installation i
                   where i.server_started_at = pg_postmaster_start_time() and i.takeover_after < now()
               ), false) as free,
               coalesce(d.last_heard_at < now() - %(unhealthy)s::interval, false) as unhealthy
        from backends_backendkey k
        left join backends_backend b on b.id = k.backend_id
        left join drones_drone d on d.node_id = b.drone_id
        where k.namespace = %(namespace)s::text and k.name = %(name)s::text
    ) holder
),
joined as (
    insert into backends_token (hash, backend_id, kind, username, auth, secret, expires_at)
    select %(hash)s::bytea, h.backend_id, 'bearer', %(username)s::text, %(auth)s::jsonb, %(secret)s::text,
           now() + %(token_lifetime)s::interval
    from held h
    where h.joinable and h.static_token is null
),
widened as (
    update backends_backend b
    set max_idle_seconds = %(max_idle_seconds)s::integer
    from held h
    where %(largest_idle)s::boolean and h.joinable and b.id = h.backend_id
      and b.max_idle_seconds < coalesce(%(max_idle_seconds)s::bigint, 2147483648)
),
candidate as materialized (
    select d.node_id, n.name, d.last_local_time
    from drones_drone d
    join drones_node n on n.id = d.node_id
    join drones_controller c on c.name = n.controller_id
    -- A null cluster means that nothing shall be spawned.
    where n.cluster = %(cluster)s::text and n.kind = 'drone' and d.pool = %(pool)s::text
      and d.ready and not d.draining
      and d.last_heartbeat_at > now() - %(freshness)s::interval
      and c.goodbye_at is null and c.last_heartbeat_at > now() - %(unhealthy)s::interval
      and not exists (select from held where not free)
    order by random()
    limit %(best_of)s::bigint
),
drone as materialized (
    select c.*
    from candidate c
    order by case when (select count(*) from candidate) > 1 then (
        select count(*) from backends_backend b where b.drone_id = c.node_id and b.status_rank < 70
    ) end
    limit 1
),
-- Locked before the key, as reports do.
former as materialized (
    select b.id, coalesce(b.state ->> 'last_status', b.status) as last_status
    from backends_backend b
    where b.id = (select h.backend_id from held h where h.free and exists (select from drone))
    for update
),
taken as (
    insert into backends_backendkey
        (namespace, name, tag, backend_id, fencing_token, leased_at, expires_at, renewable)
    select %(namespace)s::text, %(name)s::text, %(tag)s::text, %(backend)s::text,
           floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
           clock_timestamp(), clock_timestamp() + %(expiry)s::interval, true
    from drone left join former on true
    on conflict (namespace, name) do update set
        tag = excluded.tag,
        backend_id = excluded.backend_id,
        fencing_token = greatest(excluded.fencing_token, backends_backendkey.fencing_token + 1),
        leased_at = excluded.leased_at,
        expires_at = excluded.expires_at,
        renewable = true
    where backends_backendkey.backend_id is null
       or (backends_backendkey.expires_at < now() and backends_backendkey.backend_id = (select id from former))
    returning fencing_token
),
spawned as (
    insert into backends_backend
        (id, cluster, drone_id, key_namespace, key_name, key_tag, subdomain, status, state, max_idle_seconds,
         expires_at)
    select %(backend)s::text, %(cluster)s::text, d.node_id, %(namespace)s::text, %(name)s::text, %(tag)s::text,
           %(subdomain)s::text, 'scheduled', '{"status": "scheduled"}', %(max_idle_seconds)s::integer,
           now() + make_interval(secs => %(lifetime_limit_seconds)s::bigint)
    from taken, drone d
),
ordered as (
    insert into backends_backendaction (id, backend_id, drone_id, kind, action)
    select %(action)s::text, %(backend)s::text, d.node_id, 'spawn', jsonb_build_object('Spawn', jsonb_build_object(
        'executable', %(executable)s::jsonb,
        'static_token', %(static_token)s::text,
        'key', jsonb_build_object(
            'key', jsonb_build_object(
                'name', %(name)s::text, 'namespace', %(namespace)s::text, 'tag', %(tag)s::text),
            'token', k.fencing_token,
            'deadlines', jsonb_build_object(
                'renew_at', d.last_local_time + %(renew_ms)s::bigint,
                'soft_terminate_at', d.last_local_time + %(soft_ms)s::bigint,
                'hard_terminate_at', d.last_local_time + %(hard_ms)s::bigint))))
    from taken k, drone d
),
admitted as (
    insert into backends_token (hash, backend_id, kind, username, auth, secret, expires_at)
    select case when s.token is null then %(hash)s::bytea else %(static_hash)s::bytea end, %(backend)s::text,
           case when s.token is null then 'bearer' else 'static' end,
           case when s.token is null then %(username)s::text end,
           case when s.token is null then %(auth)s::jsonb end,
           coalesce(s.token, %(secret)s::text),
           case when s.token is null then now() + %(token_lifetime)s::interval end
    from taken, (select %(static_token)s::text as token) s
),
ended as (
    update backends_backend b
    set status = 'terminated', status_at = clock_timestamp(),
        state = jsonb_build_object('status', 'terminated', 'last_status', f.last_status, 'termination', null,
                                   'reason', 'lost', 'exit_code', null)
    from taken, former f
    where b.id = (select id from former) and b.status_rank < 70
    returning b.id, b.state
),
withdrawn as (
    update backends_backendaction a
    set withdrawn_at = now()
    from taken
    where a.backend_id = (select id from former) and a.acknowledged_at is null and a.withdrawn_at is null
),
remembered as (
    insert into backends_backendstatechange (backend_id, status, state)
    select %(backend)s::text, 'scheduled', '{"status": "scheduled"}'::jsonb from taken
    union all
    select e.id, 'terminated', e.state from ended e
    on conflict (backend_id, status) do nothing
)
select h.backend_id, h.tag, h.status, h.status_rank, h.cluster, h.subdomain, h.static_token, h.free, h.unhealthy,
       h.joinable, d.node_id as drone_id, d.name as drone, k.fencing_token, (select id from ended) as ended
from (select) as always
left join held h on true
left join drone d on true
left join taken k on true
