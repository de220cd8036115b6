"""MACs and addresses: counted, not drawn by lot, so that the same steps give the same cloud."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network

from providers.base import AlreadyExists, InvalidRequest, NicSpec, OutOfCapacity
from providers.fake.state import Network, Nic, Subnet
from providers.fake.store import Transaction

#: The first addresses of a range are left to routers and servers, as in many real networks.
FIRST_LEASE = 10


def checked_range(cidr: str, field: str = "cidr") -> IPv4Network | IPv6Network:
    """The network of a text; raises InvalidRequest for what is not a range or has host bits."""
    try:
        return ip_network(cidr, strict=True)
    except ValueError as exc:
        raise InvalidRequest(f"“{cidr}” is not an address range: {exc}.", field=field) from None


def refuse_overlap(cidr: str, others: list[Network] | list[Subnet]) -> None:
    """Raise AlreadyExists when the range touches that of another."""
    wanted = checked_range(cidr)
    for other in others:
        if not other.cidr:
            continue
        taken = ip_network(other.cidr)
        if taken.version == wanted.version and taken.overlaps(wanted):
            raise AlreadyExists(f"The range {cidr} overlaps with {other.cidr} of “{other.name}”.", field="cidr")


def next_mac(tx: Transaction) -> str:
    number = tx.next_number("mac")
    return f"52:54:00:{number >> 16 & 0xFF:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"


def lease(network: Network, mac: str) -> str:
    """The lowest free address of the network's range, noted as the card's; empty without range or DHCP."""
    if not network.cidr or not network.dhcp:
        return ""
    if mac in network.leases:
        return network.leases[mac]
    taken = set(network.leases.values())
    addresses = ip_network(network.cidr)
    last = min(addresses.num_addresses - 1, 1 << 20)
    for offset in range(min(FIRST_LEASE, last), last):
        address = str(addresses[offset])
        if address not in taken:
            network.leases[mac] = address
            return address
    raise OutOfCapacity(f"The range {network.cidr} of “{network.name}” has no address left.")


def plug(tx: Transaction, spec: NicSpec, taken: set[str]) -> Nic:
    """A new card on a network, with a name that is not among the taken ones; the lease is stored with the network."""
    network = tx.get(Network, spec.network)
    mac = spec.mac.lower() or next_mac(tx)
    index = next(number for number in range(1000) if f"eth{number}" not in taken)
    fixed = ""
    if spec.address:
        try:
            fixed = str(ip_interface(spec.address).ip)
        except ValueError:
            raise InvalidRequest(f"“{spec.address}” is not an address with prefix.", field="address") from None
        if fixed in network.leases.values():
            raise AlreadyExists(f"The address {fixed} is taken in “{network.name}”.", field="address")
        network.leases[mac] = fixed
        address = fixed
    else:
        address = lease(network, mac)
    tx.put(network)
    return Nic(
        id=f"eth{index}",
        mac=mac,
        network=network.id,
        model=spec.model or "virtio",
        address=address,
        is_fixed=bool(fixed),
    )


def unplug(tx: Transaction, nic: Nic) -> None:
    """Give a card's address back."""
    for network in tx.all(Network):
        if network.leases.pop(nic.mac, None) is not None:
            tx.put(network)
