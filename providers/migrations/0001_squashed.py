"""The tables as they are after the migrations that it stands for; an older database goes by those, one by one."""

import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('providers', '0001_initial'),
        ('providers', '0002_how_the_connection_is'),
    ]

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Provider',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(max_length=30)),
                ('name', models.CharField(max_length=80, unique=True)),
                ('config', models.JSONField(blank=True, default=dict)),
                ('sealed', models.TextField(blank=True, default='')),
                ('capabilities', models.JSONField(blank=True, default=dict)),
                ('is_enabled', models.BooleanField(default=True)),
                ('max_parallel', models.PositiveSmallIntegerField(default=4)),
                ('health', models.CharField(choices=[('unknown', 'Not checked yet'), ('ok', 'Connected'), ('failed', 'Not reachable')], default='unknown', max_length=20)),
                ('health_reason', models.CharField(blank=True, max_length=500)),
                ('health_code', models.CharField(blank=True, max_length=40)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('seen_at', models.DateTimeField(blank=True, null=True)),
                ('inventory_at', models.DateTimeField(blank=True, null=True)),
                ('unreachable_since', models.DateTimeField(blank=True, null=True)),
                ('reachable_since', models.DateTimeField(blank=True, null=True)),
                ('sync_ms', models.PositiveIntegerField(blank=True, null=True)),
                ('latency_ms', models.FloatField(blank=True, null=True)),
                ('is_watched', models.BooleanField(default=False)),
                ('host', models.JSONField(blank=True, default=dict)),
                ('host_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('projects', models.ManyToManyField(blank=True, related_name='providers', to='accounts.project')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
    ]
