"""Where it happens: two private libvirt daemons, a portal's database, and workers that can be killed."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from kvweb.accounts.models import Project, User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import start_sync
from providers import services as providers
from providers.models import Health, Provider
from providers.registry import plugin
from storage.models import Image
from tools.trial.libvirtd import PrivateLibvirt

#: Enough to make copying it take a while.
IMAGE_MIB = 48
IMAGE = "kvweb-test-faults.qcow2"
#: Nothing here takes longer.
LONGEST_S = 120.0


class Room:
    """Both daemons with one provider each, an image with random content, a person and a project."""

    def __init__(self) -> None:
        self.north, self.south = PrivateLibvirt(), PrivateLibvirt()
        self.daemons = {"North": self.north, "South": self.south}

    @contextmanager
    def opened(self) -> Iterator[Room]:
        try:
            for daemon in self.daemons.values():
                daemon.start()
            with _served(self.north.folder) as self.files_url:
                self._furnish()
                yield self
        finally:
            for daemon in self.daemons.values():
                daemon.remove()

    def _furnish(self) -> None:
        # Nobody listens to a broker here: jobs are run by hand.
        jobs.enqueue = lambda job, *, after_s=0.0: True
        # What a worker that has been running for a while has loaded.
        importlib.import_module("providers.kvm.driver")
        # The vendor of images is this machine, which portals in earnest never ask.
        settings.IMAGE_HTTP, settings.IMAGE_NETWORKS = True, ("127.0.0.0/8",)
        raw = self.north.folder / "content.raw"
        raw.write_bytes(os.urandom(IMAGE_MIB * 1024 * 1024))
        self.vendor_file = self.north.folder / "vendor.qcow2"
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, self.vendor_file], check=True)
        raw.unlink()
        # Under its own name: the file that an upload sends.
        image = self.north.folder / IMAGE
        image.write_bytes(self.vendor_file.read_bytes())
        self.north.add_image(image)
        self.content = content_of(image)
        self.user = User.objects.create_superuser("admin")
        self.project = Project.objects.create(name="Faults")
        for name, daemon in self.daemons.items():
            config = plugin("kvm").config.read({"uri": daemon.uri, "virt_type": "qemu"})
            providers.add(kind="kvm", name=name, config=config)
        self.run_all()
        for name in self.daemons:
            self.sync(name)
        if Provider.objects.filter(health=Health.OK).count() != 2:
            raise RuntimeError("The daemons do not answer.")
        self.image = Image.objects.get(name=IMAGE)

    def provider(self, name: str) -> Provider:
        return Provider.objects.get(name=name)

    # -- workers ----------------------------------------------------------------------------------------------------

    def run(self, job: Job, *, kill_after_s: float | None = None) -> bool:
        """Run a job in a worker of its own; True when the worker was killed before the job's end."""
        # A connection that was open before a fork would be used by both.
        connections.close_all()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                jobs.run(job.pk)
                code = 0
            finally:
                os._exit(code)
        return not ended(child, kill_after_s)

    def run_all(self) -> None:
        """What a living portal would do by now: notice dead workers, and do all that waits."""
        time.sleep(0.01)
        jobs.reap(silence_s=0)
        for _ in range(50):
            job = Job.objects.filter(state=JobState.QUEUED).order_by("pk").first()
            if job is None:
                return
            self.run(job)
        raise RuntimeError("There is no end of jobs.")

    def done(self, job: Job) -> Job:
        """Run a job undisturbed, with what it starts; raises RuntimeError when it fails."""
        self.run(job)
        self.run_all()
        job.refresh_from_db()
        if job.state != JobState.SUCCEEDED:
            raise RuntimeError(f"{job.title}: {job.state}: {job.reason}")
        return job

    def sync(self, name: str) -> None:
        start_sync(self.provider(name), everything=True)
        self.run_all()


def ended(child: int, kill_after_s: float | None) -> bool:
    """Whether a worker came to its own end; after so long it is killed. One that nobody disturbs has `LONGEST_S`, and
    RuntimeError is raised beyond."""
    deadline = time.monotonic() + (LONGEST_S if kill_after_s is None else kill_after_s)
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if kill_after_s is None:
        raise RuntimeError(f"A worker hung for {LONGEST_S:g} s.")
    return False


def content_of(path: Path | str) -> str:
    """A hash of what a guest would read from this disk, through all its layers."""
    with tempfile.NamedTemporaryFile() as raw:
        command = ["qemu-img", "convert", "-U", "-O", "raw", str(path), raw.name]
        subprocess.run(command, check=True, capture_output=True)
        with Path(raw.name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def moment(longest_s: float) -> float:
    """A random moment of an operation that takes so long, its very begin and its end included."""
    return random.uniform(0, longest_s)  # noqa: S311 - no secret


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The folder over HTTP on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            del words

    class Patient(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever fetched is dead: that is what this is about."""

    server = Patient(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
