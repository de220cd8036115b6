"""A text screen: what was written stands in rows, and the rows that changed are known."""

from __future__ import annotations

from providers.fake.console.font import CELL_HEIGHT, CELL_WIDTH, dots

COLUMNS = 80
ROWS = 25
WIDTH = COLUMNS * CELL_WIDTH
HEIGHT = ROWS * CELL_HEIGHT
_TAB = 8


class Terminal:
    """Understands newline, carriage return, backspace, tab and form feed (clear); everything else is shown."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.rows = [" " * COLUMNS for _ in range(ROWS)]
        self.row = 0
        self.column = 0
        self.changed = set(range(ROWS))

    def write(self, text: str) -> None:
        for character in text:
            self.changed.add(self.row)
            match character:
                case "\n":
                    self.column = 0
                    self._down()
                case "\r":
                    self.column = 0
                case "\b":
                    self.column = max(self.column - 1, 0)
                case "\t":
                    self.column = min((self.column // _TAB + 1) * _TAB, COLUMNS - 1)
                case "\f":
                    self.clear()
                case _ if character.isprintable():
                    self._put(character)
            self.changed.add(self.row)

    def _put(self, character: str) -> None:
        line = self.rows[self.row]
        self.rows[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1
        if self.column == COLUMNS:
            self.column = 0
            self._down()

    def _down(self) -> None:
        if self.row < ROWS - 1:
            self.row += 1
            return
        self.rows = [*self.rows[1:], " " * COLUMNS]
        self.changed = set(range(ROWS))

    def take_changed(self) -> list[int]:
        """The rows that changed since the last question."""
        changed = sorted(self.changed)
        self.changed = set()
        return changed

    def text(self) -> str:
        """What can be read on the screen, without the air to the right and below."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip()

    def draw(self, row: int, dot: bytes, ground: bytes) -> bytes:
        """One row as 16 lines of pixels, given the bytes of a lit and an unlit pixel."""
        patterns = _patterns(dot, ground)
        glyphs = [dots(character) for character in self.rows[row]]
        empty = ground * WIDTH
        lines = [empty]
        for number in range(7):
            line = b"".join(patterns[glyph[number]] for glyph in glyphs)
            # Dots are twice as high as wide, which makes letters of a usual shape.
            lines += [line, line]
        lines.append(self._cursor_line(row, dot, ground, empty))
        return b"".join(lines)

    def _cursor_line(self, row: int, dot: bytes, ground: bytes, empty: bytes) -> bytes:
        if row != self.row:
            return empty
        before, after = self.column * CELL_WIDTH, WIDTH - (self.column + 1) * CELL_WIDTH
        return ground * before + dot * CELL_WIDTH + ground * after


_cache: dict[tuple[bytes, bytes], list[bytes]] = {}


def _patterns(dot: bytes, ground: bytes) -> list[bytes]:
    """The pixels of every row of eight dots, made once per pixel format."""
    key = (dot, ground)
    if key not in _cache:
        _cache[key] = [
            b"".join(dot if bits >> (CELL_WIDTH - 1 - x) & 1 else ground for x in range(CELL_WIDTH))
            for bits in range(1 << CELL_WIDTH)
        ]
    return _cache[key]
