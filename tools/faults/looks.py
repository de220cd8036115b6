"""What must hold whenever nothing runs: no file without an owner, no disk without its content, no row that lies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
from lxml import etree

from providers.kvm.xml.domain_reader import read_machine
from storage.models import Image
from tools.faults.room import IMAGE, Room, content_of
from vms.choices import Presence
from vms.models import VirtualMachine


def troubles(room: Room, *, kept: dict[str, set[str]]) -> list[str]:
    """Sentences about what is wrong; `kept` is VM → hashes, of which its first disk has one."""
    found: list[str] = []
    for name, daemon in room.daemons.items():
        connection = libvirt.open(daemon.uri)
        try:
            domains = {domain.name(): domain for domain in connection.listAllDomains()}
            owned: set[str] = set()
            for domain in domains.values():
                chain = list(_files(domain))
                owned |= {Path(path).name for path in chain}
                found += [f"{name}: {domain.name()} lost {path}" for path in chain if not Path(path).exists()]
                found += [f"{name}: {domain.name()}: {said}" for path in chain for said in _damage(domain, path)]
            found += _rows(room, name, set(domains))
            found += [
                f"{name}: {path.name} belongs to nobody"
                for path in sorted(daemon.images.iterdir())
                if path.name not in owned | _images(name)
            ]
            for vm, content in kept.items():
                disk = first_disk(domains[vm]) if vm in domains else ""
                if disk and content_of(disk) not in content:
                    found.append(f"{name}: {vm} lost its content")
        finally:
            connection.close()
    everywhere = [row.name for row in VirtualMachine.objects.exclude(presence=Presence.DELETED)]
    found += [f"{vm} is gone" for vm in kept if vm not in everywhere]
    return found


def _rows(room: Room, name: str, domains: set[str]) -> Iterator[str]:
    rows = VirtualMachine.objects.filter(provider=room.provider(name), presence=Presence.PRESENT)
    present = [row.name for row in rows]
    for vm in sorted(domains | set(present)):
        if present.count(vm) != (vm in domains):
            yield f"{name}: {vm} has {present.count(vm)} rows, and is{'' if vm in domains else ' not'} at libvirt"


def _images(name: str) -> set[str]:
    rows = Image.objects.filter(provider__name=name, missing_since=None).exclude(external_id="")
    return {IMAGE, *(Path(row.external_id).name for row in rows)}


def _document(domain: Any) -> Any:
    return etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).encode())


def first_disk(domain: Any) -> str:
    return str(_document(domain).find("devices/disk[@device='disk']/source").get("file"))


def _files(domain: Any) -> Iterator[str]:
    """All files of its drives with what those build on, and those that its note says are its own."""
    own = read_machine(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).note.volumes
    yield from (path for path in own if Path(path).exists())
    for source in _document(domain).xpath("devices/disk/source/@file"):
        yield str(source)
        if Path(source).exists():
            info = subprocess.run(
                ["qemu-img", "info", "-U", "--backing-chain", "--output=json", source], capture_output=True, check=False
            )
            if info.returncode == 0:
                yield from (str(layer["filename"]) for layer in json.loads(info.stdout))
            else:
                yield f"a layer of {source}: {info.stderr.decode().strip()}"


def _damage(domain: Any, path: str) -> Iterator[str]:
    """What qemu-img finds wrong in a file of a VM that is off."""
    if domain.isActive() or not path.endswith(".qcow2") or not Path(path).exists():
        return
    check = subprocess.run(["qemu-img", "check", "-q", path], capture_output=True, text=True, check=False)
    # 3 is leaked clusters: room that nobody uses, and no loss.
    if check.returncode not in {0, 3}:
        yield f"{path}: {check.stdout}{check.stderr}".strip()
