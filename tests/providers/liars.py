"""Drivers that break one promise each, made by bending the simulated cloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import SecretStr

from providers.base import (
    QUIET,
    Cancelled,
    Config,
    Driver,
    GuestRecord,
    ImageRecord,
    NetworkRecord,
    NetworkSpec,
    NicChange,
    NicSpec,
    NotFound,
    NotSupported,
    PowerState,
    Progress,
    ProviderError,
    Rejected,
    SnapshotFeatures,
    SnapshotRecord,
    StaticLease,
    ViewerConsole,
    VmRecord,
    VmSample,
    VmSpec,
)
from providers.fake.driver import FakeDriver
from providers.fake.plugin import CAPABILITIES
from providers.fake.state import Network, Vm, Volume
from providers.testing import present
from tests.providers.bending import Lie, bend
from tests.providers.network_liars import leaves_names_behind, takes_away_the_names_of_others
from tests.providers.storage_liars import (
    believes_every_checksum,
    copies_with_an_overlay,
    discards_only_once,
    forgets_the_cache,
    gives_away_what_is_taken,
    lets_anybody_begin_again,
    lists_half_images,
    shrinks_disks,
    switches_pools_off_under_vms,
    tears_volumes_out_of_vms,
    writes_at_the_beginning,
)

T = TypeVar("T")


class Recklessly:
    """A reporter that passes reports on but never stops."""

    def __init__(self, inner: Progress) -> None:
        self.inner = inner

    def report(self, percent: int, sentence: str) -> None:
        self.inner.report(percent, sentence)

    def checkpoint(self) -> None:
        try:
            self.inner.checkpoint()
        except Cancelled:
            return


def claims_too_much(driver: FakeDriver) -> None:
    driver.snapshots = None


def claims_too_little(driver: FakeDriver) -> None:
    bend(driver, probe=lambda: CAPABILITIES.model_copy(update={"snapshots": None}))


def claims_a_feature_less(driver: FakeDriver) -> None:
    features = SnapshotFeatures(memory=False, while_running=True, tree=True)
    bend(driver, probe=lambda: CAPABILITIES.model_copy(update={"snapshots": features}))


def shows_its_password(driver: FakeDriver) -> None:
    password = driver.config.password or SecretStr("")

    class Open(type(driver)):  # type: ignore[misc]
        def __repr__(self) -> str:
            return f"<FakeDriver {password.get_secret_value()}>"

    driver.__class__ = Open


def stays_alive(driver: FakeDriver) -> None:
    class Undead(type(driver)):  # type: ignore[misc]
        @property
        def is_alive(self) -> bool:
            return True

    driver.__class__ = Undead


# -- about VMs ----------------------------------------------------------------------------------------------------


def start_does_nothing(driver: FakeDriver) -> None:
    def start(external_id: str, progress: Progress = QUIET) -> VmRecord:
        return replace(driver.machines.get(external_id), power=PowerState.RUNNING)

    bend(driver.power, start=start)


def stop_answers_with_the_old_state(driver: FakeDriver) -> None:
    honest = present(driver.power).stop

    def stop(external_id: str, **how: Any) -> VmRecord:
        before = driver.machines.get(external_id)
        honest(external_id, **how)
        return before

    bend(driver.power, stop=stop)


def deletes_without_complaint(driver: FakeDriver) -> None:
    honest = driver.machines.delete

    def delete(external_id: str, **how: Any) -> None:
        try:
            honest(external_id, **how)
        except NotFound:
            return

    bend(driver.machines, delete=delete)


def deletes_nothing(driver: FakeDriver) -> None:
    def delete(external_id: str, **how: Any) -> None:
        driver.machines.get(external_id)

    bend(driver.machines, delete=delete)


def leaves_disks_behind(driver: FakeDriver) -> None:
    honest = driver.machines.delete

    def delete(external_id: str, **how: Any) -> None:
        honest(external_id, **{**how, "keep_disks": True})

    bend(driver.machines, delete=delete)


def deletes_a_foreign_disk(driver: FakeDriver) -> None:
    honest = driver.machines.delete

    def delete(external_id: str, **how: Any) -> None:
        disks = [disk.volume for disk in driver.machines.get(external_id).disks or ()]
        honest(external_id, **how)
        with driver.cloud.store.writing() as tx:
            for volume in tx.all(Volume):
                if volume.id in disks:
                    tx.drop(volume)
                    for vm in tx.all(Vm):
                        vm.disks = [disk for disk in vm.disks if disk.volume != volume.id]
                        tx.put(vm)

    bend(driver.machines, delete=delete)


def mangles_names(driver: FakeDriver) -> None:
    honest = driver.machines.create

    def create(spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        name = "".join(each if each.isalnum() or each in "-._" else "_" for each in spec.name)
        return honest(spec.model_copy(update={"name": name}), progress)

    bend(driver.machines, create=create)


def forgets_whose_job_it_was(driver: FakeDriver) -> None:
    honest = driver.machines.create

    def create(spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        return honest(spec.model_copy(update={"portal_uuid": ""}), progress)

    bend(driver.machines, create=create)


def goes_on_when_cancelled(driver: FakeDriver) -> None:
    honest = driver.machines.create
    bend(driver.machines, create=lambda spec, progress=QUIET: honest(spec, Recklessly(progress)))


def leaves_a_half_made_vm(driver: FakeDriver) -> None:
    honest = driver.machines.create

    def create(spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        try:
            return honest(spec, progress)
        except (ProviderError, Cancelled):
            driver.cloud.clear_faults()
            honest(spec.model_copy(update={"name": f"{spec.name}-half"}))
            raise

    bend(driver.machines, create=create)


def asks_for_each_vm(driver: FakeDriver) -> None:
    honest = driver.machines.list

    def every() -> Sequence[VmRecord]:
        return [driver.machines.get(vm.external_id) for vm in honest()]

    bend(driver.machines, list=every)


# -- about the rest -----------------------------------------------------------------------------------------------


def snapshots_are_thin_air(driver: FakeDriver) -> None:
    def create(external_id: str, name: str, **how: Any) -> SnapshotRecord:
        driver.machines.get(external_id)
        return SnapshotRecord(external_id=name, name=name)

    bend(driver.snapshots, create=create)


def going_back_changes_nothing(driver: FakeDriver) -> None:
    def revert(external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        present(driver.snapshots).list(external_id)
        return driver.machines.get(external_id)

    bend(driver.snapshots, revert=revert)


def keeps_external_snapshots_inside(driver: FakeDriver) -> None:
    honest = present(driver.snapshots).create

    def create(external_id: str, name: str, *, external: bool = False, **how: Any) -> SnapshotRecord:
        return honest(external_id, name, **how)

    bend(driver.snapshots, create=create)


def deletes_what_came_after_a_snapshot(driver: FakeDriver) -> None:
    honest = present(driver.snapshots).delete

    def delete(external_id: str, name: str, progress: Progress = QUIET) -> None:
        present(driver.snapshots).revert(external_id, name)
        honest(external_id, name)

    bend(driver.snapshots, delete=delete)


def clones_anew_each_time(driver: FakeDriver) -> None:
    honest = present(driver.clones).clone

    def clone(external_id: str, name: str, *, portal_uuid: str = "", **how: Any) -> VmRecord:
        taken = {vm.name for vm in driver.machines.list()}
        return honest(external_id, name + "-2" * (name in taken), **how)

    bend(driver.clones, clone=clone)


def makes_templates_that_stay_vms(driver: FakeDriver) -> None:
    """A copy becomes the image, and the VM goes on."""
    clones = present(driver.clones)

    def to_template(external_id: str) -> ImageRecord:
        return clones.export(external_id, driver.machines.get(external_id).name)

    bend(clones, to_template=to_template)


def hears_no_cancel_while_cloning(driver: FakeDriver) -> None:
    honest = present(driver.clones).clone

    def clone(external_id: str, name: str, *, progress: Progress = QUIET, **how: Any) -> VmRecord:
        return honest(external_id, name, progress=Recklessly(progress), **how)

    bend(driver.clones, clone=clone)


def leaves_moved_vms_behind(driver: FakeDriver) -> None:
    honest = present(driver.migration).migrate

    def migrate(external_id: str, target: Driver, **how: Any) -> VmRecord:
        vm = driver.machines.get(external_id)
        record = honest(external_id, target, **how)
        with driver.cloud.store.writing() as tx:
            tx.put(Vm(id=external_id, name=vm.name))
        return record

    bend(driver.migration, migrate=migrate)


def stops_what_it_moves(driver: FakeDriver) -> None:
    honest = present(driver.migration).migrate

    def migrate(external_id: str, target: Driver, **how: Any) -> VmRecord:
        present(driver.power).stop(external_id, force=True)
        return honest(external_id, target, **how)

    bend(driver.migration, migrate=migrate)


def takes_what_has_moved_for_left(driver: FakeDriver) -> None:
    def discard(external_id: str, target: Driver) -> bool:
        del external_id
        for record in target.machines.list():
            target.machines.delete(record.external_id)
        return False

    bend(driver.migration, discard=discard)


def says_conflict_for_a_dead_line(driver: FakeDriver) -> None:
    honest = driver.machines.list

    def listing() -> Sequence[VmRecord]:
        try:
            return honest()
        except ProviderError as exc:
            raise Rejected("Something is wrong.") from exc

    bend(driver.machines, list=listing)


def shows_the_vendors_words(driver: FakeDriver) -> None:
    honest = driver.machines.list

    def listing() -> Sequence[VmRecord]:
        try:
            return honest()
        except ProviderError as exc:
            raise ProviderError(str(exc.__cause__)) from exc.__cause__

    bend(driver.machines, list=listing)


def an_empty_list_for_a_dead_line(driver: FakeDriver) -> None:
    honest = driver.machines.list

    def listing() -> Sequence[VmRecord]:
        try:
            return honest()
        except ProviderError:
            return ()

    bend(driver.machines, list=listing)


def tells_no_events(driver: FakeDriver) -> None:
    bend(driver.events, watch=lambda report, stop: stop.wait())


def tells_of_no_restart(driver: FakeDriver) -> None:
    honest = present(driver.events).watch
    bend(
        driver.events,
        watch=lambda report, stop: honest(lambda event: report(replace(event, restarted=False)), stop),
    )


def never_stops_watching(driver: FakeDriver) -> None:
    honest = present(driver.events).watch

    class Deaf:
        def wait(self, timeout: float | None = None) -> bool:
            driver.cloud.wait(timeout or 0.0)
            return False

    bend(driver.events, watch=lambda report, stop: honest(report, Deaf()))  # type: ignore[arg-type]


def opens_consoles_of_stopped_vms(driver: FakeDriver) -> None:
    honest = present(driver.consoles).open

    def opening(external_id: str, kind: Any) -> Any:
        if driver.machines.get(external_id).power is PowerState.STOPPED:
            running = next(vm for vm in driver.machines.list() if vm.power is PowerState.RUNNING)
            return honest(running.external_id, kind)
        return honest(external_id, kind)

    bend(driver.consoles, open=opening)


def hands_out_one_password_for_ever(driver: FakeDriver) -> None:
    honest = present(driver.consoles).open

    def opening(external_id: str, kind: Any) -> Any:
        target = honest(external_id, kind)
        return replace(target, password="the-same-every-time") if isinstance(target, ViewerConsole) else target

    bend(driver.consoles, open=opening)


def sends_no_viewer_away(driver: FakeDriver) -> None:
    bend(driver.consoles, close_viewer=lambda vm, ticket="": None)


def types_into_thin_air(driver: FakeDriver) -> None:
    bend(driver.consoles, send_keys=lambda vm, strokes, *, hold_ms=20: None)


def shows_an_empty_picture(driver: FakeDriver) -> None:
    honest = present(driver.consoles).screenshot
    bend(driver.consoles, screenshot=lambda vm: replace(honest(vm), data=b""))


def keeps_an_empty_output(driver: FakeDriver) -> None:
    bend(driver.consoles, output=lambda vm: b"")


def speaks_for_guests_that_are_off(driver: FakeDriver) -> None:
    bend(driver.machines, guest=lambda vm: GuestRecord(hostname=driver.machines.get(vm).name))


def finds_file_systems_on_strange_disks(driver: FakeDriver) -> None:
    honest = driver.machines.guest

    def dreaming(external_id: str) -> GuestRecord:
        told = honest(external_id)
        return replace(told, file_systems=tuple(replace(each, disks=("sdz",)) for each in told.file_systems or ()))

    bend(driver.machines, guest=dreaming)


def says_nothing_of_what_waits(driver: FakeDriver) -> None:
    set_vcpus = present(driver.reshape).set_vcpus
    bend(present(driver.reshape), set_vcpus=lambda vm, vcpus: replace(set_vcpus(vm, vcpus), pending=()))


def shows_what_is_to_come(driver: FakeDriver) -> None:
    set_vcpus = present(driver.reshape).set_vcpus
    bend(present(driver.reshape), set_vcpus=lambda vm, vcpus: replace(set_vcpus(vm, vcpus), vcpus=vcpus))


def takes_any_option(driver: FakeDriver) -> None:
    set_options = present(driver.reshape).set_options
    known = present(driver.reshape).options

    def leniently(vm: str, options: Any) -> VmRecord:
        return set_options(vm, {name: value for name, value in options.items() if name in known(vm).pending})

    bend(present(driver.reshape), set_options=leniently)


def takes_the_disk_with_the_first_boot_data(driver: FakeDriver) -> None:
    remove = present(driver.reshape).remove_cloud_init
    bend(present(driver.reshape), remove_cloud_init=lambda vm: replace(remove(vm), disks=()))


def makes_vms_anywhere(driver: FakeDriver) -> None:
    honest = driver.machines.create

    def create(spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        return honest(spec.model_copy(update={"zone": ""}), progress)

    bend(driver.machines, create=create)


def clones_share_their_cards(driver: FakeDriver) -> None:
    honest = present(driver.clones).clone

    def clone(external_id: str, name: str, **how: Any) -> VmRecord:
        made = honest(external_id, name, **how)
        with driver.cloud.store.writing() as tx:
            copy = tx.get(Vm, made.external_id)
            copy.nics = tx.get(Vm, external_id).nics
            tx.put(copy)
        return made

    bend(driver.clones, clone=clone)


def measures_what_is_off(driver: FakeDriver) -> None:
    assert driver.metrics is not None
    honest = driver.metrics.sample

    def sample() -> Sequence[VmSample]:
        told = {each.external_id: each for each in honest()}
        now = datetime.now(UTC)
        return [
            told.get(vm.external_id, VmSample(external_id=vm.external_id, at=now, vcpus=1))
            for vm in driver.machines.list()
        ]

    bend(driver.metrics, sample=sample)


def counts_backwards(driver: FakeDriver) -> None:
    assert driver.metrics is not None
    honest, left = driver.metrics.sample, iter(range(1000, 0, -1))
    bend(driver.metrics, sample=lambda: [replace(each, net_rx_bytes=next(left)) for each in honest()])


def measures_one_by_one(driver: FakeDriver) -> None:
    assert driver.metrics is not None
    honest = driver.metrics.sample

    def sample() -> Sequence[VmSample]:
        told = honest()
        for each in told:
            driver.machines.get(each.external_id)
        return told

    bend(driver.metrics, sample=sample)


def keeps_addresses_in_words_only(driver: FakeDriver) -> None:
    networks = present(driver.networks)

    def reserve(external_id: str, lease: StaticLease) -> NetworkRecord:
        record = networks.get(external_id)
        return replace(record, leases=(*record.leases, lease))

    bend(networks, reserve=reserve)


def forgets_kept_addresses_at_an_update(driver: FakeDriver) -> None:
    networks = present(driver.networks)
    honest = networks.update

    def update(external_id: str, spec: NetworkSpec) -> NetworkRecord:
        return honest(external_id, spec.model_copy(update={"leases": spec.leases or ()}))

    bend(networks, update=update)


def switches_networks_off_under_vms(driver: FakeDriver) -> None:
    def set_active(external_id: str, active: bool) -> NetworkRecord:
        with driver.cloud.store.writing() as tx:
            network = tx.get(Network, external_id)
            network.is_active = active
            tx.put(network)
        return present(driver.networks).get(external_id)

    bend(driver.networks, set_active=set_active)


def changes_cards_in_words_only(driver: FakeDriver) -> None:
    nics = present(driver.nics)

    def update(external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        vm = driver.machines.get(external_id)
        wishes = {name: value for name, value in change.model_dump().items() if value is not None}
        return replace(vm, nics=tuple(replace(nic, **wishes) for nic in vm.nics or ()))

    bend(nics, update=update)


def adds_cards_twice(driver: FakeDriver) -> None:
    honest = present(driver.nics).add

    def add(external_id: str, nic: NicSpec) -> VmRecord:
        return honest(external_id, nic.model_copy(update={"mac": ""}))

    bend(driver.nics, add=add)


def promises_addresses_only(driver: FakeDriver) -> None:
    def give(external_id: str, nic_id: str) -> VmRecord:
        vm = driver.machines.get(external_id)
        nics = (replace(nic, public_address="203.0.113.7", addresses=("203.0.113.7",)) for nic in vm.nics or ())
        return replace(vm, nics=tuple(nics))

    bend(driver.nics, give_public_address=give)


def refuses_what_it_probed(driver: FakeDriver) -> None:
    def pause(external_id: str) -> VmRecord:
        raise NotSupported

    bend(driver.power, pause=pause)


#: Each liar with the promise that must find it out.
# -- about images -------------------------------------------------------------------------------------------------


LIARS: Sequence[tuple[Lie, str]] = (
    (claims_too_much, "honesty::a_facet_is_there_exactly_when_it_was_probed"),
    (claims_too_little, "honesty::a_facet_is_there_exactly_when_it_was_probed"),
    (claims_a_feature_less, "honesty::memory_is_not_promised_where_it_was_not_probed"),
    (shows_its_password, "honesty::secrets_are_not_shown"),
    (stays_alive, "honesty::a_closed_driver_is_not_alive_and_may_be_closed_again"),
    (start_does_nothing, "power::starting_a_stopped_vm_runs_it"),
    (stop_answers_with_the_old_state, "power::pulling_the_plug_stops_it"),
    (refuses_what_it_probed, "power::a_paused_vm_goes_on"),
    (deletes_without_complaint, "lifecycle::deleting_twice_is_not_found"),
    (deletes_nothing, "lifecycle::a_deleted_vm_is_gone"),
    (leaves_disks_behind, "steps::a_whole_life_leaves_nothing"),
    (deletes_a_foreign_disk, "disks::a_volume_of_two_vms_survives_the_end_of_one"),
    (mangles_names, "lifecycle::awkward_names_are_kept_exactly_or_refused"),
    (forgets_whose_job_it_was, "lifecycle::a_job_that_runs_twice_makes_one_vm"),
    (goes_on_when_cancelled, "steps::a_cancelled_creation_leaves_nothing"),
    (leaves_a_half_made_vm, "steps::a_failed_creation_leaves_nothing"),
    (asks_for_each_vm, "budget::a_list_costs_the_same_for_one_vm_and_for_many"),
    (snapshots_are_thin_air, "snapshots::a_snapshot_is_listed_with_its_time"),
    (going_back_changes_nothing, "snapshots::going_back_restores_what_was_on_the_disk"),
    (keeps_external_snapshots_inside, "snapshots::an_external_snapshot_is_one_among_the_others"),
    (deletes_what_came_after_a_snapshot, "snapshots::deleting_one_leaves_the_disk_and_the_others_as_they_are"),
    (clones_anew_each_time, "clones::a_clone_that_is_asked_for_twice_is_made_once"),
    (makes_templates_that_stay_vms, "clones::a_vm_becomes_a_template_and_the_same_vm_again"),
    (hears_no_cancel_while_cloning, "clones::a_cancelled_clone_leaves_nothing"),
    (leaves_moved_vms_behind, "migration::a_stopped_vm_moves"),
    (stops_what_it_moves, "migration::a_running_vm_goes_on_running_there"),
    (takes_what_has_moved_for_left, "migration::a_vm_that_has_moved_stays_there_when_what_is_left_is_discarded"),
    (shrinks_disks, "storage::a_volume_grows_and_never_shrinks"),
    (gives_away_what_is_taken, "disks::a_volume_of_one_vm_is_not_given_to_another"),
    (forgets_the_cache, "disks::a_disk_keeps_the_cache_that_was_asked_for"),
    (copies_with_an_overlay, "storage::a_copy_of_a_volume_stands_alone"),
    (writes_at_the_beginning, "storage::bytes_of_a_volume_are_written_and_read_where_they_were_asked_for"),
    (switches_pools_off_under_vms, "storage::a_pool_is_not_switched_off_under_a_running_vm"),
    (tears_volumes_out_of_vms, "storage::the_disk_of_a_vm_is_not_deleted_under_it"),
    (says_conflict_for_a_dead_line, "errors::a_lost_connection_is_unreachable"),
    (shows_the_vendors_words, "errors::an_unknown_error_leaves_with_its_cause"),
    (an_empty_list_for_a_dead_line, "errors::a_lost_connection_is_unreachable"),
    (tells_no_events, "events::a_vm_is_announced_when_it_comes_and_when_it_goes"),
    (tells_of_no_restart, "events::a_guest_that_begins_anew_is_announced_as_such"),
    (never_stops_watching, "events::a_watcher_stops_when_told"),
    (lists_half_images, "images::an_image_in_pieces_is_listed_when_it_is_finished"),
    (believes_every_checksum, "images::pieces_that_are_no_image_are_not_listed"),
    (discards_only_once, "images::a_discarded_image_is_gone_and_its_name_is_free"),
    (lets_anybody_begin_again, "images::only_the_same_wish_begins_again_what_was_left_behind"),
    (opens_consoles_of_stopped_vms, "consoles::a_stopped_vm_has_no_console"),
    (hands_out_one_password_for_ever, "consoles::a_viewer_gets_a_password_of_its_own_for_a_short_time"),
    (sends_no_viewer_away, "consoles::a_viewer_that_came_is_seen_and_is_sent_away_for_good"),
    (types_into_thin_air, "consoles::keys_are_pressed_on_a_running_vm_only"),
    (shows_an_empty_picture, "consoles::the_screen_of_a_running_vm_can_be_pictured"),
    (keeps_an_empty_output, "consoles::what_the_serial_line_said_is_some_of_it_or_a_conflict"),
    (
        speaks_for_guests_that_are_off,
        "guest::a_guest_tells_of_file_systems_that_its_disks_can_hold_or_nobody_answers",
    ),
    (
        finds_file_systems_on_strange_disks,
        "guest::a_guest_tells_of_file_systems_that_its_disks_can_hold_or_nobody_answers",
    ),
    (measures_what_is_off, "metrics::a_vm_that_is_on_is_measured_and_one_that_is_off_is_not"),
    (counts_backwards, "metrics::counters_of_a_vm_only_grow"),
    (measures_one_by_one, "metrics::measuring_costs_the_same_for_one_vm_and_for_many"),
    (leaves_names_behind, "networks::a_deleted_vm_takes_its_name_and_its_kept_address_along"),
    (takes_away_the_names_of_others, "networks::a_deleted_vm_takes_its_name_and_its_kept_address_along"),
    (keeps_addresses_in_words_only, "networks::an_address_is_kept_for_one_card_until_it_is_given_back"),
    (forgets_kept_addresses_at_an_update, "networks::what_is_wished_like_a_network_is_changes_nothing"),
    (switches_networks_off_under_vms, "networks::a_network_is_not_switched_off_under_a_running_vm"),
    (changes_cards_in_words_only, "nics::a_card_changes_in_every_way_that_was_probed"),
    (adds_cards_twice, "nics::a_card_is_added_once_and_a_mac_belongs_to_one"),
    (promises_addresses_only, "nics::a_public_address_is_given_once_and_taken_back"),
    (says_nothing_of_what_waits, "reshape::what_waits_for_the_next_start_is_told_and_comes"),
    (shows_what_is_to_come, "reshape::what_waits_for_the_next_start_is_told_and_comes"),
    (takes_any_option, "reshape::options_are_told_and_an_unknown_one_is_refused"),
    (takes_the_disk_with_the_first_boot_data, "reshape::first_boot_data_is_taken_away_once_and_the_disks_stay"),
    (makes_vms_anywhere, "lifecycle::a_vm_lies_in_the_zone_that_was_asked_for"),
    (clones_share_their_cards, "clones::a_full_clone_is_a_vm_of_its_own"),
)


def liar(lie: Lie) -> Callable[[Config], Driver]:
    """How to open a driver that tells this lie."""

    def connect(config: Config) -> Driver:
        driver = FakeDriver(config)
        lie(driver)
        return driver

    return connect
