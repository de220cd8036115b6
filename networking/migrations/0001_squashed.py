"""The tables as they are after the migrations that it stands for; an older database goes by those, one by one."""

import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('networking', '0001_initial'),
        ('networking', '0002_networks_that_people_change'),
        ('networking', '0003_what_waits_for_a_restart'),
    ]

    dependencies = [
        ('accounts', '0001_initial'),
        ('providers', '0001_squashed'),
    ]

    operations = [
        migrations.CreateModel(
            name='Network',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('external_id', models.CharField(blank=True, max_length=255)),
                ('name', models.CharField(max_length=255)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('problem_job', models.UUIDField(blank=True, null=True)),
                ('mode', models.CharField(choices=[('nat', 'NAT'), ('route', 'routed'), ('open', 'open'), ('isolated', 'isolated'), ('bridge', 'bridge'), ('provider', "provider's own")], max_length=20)),
                ('type', models.CharField(blank=True, max_length=40)),
                ('cidrs', models.JSONField(blank=True, default=list)),
                ('dhcp', models.BooleanField(null=True)),
                ('domain', models.CharField(blank=True, max_length=255)),
                ('is_active', models.BooleanField(default=True)),
                ('autostart', models.BooleanField(null=True)),
                ('bridge', models.CharField(blank=True, max_length=60)),
                ('gateway', models.CharField(blank=True, max_length=60)),
                ('dhcp_start', models.CharField(blank=True, max_length=60)),
                ('dhcp_end', models.CharField(blank=True, max_length=60)),
                ('forward_device', models.CharField(blank=True, max_length=60)),
                ('vlan', models.PositiveIntegerField(blank=True, null=True)),
                ('mtu', models.PositiveIntegerField(blank=True, null=True)),
                ('reservations', models.JSONField(blank=True, default=list)),
                ('dns_hosts', models.JSONField(blank=True, default=list)),
                ('pending', models.JSONField(blank=True, default=list)),
                ('leases', models.JSONField(blank=True, default=list)),
                ('read_at', models.DateTimeField(blank=True, null=True)),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='providers.provider')),
                ('projects', models.ManyToManyField(blank=True, related_name='networks', to='accounts.project')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('provider', 'external_id'), name='one_network_per_external_id'),
                ],
            },
        ),
    ]
