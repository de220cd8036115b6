"""What a new cloud starts with: the catalogue that every cloud has, and the demonstration content."""

from __future__ import annotations

from providers.base import FirewallRule, NetworkMode, NicSpec, PowerState
from providers.fake.addresses import plug
from providers.fake.config import FakeConfig
from providers.fake.moments import take
from providers.fake.state import (
    Disk,
    Firewall,
    Flavor,
    Image,
    Network,
    Nic,
    Pool,
    Subnet,
    Vm,
    Volume,
    Zone,
    ZoneEntry,
)
from providers.fake.store import Transaction

FLAVORS = (
    ("tiny", 1, 512, 5),
    ("small", 1, 2048, 20),
    ("medium", 2, 4096, 40),
    ("large", 4, 8192, 80),
    ("xlarge", 8, 16384, 160),
)
IMAGES = (
    # name, os, default user, GiB, MiB stored, is ISO
    ("debian-13", "debian13", "debian", 3.0, 330, False),
    ("ubuntu-24.04", "ubuntu24.04", "ubuntu", 3.5, 580, False),
    ("alpine-3.22", "alpine3.22", "alpine", 1.0, 62, False),
    ("rescue.iso", "", "", 0.25, 256, True),
)
#: name, image, flavor, network, power, description
DEMO_VMS = (
    ("web-1", "debian-13", "small", "default", PowerState.RUNNING, "Front page"),
    ("web-2", "debian-13", "small", "default", PowerState.RUNNING, "Front page, second"),
    ("db-1", "ubuntu-24.04", "large", "lab", PowerState.RUNNING, "Database of the shop"),
    ("build-7", "alpine-3.22", "xlarge", "lab", PowerState.PAUSED, "Build machine"),
    ("mail", "debian-13", "medium", "dmz", PowerState.STOPPED, "Being moved"),
    ("old-wiki", "ubuntu-24.04", "tiny", "default", PowerState.CRASHED, "To be looked at"),
)


def furnish(tx: Transaction, config: FakeConfig) -> None:
    """Fill a new cloud. Ids are counted from one, so two clouds with the same settings start equal."""
    for name in ("default", "fast"):
        tx.put(
            Pool(id=f"pool-{tx.next_number('pool')}", name=name, path=f"/fake/{name}", capacity_gib=config.storage_gib)
        )
    for name, vcpus, memory_mib, disk_gib in FLAVORS:
        tx.put(Flavor(id=f"flavor-{name}", name=name, vcpus=vcpus, memory_mib=memory_mib, disk_gib=disk_gib))
    for name, os, user, size_gib, stored_mib, is_iso in IMAGES:
        tx.put(
            Image(
                id=f"image-{tx.next_number('image')}",
                name=name,
                pool="pool-1",
                format="iso" if is_iso else "qcow2",
                size_gib=size_gib,
                stored_bytes=stored_mib * 1024**2,
                is_iso=is_iso,
                os=os,
                default_user=user,
                created_at=tx.now,
                content=f"{name}\n",
            )
        )
    add_network(tx, "default", "192.168.122.0/24", NetworkMode.NAT)
    for name in config.dns_zones:
        tx.put(Zone(id=name, name=name))
    if config.demo:
        demonstrate(tx)


def add_network(tx: Transaction, name: str, cidr: str, mode: NetworkMode) -> Network:
    number = tx.next_number("network")
    network = Network(id=f"net-{number}", name=name, mode=mode, cidr=cidr, bridge=f"fakebr{number}")
    tx.put(network)
    return network


def demonstrate(tx: Transaction) -> None:
    """A small team's cloud: six VMs in different states, three networks, a snapshot, a security group, a name."""
    lab = add_network(tx, "lab", "10.20.0.0/16", NetworkMode.ROUTE)
    add_network(tx, "dmz", "203.0.113.0/24", NetworkMode.ISOLATED)
    tx.put(Subnet(id=f"subnet-{tx.next_number('subnet')}", name="lab-a", network=lab.id, cidr="10.20.1.0/24", zone="a"))
    rules = [FirewallRule(from_port=80, to_port=80), FirewallRule(from_port=443, to_port=443)]
    tx.put(Firewall(id=f"fw-{tx.next_number('firewall')}", name="web", rules=rules))
    for name, image, flavor, network, power, description in DEMO_VMS:
        vm = _vm(tx, name, image=image, flavor=flavor, network=network, power=power)
        vm.description = description
        vm.metadata["plan"] = "shop" if network != "lab" else "lab"
        tx.put(vm)
        if name == "db-1":
            take(tx, vm, "before-upgrade", description="Made before the upgrade", memory=False)
            tx.put(vm)
    for zone in tx.all(Zone):
        zone.entries.append(ZoneEntry(name="www", type="A", ttl_s=300, data="192.168.122.10"))
        tx.put(zone)


def fill(tx: Transaction, count: int, prefix: str = "vm") -> None:
    """Add many ordinary running VMs at once, for page and budget measurements; looks at no limit."""
    network = tx.named(Network, "crowd") or add_network(tx, "crowd", "10.64.0.0/12", NetworkMode.NAT)
    image, flavor = tx.named(Image, "debian-13"), tx.named(Flavor, "tiny")
    if image is None or flavor is None:
        return
    for number in range(1, count + 1):
        vm = _bare_vm(
            tx, f"{prefix}-{number:05d}", image, flavor, PowerState.RUNNING if number % 4 else PowerState.STOPPED
        )
        offset = tx.next_number("crowd") + 255
        mac = f"52:54:01:{offset >> 16 & 0xFF:02x}:{offset >> 8 & 0xFF:02x}:{offset & 0xFF:02x}"
        address = f"10.{64 + (offset >> 16)}.{offset >> 8 & 0xFF}.{offset & 0xFF}"
        network.leases[mac] = address
        vm.nics.append(Nic(id="eth0", mac=mac, network=network.id, address=address))
        tx.put(vm)
    tx.put(network)


def _vm(tx: Transaction, name: str, *, image: str, flavor: str, network: str, power: PowerState) -> Vm:
    found_image, found_flavor, found_network = (
        tx.named(Image, image),
        tx.named(Flavor, flavor),
        tx.named(Network, network),
    )
    if found_image is None or found_flavor is None or found_network is None:
        raise LookupError(f"The demonstration content of {name} is not in the catalogue.")
    vm = _bare_vm(tx, name, found_image, found_flavor, power)
    vm.nics.append(plug(tx, NicSpec(network=found_network.id), set()))
    return vm


def _bare_vm(tx: Transaction, name: str, image: Image, flavor: Flavor, power: PowerState) -> Vm:
    vm = Vm(
        id=f"vm-{tx.next_number('vm')}",
        name=name,
        power=power,
        booted_at=tx.now - 3600,
        boots=1,
        runs=1,
        vcpus=flavor.vcpus,
        memory_mib=flavor.memory_mib,
        flavor=flavor.id,
        image=image.id,
        created_at=tx.now - 86400,
    )
    volume = Volume(
        id=f"vol-{tx.next_number('volume')}",
        name=f"{name}_0.qcow2",
        pool="pool-1",
        size_gib=flavor.disk_gib,
        allocation_gib=0.5,
        backing=image.id,
        content=image.content,
        owner=vm.id,
    )
    tx.put(volume)
    vm.disks.append(Disk(target="vda", volume=volume.id, boot=True))
    return vm
