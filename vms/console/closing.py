"""Why a console ends: the close codes of the websocket, each with the sentence that people read.

Codes 4400 to 4499 are ours; they resemble HTTP's so that a log can be read without a table. The page decides by the
code what it offers: sign in, start the machine, wait and try again, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Code(IntEnum):
    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    TOO_MUCH = 1008
    TOO_BIG = 1009
    #: The proxy goes down and comes back: connect again.
    RESTARTING = 1012
    NO_SESSION = 4401
    NOT_ALLOWED = 4403
    GONE = 4404
    TIMED_OUT = 4408
    NOT_RUNNING = 4409
    #: The machine's side closed, or its console is another one now.
    ENDED = 4410
    TIME_UP = 4411
    TOO_MANY = 4429
    BROKEN = 4450
    NOT_CARRIED = 4451
    PROVIDER = 4452


SENTENCES: dict[Code, str] = {
    Code.NORMAL: "",
    Code.PROTOCOL_ERROR: "The browser sent something that a console does not understand.",
    Code.UNSUPPORTED: "The browser sent something that a console does not understand.",
    Code.TOO_MUCH: "The browser said too much in a short time.",
    Code.TOO_BIG: "The browser sent too much at once.",
    Code.RESTARTING: "The portal's console service restarts.",
    Code.NO_SESSION: "You are signed out.",
    Code.NOT_ALLOWED: "You may not open this console.",
    Code.GONE: "The machine does not exist any more.",
    Code.TIMED_OUT: "The provider did not answer in time.",
    Code.NOT_RUNNING: "The machine is off.",
    Code.ENDED: "The machine closed its console.",
    Code.TIME_UP: "The time of this console is up.",
    Code.TOO_MANY: "Too many consoles are open.",
    Code.BROKEN: "The console service made a mistake; its log says which.",
    Code.NOT_CARRIED: "The portal cannot carry this console.",
    Code.PROVIDER: "The provider could not open the console.",
}

#: A close frame holds 125 bytes, two of them are the code.
REASON_BYTES = 123


@dataclass(frozen=True, slots=True)
class Closing:
    """A code and its sentence; the sentence may be more exact than the code's own."""

    code: Code
    sentence: str = ""

    @property
    def reason(self) -> str:
        """The sentence as a close frame can carry it."""
        text = self.sentence or SENTENCES[self.code]
        data = text.encode()
        if len(data) <= REASON_BYTES:
            return text
        return data[: REASON_BYTES - 3].decode(errors="ignore") + "…"


class Refused(Exception):
    """A console may not be opened; carries what the person should read."""

    def __init__(self, code: Code, sentence: str = "") -> None:
        self.closing = Closing(code, sentence)
        super().__init__(self.closing.reason)
