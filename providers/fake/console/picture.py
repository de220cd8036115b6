"""A terminal as a picture: PPM, the plainest format, which is also what QEMU gives."""

from __future__ import annotations

from providers.fake.console.rfb import GROUND, INK
from providers.fake.console.terminal import HEIGHT, ROWS, WIDTH, Terminal


def drawn(terminal: Terminal) -> bytes:
    rows = b"".join(terminal.draw(row, bytes(INK), bytes(GROUND)) for row in range(ROWS))
    return f"P6 {WIDTH} {HEIGHT} 255\n".encode() + rows
