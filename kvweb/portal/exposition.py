"""GET /metrics: the portal's own figures in Prometheus' text format; see docs/metrics.md for what each means.

Figures come from the database, Redis and the rings at the moment of the question; no provider is asked. Names of
providers are told, and those of machines only when the setting says so; nothing else that people typed, and no secret.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from kvweb.accounts.access import allowed
from kvweb.audit.context import address_of
from kvweb.events.bus import redis_client
from kvweb.jobs.models import ACTIVE, Job
from kvweb.metrics.requests import counting
from kvweb.metrics.ring import Values
from kvweb.metrics.series import HOST, Measure
from kvweb.metrics.store import reader
from providers.models import Health, Provider
from vms.choices import Presence
from vms.models import ConsoleGrant, VirtualMachine

#: Of jobs that ended within this time.
RECENT = timedelta(hours=1)

#: Measure → name of its gauge (after kvweb_vm_ or kvweb_host_), words, and what makes it Prometheus' base unit.
_GAUGES: dict[Measure, tuple[str, str, float]] = {
    Measure.CPU_PERCENT: ("cpu_ratio", "Share of its processors in use, 0 to 1.", 0.01),
    Measure.MEMORY_MIB: ("memory_used_bytes", "Memory in use.", 2**20),
    Measure.DISK_READ: ("disk_read_bytes_per_second", "Read from its disks.", 1),
    Measure.DISK_WRITE: ("disk_written_bytes_per_second", "Written to its disks.", 1),
    Measure.NET_RX: ("network_received_bytes_per_second", "Received by its network cards.", 1),
    Measure.NET_TX: ("network_sent_bytes_per_second", "Sent by its network cards.", 1),
    Measure.LOAD: ("load1", "Processes that run or wait to, over a minute.", 1),
}


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever shows the token, an administrator, and, where no token is set, this machine itself."""
    if not _may_read(request):
        return HttpResponse("Show the token of KVWEB_METRICS_TOKEN.\n", status=401, content_type="text/plain")
    folder = counting().folder
    requests, own = CollectorRegistry(), CollectorRegistry()
    MultiProcessCollector(requests, path=str(folder))  # type: ignore[no-untyped-call]
    own.register(_Portal())
    return HttpResponse(generate_latest(requests) + generate_latest(own), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    token = settings.KVWEB_METRICS_TOKEN
    if request.user.is_authenticated and allowed(request.user, "provider.view"):
        return True
    if token:
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(shown.encode(), token.encode())
    try:
        return ipaddress.ip_address(address_of(request) or "").is_loopback
    except ValueError:
        return False


class _Portal:
    """A collector as the library wants it: one object, asked once per scrape."""

    def collect(self) -> Iterator[Any]:
        yield from _jobs()
        yield from _queues()
        yield from _consoles()
        providers = list(Provider.objects.order_by("pk"))
        yield from _providers(providers)
        yield from _measured(providers)


def _gauge(name: str, words: str, labels: Iterable[str], rows: Iterable[tuple[Iterable[Any], float]]) -> Any:
    family = GaugeMetricFamily(name, words, labels=list(labels))
    for values, number in rows:
        family.add_metric([str(value) for value in values], number)
    return family


def _jobs() -> Iterator[Any]:
    active = Job.objects.filter(state__in=ACTIVE).order_by().values_list("kind", "state").annotate(n=Count("pk"))
    yield _gauge("kvweb_jobs_active", "Jobs that wait or run.", ("kind", "state"), (((k, s), n) for k, s, n in active))
    took = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    recent = (
        Job.objects.filter(ended_at__gte=timezone.now() - RECENT)
        .order_by()
        .values_list("kind", "state")
        .annotate(n=Count("pk"), mean=Avg(took), longest=Max(took))
    )
    ended = list(recent)
    yield _gauge(
        "kvweb_jobs_ended_last_hour", "Jobs that ended.", ("kind", "state"), (((k, s), n) for k, s, n, _, _ in ended)
    )
    timed = [(k, s, mean, longest) for k, s, _, mean, longest in ended if mean is not None]
    yield _gauge(
        "kvweb_job_mean_seconds_last_hour",
        "Time from start to end, on average.",
        ("kind", "state"),
        (((k, s), mean.total_seconds()) for k, s, mean, _ in timed),
    )
    yield _gauge(
        "kvweb_job_max_seconds_last_hour",
        "Time from start to end of the longest.",
        ("kind", "state"),
        (((k, s), longest.total_seconds()) for k, s, _, longest in timed),
    )


def _queues() -> Iterator[Any]:
    names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    depths: list[Any] = []
    try:
        pipe = redis_client().pipeline(transaction=False)
        for name in names:
            pipe.llen(name)
        depths = pipe.execute()
        answers = 1.0
    except redis.RedisError:
        answers = 0.0
    yield _gauge("kvweb_redis_up", "Whether Redis answers.", (), [((), answers)])
    rows = (((name,), depth) for name, depth in zip(names, depths, strict=False))
    yield _gauge("kvweb_queue_depth", "Messages that wait for a worker.", ("queue",), rows)


def _consoles() -> Iterator[Any]:
    open_now = (
        ConsoleGrant.objects.filter(redeemed_at__isnull=False, closed_at__isnull=True)
        .order_by()
        .values_list("kind")
        .annotate(n=Count("pk"))
    )
    yield _gauge("kvweb_console_sessions", "Consoles that are open.", ("kind",), (((k,), n) for k, n in open_now))


def _providers(providers: list[Provider]) -> Iterator[Any]:
    def of(name: str, words: str, value: Any) -> Any:
        told = ((each, value(each)) for each in providers)
        rows = (((each.name, each.kind), number) for each, number in told if number is not None)
        return _gauge(f"kvweb_provider_{name}", words, ("provider", "kind"), rows)

    now = timezone.now()
    yield of("up", "Whether it is enabled and answers.", lambda p: float(p.is_enabled and p.health == Health.OK))
    yield of("sync_seconds", "How long its latest sync took.", lambda p: _over(p.sync_ms, 1000))
    yield of("latency_seconds", "How long its quickest answer took.", lambda p: _over(p.latency_ms, 1000))
    yield of(
        "seen_age_seconds",
        "Time since its machines were last read.",
        lambda p: (now - p.seen_at).total_seconds() if p.seen_at else None,
    )
    names = {each.pk: (each.name, each.kind) for each in providers}
    counted = (
        VirtualMachine.objects.exclude(presence=Presence.DELETED)
        .order_by()
        .values_list("provider_id", "power")
        .annotate(n=Count("pk"))
    )
    yield _gauge(
        "kvweb_provider_machines",
        "Machines, by the state of their power.",
        ("provider", "kind", "power"),
        (((*names[pk], power), n) for pk, power, n in counted if pk in names),
    )


def _over(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _measured(providers: list[Provider]) -> Iterator[Any]:
    """What hosts and, if wanted, machines use, by the newest reading of each provider."""
    now = time.time()
    newest = {each: reader(each.uuid).newest(now=now) for each in providers}
    hosts: list[tuple[tuple[str, ...], Values]] = []
    machines: list[tuple[tuple[str, ...], Values]] = []
    for provider, found in newest.items():
        if found is None:
            continue
        places, values = found
        if HOST in places:
            hosts.append(((provider.name,), values[places[HOST]]))
        if settings.KVWEB_METRICS_PER_VM:
            rows = VirtualMachine.objects.filter(provider=provider, presence=Presence.PRESENT).values_list(
                "external_id", "uuid", "name", "project__name"
            )
            machines += [
                ((provider.name, str(uuid), name, project), values[places[key]])
                for key, uuid, name, project in rows
                if key in places
            ]
    yield from _gauges("kvweb_host_", ("provider",), hosts)
    if settings.KVWEB_METRICS_PER_VM:
        yield from _gauges("kvweb_vm_", ("provider", "uuid", "name", "project"), machines)


def _gauges(prefix: str, labels: tuple[str, ...], rows: list[tuple[tuple[str, ...], Values]]) -> Iterator[Any]:
    for measure, (name, words, factor) in _GAUGES.items():
        told = [(values, float(row[measure]) * factor) for values, row in rows if not np.isnan(row[measure])]
        if told:
            yield _gauge(prefix + name, words, labels, told)
