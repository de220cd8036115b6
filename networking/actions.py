"""What an administrator can do to a network: the table from which buttons, API and rights tests are made."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from networking import services
from networking.action_forms import DnsForm, OfferForm, ReleaseForm, ReserveForm
from networking.models import Network
from providers.base.capabilities import NetworkFeatures
from providers.resource_actions import ResourceAction, note_dismissal, row_dismissal
from providers.resources import ready

NetworkAction = ResourceAction[Network]
VERB = "network.manage"


def features(network: Network) -> NetworkFeatures:
    return network.can.networks or NetworkFeatures()


def _is_ours(network: Network) -> bool:
    """A bridge of the host is the host's: it is used, and not changed."""
    return not network.is_wanted and network.type != "bridge"


@after(ready)
def _when_stopped(network: Network) -> Answer:
    return "It is started already." if network.is_active else True


@after(ready)
def _when_started(network: Network) -> Answer:
    return True if network.is_active else "It is stopped."


@after(ready)
def _when_dhcp(network: Network) -> Answer:
    return True if network.dhcp else "It gives out no addresses."


START = NetworkAction(
    name="start",
    label="Start",
    doing="Starting",
    icon="player-play",
    verb=VERB,
    needs=lambda network: features(network).activate and _is_ours(network) and not network.is_active,
    when=_when_stopped,
    run=services.start,
    in_the_open=True,
)
RESTART = NetworkAction(
    name="restart",
    label="Restart",
    doing="Restarting",
    icon="refresh",
    verb=VERB,
    needs=lambda network: features(network).activate and _is_ours(network) and bool(network.pending),
    when=_when_started,
    run=services.restart,
    confirm="ask",
    question="“{name}” is switched off and on, so that what was changed takes effect. That is refused while machines "
    "that run are plugged in.",
    in_the_open=True,
)
EDIT = NetworkAction(
    name="edit",
    label="Edit",
    doing="Changing",
    icon="pencil",
    verb=VERB,
    needs=lambda network: features(network).update and _is_ours(network),
    when=ready,
    run=services.change,
    page="networks:edit",
    in_the_open=True,
)
RESERVE = NetworkAction(
    name="reserve",
    label="Keep an address",
    doing="Keeping",
    icon="lock",
    verb=VERB,
    needs=lambda network: features(network).static_leases and _is_ours(network),
    when=_when_dhcp,
    run=services.reserve,
    form=ReserveForm,
    done="The address is kept.",
)
RELEASE = NetworkAction(
    name="release",
    label="Release",
    doing="Releasing",
    icon="lock-open",
    verb=VERB,
    needs=lambda network: features(network).static_leases and _is_ours(network) and bool(network.reservations),
    when=ready,
    run=services.release,
    form=ReleaseForm,
    done="The address is not kept any more.",
)
DNS = NetworkAction(
    name="dns",
    label="Edit names",
    doing="Changing",
    icon="list-check",
    verb=VERB,
    needs=lambda network: features(network).dns_hosts and _is_ours(network),
    when=ready,
    run=services.set_dns_hosts,
    form=DnsForm,
    done="The names are changed.",
)
OFFER = NetworkAction(
    name="offer",
    label="Who may use it",
    doing="Changing",
    icon="users",
    verb=VERB,
    needs=lambda network: not network.is_wanted,
    run=services.offer,
    form=OfferForm,
    done="That is noted.",
)
STOP = NetworkAction(
    name="stop",
    label="Stop",
    doing="Stopping",
    icon="player-stop",
    verb=VERB,
    needs=lambda network: features(network).activate and _is_ours(network) and network.is_active,
    when=_when_started,
    run=services.stop,
    confirm="ask",
    question="While “{name}” is stopped, machines that are plugged into it do not start.",
)
DELETE = NetworkAction(
    name="delete",
    label="Delete",
    doing="Deleting",
    icon="trash",
    verb=VERB,
    needs=lambda network: features(network).create and _is_ours(network),
    when=ready,
    run=services.delete,
    confirm="type",
    question="“{name}” is deleted, with the addresses that it keeps. That is refused while machines are plugged in.",
    is_destructive=True,
)
DISMISS_PROBLEM: NetworkAction = note_dismissal(VERB)
DISMISS: NetworkAction = row_dismissal(VERB)

#: In the order in which every page shows them.
ACTIONS: dict[str, NetworkAction] = {
    action.name: action
    for action in (START, RESTART, EDIT, RESERVE, RELEASE, DNS, OFFER, STOP, DELETE, DISMISS_PROBLEM, DISMISS)
}
#: What stands beside the thing that it is about, and not in a menu.
IN_PLACE = frozenset({"reserve", "release", "dns"})
