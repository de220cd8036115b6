"""Fields that kinds reached over HTTPS share in their configs: one word, one sentence and one check for each."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def _certificates(pem: str) -> str:
    """PEM without the blank lines around it; raises ValueError for what is none."""
    pem = pem.strip()
    if pem and "-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError("This is no certificate: it begins with -----BEGIN CERTIFICATE-----")
    return pem


Authority = Annotated[
    str,
    Field(
        title="Certificate authority",
        description="The certificate (PEM) that the server's own is signed with. Empty: the system's authorities.",
        max_length=50_000,
        json_schema_extra={"multiline": True, "group": "Certificate"},
    ),
    AfterValidator(_certificates),
]

Deadline = Annotated[
    float,
    Field(
        ge=0.1,
        le=600.0,
        title="Deadline",
        description="In seconds, for the answer to one call.",
        json_schema_extra={"group": "Time limits"},
    ),
]
