"""How Chromium is started by a program: without what a machine without a screen or a network lacks."""

from __future__ import annotations

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
