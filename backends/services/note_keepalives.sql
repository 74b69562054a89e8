-- Backends are in use: idleness counts from now. Many backends, one round trip; only those of the asking proxy's
-- cluster, and none whose end has begun.
update backends_backend b
set last_keepalive_at = now()
from unnest(%(backends)s::text[], %(clusters)s::text[]) as used (backend_id, cluster)
where b.id = used.backend_id and b.cluster = used.cluster and b.status_rank < 60
