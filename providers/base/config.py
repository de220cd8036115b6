"""The settings of one configured provider: a pydantic model per kind, from which forms and sealing are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from providers.base.errors import InvalidRequest


class Config(BaseModel):
    """Base of every kind's config.

    Fields carry `title`, `description` and a default through `pydantic.Field`; a field of type `SecretStr` (or
    `SecretStr | None`) is sealed in the database, write-only in forms and never printed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Names of the fields that must be sealed."""
        return frozenset(
            name
            for name, field in cls.model_fields.items()
            if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
        )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Validate stored or typed values; raises InvalidRequest that names the first wrong field and why."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
            field = str(first["loc"][0]) if first["loc"] else ""
            # The cause is dropped on purpose: its text repeats the input, which may be a secret.
            raise InvalidRequest(f"{first['msg']}.", field=field) from None
