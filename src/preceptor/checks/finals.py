"""The bare answer of a row: how it is read out of `final`, and when two of them are one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from preceptor.checks.figures import FIGURE, NUMBER_WORDS, ascii_digits, number_of
from preceptor.checks.text import dates
from preceptor.checks.words import plain, tokens
from preceptor.types import Example

ARTICLES: Mapping[str, frozenset[str]] = {
    "en": frozenset(["the", "a", "an"]),
    "de": frozenset(["der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines"]),
    "fr": frozenset(["le", "la", "les", "un", "une"]),
    "es": frozenset(["el", "la", "los", "las", "un", "una"]),
    "it": frozenset(["il", "lo", "la", "i", "gli", "le", "un", "una", "uno"]),
    "nl": frozenset(["de", "het", "een"]),
    "pt": frozenset(["o", "a", "os", "as", "um", "uma"]),
}
PLACES: Mapping[str, frozenset[str]] = {
    "en": frozenset(["in", "at", "on", "with", "inside", "by"]),
    "de": frozenset(["in", "im", "am", "an", "auf", "bei", "beim"]),
    "hi": frozenset(["में", "पर", "के", "पास", "अंदर", "ने"]),
}
"""Words before (in Hindi after) a place, time or person that change nothing where only one of two answers has them."""
ASIDES = {
    "en": frozenset(["his", "her", "their", "its", "our", "who", "whose", "which"]),
    "de": frozenset(["sein", "seine", "seinen", "seinem", "ihr", "ihre", "ihren", "ihrem"]),
}
"""With the articles: what an apposition opens with."""


def final_of(example: Example) -> str:
    """The bare answer as one string; an object that only wraps it is opened."""
    final = example.fields.get("final", "")
    if not isinstance(final, str):
        return orjson.dumps(final, default=str).decode()
    return final.strip()


def opened(final: str) -> Any:
    """The value of a JSON text, and what stands under `answer` or `label` where it is an object with one of them."""
    if not final.lstrip().startswith(("{", "[", '"')):
        return final
    try:
        value = orjson.loads(final)
    except orjson.JSONDecodeError:
        return final
    if isinstance(value, dict):
        inner = [value[k] for k in ("final", "answer", "label", "answers") if k in value]
        return inner[0] if len(inner) == 1 else value
    return value


def words_of(text: str, language: str) -> tuple[str, ...]:
    """What of an answer is compared: full dates as days, number words as figures, no leading article, no points."""
    for start, end, day in reversed(dates(text)):
        text = f"{text[:start]} {day:%Y%m%d} {text[end:]}"
    small = NUMBER_WORDS.get(language, {})
    text = FIGURE.sub(lambda m: _written(m[0], language), ascii_digits(text))
    signed = re.sub(r"(?<!\w)[-−](?=\d)", " minus ", text)
    found = [str(small.get(word, word)) for word in tokens(signed.replace("%", " percent "))]
    articles = ARTICLES.get(language, frozenset())
    while len(found) > 1 and found[0] in articles:
        found = found[1:]
    return tuple(w for w in found if language != "en" or w != "the") or tuple(found)


def _written(figure: str, language: str) -> str:
    value = number_of(figure, language)
    if value is None:
        return figure
    if value.denominator == 1:
        # A leading zero is part of codes and telephone numbers, never of a value.
        return figure if re.match(r"-?0\d", figure) else str(value)
    return str(float(value)).replace(".", "p")


def same_text(said: str, right: str, language: str) -> bool:
    """Whether two answers are one: the same words, but for articles, case, points and one word of place."""
    ours, theirs = words_of(said, language), words_of(right, language)
    if ours == theirs:
        return bool(ours) or (bool(plain(said)) and plain(said) == plain(right))
    places = PLACES.get(language, frozenset())
    loose = [t for t in (ours, theirs) if len(t) > 1 and (t[0] in places or t[-1] in places)]
    if len(loose) != 1:
        return False
    left, right_words = (_unplaced(t, places, language) for t in (ours, theirs))
    return left == right_words


def longer_span(said: str, right: str, passage: str, language: str) -> bool:
    """Whether `said` is the right span as the passage itself goes on with it: a place, or who somebody is.

    The right words come first, what follows them is `in the harbour` or `, the keeper`, of two to six words without a
    figure, and the whole stands in the passage in one run; an apposition may stand there before the name as well.
    """
    right_words, apart = words_of(right, language), re.split(r",\s+", said.strip(), maxsplit=1)
    places, articles = PLACES.get(language, frozenset()), ARTICLES.get(language, frozenset())
    text = tuple(w for w in words_of(passage, language) if language != "en" or w != "the")
    if len(apart) == 2:
        name, aside = words_of(apart[0], language), tuple(tokens(apart[1]))
        opens = bool(aside) and aside[0] in articles | ASIDES.get(language, frozenset())
        bare = words_of(apart[1], language)
        stands = run_in(name + bare, text) or run_in(bare + name, text)
        return name == right_words and opens and stands and _harmless(bare, apart[1], least=1)
    ours = _unplaced(words_of(said, language), places, language)
    start = _unplaced(right_words, places, language)
    more = ours[len(start) :]
    adverbial = ours[: len(start)] == start and bool(more) and more[0] in places
    return adverbial and run_in(ours, text) and _harmless(more, said, least=2)


def _harmless(more: Sequence[str], written: str, *, least: int) -> bool:
    """Whether added words are few, and hold neither a figure nor a word that joins, denies or doubts."""
    strong = {"and", "or", "not", "no", "nor", "but", "und", "oder", "nicht", "kein", "keine", "aber", "और", "या", "नहीं"}
    return least <= len(more) <= 6 and not strong & set(tokens(written)) and not any(c.isdecimal() for w in more for c in w)


def _unplaced(words: tuple[str, ...], places: frozenset[str], language: str) -> tuple[str, ...]:
    if len(words) > 1 and words[0] in places and not (words[0] == "by" and words[1][:1].isdecimal()):
        words = words[1:]
    while len(words) > 1 and language == "hi" and words[-1] in places:
        words = words[:-1]
    while len(words) > 1 and words[0] in ARTICLES.get(language, frozenset()):
        words = words[1:]
    return words


LEADS = re.compile(
    r"\A(?:the |my |final |die |meine )*(?:answer|result|antwort|ergebnis|lösung|réponse|respuesta|risposta|उत्तर|जवाब)\s*:\s*",
    re.I,
)


def said_text(example: Example) -> str:
    """The bare answer as text, without a leading `Answer:`."""
    value = opened(final_of(example))
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return LEADS.sub("", text.strip().strip("*_` ")).strip()


def listed(example: Example, gold: Iterable[str]) -> list[str] | None:
    """The entries of final: a JSON list, or lines, or semicolons; commas only where no right entry has one."""
    value = opened(final_of(example))
    if isinstance(value, list):
        return [str(entry) for entry in value if not isinstance(entry, dict | list)]
    if not isinstance(value, str):
        return None
    marks = r"\n|;" if any("," in entry for entry in gold) else r"\n|;|,"
    parts = [re.sub(r"\A\s*(?:[-*•]|\d+[.)]\s)\s*", "", part).strip() for part in re.split(marks, LEADS.sub("", value))]
    return [part for part in parts if part]


def by_place(said: str, shown: Sequence[str]) -> str:
    """The entry that a letter or number points at in the list as shown; else what was said."""
    bare = said.strip(" ().:")
    if bare in shown or len(bare) > 2:
        return said
    if bare.isdecimal() and 1 <= int(bare) <= len(shown):
        return shown[int(bare) - 1]
    if len(bare) == 1 and "A" <= bare.upper() <= "Z" and ord(bare.upper()) - 65 < len(shown):
        return shown[ord(bare.upper()) - 65]
    return said


def paired(final: str) -> list[tuple[str, str]]:
    """The pairs in final: a JSON object, a JSON list of pairs, or lines with an arrow, a dash or a colon."""
    value = opened(final)
    if isinstance(value, dict):
        return [(str(a), str(b)) for a, b in value.items() if not isinstance(b, dict | list)]
    if isinstance(value, list):
        pairs = [
            (p.get("left"), p.get("right")) if isinstance(p, dict) else tuple(p) if isinstance(p, list) else () for p in value
        ]
        return [(str(p[0]), str(p[1])) for p in pairs if len(p) == 2 and None not in p]
    cut = [re.split(r"\s*(?:→|->|=>|\s[–—-]\s|:\s)\s*", line.strip(), maxsplit=1) for line in str(value).splitlines()]
    return [(c[0], c[1]) for c in cut if len(c) == 2]


def run_in(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))
