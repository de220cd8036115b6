"""What changes at a VM's next start: its document as it runs beside the one that it will start from, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from providers.kvm.options import KvmOptions
from providers.kvm.xml.build import Element, text_at
from providers.kvm.xml.cards import pending_cards
from providers.kvm.xml.memory import memory_of
from providers.kvm.xml.processor import vcpus_of
from providers.kvm.xml.shape import read_shape

_DEFAULTS: dict[str, Any] = KvmOptions().model_dump(mode="json")
_FIELDS = KvmOptions.model_fields
#: What is said by its number first, and only once.
_COUNTED = frozenset({"max_vcpus", "max_memory_mib"})
#: The most of these that one sentence lists.
_MOST = 4


def pending(live: Element, after: Element) -> tuple[str, ...]:
    """One text for each thing that differs: "CPUs: 2 → 4". What libvirt fills in by itself at a start is no change."""
    return (*_amounts(live, after), *_options(live, after), *pending_cards(live, after))


def _amounts(live: Element, after: Element) -> Iterator[str]:
    for title, unit, of in (("CPUs", "", vcpus_of), ("Memory", " MiB", memory_of)):
        (now, most), (then, most_then) = of(live), of(after)
        if now != then:
            yield f"{title}: {now}{unit} → {then}{unit}"
        # Without room to grow the most is just the number, and that has been said.
        if most != most_then and not (then == most_then and now in {most, then}):
            yield f"Most {title if title == 'CPUs' else 'memory'}: {most}{unit} → {most_then}{unit}"


def _options(live: Element, after: Element) -> Iterator[str]:
    now, then = read_shape(live), read_shape(after)
    skipped = _COUNTED | _unclear(live, after, now, then)
    for name, field in _FIELDS.items():
        if name in skipped:
            continue
        before, later = now.get(name, _DEFAULTS[name]), then.get(name, _DEFAULTS[name])
        if before != later:
            extra = field.json_schema_extra
            words = extra.get("words", {}) if isinstance(extra, dict) else {}
            yield f"{field.title}: {_words(before, words)} → {_words(later, words)}"


def _unclear(live: Element, after: Element, now: Mapping[str, Any], then: Mapping[str, Any]) -> set[str]:
    """Options of which the running document says something else for the same wish."""
    unclear: set[str] = set()
    if now.get("watchdog") != then.get("watchdog"):
        # What one does that was not there, or goes, is no news of its own.
        unclear.add("watchdog_action")
    if then.get("cpu_mode") in {"host-model", "emulator-default"} and "cpu_model" in now:
        # A start turns both into the model that was chosen, with all its flags.
        unclear |= {"cpu_mode", "cpu_model", "cpu_flags"}
    elif set(then.get("cpu_flags", ())) <= set(now.get("cpu_flags", ())) and "cpu_model" in now:
        # A model's name is completed with the flags that came of it.
        unclear.add("cpu_flags")
    if text_at(after, "os/@firmware") and not text_at(after, "os/firmware/feature[@name='secure-boot']/@enabled"):
        unclear.add("secure_boot")
    return unclear


def _words(value: Any, words: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        shown = ", ".join(str(item) for item in value[:_MOST]) + (" …" if len(value) > _MOST else "")
        return shown or "none"
    known = words.get(value) if isinstance(value, str) else None
    return str(known or value) if known or value not in ("", 0) else "none"
