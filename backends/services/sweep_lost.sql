-- Give up the backends of lost drones, and free their keys.
--
-- It guarantees:
--   * Only when the lease has run out by the database's clock, on a server that was watched for one full lease: by then
--     the drone's own deadlines have passed, and it has killed what it runs, however wrong its clock.
--   * Only when the drone was not heard for long; or when the lease ran out that long ago, whoever was heard: an agent
--     that lives and knows of the backend would have renewed it, or reported its end.
--   * State, history, key and orders change in one commit. The backends are locked before their keys, as reports do.
with lost as materialized (
    select b.id, jsonb_build_object(
        'status', 'terminated', 'last_status', coalesce(b.state ->> 'last_status', b.status), 'termination', null,
        'reason', 'lost', 'exit_code', null) as state
    from backends_backend b
    join drones_drone d on d.node_id = b.drone_id
    left join backends_backendkey k on k.backend_id = b.id
    where b.status_rank < 70
      and (k.id is null or k.expires_at < now())
      and (coalesce(d.last_heard_at, b.created_at) < now() - %(lost)s::interval
           or k.expires_at < now() - %(lost)s::interval)
      and now() > %(since)s::timestamptz + %(grace)s::interval
      and exists (
          select from drones_installation i
          where i.server_started_at = pg_postmaster_start_time() and i.takeover_after < now())
    order by b.id
    limit %(at_most)s::bigint
    for update of b skip locked
),
released as (
    update backends_backendkey k
    set backend_id = null
    from lost l
    where k.backend_id = l.id and k.expires_at < now()
    returning l.id
),
ended as (
    update backends_backend b
    set status = 'terminated', state = l.state, status_at = clock_timestamp()
    from lost l
    where b.id = l.id
      -- Renewed at the last moment: then it lives.
      and (l.id in (select id from released)
           or not exists (select from backends_backendkey k where k.backend_id = l.id))
    returning b.id, l.state
),
remembered as (
    insert into backends_backendstatechange (backend_id, status, state)
    select id, 'terminated', state from ended
    on conflict (backend_id, status) do nothing
),
withdrawn as (
    update backends_backendaction a
    set withdrawn_at = now()
    from ended e
    where a.backend_id = e.id and a.acknowledged_at is null and a.withdrawn_at is null
)
select id from ended
