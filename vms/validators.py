"""What people type about a machine, checked one by one; every refusal is a sentence that says what would be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError

from providers.base import InvalidRequest
from providers.guest import userdata

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_RULE = "letters a–z, digits, “-”, “.” and “_”, beginning with a letter or digit, at most 63 in all"
HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
USER_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:=~_-]{0,99}")
PASSWORD_LEAST = 8
PASSWORD_MOST_BYTES = 256


def name(text: str) -> str:
    """A name that every kind of provider takes as it is, and that is safe in a path, a URL and a host name."""
    if len(text) > 63:
        raise ValidationError(f"This name has {len(text)} characters; 63 is the most.", code="too_long")
    if not NAME.fullmatch(text):
        raise ValidationError(f"A name is made of {NAME_RULE}.", code="characters")
    return text


def host_name(text: str) -> str:
    if text and not HOST_NAME.fullmatch(text):
        raise ValidationError(
            "A host name is made of letters a–z, digits and “-”, in parts of at most 63 joined by “.”.",
            code="characters",
        )
    return text


def user_name(text: str) -> str:
    if text and not USER_NAME.fullmatch(text):
        raise ValidationError(
            "A user name is made of small letters a–z, digits, “-” and “_”, beginning with a letter, at most 32.",
            code="characters",
        )
    return text


def password(text: str) -> str:
    if not text:
        return text
    if len(text) < PASSWORD_LEAST:
        raise ValidationError(f"At least {PASSWORD_LEAST} characters, please.", code="too_short")
    if len(text.encode()) > PASSWORD_MOST_BYTES:
        raise ValidationError(f"This is too long; {PASSWORD_MOST_BYTES} characters are the most.", code="too_long")
    if not text.isprintable():
        raise ValidationError("Line breaks and control characters cannot be typed at a console.", code="characters")
    return text


def packages(text: str) -> tuple[str, ...]:
    """Names between spaces, commas or line ends."""
    names = tuple(text.replace(",", " ").split())
    for one in names:
        if not PACKAGE.fullmatch(one):
            raise ValidationError(f"“{one}” is not the name of a package.", code="characters")
    return names


def commands(text: str) -> tuple[str, ...]:
    """One command a line; empty lines say nothing."""
    if "\0" in text:
        raise ValidationError("Commands cannot hold a NUL character.", code="characters")
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())


def user_data(text: str) -> str:
    """The expert's user data, with the line ends of the guest; what cloud-init could not read is refused."""
    try:
        return userdata.checked(text)
    except InvalidRequest as exc:
        raise ValidationError(exc.reason, code="user_data") from None


def guest_path(text: str) -> str:
    if not text.startswith("/") or "\0" in text or text.endswith("/") or "/../" in f"{text}/":
        raise ValidationError("The place of a file begins with “/”, like /etc/motd.", code="path")
    return text


def permissions(text: str) -> str:
    text = text or "0644"
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValidationError("Permissions are three digits from 0 to 7, like 644.", code="permissions")
    return text.rjust(4, "0")


def owner(text: str) -> str:
    text = text or "root:root"
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}(:[a-z_][a-z0-9_-]{0,31})?", text):
        raise ValidationError("An owner is a user and a group, like www-data:www-data.", code="owner")
    return text


def timezone(text: str) -> str:
    if text and text not in available_timezones():
        raise ValidationError("There is no such time zone; one is like Europe/London.", code="timezone")
    return text


def addresses(text: str) -> tuple[str, ...]:
    """Addresses of name servers between spaces or commas."""
    found = tuple(text.replace(",", " ").split())
    for one in found:
        gateway(one)
    return found


def fixed_address(text: str, cidrs: Sequence[str]) -> tuple[str, str]:
    """An address with its prefix, and the range of the network that it is in ("" when the network tells none).

    The prefix may be left out where the network is known.
    """
    text = text.strip()
    if not text:
        return "", ""
    bare, slash, _ = text.partition("/")
    try:
        address = ip_address(bare)
        interface = ip_interface(text) if slash else None
    except ValueError:
        raise ValidationError(f"“{text[:60]}” is not an address; one is like 192.0.2.7/24.", code="address") from None
    ranges = [ip_network(cidr, strict=False) for cidr in cidrs]
    home = next((network for network in ranges if address.version == network.version and address in network), None)
    if home is None and any(network.version == address.version for network in ranges):
        raise ValidationError(f"This network has the addresses {', '.join(cidrs)}.", code="address_outside")
    if home is None and interface is None:
        raise ValidationError("Say how large its network is, like 192.0.2.7/24.", code="address_prefix")
    if home is not None and interface is not None and interface.network.prefixlen != home.prefixlen:
        raise ValidationError(f"Addresses of this network end in /{home.prefixlen}.", code="address_prefix")
    network = home or (interface.network if interface else None)
    if network is not None and network.num_addresses > 2 and address in _reserved(network[0], network[-1]):
        raise ValidationError("This address stands for the network itself; a machine needs another.", code="address")
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        raise ValidationError("This address cannot be given to a machine.", code="address")
    return (f"{address}/{home.prefixlen}" if home else text), str(home or "")


def fixed_address6(text: str) -> str:
    """An IPv6 address with its prefix."""
    text = text.strip()
    if not text:
        return ""
    address, _ = fixed_address(text, ())
    if ":" not in address:
        raise ValidationError("This is no IPv6 address; one is like 2001:db8::7/64.", code="address")
    return address


def _reserved(first: IPv4Address | IPv6Address, last: IPv4Address | IPv6Address) -> set[IPv4Address | IPv6Address]:
    return {first, last} if first.version == 4 else {first}


def gateway(text: str) -> str:
    text = text.strip()
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise ValidationError(f"“{text[:60]}” is not an address; one is like 192.0.2.1.", code="address") from None
