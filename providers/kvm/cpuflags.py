"""Whether the hypervisor knows a CPU flag by its name: libvirt takes any into a document and fails at the start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from providers.base import InvalidRequest
from providers.kvm.errors import has_code
from providers.kvm.hostfacts import HostFacts
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.build import add, node, write


def check_flags(raw: Any, facts: HostFacts, flags: Iterable[str]) -> None:
    """Raise InvalidRequest that names the first unknown one; where the host cannot compare, nothing is refused."""
    if not facts.cpu_models:
        return
    for flag in flags:
        name = flag.lstrip("+-")
        cpu = node("cpu", match="exact")
        add(cpu, "model", facts.cpu_models[0])
        add(cpu, "feature", policy="require", name=name)
        try:
            raw.compareHypervisorCPU(facts.emulator or None, facts.arch, None, facts.virt_type, write(cpu), 0)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
                sentence = f"The hypervisor knows no CPU flag “{name}”."
                raise InvalidRequest(sentence, str(exc), field="options.cpu_flags") from exc
            if not has_code(exc, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_OPERATION_UNSUPPORTED):
                raise
