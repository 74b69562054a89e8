-- A proxy's or responder's socket has opened at this controller: it is the node's current connection from now on.
insert into drones_node (kind, cluster, name, version, git_hash, extensions, controller_id, connection, connected_at)
values (%(kind)s::text, %(cluster)s::text, %(name)s::text, %(version)s::text, %(git_hash)s::text,
        %(extensions)s::jsonb, %(controller)s::text, %(connection)s::uuid, now())
on conflict (cluster, name) do update set
    version = excluded.version,
    git_hash = excluded.git_hash,
    extensions = excluded.extensions,
    controller_id = excluded.controller_id,
    connection = excluded.connection,
    connected_at = excluded.connected_at
returning id
