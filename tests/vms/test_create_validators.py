"""What people type about a machine: taken as it is, or refused with a sentence that says what would be right."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from vms import validators


@pytest.mark.parametrize("name", ["a", "web-1", "WEB_1", "9lives", "db.internal", "x" * 63])
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    assert validators.name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("a&b<c>", "../x", "it's", 'say "hi"', "smile😀", "two words", "-dash", ".dot", "_low", "ünï", "a/b", "x\n"),
        *("$(reboot)", "a;b", "`x`", "a\\b", "a\0b", "٣", "x" * 64, "x" * 300),
    ],
)
def test_an_awkward_name_is_refused_in_words(name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        validators.name(name)
    assert refusal.value.message.endswith(".")
    assert "63" in refusal.value.message


@pytest.mark.parametrize(
    ("text", "cidrs", "expected"),
    [
        ("", ["192.0.2.0/24"], ("", "")),
        ("192.0.2.7/24", ["192.0.2.0/24"], ("192.0.2.7/24", "192.0.2.0/24")),
        ("192.0.2.7", ["192.0.2.0/24"], ("192.0.2.7/24", "192.0.2.0/24")),
        ("192.0.2.7", ["192.0.2.1/24"], ("192.0.2.7/24", "192.0.2.0/24")),
        ("10.0.0.5/8", [], ("10.0.0.5/8", "")),
        ("2001:db8::7", ["192.0.2.0/24", "2001:db8::/64"], ("2001:db8::7/64", "2001:db8::/64")),
    ],
)
def test_a_fixed_address_gets_the_prefix_of_its_network(text: str, cidrs: list[str], expected: tuple[str, str]) -> None:
    assert validators.fixed_address(text, cidrs) == expected


@pytest.mark.parametrize(
    ("text", "cidrs", "says"),
    [
        ("here", [], "is not an address"),
        ("192.0.2.300", [], "is not an address"),
        ("192.0.2.7", [], "how large its network is"),
        ("198.51.100.7/24", ["192.0.2.0/24"], "192.0.2.0/24"),
        ("192.0.2.7/16", ["192.0.2.0/24"], "/24"),
        ("192.0.2.0/24", ["192.0.2.0/24"], "the network itself"),
        ("192.0.2.255", ["192.0.2.0/24"], "the network itself"),
        ("127.0.0.1/8", [], "cannot be given"),
        ("<script>", [], "is not an address"),
    ],
)
def test_a_wrong_address_is_refused_in_words(text: str, cidrs: list[str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        validators.fixed_address(text, cidrs)


@pytest.mark.parametrize(
    "text", ["#cloud-config\npackages: [htop]\n", "#!/bin/sh\necho hi\n", "#cloud-config\n", "#include\nhttp://x\n"]
)
def test_user_data_with_a_header_is_taken(text: str) -> None:
    assert validators.user_data(text) == text


def test_user_data_gets_the_line_ends_of_the_guest() -> None:
    assert validators.user_data("#!/bin/sh\r\necho hi") == "#!/bin/sh\necho hi\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("packages: [htop]", "must begin with"),
        ("#cloud-config\na: [1", "line"),
        ("#cloud-config\n- a\n- b\n", "keys with values"),
        ("#cloud-config\n\tx: 1\n", "line 2"),
        ("#!/bin/sh\n" + "x" * 20_000, "16 KiB"),
    ],
)
def test_user_data_that_cannot_work_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        validators.user_data(text)


def test_packages_are_names() -> None:
    assert validators.packages("nginx, htop\nlibfoo2:amd64") == ("nginx", "htop", "libfoo2:amd64")
    with pytest.raises(ValidationError, match="not the name of a package"):
        validators.packages("nginx;reboot")


def test_a_password_has_some_length_and_can_be_typed() -> None:
    assert validators.password("") == ""
    assert validators.password("correct höß") == "correct höß"
    for wrong in ("short", "x" * 300, "line\nbreak!"):
        with pytest.raises(ValidationError):
            validators.password(wrong)
