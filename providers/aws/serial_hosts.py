"""Where each region's gateway to serial lines is, and by what its key is known.

AWS publishes both, as addresses and fingerprints:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/connect-to-serial-console.html
A fingerprint is not a key: the key is asked of the host, and believed only when its fingerprint is the published one.
"""

from __future__ import annotations

import subprocess
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from hashlib import sha256
from typing import TYPE_CHECKING

from providers.base import Unreachable

if TYPE_CHECKING:
    # The table below is read where the SDK is not installed, too.
    from providers.aws.cloud import Cloud

SCAN_S = 3
KEPT_S = 24 * 3600.0
_OLDER, _NEWER = "serial-console.ec2-instance-connect.{}.aws", "ec2-serial-console.{}.api.aws"
_CHINA = "ec2-serial-console.{}.api.amazonwebservices.com.cn"
_GOV = "serial-console.ec2-instance-connect.{}.amazonaws.com"

#: Region → how its host is called, and the SHA-256 of its key.
HOSTS: dict[str, tuple[str, str]] = {
    "af-south-1": (_NEWER, "RMWWZ2fVePeJUqzjO5jL2KIgXsczoHlz21Ed00biiWI"),
    "ap-east-1": (_NEWER, "T0Q1lpiXxChoZHplnAkjbP7tkm2xXViC9bJFsjYnifk"),
    "ap-northeast-1": (_OLDER, "RQfsDCZTOfQawewTRDV1t9Em/HMrFQe+CRlIOT5um4k"),
    "ap-northeast-2": (_OLDER, "FoqWXNX+DZ++GuNTztg9PK49WYMqBX+FrcZM2dSrqrI"),
    "ap-northeast-3": (_NEWER, "Am0/jiBKBnBuFnHr9aXsgEV3G8Tu/vVHFXE/3UcyjsQ"),
    "ap-south-1": (_OLDER, "oBLXcYmklqHHEbliARxEgH8IsO51rezTPiSM35BsU40"),
    "ap-south-2": (_NEWER, "WJgPBSwV4/shN+OPITValoewAuYj15DVW845JEhDKRs"),
    "ap-southeast-1": (_OLDER, "PLFNn7WnCQDHx3qmwLu1Gy/O8TUX7LQgZuaC6L45CoY"),
    "ap-southeast-2": (_OLDER, "yFvMwUK9lEUQjQTRoXXzuN+cW9/VSe9W984Cf5Tgzo4"),
    "ap-southeast-3": (_NEWER, "5ZwgrCh+lfns32XITqL/4O0zIfbx4bZgsYFqy3o8mIk"),
    "ap-southeast-4": (_NEWER, "Avaq27hFgLvjn5gTSShZ0oV7h90p0GG46wfOeT6ZJvM"),
    "ap-southeast-5": (_NEWER, "cQXTHQMRcqRdIjmAGoAMBSExeoRobYyRwT67yTjnEiA"),
    "ap-southeast-7": (_NEWER, "KCAZiRYrR1Q2lqsg7vTwixWmvc2wmjVT31XRgSdEfDY"),
    "ca-central-1": (_OLDER, "P2O2jOZwmpMwkpO6YW738FIOTHdUTyEv2gczYMMO7s4"),
    "ca-west-1": (_NEWER, "s3rc8lI2xhbhr3iedjJNxGAFLPGOLjx7IxxXrGckk6Q"),
    "cn-north-1": (_CHINA, "2gHVFy4H7uU3+WaFUxD28v/ggMeqjvSlgngpgLgGT+Y"),
    "cn-northwest-1": (_CHINA, "TdgrNZkiQOdVfYEBUhO4SzUA09VWI5rYOZGTogpwmiM"),
    "eu-central-1": (_OLDER, "aCMFS/yIcOdOlkXvOl8AmZ1Toe+bBnrJJ3Fy0k0De2c"),
    "eu-central-2": (_NEWER, "8Ppx2mBMf6WdCw0NUlzKfwM4/IfRz4OaXFutQXWp6mk"),
    "eu-north-1": (_OLDER, "tkGFFUVUDvocDiGSS3Cu8Gdl6w2uI32EPNpKFKLwX84"),
    "eu-south-1": (_NEWER, "lC0kOVJnpgFyBVrxn0A7n99ecLbXSX95cuuS7X7QK30"),
    "eu-south-2": (_NEWER, "GoCW2DFRlu669QNxqFxEcsR6fZUz/4F4n7T45ZcwoEc"),
    "eu-west-1": (_OLDER, "h2AaGAWO4Hathhtm6ezs3Bj7udgUxi2qTrHjZAwCW6E"),
    "eu-west-2": (_OLDER, "a69rd5CE/AEG4Amm53I6lkD1ZPvS/BCV3tTPW2RnJg8"),
    "eu-west-3": (_OLDER, "q8ldnAf9pymeNe8BnFVngY3RPAr/kxswJUzfrlxeEWs"),
    "il-central-1": (_NEWER, "JR6q8v6kNNPi8+QSFQ4dj5dimNmZPTgwgsM1SNvtYyU"),
    "me-central-1": (_NEWER, "zpb5duKiBZ+l0dFwPeyykB4MPBYhI/XzXNeFSDKBvLE"),
    "me-south-1": (_NEWER, "nPjLLKHu2QnLdUq2kVArsoK5xvPJOMRJKCBzCDqC3k8"),
    "mx-central-1": (_NEWER, "BCuVl13iQNk+CcVnt18Ef4p2ZHUrBBAOxlFetB32GS0"),
    "sa-east-1": (_OLDER, "rd2+/32Ognjew1yVIemENaQzC+Botbih62OqAPDq1dI"),
    "us-east-1": (_OLDER, "dXwn5ma/xadVMeBZGEru5l2gx+yI5LDiJaLUcz0FMmw"),
    "us-east-2": (_OLDER, "EhwPkTzRtTY7TRSzz26XbB0/HvV9jRM7mCZN0xw/d/0"),
    "us-gov-east-1": (_GOV, "tIwe19GWsoyLClrtvu38YEEh+DHIkqnDcZnmtebvF28"),
    "us-gov-west-1": (_GOV, "kfOFRWLaOZfB+utbd3bRf8OlPf8nGO2YZLqXZiIw5DQ"),
    "us-west-1": (_OLDER, "OHldlcMET8u7QLSX3jmRTRAPFHVtqbyoLZBMUCqiH3Y"),
    "us-west-2": (_OLDER, "EMCIe23TqKaBI6yGHainqZcMwqNkDhhAVHa1O2JxVUc"),
}


def place(cloud: Cloud) -> tuple[str, int] | None:
    """Host and port of the gateway; None where nobody can tell them, or by what the host would be known."""
    config = cloud.config
    if config.serial_host:
        host, _, port = config.serial_host.rpartition(":")
        return (host, int(port)) if host else (config.serial_host, 22)
    if config.endpoint_url or config.region not in HOSTS:
        return None
    return HOSTS[config.region][0].format(config.region), 22


def known_hosts(cloud: Cloud) -> str:
    """The lines by which the gateway is known: the configured ones, or its key when that is the published one.

    Raises Unreachable when it does not answer or shows another key.
    """
    if cloud.config.serial_known_hosts:
        return cloud.config.serial_known_hosts
    known: str | None = cloud.remembered("serial-host")
    if known is not None:
        return known
    where = place(cloud)
    if where is None:
        raise Unreachable("Nobody has said where the serial lines of this region are.")
    published = HOSTS.get(cloud.config.region, ("", ""))[1]
    lines = shown(*where)
    if not lines:
        raise Unreachable("AWS's gateway to serial lines does not answer; may the portal connect to port 22?", where[0])
    kept = [line for line in lines if fingerprint(line) == published]
    if not kept:
        raise Unreachable(
            "AWS's gateway to serial lines shows another key than the published one; the portal does not trust it.",
            ", ".join(fingerprint(line) for line in lines),
        )
    return str(cloud.remember("serial-host", "\n".join(kept), KEPT_S))


def shown(host: str, port: int) -> list[str]:
    """The keys that a host shows just now, as lines of a known_hosts file. They prove nothing."""
    words = ["ssh-keyscan", "-T", str(SCAN_S), "-t", "ed25519,ecdsa,rsa", "-p", str(port), "--", host]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=2 * SCAN_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in answer.splitlines() if line.count(" ") == 2 and not line.startswith("#")]


def fingerprint(line: str) -> str:
    """Of one line of a known_hosts file, as ssh prints it but without its “SHA256:”; empty for what is no key."""
    try:
        return b64encode(sha256(b64decode(line.split()[2], validate=True)).digest()).decode().rstrip("=")
    except (IndexError, NotBase64):
        return ""
