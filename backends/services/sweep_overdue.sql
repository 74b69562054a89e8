-- End the backends that are idle or overdue: order each of them, once, to terminate softly.
--
-- It guarantees:
--   * The unique index on (backend, kind) makes asking twice asking once; one that was asked to end is left alone.
--   * A backend in use is not swept because nobody could take its keepalives: what was there before this sweeper began
--     has a grace after that beginning; and once a backend was in use, its limit is never shorter than the time in which
--     proxies say so again.
--   * A backend still scheduled is ended too.
with due as materialized (
    select b.id, b.drone_id, row_number() over () as number
    from backends_backend b
    where b.status_rank < 60
      and (b.expires_at < now()
           or (b.max_idle_seconds is not null
               and b.last_keepalive_at < now() - greatest(
                   make_interval(secs => b.max_idle_seconds),
                   case when b.last_keepalive_at > b.created_at then %(in_use_for)s::interval end)
               and (b.created_at > %(since)s::timestamptz or now() > %(since)s::timestamptz + %(grace)s::interval)))
      and not exists (
          select from backends_backendaction a
          where a.backend_id = b.id and a.kind in ('soft-terminate', 'hard-terminate'))
    limit cardinality(%(orders)s::text[])
)
insert into backends_backendaction (id, backend_id, drone_id, kind, action)
select (%(orders)s::text[])[d.number], d.id, d.drone_id, 'soft-terminate', %(action)s::jsonb
from due d
on conflict (backend_id, kind) do nothing
returning backend_id, drone_id
