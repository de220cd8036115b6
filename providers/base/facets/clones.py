"""Clones of a VM, images made from one, and VMs that become an image themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.errors import NotSupported
from providers.base.progress import QUIET, Progress
from providers.base.records import ImageRecord, VmRecord


class Clones(ABC):
    @abstractmethod
    def clone(
        self,
        external_id: str,
        name: str,
        *,
        full: bool = False,
        start: bool = False,
        portal_uuid: str = "",
        progress: Progress = QUIET,
    ) -> VmRecord:
        """A second VM with its own identity (MACs, uuid); raises AlreadyExists, Conflict when it must be stopped."""

    @abstractmethod
    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        """An image with the content of the first disk; raises Conflict while the VM runs."""

    def to_template(self, external_id: str) -> ImageRecord:
        """The VM becomes an image with its own name and is no VM any more, until `to_vm`; nothing is copied.

        Raises Conflict unless it is stopped, and for snapshots and disks that others share; AlreadyExists for a name
        that an image has; NotSupported where `CloneFeatures.template` was not probed.
        """
        raise NotSupported("VMs cannot become templates here; make an image of one.")

    def to_vm(self, image: str) -> VmRecord:
        """The image is the VM again that became it: stopped, with its size, disks, cards and identity.

        Raises NotFound for an image that is gone or never was a VM, Conflict while disks build on it.
        """
        raise NotSupported("There are no templates here; make a VM from the image.")
