"""Every error of libvirt has its place, and its own text stays in the log."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    OutOfCapacity,
    ProviderError,
    TimedOut,
    Unreachable,
)
from providers.kvm.errors import translate, vendor_calls
from providers.kvm.native import LibvirtError, libvirt

TEXT = "the host's own words /etc/secret"


def vendor_error(code: int, domain: int = 10, number: int = 0, text: str = TEXT) -> Exception:
    error = LibvirtError(text)
    vendor: Any = error
    vendor.err = (code, domain, text, 2, None, None, None, number, 0)
    return error


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NO_DOMAIN", NotFound),
        ("NO_NETWORK", NotFound),
        ("NO_STORAGE_POOL", NotFound),
        ("NO_STORAGE_VOL", NotFound),
        ("NO_DOMAIN_SNAPSHOT", NotFound),
        ("DOM_EXIST", AlreadyExists),
        ("NETWORK_EXIST", AlreadyExists),
        ("STORAGE_VOL_EXIST", AlreadyExists),
        ("OPERATION_INVALID", Conflict),
        ("RESOURCE_BUSY", Conflict),
        ("AGENT_UNRESPONSIVE", Conflict),
        ("INVALID_ARG", InvalidRequest),
        ("XML_ERROR", InvalidRequest),
        ("CONFIG_UNSUPPORTED", InvalidRequest),
        ("NO_SUPPORT", NotSupported),
        ("OPERATION_UNSUPPORTED", NotSupported),
        ("AUTH_FAILED", AuthenticationFailed),
        ("ACCESS_DENIED", AuthenticationFailed),
        ("NO_CONNECT", Unreachable),
        ("RPC", Unreachable),
        ("NO_MEMORY", OutOfCapacity),
        ("OPERATION_TIMEOUT", TimedOut),
        ("INTERNAL_ERROR", ProviderError),
    ],
)
def test_the_table(name: str, kind: type[ProviderError]) -> None:
    known = translate(vendor_error(getattr(libvirt, f"VIR_ERR_{name}")))
    assert type(known) is kind


def test_no_code_of_the_library_shows_its_own_words() -> None:
    codes = [value for name, value in vars(libvirt).items() if name.startswith("VIR_ERR_") and isinstance(value, int)]
    assert len(codes) > 90
    for code in codes:
        known = translate(vendor_error(code))
        assert known is not None
        assert TEXT not in known.reason
        assert known.reason.endswith(".")
        assert TEXT in known.detail


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (vendor_error(libvirt.VIR_ERR_SYSTEM_ERROR, number=errno.ENOSPC), OutOfCapacity),
        (vendor_error(libvirt.VIR_ERR_SYSTEM_ERROR, number=errno.EDQUOT), OutOfCapacity),
        (vendor_error(libvirt.VIR_ERR_SYSTEM_ERROR, number=errno.EFBIG), InvalidRequest),
        (vendor_error(libvirt.VIR_ERR_INTERNAL_ERROR, text="qemu-img: x: No space left on device"), OutOfCapacity),
        (vendor_error(libvirt.VIR_ERR_INTERNAL_ERROR, text="qemu: cannot set up guest memory 'ram'"), OutOfCapacity),
        (vendor_error(libvirt.VIR_ERR_INTERNAL_ERROR, domain=libvirt.VIR_FROM_RPC), Unreachable),
        (vendor_error(libvirt.VIR_ERR_SYSTEM_ERROR, domain=libvirt.VIR_FROM_REMOTE), Unreachable),
        (
            vendor_error(
                libvirt.VIR_ERR_SYSTEM_ERROR,
                domain=libvirt.VIR_FROM_RPC,
                text="End of file while reading data: Permission denied (publickey): Input/output error",
            ),
            AuthenticationFailed,
        ),
    ],
)
def test_where_the_code_alone_does_not_tell(error: Exception, kind: type[ProviderError]) -> None:
    assert type(translate(error)) is kind


def test_what_is_not_libvirts_leaves_as_a_provider_error_with_its_cause() -> None:
    assert translate(ValueError("x")) is None
    with pytest.raises(ProviderError) as caught, vendor_calls():
        raise ValueError("a slip of ours")
    assert type(caught.value) is ProviderError
    assert isinstance(caught.value.__cause__, ValueError)
