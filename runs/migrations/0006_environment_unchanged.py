from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0005_framework_versions'),
    ]

    operations = [
        migrations.AlterField(
            model_name='environment',
            name='state',
            field=models.CharField(choices=[('requested', 'Requested'), ('building', 'Building'), ('ready', 'Ready'), ('failed', 'Failed'), ('evicted', 'Evicted'), ('unchanged', 'Unchanged')], default='requested', max_length=20),
        ),
    ]
