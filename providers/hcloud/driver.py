"""An open connection to one project at Hetzner Cloud."""

from __future__ import annotations

from providers.base import AuthenticationFailed, Capabilities, Config, Driver, InvalidRequest, ProviderError
from providers.hcloud.api import Api
from providers.hcloud.clones import HcloudClones
from providers.hcloud.config import HcloudConfig
from providers.hcloud.consoles import HcloudConsoles
from providers.hcloud.disks import HcloudDisks
from providers.hcloud.dns import HcloudDns
from providers.hcloud.events import HcloudEvents
from providers.hcloud.firewalls import HcloudFirewalls
from providers.hcloud.flavors import HcloudFlavors
from providers.hcloud.host import HcloudHost
from providers.hcloud.images import HcloudImages
from providers.hcloud.load_balancers import HcloudLoadBalancers
from providers.hcloud.machines import HcloudMachines
from providers.hcloud.networks import HcloudNetworks
from providers.hcloud.nics import HcloudNics
from providers.hcloud.plugin import PLUGIN
from providers.hcloud.power import HcloudPower
from providers.hcloud.reshape import HcloudReshape
from providers.hcloud.snapshots import HcloudSnapshots
from providers.hcloud.subnets import HcloudSubnets
from providers.hcloud.volumes import HcloudVolumes


class HcloudDriver(Driver):
    """Facets over one session; `api` is open to tests: the count of calls."""

    machines: HcloudMachines
    power: HcloudPower
    reshape: HcloudReshape
    disks: HcloudDisks
    nics: HcloudNics
    snapshots: HcloudSnapshots
    clones: HcloudClones
    consoles: HcloudConsoles
    volumes: HcloudVolumes
    images: HcloudImages
    flavors: HcloudFlavors
    networks: HcloudNetworks
    subnets: HcloudSubnets
    firewalls: HcloudFirewalls
    dns: HcloudDns
    load_balancers: HcloudLoadBalancers
    host: HcloudHost
    events: HcloudEvents

    def __init__(self, config: Config) -> None:
        """Asks one question, so that a wrong token or address is known at once."""
        self.config = config if isinstance(config, HcloudConfig) else HcloudConfig.read(config.model_dump())
        self.api = api = Api(self.config)
        self.machines = HcloudMachines(api)
        self.power = HcloudPower(api)
        self.reshape = HcloudReshape(api)
        self.disks = HcloudDisks(api)
        self.nics = HcloudNics(api)
        self.snapshots = HcloudSnapshots(api)
        self.clones = HcloudClones(api)
        self.consoles = HcloudConsoles(api)
        self.volumes = HcloudVolumes(api)
        self.images = HcloudImages(api)
        self.flavors = HcloudFlavors(api)
        self.networks = HcloudNetworks(api)
        self.subnets = HcloudSubnets(api)
        self.firewalls = HcloudFirewalls(api)
        self.dns = HcloudDns(api)
        self.load_balancers = HcloudLoadBalancers(api)
        self.host = HcloudHost(api)
        self.events = HcloudEvents(api)
        try:
            self.ping()
        except BaseException:
            api.close()
            raise

    def probe(self) -> Capabilities:
        """Raises AuthenticationFailed for a token that may only read, InvalidRequest for a location that is not."""
        self._check_may_write()
        places = self.api.pages("locations")
        if self.config.location not in {place["name"] for place in places}:
            known = ", ".join(place["name"] for place in places)
            raise InvalidRequest(
                f"Hetzner has no location “{self.config.location}”; there are {known}.", field="location"
            )
        choices = {
            name: {row["name"]: row["name"] for row in self.api.pages(name)}
            for name in ("firewalls", "ssh_keys", "floating_ips", "placement_groups")
        }
        choices["placement_group"] = {"": "none", **choices.pop("placement_groups")}
        machines = PLUGIN.declares.machines.model_copy(
            update={
                "zones": {place["name"]: f"{place['city']}, {place['country']}" for place in places},
                "option_choices": choices,
                # What the project has none of is not offered.
                "option_refusals": {
                    name: "The project has none." for name, rows in choices.items() if not rows.keys() - {""}
                },
            }
        )
        return PLUGIN.declares.model_copy(update={"machines": machines})

    def _check_may_write(self) -> None:
        """The API does not tell what a token may, but refuses changes of what is not there with another error."""
        try:
            self.api.put("/ssh_keys/0", {"labels": {}})
        except AuthenticationFailed:
            raise
        except ProviderError as exc:
            if exc.code in {"unreachable", "rate_limited", "transient"}:
                raise

    def ping(self) -> None:
        self.api.get("/locations", per_page=1)

    def close(self) -> None:
        self.api.close()

    @property
    def is_alive(self) -> bool:
        return self.api.is_open
