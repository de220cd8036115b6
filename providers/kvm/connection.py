"""Connections to libvirt: opened within a deadline, shared by everything in this process that uses the same URI.

A connection is costly to make (ssh: a second) and safe to use from many threads, and what is known about the VMs
behind it stays right only while its events arrive. So it outlives the driver that opened it, for a while.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from providers.base import AuthenticationFailed, ProviderError, ProviderEvent, Unreachable
from providers.kvm import eventloop, remote, subscriptions
from providers.kvm.config import KvmConfig
from providers.kvm.errors import UNKNOWN_HOST_KEY, vendor_calls
from providers.kvm.native import LibvirtError, libvirt

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: A daemon that is stopped but whose socket still stands is given up after 3 s × (3 + 1). A call cannot be hurried
#: otherwise: libvirt has no deadline per call (https://libvirt.org/kbase/ - virConnectSetKeepAlive).
KEEPALIVE_INTERVAL_S = 3
KEEPALIVE_COUNT = 3

#: How long a connection that nobody uses stays open.
LINGER_S = 600.0


class Connection:
    """One open connection. `raw` is libvirt's virConnect; calls on it go inside `vendor_calls()`."""

    def __init__(self, raw: Any, config: KvmConfig, access: remote.Access) -> None:
        self.raw = raw
        self.uri = config.uri
        #: How the host is reached, for what goes beside this connection.
        self.access = access
        self.is_local = config.is_local
        self.has_events = eventloop.start()
        self.users = 0
        self.idle_since = time.monotonic()
        #: What facets remember about the hypervisor, by the class of what they remember.
        self._memory: dict[type[Any], Any] = {}
        self._lock = threading.RLock()
        self._listeners: list[subscriptions.Listener] = []
        self._registered: list[Callable[[], None]] = []
        self._hung: list[Callable[[], None]] = []
        self._lost = ""
        if self.has_events:
            raw.registerCloseCallback(self._on_close, None)

    @property
    def is_alive(self) -> bool:
        """Whether the line stands as far as this side knows; no round trip."""
        if self._lost:
            return False
        try:
            return bool(self.raw.isAlive() == 1)
        except LibvirtError:
            return False

    def remembered(self, kind: type[T], make: Callable[[], T]) -> T:
        """The one object of this class that belongs to this connection, made on first use."""
        with self._lock:
            if kind not in self._memory:
                self._memory[kind] = make()
            found: T = self._memory[kind]
            return found

    def subscribe(self, listener: subscriptions.Listener) -> Callable[[], None]:
        """Tell `listener` of every change from now on; returns how to stop. Raises Unreachable on a dead line."""
        with self._lock:
            if self._lost:
                raise Unreachable("The connection to the hypervisor is lost.", self._lost)
            if not self._registered and self.has_events:
                with vendor_calls():
                    self._registered = subscriptions.register(self.raw, self._tell)
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def hear(self, number: int, callback: Callable[..., None]) -> bool:
        """Call `callback` with libvirt's own words at each event of this number, until this connection ends.

        False where this process gets no events. It is called in the event loop's thread, and must not call libvirt.
        """
        if not self.has_events:
            return False
        with vendor_calls():
            known = self.raw.domainEventRegisterAny(None, number, callback, None)
        with self._lock:
            self._hung.append(lambda: self.raw.domainEventDeregisterAny(known))
        return True

    def release(self) -> None:
        """One user less."""
        with _lock:
            self.users = max(0, self.users - 1)
            self.idle_since = time.monotonic()
        _prune()

    def close(self) -> None:
        """Hang up; never raises."""
        self._lost = self._lost or "closed by the portal"
        for deregister in [*self._registered, *self._hung]:
            _quietly(deregister)
        self._registered, self._hung = [], []
        if self.has_events:
            _quietly(self.raw.unregisterCloseCallback)
        _quietly(self.raw.close)
        self.access.close()

    def _tell(self, event: ProviderEvent) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.changed(event)

    def _on_close(self, _raw: object, reason: int, _opaque: object) -> None:
        self._lost = f"libvirt close reason {reason}"
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.closed(self._lost)


class _Attempt:
    """Opening one URI, in a thread of its own: `virConnectOpen` cannot be interrupted and has no deadline."""

    def __init__(self, config: KvmConfig, key: str) -> None:
        self.config = config
        self.key = key
        self.done = threading.Event()
        self.error: BaseException | None = None
        threading.Thread(target=self._run, name="libvirt-open", daemon=True).start()

    def _run(self) -> None:
        access = remote.Access(self.config)
        try:
            with vendor_calls():
                connection = Connection(_open(self.config, access.uri), self.config, access)
            with _lock:
                _shared[self.key] = connection
        except BaseException as exc:
            access.close()
            self.error = exc
        finally:
            with _lock:
                _attempts.pop(self.key, None)
            self.done.set()


_lock = threading.RLock()
_shared: dict[str, Connection] = {}
_attempts: dict[str, _Attempt] = {}
#: Connections of the parent process. They must not be closed here, not even by the garbage collector: closing would
#: say good-bye in the parent's conversation.
_parents: list[Connection] = []


def acquire(config: KvmConfig) -> Connection:
    """An open connection for this config, for the caller to `release()`.

    Raises Unreachable when the host did not answer within `config.open_timeout_s`, AuthenticationFailed when it
    refused. A connection that succeeds later than that serves the next caller.
    """
    _prune()
    key = remote.identity(config)
    with _lock:
        connection = _shared.get(key)
        if connection is not None and connection.is_alive:
            connection.users += 1
            return connection
        attempt = _attempts.get(key)
        if attempt is None:
            attempt = _attempts[key] = _Attempt(config, key)
    if not attempt.done.wait(config.open_timeout_s):
        raise Unreachable(f"The hypervisor did not answer within {config.open_timeout_s:g} seconds.")
    if attempt.error is not None:
        raise _with_the_hosts_key(config, attempt.error)
    with _lock:
        connection = _shared[key]
        connection.users += 1
        return connection


def _with_the_hosts_key(config: KvmConfig, error: BaseException) -> BaseException:
    """Where the host's key is not known: the same error with what a person needs to make it known."""
    if not isinstance(error, ProviderError) or error.reason != UNKNOWN_HOST_KEY:
        return error
    fingerprint, line = remote.host_key(config)
    if not line:
        return error
    return AuthenticationFailed(
        f"{UNKNOWN_HOST_KEY} If its fingerprint is {fingerprint}, add this line to “SSH known hosts”: {line}",
        error.detail,
        field="known_hosts",
    )


def _open(config: KvmConfig, uri: str) -> Any:
    eventloop.start()
    password = config.sasl_password.get_secret_value() if config.sasl_password else ""
    if password:
        raw = libvirt.openAuth(uri, [_ASKED_FOR, _answers(config.sasl_user, password), None], 0)
    else:
        # No callbacks for credentials: whatever would ask a person fails instead.
        raw = libvirt.open(uri)
    try:
        raw.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    except LibvirtError as exc:
        _log.info("No keepalive on %s: %s", config.uri, exc)
    return raw


_ASKED_FOR = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]


def _answers(user: str, password: str) -> Callable[[list[list[Any]], object], int]:
    """What libvirt calls with its questions: each is a list whose first item says what is asked, and the last one is
    the place for the answer."""
    told = {libvirt.VIR_CRED_AUTHNAME: user, libvirt.VIR_CRED_PASSPHRASE: password}

    def answer(questions: list[list[Any]], _: object) -> int:
        for question in questions:
            if question[0] not in told:
                return -1
            question[4] = told[question[0]]
        return 0

    return answer


def _prune() -> None:
    """Close what nobody has used for a while, and what is dead and unused."""
    now = time.monotonic()
    with _lock:
        old = [
            (uri, connection)
            for uri, connection in _shared.items()
            if connection.users == 0 and (now - connection.idle_since > LINGER_S or not connection.is_alive)
        ]
        for uri, _ in old:
            del _shared[uri]
    for _, connection in old:
        connection.close()


def _quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except LibvirtError as exc:
        _log.debug("While hanging up: %s", exc)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a lock held by a thread of the parent would never be free here
    _lock = threading.RLock()
    _parents.extend(_shared.values())
    _shared.clear()
    _attempts.clear()


os.register_at_fork(after_in_child=_after_fork)
