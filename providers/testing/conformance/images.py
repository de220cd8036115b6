"""Images: brought in, listed, checked, deleted once, and never under a VM."""

from __future__ import annotations

import hashlib
import struct
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
    given=lambda harness: harness.image_file and not harness.copies_images,
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


def in_pieces(lab: Lab, content: bytes, *, portal_uuid: str = "") -> tuple[str, ImageSpec]:
    """Everything but the last piece is written twice, as after a line that broke."""
    images = present(lab.driver.images)
    spec = ImageSpec(name=lab.name("upload"), pool=lab.harness.pool, portal_uuid=portal_uuid)
    key = images.begin(spec, len(content))
    lab.undo(lambda: images.discard(key))
    half = len(content) // 2
    for _ in range(2):
        assert images.write(key, 0, iter([content[: half // 2], content[half // 2 : half]])) == half
    assert images.write(key, half, iter([content[half:]])) == len(content) - half
    return key, spec


def file_content(lab: Lab) -> bytes:
    assert lab.harness.image_file is not None
    return lab.harness.image_file.read_bytes()


def called(lab: Lab, name: str) -> list[ImageRecord]:
    return [image for image in present(lab.driver.images).list() if image.name == name]


@promise(
    when=lambda can: can.images and can.images.upload and can.images.delete, given=lambda harness: harness.image_file
)
def an_image_in_pieces_is_listed_when_it_is_finished(lab: Lab) -> None:
    images, content = present(lab.driver.images), file_content(lab)
    key, spec = in_pieces(lab, content, portal_uuid="mine")
    assert called(lab, spec.name) == []
    assert [one.portal_uuid for one in images.unfinished() if one.key == key] == ["mine"]
    digest = hashlib.sha256(content).hexdigest()
    image = images.finish(key, spec.model_copy(update={"checksum": f"sha256:{digest}"}))
    lab.undo(lambda: images.delete(image.external_id))
    assert only(called(lab, spec.name)).external_id == image.external_id
    assert key not in {one.key for one in images.unfinished()}
    if present(lab.can.images).download:
        as_uploaded = b"".join(images.read(image.external_id)) == content
        assert as_uploaded, "What is read is not what was uploaded."
    # What is finished is not discarded by mistake.
    images.discard(key)
    assert called(lab, spec.name)
    with refused(NotFound):
        images.write(key, 0, iter([b"late"]))


@promise(when=lambda can: can.images and can.images.upload, given=lambda harness: harness.image_file)
def pieces_that_are_no_image_are_not_listed(lab: Lab) -> None:
    images = present(lab.driver.images)
    key, spec = in_pieces(lab, file_content(lab))
    with refused(InvalidRequest):
        images.finish(key, spec.model_copy(update={"checksum": WRONG}))
    assert called(lab, spec.name) == []
    overlay = b"QFI\xfb" + struct.pack(">IQIIQI", 3, 512, 11, 16, 1 << 30, 0)
    images.write(key, 0, iter([overlay.ljust(512, b"\0") + b"/etc/passwd"]))
    with refused(InvalidRequest):
        images.finish(key, spec)
    assert called(lab, spec.name) == []


@promise(when=lambda can: can.images and can.images.upload, given=lambda harness: harness.image_file)
def a_discarded_image_is_gone_and_its_name_is_free(lab: Lab) -> None:
    images = present(lab.driver.images)
    key, spec = in_pieces(lab, file_content(lab))
    for _ in range(2):
        images.discard(key)
    assert spec.name not in {one.name for one in images.unfinished()}
    with refused(NotFound):
        images.write(key, 0, iter([b"late"]))
    again = images.begin(spec, 10)
    lab.undo(lambda: images.discard(again))


@promise(when=lambda can: can.images and can.images.upload, given=lambda harness: harness.image_file)
def only_the_same_wish_begins_again_what_was_left_behind(lab: Lab) -> None:
    images = present(lab.driver.images)
    _, spec = in_pieces(lab, file_content(lab), portal_uuid="mine")
    with refused(AlreadyExists):
        images.begin(spec.model_copy(update={"portal_uuid": "another"}), 10)
    key = images.begin(spec, 10)
    lab.undo(lambda: images.discard(key))
    assert [one.portal_uuid for one in images.unfinished() if one.name == spec.name] == ["mine"]


@promise(when=lambda can: can.flavors)
def flavors_have_a_size(lab: Lab) -> None:
    flavors = present(lab.driver.flavors).list()
    assert flavors
    for flavor in flavors:
        assert flavor.name
        assert flavor.vcpus >= 1
        assert flavor.memory_mib >= 16
