"""`create`: heading 1.2 of the contract. Every parameter is honoured, or is a failure that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import CloudInit, DnsSpec, GuestUser, InvalidRequest, NotSupported, ProviderError, VmRecord, VmSpec
from providers.kcontract.core import Result, called, changes, spec_of, whole_number
from providers.kcontract.dns import dns_specs, reserve_all, types_of
from providers.kcontract.forms import (
    DiskDefaults,
    DiskForm,
    FileForm,
    NetDefaults,
    NetForm,
    disk_spec,
    guest_file,
    nic_specs,
)
from providers.kcontract.option_forms import expanded, shaped
from providers.kcontract.reservations import Reservations

#: What `overrides` may hold beside the typed options of the kind.
OVERRIDES = frozenset(
    {"description", "information", "firmware", "uefi", "zone", "az", "userdata", "packages", "portal_uuid", "options"}
)
#: Parameters that only some kinds have, as options of other names.
OPTION_NAMES = {
    "virttype": ("virt_type",),
    "cpumodel": ("cpu_model",),
    "cpuflags": ("cpu_flags",),
    "cpupinning": ("pinning", "cpu_pinning"),
    "cpuhotplug": ("cpu_hotplug",),
    "memoryhotplug": ("memory_hotplug",),
    "numamode": ("numa_mode",),
    "pcidevices": ("pci_devices",),
    "sharedfolders": ("shares", "shared_folders"),
    "vncpassword": ("vnc_password",),
    "securitygroups": ("firewalls", "security_groups"),
    "guestid": ("guest_id",),
    "guestagent": ("agent", "guest_agent"),
    "cmdline": ("kernel_args",),
}


class Creation(Reservations):
    """Making VMs."""

    @changes
    def create(
        self,
        name: str,
        virttype: str | None = None,
        profile: str = "",
        flavor: str | None = None,
        plan: str = "kvirt",
        cpumodel: str = "host-model",
        cpuflags: Sequence[Any] = (),
        cpupinning: Sequence[Any] = (),
        numcpus: int = 2,
        memory: int = 512,
        guestid: str = "guestrhel764",
        pool: str = "default",
        image: str | None = None,
        disks: Sequence[DiskForm] = ({"size": 10},),
        disksize: int = 10,
        diskthin: bool = True,
        diskinterface: str = "virtio",
        nets: Sequence[NetForm] = ("default",),
        iso: str | None = None,
        vnc: bool = True,
        vncpassword: str | None = None,
        cloudinit: bool = True,
        reserveip: bool = False,
        reservedns: bool = False,
        reservehost: bool = False,
        start: bool = True,
        keys: Sequence[str] = (),
        cmds: Sequence[str] = (),
        ips: Sequence[str] | None = None,
        netmasks: Sequence[str] | None = None,
        gateway: str | None = None,
        nested: bool = True,
        dns: str | Sequence[str] | None = None,
        domain: str | None = None,
        tunnel: bool = False,
        files: Sequence[FileForm] = (),
        enableroot: bool = True,
        overrides: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        storemetadata: bool = False,
        sharedfolders: Sequence[Any] = (),
        cmdline: str | None = None,
        placement: Sequence[Any] = (),
        autostart: bool = False,
        cpuhotplug: bool = False,
        memoryhotplug: bool = False,
        numamode: str | None = None,
        numa: Sequence[Any] = (),
        pcidevices: Sequence[Any] = (),
        tpm: bool = False,
        rng: bool = False,
        metadata: Mapping[str, Any] | None = None,
        securitygroups: Sequence[str] = (),
        vmuser: str | None = None,
        guestagent: bool = True,
        alias: Sequence[str] = (),
    ) -> Result | None:
        """Makes a VM from names: the image, networks and pool as they are called.

        Parameters that the kind has no word for are a failure unless they hold their default, which means "as the
        provider likes". `docs/kbase.md` lists what is honoured.
        """
        overrides = dict(overrides or {})
        # Where a demand is the default it leaves the choice to the provider; anything else is a demand.
        demands: dict[str, Any] = {
            "virttype": virttype,
            "cpumodel": cpumodel if cpumodel != "host-model" else None,
            "cpuflags": cpuflags,
            "cpupinning": cpupinning,
            "guestid": guestid if guestid != "guestrhel764" else None,
            "vncpassword": vncpassword,
            "tunnel": tunnel,
            "sharedfolders": sharedfolders,
            "cmdline": cmdline,
            "placement": placement,
            "cpuhotplug": cpuhotplug,
            "memoryhotplug": memoryhotplug,
            "numamode": numamode,
            "numa": numa,
            "pcidevices": pcidevices,
            "tpm": tpm,
            "rng": rng,
            "securitygroups": securitygroups,
        }
        negations: dict[str, bool] = {"vnc": vnc, "nested": nested, "guestagent": guestagent}
        addresses = list(ips or ())
        if reserveip and not addresses and not any(isinstance(net, Mapping) and net.get("ip") for net in nets):
            raise NotSupported("An address can only be reserved by naming it (ips).", field="reserveip")
        image_id = self.image_id(image) if image else ""
        # A size given for the VM counts where its disks do not tell their own.
        defaults = DiskDefaults(
            size_gib=whole_number(disksize, "disksize"),
            pool=self.pool_id(pool),
            thin=diskthin,
            interface=diskinterface if diskinterface != "virtio" else "",
        )
        init = None
        if cloudinit:
            init = self._cloud_init(
                name, image_id, keys=keys, cmds=cmds, files=files, domain=domain, enableroot=enableroot, vmuser=vmuser
            )
            user_data = str(overrides.get("userdata") or "")
            packages = tuple(overrides.get("packages") or ())
            if user_data or packages:
                init = (init or CloudInit(hostname=name)).model_copy(
                    update={"user_data": user_data, "packages": packages}
                )
        elif keys or cmds or files or overrides.get("userdata"):
            raise InvalidRequest("Keys, commands and files need cloudinit.", field="cloudinit")
        if init is not None and not self.can.machines.cloud_init:
            if keys or cmds or files or vmuser or overrides.get("userdata") or overrides.get("packages"):
                raise NotSupported("This provider cannot hand first-boot data to a guest.", field="cloudinit")
            init = None
        spec = spec_of(
            VmSpec,
            name=name,
            portal_uuid=str(overrides.get("portal_uuid") or ""),
            vcpus=whole_number(numcpus, "numcpus"),
            memory_mib=whole_number(memory, "memory"),
            flavor=self._flavor_id(flavor) if flavor else "",
            disks=tuple(
                disk_spec(self, form, defaults, image_id if number == 0 else "") for number, form in enumerate(disks)
            ),
            nics=nic_specs(
                self,
                nets,
                NetDefaults(
                    ips=addresses,
                    netmasks=list(netmasks or ()),
                    gateway=gateway or "",
                    dns=(dns,) if isinstance(dns, str) else tuple(dns or ()),
                ),
            ),
            iso=self.image_id(iso) if iso else "",
            cloud_init=init,
            start=start,
            autostart=autostart,
            firmware=str(overrides.get("firmware") or ("uefi" if overrides.get("uefi") else "")),
            description=str(overrides.get("description") or overrides.get("information") or ""),
            metadata=self._metadata(plan, profile, image, domain if reservedns else None, metadata),
            tags=tuple(tags),
            zone=str(overrides.get("zone") or overrides.get("az") or ""),
            options=self._options(
                demands, negations, overrides, whole_number(numcpus, "numcpus"), whole_number(memory, "memory")
            ),
        )
        del storemetadata  # Metadata is always stored.
        if alias and not reservedns:
            raise NotSupported("Aliases need reservedns and a domain.", field="alias")
        names = self._dns_records(spec, domain, alias) if reservedns else ()
        hosts = self._fixed_addresses(spec) if reservehost else ()
        vm = self.driver.machines.create(spec)
        self._reserve_names(vm, names)
        self._enter_hosts(vm, hosts, domain)
        return {"vm": vm.name}

    # -- parts ------------------------------------------------------------------------------------------------------

    def _flavor_id(self, name: str) -> str:
        flavors = self.facet(self.driver.flavors, "flavors")
        return called(flavors.list(), name, "flavor").external_id

    def _cloud_init(
        self,
        name: str,
        image_id: str,
        *,
        keys: Sequence[str],
        cmds: Sequence[str],
        files: Sequence[FileForm],
        domain: str | None,
        enableroot: bool,
        vmuser: str | None,
    ) -> CloudInit | None:
        """First-boot data; None for a VM without image that was told nothing, since nobody would read it."""
        if not (image_id or keys or cmds or files or vmuser):
            return None
        users = []
        if vmuser:
            users.append(GuestUser(name=vmuser, ssh_keys=tuple(keys)))
        if enableroot and keys:
            users.append(GuestUser(name="root", ssh_keys=tuple(keys), sudo=False))
        return spec_of(
            CloudInit,
            hostname=name,
            domain=domain or "",
            ssh_keys=tuple(keys),
            users=tuple(users),
            commands=tuple(cmds),
            files=tuple(guest_file(form, self.files) for form in files),
        )

    @staticmethod
    def _metadata(
        plan: str, profile: str, image: str | None, domain: str | None, metadata: Mapping[str, Any] | None
    ) -> dict[str, str]:
        found = {"plan": plan, "profile": profile, "domain": domain, **(metadata or {})}
        del image  # The provider remembers the image itself.
        return {key: str(value) for key, value in found.items() if value not in (None, "")}

    def _options(
        self,
        demands: Mapping[str, Any],
        negations: Mapping[str, bool],
        overrides: Mapping[str, Any],
        vcpus: int,
        memory_mib: int,
    ) -> dict[str, Any]:
        """The kind's own options, from its typed model; what it has no field for is refused."""
        known = set(self.plugin.options.model_fields) if self.plugin is not None else set()
        options: dict[str, Any] = dict(overrides.get("options") or {})
        wanted = {key: value for key, value in demands.items() if value not in (None, False, "") and value != ()}
        wanted = {key: value for key, value in wanted.items() if value != []}
        wanted |= {key: value for key, value in negations.items() if not value}
        wanted |= {key: value for key, value in overrides.items() if key not in OVERRIDES and value is not None}
        most = self.driver.host.info().memory_total_mib or 0 if "memoryhotplug" in wanted and self.driver.host else 0
        wanted = expanded(wanted, known, vcpus=vcpus, memory_mib=memory_mib, most_mib=most)
        for given, raw in wanted.items():
            key, value = shaped(given, raw, known)
            field = next((each for each in (key, *OPTION_NAMES.get(key, ())) if each in known), None)
            if field is None:
                raise NotSupported(f"“{key}” cannot be honoured by this provider.", field=key)
            options[field] = list(value) if isinstance(value, tuple) else value
        return options

    def _dns_records(self, spec: VmSpec, domain: str | None, alias: Sequence[str]) -> list[DnsSpec]:
        """The names to be reserved, checked before the VM is made."""
        self.facet(self.driver.dns, "DNS")
        address = next((nic.address.partition("/")[0] for nic in spec.nics if nic.address), "")
        if not domain or not address:
            raise NotSupported(
                "A name is reserved at creation only with a domain and a fixed address.", field="reservedns"
            )
        return dns_specs(domain, spec.name, address, alias, types_of(self.can))

    def _fixed_addresses(self, spec: VmSpec) -> list[tuple[str, str]]:
        """Network and address of each card that has one of its own, checked before the VM is made."""
        self._refuse_hosts()
        found = [(nic.network, nic.address.partition("/")[0]) for nic in spec.nics if nic.address]
        if not found:
            raise NotSupported("A host is entered at creation only with a fixed address.", field="reservehost")
        return found

    def _enter_hosts(self, vm: VmRecord, hosts: Sequence[tuple[str, str]], domain: str | None) -> None:
        try:
            for network, address in hosts:
                self._enter_host(network, address, vm.name, domain)
        except ProviderError:
            self.driver.machines.delete(vm.external_id)
            raise

    def _reserve_names(self, vm: VmRecord, names: Sequence[DnsSpec]) -> None:
        """Without its names the VM is not wanted either."""
        if self.driver.dns is None:
            return
        try:
            reserve_all(self.driver.dns, names)
        except ProviderError:
            self.driver.machines.delete(vm.external_id)
            raise
