import django.db.models.deletion
from django.db import migrations, models


def present_from_leases(apps, schema_editor):
    """Whoever holds a slot is on its node."""
    Lease, Presence = apps.get_model("compute", "Lease"), apps.get_model("compute", "Presence")
    held = Lease.objects.values_list("slot__node_id", "holder").distinct()
    Presence.objects.bulk_create(Presence(node_id=node_id, holder=holder) for node_id, holder in held)


class Migration(migrations.Migration):
    dependencies = [("compute", "0002_virtual_nodes")]

    operations = [
        migrations.CreateModel(
            name="Presence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("holder", models.CharField(db_index=True, max_length=80)),
                (
                    "node",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="presences", to="compute.node"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("node", "holder"), name="presence_once_a_node"),
                ],
            },
        ),
        migrations.RunPython(present_from_leases, migrations.RunPython.noop),
    ]
