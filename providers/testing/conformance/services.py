"""Services beside VMs: security groups, buckets, DNS, load balancers, and the host as a whole."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from providers.base import (
    AlreadyExists,
    Conflict,
    DnsSpec,
    FirewallRule,
    FirewallSpec,
    LoadBalancerSpec,
    NotFound,
)
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise


@promise(when=lambda can: can.firewalls)
def a_security_group_lives_changes_and_goes(lab: Lab) -> None:
    firewalls = present(lab.driver.firewalls)
    spec = FirewallSpec(name=lab.name("group"), rules=(FirewallRule(from_port=22, to_port=22),))
    group = firewalls.create(spec)
    lab.undo(lambda: firewalls.delete(group.external_id))
    assert only(each for each in firewalls.list() if each.external_id == group.external_id).rules == spec.rules
    with refused(AlreadyExists):
        firewalls.create(spec)
    wider = (FirewallRule(from_port=80, to_port=90, cidr="10.0.0.0/8"),)
    firewalls.update(group.external_id, spec.model_copy(update={"rules": wider}))
    assert only(each for each in firewalls.list() if each.external_id == group.external_id).rules == wider
    firewalls.delete(group.external_id)
    assert group.external_id not in {each.external_id for each in firewalls.list()}
    with refused(NotFound):
        firewalls.delete(group.external_id)


@promise(when=lambda can: can.buckets)
def a_bucket_keeps_bytes_as_they_are(lab: Lab) -> None:
    buckets, name = present(lab.driver.buckets), lab.name("bucket")
    buckets.create(name)
    lab.undo(lambda: buckets.delete(name))
    assert name in buckets.list()
    with refused(AlreadyExists):
        buckets.create(name)
    data = bytes(range(256))
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "all.bin").write_bytes(data)
        key = buckets.upload(name, folder / "all.bin")
        assert list(buckets.list_files(name)) == [key]
        with refused(Conflict):
            buckets.delete(name)
        (folder / "all.bin").unlink()
        assert buckets.download(name, key, folder).read_bytes() == data
    buckets.delete_file(name, key)
    with refused(NotFound):
        buckets.delete_file(name, key)
    buckets.delete(name)
    assert name not in buckets.list()
    with refused(NotFound):
        buckets.delete(name)


@promise(when=lambda can: can.dns, given=lambda harness: harness.dns_zone)
def a_name_is_reserved_and_given_back(lab: Lab) -> None:
    dns, zone = present(lab.driver.dns), lab.harness.dns_zone
    spec = DnsSpec(zone=zone, name=lab.name("host"), data="192.0.2.7")
    dns.reserve(spec)
    lab.undo(lambda: dns.delete(zone, spec.name))
    assert zone in dns.zones()
    assert only(row for row in dns.list(zone) if row.name == spec.name).data == "192.0.2.7"
    with refused(AlreadyExists):
        dns.reserve(spec)
    dns.reserve(spec.model_copy(update={"data": "192.0.2.8"}), force=True)
    assert only(row for row in dns.list(zone) if row.name == spec.name).data == "192.0.2.8"
    dns.delete(zone, spec.name)
    assert spec.name not in {row.name for row in dns.list(zone)}
    with refused(NotFound):
        dns.delete(zone, spec.name)
    with refused(NotFound):
        dns.list("no-such-zone.test")


@promise(when=lambda can: can.load_balancers)
def a_load_balancer_stands_before_a_vm(lab: Lab) -> None:
    # Some clouds take only running VMs as targets.
    balancers, vm = present(lab.driver.load_balancers), lab.vm(start=lab.can.power is not None)
    spec = LoadBalancerSpec(name=lab.name("balancer"), ports=(80, 443), targets=(vm.external_id,))
    balancer = balancers.create(spec)
    lab.undo(lambda: balancers.delete(balancer.external_id))
    listed = only(each for each in balancers.list() if each.external_id == balancer.external_id)
    assert (listed.name, listed.ports, listed.targets) == (spec.name, spec.ports, spec.targets)
    with refused(AlreadyExists):
        balancers.create(spec)
    balancers.delete(balancer.external_id)
    assert balancer.external_id not in {each.external_id for each in balancers.list()}
    with refused(NotFound):
        balancers.delete(balancer.external_id)


@promise(when=lambda can: can.host)
def the_host_tells_what_it_is(lab: Lab) -> None:
    before = present(lab.driver.host).info()
    assert before.name
    json.dumps(dict(before.details))
    lab.vm()
    after = present(lab.driver.host).info()
    if before.vms_total is not None and after.vms_total is not None:
        # Others may make and delete VMs at the same provider meanwhile, but ours is among them.
        assert after.vms_total >= 1
    if after.memory_total_mib and after.memory_used_mib is not None:
        assert 0 <= after.memory_used_mib <= after.memory_total_mib
