"""
Gives this world its identity and a secret key, and notes from when expired keys may be taken over.
"""

import secrets

from django.db import migrations, models


def found(apps, schema_editor):
    """Make the one row, once."""
    apps.get_model("drones", "Installation").objects.get_or_create(
        id=1, defaults={"secret_key": secrets.token_urlsafe(48)}
    )


class Migration(migrations.Migration):
    dependencies = [("drones", "0001_initial")]

    operations = [
        migrations.AddField("installation", "server_started_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("installation", "takeover_after", models.DateTimeField(editable=False, null=True)),
        migrations.RunPython(found, migrations.RunPython.noop),
    ]
