"""The layer in front of moto: it checks who asks, counts, and makes go wrong what it was told to.

Faults are told over HTTP at `/_peer/faults`: a list of objects with `match` ("ec2:RunInstances", "s3:*", "*"), `code`
(the vendor's), `status`, `message`, `times` (-1: always), `delay_s`, `cut` (hang up) and `after` (do it, then fail).
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

from tools.peers.aws import beyond, policy, signature, stricter

#: The one account of the stand-in.
KEY, SECRET = "AKIAKVWEBTEST00000AA", "kvweb-test-secret"
#: How far clocks may differ, as at AWS.
SKEW = timedelta(minutes=15)

#: Services that speak JSON; the others speak XML.
JSON_SERVICES = frozenset({"pricing", "ec2-instance-connect", "servicequotas"})

App = Callable[[Mapping[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Fault:
    match: str = "*"
    code: str = ""
    status: int = 400
    message: str = "The stand-in was told to fail."
    times: int = -1
    delay_s: float = 0.0
    cut: bool = False
    after: bool = False


@dataclass
class Refusal:
    code: str
    message: str
    status: int


class Layer:
    """A WSGI application around moto's."""

    def __init__(self, inner: App, *, is_frozen: bool = False) -> None:
        """`is_frozen`: the same question gets the same answer, quickly, so that a measure is one of who asks."""
        self.inner = inner
        self.is_frozen = is_frozen
        self.kept: dict[tuple[str, str, bytes], tuple[tuple[Any, ...], list[bytes]]] = {}
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        #: Permissions that were missing.
        self.refused: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if str(environ.get("PATH_INFO", "")).startswith("/_peer/"):
            return self._control(str(environ["PATH_INFO"]), body, start_response)
        claim = signature.parsed(environ)
        service = claim.get("service", "")
        name = f"{service}:{_action(environ, body)}"
        fault = self._due(name)
        refusal = self._who(environ, body, claim) or self._may(environ, service, name)
        if fault is not None and fault.delay_s:
            time.sleep(fault.delay_s)
        if fault is not None and not fault.after and (fault.code or fault.cut):
            return self._fail(fault, service, environ, start_response)
        if refusal is not None:
            return _refused(refusal, service, start_response)
        if name == "pricing:GetProducts":
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [beyond.get_products(body)]
        if self.is_frozen:
            return self._again(environ, body, start_response)
        answer = list(self.inner(environ, start_response if fault is None or not fault.after else _nobody))
        if fault is not None and fault.after:
            return self._fail(fault, service, environ, start_response)
        return answer

    def _again(self, environ: dict[str, Any], body: bytes, start_response: Callable[..., Any]) -> Iterable[bytes]:
        key = (str(environ["REQUEST_METHOD"]), str(environ.get("RAW_URI", "")), body)
        if key not in self.kept:
            head: list[Any] = []

            def start(*told: Any) -> Callable[[bytes], None]:
                head.append(told)
                return _nobody()

            answer = list(self.inner(environ, start))
            self.kept[key] = (head[0], answer)
        told, answer = self.kept[key]
        start_response(*told[:2])
        return answer

    # -- faults ------------------------------------------------------------------------------------------------------

    def _due(self, name: str) -> Fault | None:
        with self.lock:
            self.calls[name] += 1
            for fault in self.faults:
                if fault.times and fnmatchcase(name, fault.match):
                    fault.times -= 1 if fault.times > 0 else 0
                    return fault
        return None

    def _fail(
        self, fault: Fault, service: str, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if fault.cut:
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        return _refused(Refusal(fault.code, fault.message, fault.status), service, start_response)

    def _who(self, environ: Mapping[str, Any], body: bytes, claim: Mapping[str, str]) -> Refusal | None:
        """Why this request is not let in; keys that were lent for a while ("ASIA…") are taken as they are."""
        service = claim.get("service", "")
        if not claim or claim["key"].startswith("ASIA"):
            return None
        if claim["key"] != KEY:
            code = {"ec2": "AuthFailure", "s3": "InvalidAccessKeyId"}.get(service, "InvalidClientTokenId")
            return Refusal(
                code, "The security token included in the request is invalid.", 401 if service == "ec2" else 403
            )
        at = datetime.fromisoformat(str(environ.get("HTTP_X_AMZ_DATE", "20000101T000000Z")))
        if abs(datetime.now(UTC) - at) > SKEW:
            code = "RequestTimeTooSkewed" if service == "s3" else "SignatureDoesNotMatch"
            return Refusal(code, "Signature expired: it is now earlier than the time of the request.", 403)
        if not signature.is_right(environ, body, claim, SECRET):
            code = "AuthFailure" if service == "ec2" else "SignatureDoesNotMatch"
            return Refusal(code, "The request signature we calculated does not match the signature you provided.", 403)
        return None

    def _may(self, environ: Mapping[str, Any], service: str, name: str) -> Refusal | None:
        """The key may what the documentation says that it must be allowed, and nothing else."""
        if not service:
            return None
        action = policy.action_of(service, name.partition(":")[2], environ)
        if policy.is_allowed(action):
            return None
        with self.lock:
            self.refused[action] += 1
        code = "UnauthorizedOperation" if service == "ec2" else "AccessDenied"
        return Refusal(code, f"User: kvweb is not authorized to perform: {action} because no policy allows it", 403)

    # -- what tests tell and ask ---------------------------------------------------------------------------------------

    def _control(self, path: str, body: bytes, start_response: Callable[..., Any]) -> Iterable[bytes]:
        told: Any = json.loads(body or b"null")
        answer: Any = {}
        if path == "/_peer/faults":
            known = {field.name for field in fields(Fault)}
            with self.lock:
                self.faults = [Fault(**{key: one[key] for key in one if key in known}) for one in told or []]
        elif path == "/_peer/pace":
            stricter.pace.update({key: float(value) for key, value in told.items()})
        elif path == "/_peer/beyond":
            answer = beyond.tell(told or {})
        elif path == "/_peer/refused":
            with self.lock:
                answer = dict(self.refused)
        elif path == "/_peer/calls":
            with self.lock:
                answer = dict(self.calls)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def _nobody(*_: Any) -> Callable[[bytes], None]:
    return lambda _: None


def _action(environ: Mapping[str, Any], body: bytes) -> str:
    """The vendor's name of the call where the request carries one, else its method."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        return str(environ["HTTP_X_AMZ_TARGET"]).rpartition(".")[2]
    if "form" in str(environ.get("CONTENT_TYPE", "")):
        return parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    return str(environ["REQUEST_METHOD"])


def _refused(refusal: Refusal, service: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """An error as the service's protocol writes it."""
    if service in JSON_SERVICES:
        start_response(f"{refusal.status} Refused", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"__type": refusal.code, "message": refusal.message}).encode()]
    root = ET.Element({"ec2": "Response", "s3": "Error"}.get(service, "ErrorResponse"))
    place = root
    if service == "ec2":
        place = ET.SubElement(ET.SubElement(root, "Errors"), "Error")
    elif service != "s3":
        place = ET.SubElement(root, "Error")
    ET.SubElement(place, "Code").text = refusal.code
    ET.SubElement(place, "Message").text = refusal.message
    ET.SubElement(root, "RequestID" if service == "ec2" else "RequestId").text = "kvweb-peer"
    start_response(f"{refusal.status} Refused", [("Content-Type", "text/xml")])
    return [ET.tostring(root, encoding="utf-8", xml_declaration=True)]
