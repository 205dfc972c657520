"""What every builder of this pack needs: a passage of fitting size, a canonical request, the instruction around them.

A builder is pure: the same material, kind and seed give the same task. Its request names every parameter that the
right text hangs on; whoever words the request anew must name them too (`data.says`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def passage(
    material: Material, kind: KindLike, seed: str, most: int = MOST, least: int = LEAST, without: str = ""
) -> str:
    """Whole neighbouring paragraphs of running text, from a drawn place, `most` characters at most.

    A paragraph that matches the pattern `without` is never among them.
    """
    if material.genre == "identity" and material.document.kind in ("code", "api"):
        raise Unfit("source code is not running text")
    pieces = paragraphs(material.text)
    barred = {i for i, piece in enumerate(pieces) if without and re.search(without, piece, re.M)}
    whole = len(settled(material.text)) <= most and not barred
    starts = [0] if whole else draw(range(len(pieces)), seed, "passage", material.id, kind.name, k=len(pieces))
    for start in starts:
        taken: list[str] = []
        for at, piece in enumerate(pieces[start:], start):
            if at in barred or len("\n\n".join([*taken, piece])) > most:
                break
            taken.append(piece)
        if len("\n\n".join(taken)) >= least:
            return settled("\n\n".join(taken))
    raise Unfit(f"no passage of {least} to {most} characters that suits")


TRIES = 12
"""Places of a text that a builder looks at before it gives the text up."""


def tried(builder: Callable[[Material, KindLike, str], Instruction]) -> Callable[[Material, KindLike, str], Instruction]:
    """The builder, drawing another place of the text where the first one does not suit it."""

    def built(material: Material, kind: KindLike, seed: str) -> Instruction:
        for turn in range(TRIES):
            try:
                return builder(material, kind, f"{seed}/{turn}" if turn else seed)
            except Unfit as reason:
                why = reason
        raise why

    return built


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
    return [n for n in found if not parts_elsewhere(text, n) and not any(n != m and n in m for m in found)]


def parts_elsewhere(text: str, name: str) -> bool:
    """Whether a part of the name stands by itself too, so that a reader would not know what to do with it there."""
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
