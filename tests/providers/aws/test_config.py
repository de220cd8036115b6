"""What is typed about an account: checked without asking AWS, and never repeated when it is wrong."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from providers.aws import regions
from providers.aws.config import AwsConfig
from providers.aws.serial_hosts import HOSTS
from providers.base import InvalidRequest

FILE = """
[default]
aws_access_key_id = AKIADEFAULT000000000
aws_secret_access_key = first/secret

[work]
aws_access_key_id=AKIAWORK000000000000
aws_secret_access_key=second/secret
aws_session_token=lent
"""


def test_the_form_suggests_the_regions_of_the_sdk_by_their_names() -> None:
    suggested = AwsConfig.model_json_schema()["properties"]["region"]["suggestions"]
    assert suggested["eu-central-1"] == "Europe (Frankfurt)"
    assert {"us-east-1", "cn-north-1", "us-gov-west-1"} <= set(suggested)
    assert not [region for region in suggested if "-iso" in region]
    for region in suggested:
        assert AwsConfig.read({"region": region}).region == region
    assert AwsConfig.read({"region": "eu-newest-9"}).region == "eu-newest-9"


def test_without_the_sdk_the_known_regions_are_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.loaders", None)
    suggested = regions.names.__wrapped__()
    assert set(HOSTS) <= set(suggested)
    assert suggested["eu-north-1"] == "Europe (Stockholm)"


def test_a_profile_is_read_out_of_the_lines_of_a_credentials_file() -> None:
    config = AwsConfig.read({"credentials": FILE, "profile": "work"})
    assert config.keys() == {
        "aws_access_key_id": "AKIAWORK000000000000",
        "aws_secret_access_key": "second/secret",
        "aws_session_token": "lent",
    }
    assert AwsConfig.read({"credentials": FILE}).keys()["aws_access_key_id"] == "AKIADEFAULT000000000"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"region": "Frankfurt"}, "region"),
        ({"access_key_id": "me", "secret_access_key": "x"}, "access key ID"),
        ({"access_key_id": "AKIADEFAULT000000000"}, "missing"),
        ({"credentials": FILE, "profile": "home"}, "no profile"),
        ({"credentials": "[default]\nnothing = s3cret"}, "no aws_access_key_id"),
        ({"public_images": ("debian",)}, "owner"),
        ({"role_arn": "admin"}, "pattern"),
        ({"endpoint_url": "ftp://x"}, "pattern"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_with_it(values: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidRequest, match=word) as refused:
        AwsConfig.read(values)
    told = f"{refused.value.reason} {refused.value.detail}"
    assert "s3cret" not in told
    assert "first/secret" not in told


def test_without_any_key_the_machines_own_role_is_taken() -> None:
    assert AwsConfig.read({}).keys() == {}
