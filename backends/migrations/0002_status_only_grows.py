"""
The database itself refuses a status that goes back, whoever writes it.
"""

from django.db import migrations

FORWARD = """
create function backends_refuse_earlier_status() returns trigger language plpgsql as $$
begin
    raise exception 'backend % cannot go from % back to %', new.id, old.status, new.status
        using errcode = 'check_violation', constraint = 'backend_status_only_grows';
end
$$;
create trigger backend_status_only_grows after update of status on backends_backend
    for each row when (new.status_rank < old.status_rank) execute function backends_refuse_earlier_status();
"""

BACKWARD = """
drop trigger backend_status_only_grows on backends_backend;
drop function backends_refuse_earlier_status();
"""


class Migration(migrations.Migration):
    dependencies = [("backends", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
