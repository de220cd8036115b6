"""The machine list: server time, queries and bytes of a page of 50 rows, signed in, filters on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tools.bench.django_home import django_here
from tools.bench.harness import bench, measure

if TYPE_CHECKING:
    from django.test import Client

PAGE = "/vms/?state=running&q=vm&sort=name"
GOALS = {100: "<= 25", 1000: "<= 25", 10_000: "<= 35"}


def _fill(count: int) -> Client:
    """Exactly `count` machines in the database, and a member's signed-in client."""
    from django.conf import settings
    from django.test import Client

    from kvweb.accounts.models import Membership, Project, User
    from providers.models import Health, Provider
    from providers.registry import plugin
    from vms.models import VirtualMachine

    settings.CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.ALLOWED_HOSTS = ["*"]
    project, _ = Project.objects.get_or_create(name="Bench")
    user, made = User.objects.get_or_create(username="bench")
    if made:
        Membership.objects.create(user=user, project=project, role="member")
    provider, _ = Provider.objects.get_or_create(
        name="Bench host",
        defaults={"kind": "kvm", "health": Health.OK, "capabilities": plugin("kvm").declares.to_json()},
    )
    VirtualMachine.objects.all().delete()
    VirtualMachine.objects.bulk_create((_machine(number, project, provider) for number in range(count)), batch_size=500)
    client = Client()
    client.force_login(user)
    return client


def _machine(number: int, project: Any, provider: Any) -> Any:
    from vms.models import VirtualMachine

    return VirtualMachine(
        project=project,
        provider=provider,
        name=f"vm-{number:05}",
        external_id=f"ext-{number}",
        presence="present",
        power="running" if number % 3 else "stopped",
        vcpus=2,
        memory_mib=2048,
        disk_gib=20,
        addresses=f"192.0.2.{number % 250}",
        nics=[{"external_id": "net0", "mac": "52:54:00:00:00:01", "addresses": [f"192.0.2.{number % 250}"]}],
    )


def _floor() -> Callable[[], None]:
    """The cheapest that any page could be: the same fifty rows as JSON."""
    from vms.models import VirtualMachine

    def rows() -> None:
        found = VirtualMachine.objects.filter(presence="present", power="running", name__icontains="vm")
        json.dumps(list(found.order_by("name").values("name", "power", "vcpus", "memory_mib", "addresses")[:50]))

    return rows


@bench
def list_page() -> None:
    django_here()
    for count, goal in GOALS.items():
        client = _fill(count)

        def page(client: Client = client) -> None:
            answer = client.get(PAGE)
            if answer.status_code != 200:
                raise RuntimeError(f"The list answered {answer.status_code}")

        measure(
            f"VM list of 50 rows at {count} VMs, server time",
            "ms",
            page,
            baseline=_floor(),
            baseline_name="the same rows as JSON",
            goal=goal,
            times=21,
        )
        _queries_and_bytes(client, count)


def _queries_and_bytes(client: Client, count: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries() -> float:
        with CaptureQueriesContext(connection) as captured:
            client.get(PAGE)
        return float(len(captured))

    def kibibytes() -> float:
        return len(gzip.compress(client.get(PAGE).content, 6)) / 1024

    measure(f"VM list at {count} VMs, queries", "queries", queries, goal="<= 8")
    measure(f"VM list at {count} VMs, on the wire", "KiB", kibibytes, goal="<= 60")
