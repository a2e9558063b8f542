from django.db import migrations, models


def first_revisions(apps, schema_editor):
    """Every environment so far is the first of its wishes."""
    apps.get_model("runs", "Environment").objects.update(wishes=models.F("digest"))


class Migration(migrations.Migration):
    dependencies = [("runs", "0002_run_again")]

    operations = [
        migrations.AddField(
            model_name="environment",
            name="wishes",
            field=models.CharField(
                db_index=True, default="", help_text="The digest without the revision.", max_length=64
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="environment",
            name="revision",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.RunPython(first_revisions, migrations.RunPython.noop, elidable=True),
    ]
