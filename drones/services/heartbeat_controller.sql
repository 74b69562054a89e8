-- A controller lives: noted on its row, which is made if it is not there (at the start, or after a clean-up).
-- It also watches over the lock: when the server is not the one that was watched so far (started again, promoted), or
-- its clock has jumped, expired keys may be taken over only after one full lease from now.
with beat as (
    insert into drones_controller (name, version, git_hash, url, last_heartbeat_at)
    values (%(name)s::text, %(version)s::text, %(git_hash)s::text, %(url)s::text, now())
    on conflict (name) do update set last_heartbeat_at = now(), goodbye_at = null
),
watched as (
    update drones_installation
    set server_started_at = pg_postmaster_start_time(), takeover_after = clock_timestamp() + %(lease)s::interval
    where id = 1
      and (%(jumped)s::boolean or server_started_at is distinct from pg_postmaster_start_time())
    returning takeover_after
)
select clock_timestamp() as now, (select takeover_after from watched) as takeover_after
