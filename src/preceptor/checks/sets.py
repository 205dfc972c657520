"""What only a set of rows shows: where keys stand, whether they are the longest, how questions open, what is guessed.

Pure functions over accepted rows, for the report and the export card. Every count comes with n and an interval, and
below `ENOUGH` rows it says "not enough data" instead of holding or not.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from preceptor.checks.options import LETTERS
from preceptor.checks.words import tokens
from preceptor.types import Example

ENOUGH = 200
"""A count over fewer rows is shown, and judged neither good nor bad."""
Z = 1.96
OPENING_WORDS = 5
MOST_COMMON_OPENING = 0.02


@dataclass(frozen=True, slots=True)
class Count:
    """A share of rows: `part` of `of`, with a 95 % interval after Wilson, and what it should be near or below."""

    name: str
    part: int
    of: int
    low: float
    high: float
    expected: float
    """What it would be without bias, or the most that it should be."""
    said: str
    """`holds`, `biased`, or `not enough data`."""

    @property
    def share(self) -> float:
        return self.part / self.of if self.of else 0.0


def wilson(part: int, of: int, z: float = Z) -> tuple[float, float]:
    """The interval in which the share lies with 95 %, after Wilson (1927); (0, 1) for no rows."""
    if not of:
        return 0.0, 1.0
    share, spread = part / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def count(name: str, part: int, of: int, expected: float, *, at_most: bool = False) -> Count:
    """The count with its interval; biased where the interval leaves out what is expected (or lies wholly above it)."""
    low, high = wilson(part, of)
    off = low > expected or (high < expected and not at_most)
    said = "not enough data" if of < ENOUGH else "biased" if off else "holds"
    return Count(name, part, of, low, high, expected, said)


def keyed(rows: Iterable[Example]) -> list[tuple[Example, int]]:
    """The rows with options, each with the place of its key."""
    found = []
    for row in rows:
        gold, options = row.instruction.gold, row.instruction.options
        if gold is not None and gold.form == "option" and str(gold.value) in LETTERS[: len(options)]:
            found.append((row, LETTERS.index(str(gold.value))))
    return found


def key_positions(rows: Iterable[Example]) -> list[Count]:
    """For each letter how often it is the key, among rows with that many options; expected: one part in as many."""
    places = keyed(rows)
    most = max((len(row.instruction.options) for row, _ in places), default=0)
    made = []
    for letter in range(most):
        among = [(row, at) for row, at in places if len(row.instruction.options) > letter]
        expected = sum(1 / len(row.instruction.options) for row, _ in among) / len(among)
        made.append(count(f"key is {LETTERS[letter]}", sum(at == letter for _, at in among), len(among), expected))
    return made


def longest_is_key(rows: Iterable[Example]) -> Count:
    """How often the key is strictly the longest option; expected: one part in as many as there are options."""
    places = keyed(rows)
    part, expected = 0, 0.0
    for row, at in places:
        sizes = [len(option.text) for option in row.instruction.options]
        part += all(sizes[at] > size for i, size in enumerate(sizes) if i != at)
        expected += 1 / len(sizes)
    return count("key is the longest option", part, len(places), expected / len(places) if places else 0.0)


def openings(rows: Iterable[Example], words: int = OPENING_WORDS) -> Counter[str]:
    """How often questions open with the same words."""
    return Counter(" ".join(tokens(row.instruction.text)[:words]) for row in rows)


def opening_share(rows: Sequence[Example], words: int = OPENING_WORDS) -> Count:
    """The share of the commonest opening; it should be at most 2 %."""
    commonest = openings(rows, words).most_common(1)
    name, part = commonest[0] if commonest else ("", 0)
    return count(f"questions open with {name!r}", part, len(rows), MOST_COMMON_OPENING, at_most=True)


GUESSED = re.compile(r"right (\d+) of (\d+) .*; chance ([\d.]+)")


def guessed(rows: Iterable[Example], control: str = "closed_book") -> list[Count]:
    """Per kind how often the weak model was right without what it needs, over all tries; expected: at most chance."""
    tries: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for row in rows:
        for verdict in row.verdicts:
            if verdict.check == control and (said := GUESSED.match(verdict.evidence)):
                tries[row.instruction.kind].append((int(said[1]), int(said[2]), float(said[3])))
    made = []
    for kind, found in sorted(tries.items()):
        of = sum(n for _, n, _ in found)
        chance = sum(n * c for _, n, c in found) / of
        made.append(count(f"{kind}: {control}", sum(right for right, _, _ in found), of, chance, at_most=True))
    return made


def set_counts(rows: Sequence[Example]) -> list[Count]:
    """All counts of this file, in the order in which the card shows them."""
    return [*key_positions(rows), longest_is_key(rows), opening_share(rows), *guessed(rows, "closed_book"),
            *guessed(rows, "options_only")]
