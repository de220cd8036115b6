"""Where the portal lives: variables, and the sentences that refuse unusable ones."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tools.place import ROOT, Place, Unusable


def test_without_variables_it_is_the_tree_and_port_8000() -> None:
    place = Place.read({})
    assert (place.home, place.url, place.environment) == (ROOT / "var", "http://127.0.0.1:8000/", "development")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KVWEB_PORT", "http"),
        ("KVWEB_PORT", "0"),
        ("KVWEB_PORT", "65536"),
        ("KVWEB_PORT", "80 default_server"),
        ("KVWEB_HOST", "127.0.0.1; root /"),
        ("KVWEB_HOME", "/srv/with space"),
        ("KVWEB_HOME", "/srv/x;include"),
        ("KVWEB_HOME", "/" + "x" * 90),
    ],
)
def test_what_would_break_the_configuration_is_refused(name: str, value: str) -> None:
    with pytest.raises(Unusable, match=name):
        Place.read({name: value})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("portal.example", "http://portal.example:8000/"),
        ("::1", "http://[::1]:8000/"),
        ("0.0.0.0", f"http://{socket.gethostname()}:8000/"),
    ],
)
def test_the_address_can_be_typed_into_a_browser(host: str, url: str) -> None:
    assert Place.read({"KVWEB_HOST": host}).url == url


def test_a_taken_port_is_refused_with_its_name_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Unusable, match=rf"Port {port} .* is taken .* KVWEB_PORT"):
            Place.read({"KVWEB_PORT": str(port)}).check_port()


def test_a_name_that_is_no_address_is_refused() -> None:
    with pytest.raises(Unusable, match="KVWEB_HOST"):
        Place.read({"KVWEB_HOST": "256.1.1.1"}).check_port()


def test_only_its_owner_reaches_the_sockets(tmp_path: Path) -> None:
    place = Place.read({"KVWEB_HOME": str(tmp_path / "home")})
    place.make_folders()
    assert place.run.stat().st_mode & 0o777 == 0o700


def test_state_is_read_back_and_nonsense_is_no_state(tmp_path: Path) -> None:
    place = Place.read({"KVWEB_HOME": str(tmp_path)})
    place.make_folders()
    assert place.state() == {}
    place.write_state({"pid": 1})
    assert place.state() == {"pid": 1}
    place.state_file.write_text("{")
    assert place.state() == {}
