"""Whether the bare answer is the right one: text, number, set, order, pairs, label, or that the text does not tell.

The gold checks read `final` alone and compare the whole of it: an answer that holds the right value among others is
wrong. `final_in_answer` then sees to it that the student reads the same answer in the text of the row. The item checks
at the end look at the gold instead: that it rests on words of the passage, and that a number follows from its working.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import orjson

from preceptor.arithmetic import ArithmeticProblem, evaluate
from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.options import content, language_of, lineage, plain, stands_in, tokens
from preceptor.checks.text import MONTHS, dates, sentences
from preceptor.types import Ask, Example, Instruction, Verdict

BARE = "Put the bare answer into `final`: nothing before it, nothing after it."
AGAIN = "Read the passage again for exactly what is asked; the final answer is not right."

# ── words and numbers ────────────────────────────────────────────────────────────────────────────────────────────

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
    "en": frozenset(["in", "at", "on"]),
    "de": frozenset(["in", "im", "am", "an", "auf"]),
    "hi": frozenset(["में", "पर"]),
}
"""Words before (in Hindi after) a place or time that change nothing where only one of two answers has them."""

_SMALL = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn zwanzig",
    "hi": "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस",
}
_MORE = {
    "en": {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
    "de": {"dreißig": 30, "vierzig": 40, "fünfzig": 50, "sechzig": 60, "siebzig": 70, "achtzig": 80, "neunzig": 90},
    "hi": {
        "पांच": 5,
        "छः": 6,
        "पन्द्रह": 15,
        "तीस": 30,
        "चालीस": 40,
        "पचास": 50,
        "साठ": 60,
        "सत्तर": 70,
        "अस्सी": 80,
        "नब्बे": 90,
        "सौ": 100,
    },
}
NUMBER_WORDS: Mapping[str, Mapping[str, int]] = {
    language: {plain(word): n for n, word in enumerate(words.split())} | {plain(w): n for w, n in _MORE[language].items()}
    for language, words in _SMALL.items()
}
_LOOSE = {
    "en": "a:1 an:1 once:1 twice:2 both:2 pair:2 couple:2 double:2 doubled:2 dozen:12 score:20 half:1/2,50 quarter:1/4,25 "
    "third:1/3,3 hundred:100 first:1 second:2 fourth:4 fifth:5,1/5 fortnight:2,14 week:7 noon:12 midnight:0,24 decade:10",
    "de": "ein:1 eine:1 einen:1 einem:1 beide:2 beiden:2 paar:2 doppelt:2 dutzend:12 halb:1/2 halbe:1/2 hälfte:1/2,50 "
    "viertel:1/4,25 hundert:100 mittag:12",
    "hi": "दोनों:2 आधा:1/2 आधी:1/2 दर्जन:12",
}
LOOSE_WORDS: Mapping[str, Mapping[str, tuple[Fraction, ...]]] = {
    language: {
        plain(word): tuple(map(Fraction, values.split(",")))
        for word, values in (entry.split(":") for entry in entries.split())
    }
    for language, entries in _LOOSE.items()
}
"""Words that may stand for a number inside a quotation; as a whole answer they are not one."""
_SCALES = {
    100: "hundred", 1000: "thousand tausend k हज़ार हजार", 10**5: "lakh लाख", 10**6: "million millionen mio",
    10**7: "crore करोड़", 10**9: "billion milliarden mrd bn",
}  # fmt: skip
SCALES: Mapping[str, int] = {plain(word): scale for scale, words in _SCALES.items() for word in words.split()}
COMMA_DECIMAL = frozenset(["de", "fr", "es", "it", "nl", "pt", "ru", "uk", "pl", "cs", "sv", "da", "no", "fi", "tr", "el"])
FIGURE = re.compile(r"(?<![\w.,])[-−]?\d+(?:[.,'’\u00a0\u202f\u2009]\d+)*")
CONSTANTS = frozenset(map(Fraction, (0, 1, 2, 4, 7, 10, 12, 24, 28, 29, 30, 31, 52, 60, 100, 365, 366, 1000, 3600)))
"""Numbers that a formula may use without a quotation: people carry them in the head."""


def ascii_digits(text: str) -> str:
    """`text` with the digits of every script as 0 to 9."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def number_of(figure: str, language: str) -> Fraction | None:
    """The value of a figure as this language writes it; None where its separators fit no number."""
    bare = re.sub(r"['’\u00a0\u202f\u2009]", "", figure.replace("−", "-"))
    point, comma = bare.count("."), bare.count(",")
    if point and comma:
        decimal = max(".,", key=bare.rfind)
        group = "," if decimal == "." else "."
        if bare.count(decimal) > 1 or not _grouped(bare.split(decimal)[0], group):
            return None
        return Fraction(bare.replace(group, "").replace(decimal, "."))
    mark = "." if point else ","
    own_decimal = "," if language in COMMA_DECIMAL else "."
    if (point + comma > 1 or mark != own_decimal) and _grouped(bare, mark):
        return Fraction(bare.replace(mark, ""))
    return Fraction(bare.replace(mark, ".")) if point + comma <= 1 else None


def _grouped(whole: str, mark: str) -> bool:
    """Whether the digits stand in groups as Europe (1,234,567) or India (12,34,567) makes them."""
    return bool(re.fullmatch(rf"-?\d{{1,3}}(?:{re.escape(mark)}\d{{2,3}})*{re.escape(mark)}\d{{3}}|-?\d+", whole))


def numbers_in(text: str, language: str) -> list[Fraction]:
    """The numbers that a text writes in figures or in plain number words, in order; `3 million` is one number."""
    found: list[tuple[int, Fraction]] = []
    straight = ascii_digits(text)
    for match in FIGURE.finditer(straight):
        if (value := number_of(match[0], language)) is not None:
            after = re.match(r"\s*([^\W\d_]+)", straight[match.end() :])
            found.append((match.start(), value * SCALES.get(plain(after[1]), 1) if after else value))
    for start, value in _spelled(straight, language):
        found.append((start, value))
    return [value for _, value in sorted(found)]


def _spelled(text: str, language: str) -> list[tuple[int, Fraction]]:
    """Number words, with tens and units joined: twenty-one, forty two."""
    words = NUMBER_WORDS.get(language, {})
    found: list[tuple[int, Fraction]] = []
    ten_at, ten = -1, 0
    for match in re.finditer(r"[^\W\d_][^\W\d_\u0300-\u036f]*(?:[\u0900-\u097f]*)", text):
        value = words.get(plain(match[0]))
        if value is None:
            ten_at = -1
            continue
        if ten_at >= 0 and 0 < value < 10:
            found[-1] = (ten_at, Fraction(ten + value))
            ten_at = -1
            continue
        found.append((match.start(), Fraction(value)))
        ten_at, ten = (match.start(), value) if 20 <= value < 100 and value % 10 == 0 else (-1, 0)
    return found


def told_numbers(quote: str, language: str) -> set[Fraction]:
    """Every number that a quotation can be said to give: figures, number words, halves, dozens, months."""
    found = set(numbers_in(quote, language))
    spelled = LOOSE_WORDS.get(language, {})
    months = {plain(name): n for n, name in enumerate(MONTHS.get(language, ()), 1)}
    for word in tokens(quote):
        found.update(spelled.get(word, ()))
        if word in months:
            found.add(Fraction(months[word]))
    figures = [value for m in FIGURE.finditer(ascii_digits(quote)) if (value := number_of(m[0], language)) is not None]
    scaled = [SCALES[word] for word in tokens(quote) if word in SCALES]
    found.update(figures)
    found.update(n * scale for n in list(found) for scale in scaled)
    found.update(-n for n in list(found))
    return found


# ── what is compared ─────────────────────────────────────────────────────────────────────────────────────────────


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
        return bool(ours)
    places = PLACES.get(language, frozenset())
    loose = [t for t in (ours, theirs) if len(t) > 1 and (t[0] in places or t[-1] in places)]
    if len(loose) != 1:
        return False
    left, right_words = (_unplaced(t, places, language) for t in (ours, theirs))
    return left == right_words


def _unplaced(words: tuple[str, ...], places: frozenset[str], language: str) -> tuple[str, ...]:
    if len(words) > 1 and words[0] in places:
        words = words[1:]
    if len(words) > 1 and language == "hi" and words[-1] in places:
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


# ── one text, one label ──────────────────────────────────────────────────────────────────────────────────────────


@check(
    decides=True,
    version=1,
    sees="final is the gold text or one of its accepted forms, word for word, and nothing more",
    blind="a right answer in words that the item does not list",
)
async def gold_text(example: Example, skill: Any, ask: Ask) -> Verdict:
    gold, language = example.instruction.gold, language_of(example.instruction)
    if gold is None or gold.form != "text":
        return not_applicable("the gold is no text")
    said = said_text(example)
    if any(same_text(said, right, language) for right in (str(gold.value), *gold.accepts)):
        return passed(f"{said!r}")
    holds = stands_in(str(gold.value), said)
    return failed(f"{said[:120]!r} is not {str(gold.value)[:120]!r}", hint=BARE if holds else AGAIN)


@check(decides=True, version=1, sees="final is the right one of the labels, alone", blind="the reasons given for it")
async def gold_label(example: Example, skill: Any, ask: Ask) -> Verdict:
    gold, language = example.instruction.gold, language_of(example.instruction)
    if gold is None or gold.form != "label":
        return not_applicable("the gold is no label")
    said = said_text(example)
    if words_of(said, language) == words_of(str(gold.value), language):
        return passed(f"{said!r}")
    labels = [str(label) for label in example.instruction.data.get("labels", ())]
    known = any(words_of(said, language) == words_of(label, language) for label in labels)
    return failed(
        f"{said[:80]!r} is not {gold.value!r}",
        hint=AGAIN if known else "The final answer must be one of the labels, spelled as listed.",
    )


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────

UNITS: Mapping[str, str] = {
    alias: unit
    for unit, aliases in {
        "percent": "% percent percents prozent प्रतिशत pct",
        "points": "points point percentagepoints percentagepoint prozentpunkte prozentpunkt pp",
        "km": "km kilometre kilometres kilometer kilometers किलोमीटर किमी",
        "m": "m metre metres meter meters मीटर",
        "cm": "cm centimetre centimetres centimeter centimeters zentimeter",
        "mm": "mm millimetre millimetres millimeter millimeters",
        "kg": "kg kilogram kilograms kilogramm kilo किलोग्राम किलो",
        "g": "g gram grams gramm ग्राम",
        "mg": "mg milligram milligrams milligramm",
        "l": "l litre litres liter liters लीटर",
        "ml": "ml millilitre millilitres milliliter milliliters",
        "t": "t tonne tonnes ton tons tonnen",
        "year": "year years jahr jahre jahren साल वर्ष yr yrs",
        "month": "month months monat monate monaten महीना महीने माह",
        "week": "week weeks woche wochen सप्ताह हफ़्ते",
        "day": "day days tag tage tagen दिन",
        "hour": "hour hours stunde stunden h घंटे घंटा hrs",
        "minute": "minute minutes minuten min मिनट",
        "second": "second seconds sekunde sekunden s sec सेकंड",
        "eur": "€ eur euro euros",
        "usd": "$ usd dollar dollars",
        "gbp": "£ gbp pound pounds",
        "inr": "₹ inr rupee rupees रुपये रुपए",
        "c": "°c celsius °",
        "times": "times mal fach गुना",
    }.items()
    for alias in aliases.split()
}


def units_of(words: str) -> list[str]:
    """The words beside a number, units in one spelling, other words without their plural ending."""
    joined = re.sub(r"per cent", "percent", plain(words))
    joined = re.sub(r"percent(?:age)? points?", "percentagepoints", joined)
    found = re.findall(r"[€$£₹%°]c?|[^\W\d_][^\W_]*[\u0900-\u097f]*", joined)
    return [UNITS.get(word) or re.sub(r"(?<=\w{3})(?:es|s|n|en)\Z", "", word) for word in found if word not in SCALES]


@check(
    decides=True,
    version=1,
    sees="final is one number, equal to the gold, in the gold's unit if it names one",
    blind="a right number that was reached on a wrong way",
)
async def gold_number(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    gold, language = instruction.gold, language_of(instruction)
    if gold is None or gold.form != "number":
        return not_applicable("the gold is no number")
    said, right = said_text(example), Fraction(str(gold.value))
    found = numbers_in(said, language)
    if len(found) != 1:
        return failed(f"{said[:80]!r} holds {len(found)} numbers", hint="The final answer must be exactly one number.")
    if beside := wrong_unit(said, instruction):
        return failed(f"{said[:80]!r}: {beside}", hint="Give the number alone, in the unit that the question names.")
    if close_to(found[0], right, instruction):
        return passed(f"{said!r}")
    return failed(f"{said[:80]!r} is not {gold.value}", hint="Calculate again; the number is not right.")


def wrong_unit(said: str, instruction: Instruction) -> str:
    """What stands beside the number that is not its unit; empty where all is well."""
    language = language_of(instruction)
    rest = FIGURE.sub(" ", ascii_digits(said))
    spelled = NUMBER_WORDS.get(language, {})
    beside = [w for w in units_of(rest) if w not in spelled and w not in ARTICLES.get(language, ())]
    if not beside:
        return ""
    unit = units_of(str(instruction.data.get("unit") or ""))
    if unit:
        return "" if beside == unit else f"{' '.join(beside)!r} instead of {' '.join(unit)!r}"
    asked = set(units_of(instruction.text))
    strange = [w for w in beside if w not in asked]
    return f"{' '.join(strange)!r} is no unit that was asked for" if strange else ""


def close_to(said: Fraction, right: Fraction, instruction: Instruction) -> bool:
    """Equal, within the item's own tolerance, or the same result with more places than the gold has."""
    tolerance = Fraction(str(instruction.data.get("tolerance", 0)))
    if abs(said - right) <= tolerance:
        return True
    exact = recomputed(instruction)
    places = places_of(said)
    if exact is None or places <= places_of(right) or rounded(exact, places_of(right)) != right:
        return False
    return rounded(exact, places) == said


def places_of(value: Fraction) -> int:
    """Decimal places of a number that ends; 12 for one that does not."""
    return next((n for n in range(12) if (value * 10**n).denominator == 1), 12)


def rounded(value: Fraction, places: int) -> Fraction:
    """Half away from zero."""
    scaled = abs(value) * 10**places + Fraction(1, 2)
    whole = scaled.numerator // scaled.denominator
    return Fraction(whole if value >= 0 else -whole, 10**places)


def recomputed(instruction: Instruction) -> Fraction | None:
    """What the item's formula comes to; None where there is none that can be computed."""
    formula = str(instruction.data.get("formula") or "")
    try:
        return Fraction(evaluate(formula)) if formula else None
    except ArithmeticProblem:
        return None


# ── several things ───────────────────────────────────────────────────────────────────────────────────────────────


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


@check(decides=True, version=1, sees="final lists exactly the right things, in any order", blind="the reasons given for each")
async def gold_set(example: Example, skill: Any, ask: Ask) -> Verdict:
    gold, language = example.instruction.gold, language_of(example.instruction)
    if gold is None or gold.form != "set":
        return not_applicable("the gold is no set")
    right = [str(entry) for entry in gold.value]
    said = listed(example, right)
    if said is None:
        return failed(f"{final_of(example)[:80]!r} is no list", hint="`final` must be a JSON list of strings.")
    missing = [r for r in right if not any(same_text(s, r, language) for s in said)]
    extra = [s for s in said if not any(same_text(s, r, language) for r in right)]
    if missing or extra:
        hint = " ".join(
            (["Something that belongs is missing."] if missing else [])
            + (["Something on the list does not belong."] if extra else [])
        )
        return failed(f"missing {missing}, too many {extra}", hint=hint)
    return passed(f"{len(right)} entries")


@check(
    decides=True, version=1, sees="final lists all entries, each once, in the right order", blind="why one comes before another"
)
async def gold_order(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    gold, language = instruction.gold, language_of(instruction)
    if gold is None or gold.form != "order":
        return not_applicable("the gold is no order")
    right = [str(entry) for entry in gold.value]
    said = listed(example, right)
    if said is None:
        return failed(f"{final_of(example)[:80]!r} is no list", hint="`final` must be a JSON list of the entries.")
    shown = [str(entry) for entry in instruction.data.get("shown", ())]
    entries = [words_of(by_place(s, shown), language) for s in said]
    wanted = [words_of(r, language) for r in right]
    if entries == wanted:
        return passed(f"{len(right)} entries in order")
    if sorted(entries) != sorted(wanted):
        return failed("not the entries that were given, each once", hint="List every entry once, unchanged.")
    first = next(i for i, (a, b) in enumerate(zip(entries, wanted, strict=True)) if a != b)
    return failed(
        f"place {first + 1}: {said[first][:60]!r} instead of {right[first][:60]!r}",
        hint="The order is not right; look for the words that say what came before what.",
    )


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


@check(
    decides=True,
    version=1,
    sees="final joins every left entry to its own right entry and to no other",
    blind="the reasons given for each",
)
async def gold_pairs(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    gold, language = instruction.gold, language_of(instruction)
    if gold is None or gold.form != "pairs":
        return not_applicable("the gold is no pairs")
    said = paired(final_of(example))
    if not said:
        return failed(f"{final_of(example)[:80]!r} holds no pairs", hint="`final` must be a JSON object of the pairs.")
    left, right = ([str(x) for x in instruction.data.get(side, ())] for side in ("left", "right"))
    ours = [(words_of(by_place(a, left), language), words_of(by_place(b, right), language)) for a, b in said]
    wanted = {words_of(str(a), language): words_of(str(b), language) for a, b in dict(gold.value).items()}
    if len(ours) != len(dict(ours)):
        return failed("a left entry is joined twice", hint="Join each left entry once.")
    wrong = [a for a, b in ours if wanted.get(a) != b]
    if wrong or len(ours) != len(wanted):
        hint = "Join every left entry, each once, unchanged." if len(ours) != len(wanted) else "Not every pair is right."
        return failed(f"{len(wanted) - len(ours) + len(wrong)} of {len(wanted)} are wrong or missing", hint=hint)
    return passed(f"{len(wanted)} pairs")


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


# ── that the text does not tell ──────────────────────────────────────────────────────────────────────────────────

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
    if not key or not _run_in(key, words_of(said, language)):
        return failed(f"{said[:120]!r} lacks {' '.join(key)!r}", hint="Say what the passage has instead, in its own words.")
    return passed("puts the premise right")


def _run_in(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


# ── the text of the row says the same ────────────────────────────────────────────────────────────────────────────


@check(
    decides=False,
    version=1,
    sees="the answer that the student reads holds the final answer, where its format wants it",
    blind="whether the rest of the answer agrees with it",
)
async def final_in_answer(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    if not example.answer or "final" not in example.fields:
        return not_applicable("no answer yet")
    if instruction.shape in ("open", "multiple_choice") or instruction.options:
        return not_applicable("for this shape another check looks at it")
    form = instruction.style.format.split("_")[0]
    value = opened(example.answer) if form == "json" else None
    if form == "json" and isinstance(value, str) and value == example.answer:
        return failed("the answer is not JSON", hint="The task asks for JSON and nothing around it.")
    if instruction.answerability == "unanswerable":
        if language not in NOT_TOLD or says_not_told(example.answer, language) or (value is None and form == "json"):
            return passed()
        return failed(
            "the answer does not say that the text leaves it open", hint="Say in the answer that the text does not tell."
        )
    if instruction.answerability != "answerable":
        return not_applicable(f"the row is {instruction.answerability}")
    part = where_expected(example.answer, form)
    missing = [entry for entry in entries_of(example) if not shown_in(entry, part, instruction.shape, language)]
    if missing:
        return failed(
            f"{missing[0][:80]!r} is not where the format {instruction.style.format!r} wants it",
            hint="Answer and final answer differ, or the answer is not in the form that the task asks for.",
        )
    if form == "bare" and len(tokens(example.answer)) > 3 * sum(len(tokens(e)) for e in entries_of(example)) + 12:
        return failed("more than the bare answer", hint="The task asks for the answer alone.")
    return passed()


def where_expected(answer: str, form: str) -> str:
    """The part of an answer in which its format has the result."""
    lines = [line for line in answer.splitlines() if line.strip()]
    if form == "last" and lines:
        return "\n".join(lines[-2:])
    if form == "first" and lines:
        return sentences(answer)[0]
    return answer


def entries_of(example: Example) -> list[str]:
    """What of final has to be found in the answer."""
    shape, final = example.instruction.shape, final_of(example)
    if shape in ("set", "order"):
        gold = example.instruction.gold
        return listed(example, [str(x) for x in gold.value] if gold and isinstance(gold.value, list) else ()) or [final]
    if shape == "pairs":
        return [side for pair in paired(final) for side in pair] or [final]
    return [said_text(example)]


def shown_in(entry: str, part: str, shape: str, language: str) -> bool:
    """Whether an entry of final stands in a part of the answer."""
    if shape == "number":
        wanted = numbers_in(entry, language)
        return bool(wanted) and wanted[-1] in numbers_in(part, language)
    return stands_in(entry, part) or _run_in(words_of(entry, language), words_of(part, language))


# ── the item: gold by another route than its maker's ─────────────────────────────────────────────────────────────


@check(
    decides=False,
    version=1,
    sees="the words on which the gold rests stand in the passage to the letter",
    blind="whether they prove it",
)
async def evidence_in_material(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    moved = instruction.data.get("evidence_now")
    quotes = [str(q) for q in moved or (instruction.gold.evidence if instruction.gold else ())]
    if instruction.answerability == "false_premise":
        quotes = [str(instruction.data.get("truth", ""))]
        if not stands_in(str(instruction.data.get("key", "")), quotes[0]):
            return failed("the key of the correction is not in the sentence that corrects")
    if not quotes:
        return not_applicable("the gold names no evidence")
    for quote in quotes:
        if not stands_in(quote, instruction.material.text):
            return failed(f"not in the passage: {quote[:120]!r}")
    return passed(f"{len(quotes)} quotations stand")


@check(
    decides=False,
    version=1,
    sees="the gold, or an accepted form of it, stands in the words it is said to rest on",
    blind="a wrong thing that stands there too",
)
async def gold_in_evidence(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    gold = instruction.gold
    if gold is None or gold.form not in ("text", "set") or not gold.evidence:
        return not_applicable("no text with evidence")
    said = words_of(" ¶ ".join(gold.evidence), language)
    entries = [[str(e)] for e in gold.value] if gold.form == "set" else [[str(gold.value), *gold.accepts]]
    for forms in entries:
        if not any(_run_in(words_of(form, language), said) for form in forms):
            return failed(f"{forms[0][:80]!r} is not in its evidence")
    return passed("the gold stands in its evidence")


ROUNDING = re.compile(r"round|nearest|whole|about|approx|decimal|gerund|runde|ganze|nachkomma|etwa|पूर्णांक|निकटतम|दशमलव", re.I)


@check(
    decides=False,
    version=1,
    sees="the gold number follows from its working: quotations stand, hold their values, and the formula comes to the gold",
    blind="whether these were the figures to take; number words of languages other than English, German and Hindi",
)
async def working_recomputes(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    gold = instruction.gold
    working: Sequence[Mapping[str, Any]] = instruction.data.get("working") or ()
    if gold is None or gold.form != "number" or not working:
        return not_applicable("no number with a working")
    passage = lineage(instruction.material) if instruction.data.get("evidence_now") else instruction.material.text
    for step in working:
        quote, value = str(step["quote"]), Fraction(str(step["value"]))
        if not stands_in(quote, passage):
            return failed(f"not in the passage: {quote[:120]!r}")
        known = language in NUMBER_WORDS or any(c.isdecimal() for c in quote)
        if known and value != 1 and value not in told_numbers(quote, language):
            return failed(f"{quote[:80]!r} does not give {step['value']}")
    return weighed(instruction, [Fraction(str(step["value"])) for step in working])


def weighed(instruction: Instruction, values: Sequence[Fraction]) -> Verdict:
    """Whether the formula uses these values and comes to the gold."""
    formula = str(instruction.data.get("formula") or " + ".join(str(v) for v in values))
    try:
        result = Fraction(evaluate(formula))
    except ArithmeticProblem as problem:
        return failed(f"the formula {formula[:80]!r} cannot be computed: {problem}")
    used = {Fraction(figure) for figure in re.findall(r"\d+(?:\.\d+)?", formula.replace("_", ""))}
    strange = sorted(used - {abs(v) for v in values} - CONSTANTS)
    if strange:
        return failed(f"the formula uses {', '.join(str(float(s)) for s in strange)}, which the working does not give")
    assert instruction.gold is not None
    right = Fraction(str(instruction.gold.value))
    places = places_of(right)
    may_round = places > 0 or bool(ROUNDING.search(instruction.text)) or language_of(instruction) not in NUMBER_WORDS
    if result == right or (may_round and rounded(result, places) == right):
        return passed(f"{formula} = {instruction.gold.value}")
    return failed(f"{formula} is {float(result):g}, the gold says {instruction.gold.value}")
