"""Budget: a list costs pages and not VMs, and an operation costs the recorded number of vendor calls."""

from __future__ import annotations

from collections.abc import Callable

from providers.testing.lab import Lab, present
from providers.testing.promises import promise


def cost(lab: Lab, operation: Callable[[], object]) -> int:
    """Vendor calls that an operation makes."""
    calls = present(lab.harness.calls)
    before = calls(lab.driver)
    operation()
    return calls(lab.driver) - before


@promise(given=lambda harness: harness.calls)
def a_list_costs_the_same_for_one_vm_and_for_many(lab: Lab) -> None:
    lab.vm("first")
    one = cost(lab, lab.driver.machines.list)
    for number in range(lab.harness.many):
        lab.vm(f"more{number}")
    many = cost(lab, lab.driver.machines.list)
    # One more page is fine; a call for each VM is not.
    assert many <= one + lab.harness.many // 50, f"{one} calls for one VM, {many} with {lab.harness.many} more"


@promise(when=lambda can: can.power, given=lambda harness: harness.calls and harness.budgets)
def operations_keep_their_budget(lab: Lab) -> None:
    budgets, power, machines = lab.harness.budgets, present(lab.driver.power), lab.driver.machines
    spent: dict[str, int] = {}
    spent["create"] = cost(lab, lambda: machines.create(lab.harness.vm_spec(lab.name())))
    vm = machines.find(lab.name())
    spent["list"] = cost(lab, machines.list)
    spent["get"] = cost(lab, lambda: machines.get(vm.external_id))
    spent["start"] = cost(lab, lambda: power.start(vm.external_id))
    lab.running(vm)
    spent["stop"] = cost(lab, lambda: power.stop(vm.external_id, force=True))
    if lab.driver.snapshots is not None:
        snapshots = lab.driver.snapshots
        spent["snapshot"] = cost(lab, lambda: snapshots.create(vm.external_id, "budget"))
        snapshots.delete(vm.external_id, "budget")
    spent["delete"] = cost(lab, lambda: machines.delete(vm.external_id))
    over = {name: calls for name, calls in spent.items() if name in budgets and calls > budgets[name]}
    assert not over, f"more calls than recorded: {over}, recorded: {dict(budgets)}"
