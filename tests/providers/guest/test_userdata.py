"""The expert's user data is read before the guest reads it, and put together with the portal's when that is wanted."""

from __future__ import annotations

from email import message_from_string

import pytest
import yaml

from providers.base import CloudInit, GuestUser, InvalidRequest
from providers.guest.cloudinit import render
from providers.guest.userdata import MERGE, checked, merged

PARTS = """Content-Type: multipart/mixed; boundary="b"
MIME-Version: 1.0

--b
Content-Type: text/cloud-config

#cloud-config
packages: [htop]

--b
Content-Type: text/x-shellscript

#!/bin/sh
echo "ü $HOME"
--b--
"""


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\npackages: [htop]\n",
        "#cloud-config\nwrite_files: [{path: /a, permissions: 0644}]\nruncmd: [[sleep, 5], echo, null]\nntp:\n",
        "#cloud-config\n# Modules that nobody here knows are the guest's own.\nour_module: {a: 1}\n1: 2\n",
        "#!/bin/sh\necho\n",
        "#include\nhttp://x\n",
        PARTS,
    ],
)
def test_what_cloud_init_reads_passes_as_it_is(text: str) -> None:
    assert checked(text) == text


def test_line_ends_and_blanks_are_made_the_guests() -> None:
    assert checked("\r\n\r\n#!/bin/sh\r\necho") == "#!/bin/sh\necho\n"
    assert checked(" \n ") == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("packages: [htop]", "must begin with"),
        ("#cloud-config\nusers:\n  - name: a\n bad", "line 4"),
        ("#cloud-config\n- a", "keys with values"),
        (PARTS.replace("[htop]", "[htop"), "Part 1: .*line"),
        (PARTS.replace("#!/bin/sh", "echo"), "Part 2: .*must begin with"),
        (PARTS.replace("--b", "--c"), "parts cannot be found"),
        ("#!/bin/sh\n" + "x" * 20_000, "16 KiB"),
        ("#cloud-config\n\npackages: htop", "In line 3: “packages” must be a list, and is text"),
        ("#cloud-config\npakages: [htop]", "In line 2: “pakages” is nothing that cloud-init knows; “packages” is"),
        ("#cloud-config\nruncmd: [a]\nusers: []\nruncmd: [b]", "“runcmd” is there twice, in the lines 2 and 4"),
        ("#cloud-config\nwrite_files: [{path: /a}, {content: x}]", "entry 2 of “write_files” has no “path”"),
        ("#cloud-config\nusers: [default, {name: ada, passwd: 0123}]", "“passwd” in entry 2 of “users” .*quotes"),
        ("#cloud-config\nruncmd: [[sleep, 5], {echo: a}]", "entry 2 of “runcmd” must be text or a list"),
        ("#cloud-config\ntimezone: 2026-11-23", "“timezone” must be text, .*quotes"),
        (PARTS.replace("[htop]", "htop"), "Part 1: In line 2"),
    ],
)
def test_what_it_cannot_read_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        checked(text)
    assert caught.value.field == "user_data"


def contents(text: str) -> list[tuple[str, str]]:
    found = []
    for part in message_from_string(text).walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found.append((part.get_content_type(), payload.decode()))
    return found


def test_both_are_told_when_that_is_wanted_and_the_experts_word_is_the_last() -> None:
    wish = CloudInit(user_data="#!/bin/sh\necho ü\n", merge=True, users=(GuestUser(name="ada"),))
    text = render(wish, name="web-1", instance_id="i").user_data
    (kind, ours), script = contents(text)
    assert kind == "text/cloud-config"
    assert yaml.safe_load(ours)["users"][1]["name"] == "ada"
    assert script == ("text/x-shellscript", "#!/bin/sh\necho ü\n")
    assert checked(text), "cloud-init could not read what we make."


def test_an_experts_message_gives_its_parts_to_the_whole_one() -> None:
    text = merged("#cloud-config\nhostname: a\n", PARTS)
    assert [kind for kind, _ in contents(text)] == ["text/cloud-config", "text/cloud-config", "text/x-shellscript"]
    assert text.count(f"Merge-Type: {MERGE}") == 2


def test_the_same_wish_is_always_the_same_text() -> None:
    """A create that is repeated writes the same seed."""
    assert merged("#cloud-config\n", "#!/bin/sh\n") == merged("#cloud-config\n", "#!/bin/sh\n")
