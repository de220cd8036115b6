"""The file by which a viewer on the person's own computer opens a screen: remote-viewer's, also read by others.

Its keys are those of virt-viewer's manual, remote-viewer(1), section "CONNECTION FILE". It is a GLib key file.
"""

from __future__ import annotations

import configparser
import io

from providers.base import ViewerConsole

_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def text_of(target: ViewerConsole) -> str:
    """The whole file. Whoever has it can open the screen until its password has expired."""
    values: dict[str, str | int] = {"type": target.protocol, "host": target.host}
    if target.port:
        values["port"] = target.port
    if target.tls_port:
        values["tls-port"] = target.tls_port
    values |= {
        "password": target.password,
        "title": target.title or target.host,
        # The viewer removes it as soon as it has read it.
        "delete-this-file": 1,
        "release-cursor": "shift+f12",
        "toggle-fullscreen": "shift+f11",
        "secure-attention": "ctrl+alt+end",
    }
    file = configparser.RawConfigParser()
    file["virt-viewer"] = {name: _escaped(str(value)) for name, value in values.items()}
    text = io.StringIO()
    file.write(text, space_around_delimiters=False)
    return text.getvalue()


def _escaped(value: str) -> str:
    """As a key file keeps it; names come from providers, so a line of theirs must stay inside its value."""
    kept = "".join(_ESCAPES.get(char, char) for char in value if char in _ESCAPES or char.isprintable())
    return r"\s" + kept[1:] if kept.startswith(" ") else kept
