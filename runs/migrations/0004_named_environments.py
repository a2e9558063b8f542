import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0003_environment_revisions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='definition_json',
            field=models.JSONField(help_text='The version that the run names, as it was then.', null=True, verbose_name='named environment'),
        ),
        migrations.CreateModel(
            name='NamedEnvironment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('description', models.TextField(blank=True)),
                ('is_shared', models.BooleanField(default=False)),
                ('archived_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='named_environments', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': [django.db.models.functions.text.Lower('name')],
            },
        ),
        migrations.CreateModel(
            name='NamedEnvironmentVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('content', models.JSONField()),
                ('note', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('environments', models.ManyToManyField(help_text='What was built of it ahead of any run.', related_name='named_versions', to='runs.environment')),
                ('named', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='runs.namedenvironment')),
            ],
            options={
                'ordering': ['named', '-number'],
            },
        ),
        migrations.AddConstraint(
            model_name='namedenvironment',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('name'), name='named_environment_once'),
        ),
        migrations.AddConstraint(
            model_name='namedenvironmentversion',
            constraint=models.UniqueConstraint(fields=('named', 'number'), name='version_once_a_named_environment'),
        ),
    ]
