"""The guardian: ends what its supervisor left, spares what was taken back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tools import guardian
from tools.place import ROOT


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    children = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2)]
    yield children
    for child in children:
        child.kill()
        child.wait()


def test_it_ends_the_groups_that_are_still_on_its_list(sleepers: list[subprocess.Popen[bytes]]) -> None:
    left, taken_back = sleepers
    news = f"+{left.pid}\n+{taken_back.pid}\n-{taken_back.pid}\n"
    watch = subprocess.Popen([sys.executable, "-I", ROOT / "tools" / "guardian.py"], stdin=subprocess.PIPE, text=True)
    assert watch.stdin is not None
    watch.stdin.write(news)
    watch.stdin.close()
    left.wait(timeout=10)
    assert watch.wait(timeout=10) == 0
    assert taken_back.poll() is None


def test_who_ignores_the_polite_signal_gets_the_other() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    command = [sys.executable, "-I", "-c", code]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        guardian.end({child.pid}, patience=0.3)
        assert child.wait(timeout=5) == -9
