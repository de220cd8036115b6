"""Reaching a port on the loopback of a remote host through ssh, as libvirt itself reaches that host."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from urllib.parse import parse_qsl, urlsplit

from providers.base import Unreachable, children
from providers.kvm.config import KvmConfig
from providers.kvm.remote import Access


def command(config: KvmConfig, access: Access, host: str, port: int) -> list[str]:
    """The ssh call that carries one connection over its standard input and output. Never asks anybody anything."""
    parts = urlsplit(config.uri)
    parameters = dict(parse_qsl(parts.query))
    words = [*access.ssh, "-T", "-oBatchMode=yes", "-oConnectTimeout=5", "-oClearAllForwardings=yes"]
    if parts.port:
        words += ["-p", str(parts.port)]
    if parts.username:
        words += ["-l", parts.username]
    if parameters.get("keyfile"):
        words += ["-i", parameters["keyfile"]]
    return [*words, "-W", f"{host}:{port}", "--", config.host]


def connect(config: KvmConfig, access: Access, host: str, port: int) -> socket.socket:
    """A socket whose other end is the remote port; closing it ends ssh. Raises Unreachable when ssh cannot start."""
    theirs, ours = socket.socketpair()
    with ours:
        try:
            children.start(
                command(config, access, host, port),
                name="ssh-tunnel",
                # ssh ends when either side closes; somebody has to ask for its end, or it stays as a zombie.
                look_after=_reap,
                stdin=ours.fileno(),
                stdout=ours.fileno(),
                stderr=subprocess.DEVNULL,
            )
        except OSError as exc:
            theirs.close()
            raise Unreachable("ssh could not be started.", str(exc)) from exc
    return theirs


def _reap(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.wait()
