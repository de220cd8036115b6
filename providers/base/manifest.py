"""The light manifest of a kind: its name, its config, what it declares, where its driver is. Imports no SDK."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module

from pydantic import BaseModel

from providers.base.capabilities import Capabilities
from providers.base.config import Config
from providers.base.driver import Driver
from providers.base.errors import NotSupported


class NoOptions(BaseModel, frozen=True, extra="forbid"):
    """For kinds whose VMs need nothing beyond VmSpec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One kind of provider, found by the registry as `PLUGIN` in `<folder>/plugin.py` or through an entry point."""

    kind: str
    label: str
    config: type[Config]
    declares: Capabilities
    driver: str
    """ "package.module:Class", imported only when a driver is opened."""
    options: type[BaseModel] = NoOptions
    """Model of `VmSpec.options`."""
    extra: str = ""
    """The extra of the project that brings the SDK, named in the sentence when the SDK is missing."""
    summary: str = ""
    """One sentence for the "add provider" page."""
    docs: str = ""
    icon: str = "server"
    aliases: tuple[str, ...] = field(default=())

    def open(self, config: Config) -> Driver:
        """Import the driver and connect; raises NotSupported without the SDK, else what connecting raises."""
        module_name, _, class_name = self.driver.partition(":")
        try:
            driver_class: type[Driver] = getattr(import_module(module_name), class_name)
        except ImportError as exc:
            # Our own files do not fit each other: they were changed below a portal that runs.
            if (exc.name or "").partition(".")[0] == "providers":
                raise NotSupported(
                    f"The driver for {self.label} does not fit the portal that runs. Restart the portal.",
                    detail=str(exc),
                ) from exc
            raise NotSupported(
                f"The library for {self.label} is not installed; install the extra “{self.extra or self.kind}”.",
                detail=str(exc),
            ) from exc
        return driver_class(config)
