"""The catalogue of images that vendors publish: read once from catalogue.toml, which is data and nothing else."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from storage.image_names import name_from

_FILE = Path(__file__).with_suffix(".toml")


class Entry(BaseModel):
    """One image of a vendor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    title: str
    os: str
    url: str = Field(pattern=r"^https://")
    #: Every entry says where its checksum is: what is offered to everybody must be genuine.
    checksum_url: str = Field(pattern=r"^https://")
    default_user: str = ""
    min_memory_mib: int = 512
    min_disk_gib: int = 0
    is_iso: bool = False

    @property
    def name(self) -> str:
        """What its volume is called."""
        return name_from(self.url)

    @property
    def vendor(self) -> str:
        """The host that it comes from."""
        return urlsplit(self.url).hostname or ""


@functools.cache
def catalogue() -> dict[str, Entry]:
    """Entries by their keys, in the order of the file."""
    content = tomllib.loads(_FILE.read_text())
    return {key: Entry(key=key, **values) for key, values in content.items()}
