"""Guest passwords are hashed by the published scheme, to the letter."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.guest.passwords import hash_password, is_hash, sha512_crypt, verify_password

#: The test vectors of the specification (SHA-crypt.txt): password, salt, rounds, hash.
VECTORS = [
    (
        "Hello world!",
        "saltstring",
        None,
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    (
        "Hello world!",
        "saltstringsaltstring",
        10_000,
        (
            "$6$rounds=10000$saltstringsaltst$"
            "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."
        ),
    ),
    (
        "This is just a test",
        "toolongsaltstring",
        5000,
        (
            "$6$rounds=5000$toolongsaltstrin$"
            "lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"
        ),
    ),
    (
        "a very much longer text to encrypt.  This one even stretches over morethan one line.",
        "anotherlongsaltstring",
        1400,
        (
            "$6$rounds=1400$anotherlongsalts$"
            "POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"
        ),
    ),
    (
        "the minimum number is still observed",
        "roundstoolow",
        10,
        (
            "$6$rounds=1000$roundstoolow$"
            "kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."
        ),
    ),
]


@pytest.mark.parametrize(("password", "salt", "rounds", "hashed"), VECTORS)
def test_the_specifications_vectors(password: str, salt: str, rounds: int | None, hashed: str) -> None:
    assert sha512_crypt(password.encode(), salt, rounds=rounds) == hashed
    assert verify_password(password, hashed)


@pytest.mark.parametrize(
    ("password", "salt"),
    [
        ("Hello world!", "saltstring"),
        ("This is just a test", "toolongsaltstrin"),
        ("a", "x"),
        ("we have a short salt string but not a short password", "short"),
        ("ünïcödé 😀 pass word", "./AZaz09"),
        ("x" * 127, "saltsalt"),
    ],
)
def test_openssl_agrees(password: str, salt: str) -> None:
    command = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    told = subprocess.run(command, input=password + "\n", capture_output=True, text=True, check=True).stdout.strip()
    assert sha512_crypt(password.encode(), salt) == told


@pytest.mark.parametrize(
    ("rounds", "said"), [(10_000, "rounds=10000$"), (10, "rounds=1000$"), (5000, "rounds=5000$"), (None, "")]
)
def test_rounds_are_written_and_clamped(rounds: int | None, said: str) -> None:
    assert sha512_crypt(b"secret", "saltstring", rounds=rounds).startswith(f"$6${said}saltstring$")


def test_a_salt_is_cut_to_sixteen_characters() -> None:
    assert sha512_crypt(b"secret", "saltstringsaltstringX") == sha512_crypt(b"secret", "saltstringsaltst")


@settings(max_examples=10, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_hash_proves_its_password_and_no_other(password: str) -> None:
    hashed = hash_password(password, rounds=5000)
    assert is_hash(hashed)
    assert verify_password(password, hashed)
    assert not verify_password(password + "x", hashed)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("secret", rounds=5000) != hash_password("secret", rounds=5000)


@pytest.mark.parametrize("password", ["", "with\0nul", "x" * 257])
def test_what_cannot_be_typed_at_a_login_is_refused(password: str) -> None:
    with pytest.raises(ValueError):
        hash_password(password)


@pytest.mark.parametrize("text", ["", "secret", "$1$abc$def", "$6$salt$short", "$6$rounds=x$salt$" + "a" * 86])
def test_other_texts_are_no_hashes(text: str) -> None:
    assert not is_hash(text)
    assert not verify_password("secret", text)
