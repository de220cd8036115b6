"""Asking a starting process whether it is ready: one short attempt each."""

from __future__ import annotations

import asyncio
from pathlib import Path

_PATIENCE = 5.0


async def _ask(opening: str | None, *, socket: Path | None = None, host: str = "", port: int = 0) -> bytes:
    """What the other side answers first; empty when it cannot be reached. Without an opening, connecting is enough."""
    try:
        async with asyncio.timeout(_PATIENCE):
            if socket is not None:
                reader, writer = await asyncio.open_unix_connection(socket)
            else:
                reader, writer = await asyncio.open_connection(host, port)
            try:
                if opening is None:
                    return b"connected"
                writer.write(opening.encode())
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def socket_answers(path: Path) -> bool:
    return bool(await _ask(None, socket=path))


async def tcp_answers(host: str, port: int) -> bool:
    # A wildcard is no address to connect to.
    return bool(await _ask(None, host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port=port))  # noqa: S104


async def redis_answers(path: Path) -> bool:
    return (await _ask("PING\r\n", socket=path)).startswith(b"+PONG")


async def http_answers(path: Path, page: str, host: str) -> bool:
    """Any answer counts, an error page too: then the application is loaded."""
    request = f"GET {page} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return (await _ask(request, socket=path)).startswith(b"HTTP/")
