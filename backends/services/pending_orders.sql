-- The next orders for a drone, on its current connection: a bounded batch, none that is on its way already.
--
-- It guarantees:
--   * No row at all when this is no longer the drone's current connection: orders go to that one only.
--   * A spawn order whose backend no longer holds its key is never sent.
--   * Nor is one before the drone has said on this connection what its clock is: the clock may be another one than when
--     the order was made. `leased_at` is when the lease began, by that clock; early, never late.
--   * Orders never sent on this connection come before those that are sent again.
select a.id, a.backend_id, a.action, a.leased_at
from drones_node n
join drones_drone d on d.node_id = n.id
left join lateral (
    select a.id, a.backend_id, a.action::text as action, a.created_at, a.kind, a.id = any(%(overdue)s::text[]) as again,
           d.last_local_time - floor(extract(epoch from d.last_heartbeat_at - k.leased_at) * 1000)::bigint as leased_at
    from backends_backendaction a
    left join backends_backendkey k on k.backend_id = a.backend_id
    where a.drone_id = n.id and a.acknowledged_at is null and a.withdrawn_at is null
      and a.id <> all(%(in_flight)s::text[])
      and (a.kind <> 'spawn' or (k.id is not null and d.last_heartbeat_at is not null))
    order by again, a.created_at, a.kind desc
    limit %(room)s::bigint
) a on true
where n.id = %(node)s::integer and n.connection = %(connection)s::uuid
order by a.again, a.created_at, a.kind desc
