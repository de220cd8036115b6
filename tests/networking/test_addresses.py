"""Ranges as people type them: what they mean, what is wrong with them, what is free."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from networking import addresses
from networking.addresses import BadRange, Taken


@pytest.mark.parametrize("text", ["10.20.30.0/24", " 192.168.5.0/24 ", "172.16.0.0/12", "10.0.0.0/29"])
def test_a_private_range_is_read(text: str) -> None:
    assert str(addresses.read_range(text)) == text.strip()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("10.20.30.0", "with its prefix length"),
        ("10.20.30.5/24", "the range is 10.20.30.0/24"),
        ("10.20.300.0/24", "no address range"),
        ("fd00::/64", "Give a range of IPv4"),
        ("127.0.0.0/8", "meaning of their own"),
        ("224.0.0.0/8", "meaning of their own"),
        ("169.254.0.0/16", "meaning of their own"),
        ("10.0.0.0/30", "too small"),
        ("0.0.0.0/1", "larger than any"),
        ("<b>/24", "no address range"),
    ],
)
def test_what_is_no_range_is_said_with_what_to_do_instead(text: str, sentence: str) -> None:
    with pytest.raises(BadRange, match=sentence.replace(".", r"\.")):
        addresses.read_range(text)


def test_a_range_of_ipv6_is_read_where_one_is_asked_for() -> None:
    assert str(addresses.read_range("fd00:1::/64", version=6)) == "fd00:1::/64"
    with pytest.raises(BadRange, match="IPv6"):
        addresses.read_range("10.0.0.0/24", version=6)


@pytest.mark.parametrize(
    ("cidr", "name"),
    [
        ("10.0.0.0/24", "lan"),
        ("10.0.0.128/25", "lan"),
        ("10.0.0.0/16", "lan"),
        ("10.0.1.0/24", None),
        ("fd00::/64", "six"),
    ],
)
def test_ranges_that_touch_are_found(cidr: str, name: str | None) -> None:
    taken = [Taken("lan", "10.0.0.0/24"), Taken("six", "fd00::/48")]
    found = addresses.overlap(ip_network(cidr), taken)
    assert (found.name if found else None) == name


def test_the_suggestion_is_free() -> None:
    taken = [Taken("a", "192.168.130.0/24"), Taken("b", "192.168.128.0/20"), Taken("six", "fd00::/8")]
    suggestion = ip_network(addresses.free_range(taken))
    assert addresses.overlap(suggestion, taken) is None
    assert addresses.free_range([Taken("all", "192.168.0.0/16"), Taken("ten", "10.0.0.0/8")]) == ""


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("10.0.0.1", "10.0.0.9", "gateway"),
        ("10.0.0.9", "10.0.0.2", "ends before it begins"),
        ("10.0.1.2", "10.0.1.9", "inside 10.0.0.0/24"),
        ("10.0.0.2", "10.0.0.255", "broadcast"),
        ("x", "10.0.0.9", "no address"),
        ("fd00::1", "fd00::9", "IPv4"),
    ],
)
def test_a_dhcp_range_lies_inside_and_leaves_the_gateway(start: str, end: str, sentence: str) -> None:
    with pytest.raises(BadRange, match=sentence.replace(".", r"\.")):
        addresses.check_dhcp(ip_network("10.0.0.0/24"), start, end)


def test_a_good_dhcp_range_passes() -> None:
    first, last = addresses.check_dhcp(ip_network("10.0.0.0/24"), "10.0.0.50", "10.0.0.99")
    assert (str(first), str(last)) == ("10.0.0.50", "10.0.0.99")


def test_macs_are_read_in_every_usual_form() -> None:
    assert addresses.read_mac(" 52-54-00-AB-cd-01 ") == "52:54:00:ab:cd:01"
    for wrong in ("", "52:54:00", "01:00:5e:00:00:01", "zz:54:00:ab:cd:01"):
        with pytest.raises(BadRange):
            addresses.read_mac(wrong)


def test_the_first_free_address_is_offered() -> None:
    network = ip_network("10.0.0.0/29")
    assert addresses.free_address(network, ["10.0.0.2", "10.0.0.3"]) == "10.0.0.4"
    assert addresses.free_address(network, [f"10.0.0.{last}" for last in range(8)]) == ""
