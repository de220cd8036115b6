"""A pasted key: read, or refused with a sentence."""

from __future__ import annotations

import base64
import struct

import pytest

from kvweb.accounts.sshkeys import BadKey, parse


def made(sort: str, inside: str | None = None, *, bits: int = 3072) -> str:
    """A key line as ssh-keygen would write it, with made-up numbers."""
    name = (inside or sort).encode()
    blob = struct.pack(">I", len(name)) + name
    if sort == "ssh-rsa":
        number = b"\0" + b"\xc3" + b"\x55" * (bits // 8 - 1)
        blob += struct.pack(">I", 3) + b"\1\0\1" + struct.pack(">I", len(number)) + number
    else:
        blob += struct.pack(">I", 32) + b"k" * 32
    return f"{sort} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize("sort", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"])
def test_a_public_key_is_read(sort: str) -> None:
    key = parse(f"  {made(sort)}   alice on her laptop \n")
    assert (key.type, key.comment) == (sort, "alice on her laptop")
    assert key.line == f"{made(sort)} alice on her laptop"


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    # Made with ssh-keygen; the expected value is what `ssh-keygen -lf` says about it.
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    assert parse(line).fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_control_characters_of_the_comment_are_dropped() -> None:
    assert parse(made("ssh-ed25519") + " a\x1b[31mb").comment == "a[31mb"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a public key"),
        ("hello", "not a public key"),
        ("ssh-ed25519", "missing after its type"),
        ("ssh-ed25519 AAAA", "cut off"),
        ("ssh-ed25519 !!!!", "damaged"),
        (made("ssh-ed25519")[:-20], "damaged|cut off"),
        (made("ssh-ed25519", inside="ssh-rsa"), "another type"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "ssh-dss"),
        (made("ssh-rsa", bits=1024), "1024 bits"),
        (f"{made('ssh-ed25519')}\n{made('ssh-rsa')}", "several lines"),
        (f'command="reboot" {made("ssh-ed25519")}', "Options"),
        ("x" * 20_000, "too long"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----",
            "private key",
        ),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none", "private key"),
    ],
)
def test_anything_else_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(BadKey, match=says):
        parse(text)
