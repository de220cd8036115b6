"""Which network addresses may be asked for an image: public ones, and those that an administrator has named.

Whoever may add an image chooses an address that the portal then asks from inside its own network. So every name is
looked up here, the answers are checked, and the connection is made to the very address that was checked: a name that
points elsewhere a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from providers.base import InvalidRequest, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 addresses that carry an IPv4 one in their last 32 bits (RFC 6052), and 6to4 in the bits after the prefix.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def allowed_addresses(host: str, port: int, networks: Sequence[str]) -> list[str]:
    """The host's addresses that may be asked, in the order of the resolver.

    Raises InvalidRequest when it has addresses and none is allowed, Unreachable when it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Unreachable(f"The name “{host}” is not known.", str(exc)) from exc
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [address for address in addresses if is_allowed(address, networks)]
    if not allowed:
        raise InvalidRequest(
            f"“{host}” is inside a private network, which images are not fetched from.",
            f"{host}: {', '.join(addresses)}",
            field="url",
        )
    return allowed


def is_allowed(address: str, networks: Sequence[str]) -> bool:
    """Whether it is a public address, or in one of the named networks."""
    parsed = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    named = (ipaddress.ip_network(network, strict=False) for network in networks)
    if any(parsed.version == network.version and parsed in network for network in named):
        return True
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does: it is that one which is reached."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return inner or address
    return address
