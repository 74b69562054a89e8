-- Delete some backends that ended long ago, with their history, orders and tokens. A key never holds one of these: it
-- is released with the end.
with old as materialized (
    select id from backends_backend
    where status_rank = 70 and status_at < now() - %(min_age)s::interval
    order by status_at
    limit %(at_most)s::bigint
),
history as (delete from backends_backendstatechange where backend_id in (select id from old)),
orders as (delete from backends_backendaction where backend_id in (select id from old)),
tokens as (delete from backends_token where backend_id in (select id from old))
delete from backends_backend where id in (select id from old)
