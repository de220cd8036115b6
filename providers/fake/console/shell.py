"""The guest's login and shell. Its commands act on the simulated VM: poweroff really stops it.

Who gets in: a user of the first-boot data whose password fits the hash, the image's default user with the hash given
for it, and, in a guest to which no password was given at all, `demo` with the password `demo`, as the greeting says.
"""

from __future__ import annotations

from collections.abc import Callable

from providers.base import EventTopic, NotFound, PowerState
from providers.fake.console.passwords import fits
from providers.fake.state import Image, Network, Vm
from providers.fake.store import Store

DEMO = "demo"


class Shell:
    """Text in, what is printed out; remembers who has logged in."""

    def __init__(self, store: Store, vm: Vm, image: Image | None, stop_s: float) -> None:
        self.store = store
        self.vm = vm
        self.image = image
        self.stop_s = stop_s
        self.hashes = known_hashes(vm, image)
        self.user = ""
        self.is_in = False
        self._line = ""

    @property
    def hostname(self) -> str:
        return (self.vm.cloud_init.hostname if self.vm.cloud_init else "") or self.vm.name

    def greeting(self) -> str:
        os = self.image.os or self.image.name if self.image else "simulated"
        hint = "" if self.hashes else f"Log in as {DEMO} with the password {DEMO}.\n"
        return f"\n{os} {self.hostname}\n{hint}\n{self.prompt()}"

    def prompt(self) -> str:
        if self.is_in:
            return f"{self.user}@{self.hostname}:~$ "
        return "Password: " if self.user else f"{self.hostname} login: "

    def feed(self, text: str) -> str:
        """Type characters; Enter runs the line. A password is not echoed."""
        shown = ""
        is_secret = bool(self.user) and not self.is_in
        for character in text.replace("\r\n", "\n"):
            match character:
                case "\r" | "\n":
                    line, self._line = self._line, ""
                    shown += "\n" + self._enter(line) + self.prompt()
                    is_secret = bool(self.user) and not self.is_in
                case "\b" | "\x7f":
                    if self._line:
                        self._line = self._line[:-1]
                        shown += "" if is_secret else "\b \b"
                case "\x03":
                    self._line = ""
                    shown += "^C\n" + self.prompt()
                case "\x04":
                    if not self._line:
                        shown += "\n" + self._leave() + self.prompt()
                case _ if character.isprintable() and len(self._line) < 512:
                    self._line += character
                    shown += "" if is_secret else character
        return shown

    def _enter(self, line: str) -> str:
        if self.is_in:
            return self._run(line.split())
        if not self.user:
            self.user = line.strip()
            return ""
        if self._accepts(line):
            self.is_in = True
            return f"Welcome to {self.hostname}. Type help for what it knows.\n"
        self.user = ""
        return "Login incorrect\n\n"

    def _accepts(self, password: str) -> bool:
        if not self.hashes:
            return self.user == DEMO and password == DEMO
        stored = self.hashes.get(self.user)
        return stored is not None and fits(password, stored)

    def _leave(self) -> str:
        self.user, self.is_in = "", False
        return "logout\n\n"

    # -- commands ---------------------------------------------------------------------------------------------------

    def _run(self, words: list[str]) -> str:
        if not words:
            return ""
        command = self.commands.get(words[0])
        return command(words[1:]) if command else f"{words[0]}: command not found\n"

    @property
    def commands(self) -> dict[str, Callable[[list[str]], str]]:
        return {
            "clear": lambda words: "\f",
            "echo": lambda words: " ".join(words) + "\n",
            "exit": lambda words: self._leave(),
            "free": lambda words: f"Mem: {self.vm.memory_mib} MiB\n",
            "help": lambda words: " ".join(sorted(self.commands)) + "\n",
            "hostname": lambda words: f"{self.hostname}\n",
            "ip": lambda words: self._addresses(),
            "nproc": lambda words: f"{self.vm.vcpus}\n",
            "poweroff": lambda words: self.poweroff(),
            "reboot": lambda words: self.reboot(),
            "uname": lambda words: f"Linux {self.hostname} 6.12.0-sim\n" if "-a" in words else "Linux\n",
            "uptime": lambda words: f"up {max(int(self.store.clock() - self.vm.booted_at), 0)} seconds, 1 user\n",
            "whoami": lambda words: f"{self.user}\n",
        }

    def _addresses(self) -> str:
        with self.store.reading() as tx:
            vm = tx.get(Vm, self.vm.id)
            prefixes = {network.id: network.cidr.rpartition("/")[2] for network in tx.all(Network)}
        lines = ["1: lo: <LOOPBACK,UP>", "    inet 127.0.0.1/8"]
        for number, nic in enumerate(vm.nics, start=2):
            lines += [f"{number}: {nic.id}: <BROADCAST,UP>", f"    link/ether {nic.mac}"]
            if nic.address:
                lines.append(f"    inet {nic.address}/{prefixes.get(nic.network) or '32'}")
        return "\n".join(lines) + "\n"

    def poweroff(self) -> str:
        """Shut down from inside; takes as long as a stop asked from outside."""

        def change(vm: Vm, now: float) -> None:
            vm.power, vm.then, vm.ready_at = PowerState.STOPPING, PowerState.STOPPED, now + self.stop_s
            vm.settle(now)

        return self._change(change, "stopped", self.stop_s, "Powering off ...\n")

    def reboot(self) -> str:
        def change(vm: Vm, now: float) -> None:
            vm.boots += 1
            vm.booted_at = now

        return self._change(change, "restarted", 0.0, "Rebooting ...\n")

    def _change(self, change: Callable[[Vm, float], None], hint: str, after_s: float, said: str) -> str:
        with self.store.writing() as tx:
            try:
                vm = tx.get(Vm, self.vm.id)
            except NotFound:
                return ""
            vm.settle(tx.now)
            if vm.power is PowerState.RUNNING:
                change(vm, tx.now)
                tx.put(vm)
                tx.note(EventTopic.VM, vm.id, hint)
                if after_s:
                    tx.note(EventTopic.VM, vm.id, hint, due=tx.now + after_s)
        return said


def known_hashes(vm: Vm, image: Image | None) -> dict[str, str]:
    """User name → password hash, for everybody who was given one."""
    if vm.cloud_init is None:
        return {}
    hashes = {user.name: user.password_hash for user in vm.cloud_init.users if user.password_hash}
    if vm.cloud_init.default_user_password_hash:
        name = (image.default_user if image else "") or "root"
        hashes[name] = vm.cloud_init.default_user_password_hash
    return hashes
