"""The expert's own user data: what cloud-init can read of it, and how it is put together with the portal's.

Formats are those of cloud-init (https://docs.cloud-init.io/en/latest/explanation/format.html): one text that says in
its first line what it is, or several of them as parts of a MIME message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import yaml

from providers.base import InvalidRequest
from providers.guest import cloud_config

CLOUD_CONFIG = "#cloud-config"
#: First words of a text → the subtype of its MIME part.
SUBTYPES = {
    CLOUD_CONFIG: "cloud-config",
    "#!": "x-shellscript",
    "#include": "x-include-url",
    "#cloud-boothook": "cloud-boothook",
    "#part-handler": "part-handler",
    "## template: jinja": "jinja2",
}
_MIME = ("content-type: multipart/", "mime-version:")
#: Lists of a later part are added to those of an earlier one, and single values win
#: (https://docs.cloud-init.io/en/latest/reference/merging.html).
MERGE = "list(append)+dict(no_replace,recurse_list)+str()"
#: What the clouds take at least; more belongs into a file that the machine fetches.
MOST_BYTES = 16_384


def checked(text: str) -> str:
    """The text as the guest gets it: line ends of its own, empty when there is nothing but blanks.

    Raises InvalidRequest with what is wrong and in which line.
    """
    text = text.replace("\r\n", "\n")
    if not text.strip():
        return ""
    text = text.lstrip("\n")
    if len(text.encode()) > MOST_BYTES:
        raise InvalidRequest(
            f"User data can have {MOST_BYTES // 1024} KiB; this is {len(text.encode()) // 1024 + 1} KiB.",
            field="user_data",
        )
    if is_mime(text):
        _check_parts(text)
    else:
        _check_part(text, "")
    return text if text.endswith("\n") else text + "\n"


def is_mime(text: str) -> bool:
    """Whether the text is a message of several parts."""
    return text.lower().startswith(_MIME)


def subtype_of(text: str) -> str:
    """What a text is, by its first words; empty for what cloud-init would not know."""
    return next((subtype for words, subtype in SUBTYPES.items() if text.startswith(words)), "")


def merged(ours: str, experts: str) -> str:
    """Both as one message: the portal's part first, so that the expert's word is the last."""
    digest = hashlib.sha256(f"{ours}\0{experts}".encode()).hexdigest()
    message = MIMEMultipart(boundary=f"part-{digest[:32]}")
    message.attach(_part(ours))
    for text in _parts(experts) if is_mime(experts) else [experts]:
        message.attach(_part(text))
    return message.as_string()


def _part(text: str) -> MIMEText:
    subtype = subtype_of(text) or "plain"
    part = MIMEText(text, subtype, "utf-8")
    if subtype == "cloud-config":
        part["Merge-Type"] = MERGE
    return part


def _parts(text: str) -> Iterator[str]:
    for part in message_from_bytes(text.encode()).walk():
        if not part.is_multipart():
            yield _content(part)


def _content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8")
    except (UnicodeDecodeError, LookupError):
        raise InvalidRequest("A part of the user data is no text in UTF-8.", field="user_data") from None


def _check_parts(text: str) -> None:
    message = message_from_bytes(text.encode())
    if not message.is_multipart():
        raise InvalidRequest(
            "The user data begins as a message of several parts, but its parts cannot be found; is the boundary right?",
            field="user_data",
        )
    for number, part in enumerate(_parts(text), start=1):
        _check_part(part, f"Part {number}: ")


def _check_part(text: str, where: str) -> None:
    subtype = subtype_of(text)
    if not subtype:
        raise InvalidRequest(
            f"{where}User data must begin with a line that says what it is: “#cloud-config” for YAML, “#!/bin/sh” for "
            "a script.",
            field="user_data",
        )
    if subtype == "cloud-config":
        _check_yaml(text, where)


def _check_yaml(text: str, where: str) -> None:
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        line = f" in line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        sentence = f"{where}This YAML cannot be read{line}: {exc.problem}."
        raise InvalidRequest(sentence, str(exc), field="user_data") from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise InvalidRequest(f"{where}This YAML cannot be read.", str(exc), field="user_data") from None
    if document is not None and not isinstance(document, dict):
        raise InvalidRequest(
            f"{where}After “#cloud-config” come keys with values, like “packages: [htop]”.", field="user_data"
        )
    cloud_config.check(text, where)
