"""The other end of a clipboard: what spice-vdagent does in a guest, as far as a shell can do it.

Messages are those of spice-protocol's spice/vd_agent.h. The script copies one text, and asks for what is copied
elsewhere until that is what it waits for.
"""

from __future__ import annotations

import base64
import struct

from providers.base import GuestFile

COPIED_THERE, COPIED_HERE = "copied in the guest: ü", "copied-in-the-browser"
#: What the guest's script says on its serial line.
GIVEN, TAKEN = b"clipboard-given", b"clipboard-taken"
_CLIPBOARD, _CAPABILITIES, _GRAB, _REQUEST = 4, 6, 7, 8
_BY_DEMAND, _SELECTION = 1 << 5, 1 << 6
_CLIENT_PORT, _PROTOCOL, _UTF8 = 1, 1, 1
#: The clipboard, and neither the primary nor the secondary selection.
_WHICH = bytes(4)
_SCRIPT = f"""#!/bin/sh
for each in /sys/class/virtio-ports/*; do
  [ "$(cat "$each/name")" = com.redhat.spice.0 ] && port=/dev/${{each##*/}}
done
exec 3<>"$port"
cat <&3 >/tmp/heard &
base64 -d /etc/clipboard-copies >&3
sleep 2
base64 -d /etc/clipboard-gives >&3
echo {GIVEN.decode()} >/dev/ttyS0
count=0
while [ "$count" -lt 60 ] && ! grep -q {COPIED_HERE} /tmp/heard; do
  base64 -d /etc/clipboard-asks >&3
  sleep 1
  count=$((count + 1))
done
grep -q {COPIED_HERE} /tmp/heard && echo {TAKEN.decode()} >/dev/ttyS0
"""


def files() -> tuple[GuestFile, ...]:
    """What the guest needs; `sh /etc/clipboard` as root is the agent."""
    copies = _message(_CAPABILITIES, struct.pack("<II", 0, _BY_DEMAND | _SELECTION))
    copies += _message(_GRAB, _WHICH + struct.pack("<I", _UTF8))
    gives = _message(_CLIPBOARD, _WHICH + struct.pack("<I", _UTF8) + COPIED_THERE.encode())
    asks = _message(_REQUEST, _WHICH + struct.pack("<I", _UTF8))
    parts = {"copies": copies, "gives": gives, "asks": asks}
    return (
        GuestFile(path="/etc/clipboard", content=_SCRIPT),
        *(
            GuestFile(path=f"/etc/clipboard-{name}", content=base64.encodebytes(part).decode())
            for name, part in parts.items()
        ),
    )


def _message(kind: int, data: bytes) -> bytes:
    message = struct.pack("<IIQI", _PROTOCOL, kind, 0, len(data)) + data
    return struct.pack("<II", _CLIENT_PORT, len(message)) + message
