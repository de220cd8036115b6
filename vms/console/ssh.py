"""A machine whose console is reached through SSH: OpenSSH's client is our child, and its input and output the line.

Key and known hosts never touch a disk: they lie in memory of this process, and the child reads them there.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from providers.base import AuthenticationFailed, ProviderError, SshConsole, TimedOut, Unreachable, children

#: What the client says once it is signed in. It has no other way to tell before the machine speaks.
SIGNED_IN = b"Authenticated to "
MOST_SAID = 16 * 1024
#: Without an answer for so long the connection counts as broken.
ALIVE_S, MOST_UNANSWERED = 15, 3

#: What the client says at its end → our error, in the order in which it has to be looked for.
_REFUSALS: tuple[tuple[str, type[ProviderError], str], ...] = (
    ("HOST IDENTIFICATION HAS CHANGED", Unreachable, "The console's SSH host shows another key than the known one."),
    ("Host key verification failed", Unreachable, "The key of the console's SSH host is not a known one."),
    ("Permission denied", AuthenticationFailed, "The console's SSH host does not take the key."),
    ("Could not resolve", Unreachable, "The name of the console's SSH host cannot be resolved."),
)


def connected(target: SshConsole, within_s: float) -> socket.socket:
    """Sign in; blocks, not longer than that. The socket's other end is the console; closing it ends the client.

    Raises ProviderError.
    """
    deadline = time.monotonic() + within_s
    kept = _Kept(_key(target), target.known_hosts)
    theirs, ours = socket.socketpair()
    # Until then what it says is read here.
    is_decided = threading.Event()

    def look_after(client: subprocess.Popen[bytes]) -> None:
        is_decided.wait()
        _look_after(client, ours)

    try:
        client = children.start(
            command(target, kept, max(1, int(within_s))),
            name="ssh-console",
            look_after=look_after,
            stdin=ours.fileno(),
            stdout=ours.fileno(),
            stderr=subprocess.PIPE,
        )
    except OSError as exc:
        kept.close()
        theirs.close()
        ours.close()
        raise Unreachable("ssh could not be started.", str(exc)) from exc
    try:
        _wait_until_signed_in(client, deadline)
    except BaseException:
        client.kill()
        theirs.close()
        raise
    finally:
        kept.close()
        is_decided.set()
    return theirs


def command(target: SshConsole, kept: _Kept, within_s: int) -> list[str]:
    """The client's call. No file of this machine's user has a say in it, and nobody is asked anything."""
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": kept.known_hosts,
        "GlobalKnownHostsFile": "none",
        "UpdateHostKeys": "no",
        "IdentityFile": kept.key,
        "IdentitiesOnly": "yes",
        "PreferredAuthentications": "publickey",
        "ConnectTimeout": str(within_s),
        "ServerAliveInterval": str(ALIVE_S),
        "ServerAliveCountMax": str(MOST_UNANSWERED),
        "LogLevel": "VERBOSE",
        # A guest may print or be sent anything: nothing of it is a command to the client.
        "EscapeChar": "none",
        "ForwardAgent": "no",
        "RequestTTY": "no" if target.forward else "force",
    }
    words = ["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in settings.items())]
    words += ["-p", str(target.port), "-l", target.user]
    if target.forward:
        words += ["-W", target.forward]
    return [*words, "--", target.host]


def _key(target: SshConsole) -> str:
    """The private key for this connection; a fresh one is made known to the vendor first."""
    if target.authorise is None:
        return target.key
    made = Ed25519PrivateKey.generate()
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    target.authorise(public)
    return made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


class _Kept:
    """Key and known hosts as files in memory, which only this process and its child can open."""

    def __init__(self, key: str, known_hosts: str) -> None:
        self._descriptors = [_in_memory("key", key), _in_memory("known_hosts", known_hosts)]
        self.key, self.known_hosts = (f"/proc/{os.getpid()}/fd/{one}" for one in self._descriptors)

    def close(self) -> None:
        for one in self._descriptors:
            os.close(one)
        self._descriptors = []


def _in_memory(name: str, text: str) -> int:
    descriptor = os.memfd_create(name)
    # ssh refuses a key that others could read.
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, (text.replace("\r\n", "\n").strip() + "\n").encode())
    return descriptor


def _wait_until_signed_in(client: subprocess.Popen[bytes], deadline: float) -> None:
    said, number = b"", _fileno(client)
    while SIGNED_IN not in said:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([number], [], [], left)[0]:
            raise TimedOut("The console's SSH host did not let the portal in in time.", _words(said))
        step = os.read(number, 4096)
        if not step:
            raise _refusal(_words(said))
        said = (said + step)[-MOST_SAID:]


def _refusal(said: str) -> ProviderError:
    for words, error, reason in _REFUSALS:
        if words in said:
            return error(reason, said)
    return Unreachable("The console's SSH host does not answer.", said)


def _words(said: bytes) -> str:
    return said.decode(errors="replace").strip()


def _look_after(client: subprocess.Popen[bytes], line: socket.socket) -> None:
    """Until the client ends: read what it says, and end it when nobody holds the other end of its line any more.

    By itself it would stay: the end of its input is not the end of a session with a terminal.
    """
    said, waiting = _fileno(client), select.poll()
    waiting.register(said, select.POLLIN)
    waiting.register(line, 0)
    with line, contextlib.suppress(OSError):
        while True:
            found = dict(waiting.poll())
            if line.fileno() in found:
                client.terminate()
                waiting.unregister(line)
            if said in found and not os.read(said, 4096):
                break
    if client.stderr is not None:
        client.stderr.close()
    client.wait()


def _fileno(client: subprocess.Popen[bytes]) -> int:
    return client.stderr.fileno() if client.stderr is not None else -1


__all__ = ["command", "connected"]
