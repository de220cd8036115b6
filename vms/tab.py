"""What a tab of a machine's page is; the list of them is `vms/tabs.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kvweb.accounts.models import User
from vms.models import VirtualMachine


def _nothing(vm: VirtualMachine, user: User) -> Mapping[str, Any]:
    del vm, user
    return {}


def _uncounted(vm: VirtualMachine) -> int | None:
    del vm
    return None


def _always(vm: VirtualMachine) -> bool:
    del vm
    return True


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One part of the page: its address is `/vms/<uuid>/<name>`, its template `vms/_<name>.html`."""

    name: str
    label: str
    #: What the template needs besides `vm` and `tab`; asked for at each reading, so it must cost few queries.
    context: Callable[[VirtualMachine, User], Mapping[str, Any]] = _nothing
    #: The small number beside the label; None where there is nothing to count.
    count: Callable[[VirtualMachine], int | None] = _uncounted
    #: A tab that says nothing about this machine is not listed; its address still answers.
    is_listed: Callable[[VirtualMachine], bool] = _always
    #: More objects whose news renew the part, as in `data-live`: "metrics:<uuid>".
    live: Callable[[VirtualMachine], str] = lambda vm: ""

    @property
    def template(self) -> str:
        return f"vms/_{self.name}.html"
