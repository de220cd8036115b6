"""Hypervisors of a test's own, between which VMs can move."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from providers.base import ProviderError
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
from providers.kvm.xml.storage import pool_document
from tests.providers.kvm.remote_host import Authority
from tools.trial.libvirtd import NOBODY, PrivateLibvirt


class Host:
    """A hypervisor of the test's own with one pool; with an authority it has certificates for migrations."""

    def __init__(self, authority: Authority | None = None) -> None:
        self.libvirt = PrivateLibvirt(host_uuid=str(uuid.uuid4()))
        try:
            if authority is not None:
                self.authority = authority
                self.trust(authority)
                settings = self.libvirt.folder / "c" / "libvirt" / "qemu.conf"
                settings.write_text(f'migrate_tls_x509_cert_dir = "{self.certificates}"\nmigrate_tls_x509_verify = 1\n')
            self.libvirt.start()
            self._furnish()
        except BaseException:
            self.libvirt.remove()
            raise

    @property
    def certificates(self) -> Path:
        return self.libvirt.folder / "tls"

    def trust(self, authority: Authority) -> None:
        """From now on it shows certificates of this authority, and believes no other."""
        self.certificates.mkdir(exist_ok=True)
        certificate, key = authority.issue("server")
        files = {"ca-cert": authority.certificate}
        for role in ("server", "client"):
            files |= {f"{role}-cert": certificate, f"{role}-key": key}
        for name, text in files.items():
            path = self.certificates / f"{name}.pem"
            path.write_text(text)
            os.chown(path, NOBODY, NOBODY)

    def _furnish(self) -> None:
        self.images = self.libvirt.folder / "disks"
        self.images.mkdir()
        os.chown(self.images, NOBODY, NOBODY)
        self.driver = KvmDriver(KvmConfig(uri=self.libvirt.uri, pool="disks", migration_host="127.0.0.1"))
        self.raw: Any = self.driver.connection.raw
        self.open_pool()

    def open_pool(self) -> None:
        self.pool = self.raw.storagePoolCreateXML(pool_document(name="disks", type_="dir", path=str(self.images)), 0)

    def files(self) -> set[str]:
        return {path.name for path in self.images.iterdir()}

    def vms(self) -> set[str]:
        return {record.name for record in self.driver.machines.list()}

    def clear(self) -> None:
        for record in self.driver.machines.list():
            with suppress(ProviderError):
                self.driver.machines.delete(record.external_id, with_snapshots=True)
        self.pool.refresh(0)
        for volume in self.pool.listAllVolumes(0):
            volume.delete(0)

    def close(self) -> None:
        self.clear()
        self.driver.close()
        self.libvirt.remove()
