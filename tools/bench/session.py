"""A signed-in browser without a screen: cookies, the form token, and how long an answer took."""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode


@dataclass
class Answer:
    status: int
    body: str
    headers: http.client.HTTPMessage
    took_s: float


@dataclass
class Session:
    """One keep-alive connection to a portal on this machine."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, values: dict[str, object], **headers: str) -> Answer:
        body = urlencode({"csrfmiddlewaretoken": self.token, **values}, doseq=True)
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def sign_in(self, name: str, password: str) -> None:
        self.get("/accounts/login/")
        answer = self.post("/accounts/login/", {"login": name, "password": password})
        if answer.status != 302:
            raise RuntimeError(f"Signing in answered {answer.status}")
        self.get("/")

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        sent = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Accept-Encoding": "gzip" if headers.pop("gzip", "") else "identity",
            "Referer": f"http://127.0.0.1:{self.port}/",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        began = time.perf_counter()
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        raw = response.read()
        took_s = time.perf_counter() - began
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        text = raw.decode("latin-1" if response.headers.get("Content-Encoding") else "utf-8")
        if found := re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text):
            self.token = found[1]
        return Answer(response.status, text, response.headers, took_s)
