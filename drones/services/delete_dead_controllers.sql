-- Delete some controllers that were not heard for long. Nodes that still point at one are offline.
with dead as materialized (
    select name from drones_controller
    where last_heartbeat_at < now() - %(min_age)s::interval
    limit %(at_most)s::bigint
    for update skip locked
),
released as (
    update drones_node n
    set controller_id = null, connection = null, disconnected_at = now()
    from dead
    where n.controller_id = dead.name
)
delete from drones_controller c using dead where c.name = dead.name
