"""Images and flavors: heading 1.5 of the contract, second half."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from providers.base import ImageSpec, NotSupported
from providers.kcontract.core import Core, Info, Result, called, changes, spec_of


class Images(Core):
    """What VMs start from, and their sizes."""

    def volumes(self, iso: bool = False, extended: bool = False) -> list[str] | list[Info]:
        """Names of the images, or of the ISO images; `extended` answers dicts with name, id, description, type and
        architecture."""
        if self.driver.images is None:
            return []
        images = sorted((each for each in self.driver.images.list() if each.is_iso is iso), key=lambda each: each.name)
        if not extended:
            return [image.name for image in images]
        return [
            {
                "name": image.name,
                "id": image.external_id,
                "description": image.os,
                "type": "iso" if image.is_iso else image.format,
                "architecture": "",
            }
            for image in images
        ]

    @changes
    def add_image(
        self,
        url: str,
        pool: str | None,
        short: str | None = None,
        cmds: Sequence[str] = (),
        name: str | None = None,
        size: int | None = None,
        convert: bool = False,
    ) -> Result | None:
        """Fetches an image from an address or a local path. One of that name that is there already is a success with
        `found`. Running commands in it, resizing and converting it cannot be honoured."""
        for wish, value in (("cmds", cmds), ("size", size), ("convert", convert)):
            if value:
                raise NotSupported(f"“{wish}” of an image cannot be honoured.", field=wish)
        images = self.facet(self.driver.images, "images")
        wanted = name or short or PurePosixPath(urlsplit(url).path).name
        if any(image.name == wanted for image in images.list()):
            return {"found": True, "image": wanted}
        where = {"url": url} if "://" in url else {"path": url}
        spec = spec_of(ImageSpec, name=wanted, pool=self.pool_id(pool), is_iso=wanted.endswith(".iso"), **where)
        return {"image": images.add(spec).name}

    @changes
    def delete_image(self, image: str, pool: str | None = None) -> Result | None:
        images, pool_id = self.facet(self.driver.images, "images"), self.pool_id(pool)
        inside = [each for each in images.list() if not pool_id or each.pool == pool_id]
        images.delete(called(inside, image, "image").external_id)
        return None

    def list_flavors(self) -> list[list[Any]]:
        """Rows of [name, vCPUs, memory in MiB]; empty where sizes are free."""
        flavors = self.driver.flavors.list() if self.driver.flavors is not None else ()
        return [[flavor.name, flavor.vcpus, flavor.memory_mib] for flavor in flavors]

    def info_flavor(self, name: str) -> Info:
        """{"cpus", "memory"}, {} when there is none of that name."""
        flavors = self.driver.flavors.list() if self.driver.flavors is not None else ()
        found = next((flavor for flavor in flavors if flavor.name == name), None)
        return {"cpus": found.vcpus, "memory": found.memory_mib} if found is not None else {}
