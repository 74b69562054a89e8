-- A socket has closed: the node is offline, if this connection at this controller is still its current one.
-- A late "offline" must never undo a newer "online".
update drones_node
set controller_id = null, connection = null, disconnected_at = now()
where id = %(node)s::integer and controller_id = %(controller)s::text and connection = %(connection)s::uuid
