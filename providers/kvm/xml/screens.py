"""How a VM's screen is reached, in its document: VNC for the browser, SPICE for a viewer, and a channel for clipboards.

SPICE has a password that was never good: whoever may open the screen is given another one, for a minute.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from providers.base import InvalidRequest
from providers.kvm.xml.build import Element, add
from providers.kvm.xml.edit import child, drop, drop_all

#: The name under which the agent in the guest (spice-vdagent) looks for its channel, whoever is at the other end.
CLIPBOARD_CHANNEL = "com.redhat.spice.0"
#: SPICE takes at most 60 characters.
_PASSWORD_BYTES = 30
#: UTC; any moment in the past.
LONG_AGO = "1970-01-02T00:00:00"
_WORDS = {frozenset({"vnc"}): "vnc", frozenset({"vnc", "spice"}): "both", frozenset({"spice"}): "spice"}


def read_screens(root: Element) -> dict[str, Any]:
    there = frozenset(each.get("type") or "" for each in root.iterfind("devices/graphics")) & {"vnc", "spice"}
    found: dict[str, Any] = {"clipboard": _clipboard(root) is not None}
    return found | ({"graphics": _WORDS[there]} if there else {})


def write_screens(root: Element, wanted: Mapping[str, Any], *, listen: str, spice_listen: str) -> None:
    """Change what is named. `listen` and `spice_listen` are for a screen that is new."""
    devices, has_agent = child(root, "devices"), _clipboard(root) is not None
    if "graphics" in wanted:
        if devices.find("video") is None:
            raise InvalidRequest("A machine without a screen has no protocol for it.", field="options.graphics")
        _keep_only(devices, wanted["graphics"], listen, spice_listen)
    if "graphics" in wanted or "clipboard" in wanted:
        _connect_agent(devices, is_wanted=bool(wanted.get("clipboard", has_agent)))


def add_vnc(devices: Element, listen: str) -> None:
    if listen == "none":
        graphics = add(devices, "graphics", type_="vnc")
        add(graphics, "listen", type_="none")
    else:
        graphics = add(devices, "graphics", type_="vnc", autoport=True)
        add(graphics, "listen", type_="address", address=listen)


def new_password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def drop_spice(devices: Element) -> None:
    """The screen, and what libvirt refuses without it."""
    drop_all(devices, "graphics[@type='spice']")
    drop_all(devices, "audio[@type='spice']")
    for tag in ("channel", "redirdev", "smartcard"):
        drop_all(devices, f"{tag}[@type='spicevmc']")


def _keep_only(devices: Element, protocol: str, listen: str, spice_listen: str) -> None:
    has_vnc, has_spice = (devices.find(f"graphics[@type='{one}']") is not None for one in ("vnc", "spice"))
    if protocol == "spice":
        drop_all(devices, "graphics[@type='vnc']")
    elif not has_vnc:
        add_vnc(devices, listen)
    if protocol == "vnc":
        drop_spice(devices)
    elif not has_spice:
        graphics = add(devices, "graphics", type_="spice", autoport=True, passwd=new_password(), passwdValidTo=LONG_AGO)
        add(graphics, "listen", type_="address", address=spice_listen or "127.0.0.1")


def _connect_agent(devices: Element, *, is_wanted: bool) -> None:
    """SPICE brings its own other end; for VNC it is QEMU. There can be one channel of this name only."""
    drop(_clipboard(devices.getparent()))
    if not is_wanted:
        return
    if devices.find("graphics[@type='spice']") is not None:
        channel = add(devices, "channel", type_="spicevmc")
    else:
        channel = add(devices, "channel", type_="qemu-vdagent")
        add(add(channel, "source"), "clipboard", copypaste=True)
    add(channel, "target", type_="virtio", name=CLIPBOARD_CHANNEL)


def _clipboard(root: Element | None) -> Element | None:
    target = root.find(f"devices/channel/target[@name='{CLIPBOARD_CHANNEL}']") if root is not None else None
    return target.getparent() if target is not None else None
