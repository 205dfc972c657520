"""What code can read off running text: sentences, words, names, numbers, dates; and the checks that facts were kept.

The readers are shared by `edit` and `form`, and by packs. They are careful rather than complete: where a text is
ambiguous (an abbreviation before a full stop, a word that is a name only here) they would rather find nothing.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from preceptor.checks.base import Check, check, failed, not_applicable, passed
from preceptor.types import Ask, Example, Verdict

MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
           "November", "Dezember"),
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ABBREVIATED = re.compile(
    r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|No|Nos|Fig|Figs|Inc|Ltd|Co|Corp|approx|a\.m|p\.m|pp?"
    r"|ca|bzw|Nr|usw|z\.\s?B|d\.\s?h|u\.\s?a|Abs|Art|vgl|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|\d{1,2})\.$"
)
SENTENCE_END = re.compile(r"([.!?।]+[\"'”’»)\]]*)(\s+)")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*", re.U)
NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:[.,]\d+)*(?![\w]*\d)")
NOT_NAMES = frozenset(
    (*MONTHS["en"], *DAYS, "I", "I'm", "I've", "I'd", "I'll", "The", "A", "An", "And", "But", "If", "In", "On", "At",
     "It", "He", "She", "We", "They", "You", "This", "That", "These", "Those", "There", "When", "Where", "Why", "How",
     "What", "Who", "Which", "Yes", "No", "OK", "Please", "Dear", "Hi", "Hello", "Thanks", "Regards", "Subject", "From",
     "To", "Re", "Date", "Note", "God", "Mr", "Mrs", "Ms", "Dr", "Prof", "Sir", "Chapter", "Table", "Figure", "Section",
     "Not", "Or", "So", "As", "For", "With", "Our", "My", "Your", "His", "Her", "Its", "Their", "Let", "Do", "Is",
     "English", "German", "French", "Spanish", "European", "American", "British", "Internet", "Web")
)


def _set(words_: str) -> frozenset[str]:
    return frozenset(words_.split())


STOPWORDS: Mapping[str, frozenset[str]] = {
    "en": _set(
        "the and of to in is was for that with on are be this by from at have it not as but has or an "
        "were they their which had been will its would there we you he she if can who when more"
    ),
    "de": _set(
        "der die das und ist nicht ein eine zu den mit von für auf dem des sich im auch es an als "
        "werden aus wird bei oder hat dass sind nach wie um einer einem noch wenn nur war über so zum "
        "zur"
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
    for match in NUMBER.finditer(text):
        bare = match[0].replace("−", "-")
        if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare):
            bare = bare.replace(",", "")
        elif re.fullmatch(r"-?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?", bare):
            bare = bare.replace(".", "")
        found.append(bare.replace(",", "."))
    return found


def _digits(number: str) -> str:
    """A number's digits alone, in Western figures: what a change of language leaves of it."""
    return "".join(str(unicodedata.digit(c)) for c in number if c.isdigit())


def names(text: str, language: str = "en") -> list[str]:
    """Names that the text itself proves: runs of capitalised words that stand inside a sentence. In order, once each.

    German writes all nouns so; there only what follows a title (Herr, Frau, Dr.) is taken.
    """
    if language == "de":
        pattern = r"\b(?:Herrn?|Frau|Dr\.|Prof\.)\s+((?:[A-ZÄÖÜ][\wäöüß]+)(?: [A-ZÄÖÜ][a-zäöüß]+)?)"
        return list(dict.fromkeys(m[1] for m in re.finditer(pattern, text)))
    part = r"[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]+"
    run = re.compile(rf"(?<=[a-z,;:)–—] )({part}(?: (?:{part}))*)(?![\w-])")
    found: dict[str, None] = {}
    for match in run.finditer(text):
        pieces = match[1].split()
        while pieces and pieces[0] in NOT_NAMES:
            pieces = pieces[1:]
        while pieces and pieces[-1] in NOT_NAMES:
            pieces = pieces[:-1]
        if pieces and not set(pieces) & NOT_NAMES and len(" ".join(pieces)) > 2:
            found[" ".join(pieces)] = None
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


def ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    """The runs of `n` words, case folded."""
    folded = [w.casefold() for w in re.findall(r"\w+", text)]
    return {tuple(folded[i : i + n]) for i in range(len(folded) - n + 1)}


def overlap(answer: str, original: str, n: int = 3) -> float:
    """The share of the answer's runs of `n` words that the original has too."""
    own = ngrams(answer, n)
    return len(own & ngrams(original, n)) / len(own) if own else 1.0


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


def guess_language(text: str) -> str:
    """The language whose script or commonest words fill the text; `und` where none clearly does."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return "und"
    for code, script in SCRIPTS.items():
        if sum(unicodedata.name(c, "").startswith(script) for c in letters) > 0.5 * len(letters):
            return code
    folded = [w.casefold() for w in words(text)]
    scores = Counter({code: sum(w in stops for w in folded) for code, stops in STOPWORDS.items()})
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


# ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────


@check(decides=False, sees="every number of the text is still there, as often as before",
       blind="a number attached to the wrong thing; a number now written as a word")
async def keeps_numbers(example: Example, skill: Any, ask: Ask) -> Verdict:
    had, has = Counter(map(_digits, numbers(source(example)))), Counter(map(_digits, numbers(edited(example))))
    lost = had - has
    if not had:
        return not_applicable("the text has no number")
    if lost:
        return failed(f"lost: {', '.join(lost)}", hint="A number of the text is missing or was changed.")
    return passed(f"{sum(had.values())} numbers kept")


@check(decides=False, sees="no number stands in the answer that the text does not have", blind="numbers spelled out")
async def no_new_numbers(example: Example, skill: Any, ask: Ask) -> Verdict:
    allowed = set(numbers(source(example))) | set(numbers(example.instruction.text))
    new = [n for n in numbers(edited(example)) if n not in allowed]
    if new:
        return failed(f"invented: {', '.join(new)}", hint="There is a number that the text does not give.")
    return passed("no new number")


@check(decides=False, languages=("en", "fr", "es", "it", "nl", "pt", "de"),
       sees="the names that stand inside the text's sentences are still there",
       blind="names at the start of a sentence only; a name given to the wrong deed")
async def keeps_names(example: Example, skill: Any, ask: Ask) -> Verdict:
    had = names(source(example), language_of(example))
    if not had:
        return not_applicable("no name could be told from the text")
    answer = edited(example)
    lost = [n for n in had if not all(piece in answer for piece in n.split()[-1:])]
    if lost:
        return failed(f"lost: {', '.join(lost)}", hint="A name of the text is missing or was changed.")
    return passed(f"{len(had)} names kept")


@check(decides=False, sees="each string that the task says must stay is there, letter for letter, as often as listed",
       blind="whether it still says the same of it")
async def keeps_listed(example: Example, skill: Any, ask: Ask) -> Verdict:
    needed = [str(k) for k in example.instruction.data.get("keep", ())]
    if not needed:
        return not_applicable("the task lists nothing to keep")
    if lost := missing_from(needed, edited(example)):
        return failed(f"missing: {', '.join(lost)}", hint=f"The task says to keep: {', '.join(lost)}.")
    return passed(f"all of {', '.join(needed)}")


@check(decides=False, sees="few runs of three words are copied from the text (share below data.overlap, else 0.35)",
       blind="meaning; a copy with every third word changed")
async def lower_overlap(example: Example, skill: Any, ask: Ask) -> Verdict:
    bound = float(example.instruction.data.get("overlap", 0.35))
    found = overlap(edited(example), source(example))
    if found > bound:
        return failed(f"{found:.0%} of the three-word runs are the text's own; at most {bound:.0%}",
                      hint="Too many runs of words are copied from the text. Build the sentences anew.")
    return passed(f"{found:.0%} of the three-word runs are shared")


@check(decides=False, languages=("en", "de"),
       sees="the answer reads more easily than the text, by data.ease points or 8",
       blind="whether what was left out mattered")
async def reads_easier(example: Example, skill: Any, ask: Ask) -> Verdict:
    code, wanted = language_of(example), float(example.instruction.data.get("ease", 8))
    before, after = reading_ease(source(example), code), reading_ease(edited(example), code)
    if after < min(before + wanted, 90):
        return failed(f"reading ease {after:.0f}, the text has {before:.0f}, wanted {wanted:.0f} more",
                      hint="Shorter sentences and commoner words are needed.")
    return passed(f"reading ease from {before:.0f} to {after:.0f}")


@check(decides=False, sees="the answer is in the language asked for, by script or commonest words",
       blind="a translation that says something else; closely related languages in short texts")
async def language_is(example: Example, skill: Any, ask: Ask) -> Verdict:
    wanted = str(example.instruction.data.get("target_language") or language_of(example))
    if wanted not in SCRIPTS and wanted not in STOPWORDS:
        return not_applicable(f"no word list for {wanted}")
    found = guess_language(edited(example))
    same_script = SCRIPTS.get(found) is not None and SCRIPTS.get(found) == SCRIPTS.get(wanted)
    if found == wanted or same_script:
        return passed(f"reads as {found}")
    return failed(f"reads as {found}, asked for {wanted}", hint=f"Write in the language with the code {wanted}.")


@check(decides=False, sees="sentence by sentence the languages alternate as asked (data.languages, in turn)",
       blind="sentences under five words; whether both halves fit together")
async def languages_alternate(example: Example, skill: Any, ask: Ask) -> Verdict:
    turn = [str(code) for code in example.instruction.data.get("languages", ())]
    if len(turn) < 2:
        return not_applicable("the task names no two languages")
    wrong = []
    for i, sentence in enumerate(sentences(edited(example))):
        found, wanted = guess_language(sentence), turn[i % len(turn)]
        if len(words(sentence)) >= 5 and found not in (wanted, "und"):
            wrong.append(f"sentence {i + 1} reads as {found}, not {wanted}")
    if wrong:
        return failed("; ".join(wrong), hint="Not every sentence is in the language whose turn it is.")
    return passed("the languages take turns")


CITATION = re.compile(r"\[\d+(?:, ?\d+)*\]|\([A-ZÀ-Þ][^()\d]{1,60},? \d{4}[a-z]?\)|https?://\S+")


@check(decides=False, sees="every citation mark and address of the text is still there",
       blind="whether it backs the claim")
async def citations_kept(example: Example, skill: Any, ask: Ask) -> Verdict:
    had = Counter(CITATION.findall(source(example)))
    if not had:
        return not_applicable("the text cites nothing")
    lost = had - Counter(CITATION.findall(edited(example)))
    if lost:
        return failed(f"lost: {', '.join(lost)}", hint="A citation is missing or was changed.")
    return passed(f"{sum(had.values())} citations kept")


def content_words(text: str) -> list[str]:
    """Words of four letters and more, cut to their first five: what an inflection does not change."""
    return [w.casefold()[:5] for w in words(text) if len(w) > 3]


@check(decides=True, languages=("en", "de", "fr", "es", "it", "nl", "pt"),
       sees="the words that carry the text are all there, in order, but for data.slack (a tenth), and few others",
       blind="small words such as not; a change hidden in the slack, where it is neither number nor name")
async def content_words_kept(example: Example, skill: Any, ask: Ask) -> Verdict:
    import difflib

    before, after = content_words(source(example)), content_words(edited(example))
    slack = float(example.instruction.data.get("slack", 0.1))
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    matched = sum(block.size for block in blocks)
    kept, own = matched / max(1, len(before)), matched / max(1, len(after))
    new_numbers = Counter(numbers(edited(example))) != Counter(numbers(source(example)))
    lost = [n for n in names(source(example), language_of(example)) if n not in edited(example)]
    if kept < 1 - slack or own < 1 - 3 * slack or new_numbers or lost:
        why = f"{kept:.0%} of the wording kept" + (", numbers changed" if new_numbers else "")
        return failed(why + (f", lost {', '.join(lost)}" if lost else ""),
                      hint="More was changed than the task asks for: words, names or numbers of the text are gone.")
    return passed(f"{kept:.0%} of the carrying words kept in order")


@check(decides=False, languages=("en",), sees="no contraction and no exclamation mark, where the task asks for formal",
       blind="every other mark of register")
async def formal_marks(example: Example, skill: Any, ask: Ask) -> Verdict:
    if example.instruction.data.get("register") != "formal":
        return not_applicable("the task does not ask for formal language")
    found = re.findall(r"\b\w+(?:n['’]t|['’](?:re|ve|ll|d|m))\b|!", edited(example))
    if found:
        return failed(f"informal: {', '.join(found[:6])}", hint="Contractions and exclamation marks are informal.")
    return passed("no contraction, no exclamation mark")


@check(decides=False, sees="the request names every parameter that the right answer hangs on (data.says)",
       blind="a request that names them and asks for something else")
async def request_says(example: Example, skill: Any, ask: Ask) -> Verdict:
    silent = unsaid(example.instruction.text, example.instruction.data.get("says", ()))
    if silent:
        return failed(f"the request does not say: {', '.join(silent)}")
    return passed("the request says what is needed")


def unsaid(request: str, says: Iterable[Any]) -> list[str]:
    """What a request fails to say; quotation marks and blanks may differ."""
    flat = _flat(request)
    return [str(s) for s in says if _flat(str(s)) not in flat]


def _flat(text: str) -> str:
    return " ".join(re.sub(r"[’‘]", "'", re.sub(r"[“”„«»]", '"', text)).split()).casefold()


CHECKS: tuple[Check, ...] = (
    keeps_numbers, no_new_numbers, keeps_names, keeps_listed, lower_overlap, reads_easier, language_is,
    languages_alternate, citations_kept, content_words_kept, formal_marks, request_says,
)
