-- Drones have these orders in their journals: many orders, one round trip.
-- An acknowledgement counts only from the order's own drone, and only on its current connection.
update backends_backendaction a
set acknowledged_at = now()
from unnest(%(orders)s::text[], %(nodes)s::integer[], %(connections)s::uuid[]) as ack (id, node, connection)
join drones_node n on n.id = ack.node and n.connection = ack.connection
where a.id = ack.id and a.drone_id = ack.node and a.acknowledged_at is null
