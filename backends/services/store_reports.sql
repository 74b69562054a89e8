-- Store what drones report: at most one report for each backend, any number of backends, one commit.
--
-- It guarantees:
--   * A report counts only from the backend's own drone.
--   * A status only moves forward. The backends are locked before their statuses are read, in the order of their ids,
--     so two controllers neither wait for each other in a circle nor judge by what has just changed.
--   * With `terminated`, and not earlier, the key is released (its row stays, for its fencing token) and orders about
--     the backend are withdrawn, in the same commit.
--   * Any report from the backend's own drone acknowledges its spawn order, as published drones expect.
with report as materialized (
    select *
    from unnest(%(backends)s::text[], %(drones)s::integer[], %(statuses)s::text[], %(ranks)s::smallint[],
                %(states)s::text[], %(addresses)s::text[], %(drone_times)s::bigint[], %(releases)s::boolean[],
                %(withdraws)s::boolean[])
         as r (backend_id, drone_id, status, rank, state, address, drone_time, releases, withdraws)
),
held as materialized (
    select b.id, b.drone_id, b.status, b.status_rank
    from backends_backend b
    where b.id = any(%(backends)s::text[])
    order by b.id
    for update
),
own as materialized (
    select r.*, h.status_rank < r.rank as forward
    from report r
    join held h on h.id = r.backend_id and h.drone_id = r.drone_id
),
moved as (
    update backends_backend b
    set status = o.status, state = o.state::jsonb, status_at = clock_timestamp(),
        address = coalesce(o.address, b.address)
    from own o
    where b.id = o.backend_id and o.forward
    returning b.id
),
remembered as (
    insert into backends_backendstatechange (backend_id, status, state, drone_time)
    select o.backend_id, o.status, o.state::jsonb, o.drone_time from own o where o.forward
    on conflict (backend_id, status) do nothing
),
released as (
    update backends_backendkey k
    set backend_id = null, expires_at = least(k.expires_at, clock_timestamp())
    from own o
    where k.backend_id = o.backend_id and o.forward and o.releases
),
settled as (
    update backends_backendaction a
    set acknowledged_at = case when a.kind = 'spawn' then now() end,
        withdrawn_at = case when a.kind <> 'spawn' then now() end
    from own o
    where a.backend_id = o.backend_id and a.acknowledged_at is null and a.withdrawn_at is null
      and (a.kind = 'spawn' or (o.forward and o.withdraws))
)
select r.backend_id, h.status as former, coalesce(o.forward, false) as stored, h.id is null as unknown,
       h.id is not null and o.backend_id is null as is_foreign
from report r
left join held h on h.id = r.backend_id
left join own o on o.backend_id = r.backend_id
