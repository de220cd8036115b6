"""Checks that a request carries a valid signature of version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d+)/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]+)"
)


def parsed(environ: Mapping[str, Any]) -> dict[str, str]:
    """Key, region, service, signed headers and signature; empty for a request without."""
    match = _AUTHORIZATION.match(str(environ.get("HTTP_AUTHORIZATION", "")))
    return match.groupdict() if match else {}


def is_right(environ: Mapping[str, Any], body: bytes, claim: Mapping[str, str], secret: str) -> bool:
    """Whether the signature is what the secret makes of this request."""
    wanted = hmac.new(_signing_key(claim, secret), _text(environ, body, claim).encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, claim["signature"])


def _signing_key(claim: Mapping[str, str], secret: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (claim["date"], claim["region"], claim["service"], "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _text(environ: Mapping[str, Any], body: bytes, claim: Mapping[str, str]) -> str:
    path, _, query = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/").partition("?")
    if claim["service"] != "s3":
        path = quote(path, safe="/~")
    pairs = sorted((quote(key, safe="~"), quote(value, safe="~")) for key, value in parse_qsl(query, True))
    headers = [f"{name}:{_header(environ, name)}\n" for name in claim["headers"].split(";")]
    canonical = "\n".join(
        [
            str(environ["REQUEST_METHOD"]),
            path,
            "&".join(f"{key}={value}" for key, value in pairs),
            "".join(headers),
            claim["headers"],
            str(environ.get("HTTP_X_AMZ_CONTENT_SHA256") or hashlib.sha256(body).hexdigest()),
        ]
    )
    scope = f"{claim['date']}/{claim['region']}/{claim['service']}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join(["AWS4-HMAC-SHA256", str(environ.get("HTTP_X_AMZ_DATE", "")), scope, digest])


def _header(environ: Mapping[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    plain = environ.get(key) if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else None
    return " ".join(str(plain if plain is not None else environ.get(f"HTTP_{key}", "")).split())
