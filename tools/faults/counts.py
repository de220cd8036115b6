"""What all runs so far came to, in a file that every round adds to: a run that is cut off loses one round at most."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).parents[2] / "var" / "faults.json"


@dataclass
class Tally:
    """What came of an operation's rounds."""

    operation: str
    takes_s: float = 0.0
    kills: int = 0
    """Rounds in which the worker died before the job's end."""
    finished: int = 0
    """Rounds in which the job was quicker than the signal."""
    done_all_the_same: int = 0
    """Killed, and the effect was there afterwards: taken over, or done by the hypervisor itself."""
    wrong: list[str] = field(default_factory=list)
    last_day: str = ""

    @property
    def rounds(self) -> int:
        return self.kills + self.finished


class Counts:
    """Tallies by the short name of their operation."""

    def __init__(self, path: Path = FILE, *, afresh: bool = False) -> None:
        self.path = path
        self.tallies: dict[str, Tally] = {}
        if not afresh and path.exists():
            known = {each.name for each in fields(Tally)}
            for key, values in json.loads(path.read_text()).items():
                self.tallies[key] = Tally(**{name: value for name, value in values.items() if name in known})

    def of(self, key: str, operation: str) -> Tally:
        return self.tallies.setdefault(key, Tally(operation))

    def keep(self, tally: Tally) -> None:
        """Write all, in one step."""
        tally.last_day = f"{datetime.now(UTC):%Y-%m-%d}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        half = self.path.with_suffix(".part")
        half.write_text(json.dumps({key: asdict(each) for key, each in self.tallies.items()}, indent=1))
        half.replace(self.path)
