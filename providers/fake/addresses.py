"""MACs and addresses: counted, not drawn by lot, so that the same steps give the same cloud."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from providers.base import AlreadyExists, Conflict, InvalidRequest, NicSpec, OutOfCapacity
from providers.fake.cards import check_card
from providers.fake.records import span_of
from providers.fake.state import Network, Nic, Subnet
from providers.fake.store import Transaction


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
    """The address kept for the card, or the lowest free one, noted as the card's; empty without range or DHCP."""
    first, last = span_of(network)
    if not first:
        return ""
    if mac in network.leases:
        return network.leases[mac]
    kept = {each.mac: each.address for each in network.kept}
    if mac in kept:
        network.leases[mac] = kept[mac]
        return kept[mac]
    taken = {*network.leases.values(), *kept.values()}
    start = ip_address(first)
    for offset in range(int(ip_address(last)) - int(start) + 1):
        address = str(start + offset)
        if address not in taken:
            network.leases[mac] = address
            return address
    raise OutOfCapacity(f"The range {network.cidr} of “{network.name}” has no address left.")


def plug(tx: Transaction, spec: NicSpec, taken: set[str]) -> Nic:
    """A new card on a network, with a name that is not among the taken ones; the lease is stored with the network."""
    network = tx.get(Network, spec.network)
    if not network.is_active:
        raise Conflict(f"The network “{network.name}” is switched off.", field="network")
    check_card(model=spec.model, filter_=spec.filter)
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
        filter=spec.filter,
        isolated=spec.isolated,
        vlan=spec.vlan,
    )


def unplug(tx: Transaction, nic: Nic) -> None:
    """Give a card's address back."""
    for network in tx.all(Network):
        if network.leases.pop(nic.mac, None) is not None:
            tx.put(network)
