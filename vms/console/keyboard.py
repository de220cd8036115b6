"""Keys that a page has pressed through the provider: a text on the guest's own layout, for instance.

What is pressed is neither logged nor kept: the audit says that something was typed, how much and for how long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.base import Driver, InvalidRequest, NotSupported, Stroke, checked_strokes
from providers.models import Provider
from vms.console.closing import Closing, Code
from vms.console.console import Console, Stage
from vms.console.loop import Loop
from vms.console.targets import Targets

#: One message presses keys for so long at most, so that nobody holds up the others' for longer.
MOST_MS = 3000
#: After so long without a key, what was typed before is one entry of the audit.
REST_S = 5.0


@dataclass(slots=True)
class Typing:
    """What one console typed since its last rest."""

    strokes: int
    began: float
    last: float
    is_pressing: bool = False


class Keyboards:
    """Used from the loop's thread only. `note(console, strokes, lasted_s)` writes down that something was typed."""

    def __init__(
        self,
        loop: Loop,
        provider_of: Callable[[Console], Provider | None],
        note: Callable[[Console, int, float], None],
    ) -> None:
        # Lanes of their own: while keys are pressed, consoles are opened and checked as fast as ever.
        self._targets = Targets(loop)
        self._provider_of, self._note = provider_of, note
        self._typing: dict[Console, Typing] = {}

    def heard(self, console: Console, message: Mapping[str, object]) -> None:
        """Press what the message asks for and answer it."""
        said = message.get("id")
        if not isinstance(said, int):
            return
        ticket, provider = console.ticket, self._provider_of(console)
        typing = self._typing.get(console)
        if ticket is None or provider is None or not console.drives:
            console.say(type="keys", id=said, sentence="You do not have the keyboard.")
            return
        if typing is not None and typing.is_pressing:
            console.say(type="keys", id=said, sentence="Keys are being pressed already.")
            return
        try:
            strokes, hold_ms = wanted(message)
        except InvalidRequest as exc:
            console.say(type="keys", id=said, sentence=exc.reason)
            return
        now = time.monotonic()
        if typing is None:
            typing = self._typing[console] = Typing(0, now, now)
        typing.is_pressing = True
        if console.relay is not None:
            console.relay.used_at = now
        external_id = ticket.external_id

        def press(driver: Driver) -> None:
            if driver.consoles is None:
                raise NotSupported
            driver.consoles.send_keys(external_id, strokes, hold_ms=hold_ms)

        self._targets.do(provider, press, lambda result: self._pressed(console, typing, said, len(strokes), result))

    def _pressed(self, console: Console, typing: Typing, said: int, count: int, result: object) -> None:
        typing.is_pressing, typing.last = False, time.monotonic()
        sentence = ""
        if isinstance(result, Closing):
            sentence = "The provider took too long." if result.code is Code.TIMED_OUT else result.reason
        else:
            typing.strokes += count
        if console.stage is Stage.OPEN:
            console.say(type="keys", id=said, sentence=sentence)
        else:
            self.left(console)

    def tick(self, now: float) -> None:
        for console, typing in list(self._typing.items()):
            if not typing.is_pressing and now - typing.last > REST_S:
                self.left(console)

    def left(self, console: Console) -> None:
        """Whoever typed here rests, or has gone."""
        typing = self._typing.get(console)
        if typing is None or typing.is_pressing:
            return
        del self._typing[console]
        if typing.strokes:
            self._note(console, typing.strokes, round(typing.last - typing.began, 1))

    def close(self) -> None:
        self._targets.close()


def wanted(message: Mapping[str, object]) -> tuple[list[Stroke], int]:
    """Strokes and how long each key is held, in milliseconds; raises InvalidRequest for what no page of ours sends."""
    strokes, hold_ms = message.get("strokes"), message.get("hold_ms", 20)
    if not isinstance(strokes, list) or not all(isinstance(stroke, list) for stroke in strokes):
        raise InvalidRequest("The page sent no keys.")
    if type(hold_ms) is not int:
        raise InvalidRequest("The page did not say how long a key is held.")
    found: list[Stroke] = [*checked_strokes(strokes, hold_ms)]
    if sum(2 * len(stroke) for stroke in found) * hold_ms > MOST_MS:
        raise InvalidRequest("That takes too long at once; send less of it.")
    return found, hold_ms
