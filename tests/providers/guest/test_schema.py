"""What the portal tells a guest is what cloud-init's own schema allows, whatever was wished.

The schema is in the distribution's package, fetched and never installed: cloud-init here would set up this machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from guest.tools import GuestBuildError, run
from providers.base import CloudInit, GuestFile, GuestUser, InvalidRequest
from providers.guest import cloud_config
from providers.guest.cloudinit import render

KEPT = Path(__file__).parents[3] / "var" / "test" / "schema-cloud-config-v1.json"
INSIDE = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
HASH = "$6$salt$" + "a" * 86

NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=60)
USERS = st.builds(
    GuestUser,
    name=NAMES,
    password_hash=st.sampled_from(["", HASH]),
    ssh_keys=st.lists(st.just("ssh-ed25519 AAAA x"), max_size=2, unique=True).map(tuple),
    sudo=st.booleans(),
)
FILES = st.builds(
    GuestFile,
    path=NAMES.map("/etc/{}".format),
    content=TEXTS,
    permissions=st.sampled_from(["0644", "0755"]),
    owner=st.sampled_from(["root:root", "www-data:www-data"]),
)
WISHES = st.builds(
    CloudInit,
    hostname=st.sampled_from(["", "web-1"]),
    domain=st.sampled_from(["", "example.org"]),
    users=st.lists(USERS, max_size=3).map(tuple),
    ssh_keys=st.lists(st.just("ssh-ed25519 AAAA x"), max_size=1).map(tuple),
    default_user_password_hash=st.sampled_from(["", HASH]),
    ssh_password_login=st.booleans(),
    packages=st.lists(NAMES, max_size=3, unique=True).map(tuple),
    files=st.lists(FILES, max_size=3).map(tuple),
    commands=st.lists(TEXTS, max_size=3).map(tuple),
    timezone=st.sampled_from(["", "Europe/London"]),
    locale=st.sampled_from(["", "en_GB.UTF-8"]),
)


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not KEPT.exists():
        folder = tmp_path_factory.mktemp("cloud-init")
        try:
            run("apt-get", "download", "-q", "cloud-init", cwd=folder)
            (package,) = folder.glob("cloud-init_*.deb")
            run("dpkg-deb", "-x", str(package), str(folder))
        except GuestBuildError as exc:
            pytest.skip(f"apt cannot fetch the package cloud-init: {exc}")
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_bytes((folder / INSIDE).read_bytes())
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def test_every_wish_is_what_the_schema_allows(schema: dict[str, Any]) -> None:
    judge = jsonschema.Draft4Validator(schema)

    @settings(max_examples=150, deadline=None)
    @given(wish=WISHES, name=st.text(max_size=70))
    def each(wish: CloudInit, name: str) -> None:
        document = yaml.safe_load(render(wish, name=name, instance_id="i").user_data)
        problems = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in judge.iter_errors(document)]
        assert not problems

    each()


def test_the_schema_is_a_judge_that_says_no(schema: dict[str, Any]) -> None:
    judge = jsonschema.Draft4Validator(schema)
    assert not judge.is_valid({"write_files": [{"content": "a file without a path"}]})
    assert not judge.is_valid({"runcmd": "not a list"})


def test_every_key_of_the_schema_is_known_to_who_reads_the_experts_text(schema: dict[str, Any]) -> None:
    parts = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in schema["allOf"]]
    assert {key for part in parts for key in part.get("properties", {})} <= set(cloud_config.KEYS)


VALUES = st.recursive(
    st.sampled_from([None, True, 7, "text", "a:b"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from([*cloud_config.USER.keys, *cloud_config.FILE.keys]), inner, max_size=3)
    ),
    max_leaves=6,
)


def refusal(document: dict[str, Any]) -> str:
    try:
        cloud_config.check(yaml.safe_dump(document))
    except InvalidRequest as exc:
        return exc.reason
    return ""


def test_what_an_experts_text_is_refused_for_the_schema_refuses_too(schema: dict[str, Any]) -> None:
    """So nobody is refused for what a guest would understand."""
    judge = jsonschema.Draft4Validator(schema)
    parts = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in schema["allOf"]]
    keys = sorted({key for part in parts for key in part.get("properties", {})})
    refused = 0

    @settings(max_examples=300, deadline=None)
    @given(key=st.sampled_from(keys), value=VALUES)
    def each(key: str, value: Any) -> None:
        nonlocal refused
        if sentence := refusal({key: value}):
            refused += 1
            assert not judge.is_valid({key: value}), sentence

    each()
    assert refused > 50
