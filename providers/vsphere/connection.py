"""A session at a server: signing in, the few service objects, and the datacenter that the provider is about."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from lxml import etree

from providers.base import InvalidRequest, Unreachable
from providers.vsphere.config import VsphereConfig
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim, vmodl
from providers.vsphere.stub import Stub, newest_common


@dataclass(frozen=True, slots=True)
class _View:
    """A view that is kept, and what it is made of."""

    handle: Any
    container: Any
    kinds: tuple[Any, ...]


class Connection:
    """An open session. Not for several threads at once; `calls` counts what went over the line."""

    content: Any
    session_key: str

    def __init__(self, config: VsphereConfig) -> None:
        self.config = config
        self.stub = Stub(config.host, config.port, trust(config), config.timeout_s)
        self.is_open = True
        self._views: dict[tuple[str, ...], _View] = {}
        self._datacenter: Any = None
        self._datacenter_name = ""
        try:
            with vendor_calls():
                self.stub.version, self.stub.versionId = self._version()
                self.sign_in()
        except BaseException:
            self.stub.close()
            raise
        self.stub.renew = self.sign_in

    def _version(self) -> tuple[str, str]:
        document = self.stub.get("/sdk/vimServiceVersions.xml")
        try:
            root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError as exc:
            raise InvalidRequest("There is no vSphere interface at this address.", str(exc), field="host") from exc
        found = [
            version.text or ""
            for namespace in root.iter("namespace")
            if namespace.findtext("name") == "urn:vim25"
            for version in namespace.iter("version")
        ]
        name = newest_common(found)
        fresh = Stub.__mro__[1](version=name)
        return name, str(fresh.versionId)

    def sign_in(self) -> None:
        """A new session. Views belong to a session, so those of the old one are made anew behind the same handles: a
        call that is sent again means the new ones."""
        self.stub.cookie, self.stub.has_session = "", False
        renew, self.stub.renew = self.stub.renew, None
        try:
            instance = vim.ServiceInstance("ServiceInstance", self.stub)
            self.content = instance.RetrieveContent()
            password = self.config.password.get_secret_value()
            self.session_key = str(self.content.sessionManager.Login(self.config.username, password, None).key)
            for known in self._views.values():
                fresh = self._made(known.container, known.kinds)
                object.__setattr__(known.handle, "_moId", fresh._moId)
            self.stub.has_session = True
        finally:
            self.stub.renew = renew

    @property
    def is_vcenter(self) -> bool:
        """Whether it is a vCenter, which can clone and has templates; a single host cannot."""
        return bool(self.content.about.apiType == "VirtualCenter")

    @property
    def calls(self) -> int:
        return self.stub.calls

    def object(self, kind: Any, external_id: str) -> Any:
        """The SDK's handle of an object; costs nothing, and does not say whether it exists."""
        return kind(external_id, self.stub)

    def view(self, *kinds: Any, inside: Any = None) -> Any:
        """A view of all objects of these kinds in the datacenter, kept for the session."""
        container = inside or self.datacenter
        key = (container._moId, *(kind.__name__ for kind in kinds))
        if key not in self._views:
            self._views[key] = _View(self._made(container, kinds), container, kinds)
        return self._views[key].handle

    def _made(self, container: Any, kinds: tuple[Any, ...]) -> Any:
        return self.content.viewManager.CreateContainerView(container, list(kinds), True)

    # -- the datacenter ---------------------------------------------------------------------------------------------

    @property
    def datacenter(self) -> Any:
        """The datacenter; raises InvalidRequest when it is not there, or not the only one and not named."""
        if self._datacenter is None:
            self._datacenter, self._datacenter_name = self._find_datacenter()
        return self._datacenter

    @property
    def datacenter_name(self) -> str:
        _ = self.datacenter
        return self._datacenter_name

    def _find_datacenter(self) -> tuple[Any, str]:
        view = self.view(vim.Datacenter, inside=self.content.rootFolder)
        collector = vmodl.query.PropertyCollector
        spec = collector.FilterSpec(
            objectSet=[
                collector.ObjectSpec(
                    obj=view,
                    skip=True,
                    selectSet=[collector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)],
                )
            ],
            propSet=[collector.PropertySpec(type=vim.Datacenter, pathSet=["name"])],
        )
        answer = self.content.propertyCollector.RetrievePropertiesEx([spec], collector.RetrieveOptions())
        found = {each.propSet[0].val: each.obj for each in (answer.objects if answer else ())}
        wanted = self.config.datacenter
        if wanted in found:
            return found[wanted], wanted
        if wanted:
            raise InvalidRequest(f"There is no datacenter “{wanted}” that this account sees.", field="datacenter")
        if len(found) == 1:
            ((name, datacenter),) = found.items()
            return datacenter, str(name)
        if not found:
            raise InvalidRequest("This account sees no datacenter; it may lack the right to read.", field="username")
        raise InvalidRequest(f"Choose one of the datacenters {', '.join(sorted(found))}.", field="datacenter")

    def close(self) -> None:
        """Sign out where that is quick; never raises."""
        if not self.is_open:
            return
        self.is_open = False
        self.stub.renew = None
        self.stub.timeout_s = min(self.stub.timeout_s, 3.0)
        try:
            with vendor_calls():
                self.content.sessionManager.Logout()
        except Exception:  # noqa: S110 - the session ends by itself when nobody uses it
            pass
        self.stub.close()


def trust(config: VsphereConfig) -> ssl.SSLContext:
    """Verified always: by the system's authorities, or by the given one alone."""
    try:
        return ssl.create_default_context(cadata=config.ca or None)
    except ssl.SSLError as exc:
        raise InvalidRequest("The certificate of the authority cannot be read.", str(exc), field="ca") from exc


def demand_open(connection: Connection) -> None:
    if not connection.is_open:
        raise Unreachable("This connection was closed.")
