-- The next orders for a drone, on its current connection: a bounded batch, none that is on its way already.
--
-- It guarantees:
--   * No row at all when this is no longer the drone's current connection: orders go to that one only.
--   * A spawn order whose backend no longer holds its key is never sent.
--   * Orders never sent on this connection come before those that are sent again.
select a.id, a.backend_id, a.action
from drones_node n
left join lateral (
    select a.id, a.backend_id, a.action::text as action, a.created_at, a.kind, a.id = any(%(overdue)s::text[]) as again
    from backends_backendaction a
    where a.drone_id = n.id and a.acknowledged_at is null and a.withdrawn_at is null
      and a.id <> all(%(in_flight)s::text[])
      and (a.kind <> 'spawn' or exists (select from backends_backendkey k where k.backend_id = a.backend_id))
    order by again, a.created_at, a.kind desc
    limit %(room)s::bigint
) a on true
where n.id = %(node)s::integer and n.connection = %(connection)s::uuid
order by a.again, a.created_at, a.kind desc
