from django.db import migrations, models


def keep_environment_specs(apps, schema_editor):
    """Runs keep what decided their environment, as far as that is still there."""
    Run = apps.get_model("runs", "Run")
    for run in Run.objects.exclude(environment=None).select_related("environment").only("environment__spec"):
        Run.objects.filter(pk=run.pk).update(environment_spec=run.environment.spec)


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="environment_spec",
            field=models.JSONField(
                null=True, help_text="What decided the environment; kept here because the environment may be deleted."
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="again",
            field=models.CharField(
                blank=True,
                choices=[("exactly", "Exactly the same packages"), ("updated", "Updated packages")],
                default="",
                help_text="How the packages of cloned_from are taken over.",
                max_length=10,
            ),
            preserve_default=False,
        ),
        migrations.RunPython(keep_environment_specs, migrations.RunPython.noop, elidable=True),
    ]
