"""Instance types: the catalogue of those that are offered, and single ones by their names.

Types never change, so what a process has read once it does not read again. All of them at once are more than a thousand
and take seconds: nobody asks for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from providers.aws.cloud import Cloud
from providers.aws.tags import filters
from providers.base import FlavorRecord, NotFound

CATALOGUE = "types"
CATALOGUE_S = 24 * 3600.0
#: How many values one filter takes.
MOST_NAMES = 200


@dataclass(frozen=True, slots=True)
class InstanceType:
    name: str
    vcpus: int
    memory_mib: int
    architectures: frozenset[str]
    #: AWS's serial console is a thing of its newer hypervisor, and of machines without any.
    has_serial_line: bool = True

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> InstanceType:
        return cls(
            name=told["InstanceType"],
            vcpus=int(told.get("VCpuInfo", {}).get("DefaultVCpus") or 1),
            memory_mib=int(told.get("MemoryInfo", {}).get("SizeInMiB") or 0),
            architectures=frozenset(told.get("ProcessorInfo", {}).get("SupportedArchitectures") or ()),
            has_serial_line=told.get("Hypervisor") == "nitro" or bool(told.get("BareMetal")),
        )

    @property
    def record(self) -> FlavorRecord:
        return FlavorRecord(external_id=self.name, name=self.name, vcpus=self.vcpus, memory_mib=self.memory_mib)


def known(cloud: Cloud, names: Iterable[str]) -> Mapping[str, InstanceType]:
    """These types, in one call for up to two hundred that were not read before; unknown names are left out."""
    missing = sorted({name for name in names if name} - cloud.types.keys())
    for first in range(0, len(missing), MOST_NAMES):
        _read(cloud, filters(instance_type=missing[first : first + MOST_NAMES]))
    return cloud.types


def named(cloud: Cloud, name: str) -> InstanceType:
    """One type; raises NotFound for a name that AWS does not have in this region."""
    found: InstanceType | None = known(cloud, [name]).get(name)
    if found is None:
        raise NotFound(f"There is no size “{name}” in {cloud.config.region}.", field="flavor")
    return found


def offered(cloud: Cloud) -> list[InstanceType]:
    """The types whose names fit the configured patterns, smallest first; read once a day."""
    names: list[str] | None = cloud.remembered(CATALOGUE)
    if names is None:
        patterns = list(cloud.config.instance_types)
        names = _read(cloud, [{"Name": "instance-type", "Values": patterns}]) if patterns else []
        cloud.remember(CATALOGUE, names, CATALOGUE_S)
    found = [cloud.types[name] for name in names]
    return sorted(found, key=lambda one: (one.memory_mib, one.vcpus, one.name))


def fitting(cloud: Cloud, vcpus: int, memory_mib: int, architecture: str) -> InstanceType:
    """The smallest offered type with at least this; raises NotFound when there is none."""
    for one in offered(cloud):
        if one.vcpus >= vcpus and one.memory_mib >= memory_mib and architecture in one.architectures:
            return one
    raise NotFound(f"No offered size has {vcpus} vCPUs and {memory_mib} MiB for {architecture}.", field="flavor")


def _read(cloud: Cloud, wanted: list[dict[str, Any]]) -> list[str]:
    told = cloud.pages("ec2", "describe_instance_types", "InstanceTypes", Filters=wanted)
    for one in told:
        cloud.types[one["InstanceType"]] = InstanceType.read(one)
    return [one["InstanceType"] for one in told]
