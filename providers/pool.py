"""open_driver(provider): the only door to a provider.

One live driver per provider and thread of a worker process, dropped on fork, on error and when the config changed. What
the driver raises becomes the job's end and the provider's health.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils import timezone

from kvweb.events.services import publish
from kvweb.jobs.outcomes import Failed, Stopped, TryLater
from kvweb.jobs.progress import Reporter
from providers.base import (
    AuthenticationFailed,
    Cancelled,
    Config,
    Driver,
    ProviderError,
    RateLimited,
    Transient,
    Unreachable,
)
from providers.models import Health, Provider
from providers.registry import plugin
from providers.secrets import unseal

logger = logging.getLogger(__name__)


@dataclass
class _Kept:
    driver: Driver
    fingerprint: tuple[object, ...]


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.pid = os.getpid()
        self.kept: dict[int, _Kept] = {}


_here = _PerThread()


def config_of(provider: Provider) -> Config:
    """The provider's whole config, secrets opened; raises InvalidRequest, AuthenticationFailed."""
    return plugin(provider.kind).config.read({**provider.config, **unseal(provider.sealed)})


def connect(provider: Provider) -> Driver:
    """A new driver that the caller closes: for the watcher and the console proxy, which keep their own."""
    return plugin(provider.kind).open(config_of(provider))


def _kept_driver(provider: Provider) -> Driver:
    if _here.pid != os.getpid():
        # After a fork the parent's connections are not ours to use or to close.
        _here.pid, _here.kept = os.getpid(), {}
    fingerprint = (provider.kind, str(sorted(provider.config.items())), provider.sealed)
    kept = _here.kept.get(provider.pk)
    if kept and kept.fingerprint == fingerprint and kept.driver.is_alive:
        return kept.driver
    forget(provider)
    driver = connect(provider)
    _here.kept[provider.pk] = _Kept(driver, fingerprint)
    return driver


def forget(provider: Provider) -> None:
    """Close this thread's driver of the provider, if there is one."""
    kept = _here.kept.pop(provider.pk, None)
    if kept:
        kept.driver.close()


@contextmanager
def driver_for(provider: Provider) -> Iterator[Driver]:
    """The driver, with the provider's health kept; lets ProviderError pass. `open_driver` is what jobs use."""
    try:
        driver = _kept_driver(provider)
        yield driver
    except (Unreachable, AuthenticationFailed) as exc:
        forget(provider)
        note_failure(provider, exc)
        raise
    except ProviderError:
        raise
    except (Cancelled, Failed, Stopped):
        raise
    except Exception:
        # Nobody knows in which state this left the connection.
        forget(provider)
        raise
    else:
        note_success(provider)


@contextmanager
def open_driver(provider: Provider) -> Iterator[Driver]:
    """The driver inside a job: a ProviderError ends the job (TryLater when transient), Cancelled stops it."""
    try:
        with driver_for(provider) as driver:
            yield driver
    except Cancelled:
        raise Stopped from None
    except RateLimited as exc:
        raise TryLater(exc.reason, exc.code, after_s=exc.retry_after_s, detail=exc.detail) from exc
    except Transient as exc:
        raise TryLater(exc.reason, exc.code, detail=exc.detail) from exc
    except ProviderError as exc:
        raise Failed(exc.reason, exc.code, field=exc.field, detail=exc.detail) from exc


class DriverProgress:
    """A job's reporter as drivers know it, between `low` and `high` percent of the job."""

    def __init__(self, reporter: Reporter, low: int = 0, high: int = 100) -> None:
        self._reporter, self._low, self._high = reporter, low, high

    def report(self, percent: int, sentence: str) -> None:
        self._reporter.report(self._low + percent * (self._high - self._low) // 100, sentence)

    def checkpoint(self) -> None:
        try:
            self._reporter.checkpoint()
        except Stopped:
            raise Cancelled from None


def note_failure(provider: Provider, error: ProviderError) -> None:
    """Remember why the provider could not be reached; the first failure says since when."""
    was_failed = Provider.objects.filter(pk=provider.pk, health=Health.FAILED).exists()
    now = timezone.now()
    Provider.objects.filter(pk=provider.pk).update(
        health=Health.FAILED,
        health_reason=error.reason[:500],
        health_code=error.code,
        checked_at=now,
        reachable_since=None,
        **({} if was_failed else {"unreachable_since": now}),
    )
    if not was_failed:
        # With the vendor's words, so not for the page of the job that met it.
        logger.warning(
            "Provider %s failed: %s (%s)", provider.name, error.reason, error.detail, extra={"private": True}
        )
        publish(f"provider:{provider.uuid}", project_id=None, topic="health")
        tell_projects(provider)


def note_success(provider: Provider) -> None:
    """Write only when the health changes, so that a healthy provider costs no write per job."""
    now = timezone.now()
    changed = (
        Provider.objects.filter(pk=provider.pk)
        .exclude(health=Health.OK)
        .update(
            health=Health.OK,
            health_reason="",
            health_code="",
            unreachable_since=None,
            reachable_since=now,
            checked_at=now,
        )
    )
    if changed:
        publish(f"provider:{provider.uuid}", project_id=None, topic="health")
        tell_projects(provider)


def tell_projects(provider: Provider) -> None:
    """Pages of members show the provider's health beside their machines: tell each project that has some there."""
    from providers.selectors import projects_with_machines

    for project_id in projects_with_machines(provider):
        publish(f"provider:{provider.uuid}", project_id=project_id, topic="health")
