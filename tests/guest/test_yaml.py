"""The guest's YAML reader gives what PyYAML gives, for documents PyYAML wrote."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

READER = Path(__file__).parents[2] / "guest/files/rootfs/usr/lib/kvweb/nocloud/yaml.awk"

Leaf = tuple[str, str, str]


def flatten(value: Any, path: str = "") -> Iterator[Leaf]:
    """The leaves a document should be read as."""
    if isinstance(value, dict):
        if not value:
            yield path, "map", ""
        for key, inner in value.items():
            yield from flatten(inner, (f"{path}/" if path else "") + key.replace("%", "%25").replace("/", "%2F"))
    elif isinstance(value, list):
        if not value:
            yield path, "list", ""
        for index, inner in enumerate(value):
            yield from flatten(inner, (f"{path}/" if path else "") + str(index))
    elif value is None:
        yield path, "null", ""
    elif isinstance(value, bool):
        yield path, "str", "true" if value else "false"
    else:
        yield path, "str", str(value)


def unescape(text: str) -> str:
    """Undo the reader's escapes."""
    text = text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
    return text.replace("\0", "\\")


def run(applets: Path, text: str) -> subprocess.CompletedProcess[bytes]:
    """Run the reader."""
    command = [str(applets / "awk"), "-f", str(READER)]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=False, env={"LC_ALL": "C"})


def read(applets: Path, text: str) -> list[Leaf]:
    """Read a document; the reader must not complain."""
    done = run(applets, text)
    assert done.returncode == 0, f"{done.stderr.decode()}\n{text}"
    lines = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
    return [(path, kind, unescape(value)) for path, kind, value in lines]


class Blocks(yaml.SafeDumper):
    """Writes texts of several lines as | blocks."""


Blocks.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


class Indented(Blocks):
    """Writes lists deeper than the key above them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never take the short form."""
        super().increase_indent(flow, False)


WRITERS: dict[str, Callable[[Any], str]] = {
    "plain": lambda value: yaml.safe_dump(value, default_flow_style=False, sort_keys=False),
    "unicode": lambda value: yaml.safe_dump(value, default_flow_style=False, sort_keys=False, allow_unicode=True),
    "blocks": lambda value: yaml.dump(value, Dumper=Blocks, default_flow_style=False, sort_keys=False),
    "indented": lambda value: yaml.dump(value, Dumper=Indented, default_flow_style=False, sort_keys=False, width=40),
    "flow": lambda value: yaml.safe_dump(value, default_flow_style=True, sort_keys=False),
    "mixed": lambda value: yaml.safe_dump(value, default_flow_style=None, sort_keys=False),
    "json": json.dumps,
    "json-lines": lambda value: json.dumps(value, indent=2),
}

TEXTS = [
    "a", "kvweb", "it's", '"q"', "a: b", "#c", " lead", "trail ", "", "null", "true", "123", "~", "- x", "é☃😀",
    "tab\there", "back\\slash", "line\nline2", "line\n", "\nlead", "  ind\n  more\n", "x\n\n\ny\n\n", "[ls, -l]", "{a",
    "*x", "&y", "!t", "%p", "@a", "`b", "a" * 200, "word " * 60, "é " * 80, "it's " * 50, "a b\n" * 30,
    "trailing space \nnext", "$6$ab$cd/ef.", "key: |", "\x1b[0m", "\r\n", "a #b", "?x", ":z", "z:", "a\n b\n  c\n",
    "x\n  ", "---", "...", "-", "'", '"', "\\", "\ufeffx", 'echo "a: b" > /x', "\n", "\n\n", " \n", "a\\\n", "|", ">",
    "0o14", "1e3", "=", "<<", "yes",
]  # fmt: skip
KEYS = ["a", "content", "key with space", "x/y", '"q', "1", "it's", "é", "a:b", "- c", "#k", "true"]


def made_up(dice: random.Random, depth: int) -> Any:
    """A value of any shape."""
    choice = dice.random()
    if depth == 0 or choice < 0.4:
        if dice.random() < 0.7:
            return dice.choice(TEXTS)
        return "".join(dice.choice([*"ab '\"\n\\:#-é, ", "  ", "word ", "\t"]) for _ in range(dice.randrange(120)))
    if choice < 0.7:
        return [made_up(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {dice.choice(KEYS): made_up(dice, depth - 1) for _ in range(dice.randrange(4))}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_text_survives(applets: Path, writer: str) -> None:
    document = {"texts": TEXTS, "map": {f"k{number}": text for number, text in enumerate(TEXTS)}}
    assert read(applets, WRITERS[writer](document)) == list(flatten(document))


@pytest.mark.parametrize("writer", WRITERS)
def test_any_shape_survives(applets: Path, writer: str) -> None:
    dice = random.Random(20240607)
    for _ in range(20):
        document = {f"top{number}": made_up(dice, 4) for number in range(3)}
        assert read(applets, WRITERS[writer](document)) == list(flatten(document))


def test_what_people_write_by_hand(applets: Path) -> None:
    text = """#cloud-config
# a comment
---
users:
  - default            # the usual one
  -   name: anna
      ssh_authorized_keys: [ 'ssh-ed25519 AAAA a@b', "two" ]
  -
    name: ben
runcmd:
- [ls, -l,
   /tmp]   # over two lines
- echo one
  two
-
  - touch
  - /x
- - a
  - b
- >-
  folded
  text

  and more
empty:
flow: {a: 1, "b": [], c: {d: }}
last: |+
  kept

"""
    assert read(applets, text) == list(flatten(yaml.safe_load(text)))


def test_the_same_object_twice(applets: Path) -> None:
    keys = ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]
    user = {"name": "a", "ssh_authorized_keys": keys}
    document = {"users": [user, user], "ssh_authorized_keys": keys}
    text = yaml.safe_dump(document, default_flow_style=False, sort_keys=False)
    assert "&id001" in text
    assert read(applets, text) == list(flatten(document))


def test_bytes_are_marked(applets: Path) -> None:
    text = yaml.safe_dump({"content": b"\x00\xff"}, default_flow_style=False)
    assert read(applets, text) == [("content", "bin", "AP8=\n")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a: "never closed\n', "line 2"),
        ("a: [1, 2\nb: 3\n", "line 2"),
        ("a: 1\n  b: 2\n", "line 2"),
        ("a: 1\n - b\n- c\n", ""),
        ("a: *nobody\n", "line 1"),
        ('a: "\\q"\n', "line 1"),
        ("a: 1\nnonsense\n", "line 2"),
        ('a: "x" y\n', "line 1"),
    ],
)
def test_what_cannot_be_read_is_said(applets: Path, text: str, line: str) -> None:
    done = run(applets, text)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(line)
    assert done.stdout == b""
