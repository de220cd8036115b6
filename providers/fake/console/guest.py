"""What one line into a simulated guest shows: firmware, boot messages, a login and a little shell."""

from __future__ import annotations

import sqlite3

from providers.base import NotFound, PowerState
from providers.fake.console.keys import Keyboard
from providers.fake.console.shell import Shell
from providers.fake.state import Image, Vm
from providers.fake.store import Store

#: Shown one after the other while the VM starts.
BOOT = (
    "kvweb firmware 1.0",
    "Booting from the first disk ...",
    "[    0.000000] Linux version 6.12.0-sim (simulated) #1 SMP",
    "[    0.011000] Memory: {memory}M available",
    "[    0.024000] smp: Brought up 1 node, {vcpus} CPUs",
    "[    0.310000] virtio_net eth0: link is up",
    "[    0.420000] EXT4-fs (vda1): mounted filesystem",
    "[  OK  ] Reached target network.",
    "[  OK  ] Finished cloud-init: modules for config.",
    "[  OK  ] Reached target multi-user system.",
)
NO_GUEST = ("kvweb firmware 1.0", "Booting from the first disk ...", "No bootable device.")
AWAKE = (PowerState.RUNNING, PowerState.STARTING, PowerState.STOPPING, PowerState.PAUSED)


class Line:
    """One connection to a guest; text in, text out. Knows by looking at the cloud when its VM stops or boots again."""

    def __init__(
        self,
        store: Store,
        vm_id: str,
        run: int,
        *,
        start_s: float,
        stop_s: float,
        hears_keyboard: bool = False,
    ) -> None:
        """`hears_keyboard`: what was typed on the VM's own keyboard since its boot comes in here too."""
        self.store = store
        self.vm_id = vm_id
        self.run = run
        self.start_s = start_s
        self.stop_s = stop_s
        self.hears_keyboard = hears_keyboard
        self._heard = 0
        self._boot = -1
        self._shown = 0
        self._shell: Shell | None = None
        self._typed = ""

    def tick(self) -> str | None:
        """What has appeared since the last question; None when the VM does not run any more."""
        seen = self._look()
        if seen is None:
            return None
        vm, image, now = seen
        if vm.power is PowerState.PAUSED:
            return ""
        text = ""
        if vm.boots != self._boot:
            text = "" if self._boot < 0 else "\f"
            self._boot, self._shown, self._shell = vm.boots, 0, None
            self._heard = vm.typed_count - (len(vm.typed) if vm.typed_in_boot == vm.boots else 0)
        lines = BOOT if vm.has_guest else NO_GUEST
        due = self._due(len(lines), vm, now)
        for line in lines[self._shown : due]:
            text += line.format(memory=vm.memory_mib, vcpus=vm.vcpus) + "\n"
        self._shown = max(self._shown, due)
        if self._shell is None and vm.has_guest and now >= vm.booted_at and due == len(lines):
            self._shell = Shell(self.store, vm, image, self.stop_s)
            text += self._shell.greeting()
        if self.hears_keyboard:
            self._listen(vm)
        if self._shell is not None and self._typed:
            typed, self._typed = self._typed, ""
            text += self._shell.feed(typed)
        return text

    def type(self, text: str) -> None:
        """Keys for the guest; read at the next tick, and not before it is up."""
        if self._shell is not None:
            # A frozen guest collects what is typed, but not without end.
            self._typed = (self._typed + text)[-4096:]

    def interrupt(self) -> None:
        """Control, Alt and Delete together."""
        if self._shell is not None:
            self._shell.reboot()

    def _listen(self, vm: Vm) -> None:
        """Take what the keyboard typed since the last look; before the guest is up it is lost, as on a real one."""
        fresh = vm.typed[-(vm.typed_count - self._heard) :] if vm.typed_count > self._heard else []
        self._heard = vm.typed_count
        for text in fresh:
            if text == Keyboard.INTERRUPT:
                self.interrupt()
            else:
                self.type(text)

    def _due(self, count: int, vm: Vm, now: float) -> int:
        if now >= vm.booted_at or not self.start_s:
            return count
        passed = 1 - (vm.booted_at - now) / self.start_s
        return min(max(int(passed * count), 0), count)

    def _look(self) -> tuple[Vm, Image | None, float] | None:
        try:
            with self.store.reading() as tx:
                vm = tx.get(Vm, self.vm_id)
                vm.settle(tx.now)
                if vm.power not in AWAKE or vm.runs != self.run:
                    return None
                image = tx.get(Image, vm.image) if vm.image else None
                return vm, image, tx.now
        except (NotFound, sqlite3.Error):
            return None
