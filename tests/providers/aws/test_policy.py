"""The policy that the documentation prints: enough for all that the driver asks, and not more.

The stand-in grants exactly that policy, so that every other test of this kind proves that it is enough.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import boto3
import pytest
from botocore import xform_name

from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer
from providers.base import Rejected
from tools.peers.aws import policy

DRIVER = Path(__file__).parents[3] / "providers" / "aws"
#: How services are called in permissions, where the SDK calls them something else.
SERVICES = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
#: Calls of S3 whose permission has another name.
S3 = {
    "ListBuckets": "ListAllMyBuckets",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
}
#: What the SDK does by itself, and what a parameter of a call needs beside the call.
BESIDE = {"s3:GetObject", "s3:PutObject", "s3:PutObjectAcl", "sts:AssumeRole", "elasticloadbalancing:AddTags"}


def calls() -> set[tuple[str, str]]:
    """Every call in the driver's code, as service and the SDK's name: a word that is the name of an operation."""
    words: dict[str, set[str]] = {}
    for path in DRIVER.glob("*.py"):
        if path.name == "testing.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.setdefault(node.value, set()).add(path.name)
    found = set()
    for service in ("ec2", "s3", "route53", "elbv2", "sts", "service-quotas", "pricing", "ec2-instance-connect"):
        client = boto3.client(service, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
        for name in client.meta.service_model.operation_names:
            if xform_name(name) in words:
                found.add((service, name))
    return found


def needed(service: str, name: str) -> str:
    return f"{SERVICES.get(service, service)}:{S3.get(name, name) if service == 's3' else name}"


def test_every_call_of_the_driver_is_in_the_policy() -> None:
    missing = {needed(*call) for call in calls() if not policy.is_allowed(needed(*call))}
    # Load balancers of the older sort and the newer have calls of the same names; the policy's star covers both.
    assert not missing


def test_nothing_is_in_the_policy_that_no_call_needs() -> None:
    wanted = {needed(*call) for call in calls()} | BESIDE
    idle = {pattern for pattern in policy.allowed() if not any(fnmatchcase(action, pattern) for action in wanted)}
    assert not idle


def test_a_permission_that_is_not_printed_is_refused_by_the_stand_in(driver: AwsDriver, peer: Peer) -> None:
    with pytest.raises(Rejected, match="ec2:CreateKeyPair"):
        driver.cloud.ec2("create_key_pair", KeyName="kvweb-test")
    assert peer.tell("refused")["ec2:CreateKeyPair"]
    assert set(peer.tell("refused")) == {"ec2:CreateKeyPair"}, "Other tests needed more than the policy grants."
