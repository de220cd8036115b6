"""`make up` itself: one supervisor a home, a port that is free, a web server's configuration that holds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools import frontdoor
from tools.place import ROOT, Place, Unusable
from tools.up import take_lock


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place.read({"KVWEB_HOME": str(tmp_path / "home"), "KVWEB_PORT": "8765"})
    place.make_folders()
    return place


def test_a_second_start_says_where_the_first_one_is(place: Place) -> None:
    with take_lock(place):
        place.write_state({"pid": os.getpid(), "url": "http://127.0.0.1:8765/"})
        with pytest.raises(Unusable, match=r"is running already, at http://127\.0\.0\.1:8765/ \(process \d+"):
            take_lock(place)


def test_after_the_first_one_ended_its_home_is_free(place: Place) -> None:
    take_lock(place).close()
    take_lock(place).close()


def test_a_taken_port_ends_the_command_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        variables = {**os.environ, "KVWEB_HOME": str(tmp_path), "KVWEB_PORT": str(port)}
        done = subprocess.run(
            [sys.executable, "-m", "tools.up"], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=30
        )
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr
    assert not (tmp_path / "run" / "redis.sock").exists()
    assert not (tmp_path / "run" / "up.json").exists()


def test_nginx_accepts_its_configuration(place: Place) -> None:
    nginx = frontdoor.find()
    if nginx is None:
        pytest.skip("nginx is not installed")
    file = frontdoor.configure(place)
    command = [nginx, "-t", "-q", "-p", str(place.run / "nginx"), "-c", str(file), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
