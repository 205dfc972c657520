"""What code can read off running text: sentences, words, names, numbers, dates, runs of words.

The readers are shared by `kept`, `edit` and `form`, and by packs. They are careful rather than complete: where a text is
ambiguous (an abbreviation before a full stop, a word that is a name only here) they would rather find nothing.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from preceptor.types import Example

MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
           "November", "Dezember"),
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ABBREVIATED = re.compile(
    r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|No|Nos|Fig|Figs|Inc|Ltd|Co|Corp|approx|a\.m|p\.m|pp?"
    r"|ca|bzw|Nr|usw|z\.\s?B|d\.\s?h|u\.\s?a|Abs|Art|vgl|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|(?<![\d:.,])\d{1,2})\.$"
)
SENTENCE_END = re.compile(r"([.!?।]+[\"'”’»)\]]*)(\s+)")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*", re.U)
NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:[.,]\d+)*(?![\w]*\d)")
PART = r"[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]+"
RUN = re.compile(rf"(?<![\w’'-])(?:[a-zà-öø-ÿ][\w’'-]*[,;)]?|\d+,) ({PART}(?: {PART})*)(?![\w(\[=<>_/@-]|[.@]\w)")
"""A run of capitalised words after a word that is none: the whole run, and inside a sentence."""
LICENCE = re.compile(r"licen[cs]ed? (?:under|CC)|creative commons|apache licen|mit licen|\bgnu\b|\bcc[ -]by|all rights reserved"
                     r"|copyright|©|spdx|public domain|project gutenberg", re.I)
LABEL = re.compile(r"^\W*[A-ZÀ-Þ][\w /-]{0,24}:(?=\s)")
"""What stands before a colon at a line's start: the label of a header, or who speaks."""


def _set(words_: str) -> frozenset[str]:
    return frozenset(words_.split())


NOT_NAMES = frozenset((*MONTHS["en"], *DAYS, *(f"{day}s" for day in DAYS), "I", "I'm", "I've", "I'd", "I'll")) | _set(
    "The A An And But If In On At It He She We They You This That These Those There When Where Why How What Who Which Yes "
    "No OK Please Dear Hi Hello Thanks Regards Subject From To Cc Re Date Note Noted God Mr Mrs Ms Messrs Miss Dr Prof Sir "
    "Lady Lord Chapter Table Figure Section Appendix Article Not Or So As For With Our My Your His Her Its Their Let Do Is "
    "Internet Web Society Company Committee Council Association Board Landlord Tenant Member Members None True False "
    "Boolean String Nobody Everybody Somebody Anybody Someone Everyone Anyone Nothing Everything Ours Yours Theirs One Two "
    "Three Four Five Six Seven Eight Nine Ten Eleven Twelve Then Now Here Well Right Change Also Another Both Each Every "
    "Some Many Most Few All Any Only Just Even Still Never Always Often Sometimes Easter Christmas English German French "
    "Spanish European American British Polish Italian Dutch Portuguese Hindi Marathi Bengali Urdu Chinese Japanese Korean "
    "Russian Greek Latin Arabic Hebrew Indian African Asian Irish Scottish Welsh Norwegian Danish Swedish Finnish Turkish "
    "Christian Catholic Protestant Jewish Muslim Victorian Roman "
)

STOPWORDS: Mapping[str, frozenset[str]] = {
    "en": _set(
        "the and of to in is was for that with on are be this by from at have it not as but has or an "
        "were they their which had been will its would there we you he she if can who when more"
    ),
    "de": _set(
        "der die das und ist nicht ein eine zu den mit von für auf dem des sich im auch es an als "
        "werden aus wird bei oder hat dass sind nach wie um einer einem noch wenn nur war über so zum "
        "zur sie er ich wir ihr diese dieser diesen dieses kein keine niemand etwas schon hier dort man vom beim"
    ),
    "fr": _set(
        "le la les et des est une dans que pour qui sur pas au avec ce il par plus ne se sont aux du "
        "été cette mais ont ces leur elle nous vous comme ou"
    ),
    "es": _set(
        "el los las y que en una por con para del se es su al lo como más pero sus le ha este sobre "
        "entre cuando también fue son dos desde está hay o"
    ),
    "it": _set(
        "il gli che di e per una con non sono del della alla più nel dei è si da anche come le ha ma "
        "questo nella dal essere delle loro al"
    ),
    "nl": _set(
        "de het een en van in is dat op te zijn voor met niet aan er die ook als bij naar maar door om "
        "nog uit deze werd wordt hebben heeft"
    ),
    "pt": _set(
        "o os as e que em uma por com para do da se é no na ao mais mas seu sua foi são como ou também "
        "pelo pela não dos das"
    ),
}
SCRIPTS: Mapping[str, str] = {"hi": "DEVANAGARI", "mr": "DEVANAGARI", "ru": "CYRILLIC", "uk": "CYRILLIC",
                              "el": "GREEK", "ar": "ARABIC", "he": "HEBREW", "zh": "CJK", "ja": "CJK", "ko": "HANGUL"}


# ── what is compared with what ───────────────────────────────────────────────────────────────────────────────────


def settled(text: str) -> str:
    """`text` with one form of line end and letter, and no blanks at line ends: all that exact comparison forgives."""
    lines = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n").strip()


def edited(example: Example) -> str:
    """The text that the answer hands back."""
    return settled(str(example.fields.get("final") or example.answer))


def source(example: Example) -> str:
    """The text that the student was given to work on; a session or another check may name it in `data.source`."""
    return settled(str(example.instruction.data.get("source") or example.instruction.material.text))


def language_of(example: Example) -> str:
    """The language of the text that was given."""
    return example.instruction.material.language or example.instruction.material.document.language


def first_difference(left: str, right: str) -> str:
    """Where two texts part, for people to read."""
    at = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    return f"at character {at}: {left[max(0, at - 20):at + 30]!r} against {right[max(0, at - 20):at + 30]!r}"


# ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def paragraphs(text: str) -> list[str]:
    """The pieces between blank lines."""
    return [p.strip("\n") for p in re.split(r"\n\s*\n", settled(text)) if p.strip()]


def sentences(text: str) -> list[str]:
    """The sentences of a text in order; a line break inside one stays, a paragraph always ends one."""
    found: list[str] = []
    for paragraph in paragraphs(text):
        start = 0
        for end in SENTENCE_END.finditer(paragraph):
            before = paragraph[start : end.end(1)]
            after = paragraph[end.end() : end.end() + 1]
            if ABBREVIATED.search(before) or after.islower():
                continue
            found.append(before)
            start = end.end()
        if paragraph[start:].strip():
            found.append(paragraph[start:])
    return found


def plain_sentences(text: str) -> list[str] | None:
    """The sentences where every reader would count the same ones; None where a reader might not."""
    doubtful = (r"[.!?][\"'”’»)]|\.\.\.|…|[:;]\s*\n|\b[A-Z]\.|(?:^|\n)\s*(?:[-*•#>|]|\d+[.)])|\b(?:e\.g|i\.e|etc|Mr|Mrs|Ms|Dr"
                r"|Prof|St|vs|No|Nr|z\. ?B|bzw|usw|ca|cf|a\.m|p\.m)\.|[.!?]\s+[a-zà-ÿ]|\d\.\s|[()\"“”„«»]")
    if re.search(doubtful, text):
        return None
    found = sentences(text)
    return found if found and all(s[-1] in ".!?।" for s in found) else None


def words(text: str) -> list[str]:
    """The words of a text, digits left out."""
    return WORD.findall(text)


def tokens(text: str) -> list[str]:
    """What stands between blanks."""
    return text.split()


def numbers(text: str) -> list[str]:
    """The numbers of a text as written, thousands separators taken out; years and list numbers are numbers too."""
    found = []
    for match in NUMBER.finditer(folded(text)):
        bare = match[0].replace("−", "-")
        if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare):
            bare = bare.replace(",", "")
        elif re.fullmatch(r"-?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?", bare):
            bare = bare.replace(".", "")
        found.append(bare.replace(",", "."))
    return found


THIN = "\u00a0\u2007\u2009\u202f'’"
"""What may part groups of three digits beside comma and point: blanks that do not break, thin blanks, the apostrophe."""


def folded(text: str) -> str:
    """`text` with its grouped numbers closed up where a thin blank or an apostrophe parts the groups."""
    grouped = rf"(?<![\d.,])\d{{1,3}}(?:[{THIN}]\d{{3}})+(?!\d)"
    return re.sub(grouped, lambda m: re.sub(rf"[{THIN}]", "", m[0]), text)


Values = frozenset[Decimal]
"""What one written number may mean: 1,250 is twelve hundred and fifty, or one and a quarter in German."""
COMMA = ("de", "fr", "es", "it", "nl", "pt")
"""Languages that write a comma before decimals and group by points."""
SPELLED: Mapping[str, tuple[str, ...]] = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "de": ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"),
    "fr": ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"),
    "es": ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce"),
}


def figures(text: str, language: str = "") -> list[tuple[str, Values]]:
    """Each number of a text as it is written, with what it may mean; with a `language`, what it means there.

    Signs, list numbers and what stands in addresses are left out; of dates and versions each part is a number.
    """
    text = re.sub(r"https?://\S+|^\s*\d+[.)](?=\s)", " ", folded(text), flags=re.M)
    text = re.sub(r"(\d{1,2})(?:h|[.](?=\d\d ?(?:Uhr|uur)))(\d\d)(?!\d)", r"\1:\2", text)
    found: list[tuple[str, Values]] = []
    for match in NUMBER.finditer(text):
        bare = match[0].lstrip("-−")
        afternoon = re.match(r"(?::\d\d)?\s?p\.?m", text[match.end() :])
        if means := _meanings(bare, language):
            later = {v + 12 for v in means if v < 12} if afternoon else set()
            found.append((bare, frozenset(means | later)))
        else:
            found += [(part, frozenset({Decimal(part)})) for part in re.findall(r"\d+", bare)]
    return found


def _meanings(bare: str, language: str) -> set[Decimal]:
    grouped = {"comma": re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare),
               "point": re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", bare)}
    closed = {"comma": Decimal(bare.replace(",", "")) if grouped["comma"] else None,
              "point": Decimal(bare.replace(".", "").replace(",", ".")) if grouped["point"] else None}
    plain = Decimal(bare.replace(",", ".")) if re.fullmatch(r"\d+(?:[.,]\d+)?", bare) else None
    own = closed["point" if language in COMMA else "comma"]
    if language and (own or plain):
        return {own or plain or Decimal(0)}
    return {value for value in (*closed.values(), plain) if value is not None}


def spelled(text: str, language: str) -> set[Decimal]:
    """The values up to twelve that a text writes out as words."""
    said = {w.casefold() for w in words(text)}
    return {Decimal(n) for n, word in enumerate(SPELLED.get(language, ())) if word in said}


def is_heading(paragraph: str) -> bool:
    """Whether a paragraph is a heading: marked as one, or one short line that no sentence end closes."""
    line = paragraph.strip()
    if "\n" in line or not line:
        return False
    bare = line.strip("*_ ")
    return line.startswith("#") or (len(bare.split()) <= 12 and bare[-1:].isalnum() and not re.match(r"[-*•>|]|\d+[.)]", line))


def running(text: str) -> str:
    """The lines of a text that are sentences: no heading, table row, licence, code, and no label before a colon."""
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    pieces = paragraphs(text)
    kept = [p for p in pieces if len(pieces) == 1 or not is_heading(p)]
    lines = [line for p in kept for line in p.split("\n")]
    sound = [LABEL.sub("", x) for x in lines if not x.lstrip().startswith(("#", "|")) and len(re.findall(r",(?=\S)", x)) < 2]
    return "\n".join(s for line in sound for s in re.split(r"(?<=[.!?]) ", line) if not LICENCE.search(s))


def names(text: str, language: str = "en") -> list[str]:
    """Names that the text itself proves: runs of capitalised words inside a sentence, their last never in small letters.

    In order, once each. Headings, labels, tables and licences are not read. German writes all nouns with a capital; there
    only what follows a title (Herr, Frau, Dr.) is taken.
    """
    if language == "de":
        pattern = r"\b(?:Herrn?|Frau|Dr\.|Prof\.)\s+((?:[A-ZÄÖÜ][\wäöüß]+)(?: [A-ZÄÖÜ][a-zäöüß]+)?)"
        return list(dict.fromkeys(m[1] for m in re.finditer(pattern, text)))
    common = set(re.findall(r"(?<![\w’'-])[a-zà-öø-ÿ]+", text))
    found: dict[str, None] = {}
    for match in RUN.finditer(running(text)):
        pieces = match[1].split()
        while pieces and (pieces[0] in NOT_NAMES or pieces[0].lower() in STOPWORDS.get(language, ())):
            pieces = pieces[1:]
        while pieces and pieces[-1] in NOT_NAMES:
            pieces = pieces[:-1]
        run = " ".join(pieces)
        if len(run) > 2 and not set(pieces) & NOT_NAMES and pieces[-1].lower() not in common:
            found[run] = None
    return list(found)


def occurrences(text: str, term: str) -> list[int]:
    """Where `term` stands in `text` as whole words, by scanning: no letter, digit or underscore touches it."""
    found, at = [], text.find(term)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(term) : at + len(term) + 1]
        open_left = not (_wordlike(before) and _wordlike(term[:1]))
        if open_left and not (_wordlike(after) and _wordlike(term[-1:])):
            found.append(at)
            at = text.find(term, at + len(term))
        else:
            at = text.find(term, at + 1)
    return found


def _wordlike(character: str) -> bool:
    return bool(character) and (character.isalnum() or character == "_" or unicodedata.category(character).startswith("M"))


def stands_alone(text: str, term: str) -> bool:
    """Whether every trace of `term`, whatever its case, is a whole word in this very spelling, without a hyphen."""
    loose = [m.start() for m in re.finditer(re.escape(term), text, re.I)]
    exact = occurrences(text, term)
    near = re.search(rf"[-‐–@./]{re.escape(term)}|{re.escape(term)}(?:[-‐@/_]|\.\w)", text)
    return bool(exact) and loose == exact and not near


DATE_FORMS: Mapping[str, str] = {
    "day month year": r"(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)? (?P<m>{months}),? (?P<y>\d{{4}})",
    "month day year": r"(?P<m>{months}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?, (?P<y>\d{{4}})",
    "iso": r"(?P<y>\d{{4}})-(?P<n>\d{{2}})-(?P<d>\d{{2}})",
    "dotted": r"(?P<d>\d{{1,2}})\.(?P<n>\d{{1,2}})\.(?P<y>\d{{4}})",
}


def dates(text: str, forms: Iterable[str] = DATE_FORMS) -> list[tuple[int, int, date]]:
    """The full dates of a text: where each starts and ends, and which day it is. Impossible days are no dates."""
    spelled = {name.lower(): i % 12 + 1 for names_ in MONTHS.values() for i, name in enumerate(names_)}
    months = "|".join(sorted({n for names_ in MONTHS.values() for n in names_}, key=len, reverse=True))
    found: list[tuple[int, int, date]] = []
    for form in forms:
        for m in re.finditer(r"(?<![\w.-])" + DATE_FORMS[form].format(months=months) + r"(?![\w-])", text):
            month = int(m["n"]) if "n" in m.groupdict() else spelled[m["m"].lower()]
            try:
                found.append((m.start(), m.end(), date(int(m["y"]), month, int(m["d"]))))
            except ValueError:
                continue
    return sorted(found)


QUOTED = re.compile(r"\"[^\"\n]{1,600}\"|“[^”]{1,600}”|„[^“”]{1,600}[“”]|«[^«»]{1,600}»|»[^«»]{1,600}«")


FIXED = re.compile(r"```.*?```|`[^`\n]+`|https?://\S+|\([A-ZÀ-Þ][^()\d]{1,60},? \d{4}[a-z]?\)|\[\d[\d, ]*\]", re.S)


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    """The runs of `n` words between blanks, case folded, without the marks around words; no run crosses a `¦`."""
    found: set[tuple[str, ...]] = set()
    for stretch in text.split("¦"):
        bare = [w for token in stretch.casefold().split() if (w := re.sub(r"^[\W_]+|[\W_]+$", "", token))]
        found |= {tuple(bare[i : i + n]) for i in range(len(bare) - n + 1)}
    return found


def unfree(text: str, fixed: Iterable[str]) -> str:
    """`text` with a `¦` for whatever nobody could word anew: quotations, code, numbers, citations, and the terms `fixed`."""
    text = FIXED.sub(" ¦ ", text)
    text = re.sub(r"\S*\d\S*", " ¦ ", QUOTED.sub(" ¦ ", text))
    for term in sorted(set(fixed), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(term)}(?!\w)", " ¦ ", text, flags=re.I)
    return text


def copied(answer: str, original: str, n: int = 5, fixed: Iterable[str] = ()) -> tuple[float, list[str]]:
    """The share of the answer's free runs of `n` words that are the original's, and those runs in order of the answer."""
    fixed = list(fixed)
    own, theirs = runs(unfree(answer, fixed), n), runs(unfree(original, fixed), n)
    flat = answer.casefold()
    shared = sorted((" ".join(run) for run in own & theirs), key=lambda run: flat.find(run))
    return (len(shared) / len(own) if own else 0.0), shared


def spoken(text: str) -> list[str]:
    """The sentences that take turns: headings and table rows left out, an item of a list one, a quotation inside its own.

    What stands in quotation marks becomes a “…” that keeps its last mark, for its words belong to whoever said them.
    """
    found: list[str] = []
    for piece in paragraphs(QUOTED.sub(lambda m: f"“…{m[0][-2] if m[0][-2] in '.!?' else ''}”", text)):
        if is_heading(piece):
            continue
        for line in re.split(r"\n(?=\s*(?:[-*•>|#]|\d+[.)])\s?)", piece):
            if not line.lstrip().startswith(("|", "#")):
                found += sentences(re.sub(r"^\s*(?:[-*•>]+|\d+[.)])\s+", "", line))
    return found


def reading_ease(text: str, language: str = "en") -> float:
    """Flesch's reading ease (1948), or Amstad's constants for German (1978); syllables are counted as vowel groups."""
    said, spoken = words(text), max(1, len(sentences(text)))
    if not said:
        return 0.0
    vowels = "aeiouyäöü" if language == "de" else "aeiouy"
    length, syllables = len(said) / spoken, sum(_syllables(w.lower(), vowels, language) for w in said) / len(said)
    return 180 - length - 58.5 * syllables if language == "de" else 206.835 - 1.015 * length - 84.6 * syllables


def _syllables(word: str, vowels: str, language: str) -> int:
    groups = len(re.findall(rf"[{vowels}]+", word))
    silent = language == "en" and word.endswith("e") and not word.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


AMBIGUOUS = _set("was in an am on as a so die war es or no me he en de la con son")
"""Common words of one language that are words of another too: they do not tell which."""


def guess_language(text: str) -> str:
    """The language whose script or commonest words fill the text; `und` where none clearly does."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return "und"
    for code, script in SCRIPTS.items():
        if sum(unicodedata.name(c, "").startswith(script) for c in letters) > 0.5 * len(letters):
            return code
    folded = [w.casefold() for w in words(text)]
    scores = Counter({code: sum(w in stops - AMBIGUOUS for w in folded) for code, stops in STOPWORDS.items()})
    (best, most), (_, next_most) = scores.most_common(2)
    return best if most >= max(1, 0.08 * len(folded)) and most > next_most else "und"


def missing_from(needed: Sequence[str], text: str) -> list[str]:
    """What of `needed` the text has too few times, each as often as it is listed."""
    short = []
    for term, times in Counter(needed).items():
        have = len(occurrences(text.casefold(), term.casefold()))
        if have < times:
            short.append(term)
    return short


def content_words(text: str) -> list[str]:
    """Words of four letters and more, cut to their first five: what an inflection does not change."""
    return [w.casefold()[:5] for w in words(text) if len(w) > 3]


def unsaid(request: str, says: Iterable[Any]) -> list[str]:
    """What a request fails to say; quotation marks and blanks may differ."""
    flat = _flat(request)
    return [str(s) for s in says if _flat(str(s)) not in flat]


def _flat(text: str) -> str:
    return " ".join(re.sub(r"[’‘]", "'", re.sub(r"[“”„«»]", '"', text)).split()).casefold()
