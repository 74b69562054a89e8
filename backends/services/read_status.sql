-- The present state of one backend, with the moment it was entered. Found by primary key.
select b.state::text as state, floor(extract(epoch from b.status_at) * 1000)::bigint as time
from backends_backend b
where b.id = %(backend)s::text
