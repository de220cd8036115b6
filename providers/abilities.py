"""What a provider can do, in plain words: one table from facets and their features to sentences, for pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from providers.base import Capabilities
from providers.base.capabilities import Features

#: Values of features as people write them; what is not here is shown as the provider calls it.
VALUES: dict[str, str] = {
    "bios": "BIOS", "uefi": "UEFI",
    "vnc": "the screen", "spice": "the screen in a SPICE viewer", "serial": "the serial line",
    "sata": "SATA", "scsi": "SCSI", "ide": "IDE", "nvme": "NVMe",
    "dir": "folders", "fs": "disks", "netfs": "network shares", "logical": "LVM", "iscsi": "iSCSI", "rbd": "Ceph",
    "zfs": "ZFS", "zone": "one for each zone",
    "iso": "ISO", "ova": "OVA", "vmdk": "VMDK", "vhd": "VHD", "ami": "AMI",
    "nat": "NAT", "route": "routed", "provider": "the provider's own kind",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: its beginning, and the words of each feature that holds. Without any it is not said.

    A feature with several values says them, a number stands where its words have {}.
    """

    begins: str = ""
    features: Mapping[str, str] = field(default_factory=dict)
    always: tuple[str, ...] = ()

    def said_of(self, features: Features) -> str:
        parts = list(self.always)
        for name, words in self.features.items():
            value = getattr(features, name)
            if isinstance(value, frozenset | dict):
                named = value.values() if isinstance(value, dict) else value
                parts += sorted(words.format(VALUES.get(str(one), str(one))) for one in named)
            elif value:
                parts.append(words.format(value))
        told = f"{self.begins} {_joined(parts)}".strip() if parts else ""
        return f"{told[:1].upper()}{told[1:]}." if told else ""


@dataclass(frozen=True, slots=True)
class Ability:
    """One facet: what people call it, its icon, and what is said of it."""

    label: str
    icon: str
    sentences: tuple[Sentence, ...]

    def details(self, features: Features) -> str:
        return " ".join(filter(None, (sentence.said_of(features) for sentence in self.sentences)))


def _joined(parts: list[str]) -> str:
    """ "one, two and three"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


#: Facet → what is said of it, in the order in which people ask.
ABILITIES: dict[str, Ability] = {
    "machines": Ability("Machines", "device-desktop", (
        Sentence("Created", {"create_from_image": "from images", "create_from_iso": "from ISOs",
                             "create_empty": "with empty disks"}),
        Sentence("With", {"own_size": "any number of CPUs and any memory", "several_disks": "several disks",
                          "several_nics": "several network cards", "description": "a description",
                          "cloud_init": "users and commands for the first boot"}),
        Sentence("Disks can", {"full_copy": "be full copies of their image",
                               "keep_disks": "stay when their machine is deleted"}),
        Sentence("Firmware:", {"firmwares": "{}"}),
        Sentence("Zones:", {"zones": "{}"}),
        Sentence("", {"guest": "the system inside tells of itself where its agent runs"}),
    )),
    "power": Ability("Power", "power", (
        Sentence("", {"soft_stop": "shut down", "pause": "pause", "reset": "reset"},
                 always=("start", "restart", "force off")),
    )),
    "consoles": Ability("Consoles", "terminal-2", (
        Sentence("Open", {"kinds": "{}"}),
        Sentence("", {"send_keys": "keys pressed from a menu", "screenshot": "small pictures of the screen",
                      "output": "what the serial line said while nobody listened"}),
    )),
    "snapshots": Ability("Snapshots", "camera", (
        Sentence("", always=("keep a machine as it is and go back to it later",)),
        Sentence("Also", {"while_running": "while it runs", "memory": "with its memory",
                          "external": "as layers over its disks", "tree": "with several branches"}),
    )),
    "clones": Ability("Clones", "copy", (
        Sentence("", {"full": "full copies", "linked": "quick copies that share what has not changed",
                      "export": "images made of machines", "template": "machines turned into templates and back"}),
    )),
    "migration": Ability("Moves", "arrow-right", (
        Sentence("To another provider", {"live": "while the machine runs", "offline": "while it is off",
                                         "copy_storage": "with its disks"}),
    )),
    "reshape": Ability("Changes", "adjustments", (
        Sentence("Change", {"vcpus": "CPUs", "memory": "memory", "flavor": "the size", "rename": "the name",
                            "description": "the description", "metadata": "metadata",
                            "autostart": "whether it starts with its host", "options": "further settings"}),
        Sentence("While it runs:", {"hot_vcpus": "more CPUs", "hot_memory": "more or less memory"}),
        Sentence("", {"remove_cloud_init": "what was set for the first boot can be removed"}),
    )),
    "disks": Ability("Disks", "database", (
        Sentence("", {"grow": "grow them", "move": "move them to other pools", "existing": "use volumes that exist",
                      "shared": "share them between machines", "iso": "change the CD"}, always=("attach", "detach")),
        Sentence("", {"hot_plug": "also while the machine runs"}),
        Sentence("", {"least_gib": "the smallest has {} GiB"}),
        Sentence("Connected by", {"buses": "{}"}),
    )),
    "nics": Ability("Network cards", "plug", (
        Sentence("", {"change_network": "move them to other networks", "change_model": "change their model",
                      "link": "unplug the cable"}, always=("add", "remove")),
        Sentence("", {"hot_plug": "also while the machine runs"}),
        Sentence("With", {"mac": "a MAC address of your choice", "vlan": "a VLAN", "public_address": "a public address",
                          "isolation": "no way to its neighbours"}),
        Sentence("Traffic filters:", {"filters": "{}"}),
        Sentence("Models:", {"models": "{}"}),
    )),
    "images": Ability("Images", "photo", (
        Sentence("Added", {"add_from_url": "from addresses", "add_from_file": "from files of the portal's server",
                           "upload": "from the browser"}),
        Sentence("", {"download": "download them", "delete": "delete them", "isos": "start machines from ISOs"}),
        Sentence("Formats:", {"formats": "{}"}),
    )),
    "pools": Ability("Pools", "stack-2", (
        Sentence("", {"create": "make and remove them", "update": "switch them on and off"},
                 always=("see what is free",)),
        Sentence("Kinds:", {"types": "{}"}),
    )),
    "volumes": Ability("Volumes", "box", (
        Sentence("", {"create": "create", "grow": "grow", "clone": "copy", "upload": "upload", "download": "download"},
                 always=("see", "delete")),
        Sentence("", {"thick": "a volume can take its whole room at once"}),
        Sentence("Formats:", {"formats": "{}"}),
    )),
    "networks": Ability("Networks", "network", (
        Sentence("", {"create": "make and remove them", "update": "change them",
                      "activate": "switch them on and off"}, always=("connect machines",)),
        Sentence("With", {"dhcp_range": "a range of addresses to give out",
                          "static_leases": "addresses kept for machines", "dns_hosts": "names of their own",
                          "ipv6": "IPv6", "vlan": "a VLAN", "mtu": "a packet size",
                          "forward_device": "a chosen way out of the host"}),
        Sentence("", {"leases": "which addresses were given out is shown"}),
        Sentence("Kinds:", {"modes": "{}"}),
    )),
    "subnets": Ability("Subnets", "route", (
        Sentence("", {"create": "divide networks into ranges"}),
        Sentence("", {"own_range": "each brings its own range"}),
    )),
    "flavors": Ability("Sizes", "layout-grid", (Sentence("", always=("a list of sizes that machines may have",)),)),
    "firewalls": Ability("Firewalls", "shield", (
        Sentence("", always=("rules for what may come in",)),
        Sentence("", {"attach": "machines are given them and lose them again"}),
    )),
    "load_balancers": Ability("Load balancers", "arrows-split-2", (
        Sentence("", always=("one address in front of several machines",)),
    )),
    "dns": Ability("DNS", "world", (
        Sentence("", {"zones": "zones of their own"}, always=("names for machines",)),
        Sentence("Records:", {"types": "{}"}),
    )),
    "buckets": Ability("Buckets", "bucket", (
        Sentence("", always=("places for files of any size",)),
        Sentence("", {"public": "they can be opened to everybody"}),
    )),
    "host": Ability("Host", "server", (
        Sentence("", always=("what it has and how much of it is promised",)),
        Sentence("", {"overcommit": "machines may have more CPUs together than it has"}),
    )),
    "metrics": Ability("Graphs", "chart-line", (
        Sentence("CPU, memory, disks and network", {"vms": "of machines", "host": "of the host"}),
        Sentence("", {"memory_used": "memory as the system inside sees it, where it tells"}),
    )),
    "events": Ability("News", "activity", (
        Sentence("", always=("changes made elsewhere are seen at once",)),
        Sentence("", {"restarts": "restarts of the system inside, too"}),
    )),
}  # fmt: skip

#: Features that pages do not tell here: forms list the values where they can be chosen.
UNTOLD: dict[str, frozenset[str]] = {
    "machines": frozenset({"option_choices", "option_refusals"}),
    "disks": frozenset({"caches"}),
    "nics": frozenset({"mac_prefix"}),
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One facet in words."""

    name: str
    label: str
    icon: str
    details: str = ""
    #: The kind can do it, but this provider cannot, as its last check found.
    is_absent: bool = False


def chips(found: Capabilities, declared: Capabilities | None = None) -> list[Chip]:
    """What it can do; with `declared`, also what its kind could and it cannot."""
    listed = []
    for name, ability in ABILITIES.items():
        features: Features | None = getattr(found, name)
        if features is not None:
            listed.append(Chip(name, ability.label, ability.icon, ability.details(features)))
        elif declared is not None and getattr(declared, name) is not None:
            listed.append(Chip(name, ability.label, ability.icon, is_absent=True))
    return listed
