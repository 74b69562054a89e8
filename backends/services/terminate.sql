-- Store the order to end a backend. One of each kind per backend: asking twice is asking once. A backend that is gone
-- gets none; no row means that there is no such backend.
with backend as materialized (
    select b.id, b.drone_id, b.status_rank from backends_backend b where b.id = %(backend)s::text
),
stored as (
    insert into backends_backendaction (id, backend_id, drone_id, kind, action)
    select %(action)s::text, b.id, b.drone_id, %(kind)s::text || '-terminate',
           jsonb_build_object('Terminate', jsonb_build_object('kind', %(kind)s::text, 'reason', %(reason)s::text))
    from backend b
    where b.status_rank < 70
    on conflict (backend_id, kind) do nothing
    returning id
)
select b.drone_id, exists (select from stored) as stored from backend b
