"""Steps: long work says how far it is, stops when asked, and leaves nothing when it fails."""

from __future__ import annotations

from providers.base import Cancelled, ProviderError
from providers.testing.checks import Recorder
from providers.testing.lab import Lab, present
from providers.testing.promises import promise


@promise()
def creating_tells_how_far_it_is(lab: Lab) -> None:
    recorder = Recorder()
    vm = lab.driver.machines.create(lab.harness.vm_spec(lab.name()), recorder)
    lab.undo(lambda: lab.delete_vm(vm.external_id))
    assert recorder.percents == sorted(recorder.percents), "The percentage went down."
    assert all(0 <= percent <= 100 for percent in recorder.percents)
    assert all(sentence.strip() for sentence in recorder.sentences)
    assert len(recorder.percents) >= 2, "A person waiting sees no steps."


@promise()
def a_cancelled_creation_leaves_nothing(lab: Lab) -> None:
    recorder = Recorder()
    vm = lab.driver.machines.create(lab.harness.vm_spec(lab.name("whole")), recorder)
    lab.delete_vm(vm.external_id)
    assert recorder.checkpoints, "It cannot be cancelled: no checkpoint is ever asked."
    for stop_at in sorted({1, (recorder.checkpoints + 1) // 2, recorder.checkpoints}):
        try:
            lab.driver.machines.create(lab.harness.vm_spec(lab.name("half")), Recorder(stop_at))
        except Cancelled:
            remains = lab.leftovers()
            assert not remains, f"Cancelled at checkpoint {stop_at}: {remains}"
            continue
        raise AssertionError(f"Cancelled at checkpoint {stop_at}, but it went on.")


@promise(given=lambda harness: harness.create_fault)
def a_failed_creation_leaves_nothing(lab: Lab) -> None:
    with present(lab.harness.create_fault)():
        try:
            lab.driver.machines.create(lab.harness.vm_spec(lab.name()))
        except ProviderError:
            pass
        else:
            raise AssertionError("The fault did not happen.")
    remains = lab.leftovers()
    assert not remains, remains


@promise(when=lambda can: can.power and can.snapshots and can.disks)
def a_whole_life_leaves_nothing(lab: Lab) -> None:
    vm = lab.vm()
    present(lab.driver.disks).attach(vm.external_id, lab.harness.disk_spec())
    present(lab.driver.snapshots).create(vm.external_id, "once")
    present(lab.driver.power).start(vm.external_id)
    lab.delete_vm(vm.external_id)
    remains = lab.leftovers()
    assert not remains, remains
