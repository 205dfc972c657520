# SPDX-License-Identifier: Apache-2.0
"""A tide clock for small harbours: when the water is high enough to leave, and how deep it is at the quay.

Heights follow the rule of twelfths, the sailor's approximation of a sine: in the six parts between low and high water
the tide rises 1, 2, 3, 3, 2 and 1 twelfths of its range. It is good to about a tenth of the range in open harbours and
useless in rivers.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

TWELFTHS = (0, 1, 3, 6, 9, 11, 12)


class NoTide(LookupError):
    """No high and low water are known around the time that was asked for."""


@dataclass(frozen=True, order=True)
class Turn:
    """A turn of the tide: the moment of high or low water and its height in metres above chart datum."""

    at: datetime
    height: float

    def __post_init__(self) -> None:
        if not -3.0 <= self.height <= 20.0:
            raise ValueError(f"{self.height} m is no tide on this planet")


@dataclass
class Harbour:
    """A quay with the turns of the tide that are known for it."""

    name: str
    sill: float
    """Height of the harbour's floor at the entrance, in metres above chart datum."""
    turns: list[Turn] = field(default_factory=list)
    berths: dict[str, float] = field(default_factory=dict)
    """Boats in the harbour and their draught in metres."""

    def learn(self, turn: Turn) -> None:
        """Add a turn; one already known at the same moment is replaced."""
        self.turns = sorted([known for known in self.turns if known.at != turn.at] + [turn])

    def height(self, at: datetime) -> float:
        """Metres above chart datum at a moment between two known turns."""
        place = bisect_right(self.turns, at, key=lambda turn: turn.at)
        if place == 0 or place == len(self.turns):
            raise NoTide(f"{self.name} has no turns around {at:%d %B %H:%M}")
        before, after = self.turns[place - 1], self.turns[place]
        return before.height + (after.height - before.height) * risen((at - before.at) / (after.at - before.at))

    def depth(self, at: datetime) -> float:
        """Metres of water over the sill; never less than none."""
        return max(0.0, self.height(at) - self.sill)

    def moor(self, boat: str, draught: float) -> None:
        """Give `boat` a berth. A boat that is in already may not come in twice."""
        if boat in self.berths:
            raise ValueError(f"{boat} is moored already")
        if draught <= 0:
            raise ValueError("a boat without draught is a plank")
        self.berths[boat] = draught

    def leave(self, boat: str, at: datetime, under_keel: float = 0.5) -> float:
        """Let `boat` go if there is water enough; returns what is left under her keel in metres."""
        if boat not in self.berths:
            raise KeyError(f"{boat} is not in {self.name}; there are: {', '.join(sorted(self.berths)) or 'no boats'}")
        spare = self.depth(at) - self.berths[boat]
        if spare < under_keel:
            raise ValueError(
                f"{boat} needs {under_keel - spare:.2f} m more water; try at {self.next_chance(boat, at, under_keel):%H:%M}"
            )
        del self.berths[boat]
        return round(spare, 2)

    def next_chance(self, boat: str, after: datetime, under_keel: float = 0.5, step: int = 5) -> datetime:
        """The first moment from `after` on, to the nearest `step` minutes, at which `boat` could leave."""
        need = self.berths[boat] + under_keel
        at = after
        while self.turns and at < self.turns[-1].at:
            if self.depth(at) >= need:
                return at
            at += timedelta(minutes=step)
        raise NoTide(f"no water for {boat} before the last turn known in {self.name}")


def risen(share: float) -> float:
    """The share of the range that has been covered after a share of the time, by the rule of twelfths."""
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    sixth, rest = divmod(share * 6, 1)
    start = TWELFTHS[int(sixth)]
    end = TWELFTHS[min(6, int(sixth) + 1)]
    return (start + (end - start) * rest) / 12


def coefficient(high: Turn, low: Turn, mean_range: float = 5.2) -> int:
    """The range against the mean one, as French tide tables give it: 45 is a neap, 95 a spring tide."""
    if high.height <= low.height:
        raise ValueError("high water lies below low water: are they swapped?")
    return round(70 * (high.height - low.height) / mean_range)
