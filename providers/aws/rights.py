"""What the key may: asked when a connection is checked, and remembered for ten minutes in each process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from providers.aws import placement, tags
from providers.aws.cloud import Cloud
from providers.aws.errors import code_of, is_forbidden
from providers.base import AuthenticationFailed, ProviderError, Rejected, Transient

RIGHTS = "rights"
RIGHTS_S = 600.0

#: Without these nothing can be shown: a missing one is an error of the connection.
_READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("describe_instances", {"MaxResults": 5}),
    ("describe_volumes", {"MaxResults": 5}),
    ("describe_snapshots", {"OwnerIds": ["self"], "MaxResults": 5}),
    ("describe_vpcs", {"MaxResults": 5}),
    ("describe_subnets", {"MaxResults": 5}),
    ("describe_security_groups", {"MaxResults": 5}),
    ("describe_instance_types", {"InstanceTypes": ["t3.micro"]}),
)
#: Tried as a dry run: AWS looks at the permission first, and at the nonsense in the request after that.
_NOBODY = "i-00000000000000000"
_WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "create": ("run_instances", {"ImageId": "ami-00000000000000000", "MinCount": 1, "MaxCount": 1}),
    "power": ("stop_instances", {"InstanceIds": [_NOBODY]}),
    "screenshot": ("get_console_screenshot", {"InstanceId": _NOBODY}),
    "output": ("get_console_output", {"InstanceId": _NOBODY}),
    "import": (
        "import_snapshot",
        {"DiskContainer": {"Format": "raw", "UserBucket": {"S3Bucket": "kvweb", "S3Key": "nobody"}}},
    ),
}
#: Services beside EC2, with a question that only needs the right to list.
_SERVICES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "buckets": ("s3", "list_buckets", {}),
    "dns": ("route53", "list_hosted_zones", {"MaxItems": "1"}),
    "load_balancers": ("elbv2", "describe_load_balancers", {"PageSize": 1}),
    "prices": ("pricing", "get_products", {"ServiceCode": "AmazonEC2", "MaxResults": 1}),
    "quotas": ("service-quotas", "get_service_quota", {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}),
}


@dataclass(frozen=True, slots=True)
class Rights:
    """Who the key belongs to, and which optional things it may."""

    account: str
    arn: str
    may: frozenset[str]


def known(cloud: Cloud) -> Rights:
    """As it was found in this process lately; raises what connecting raises."""
    found: Rights | None = cloud.remembered(RIGHTS)
    return found if found is not None else asked(cloud)


def asked(cloud: Cloud) -> Rights:
    """Ask AWS now. Raises AuthenticationFailed, Unreachable, and Rejected that names a permission without which nothing
    can be shown."""
    cloud.forget(RIGHTS)
    who = cloud.call("sts", "get_caller_identity")
    try:
        placement.zones(cloud)
    except AuthenticationFailed as exc:
        # The key is right, as was just seen; so it is the region that does not know it.
        reason = f"The key is right, but the region “{cloud.config.region}” is not enabled for the account."
        raise AuthenticationFailed(reason, exc.detail, field="region") from exc
    for operation, parameters in _READS:
        cloud.ec2(operation, **parameters)
    may: set[str] = {name for name, (operation, given) in _WRITES.items() if _may_write(cloud, operation, given)}
    may |= {name for name, (service, operation, given) in _SERVICES.items() if _may(cloud, service, operation, given)}
    if _has_serial_lines(cloud):
        may.add("serial")
    found = Rights(account=str(who["Account"]), arn=str(who["Arn"]), may=frozenset(may))
    cloud.remember(RIGHTS, found, RIGHTS_S)
    return found


def _may_write(cloud: Cloud, operation: str, parameters: dict[str, Any]) -> bool:
    try:
        cloud.ec2(operation, DryRun=True, **parameters)
    except ProviderError as exc:
        if isinstance(exc, Rejected) and not isinstance(exc, AuthenticationFailed):
            return not is_forbidden(exc)
        if code_of(exc) == "DryRunOperation":
            return True
        raise
    return True


def _has_serial_lines(cloud: Cloud) -> bool:
    """Whether the account allows serial consoles at all, which it does not until somebody switches them on there."""
    try:
        return bool(cloud.ec2("get_serial_console_access_status").get("SerialConsoleAccessEnabled"))
    except ProviderError as exc:
        if isinstance(exc, Transient | AuthenticationFailed):
            raise
        return False


def _may(cloud: Cloud, service: str, operation: str, parameters: dict[str, Any]) -> bool:
    try:
        cloud.call(service, operation, **parameters)
    except ProviderError as exc:
        if isinstance(exc, Transient | AuthenticationFailed) and code_of(exc) != "OptInRequired":
            raise
        # Forbidden, or a service that this account or endpoint does not have.
        return False
    return True


def choices(cloud: Cloud) -> dict[str, dict[str, str]]:
    """What the account has for options that depend on it."""
    told = cloud.pages("ec2", "describe_subnets", "Subnets")
    subnets = {"": "one with room"} | {one["SubnetId"]: _subnet_words(one) for one in told}
    try:
        pairs = cloud.ec2("describe_key_pairs").get("KeyPairs") or ()
    except ProviderError as exc:
        if not is_forbidden(exc):
            raise
        pairs = ()
    keys = {"": "none"} | {one["KeyName"]: one["KeyName"] for one in pairs}
    return {"subnet": subnets, "key_pair": keys}


def _subnet_words(subnet: Any) -> str:
    name = tags.read(subnet).get(tags.NAME) or subnet["SubnetId"]
    return f"{name} ({subnet['CidrBlock']}, {subnet['AvailabilityZone']})"


__all__ = ["Rights", "asked", "choices", "known"]
