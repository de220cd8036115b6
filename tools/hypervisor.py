"""Makes the local libvirt ready for the portal: its `default` network and a place for disks; says each step.

Run as a program (`python -m tools.hypervisor`), since a daemon that hangs must not hang the supervisor with it:
one sentence a line on standard output; exit code 0 when libvirt answers, 3 when it does not, 4 without its binding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lxml import etree
from lxml.builder import E

URI = "qemu:///system"
POOL_FOLDER = Path("/var/lib/libvirt/images")
NETWORK_FILES = (Path("/etc/libvirt/qemu/networks/default.xml"), Path("/usr/share/libvirt/networks/default.xml"))

NO_ANSWER = 3
NO_BINDING = 4


def ready_network(connection: object) -> None:
    """The network `default` exists, is up, and comes up by itself next time."""
    import libvirt

    assert isinstance(connection, libvirt.virConnect)  # noqa: S101 - the binding is imported late, so the type is too
    try:
        network = connection.networkLookupByName("default")
    except libvirt.libvirtError:
        source = next((file for file in NETWORK_FILES if file.exists()), None)
        if source is None:
            print("has no network called default, and its package brought no example of one")
            return
        network = connection.networkDefineXML(source.read_text())
        print("network default: defined")
    if not network.isActive():
        network.create()
        print("network default: started")
    if not network.autostart():
        network.setAutostart(1)
        print("network default: will start by itself")


def ready_pool(connection: object) -> None:
    """There is a pool of files for disks; every pool that exists is left as its owner made it."""
    import libvirt

    assert isinstance(connection, libvirt.virConnect)  # noqa: S101 - as above
    pools = connection.listAllStoragePools()
    if not pools:
        document = E.pool(E.name("default"), E.target(E.path(str(POOL_FOLDER))), type="dir")
        pool = connection.storagePoolDefineXML(etree.tostring(document, encoding="unicode"), 0)
        pool.build(0)
        pool.setAutostart(1)
        pools = [pool]
        print(f"pool default: defined at {POOL_FOLDER}")
    for pool in pools:
        if pool.autostart() and not pool.isActive():
            pool.create(0)
            print(f"pool {pool.name()}: started")


def main() -> int:
    try:
        import libvirt
    except ImportError as exc:
        print(f"the libvirt binding is not installed ({exc})")
        return NO_BINDING
    # Otherwise the library prints every error itself, beside the sentence that is made of it here.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.open(URI)
    except libvirt.libvirtError as exc:
        print(exc.get_error_message())
        return NO_ANSWER
    steps: list[Callable[[object], None]] = [ready_network, ready_pool]
    for step in steps:
        try:
            step(connection)
        except libvirt.libvirtError as exc:
            print(f"{step.__name__.removeprefix('ready_')}: {exc.get_error_message()}")
    connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
