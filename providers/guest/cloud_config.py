"""What an expert's `#cloud-config` may say: its keys, and the shape of what stands behind them.

Keys and shapes are those of cloud-init's reference (https://docs.cloud-init.io/en/latest/reference/modules.html); a
test holds them against the schema that cloud-init itself comes with. A guest would only write a line into its log about
a wrong one, and go on without it. A key that is like none of these passes: guests have modules that nobody here knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import NoneType
from typing import Any

import yaml

from providers.base import InvalidRequest


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand behind a key: one of these types, in a list each of these, in a mapping these keys."""

    types: tuple[type, ...]
    items: Shape | None = None
    keys: Mapping[str, Shape] = field(default_factory=dict)
    needs: str = ""
    """The key that a mapping has in any case."""


TEXT, YES_NO, NUMBER = Shape((str,)), Shape((bool,)), Shape((int,))
LIST, MAPPING = Shape((list,)), Shape((dict,))
TEXT_OR_NUMBER, TEXT_OR_YES_NO = Shape((str, int)), Shape((str, bool))
TEXTS = Shape((list,), TEXT)
#: A program with its arguments is a list, everything else a line for the shell.
COMMANDS = Shape((list,), Shape((str, list, NoneType), Shape((str, int, float))))

USER = Shape(
    (str, list, dict),
    keys={
        "name": TEXT,
        "gecos": TEXT,
        "groups": Shape((str, list, dict)),
        "homedir": TEXT,
        "lock_passwd": YES_NO,
        "no_create_home": YES_NO,
        "passwd": TEXT,
        "hashed_passwd": TEXT,
        "plain_text_passwd": TEXT,
        "primary_group": TEXT,
        "shell": TEXT,
        "ssh_authorized_keys": TEXTS,
        "ssh_import_id": TEXTS,
        "sudo": Shape((str, list, bool, NoneType)),
        "system": YES_NO,
        "uid": TEXT_OR_NUMBER,
    },
)
FILE = Shape(
    (dict,),
    keys={
        "path": TEXT,
        "content": TEXT,
        "owner": TEXT,
        # 0644 without quotes is a number in YAML, and understood all the same.
        "permissions": TEXT_OR_NUMBER,
        "encoding": TEXT,
        "append": YES_NO,
        "defer": YES_NO,
    },
    needs="path",
)
PASSWORDS = Shape((dict,), keys={"expire": YES_NO, "users": LIST, "list": Shape((str, list))})

KEYS: dict[str, Shape] = {
    "bootcmd": COMMANDS,
    "chpasswd": PASSWORDS,
    "packages": Shape((list,), Shape((str, list, dict))),
    "runcmd": COMMANDS,
    "ssh_authorized_keys": TEXTS,
    "ssh_import_id": TEXTS,
    "users": Shape((list, str, dict), USER),
    "write_files": Shape((list,), FILE),
    **dict.fromkeys(
        (
            *("byobu_by_default", "disable_root_opts", "final_message", "fqdn", "hostname", "locale"),
            *("locale_configfile", "password", "timezone", "authkey_hash", "yum_repo_dir"),
        ),
        TEXT,
    ),
    **dict.fromkeys(
        (
            *("allow_public_ssh_keys", "apt_reboot_if_required", "apt_update", "apt_upgrade", "disable_ec2_metadata"),
            *("disable_root", "manage_resolv_conf", "migrate", "no_ssh_fingerprints", "package_reboot_if_required"),
            *("package_update", "package_upgrade", "prefer_fqdn_over_hostname", "preserve_hostname"),
            *("ssh_deletekeys", "ssh_quiet_keygen"),
        ),
        YES_NO,
    ),
    **dict.fromkeys(("manage_etc_hosts", "resize_rootfs", "ssh_pwauth"), TEXT_OR_YES_NO),
    **dict.fromkeys(
        (
            *("cloud_config_modules", "cloud_final_modules", "cloud_init_modules", "fs_setup", "mount_default_fields"),
            *("mounts", "ssh_fp_console_blacklist", "ssh_genkeytypes", "ssh_key_console_blacklist"),
        ),
        LIST,
    ),
    **dict.fromkeys(
        (
            *("ansible", "apk_repos", "apt", "autoinstall", "ca-certs", "ca_certs", "chef", "device_aliases"),
            *("disk_setup", "drivers", "fan", "growpart", "grub-dpkg", "grub_dpkg", "keyboard", "landscape", "lxd"),
            *("mcollective", "phone_home", "power_state", "puppet", "random_seed", "reporting", "resolv_conf"),
            *("rh_subscription", "rsyslog", "salt_minion", "snap", "spacewalk", "ssh", "ssh_keys"),
            *("ssh_publish_hostkeys", "swap", "ubuntu_advantage", "ubuntu_pro", "updates", "vendor_data"),
            *("yum_repos", "zypper"),
        ),
        MAPPING,
    ),
    **dict.fromkeys(("ntp", "wireguard"), Shape((dict, NoneType))),
    "apt_pipelining": Shape((int, bool, str)),
    "groups": Shape((list, str, dict, NoneType)),
    "user": Shape((str, dict), keys=USER.keys),
    # Known, and of no shape that could be told.
    **dict.fromkeys(("datasource", "merge_how", "merge_type", "output", "system_info"), Shape(())),
}
_WORDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    list: "a list",
    dict: "keys with values",
    NoneType: "nothing",
}
_LIKE = 0.84


def check(text: str, where: str = "") -> None:
    """Raise InvalidRequest with the line for what a guest would not understand; `where` stands before the sentence."""
    lines: dict[str, int] = {}
    for key, line in _keys_with_lines(text):
        if key in lines:
            raise _refusal(f"{where}“{key}” is there twice, in the lines {lines[key]} and {line}.")
        lines[key] = line
    for key, value in (yaml.safe_load(text) or {}).items():
        begin = f"{where}In line {lines.get(key, 1)}: "
        if not isinstance(key, str) or key not in KEYS:
            like = get_close_matches(str(key), KEYS, n=1, cutoff=_LIKE)
            if like:
                raise _refusal(f"{begin}“{key}” is nothing that cloud-init knows; “{like[0]}” is.")
            continue
        for sentence in _wrong(value, KEYS[key], f"“{key}”"):
            raise _refusal(begin + sentence)


def _keys_with_lines(text: str) -> Iterator[tuple[str, int]]:
    node = yaml.compose(text, yaml.SafeLoader)
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, key.start_mark.line + 1


def _wrong(value: Any, shape: Shape, what: str) -> Iterator[str]:
    if shape.types and type(value) not in shape.types:
        yield f"{what} must be {_told(shape.types)}, and is {_WORDS.get(type(value), 'a number or a time')}" + (
            "; put it in quotes." if str in shape.types and not isinstance(value, (list, dict, NoneType)) else "."
        )
    elif isinstance(value, list) and shape.items is not None:
        for number, item in enumerate(value, start=1):
            yield from _wrong(item, shape.items, f"entry {number} of {what}")
    elif isinstance(value, dict):
        if shape.needs and shape.needs not in value:
            yield f"{what} has no “{shape.needs}”."
        for key, inner in value.items():
            if key in shape.keys:
                yield from _wrong(inner, shape.keys[key], f"“{key}” in {what}")


def _told(types: tuple[type, ...]) -> str:
    words = [_WORDS[each] for each in types if each in _WORDS and each is not NoneType]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _refusal(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, field="user_data")
