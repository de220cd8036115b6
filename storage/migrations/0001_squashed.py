"""The tables as they are after the migrations that it stands for; an older database goes by those, one by one."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('storage', '0001_initial'),
        ('storage', '0002_volumes_and_pools_that_people_change'),
        ('storage', '0003_images_that_people_add'),
        ('storage', '0004_files_on_their_way_into_volumes'),
    ]

    dependencies = [
        ('accounts', '0001_initial'),
        ('providers', '0001_squashed'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Image',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('external_id', models.CharField(blank=True, max_length=255)),
                ('name', models.CharField(max_length=255)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('problem_job', models.UUIDField(blank=True, null=True)),
                ('title', models.CharField(blank=True, max_length=120)),
                ('pool', models.CharField(blank=True, max_length=255)),
                ('format', models.CharField(blank=True, max_length=20)),
                ('is_iso', models.BooleanField(default=False)),
                ('size_gib', models.FloatField(default=0)),
                ('stored_bytes', models.BigIntegerField(default=0)),
                ('os', models.CharField(blank=True, max_length=60)),
                ('default_user', models.CharField(blank=True, max_length=60)),
                ('min_memory_mib', models.PositiveIntegerField(default=0)),
                ('used_by', models.JSONField(blank=True, default=list)),
                ('source', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='images', to='accounts.project')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='providers.provider')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('provider', 'external_id'), name='one_image_per_external_id'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Pool',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('external_id', models.CharField(blank=True, max_length=255)),
                ('name', models.CharField(max_length=255)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('problem_job', models.UUIDField(blank=True, null=True)),
                ('type', models.CharField(blank=True, max_length=40)),
                ('path', models.CharField(blank=True, max_length=500)),
                ('is_active', models.BooleanField(default=True)),
                ('autostart', models.BooleanField(null=True)),
                ('capacity_gib', models.FloatField(default=0)),
                ('allocation_gib', models.FloatField(default=0)),
                ('available_gib', models.FloatField(default=0)),
                ('volumes_at', models.DateTimeField(blank=True, null=True)),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='providers.provider')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('provider', 'external_id'), name='one_pool_per_external_id'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('file_name', models.CharField(max_length=255)),
                ('size', models.BigIntegerField()),
                ('modified_ms', models.BigIntegerField(default=0)),
                ('chunk_bytes', models.PositiveIntegerField()),
                ('received', models.BigIntegerField(default=0)),
                ('chain', models.CharField(blank=True, max_length=64)),
                ('key', models.CharField(blank=True, max_length=500)),
                ('checksum', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('touched_at', models.DateTimeField(auto_now_add=True)),
                ('image', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='upload', to='storage.image')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Volume',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('external_id', models.CharField(blank=True, max_length=255)),
                ('name', models.CharField(max_length=255)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('problem_job', models.UUIDField(blank=True, null=True)),
                ('format', models.CharField(blank=True, max_length=20)),
                ('size_gib', models.FloatField(default=0)),
                ('allocation_gib', models.FloatField(default=0)),
                ('path', models.CharField(blank=True, max_length=500)),
                ('backing', models.CharField(blank=True, max_length=500)),
                ('used_by', models.JSONField(blank=True, default=list)),
                ('is_used', models.BooleanField(default=False)),
                ('upload_key', models.CharField(blank=True, max_length=300)),
                ('upload_received', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('pool', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='volumes', to='storage.pool')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='volumes', to='accounts.project')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='providers.provider')),
            ],
            options={
                'ordering': ['name', 'id'],
                'indexes': [
                    models.Index(fields=['project', 'name'], name='volume_by_project'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('provider', 'external_id'), name='one_volume_per_external_id'),
                ],
            },
        ),
    ]
