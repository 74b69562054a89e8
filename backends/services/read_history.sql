-- All states that one backend has been in, in their order. No row means that there is no such backend.
-- Found by the unique index on (backend, status).
select c.state::text as state, floor(extract(epoch from c.created_at) * 1000)::bigint as time
from backends_backendstatechange c
where c.backend_id = %(backend)s::text
order by c.id
