-- Renew leases: many keys, one round trip.
--
-- It guarantees: a lease is renewed only for the backend that holds the key now, only for that backend's own drone, only
-- while the lease has not run out, and neither after "prevent renewal" nor after the backend has terminated. The keys
-- are locked before they are judged. The fencing token stays.
with asked as (
    select * from unnest(%(backends)s::text[], %(drones)s::integer[]) as a (backend_id, drone_id)
),
held as materialized (
    select k.id, a.drone_id
    from backends_backendkey k
    join asked a on a.backend_id = k.backend_id
    join backends_backend b on b.id = k.backend_id and b.drone_id = a.drone_id
    where b.status_rank < 70 and k.renewable and k.expires_at > clock_timestamp()
    order by k.id
    for update of k
)
update backends_backendkey k
set expires_at = clock_timestamp() + %(expiry)s::interval
from held h
where k.id = h.id
returning k.backend_id, h.drone_id
