-- A controller ends: nothing is scheduled through it any more, and its sockets are nobody's.
with goodbye as (
    update drones_controller set goodbye_at = now() where name = %(name)s::text
)
update drones_node
set controller_id = null, connection = null, disconnected_at = now()
where controller_id = %(name)s::text
