"""Whether an answer says that the text does not tell, or that the question rests on an error, where that is right."""

import re
from collections.abc import Mapping
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.finals import run_in, said_text, words_of
from preceptor.checks.words import content, language_of, plain, tokens
from preceptor.types import Ask, Example, Instruction, Verdict

_NOT_TOLD = {
    "en": (
        r"\bnot (?:(?:explicitly|directly|actually) )?(?:stated|given|mentioned|told|specified|said|provided|disclosed)\b",
        r"\bnot (?:(?:explicitly|directly|actually) )?(?:reported|recorded|determinable|answerable)\b",
        r"\bnot (?:anywhere )?in the (?:text|passage|document)\b|\bunanswerable\b|\bunstated\b",
        r"\b(?:does not|doesn't|do not|don't|never|didn't) (?:\w+ )?(?:say|state|tell|mention|give|specify|settle)\w*\b",
        r"\b(?:does not|doesn't|do not|don't|never|did not|didn't) (?:\w+ )?(?:reveal|record|name|report|decide)\w*\b",
        r"\b(?:does not|doesn't|do not|don't|never) (?:\w+ )?(?:disclose|contain|answer|let|identify|provide)\w*\b",
        r"\b(?:cannot|can't|can not|could not) be (?:told|determined|answered|known|worked out|inferred|decided|established)\b",
        r"\b(?:cannot|can't|can not|could not) be (?:calculated|computed|derived|found|settled)\b",
        r"\b(?:no|not enough|insufficient|too little) information\b|\b(?:left|leaves \w+|stays|remains) open\b",
        r"\bno way to (?:tell|know)\b|\bis silent\b",
    ),
    "de": (
        r"\bnicht (?:\w+ )?(?:angegeben|genannt|erwähnt|gesagt|mitgeteilt|bekannt|zu entnehmen|beantwortbar|beantworten)\b",
        r"\bnicht (?:\w+ )?(?:bestimmen|ermitteln|entscheiden|hervor|im text|berechnen|feststellen|festgehalten)\b",
        r"\bkeine (?:angaben?|auskunft|information(?:en)?)\b|\bsagt (?:\w+ )*(?:nicht|nichts)\b|\bverrät (?:\w+ )*nicht\b",
        r"\bnennt (?:\w+ )*(?:nicht|kein\w*)\b|\blässt (?:\w+ )*offen\b|\bbleibt offen\b|\bgeht (?:\w+ )*nicht hervor\b",
    ),
    "hi": (
        r"(?:नहीं|न) (?:बताया|बताई|बताता|बताती|बताते|दिया|दी|दिए|कहा|कही|लिखा|मिलता|मिलती|पता चलता|निकलता|निकाला जा)",
        r"उल्लेख नहीं|जानकारी नहीं|पता नहीं|तय नहीं|स्पष्ट नहीं|कहा नहीं|बताया नहीं|दिया नहीं",
    ),
}
NOT_TOLD: Mapping[str, re.Pattern[str]] = {code: re.compile("|".join(ways), re.I) for code, ways in _NOT_TOLD.items()}
HEDGES: Mapping[str, frozenset[str]] = {
    "en": frozenset(
        [
            "but",
            "however",
            "probably",
            "likely",
            "presumably",
            "perhaps",
            "maybe",
            "about",
            "around",
            "roughly",
            "suggests",
            "though",
            "although",
            "guess",
            "estimate",
            "must",
            "should",
            "would",
            "answer",
        ]
    ),
    "de": frozenset(
        [
            "aber",
            "jedoch",
            "wahrscheinlich",
            "vermutlich",
            "vielleicht",
            "etwa",
            "ungefähr",
            "wohl",
            "allerdings",
            "doch",
            "antwort",
        ]
    ),
    "hi": frozenset(["लेकिन", "परंतु", "किंतु", "शायद", "संभवतः", "लगभग", "पर", "उत्तर"]),
}
BEYOND = 5
"""Words of its own that a final may have beside saying that the text does not tell."""


def says_not_told(text: str, language: str) -> bool:
    """Whether a text says that the passage does not tell: in its own language, or in English."""
    return any(NOT_TOLD[code].search(plain(text)) for code in {language, "en"} & set(NOT_TOLD))


def value_beside(text: str, instruction: Instruction) -> str:
    """What a final holds beside saying that the text does not tell; empty where it holds no value of its own."""
    language = language_of(instruction)
    rest = plain(text)
    for code in {language, "en"} & set(NOT_TOLD):
        rest = NOT_TOLD[code].sub(" ", rest)
    asked = content(instruction.text)
    words = tokens(rest)
    if hedged := [w for w in words if w in HEDGES.get(language, HEDGES["en"])]:
        return hedged[0]
    figures = [w for w in words if any(c.isdecimal() for c in w) and w not in tokens(instruction.text)]
    if figures:
        return figures[0]
    own = [w for w in words if len(w) >= 4 and w[:6] not in asked and w not in GROUND]
    return " ".join(own) if len(own) > BEYOND else ""


GROUND = frozenset(
    [
        "text",
        "passage",
        "document",
        "report",
        "article",
        "transcript",
        "minutes",
        "poem",
        "clause",
        "story",
        "page",
        "table",
        "this",
        "that",
        "from",
        "which",
        "with",
        "whether",
        "only",
        "there",
        "dies",
        "diese",
        "dieser",
        "dieses",
        "dass",
        "welche",
        "aber",
        "auch",
        "wird",
        "passage",
        "aus",
        "dem",
        "wurde",
        "passagen",
        "artikel",
        "bericht",
        "protokoll",
    ]
)
"""Words that name the text or hold a sentence together."""


@check(
    decides=True,
    version=1,
    sees="where the text does not tell, final says so and holds no value; where it does tell, final does not say so",
    blind="whether the text really does not tell; beyond English, German and Hindi it knows only the agreed phrase",
)
async def gold_insufficient(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    if not example.answer and not example.fields:
        return not_applicable("no answer yet")
    said = said_text(example)
    if instruction.answerability == "answerable":
        right = " ".join(str(x) for x in _flat(instruction.gold.value)) if instruction.gold else ""
        if instruction.shape != "open" and says_not_told(said, language) and not says_not_told(right, language):
            return failed(f"{said[:80]!r}, but the text does tell", hint="The passage does settle this; look again.")
        return not_applicable("the text does tell")
    if instruction.answerability != "unanswerable":
        return not_applicable(f"the row is {instruction.answerability}")
    if not says_not_told(said, language):
        return failed(
            f"{said[:80]!r} does not say that the text leaves it open",
            hint="Check whether the passage really settles the question.",
        )
    if beside := value_beside(said, instruction):
        return failed(
            f"says that the text does not tell, and still holds {beside[:60]!r}",
            hint="Say that the passage does not tell, and offer no value.",
        )
    return passed("says that the text does not tell")


def _flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple) else [value]


PREMISE = re.compile(
    r"(?:false|wrong|mistaken) premise|falsche (?:voraussetzung|annahme|prämisse)|(?:गलत|ग़लत) (?:मान्यता|धारणा)", re.I
)


@check(
    decides=True,
    version=1,
    sees="where the question rests on an error, final says so and gives what the text says instead",
    blind="a correction in other words than the text's",
)
async def gold_premise(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    if not example.answer and not example.fields:
        return not_applicable("no answer yet")
    said, language = said_text(example), language_of(instruction)
    if instruction.answerability != "false_premise":
        if instruction.answerability == "answerable" and PREMISE.match(plain(said)):
            return failed("calls the premise false, and it is not", hint="The question's assumption holds; answer it.")
        return not_applicable("the question rests on no error")
    key = words_of(str(instruction.data.get("key", "")), language)
    if not PREMISE.search(plain(said)):
        return failed(
            f"{said[:80]!r} accepts the question's assumption",
            hint="Check whether everything that the question takes for granted is so in the passage.",
        )
    if not key or not run_in(key, words_of(said, language)):
        return failed(f"{said[:120]!r} lacks {' '.join(key)!r}", hint="Say what the passage has instead, in its own words.")
    return passed("puts the premise right")
