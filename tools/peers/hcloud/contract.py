"""The published contract of the API: requests and answers are held against Hetzner's own schemas.

Most come in the npm package hcloud-api, which a robot made from Hetzner's OpenAPI document: component schemas as
JavaScript, and which call takes and gives which of them as TypeScript. Node writes the former as JSON. Those of newer
calls are in `documented`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tools.peers.hcloud import documented

Json = dict[str, Any]

PACKAGE = Path(__file__).resolve().parents[3] / "node_modules/hcloud-api/dist/client"
_CALL = re.compile(
    r"export const (\w+) = \(options\) => \{\s*return \(options\?\.client \?\? client\)\.(get|post|put|delete)\(\{"
    r"[^}]*?url: '([^']+)'"
)


class Missing(Exception):
    """The package is not here; the text says how to get it."""


def _nullable(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: what is nullable takes null; examples and formats say nothing to a validator."""
    if isinstance(schema, list):
        return [_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: {name: _nullable(one) for name, one in value.items()} if key == "properties" else _nullable(value)
        for key, value in schema.items()
        if key not in {"example", "description", "format", "nullable", "default", "deprecated", "title"}
    }
    if schema.get("nullable") is not True:
        return plain
    return {"anyOf": [plain, {"type": "null"}]}


class Contract:
    """`check_request` and `check_response` return what is wrong, or an empty text. Unknown calls are not checked."""

    def __init__(self) -> None:
        if not PACKAGE.is_dir() or shutil.which("node") is None:
            raise Missing("The schemas of the npm package hcloud-api are not here: npm ci brings them.")
        self._schemas = self._read_schemas()
        self._takes, self._gives = self._read_calls()
        for calls, table in ((documented.TAKES, self._takes), (documented.GIVES, self._gives)):
            for (method, path), schema in calls.items():
                name = f"{'takes' if calls is documented.TAKES else 'gives'} {method} {path}"
                table[method, path] = name
                self._schemas[name] = schema
        resource = DRAFT202012.create_resource({"components": {"schemas": self._schemas}})
        self._registry = Registry().with_resource("api", resource)
        self._fine: set[tuple[str, str]] = set()
        self._validators: dict[str, Draft202012Validator] = {}

    @staticmethod
    def _read_schemas() -> Json:
        program = f"import * as s from {json.dumps(str(PACKAGE / 'schemas.gen.js'))};console.log(JSON.stringify(s))"
        told = subprocess.run(
            ["node", "--no-warnings", "--input-type=module", "-e", program],
            capture_output=True,
            check=True,
            timeout=60,
        )
        text = told.stdout.decode().replace("#/components", "api#/components")
        return {name.removesuffix("Schema"): _nullable(schema) for name, schema in json.loads(text).items()}

    @staticmethod
    def _read_calls() -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
        calls = {
            name: (verb.upper(), url) for name, verb, url in _CALL.findall((PACKAGE / "services.gen.js").read_text())
        }
        types = (PACKAGE / "types.gen.d.ts").read_text()
        takes: dict[tuple[str, str], str] = {}
        gives: dict[tuple[str, str], str] = {}
        for name, key in calls.items():
            title = name[0].upper() + name[1:]
            if found := re.search(rf"export type {title}Data = \{{\s*body\??: (\w+);", types):
                takes[key] = found[1]
            if found := re.search(rf"export type {title}Response = \(?(\w+)\)?;", types):
                gives[key] = found[1]
        return takes, gives

    @property
    def covers(self) -> frozenset[tuple[str, str]]:
        """Method and path of the calls whose answers are checked."""
        return frozenset(self._gives)

    def check_request(self, method: str, path: str, body: Json) -> str:
        return self._check(self._takes.get((method, path), ""), body)

    def check_response(self, method: str, path: str, status: int, body: Json) -> str:
        if status >= 400:
            return "" if {"code", "message"} <= body.get("error", {}).keys() else "An error has a code and a message."
        return "" if status == 204 else self._check(self._gives.get((method, path), ""), body)

    def _check(self, name: str, body: Json) -> str:
        if name not in self._schemas:
            return ""
        text = json.dumps(body, sort_keys=True)
        # The same answer comes many times; looking at a page of servers costs more than making it.
        if (name, text) in self._fine:
            return ""
        if name not in self._validators:
            self._validators[name] = Draft202012Validator(self._schemas[name], registry=self._registry)
        wrong = next(self._validators[name].iter_errors(body), None)
        if wrong is not None:
            place = "/".join(str(part) for part in wrong.absolute_path)
            return f"{name}: {place}: {wrong.message[:300]}"
        self._fine.add((name, text))
        return ""


@cache
def contract() -> Contract:
    """Read once in a process; raises Missing."""
    return Contract()
