"""Networks made, changed and deleted. A session daemon may not make them, so these are at the machine's own libvirt."""

from __future__ import annotations

import os

import libvirt
from lxml import etree

from kvweb.jobs.models import Job
from networking import services
from networking.models import Network
from providers import services as providers
from providers.base import NetworkMode, NetworkSpec
from providers.models import Provider
from providers.registry import plugin
from tools.faults.room import Room
from tools.faults.work import Operation

URI = "qemu:///system"
HERE = "Here"
NAME = f"kvweb-test-faults-{os.getpid()}"
SPEC = NetworkSpec(name=NAME, mode=NetworkMode.ISOLATED, cidr=f"10.214.{os.getpid() % 250}.0/24", domain="old.example")
NEW_DOMAIN = "new.example"


class NetworkCreate(Operation):
    name = "make a network"
    needs_source = False

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        if not Provider.objects.filter(name=HERE).exists():
            config = plugin("kvm").config.read({"uri": URI, "virt_type": "qemu"})
            providers.add(kind="kvm", name=HERE, config=config)
            room.run_all()

    @property
    def rows(self) -> list[Network]:
        return list(Network.objects.filter(name=NAME, provider__name=HERE))

    def begin(self) -> Job:
        waiting = next((row for row in self.rows if not row.external_id), None)
        provider = self.room.provider(HERE)
        return services.create(provider=provider, spec=SPEC, user=self.room.user, retry_of=waiting)[1]

    def made(self) -> None:
        self.room.done(NetworkCreate.begin(self))

    def seen(self) -> tuple[bool, bool, str] | None:
        """(is it on?, does it start with the host?, its domain) as libvirt says; None when it is not there."""
        connection = libvirt.open(URI)
        try:
            found = next((one for one in connection.listAllNetworks() if one.name() == NAME), None)
            if found is None:
                return None
            domain = etree.fromstring(found.XMLDesc().encode()).find("domain")
            return bool(found.isActive()), bool(found.autostart()), "" if domain is None else domain.get("name") or ""
        finally:
            connection.close()

    def is_done(self) -> bool:
        return self.seen() == (True, True, SPEC.domain) and [bool(row.external_id) for row in self.rows] == [True]

    def take_back(self) -> None:
        for row in self.rows:
            if row.external_id and not row.is_missing:
                self.room.done(services.delete(row, user=self.room.user))
            else:
                Network.objects.filter(pk=row.pk).delete()

    def troubles(self) -> list[str]:
        """Rows and libvirt say the same of it, and there is one of it or none."""
        seen, rows = self.seen(), [row for row in self.rows if not row.is_missing]
        listed = [row for row in rows if row.external_id]
        found = []
        if len(rows) > 1 or (seen is not None and not listed):
            found.append(f"the network is at libvirt: {seen is not None}, and has {len(rows)} rows")
        if listed and seen is None:
            found.append("the network is gone, and its row says that it is there")
        if listed and seen is not None and (listed[0].is_active, listed[0].autostart, listed[0].domain) != seen:
            row = listed[0]
            found.append(f"libvirt says {seen}, the row {row.is_active, row.autostart, row.domain}")
        return found

    def clear_away(self) -> None:
        connection = libvirt.open(URI)
        try:
            for one in connection.listAllNetworks():
                if one.name() == NAME:
                    if one.isActive():
                        one.destroy()
                    one.undefine()
        finally:
            connection.close()


class NetworkChange(NetworkCreate):
    name = "change a network that has to be restarted for it"

    def prepare(self) -> None:
        self.made()

    def begin(self) -> Job:
        return services.change(self.rows[0], changes={"domain": NEW_DOMAIN}, user=self.room.user)

    def is_done(self) -> bool:
        return self.seen() == (True, True, NEW_DOMAIN)


class NetworkDelete(NetworkCreate):
    name = "delete a network"

    def prepare(self) -> None:
        self.made()

    def begin(self) -> Job:
        return services.delete(self.rows[0], user=self.room.user)

    def is_done(self) -> bool:
        return self.seen() is None
