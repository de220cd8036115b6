"""Checking a password against a crypt(3) hash of method 6, as a Linux guest does at its login prompt.

Python's own `crypt` module is gone, and a simulated guest that lets everybody in would prove nothing about the hash
that was sent to it. Other methods ($y$, $2b$ …) are not computed here: see `fits`.
"""

from __future__ import annotations

import hashlib
import hmac

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_METHOD = "$6$"
_ROUNDS, _MOST_ROUNDS = 5000, 200_000
_SALT_LENGTH = 16


def fits(password: str, stored: str) -> bool:
    """Whether the password belongs to the hash. For methods that cannot be computed, any password but none fits."""
    if not stored or stored[0] in "!*":
        return False
    if not stored.startswith(_METHOD):
        return bool(password)
    return hmac.compare_digest(sha512_crypt(password, stored), stored)


def sha512_crypt(password: str, setting: str) -> str:
    """The hash of a password under the salt (and rounds) of `setting`, which may be a whole hash."""
    rounds, is_explicit, rest = _ROUNDS, False, setting.removeprefix(_METHOD)
    if rest.startswith("rounds="):
        number, _, rest = rest.removeprefix("rounds=").partition("$")
        rounds, is_explicit = min(max(int(number), 1000), _MOST_ROUNDS), True
    salt = rest.partition("$")[0][:_SALT_LENGTH]
    key, pepper = password.encode(), salt.encode()

    alternate = hashlib.sha512(key + pepper + key).digest()
    first = hashlib.sha512(key + pepper + _stretched(alternate, len(key)))
    length = len(key)
    while length:
        first.update(alternate if length & 1 else key)
        length >>= 1
    digest = first.digest()

    key_bytes = _stretched(hashlib.sha512(key * len(key)).digest(), len(key))
    pepper_bytes = _stretched(hashlib.sha512(pepper * (16 + digest[0])).digest(), len(pepper))
    for turn in range(rounds):
        step = hashlib.sha512(key_bytes if turn & 1 else digest)
        if turn % 3:
            step.update(pepper_bytes)
        if turn % 7:
            step.update(key_bytes)
        step.update(digest if turn & 1 else key_bytes)
        digest = step.digest()
    shown_rounds = f"rounds={rounds}$" if is_explicit else ""
    return f"{_METHOD}{shown_rounds}{salt}${_encoded(digest)}"


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _encoded(digest: bytes) -> str:
    """Three bytes at a time, 21 apart and turning, then the last one alone."""
    groups = []
    for turn in range(21):
        places = [turn, turn + 21, turn + 42]
        shift = turn % 3
        high, middle, low = places[shift:] + places[:shift]
        groups.append(_letters(digest[high] << 16 | digest[middle] << 8 | digest[low], 4))
    return "".join(groups) + _letters(digest[63], 2)


def _letters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * place & 0x3F] for place in range(count))
