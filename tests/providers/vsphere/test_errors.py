"""Every fault has its family by its type, the connection's trouble is named, and the server's words stay in the log."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    OutOfCapacity,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    TimedOut,
    Transient,
    Unreachable,
)
from providers.vsphere import errors
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.errors import Answer, translate
from providers.vsphere.native import support, vim, vmodl
from providers.vsphere.testing import Backend
from tools.peers.vsphere.authority import issue
from tools.peers.vsphere.door import Door

TEXT = "*types.SomeFault of host-17"

FAULTS: list[tuple[Any, type[ProviderError]]] = [
    (vim.fault.InvalidLogin, AuthenticationFailed),
    (vim.fault.NotAuthenticated, AuthenticationFailed),
    (vim.fault.NoPermission, PermissionDenied),
    (vmodl.fault.ManagedObjectNotFound, NotFound),
    (vim.fault.FileNotFound, NotFound),
    (vim.fault.DuplicateName, AlreadyExists),
    (vim.fault.FileAlreadyExists, AlreadyExists),
    (vim.fault.InvalidName, InvalidRequest),
    (vmodl.fault.InvalidArgument, InvalidRequest),
    (vim.fault.InvalidDeviceSpec, InvalidRequest),
    (vmodl.fault.NotSupported, NotSupported),
    (vim.fault.RestrictedVersion, NotSupported),
    (vim.fault.LicenseRestricted, QuotaExceeded),
    (vim.fault.InvalidPowerState, Conflict),
    (vim.fault.TaskInProgress, Conflict),
    (vim.fault.ResourceInUse, Conflict),
    (vim.fault.ToolsUnavailable, Conflict),
    (vim.fault.FileLocked, Conflict),
    (vim.fault.NoDiskSpace, OutOfCapacity),
    (vim.fault.InsufficientMemoryResourcesFault, OutOfCapacity),
    (vim.fault.InsufficientStandbyCpuResource, OutOfCapacity),
    (vmodl.fault.HostCommunication, Transient),
    (vim.fault.Timedout, TimedOut),
]


@pytest.mark.parametrize(("fault", "family"), FAULTS, ids=lambda kind: kind.__name__)
def test_a_fault_has_its_family_and_a_sentence(fault: Any, family: type[ProviderError]) -> None:
    known = translate(fault(msg=TEXT))
    assert type(known) is family
    assert TEXT in known.detail
    assert TEXT not in known.reason
    assert known.reason.endswith(".")


def test_the_table_names_types_that_there_are() -> None:
    for name in errors._BY_TYPE:
        assert support.GetVmodlType(name).__name__ == name


def test_a_missing_privilege_is_named() -> None:
    known = translate(vim.fault.NoPermission(privilegeId="VirtualMachine.Config.Memory"))
    assert known is not None
    assert "VirtualMachine.Config.Memory" in known.reason


def test_an_unknown_fault_is_not_guessed_at() -> None:
    assert translate(vim.fault.VimFault(msg=TEXT)) is None


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (Answer(503, "Busy", "9"), RateLimited),
        (Answer(429, "Slow down"), RateLimited),
        (Answer(401, "No"), AuthenticationFailed),
        (Answer(404, "Not here"), InvalidRequest),
        (Answer(502, "Bad gateway"), Unreachable),
        (socket.gaierror("no such name"), Unreachable),
        (ConnectionRefusedError(), Unreachable),
        (TimeoutError(), Unreachable),
        (http.client.RemoteDisconnected("gone"), Unreachable),
        (ssl.SSLError("handshake"), Unreachable),
    ],
    ids=lambda each: str(each)[:20],
)
def test_trouble_on_the_line_has_its_family(error: Exception, family: type[ProviderError]) -> None:
    assert type(translate(error)) is family


def test_being_told_when_to_come_again_is_passed_on() -> None:
    known = translate(Answer(503, "Busy", "9"))
    assert isinstance(known, RateLimited)
    assert known.retry_after_s == 9


# -- the connection check, over sockets --------------------------------------------------------------------------------


def refusal(vcenter: Backend, **changes: object) -> ProviderError:
    """What the check of a connection with this configuration says."""
    with pytest.raises(ProviderError) as caught, VsphereDriver(vcenter.config.model_copy(update=changes)) as driver:
        driver.probe()
    return caught.value


def test_a_wrong_password_is_said(vcenter: Backend) -> None:
    error = refusal(vcenter, password=SecretStr("wrong"))
    assert isinstance(error, AuthenticationFailed)
    assert "password" in error.reason


def test_a_missing_authority_is_said(vcenter: Backend) -> None:
    assert "authority" in refusal(vcenter, ca="").reason


def test_a_datacenter_and_a_folder_that_are_not_there_are_named(vcenter: Backend) -> None:
    datacenter = refusal(vcenter, datacenter="Elsewhere")
    assert (type(datacenter), datacenter.field) == (InvalidRequest, "datacenter")
    folder = refusal(vcenter, folder="No/Such")
    assert (type(folder), folder.field) == (InvalidRequest, "folder")


def test_a_port_where_nothing_listens_is_said(vcenter: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "Nothing listens" in refusal(vcenter, port=port).reason


def test_a_name_that_nobody_knows_is_said(vcenter: Backend) -> None:
    assert isinstance(refusal(vcenter, host="no-such-host.invalid"), Unreachable)


@pytest.mark.parametrize(
    ("papers", "words"),
    [
        ({"days": (-9, -2)}, "expired"),
        ({"days": (2, 9)}, "clock"),
        ({"address": "127.0.0.9"}, "another address"),
    ],
    ids=["expired", "not valid yet", "another's"],
)
def test_what_is_wrong_with_a_certificate_is_said(
    vcenter: Backend, tmp_path: Path, papers: dict[str, object], words: str
) -> None:
    issued = issue(tmp_path, **papers)  # type: ignore[arg-type]
    door = Door(issued, vcenter.vcenter.port)
    try:
        assert words in refusal(vcenter, port=door.port, ca=issued.ca).reason
    finally:
        door.close()


def test_something_else_at_the_address_is_said(vcenter: Backend, door: Door) -> None:
    with door.failing("GET", status=404):
        error = refusal(vcenter)
    assert (type(error), error.field) == (InvalidRequest, "host")


# -- the session -------------------------------------------------------------------------------------------------------


def test_a_session_that_ended_is_renewed_once(driver: VsphereDriver, door: Door) -> None:
    before = door.calls["Login"]
    with door.failing("RetrievePropertiesEx", fault="NotAuthenticated", times=1):
        driver.machines.list()
    assert door.calls["Login"] == before + 1
    with door.failing("RetrievePropertiesEx", fault="NotAuthenticated"), pytest.raises(AuthenticationFailed):
        driver.machines.list()


def test_a_session_that_was_really_taken_away_is_renewed(driver: VsphereDriver, vcenter: Backend) -> None:
    session = driver.connection.content.sessionManager
    key = driver.connection.stub.cookie.partition("=")[2].strip('"')
    with VsphereDriver(vcenter.config) as other:
        other.connection.content.sessionManager.TerminateSession([key])
    assert driver.machines.list() is not None
    assert session is not driver.connection.content.sessionManager


def test_a_line_that_was_cut_is_opened_again_for_questions(driver: VsphereDriver, door: Door) -> None:
    driver.machines.list()
    with door.failing("RetrievePropertiesEx", cut="before", times=1):
        driver.machines.list()


def test_an_answer_that_does_not_come_ends_with_the_deadline(vcenter: Backend, door: Door) -> None:
    with VsphereDriver(vcenter.config.model_copy(update={"timeout_s": 0.5})) as driver:
        driver.machines.list()
        began = time.monotonic()
        with door.failing("RetrievePropertiesEx", delay_s=1.5, times=1), pytest.raises(Unreachable):
            driver.machines.list()
        assert time.monotonic() - began < 1.4
