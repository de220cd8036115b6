"""Add, change, check, enable, disable and remove a provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from pydantic import SecretStr

from kvweb.accounts.models import Project, User
from kvweb.audit.services import record
from kvweb.events.services import publish
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers.base import AuthenticationFailed, Config
from providers.models import Health, Provider
from providers.registry import plugin
from providers.secrets import seal, unseal


def split(config: Config) -> tuple[dict[str, Any], dict[str, str]]:
    """A config as its open part (JSON) and its secret part."""
    secret_names = type(config).secret_fields()
    open_part = config.model_dump(mode="json", exclude=set(secret_names))
    secrets = {
        name: value.get_secret_value()
        for name in secret_names
        if isinstance(value := getattr(config, name), SecretStr) and value.get_secret_value()
    }
    return open_part, secrets


@transaction.atomic
def add(
    *,
    kind: str,
    name: str,
    config: Config,
    projects: Iterable[Project] = (),
    max_parallel: int = 4,
    user: User | None = None,
) -> Provider:
    """Write the provider and start its first check."""
    open_part, secrets = split(config)
    provider = Provider.objects.create(
        kind=kind,
        name=name,
        config=open_part,
        sealed=seal(secrets),
        capabilities=plugin(kind).declares.to_json(),
        max_parallel=max_parallel,
    )
    provider.projects.set(projects)
    record("provider.add", subject=provider.subject, subject_name=name, actor=user, details={"kind": kind})
    publish(provider.subject, project_id=None, topic="created")
    check(provider, user=user)
    return provider


@transaction.atomic
def change(
    provider: Provider,
    *,
    name: str,
    config: Mapping[str, Any],
    projects: Iterable[Project],
    max_parallel: int | None = None,
    user: User | None = None,
) -> Provider:
    """Change it; a secret field that is left empty keeps its stored value. Raises InvalidRequest."""
    model = plugin(provider.kind).config
    try:
        stored = unseal(provider.sealed)
    except AuthenticationFailed:
        # No key opens them any more; entering them again is the way out, so it must not be barred.
        stored = {}
    kept = {name: value for name, value in stored.items() if not config.get(name)}
    open_part, secrets = split(model.read({**config, **kept}))
    provider.name, provider.config, provider.sealed = name, open_part, seal(secrets)
    provider.health = Health.UNKNOWN
    provider.max_parallel = max_parallel or provider.max_parallel
    provider.save(update_fields=["name", "config", "sealed", "health", "max_parallel"])
    provider.projects.set(projects)
    record("provider.change", subject=provider.subject, subject_name=name, actor=user)
    publish(provider.subject, project_id=None)
    check(provider, user=user)
    return provider


def check(provider: Provider, *, user: User | None = None) -> Job:
    """Start a job that connects, probes what the provider can do and reads its inventory."""
    return jobs.start(
        "provider.check",
        title=f"Check the connection of “{provider.name}”",
        subject=provider.subject,
        subject_name=provider.name,
        doing="Checking",
        place=provider.place,
        user=user,
    )


@transaction.atomic
def set_enabled(provider: Provider, *, enabled: bool, user: User | None = None) -> None:
    """A disabled provider is not asked anything; its machines stay visible and cannot be acted on."""
    Provider.objects.filter(pk=provider.pk).update(is_enabled=enabled)
    provider.is_enabled = enabled
    record(
        "provider.enable" if enabled else "provider.disable",
        subject=provider.subject,
        subject_name=provider.name,
        actor=user,
    )
    publish(provider.subject, project_id=None)
    if enabled:
        check(provider, user=user)


def enable(provider: Provider, *, user: User | None = None) -> None:
    set_enabled(provider, enabled=True, user=user)


def disable(provider: Provider, *, user: User | None = None) -> None:
    set_enabled(provider, enabled=False, user=user)


@transaction.atomic
def remove(provider: Provider, *, user: User | None = None) -> None:
    """Forget the provider and what we know of its machines; nothing is touched at the provider itself."""
    record("provider.remove", subject=provider.subject, subject_name=provider.name, actor=user)
    publish(provider.subject, project_id=None, topic="gone")
    provider.delete()
