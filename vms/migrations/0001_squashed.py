"""The tables as they are after the migrations that it stands for; an older database goes by those, one by one."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('vms', '0001_initial'),
        ('vms', '0002_vm_options_and_pending'),
        ('vms', '0003_console_sessions_and_guest_links'),
        ('vms', '0004_pictures_of_screens'),
        ('vms', '0005_console_kind_spice'),
        ('vms', '0006_what_guests_tell'),
    ]

    dependencies = [
        ('accounts', '0001_initial'),
        ('providers', '0001_squashed'),
        ('storage', '0001_squashed'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Flavor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40, unique=True)),
                ('vcpus', models.PositiveSmallIntegerField()),
                ('memory_mib', models.PositiveIntegerField()),
                ('disk_gib', models.PositiveIntegerField(default=0)),
                ('position', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'ordering': ['position', 'vcpus', 'memory_mib'],
            },
        ),
        migrations.CreateModel(
            name='VirtualMachine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('external_id', models.CharField(blank=True, max_length=255)),
                ('name', models.CharField(max_length=255)),
                ('description', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('power', models.CharField(choices=[('running', 'Running'), ('stopped', 'Stopped'), ('paused', 'Paused'), ('suspended', 'Suspended'), ('starting', 'Starting'), ('stopping', 'Stopping'), ('crashed', 'Crashed'), ('unknown', 'Unknown')], default='unknown', max_length=20)),
                ('raw_state', models.CharField(blank=True, max_length=60)),
                ('power_since', models.DateTimeField(blank=True, null=True)),
                ('presence', models.CharField(choices=[('wanted', 'Wanted'), ('present', 'Present'), ('missing', 'Missing'), ('deleted', 'Deleted')], default='wanted', max_length=20)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('problem_job', models.UUIDField(blank=True, null=True)),
                ('vcpus', models.PositiveIntegerField(default=0)),
                ('memory_mib', models.PositiveIntegerField(default=0)),
                ('disk_gib', models.FloatField(default=0)),
                ('flavor', models.CharField(blank=True, max_length=80)),
                ('autostart', models.BooleanField(null=True)),
                ('login', models.CharField(blank=True, max_length=64)),
                ('host', models.CharField(blank=True, max_length=255)),
                ('nics', models.JSONField(blank=True, null=True)),
                ('disks', models.JSONField(blank=True, null=True)),
                ('snapshots', models.JSONField(blank=True, null=True)),
                ('consoles', models.JSONField(blank=True, null=True)),
                ('options', models.JSONField(blank=True, null=True)),
                ('pending', models.JSONField(blank=True, default=list)),
                ('shows_screen', models.BooleanField(default=True)),
                ('fingerprint', models.CharField(blank=True, max_length=32)),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('addresses', models.CharField(blank=True, max_length=500)),
                ('keeps_serial_log', models.BooleanField(default=False)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('image', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='storage.image')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='vms', to='accounts.project')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='vms', to='providers.provider')),
            ],
            options={
                'ordering': ['name', 'id'],
                'indexes': [
                    models.Index(fields=['name', 'id'], name='vm_by_name'),
                    models.Index(fields=['project', 'provider', 'power', 'presence', 'problem'], name='vm_by_group'),
                    models.Index(fields=['project', 'presence', 'name'], name='vm_by_project'),
                    models.Index(fields=['provider', 'presence'], name='vm_by_provider'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('provider', 'external_id'), name='one_vm_per_external_id'),
                ],
            },
        ),
        migrations.CreateModel(
            name='GuestReading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('os', models.CharField(blank=True, max_length=255)),
                ('hostname', models.CharField(blank=True, max_length=255)),
                ('users', models.JSONField(blank=True, null=True)),
                ('file_systems', models.JSONField(blank=True, null=True)),
                ('vm', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='guest_reading', to='vms.virtualmachine')),
            ],
        ),
        migrations.CreateModel(
            name='GuestLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(choices=[('vnc', 'vnc'), ('serial', 'serial'), ('spice', 'spice')], max_length=20)),
                ('guest_name', models.CharField(max_length=60)),
                ('secret_hash', models.CharField(max_length=64, unique=True)),
                ('may_type', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('vm', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='guest_links', to='vms.virtualmachine')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [
                    models.Index(fields=['vm', '-id'], name='guest_link_by_vm'),
                ],
            },
        ),
        migrations.CreateModel(
            name='ConsoleGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('session_key', models.CharField(max_length=64)),
                ('kind', models.CharField(choices=[('vnc', 'vnc'), ('serial', 'serial'), ('spice', 'spice')], max_length=20)),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('view_only', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField()),
                ('redeemed_at', models.DateTimeField(blank=True, null=True)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_why', models.CharField(blank=True, max_length=120)),
                ('address', models.GenericIPAddressField(blank=True, null=True)),
                ('bytes_to_browser', models.BigIntegerField(default=0)),
                ('bytes_to_machine', models.BigIntegerField(default=0)),
                ('end_reason', models.CharField(blank=True, max_length=120)),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('guest_link', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='vms.guestlink')),
                ('vm', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='vms.virtualmachine')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [
                    models.Index(fields=['vm', '-id'], name='grant_by_vm'),
                ],
            },
        ),
        migrations.CreateModel(
            name='ConsoleSession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('who', models.CharField(max_length=150)),
                ('kind', models.CharField(choices=[('vnc', 'vnc'), ('serial', 'serial'), ('spice', 'spice')], max_length=20)),
                ('view_only', models.BooleanField(default=False)),
                ('drives', models.BooleanField(default=False)),
                ('address', models.GenericIPAddressField(blank=True, null=True)),
                ('opened_at', models.DateTimeField(auto_now_add=True)),
                ('active_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=120)),
                ('bytes_to_browser', models.BigIntegerField(default=0)),
                ('bytes_to_machine', models.BigIntegerField(default=0)),
                ('grant', models.OneToOneField(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='console_session', to='vms.consolegrant')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='console_sessions', to=settings.AUTH_USER_MODEL)),
                ('guest_link', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='console_sessions', to='vms.guestlink')),
                ('vm', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='console_sessions', to='vms.virtualmachine')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [
                    models.Index(fields=['vm', '-id'], name='console_session_by_vm'),
                    models.Index(fields=['user', '-id'], name='console_session_by_user'),
                    models.Index(condition=models.Q(('ended_at', None)), fields=['-id'], name='console_session_open'),
                ],
            },
        ),
    ]
