"""Reads one cloud of a clouds.yaml; form: https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import SecretStr

from providers.base import InvalidRequest
from providers.openstack.config import OpenStackConfig

#: Key in the file's `auth` → our field.
_AUTH = {
    "auth_url": "auth_url",
    "username": "username",
    "password": "password",
    "user_domain_name": "user_domain",
    "user_domain_id": "user_domain",
    "project_name": "project",
    "project_id": "project",
    "project_domain_name": "project_domain",
    "project_domain_id": "project_domain",
    "application_credential_id": "credential_id",
    "application_credential_secret": "credential_secret",
}
_SECRET = frozenset({"password", "credential_secret"})


def with_clouds_yaml(config: OpenStackConfig) -> OpenStackConfig:
    """The config with what the file says in place of empty fields; raises InvalidRequest with what cannot be used."""
    if config.clouds_yaml is None or not config.clouds_yaml.get_secret_value().strip():
        return config
    cloud = _chosen(config.clouds_yaml.get_secret_value(), config.cloud)
    if cloud.get("verify") is False or cloud.get("insecure"):
        raise _wrong("It says that certificates are not to be checked; give the authority's certificate instead.")
    said: dict[str, Any] = {}
    auth = cloud.get("auth")
    for key, value in auth.items() if isinstance(auth, Mapping) else ():
        if key in _AUTH and value not in (None, ""):
            said[_AUTH[key]] = str(value)
    if cloud.get("region_name"):
        said["region"] = str(cloud["region_name"])
    if cloud.get("interface") in ("public", "internal", "admin"):
        said["interface"] = cloud["interface"]
    untouched = {name for name, field in OpenStackConfig.model_fields.items() if getattr(config, name) == field.default}
    wish = {name: value for name, value in said.items() if name in untouched}
    secrets = {name: SecretStr(value) for name, value in wish.items() if name in _SECRET}
    return OpenStackConfig.model_validate({**dict(config), **wish, **secrets})


def _chosen(text: str, name: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        # The text of the error would repeat a line that may hold a password.
        raise _wrong("This is no YAML.") from None
    clouds = document.get("clouds") if isinstance(document, Mapping) else None
    if not isinstance(clouds, Mapping) or not clouds:
        raise _wrong("There is no “clouds:” with a cloud in it.")
    if not name and len(clouds) > 1:
        raise InvalidRequest(f"Choose a cloud of the file: {', '.join(map(str, clouds))}.", field="cloud")
    chosen = clouds.get(name) if name else next(iter(clouds.values()))
    if not isinstance(chosen, Mapping):
        raise InvalidRequest(f"The file has no cloud “{name}”; it has {', '.join(map(str, clouds))}.", field="cloud")
    return chosen


def _wrong(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, field="clouds_yaml")
