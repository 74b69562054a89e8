-- Where tokens lead, for proxies of the tokens' own clusters: many questions, one round trip, found by hash.
-- A token that is unknown, expired, or of another cluster has no row; neither has one whose backend is ending.
select q.number, b.id as backend_id, b.status_rank, b.address, b.cluster, b.subdomain,
       t.kind, t.secret, t.username, t.auth
from unnest(%(hashes)s::bytea[], %(clusters)s::text[]) with ordinality as q (hash, cluster, number)
join backends_token t on t.hash = q.hash
join backends_backend b on b.id = t.backend_id and b.cluster = q.cluster
where (t.expires_at is null or t.expires_at > now()) and b.status_rank < 60
