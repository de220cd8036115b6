"""The tables as they are after the migrations that it stands for; an older database goes by those, one by one."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('jobs', '0001_initial'),
        ('jobs', '0002_place_of_a_job'),
    ]

    dependencies = [
        ('accounts', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(max_length=60)),
                ('title', models.CharField(max_length=300)),
                ('queue', models.CharField(default='system', max_length=60)),
                ('place', models.CharField(blank=True, max_length=80)),
                ('place_limit', models.PositiveSmallIntegerField(default=0)),
                ('turned_away', models.BooleanField(default=False)),
                ('subject', models.CharField(blank=True, max_length=80)),
                ('subject_name', models.CharField(blank=True, max_length=255)),
                ('exclusive', models.BooleanField(default=True)),
                ('doing', models.CharField(blank=True, max_length=60)),
                ('is_background', models.BooleanField(default=False)),
                ('state', models.CharField(choices=[('queued', 'Waiting'), ('running', 'Running'), ('succeeded', 'Done'), ('failed', 'Failed'), ('errored', 'Failed unexpectedly'), ('cancelled', 'Cancelled')], default='queued', max_length=20)),
                ('percent', models.PositiveSmallIntegerField(default=0)),
                ('message', models.CharField(blank=True, max_length=300)),
                ('params', models.JSONField(blank=True, default=dict)),
                ('form', models.JSONField(blank=True, default=dict)),
                ('result', models.JSONField(blank=True, default=dict)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('code', models.CharField(blank=True, max_length=40)),
                ('field', models.CharField(blank=True, max_length=60)),
                ('attempt', models.PositiveSmallIntegerField(default=0)),
                ('cancel_requested', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('heartbeat_at', models.DateTimeField(blank=True, null=True)),
                ('worker', models.CharField(blank=True, max_length=120)),
                ('project', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.project')),
                ('retry_of', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='retries', to='jobs.job')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [
                    models.Index(fields=['state', 'heartbeat_at'], name='job_by_state'),
                    models.Index(fields=['subject', '-id'], name='job_by_subject'),
                    models.Index(fields=['project', '-id'], name='job_by_project'),
                    models.Index(condition=models.Q(('state__in', ['queued', 'running']), models.Q(('place', ''), _negated=True)), fields=['place', 'state'], name='job_by_place'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('exclusive', True), ('state__in', ['queued', 'running']), models.Q(('subject', ''), _negated=True)), fields=('subject',), name='one_active_exclusive_job_per_subject'),
                ],
            },
        ),
        migrations.CreateModel(
            name='JobLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('level', models.CharField(default='info', max_length=10)),
                ('text', models.TextField()),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='jobs.job')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
    ]
