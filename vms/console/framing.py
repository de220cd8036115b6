"""A websocket on a socket that never blocks: websockify's handshake and framing, with limits and without copies.

The engine reads 4 KiB at a time into a growing buffer and raises when a socket is full. Thousands of consoles in one
thread want something else from it: one large read into a buffer that all share, frames decoded where they lie, sizes
refused as announced, and what cannot be sent now kept for later without an exception.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
from websockify.websocket import WebSocket, WebSocketWantReadError

from vms.console.closing import REASON_BYTES, Closing, Code
from vms.console.handshake import Headers

if TYPE_CHECKING:
    from vms.console.duct import Duct

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
#: The longest frame and the longest message that a browser may send; what people type and paste is far below.
MESSAGE_BYTES = 256 * 1024
CONTROL_BYTES = 125
#: What a page says beside the machine's bytes is short.
TEXT_BYTES = 1024
#: A frame that is longer is not collected portion by portion.
LONG_BYTES = 8 * 1024
#: Unmasking so few bytes as one number is quicker than making arrays.
FEW_BYTES = 64
_RESERVED_BITS = 0x70
#: The first byte of a frame that is a whole binary message, as nearly all are.
_WHOLE, _MASKED = 0x80 | BINARY, 0x80

#: Read by one socket at a time, in the loop's thread; nothing stays in it between two callbacks. Somewhat longer than a
#: message, so that several that fill it together do not leave the last one cut off by its header's length.
SCRATCH = memoryview(bytearray(MESSAGE_BYTES + MESSAGE_BYTES // 4))
#: So many bytes are worth uncovering where they lie.
MANY_BYTES = 4096


class Gone(Exception):
    """The other side is not there any more."""


class Broken(Exception):
    """The other side does not keep to the protocol; carries how to close."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.reason)
        self.closing = closing


def unmasked(data: memoryview | bytes, mask: memoryview | bytes) -> bytes:
    """`data` with the four bytes of `mask` laid over it again and again: that covers, and doing it again uncovers."""
    length = len(data)
    if length <= FEW_BYTES:
        pad = (bytes(mask) * (length // 4 + 1))[:length]
        return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(length, "little")
    if length >= MANY_BYTES and isinstance(data, memoryview) and not data.readonly:
        return _unmasked_in_place(data, bytes(mask))
    # Moved to where words are aligned, and to a whole number of them, before it is changed in place.
    words = bytearray(-(-length // 8) * 8)
    words[:length] = data
    array = numpy.frombuffer(words, numpy.uint64)
    numpy.bitwise_xor(array, numpy.frombuffer(bytes(mask) * 2, numpy.uint64), out=array)
    return bytes(memoryview(words)[:length])


def _unmasked_in_place(data: memoryview, mask: bytes) -> bytes:
    """The same without a copy before: the few bytes around the aligned words are done by themselves."""
    array = numpy.frombuffer(data, numpy.uint8)
    start = -array.__array_interface__["data"][0] % 8
    end = start + (len(data) - start) // 8 * 8
    turned = mask[start % 4 :] + mask[: start % 4]
    words = array[start:end].view(numpy.uint64)
    numpy.bitwise_xor(words, numpy.frombuffer(turned * 2, numpy.uint64), out=words)
    data[:start] = unmasked(data[:start], mask)
    data[end:] = unmasked(data[end:], turned)
    return bytes(data)


def whole_message(data: memoryview | bytes, position: int) -> tuple[int, int] | None:
    """Where payload and frame end, counted from `position`, of a binary message that is there as one masked frame.

    None for all else, which is the engine's to judge: control frames, parts of messages, mistakes, what is not whole.
    """
    there = len(data) - position
    if there < 6 or data[position] != _WHOLE:
        return None
    length, size = data[position + 1] - _MASKED, 6
    if length < 0:
        return None
    if length >= 126:
        size = 8 if length == 126 else 14
        length = int.from_bytes(data[position + 2 : position + size - 4], "big")
    return (size, size + length) if there >= size + length and length <= MESSAGE_BYTES else None


def _header(opcode: int, length: int) -> bytes:
    """Of a whole message to the browser."""
    if length <= 125:
        return bytes((0x80 | opcode, length))
    if length < 65536:
        return struct.pack(">BBH", 0x80 | opcode, 126, length)
    return struct.pack(">BBQ", 0x80 | opcode, 127, length)


class ConsoleSocket(WebSocket):  # type: ignore[misc] # websockify publishes no types
    """One browser. `receive` and `push` do what can be done now."""

    def __init__(self, sock: Any, on_pong: Callable[[], None], on_text: Callable[[bytes], None] | None = None) -> None:
        super().__init__()
        sock.setblocking(False)
        self.socket = sock
        self.client = False
        self._send_buffer = b""
        self.is_closed = False
        self._on_pong, self._on_text = on_pong, on_text
        #: How long the frame is whose beginning was looked at last; 0 while it does not say so.
        self._announced = 0
        #: A long frame that is being read into its own place, and how much of it is there.
        self._long: bytearray | None = None
        self._filled = 0

    # -- opening -------------------------------------------------------------------------------------------------------

    def open(self, headers: Headers) -> None:
        """Answer the upgrade; `headers` name exactly one sub-protocol. Raises Gone."""
        self.accept(self.socket, headers)

    def select_subprotocol(self, protocols: list[str]) -> str:
        return protocols[0]

    # -- from the browser ----------------------------------------------------------------------------------------------

    def receive(self) -> list[bytes]:
        """Read once; the messages that are whole now. Raises Gone and Broken."""
        frame = self._long
        try:
            count = self.socket.recv_into(SCRATCH if frame is None else memoryview(frame)[self._filled :])
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as exc:
            raise Gone from exc
        if count == 0:
            raise Gone
        if frame is not None:
            self._filled += count
            if self._filled < len(frame):
                return []
            self._long = None
            return self._messages(memoryview(frame))
        if self._recv_buffer:
            return self._messages(memoryview(self._recv_buffer + SCRATCH[:count]))
        if count <= FEW_BYTES:
            # A key or a mouse movement is a few dozen bytes: copying them is quicker than slicing a view of them.
            return self._messages(bytes(SCRATCH[:count]))
        return self._messages(SCRATCH[:count])

    def _messages(self, data: memoryview | bytes) -> list[bytes]:
        messages: list[bytes] = []
        position = 0
        was_ending = self._sent_close
        while position < len(data) and not self._received_close:
            if not was_ending and not self._partial_msg and (found := whole_message(data, position)) is not None:
                start, end = position + found[0], position + found[1]
                if end > start:
                    messages.append(unmasked(data[start:end], data[start - 4 : start]))
                position = end
                continue
            frame = self._decode_hybi(data[position:])
            if frame is None:
                break
            position += frame["length"]
            if frame["opcode"] == TEXT and self._on_text is not None and frame["masked"]:
                # Ours say what the person wants of the others; the engine knows no text. Raises Broken.
                if not frame["fin"] or len(frame["payload"]) > TEXT_BYTES:
                    raise Broken(Closing(Code.UNSUPPORTED))
                self._on_text(bytes(frame["payload"]))
                continue
            self._recv_queue.append(frame)
            try:
                message = self._recvmsg()
            except WebSocketWantReadError:
                message = None  # It was a control frame, or part of a message.
            if message:
                messages.append(message)
            if self._sent_close and not was_ending and not self._received_close:
                # The engine found a mistake and has said so.
                raise Broken(Closing(Code.PROTOCOL_ERROR))
        rest = data[position:]
        if rest and self._announced > LONG_BYTES:
            # What is to come of it is read behind what is there, instead of copying all of it again with every read.
            self._long, self._filled, self._recv_buffer = bytearray(self._announced), len(rest), b""
            self._long[: len(rest)] = rest
        else:
            self._recv_buffer = bytes(rest)
        return messages

    def _decode_hybi(self, data: memoryview | bytes) -> dict[str, Any] | None:
        """As the engine does, but a frame that is too long is refused by its header, before anybody collects it."""
        self._announced = 0
        if len(data) >= 2:
            opcode, length, size = data[0] & 0x0F, data[1] & 0x7F, 6
            if data[0] & _RESERVED_BITS or (opcode >= CLOSE and length > CONTROL_BYTES):
                raise Broken(Closing(Code.PROTOCOL_ERROR))
            if length == 126 and len(data) >= 4:
                (length,), size = struct.unpack(">H", data[2:4]), 8
            elif length == 127 and len(data) >= 10:
                (length,), size = struct.unpack(">Q", data[2:10]), 14
            if length + len(self._partial_msg) > MESSAGE_BYTES:
                raise Broken(Closing(Code.TOO_BIG))
            if data[1] & 0x80:
                self._announced = size + length
        frame: dict[str, Any] | None = super()._decode_hybi(data)
        return frame

    def _unmask(self, data: memoryview | bytes, mask: memoryview | bytes) -> bytes:
        return unmasked(data, mask)

    def handle_ping(self, data: bytes) -> None:
        # Only the newest ping needs an answer: who does not read our answers gets no more of them.
        if not self._send_buffer:
            self._sendmsg(PONG, data)

    def handle_pong(self, data: bytes) -> None:
        del data
        self._on_pong()

    # -- to the browser ------------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._send_buffer)

    def push(self, data: memoryview | bytes) -> None:
        """Send a binary message, or keep what does not fit. Raises Gone."""
        self._sendmsg(BINARY, data)

    def say(self, text: str) -> None:
        self._sendmsg(TEXT, text.encode())

    def ping(self, data: bytes = b"") -> None:
        # With something waiting, its arrival says as much as a pong.
        if not self._send_buffer:
            self._sendmsg(PING, data)

    def end(self, closing: Closing) -> None:
        """Send the close frame, once."""
        reason = closing.reason.encode()[:REASON_BYTES].decode(errors="ignore")
        self.shutdown(None, int(closing.code), reason)

    def flush(self) -> None:
        """Send what waits. Raises Gone."""
        self._flush()

    def pass_on(self, duct: Duct, count: int) -> None:
        """Send the `count` bytes in `duct` as a binary message, or keep what does not fit. Raises Gone."""
        header = _header(BINARY, count)
        if self._sent_close or self._send_buffer:
            rest = duct.rest()
            self._send_buffer += b"" if self._sent_close else header + rest
            return
        try:
            # The kernel waits with it for the bytes that follow at once.
            sent = self.socket.send(header, socket.MSG_MORE)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as exc:
            duct.clear()
            raise Gone from exc
        if sent == len(header):
            duct.give(self.socket)
        if duct.inside:
            self._send_buffer = header[sent:] + duct.rest()

    def _sendmsg(self, opcode: int, message: memoryview | bytes) -> None:
        if self._sent_close and opcode != CLOSE:
            return
        header, length = _header(opcode, len(message)), len(message)
        if self._send_buffer:
            self._send_buffer += header + message
            return
        try:
            sent = self.socket.sendmsg((header, message))
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as exc:
            raise Gone from exc
        if sent < len(header):
            self._send_buffer = header[sent:] + bytes(message)
        elif sent < len(header) + length:
            self._send_buffer = bytes(message[sent - len(header) :])
        if self._sent_close:
            self._end_when_both_closed()

    def _flush(self) -> None:
        if self._send_buffer:
            try:
                sent = self.socket.send(self._send_buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                raise Gone from exc
            self._send_buffer = self._send_buffer[sent:]
        self._end_when_both_closed()

    def _end_when_both_closed(self) -> None:
        if not self._send_buffer and self._sent_close and self._received_close:
            self._close()

    def _close(self) -> None:
        # The pump closes the socket itself, after it told the selector.
        self.is_closed = True
