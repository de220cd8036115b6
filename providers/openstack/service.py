"""One service of the cloud: calls with their deadline, lists page by page, answers as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from keystoneauth1.adapter import Adapter
from openstack import exceptions

Json = dict[str, Any]

#: What a page may hold; Nova's own limit (osapi_max_limit) is the same, and a smaller one only makes more pages.
PAGE = 1000


class Service:
    """The SDK's adapter of a service: it finds the address, signs each call and renews the token."""

    def __init__(self, adapter: Any, *, microversion: str = "", knows: tuple[int, ...] = ()) -> None:
        self.adapter = adapter
        self.knows = knows
        """The microversion that calls are made with, as numbers."""
        self._extra: Json = {"microversion": microversion} if microversion else {}

    def get(self, path: str, **params: Any) -> Json:
        return _json(self._call("GET", path, params=params))

    def post(self, path: str, body: Any = None) -> Json:
        return _json(self._call("POST", path, json=body))

    def put(self, path: str, body: Any = None) -> Json:
        return _json(self._call("PUT", path, json=body))

    def patch(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Json:
        return _json(self._call("PATCH", path, json=body, headers=dict(headers or {})))

    def delete(self, path: str, **params: Any) -> None:
        self._call("DELETE", path, params=params)

    def raw(self, method: str, path: str, **options: Any) -> Any:
        """A call whose answer is no JSON: the response itself."""
        return self._call(method, path, **options)

    def all(self, path: str, key: str, **params: Any) -> list[Json]:
        """A whole list, page by page."""
        return list(self._pages(path, key, params))

    def _pages(self, path: str, key: str, params: Json) -> Iterator[Json]:
        wish: Json = {"limit": PAGE, **params}
        while True:
            page = self.get(path, **wish)
            items = cast(list[Json], page.get(key, []))
            yield from items
            marker = _next_marker(page, key)
            if not items or not marker or marker == wish.get("marker"):
                return
            wish["marker"] = marker

    def _call(self, method: str, path: str, **options: Any) -> Any:
        # Of the SDK's adapter the part that signs and sends: what it does besides is counting and caching, which nobody
        # asked for, by a way of its own that it warns of at each call.
        response = Adapter.request(self.adapter, path, method, raise_exc=False, **self._extra, **options)
        exceptions.raise_from_response(response)
        return response


def _next_marker(page: Json, key: str) -> str:
    """Nova, Cinder and Neutron tell the next page in a list of links, Glance and Designate with a word."""
    link: Any = page.get("next") or (page.get("links") or {} if isinstance(page.get("links"), dict) else {})
    if isinstance(link, dict):
        link = link.get("next", "")
    for each in page.get(f"{key}_links", ()):
        if each.get("rel") == "next":
            link = each.get("href", "")
    found = parse_qs(urlsplit(str(link or "")).query).get("marker", [""])
    return found[0]


def _json(response: Any) -> Json:
    if response.status_code == 204 or not response.content:
        return {}
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
