"""Numbers as texts write them: figures with any separators, number words, halves and dozens, and the units beside them."""

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction

from preceptor.checks.text import MONTHS
from preceptor.checks.words import plain, tokens

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
        plain(word): tuple(map(Fraction, values.split(","))) for word, values in (entry.split(":") for entry in entries.split())
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


def places_of(value: Fraction) -> int:
    """Decimal places of a number that ends; 12 for one that does not."""
    return next((n for n in range(12) if (value * 10**n).denominator == 1), 12)


def rounded(value: Fraction, places: int) -> Fraction:
    """Half away from zero."""
    scaled = abs(value) * 10**places + Fraction(1, 2)
    whole = scaled.numerator // scaled.denominator
    return Fraction(whole if value >= 0 else -whole, 10**places)
