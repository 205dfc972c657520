"""What every builder of this pack needs: a passage of fitting size, a canonical request, the instruction around them.

A builder is pure: the same material, kind and seed give the same task. Its request names every parameter that the
right text hangs on; whoever words the request anew must name them too (`data.says`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from preceptor.checks.text import names, paragraphs, settled, stands_alone
from preceptor.draws import draw, one
from preceptor.types import Dropped, Gold, Instruction, Material

MOST, LEAST = 2200, 160
"""Characters of a passage that has to be copied to the letter."""


class KindLike(Protocol):
    """What a builder reads of a kind."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> str: ...
    @property
    def checks(self) -> tuple[str, ...]: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


class Unfit(Exception):
    """The text does not suit the kind; the message is the reason that the drop will carry."""


def language_of(material: Material) -> str:
    """The language of the material."""
    return material.language or material.document.language


def passage(material: Material, kind: KindLike, seed: str, most: int = MOST, least: int = LEAST) -> str:
    """Whole neighbouring paragraphs of running text, from a drawn place, `most` characters at most."""
    if material.genre == "identity" and material.document.kind in ("code", "api"):
        raise Unfit("source code is not running text")
    pieces = paragraphs(material.text)
    starts = draw(range(len(pieces)), seed, "passage", material.id, kind.name, k=len(pieces))
    for start in ([0] if len(settled(material.text)) <= most else starts):
        taken: list[str] = []
        for piece in pieces[start:]:
            if len("\n\n".join([*taken, piece])) > most:
                break
            taken.append(piece)
        if len("\n\n".join(taken)) >= least:
            return "\n\n".join(taken)
    raise Unfit(f"no passage of {least} to {most} characters")


def request_for(kind: KindLike, material: Material, seed: str, **slots: Any) -> str:
    """One of the kind's own wordings in the material's language, its slots filled; English where it has none."""
    language = language_of(material)
    wordings = kind.data.get(f"wording_{language}") or kind.data["wording"]
    return str(one(list(wordings), seed, "wording", material.id, kind.name)).format(**slots)


def task(
    material: Material, kind: KindLike, request: str, text: str, gold: str | None, says: Iterable[str], **data: Any
) -> Instruction:
    """The instruction: `text` is what the student works on, `gold` the one right result where there is one."""
    shown = material
    if text != settled(material.text):
        note = {"before": material.text, "after": text, "why": f"the passage that {kind.name} works on"}
        shown = replace(material, text=text, parent=material, change=note)
    return Instruction(
        shown, kind.name, request, kind.shape, data={**data, "says": [str(s) for s in says], "canonical": request},
        gold=Gold("edit", settled(gold), made_by="computed") if gold is not None else None, made_by="builder",
    )


def dropped(material: Material, kind: KindLike, why: str) -> Dropped:
    """The material, dropped for this kind with the builder's reason."""
    return Dropped(material, "instruct", why, "builder", kind.name)


def quoted(things: Sequence[str]) -> str:
    """`“a”, “b”, “c”`."""
    return ", ".join(f"“{thing}”" for thing in things)


def clean_names(text: str, language: str) -> list[str]:
    """Names that can be changed without a doubt: one spelling, no hyphen, no part of them elsewhere, not overlapping."""
    found = [n for n in names(text, language) if stands_alone(text, n)]
    return [n for n in found if not _parts_elsewhere(text, n) and not any(n != m and n in m for m in found)]


def _parts_elsewhere(text: str, name: str) -> bool:
    without = text.replace(name, " ")
    return any(re.search(rf"\b{re.escape(part)}\b", without) for part in name.split() if len(part) > 2)


def replaced(text: str, changes: Iterable[Mapping[str, str]]) -> str:
    """`text` with each old term, where it is a whole word, made new, all at once (so that two may change places)."""
    new = {c["old"]: c["new"] for c in changes}
    pattern = "|".join(rf"(?<!\w){re.escape(old)}(?!\w)" for old in sorted(new, key=len, reverse=True))
    return re.sub(pattern, lambda m: new[m[0]], text)


def changes_of(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Pairs of old and new as the records that checks read."""
    return [{"old": old, "new": new} for old, new in pairs]
