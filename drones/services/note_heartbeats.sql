-- Drones are alive, and these are their clocks: many drones, one round trip.
-- Only a drone's current connection counts; whoever is not returned has been superseded.
update drones_drone d
set last_heard_at = now(), last_heartbeat_at = now(), last_local_time = beat.local_time
from unnest(%(nodes)s::integer[], %(connections)s::uuid[], %(local_times)s::bigint[])
     as beat (node, connection, local_time)
join drones_node n on n.id = beat.node and n.connection = beat.connection
where d.node_id = beat.node
returning beat.connection
