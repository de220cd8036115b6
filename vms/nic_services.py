"""What can be done to a machine's network cards."""

from __future__ import annotations

import secrets

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from networking.models import Network
from providers.base import NicChange, NicSpec
from vms.models import VirtualMachine
from vms.services import start_job


def add_nic(
    vm: VirtualMachine,
    *,
    user: User,
    network: Network,
    model: str = "",
    mac: str = "",
    filter: str = "",  # noqa: A002 - the word of the contract
    isolated: bool = False,
    vlan: int | None = None,
) -> Job:
    """Plug a new card in. Its hardware address is drawn now where it can be: a job that runs twice adds one card."""
    spec = NicSpec(
        network=network.external_id,
        model=model,
        mac=mac or _drawn_mac(vm),
        filter=filter,
        isolated=isolated,
        vlan=vlan or None,
    )
    return start_job(
        vm,
        "vm.add_nic",
        verb=f"Add a card in {network.name} to",
        doing="Adding a network card",
        user=user,
        params={"spec": spec.model_dump(mode="json", exclude_defaults=True)},
    )


def _drawn_mac(vm: VirtualMachine) -> str:
    """By lot, of 16 million; empty where the provider gives them itself. A driver refuses one that is taken."""
    prefix = vm.can.nics.mac_prefix if vm.can.nics else ""
    return ":".join([prefix, *(f"{byte:02x}" for byte in secrets.token_bytes(3))]) if prefix else ""


def change_nic(vm: VirtualMachine, *, user: User, nic: str, change: NicChange) -> Job:
    """Change what `change` says of the card; it keeps its hardware address."""
    return start_job(
        vm,
        "vm.change_nic",
        verb=f"Change card {nic} of",
        doing="Changing a network card",
        user=user,
        params={"nic": nic, "change": change.model_dump(mode="json", exclude_none=True)},
    )


def remove_nic(vm: VirtualMachine, *, user: User, nic: str) -> Job:
    return start_job(
        vm,
        "vm.remove_nic",
        verb=f"Remove card {nic} from",
        doing="Removing a network card",
        user=user,
        params={"nic": nic},
    )


def give_address(vm: VirtualMachine, *, user: User, nic: str) -> Job:
    return start_job(
        vm,
        "vm.give_address",
        verb=f"Give card {nic} a public address at",
        doing="Giving a public address",
        user=user,
        params={"nic": nic},
    )


def take_address(vm: VirtualMachine, *, user: User, nic: str) -> Job:
    return start_job(
        vm,
        "vm.take_address",
        verb=f"Take the public address of card {nic} from",
        doing="Taking a public address away",
        user=user,
        params={"nic": nic},
    )
