-- Bearer tokens were used: they live for their lifetime from now on, if that is longer than they would anyway.
update backends_token t
set last_used_at = now(), expires_at = greatest(t.expires_at, now() + %(lifetime)s::interval)
from unnest(%(hashes)s::bytea[]) as used (hash)
where t.hash = used.hash and t.kind = 'bearer'
