"""Exact and near duplicates: of texts that are the same, or nearly, the first in order stays.

    words ─▶ shingles of five ─▶ MinHash (rensa) ─▶ bands that agree ─▶ Jaccard of the shingles, counted exactly

MinHash only proposes; a text is a near duplicate when the shingles themselves say so.
"""

import base64
import re
import sys
import unicodedata
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from preceptor.draws import digest
from preceptor.errors import MissingExtra
from preceptor.types import Document

SHINGLE = 5  # words
ALIKE = 0.8  # Jaccard, Broder's resemblance
PERMUTATIONS, ROWS = 128, 4  # 32 bands of 4: at 0.8, all but one pair in ten million is proposed
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Twin:
    """The earlier text that one is a duplicate of, and how alike they are (1.0: the same words)."""

    id: str
    source: str
    alike: float


@dataclass(slots=True)
class Known:
    """What has been seen so far. `state()` is plain JSON and `Known.restored(state)` goes on from it."""

    names: list[tuple[str, str]] = field(default_factory=list)
    exact: dict[str, int] = field(default_factory=dict)
    shingles: list["array[int]"] = field(default_factory=list)
    bands: dict[tuple[int, ...], list[int]] = field(default_factory=dict)

    def twin(self, document: Document) -> Twin | None:
        """The first text seen that `document` repeats; None, and it is remembered, if there is none."""
        words = normal(document.text, document.kind)
        key = digest(" ".join(words))
        if key in self.exact:
            return Twin(*self.names[self.exact[key]], 1.0)
        own = shingled(words)
        keys = banded(own)
        near = self.nearest(own, keys)
        if near is None:
            self.remember((document.id, document.source), key, own, keys)
        return near

    def nearest(self, own: "array[int]", keys: list[tuple[int, ...]]) -> Twin | None:
        """The lowest in order of the texts that are alike enough."""
        mine = set(own)
        for at in sorted({at for key in keys for at in self.bands.get(key, ())}):
            theirs = self.shingles[at]
            if min(len(mine), len(theirs)) < ALIKE * max(len(mine), len(theirs)):
                continue
            both = len(mine.intersection(theirs))
            if both >= ALIKE * (len(mine) + len(theirs) - both):
                return Twin(*self.names[at], both / (len(mine) + len(theirs) - both))
        return None

    def remember(self, name: tuple[str, str], key: str, own: "array[int]", keys: list[tuple[int, ...]]) -> None:
        at = len(self.names)
        self.names.append(name)
        self.exact[key] = at
        self.shingles.append(own)
        for band in keys:
            self.bands.setdefault(band, []).append(at)

    def state(self) -> dict[str, Any]:
        """All of it as JSON: about five bytes a word."""
        keys = list(self.exact)
        rows = [[*self.names[at], keys[at], packed(self.shingles[at])] for at in range(len(self.names))]
        return {"format": FORMAT, "shingle": SHINGLE, "seen": rows}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Known":
        """What `state()` gave. Raises ValueError for what another version wrote."""
        if state.get("format") != FORMAT or state.get("shingle") != SHINGLE:
            raise ValueError(f"signatures of format {state.get('format')!r}; this version reads {FORMAT}")
        known = cls()
        for id, source, key, shingles in state["seen"]:
            own = unpacked(shingles)
            known.remember((id, source), key, own, banded(own))
        return known


def normal(text: str, kind: str = "prose") -> list[str]:
    """The words that count: small letters, no marks, no accents' spelling. In code, marks count too."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+|[^\w\s]" if kind == "code" else r"\w[\w\u0900-\u0dff]*", text)


def shingled(words: list[str]) -> "array[int]":
    """Sorted 32-bit hashes of every run of five words; one hash of all where there are fewer."""
    runs = (words[at : at + SHINGLE] for at in range(max(1, len(words) - SHINGLE + 1)))
    return array("I", sorted({crc32("\x1f".join(run).encode()) for run in runs}))


def banded(shingles: "array[int]") -> list[tuple[int, ...]]:
    """The bands of the MinHash signature; two texts that share one are looked at closely."""
    try:
        from rensa import RMinHash
    except ImportError as error:
        raise MissingExtra('to drop near duplicates, rensa is needed: type  pip install "preceptor[dedup]"') from error
    sketch = RMinHash(num_perm=PERMUTATIONS, seed=7)
    sketch.update([str(one) for one in shingles])
    signature = sketch.digest()
    return [(at, *signature[at : at + ROWS]) for at in range(0, PERMUTATIONS, ROWS)]


def packed(numbers: "array[int]") -> str:
    data = array("I", numbers)
    if sys.byteorder == "big":
        data.byteswap()
    return base64.b64encode(data.tobytes()).decode()


def unpacked(text: str) -> "array[int]":
    data = array("I")
    data.frombytes(base64.b64decode(text))
    if sys.byteorder == "big":
        data.byteswap()
    return data
