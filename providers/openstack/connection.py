"""The connection: signing in to Keystone, reading its catalogue, saying what is wrong with either.

Only what the form says counts: neither the worker's environment nor a clouds.yaml of its machine is read.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from keystoneauth1 import exceptions as keystone
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.connection import Connection

from providers.base import AuthenticationFailed, InvalidRequest, ProviderError, Unreachable
from providers.openstack.config import OpenStackConfig
from providers.openstack.errors import translate, vendor_calls
from providers.openstack.service import Service

#: The newest of each service's microversions whose meaning this driver knows, and the oldest that it can do with.
#: 2.79: a disk is plugged in with word whether it goes with its VM (Train, 2019); 2.85: that word can be changed.
COMPUTE_OLDEST, COMPUTE_NEWEST = (2, 79), (2, 90)
#: 3.42: a volume grows while a VM has it (Pike); 3.59: the last of Train.
VOLUME_OLDEST, VOLUME_NEWEST = (3, 42), (3, 59)

#: Two clocks that differ more than this spoil tokens, which are good from one time to another.
_SKEW_S = 300
_HEX_ID = re.compile(r"[0-9a-f]{32}")


class Cloud:
    """One signed-in project. `volume`, `image` and so on are None where the catalogue does not have them."""

    def __init__(self, config: OpenStackConfig) -> None:
        """Raises Unreachable, AuthenticationFailed, InvalidRequest with the field that is wrong."""
        self.config = config
        self.is_open = True
        self._ca_fd: int | None = None
        self.cache: dict[str, tuple[float, Any]] = {}
        try:
            self.session = Session(auth=_plugin(config), verify=self._verify(), timeout=config.timeout_s)
            self.access = self._signed_in()
            self.project_id = str(self.access.project_id or "")
            self.region = self._region()
            self.sdk: Any = Connection(
                session=self.session, region_name=self.region or None, interface=config.interface, app_name="kvweb"
            )
            with vendor_calls():
                self._open_services()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.is_open = False
        session = getattr(self, "session", None)
        if session is not None:
            with suppress(Exception):
                session.session.close()
        # Last: the number may be another file's from here on.
        if self._ca_fd is not None:
            os.close(self._ca_fd)
            self._ca_fd = None

    # -- services ---------------------------------------------------------------------------------------------------

    def _open_services(self) -> None:
        self.compute = self._versioned("compute", COMPUTE_OLDEST, COMPUTE_NEWEST)
        self.volume = (
            self._versioned("block-storage", VOLUME_OLDEST, VOLUME_NEWEST)
            if self._has("block-storage", "volumev3", "block-store", "volume")
            else None
        )
        if not self._has("network"):
            raise InvalidRequest("The cloud's catalogue has no network service here.", field="region")
        self.network = Service(self.sdk.network)
        if not self._has("image"):
            raise InvalidRequest("The cloud's catalogue has no image service here.", field="region")
        self.image = Service(self.sdk.image)
        self.object_store = Service(self.sdk.object_store) if self._has("object-store") else None
        self.dns = Service(self.sdk.dns) if self._has("dns") else None
        self.load_balancer = Service(self.sdk.load_balancer) if self._has("load-balancer") else None

    @property
    def absent(self) -> list[str]:
        """Services that the catalogue lacks here, of those that not every cloud has."""
        optional = {
            "block-storage": self.volume,
            "dns": self.dns,
            "load-balancer": self.load_balancer,
            "object-store": self.object_store,
        }
        return sorted(kind for kind, service in optional.items() if service is None)

    def _has(self, *types: str) -> bool:
        """Whether the catalogue has a service of one of these types in this region."""
        return any(
            entry.get("type") in types and any(self._is_here(point) for point in entry.get("endpoints", ()))
            for entry in self.access.service_catalog.catalog
        )

    def _is_here(self, point: dict[str, Any]) -> bool:
        region = point.get("region_id") or point.get("region")
        return point.get("interface") == self.config.interface and self.region in ("", region)

    def _versioned(self, kind: str, oldest: tuple[int, int], newest: tuple[int, int]) -> Service:
        adapter: Any = getattr(self.sdk, kind.replace("-", "_"))
        data = adapter.get_endpoint_data()
        offered = tuple(data.max_microversion or (0, 0)) if data is not None else (0, 0)
        if offered < oldest:
            need = ".".join(map(str, oldest))
            raise InvalidRequest(f"The cloud's {kind} service is too old: it must know microversion {need}.")
        version = min(offered, newest)
        return Service(adapter, microversion=".".join(map(str, version)), knows=version)

    # -- signing in -------------------------------------------------------------------------------------------------

    def _signed_in(self) -> Any:
        try:
            access: Any = self.session.auth.get_access(self.session)  # type: ignore[union-attr]
        except keystone.Unauthorized as exc:
            raise self._refusal(exc) from exc
        except (keystone.NotFound, keystone.DiscoveryFailure, keystone.InvalidResponse) as exc:
            raise InvalidRequest(
                "There is no Keystone of version 3 at this address.", str(exc), field="auth_url"
            ) from exc
        except Exception as exc:
            known = translate(exc)
            raise (known or ProviderError(detail=f"{type(exc).__name__}: {exc}")) from exc
        if access.will_expire_soon():
            raise Unreachable(
                "The cloud's tokens are over before they begin: the clocks of the cloud and of this machine differ.",
                f"expires {access.expires}",
            )
        if not access.project_id:
            raise InvalidRequest("Name a project: these credentials belong to none.", field="project")
        return access

    def _refusal(self, error: Exception) -> ProviderError:
        """Keystone says the same of a wrong password and of a foreign project; asking without one tells them apart."""
        config = self.config
        if config.credential_id:
            sentence = "The cloud does not accept the application credential: its id or secret is wrong, or it expired."
            return AuthenticationFailed(sentence + self._clock_words(error), str(error), field="credential_secret")
        with suppress(Exception):
            unscoped = v3.Password(**_user(config), unscoped=True)
            session = Session(auth=unscoped, verify=self.session.verify, timeout=config.timeout_s)
            try:
                answer = session.get(f"{_versioned_url(config.auth_url)}/auth/projects")
                names = sorted(str(each.get("name")) for each in answer.json().get("projects", ()))
            finally:
                session.session.close()
            offers = f" It may use: {', '.join(names)}." if names else " It may use none."
            return AuthenticationFailed(
                f"The user may sign in, but not to the project “{config.project}”.{offers}", str(error), field="project"
            )
        sentence = "The cloud does not accept this user name and password (or the domain)."
        return AuthenticationFailed(sentence + self._clock_words(error), str(error), field="password")

    @staticmethod
    def _clock_words(error: Exception) -> str:
        response = getattr(error, "response", None)
        skew = clock_skew_s(response.headers.get("Date", "")) if response is not None else 0.0
        return f" The clocks differ by {abs(skew):.0f} s, too." if abs(skew) > _SKEW_S else ""

    def _region(self) -> str:
        """The region to work in; raises InvalidRequest for one that is not there, and for none among several."""
        found: set[str] = set()
        compute = False
        for entry in self.access.service_catalog.catalog:
            for point in entry.get("endpoints", ()):
                region = str(point.get("region_id") or point.get("region") or "")
                if entry.get("type") == "compute" and point.get("interface") == self.config.interface:
                    compute = True
                    found.add(region)
        if not compute:
            raise InvalidRequest(
                f"The cloud's catalogue has no compute service with an address of the sort “{self.config.interface}”.",
                field="interface",
            )
        wanted = self.config.region
        if wanted and wanted not in found:
            raise InvalidRequest(
                f"There is no compute service in the region “{wanted}”; there is in {', '.join(sorted(found))}.",
                field="region",
            )
        if not wanted and len(found) > 1:
            raise InvalidRequest(f"Choose a region: {', '.join(sorted(found))}.", field="region")
        return wanted or next(iter(found))

    def _verify(self) -> bool | str:
        """What certificates are held against.

        The SDK takes an authority as a file only; one in memory (memfd_create(2)) is gone with its process.
        """
        if not self.config.ca:
            return True
        self._ca_fd = os.memfd_create("kvweb-ca")
        with open(self._ca_fd, "w", closefd=False) as file:
            file.write(self.config.ca + "\n")
        return f"/proc/self/fd/{self._ca_fd}"


def clock_skew_s(date: str) -> float:
    """How far the other clock is ahead of ours, by an answer's Date; 0 where it tells none."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def _plugin(config: OpenStackConfig) -> v3.Password | v3.ApplicationCredential:
    if not config.auth_url:
        raise InvalidRequest("Give the address of Keystone.", field="auth_url")
    if config.credential_id:
        secret = config.credential_secret.get_secret_value() if config.credential_secret else ""
        return v3.ApplicationCredential(
            auth_url=_versioned_url(config.auth_url),
            application_credential_id=config.credential_id,
            application_credential_secret=secret,
        )
    if not config.username:
        raise InvalidRequest("Give a user name, or an application credential.", field="username")
    if not config.project:
        raise InvalidRequest("Give a project.", field="project")
    project: dict[str, Any]
    if _HEX_ID.fullmatch(config.project):
        project = {"project_id": config.project}
    else:
        project = {"project_name": config.project, **_domain("project", config.project_domain)}
    return v3.Password(**_user(config), **project)


def _user(config: OpenStackConfig) -> dict[str, Any]:
    return {
        "auth_url": _versioned_url(config.auth_url),
        "username": config.username,
        "password": config.password.get_secret_value() if config.password else "",
        **_domain("user", config.user_domain),
    }


def _domain(of: str, domain: str) -> dict[str, Any]:
    is_id = domain == "default" or _HEX_ID.fullmatch(domain)
    return {f"{of}_domain_{'id' if is_id else 'name'}": domain or "Default"}


def _versioned_url(url: str) -> str:
    return url if url.endswith("/v3") else f"{url}/v3"
