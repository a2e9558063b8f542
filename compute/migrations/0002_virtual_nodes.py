from django.db import migrations, models

STATES = [
    ("healthy", "Healthy"),
    ("degraded", "Degraded"),
    ("unreachable", "Unreachable"),
    ("leaving", "Leaving"),
]


class Migration(migrations.Migration):
    dependencies = [("compute", "0001_initial")]

    operations = [
        migrations.AddField("slot", "is_simulated", models.BooleanField("simulated", default=False)),
        migrations.AddField("slot", "is_leaving", models.BooleanField("leaving", default=False)),
        migrations.AlterField("node", "state", models.CharField(choices=STATES, default="healthy", max_length=20)),
        migrations.AlterField(
            "historicalnode", "state", models.CharField(choices=STATES, default="healthy", max_length=20)
        ),
    ]
