"""Requests to the API through the official library, each with a deadline; pages, and actions awaited.

The library's models are left aside for its `Client.request`: they ask the API again for each reference that is looked
at (a volume's name costs a call), and raise TypeError when an answer lacks a field that is newer than they expect.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import requests
from hcloud import APIException, Client
from requests.adapters import HTTPAdapter

from providers.base import (
    QUIET,
    NotFound,
    Progress,
    ProviderError,
    RateLimited,
    TimedOut,
    translated,
)
from providers.hcloud.config import HcloudConfig
from providers.hcloud.errors import by_code, check_pem, translate

Json = dict[str, Any]

#: The most that the API gives at once.
PAGE = 50
#: A list of more pages than this is an answer that goes in circles.
MOST_PAGES = 2000
CONNECT_S = 10.0
#: Refused because of something else that is going on: the same request may pass a moment later.
_PASSING = frozenset({"locked", "conflict"})
#: What a thing of the API is called in sentences.
WORDS = {
    "servers": "VM",
    "volumes": "volume",
    "networks": "network",
    "images": "image",
    "isos": "ISO image",
    "firewalls": "firewall",
    "floating_ips": "floating address",
    "placement_groups": "placement group",
    "load_balancers": "load balancer",
    "server_types": "size",
    "locations": "location",
    "ssh_keys": "SSH key",
    "zones": "DNS zone",
}


class _OwnCa(HTTPAdapter):
    """Trusts one more certificate authority beside those of the system."""

    def __init__(self, pem: str) -> None:
        self._context = ssl.create_default_context()
        self._context.load_verify_locations(cadata=pem)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from reading somebody's ~/.netrc in place of the token."""
    return request


class Api:
    """One project's API. Safe to use from several threads as far as its session is: calls share nothing else."""

    def __init__(self, config: HcloudConfig) -> None:
        self.config = config
        self.calls = 0
        """How many requests were sent."""
        if config.ca:
            check_pem(config.ca)
        self._client = Client(
            token=config.token.get_secret_value(),
            api_endpoint=config.endpoint,
            application_name="kvweb",
            timeout=(min(CONNECT_S, config.timeout_s), config.timeout_s),
        )
        # The library has no setting for these. Its own retries would sleep for minutes, whatever was asked for.
        base = self._client._client
        base._retry_max_retries = 0
        self._session = base._session
        self._session.auth = _no_auth
        self._session.hooks["response"].append(self._seen)
        if config.ca:
            self._session.mount("https://", _OwnCa(config.ca))
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self._session.close()

    # -- requests ---------------------------------------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Json:
        return self._ask("GET", path, params={name: value for name, value in params.items() if value is not None})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        return self._ask("POST", path, json=dict(body or {}))

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        return self._ask("PUT", path, json=dict(body))

    def delete(self, path: str) -> Json:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **kwargs: Any) -> Json:
        """One request; again while something stands in its way that passes, within `retry_s`."""
        end = time.monotonic() + self.config.retry_s
        pause = self.config.poll_s
        while True:
            try:
                with translated(translate):
                    return self._client.request(method, path, **kwargs)
            except ProviderError as exc:
                if not _passes(exc) or time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _seen(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        """Counts, and turns away what asks to slow down: the library would drop the header that says for how long."""
        del args, kwargs
        self.calls += 1
        if response.status_code == requests.codes.too_many_requests:
            # The budget refills one by one (3600 an hour), so that waiting for all of it would be too long.
            reset = response.headers.get("RateLimit-Reset", "")
            wait = float(reset) - time.time() if reset.isdigit() else 5.0
            raise RateLimited(
                "Hetzner Cloud asks to slow down: the project's requests are used up.",
                response.text[:500],
                retry_after_s=min(max(wait, 1.0), 60.0),
            )

    # -- reading ----------------------------------------------------------------------------------------------------

    def pages(self, table: str, path: str = "", **params: Any) -> list[Json]:
        """Every row of a list: one call for each fifty."""
        rows: list[Json] = []
        page = 1
        while page <= MOST_PAGES:
            answer = self.get(path or f"/{table}", page=page, per_page=PAGE, **params)
            rows += answer[table]
            following = answer.get("meta", {}).get("pagination", {}).get("next_page")
            if not following or following <= page:
                return rows
            page = following
        raise ProviderError("Hetzner Cloud gives a list that does not end.")

    def count(self, table: str) -> int:
        """How many rows a list has, in one call."""
        return int(self.get(f"/{table}", page=1, per_page=1)["meta"]["pagination"]["total_entries"])

    def one(self, table: str, external_id: str) -> Json:
        """A row by its id; raises NotFound with the word for what it is."""
        word = WORDS.get(table, "object")
        if not (external_id.isascii() and external_id.isdigit()):
            raise NotFound(f"There is no {word} with this id.")
        try:
            answer = self.get(f"/{table}/{external_id}")
        except NotFound as exc:
            raise NotFound(f"The {word} does not exist any more.", exc.detail) from exc
        return cast(Json, answer[table[:-1]])

    def named(self, table: str, name: str) -> Json | None:
        """A row by its exact name, or None."""
        rows: list[Json] = self.get(f"/{table}", name=name)[table]
        return next((row for row in rows if row["name"] == name), None)

    # -- actions ----------------------------------------------------------------------------------------------------

    def settle(
        self,
        *actions: Json | None,
        progress: Progress = QUIET,
        sentence: str = "",
        percent: tuple[int, int] = (0, 0),
        timeout_s: float = 0.0,
        is_final: bool = True,
    ) -> None:
        """Wait until actions are over; raises what an action failed with, and TimedOut.

        `percent` is the part of the whole that these are. Unless `is_final` the wait may be broken off.
        """
        end = time.monotonic() + (timeout_s or self.config.action_timeout_s)
        waiting = [action for action in actions if action is not None]
        share = (percent[1] - percent[0]) / max(len(waiting), 1)
        for number, action in enumerate(waiting):
            pause = self.config.poll_s
            while True:
                if sentence:
                    done = number * share + share * float(action.get("progress") or 0) / 100
                    progress.report(int(percent[0] + done), sentence)
                if not is_final:
                    progress.checkpoint()
                if action["status"] != "running":
                    break
                if time.monotonic() >= end:
                    raise TimedOut("Hetzner took too long for this.", f"action {action['id']} {action['command']}")
                time.sleep(pause)
                pause = min(pause * 1.5, 5.0)
                action = self.get(f"/actions/{action['id']}")["action"]  # noqa: PLW2901 - the same one, newer
            if action["status"] == "error":
                raise _failed(action)


def _passes(exc: ProviderError) -> bool:
    if isinstance(exc, RateLimited):
        return True
    cause = exc.__cause__
    return isinstance(cause, APIException) and cause.code in _PASSING


def _failed(action: Json) -> ProviderError:
    error = action.get("error") or {}
    code, detail = str(error.get("code", "")), f"{action['command']}: {error.get('message', '')}"
    return by_code(code, detail) or ProviderError("Hetzner could not finish this.", f"{detail} ({code})")


def attempt_all(steps: Iterable[Callable[[], object]]) -> list[ProviderError]:
    """Do all of these, whatever happens to the others; what went wrong, for the log. What is gone is fine."""
    errors: list[ProviderError] = []
    for step in steps:
        try:
            step()
        except NotFound:
            continue
        except ProviderError as exc:
            errors.append(exc)
    return errors
