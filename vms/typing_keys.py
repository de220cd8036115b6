"""Keys that the page of a screen offers as buttons: names that console-keys.js knows, and what stands on them."""

from __future__ import annotations

from typing import Any

HELD = (("ctrl", "Ctrl"), ("alt", "Alt"), ("altgr", "AltGr"), ("shift", "Shift"), ("super", "Win"))
PLAIN = (
    ("escape", "Esc"),
    ("tab", "Tab"),
    ("enter", "Enter"),
    ("backspace", "⌫"),
    ("insert", "Ins"),
    ("delete", "Del"),
    ("home", "Home"),
    ("end", "End"),
    ("pageup", "PgUp"),
    ("pagedown", "PgDn"),
    ("print", "PrtSc"),
    ("menu", "Menu"),
    ("left", "←"),
    ("up", "↑"),
    ("down", "↓"),
    ("right", "→"),
)
COMBINATIONS = (
    ("alt tab", "Alt Tab"),
    ("alt f4", "Alt F4"),
    ("super l", "Win L"),
    ("super r", "Win R"),
    ("ctrl escape", "Ctrl Esc"),
    ("ctrl alt backspace", "Ctrl Alt ⌫"),
    ("ctrl c", "Ctrl C"),
    ("alt print", "Alt SysRq"),
)
FUNCTION_KEYS = tuple(range(1, 13))
#: On the bar below the screen of a telephone, which has no such keys.
TOUCH_HELD = (("ctrl", "Ctrl"), ("alt", "Alt"))
TOUCH = (
    ("escape", "Esc"),
    ("tab", "Tab"),
    ("up", "↑"),
    ("down", "↓"),
    ("left", "←"),
    ("right", "→"),
    ("enter", "Enter"),
    ("ctrl c", "Ctrl C"),
    ("delete", "Del"),
    ("home", "Home"),
    ("end", "End"),
)

#: For the context of `vms/console_part.html`.
ON_THE_PAGE: dict[str, Any] = {
    "held_keys": HELD,
    "plain_keys": PLAIN,
    "key_combinations": COMBINATIONS,
    "function_keys": FUNCTION_KEYS,
    "touch_holds": TOUCH_HELD,
    "touch_keys": TOUCH,
}
