"""What the stand-in's key may: exactly the policy that docs/providers/aws.md prints.

So whatever a test does with the driver also proves that who grants the printed policy has granted enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

DOCS = Path(__file__).resolve().parents[3] / "docs" / "providers" / "aws.md"
_BLOCK = re.compile(r"```json\n(.*?)```", re.DOTALL)
#: Calls that need no permission.
FREE = frozenset({"sts:GetCallerIdentity"})
#: What S3 calls are allowed by, by method, by what the path names and by the question in the address.
_S3: tuple[tuple[str, str, str, str], ...] = (
    ("GET", "service", "", "s3:ListAllMyBuckets"),
    ("PUT", "bucket", "policy", "s3:PutBucketPolicy"),
    ("PUT", "bucket", "publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("DELETE", "bucket", "publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("GET", "bucket", "uploads", "s3:ListBucketMultipartUploads"),
    ("GET", "bucket", "", "s3:ListBucket"),
    ("HEAD", "bucket", "", "s3:ListBucket"),
    ("PUT", "bucket", "", "s3:CreateBucket"),
    ("DELETE", "bucket", "", "s3:DeleteBucket"),
    ("DELETE", "object", "uploadId", "s3:AbortMultipartUpload"),
    ("DELETE", "object", "", "s3:DeleteObject"),
    ("PUT", "object", "", "s3:PutObject"),
    ("POST", "object", "", "s3:PutObject"),
    ("GET", "object", "", "s3:GetObject"),
    ("HEAD", "object", "", "s3:GetObject"),
)
#: Calls of Route 53, which has paths instead of names.
_ROUTE53: tuple[tuple[str, str, str], ...] = (
    ("GET", r"/hostedzone/[^/]+/rrset", "route53:ListResourceRecordSets"),
    ("POST", r"/hostedzone/[^/]+/rrset", "route53:ChangeResourceRecordSets"),
    ("GET", r"/hostedzone/[^/]+", "route53:GetHostedZone"),
    ("DELETE", r"/hostedzone/[^/]+", "route53:DeleteHostedZone"),
    ("GET", r"/hostedzone", "route53:ListHostedZones"),
    ("POST", r"/hostedzone", "route53:CreateHostedZone"),
    ("GET", r"/hostedzonesbyname", "route53:ListHostedZonesByName"),
)


@cache
def allowed() -> frozenset[str]:
    """The actions of the printed policy, with * for anything."""
    block = next(found for found in _BLOCK.findall(DOCS.read_text()) if '"Statement"' in found)
    return frozenset(action for one in json.loads(block)["Statement"] for action in one["Action"])


def is_allowed(action: str) -> bool:
    return action in FREE or any(fnmatchcase(action, pattern) for pattern in allowed())


def action_of(service: str, name: str, environ: Mapping[str, Any]) -> str:
    """The permission that a request needs; `name` is the vendor's name of the call where the request carries one."""
    method, path = str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", "/"))
    if service == "s3":
        return _s3(method, path, str(environ.get("QUERY_STRING", "")))
    if service == "route53":
        plain = re.sub(r"^/2013-04-01", "", path).rstrip("/")
        found = (action for verb, shape, action in _ROUTE53 if verb == method and re.fullmatch(shape, plain))
        return next(found, f"route53:{method} {plain}")
    return f"{service}:{name}"


def _s3(method: str, path: str, query: str) -> str:
    parts = [part for part in path.split("/") if part]
    what = ("service", "bucket")[len(parts)] if len(parts) < 2 else "object"
    asked = parse_qs(query, keep_blank_values=True)
    for verb, where, question, action in _S3:
        if (verb, where) == (method, what) and (not question or question in asked):
            return action
    return f"s3:{method} {what}"
