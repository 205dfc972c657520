"""Whether a request can be read as one: no unfilled template, no loop, no torn JSON, words that hold together.

Small models copy the shape of a prompt instead of writing a request. What they leave shows on the surface, and only
that is looked at here: whether a request that reads well also asks for something sensible is for a judge. Code, tables,
formulas, quotations and what the passage itself holds are taken out before anything is counted.
"""

import re
from collections.abc import Iterable
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.hygiene import BOUNDARY, CODE, QUOTATION
from preceptor.checks.words import language_of, phrases, plain, tokens
from preceptor.types import Ask, Example, Verdict

LONG = 6
"""A request of more words than this needs a function word of some language that there is a list for."""
SLOT = re.compile(
    r"\{\{[^{}\n]{0,60}\}\}|\{%[^{}\n]{0,60}%\}|\$\{\w{2,30}\}"
    r"|(?<![/\\\w^}$\"'“„«`])\{ ?[a-z][a-z0-9_. -]{1,30} ?\}(?![\"'”“»`/])"
    r"|(?i:\[(?:insert|your|enter|add)\b[^\]\n]{0,40}\]|<(?:insert|your|enter|add)[ _-][^<>\n]{1,40}>|\blorem ipsum\b)"
)
FIELD = re.compile(r"\"[A-Za-z_]\w*\"\s*:\s*[\"\[{\d]|\"\s*[}\]]\s*[,}\]]|\}\s*\}|\{\s*\{")
"""A key with its value, or closing marks in a row: JSON, whole or torn."""
LABEL = re.compile(
    r"^\W*(question|answer|answers|options?|evidence|reason|instruction|request|wording|hints?|gold|kind|shape|final|accepts|about"
    r"|about this kind|material|document|decline)\s*:",
    re.I | re.M,
)
LABELS = frozenset(
    tokens(
        "question answer options evidence reason instruction request wording hint hints gold kind text data material document "
        "passage final accepts shape string null none todo example"
    )
)
"""Names of fields in prompts; a request that is one of them, or only a row of them, is an echo."""
TABLE_LINE = re.compile(r"^\s*\|.*$", re.M)
FORMULA = re.compile(r"\$[^$\n]{1,200}\$|\\\w+(?:\{[^{}]*\})*|[\w().,^%]+(?:\s*[=+*/^<>≤≥×÷·−-]\s*[\w().,^%]+)+|[⌊⌋∑∫√≈≠∞]")
ADDRESS = re.compile(r"\b\w+://\S+|\b[\w.]+@[\w.]+|(?<!\w)/[\w{}/.-]+|\b\w+(?:_\w+)+\b")
MOST_IN_A_ROW = 3
"""A word, or a run of words, that follows itself more often than this is a loop."""
WORST_SHARE = 0.5
"""Fewer letters and digits than this among the characters, and it is marks."""


@check(
    decides=False,
    version=1,
    sees="the request has no unfilled slot, loop, torn JSON or echo of a prompt's labels, and words that make sentences",
    blind="a request that reads well and asks for nonsense; the lack of sentences in languages without a list",
)
async def wording_sense(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    if not instruction.text.strip() and instruction.history:
        return not_applicable("the request stands in earlier turns")
    why = senseless(instruction.text, language_of(instruction), known=instruction.material.text)
    return failed(f"the request {why}") if why else passed()


def senseless(text: str, language: str, *, known: str = "") -> str:
    """Why a request cannot be read as one, as the end of a sentence that begins `the request`; empty where it can."""
    if not text.strip():
        return "is empty"
    own = TABLE_LINE.sub(" ", CODE.sub(" ", text))
    bare = QUOTATION.sub(" ", own)
    return unfilled(own, known) or torn(own, bare, known) or echo(text, bare) or loop(bare, known) or wordless(bare, language)


def unfilled(own: str, known: str) -> str:
    """The first slot of a template that nobody filled and that the passage does not have."""
    slot = next((m[0] for m in SLOT.finditer(own) if m[0] not in known), "")
    return f"has an unfilled slot: {slot!r}" if slot else ""


def torn(own: str, bare: str, known: str) -> str:
    """A piece of JSON whose braces do not close, or that has a key and no object around it."""
    prose = FORMULA.sub(" ", bare)
    opened, closed = prose.count("{"), prose.count("}")
    if opened != closed and known.count("{") == known.count("}"):
        return f"has {opened} '{{' and {closed} '}}'"
    found = FIELD.search(own)
    if not found or found[0] in known:
        return ""
    whole = own.count("{") == own.count("}") and own.count("[") == own.count("]") and "{" in own
    return "" if whole else f"holds a torn piece of JSON: {own[max(0, found.start() - 10) : found.end() + 20].strip()!r}"


def echo(text: str, bare: str) -> str:
    """Labels of a prompt's parts in place of a request, or the marks around quoted material."""
    if boundary := BOUNDARY.search(text):
        return f"holds the mark of a prompt: {boundary[0]!r}"
    labels = list(dict.fromkeys(plain(m[1]) for m in LABEL.finditer(bare)))
    if len(labels) >= 2:
        return f"repeats the labels of a form: {', '.join(labels)}"
    words = tokens(text)
    return f"is only the name of a field: {text.strip()[:60]!r}" if words and LABELS.issuperset(words) else ""


def loop(bare: str, known: str) -> str:
    """The first word or run of words that follows itself more than `MOST_IN_A_ROW` times and is not the passage's."""
    words = tokens(FORMULA.sub(" ", bare))
    given = f" {' '.join(tokens(known))} "
    for size in range(1, 13):
        turns = MOST_IN_A_ROW + 1 if size == 1 else MOST_IN_A_ROW
        for at in range(len(words) - size * turns + 1):
            run = words[at : at + size]
            same = all(words[at + k * size : at + (k + 1) * size] == run for k in range(1, turns))
            if same and not all(w.isdigit() for w in run) and f" {' '.join(run * turns)} " not in given:
                return f"goes round in {' '.join(run)[:60]!r}, {turns} times or more"
    return ""


def wordless(bare: str, language: str) -> str:
    """Marks where words should be, or words that nothing holds together."""
    prose = ADDRESS.sub(" ", FORMULA.sub(" ", bare))
    marks = re.sub(r"\s", "", prose)
    if not tokens(bare):
        return "has no word of its own" if bare.strip() and not marks.isalnum() and bare == prose else ""
    letters = sum(c.isalnum() or is_mark(c) for c in marks)
    if len(marks) >= 12 and letters < WORST_SHARE * len(marks):
        return f"is mostly marks: {letters} letters and digits among {len(marks)} characters"
    lists = phrases("function_words")["function"]
    words = tokens(prose)
    if language not in lists or len(words) <= LONG:
        return ""
    if listing(bare) or held(words, lists.values()):
        return ""
    return f"has {len(words)} words and none that holds a sentence together: {' '.join(words)[:80]!r}"


def is_mark(character: str) -> bool:
    """Whether a character belongs to the letter before it: vowel signs of Indic scripts."""
    return "\u0900" <= character <= "\u0dff"


def held(words: Iterable[str], lists: Iterable[Iterable[str]]) -> bool:
    """Whether a function word of any listed language is among the words: requests may be in another than the passage."""
    known = {plain(word) for listed in lists for word in listed}
    return any(word in known for word in words)


def listing(text: str) -> bool:
    """Whether it is a list of items or of names and values, which needs no sentence."""
    lines = [line for line in text.splitlines() if line.strip()]
    items = sum(bool(re.match(r"\s*(?:[-*•]|\d+[.)])\s|[^:\n]{1,40}:\s", line)) for line in lines)
    return (len(lines) > 1 and items >= len(lines) / 2) or text.count(";") >= 2 or text.count(",") >= 3
