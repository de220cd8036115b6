"""Hashing of passwords for guests: the published SHA-crypt scheme with SHA-512 (`$6$…` of crypt(3)).

Python's `crypt` module is gone in 3.13, and a hash must be made where the clear text is typed, so that only hashes
enter specs and jobs. Specification: https://www.akkadia.org/drepper/SHA-crypt.txt; the step numbers below are its own.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT_MOST = 16
_ROUNDS_DEFAULT, _ROUNDS_LEAST, _ROUNDS_MOST = 5000, 1000, 999_999_999

#: The scheme's cost grows with the length of the password, squared; nobody types more than this.
PASSWORD_MOST_BYTES = 256

_HASH = re.compile(r"\$6\$(?:rounds=(?P<rounds>\d+)\$)?(?P<salt>[^$\n:]{0,16})\$(?P<digest>[./0-9A-Za-z]{86})")


def hash_password(password: str, *, rounds: int = 100_000) -> str:
    """A `$6$` hash with a random salt. `rounds` is at least 5000; more makes guessing slower and every login too.

    Raises ValueError for an empty password, one with a NUL, or one of more than 256 bytes.
    """
    if not password or "\0" in password:
        raise ValueError("A password cannot be empty or contain a NUL.")
    if len(password.encode()) > PASSWORD_MOST_BYTES:
        raise ValueError(f"A password can have at most {PASSWORD_MOST_BYTES} bytes.")
    salt = "".join(secrets.choice(_ALPHABET) for _ in range(_SALT_MOST))
    return sha512_crypt(password.encode(), salt, rounds=max(rounds, _ROUNDS_DEFAULT))


def verify_password(password: str, hashed: str) -> bool:
    """Whether a `$6$` hash was made from this password; False for any other kind of hash."""
    found = _HASH.fullmatch(hashed)
    if found is None:
        return False
    rounds = int(found["rounds"]) if found["rounds"] else None
    return hmac.compare_digest(sha512_crypt(password.encode(), found["salt"], rounds=rounds), hashed)


def is_hash(text: str) -> bool:
    """Whether the text is a `$6$` hash, and so may enter a spec."""
    return _HASH.fullmatch(text) is not None


def sha512_crypt(key: bytes, salt: str, *, rounds: int | None = None) -> str:
    """The scheme itself. `rounds` None means 5000 and is then not written into the hash; others are clamped."""
    salt = salt[:_SALT_MOST]
    count = _ROUNDS_DEFAULT if rounds is None else min(max(rounds, _ROUNDS_LEAST), _ROUNDS_MOST)
    digest = _stretch(key, salt.encode(), count)
    said = "" if rounds is None else f"rounds={count}$"
    return f"$6${said}{salt}${_encode(digest)}"


def _stretch(key: bytes, salt: bytes, rounds: int) -> bytes:
    # Steps 4–8: B.
    inner = hashlib.sha512(key + salt + key).digest()
    # Steps 1–3 and 9–12: A.
    start = hashlib.sha512(key + salt + _repeat(inner, len(key)))
    bits = len(key)
    while bits:
        start.update(inner if bits & 1 else key)
        bits >>= 1
    last = start.digest()
    # Steps 13–16: P, as long as the key.
    p = _repeat(hashlib.sha512(key * len(key)).digest(), len(key))
    # Steps 17–20: S, as long as the salt.
    s = _repeat(hashlib.sha512(salt * (16 + last[0])).digest(), len(salt))
    # Step 21. What is hashed beside the last digest repeats every 2 × 3 × 7 rounds, so the pieces are joined once.
    pieces = [(p if turn & 1 else b"", (s if turn % 3 else b"") + (p if turn % 7 else b"")) for turn in range(42)]
    sha512 = hashlib.sha512
    for turn in range(rounds):
        before, middle = pieces[turn % 42]
        last = sha512(before + middle + last if turn & 1 else last + middle + p).digest()
    return last


def _repeat(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _encode(digest: bytes) -> str:
    """Step 22: the scheme's own base64, three bytes at a time in a rotating order."""
    triples = [tuple((first + 21 * step) % 63 for step in _TURNS[index % 3]) for index, first in enumerate(range(21))]
    text = "".join(_base64(digest[a], digest[b], digest[c], 4) for a, b, c in triples)
    return text + _base64(0, 0, digest[63], 2)


#: Byte i of a triple comes from i, i + 21 and i + 42, and the order turns by one place with each triple.
_TURNS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


def _base64(high: int, middle: int, low: int, length: int) -> str:
    value = high << 16 | middle << 8 | low
    return "".join(_ALPHABET[value >> (6 * place) & 0x3F] for place in range(length))
