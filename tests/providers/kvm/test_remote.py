"""Hosts that are reached over ssh and TLS, with keys that come from the provider's config and from nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from pydantic import SecretStr

from providers.base import AuthenticationFailed, ProviderError
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
from providers.kvm.remote import Access, identity
from tests.providers.kvm.remote_host import Authority, SshServer, TlsLibvirt, ssh_key

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def sshd() -> Iterator[SshServer]:
    server = SshServer()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsLibvirt]:
    daemon = TlsLibvirt()
    yield daemon
    daemon.remove()


def secret(text: str) -> SecretStr:
    return SecretStr(text)


def over_ssh(server: SshServer, **changes: object) -> KvmConfig:
    values = {"ssh_key": secret(server.client_key), "known_hosts": secret(server.known_hosts), **changes}
    return KvmConfig.read({"uri": server.uri, "open_timeout_s": 30, **values})


def test_a_host_over_ssh_is_the_host_that_libvirt_sees_here(sshd: SshServer) -> None:
    here = libvirt.open("qemu:///system")
    with KvmDriver(over_ssh(sshd)) as driver:
        assert driver.host.info().name == here.getHostname()
        assert {network.name for network in driver.networks.list()} >= {net.name() for net in here.listAllNetworks()}
        assert driver.events is not None
        assert driver.probe().consoles
    here.close()


def test_keys_lie_in_a_folder_of_their_own_and_go_with_the_connection(sshd: SshServer) -> None:
    access = Access(over_ssh(sshd))
    folder = Path(access.ssh[0]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert sshd.client_key.strip() == (folder / "key").read_text().strip()
    if os.path.ismount("/dev/shm"):
        assert folder.parent == Path("/dev/shm")
    access.close()
    access.close()
    assert not folder.exists()


def test_a_host_whose_key_is_not_known_is_refused_with_its_fingerprint(sshd: SshServer) -> None:
    other = f"[127.0.0.1]:1 {ssh_key()[1]}"
    with pytest.raises(AuthenticationFailed) as caught:
        KvmDriver(over_ssh(sshd, known_hosts=secret(other)))
    assert caught.value.field == "known_hosts"
    assert sshd.known_hosts.strip() in caught.value.reason
    assert "SHA256:" in caught.value.reason


def test_a_host_that_shows_another_key_is_refused(sshd: SshServer) -> None:
    other = f"[127.0.0.1]:{sshd.port} {ssh_key()[1]}"
    with pytest.raises(AuthenticationFailed) as caught:
        KvmDriver(over_ssh(sshd, known_hosts=secret(other)))
    assert "another SSH key" in caught.value.reason
    assert "SHA256" not in caught.value.reason, "nobody should be led to accept it"


def test_a_key_that_the_host_does_not_know_is_refused(sshd: SshServer) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        KvmDriver(over_ssh(sshd, ssh_key=secret(ssh_key()[0])))
    assert caught.value.reason == "The host refused the portal's SSH key or user."


def test_other_credentials_are_another_connection(sshd: SshServer) -> None:
    with KvmDriver(over_ssh(sshd)) as driver:
        assert driver.is_alive
        with pytest.raises(AuthenticationFailed):
            KvmDriver(over_ssh(sshd, ssh_key=secret(ssh_key()[0])))
    assert identity(over_ssh(sshd)) == identity(over_ssh(sshd))


def test_a_host_over_tls_with_certificates_of_its_own_authority(tls: TlsLibvirt) -> None:
    certificate, key = tls.authority.issue("portal")
    config = KvmConfig(
        uri=tls.uri,
        open_timeout_s=30,
        tls_ca=tls.authority.certificate,
        tls_certificate=certificate,
        tls_key=secret(key),
    )
    with KvmDriver(config) as driver:
        assert driver.machines.list() == []
        assert driver.connection.raw.isSecure() == 1


def test_a_host_over_plain_tcp_is_reached_and_known_as_not_encrypted(tls: TlsLibvirt) -> None:
    with KvmDriver(KvmConfig(uri=tls.plain_uri, open_timeout_s=30)) as driver:
        assert driver.machines.list() == []
        assert driver.connection.raw.isSecure() == 0
        assert driver.connection.raw.isEncrypted() == 0
        assert not driver.config.is_local


@pytest.mark.parametrize(
    ("authority", "client", "said"),
    [
        ("other", "other", "The host's TLS certificate is not signed by the given authority."),
        ("other", "right", "The TLS client certificate does not fit the given authority."),
        ("right", "none", "The host did not accept the portal's TLS certificate."),
    ],
)
def test_a_line_without_proof_on_both_sides_is_not_made(
    tls: TlsLibvirt, authority: str, client: str, said: str
) -> None:
    authorities = {"right": tls.authority, "other": Authority()}
    certificate, key = authorities[client].issue("portal") if client != "none" else ("", "")
    config = KvmConfig(
        uri=tls.uri,
        open_timeout_s=30,
        tls_ca=authorities[authority].certificate,
        tls_certificate=certificate,
        tls_key=secret(key),
    )
    with pytest.raises(AuthenticationFailed) as caught:
        KvmDriver(config)
    assert caught.value.reason == said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ssh_key": "ssh-ed25519 AAAA public"}, "not a private key"),
        ({"tls_certificate": "-----BEGIN CERTIFICATE-----"}, "belong together"),
        ({"sasl_user": "ops"}, "belong together"),
    ],
)
def test_credentials_that_cannot_be_right_are_told_before_anything_is_tried(values: dict[str, str], said: str) -> None:
    with pytest.raises(ProviderError) as caught:
        KvmConfig.read({"uri": "qemu+ssh://host/system", **values})
    assert said in caught.value.reason
    assert "AAAA" not in caught.value.reason


def test_secrets_are_not_told() -> None:
    config = KvmConfig(uri="qemu+ssh://host/system", ssh_key=secret("-----BEGIN PRIVATE KEY-----\nhidden"))
    assert "hidden" not in repr(config)
    assert {"ssh_key", "known_hosts", "tls_key", "sasl_password"} <= KvmConfig.secret_fields()
