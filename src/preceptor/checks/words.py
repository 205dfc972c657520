"""Words of a row, folded for comparing, and the shared phrase lists: what every family of checks reads texts with."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from preceptor.types import Instruction

SHARED = Path(__file__).parent.parent / "skills" / "_shared"


@lru_cache(maxsize=16)
def phrases(file: str = "phrases") -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """The phrase lists of a shared TOML file: by list, then by language."""
    read = tomllib.loads((SHARED / f"{file}.toml").read_text(encoding="utf-8"))
    return {name: {lang: tuple(entries) for lang, entries in lists.items()} for name, lists in read.items()}


def language_of(instruction: Instruction) -> str:
    """The language of the row."""
    return instruction.material.language or instruction.material.document.language


def plain(text: str) -> str:
    """`text` folded for comparing: compatible forms, one kind of quote and dash, single blanks, no case."""
    folded = unicodedata.normalize("NFKC", text).translate(SAME)
    return re.sub(r"\s+", " ", folded).strip().casefold()


_ALIKE = {"'": "‘’‚‛`´", '"': "“”„«»‹›", "-": "‐‑‒–—−", "...": "…"}
SAME = str.maketrans({c: to for to, these in _ALIKE.items() for c in these})


MARKED = re.compile(r"[\u0300-\u036f\u0483-\u109f\u1700-\u1bff\u20d0-\u20ff]")
"""Blocks in which words hold combining marks, which `\\w` leaves out."""


def tokens(text: str) -> list[str]:
    """Words and numbers, folded; marks of Indic scripts stay with their letters."""
    folded = plain(text)
    if not MARKED.search(folded):
        return re.findall(r"[^\W_]+", folded)
    kept = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in folded)
    return kept.split()


def content(text: str) -> set[str]:
    """The longer words of a text, cut to six letters: a crude stem that serves inflecting languages too."""
    return {t[:6] for t in tokens(text) if len(t) >= 4}


def run_length(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest run of tokens that both hold."""
    best, row = 0, [0] * (len(right) + 1)
    for token in left:
        above = row
        row = [0] * (len(right) + 1)
        for at, other in enumerate(right, 1):
            if token == other:
                row[at] = above[at - 1] + 1
                best = max(best, row[at])
    return best


def stands_in(quote: str, text: str) -> bool:
    """Whether `quote` is in `text` to the letter, but for blanks, case, quotation marks and closing points."""
    bare = plain(quote).strip(" \"'.,;:!?।")
    return bool(bare) and bare in plain(text)


NOTHING = frozenset(
    ["none", "nothing", "n/a", "na", "nil", "no words", "no quote", "keine", "nichts", "entfällt", "कुछ नहीं", "नहीं"]
)
"""What judges write where there is nothing to quote, beside an empty field and a dash."""


def quoted(quote: Any) -> str:
    """The quotation; empty where the judge left it out or wrote that there is none."""
    text = str(quote or "").strip()
    return "" if not any(c.isalnum() for c in text) or plain(text).strip(" .()[]") in NOTHING else text


def holds_any(listed: Iterable[str], text: str) -> str:
    """The first of the listed phrases that stands in the text as whole words; empty where none does."""
    padded = f" {' '.join(tokens(text))} "
    return next((p for p in listed if _folded(p) in padded), "")


@lru_cache(maxsize=8192)
def _folded(phrase: str) -> str:
    """A listed phrase as `holds_any` looks for it; folded once, for the same lists are read for every row."""
    return f" {' '.join(tokens(phrase))} "
