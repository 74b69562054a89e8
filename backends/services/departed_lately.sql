-- Which backends have begun to end, or have ended, lately: for rings that were lost (of all clusters, null), and for a
-- proxy that was away (of its own). The newest first: if there are too many, the oldest routes run out the soonest.
select id, cluster, status_rank
from backends_backend
where status_rank >= 60 and status_at > now() - %(window)s::interval
  and cluster = coalesce(%(cluster)s::text, cluster)
order by status_at desc
limit %(at_most)s::bigint
