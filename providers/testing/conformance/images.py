"""Images: brought in, listed, checked, deleted once, and never under a VM."""

from __future__ import annotations

from typing import Any

from providers.base import AlreadyExists, Conflict, DiskSpec, ImageRecord, ImageSpec, InvalidRequest, NotFound
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise

#: A digest that no file has.
WRONG = f"sha256:{'0' * 64}"


def added(lab: Lab, **changes: Any) -> ImageRecord:
    images = present(lab.driver.images)
    spec = ImageSpec.model_validate(
        {"name": lab.name("image"), "pool": lab.harness.pool, "path": str(lab.harness.image_file), **changes}
    )
    image = images.add(spec)
    if present(lab.can.images).delete:
        lab.undo(lambda: images.delete(image.external_id))
    return image


@promise(when=lambda can: can.images, given=lambda harness: harness.image or harness.iso)
def what_the_harness_names_is_listed(lab: Lab) -> None:
    listed = {image.external_id: image for image in present(lab.driver.images).list()}
    if lab.harness.image:
        assert not listed[lab.harness.image].is_iso
    if lab.harness.iso:
        assert listed[lab.harness.iso].is_iso


@promise(
    when=lambda can: can.images and can.images.add_from_file and can.images.delete,
    given=lambda harness: harness.image_file,
)
def an_image_from_a_file_is_listed_until_it_is_deleted(lab: Lab) -> None:
    images, image = present(lab.driver.images), added(lab)
    assert only(each for each in images.list() if each.external_id == image.external_id).name == lab.name("image")
    images.delete(image.external_id)
    assert image.external_id not in {each.external_id for each in images.list()}
    with refused(NotFound):
        images.delete(image.external_id)


@promise(
    when=lambda can: can.images and can.images.add_from_url and can.images.delete,
    given=lambda harness: harness.image_url,
)
def an_image_is_fetched_from_an_address(lab: Lab) -> None:
    image = added(lab, path="", url=lab.harness.image_url)
    assert image.external_id in {each.external_id for each in present(lab.driver.images).list()}


@promise(
    when=lambda can: can.images and can.images.add_from_file and can.images.delete,
    given=lambda harness: harness.image_file,
)
def a_taken_image_name_is_refused(lab: Lab) -> None:
    added(lab)
    with refused(AlreadyExists):
        added(lab)


@promise(when=lambda can: can.images and can.images.add_from_file, given=lambda harness: harness.image_file)
def a_file_that_is_not_what_it_should_be_is_refused(lab: Lab) -> None:
    with refused(InvalidRequest):
        added(lab, checksum=WRONG)
    remains = lab.leftovers()
    assert not remains, remains


@promise(
    when=lambda can: can.images and can.images.add_from_file and can.images.delete and can.machines.create_from_image,
    given=lambda harness: harness.image_file,
)
def an_image_is_not_deleted_under_a_vm(lab: Lab) -> None:
    images, image = present(lab.driver.images), added(lab)
    disk = DiskSpec(image=image.external_id, pool=lab.harness.pool, size_gib=lab.harness.min_disk_gib, thin=True)
    vm = lab.vm(disks=(disk,))
    with refused(Conflict):
        images.delete(image.external_id)
    assert image.external_id in {each.external_id for each in images.list()}
    lab.delete_vm(vm.external_id)
    images.delete(image.external_id)


@promise(when=lambda can: can.flavors)
def flavors_have_a_size(lab: Lab) -> None:
    flavors = present(lab.driver.flavors).list()
    assert flavors
    for flavor in flavors:
        assert flavor.name
        assert flavor.vcpus >= 1
        assert flavor.memory_mib >= 16
