-- Which of these backends are ending or gone.
select id, cluster, status_rank from backends_backend where id = any(%(backends)s::text[]) and status_rank >= 60
