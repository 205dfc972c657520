"""Whether a free edit kept what it had to keep: numbers, names, citations, wording, language, and its distance from the text.

Numbers are compared by value, however they are written, and as a set: a paraphrase may say once what was said twice.
Only `content_words_kept` counts how often each stands, since there the wording itself has to stay.
"""

import difflib
import re
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.text import (
    SCRIPTS,
    STOPWORDS,
    content_words,
    copied,
    edited,
    figures,
    guess_language,
    language_of,
    missing_from,
    names,
    numbers,
    reading_ease,
    sentences,
    source,
    spelled,
    spoken,
    unsaid,
    words,
)
from preceptor.types import Ask, Example, Verdict


@check(decides=False, version=2, sees="every number of the text is there still, in figures or in words, however grouped",
       blind="a number attached to the wrong thing; one of two mentions lost")
async def keeps_numbers(example: Example, skill: Any, ask: Ask) -> Verdict:
    had = figures(source(example), language_of(example))
    if not had:
        return not_applicable("the text has no number")
    has = _values(edited(example)) | spelled(edited(example), _target(example))
    if lost := dict.fromkeys(raw for raw, means in had if not means & has):
        return failed(f"lost: {', '.join(lost)}", hint=f"Of the text's numbers these are not in the draft: {', '.join(lost)}.")
    return passed(f"{len(had)} numbers kept")


def _values(text: str) -> set[Decimal]:
    """All that the numbers of a text may mean."""
    return {value for _, means in figures(text) for value in means}


def _target(example: Example) -> str:
    """The language that the answer should be in."""
    return str(example.instruction.data.get("target_language") or language_of(example))


@check(decides=False, version=2, sees="no number is in the answer that neither text nor request has, in figures or words",
       blind="numbers spelled out in the answer; those over twelve spelled out in the text")
async def no_new_numbers(example: Example, skill: Any, ask: Ask) -> Verdict:
    given = f"{source(example)}\n{example.instruction.text}"
    allowed = _values(given) | spelled(given, language_of(example))
    if new := dict.fromkeys(raw for raw, means in figures(edited(example)) if not means & allowed):
        return failed(f"invented: {', '.join(new)}", hint=f"The text does not give these numbers: {', '.join(new)}.")
    return passed("no new number")


@check(decides=False, version=2, languages=("en", "fr", "es", "it", "nl", "pt", "de"),
       sees="the names that stand inside the text's sentences are still there, by last name or by the first alone",
       blind="names at the start of a sentence only; a name given to the wrong deed")
async def keeps_names(example: Example, skill: Any, ask: Ask) -> Verdict:
    had = names(source(example), language_of(example))
    if not had:
        return not_applicable("no name could be told from the text")
    if lost := [n for n in had if not _named(n, edited(example))]:
        return failed(f"lost: {', '.join(lost)}", hint=f"Of the text's names these are not in the draft: {', '.join(lost)}.")
    return passed(f"{len(had)} names kept")


def _named(name: str, text: str) -> bool:
    """Whether the text has the name's last part, in any case of letters, or its first part with no other name after it."""
    first, last = name.split()[0], name.split()[-1]
    alone = rf"(?<!\w){re.escape(first)}(?!\w)(?! [A-ZÀ-Þ])"
    return bool(re.search(rf"(?<!\w){re.escape(last)}", text, re.I) or re.search(alone, text))


@check(decides=False, sees="each string that the task says must stay is there, letter for letter, as often as listed",
       blind="whether it still says the same of it")
async def keeps_listed(example: Example, skill: Any, ask: Ask) -> Verdict:
    needed = [str(k) for k in example.instruction.data.get("keep", ())]
    if not needed:
        return not_applicable("the task lists nothing to keep")
    if lost := missing_from(needed, edited(example)):
        return failed(f"missing: {', '.join(lost)}", hint=f"The task says to keep: {', '.join(lost)}.")
    return passed(f"all of {', '.join(needed)}")


@check(decides=False, version=2,
       sees="few runs of five words are copied from the text (share at most data.overlap, else a quarter); names, numbers, "
            "quotations, code, citations and data.keep are left out of the runs",
       blind="meaning; a copy with every fifth word changed; languages without blanks")
async def lower_overlap(example: Example, skill: Any, ask: Ask) -> Verdict:
    """A quarter by default: good rewrites among the rubric rows copy up to an eighth, touched-up copies a third."""
    bound, language = float(example.instruction.data.get("overlap", 0.25)), language_of(example)
    if language in ("zh", "ja", "th", "my", "km", "lo"):
        return not_applicable(f"words in {language} are not parted by blanks")
    fixed = [*names(source(example), language), *map(str, example.instruction.data.get("keep", ()))]
    share, shared = copied(edited(example), source(example), 5, fixed)
    if share > bound:
        shown = "; ".join(f"“{run}”" for run in shared[:: max(1, len(shared) // 4)][:4])
        return failed(f"{share:.0%} of the five-word runs are the text's own, at most {bound:.0%}: {shown}",
                      hint=f"{share:.0%} of the runs of five words are copied, at most {bound:.0%} may be: {shown}.")
    return passed(f"{share:.0%} of the five-word runs are shared")


@check(decides=False, languages=("en", "de"),
       sees="the answer reads more easily than the text, by data.ease points or 8",
       blind="whether what was left out mattered")
async def reads_easier(example: Example, skill: Any, ask: Ask) -> Verdict:
    code, wanted = language_of(example), float(example.instruction.data.get("ease", 8))
    before, after = reading_ease(source(example), code), reading_ease(edited(example), code)
    if after < min(before + wanted, 90):
        return failed(f"reading ease {after:.0f}, the text has {before:.0f}, wanted {wanted:.0f} more",
                      hint=f"Reading ease {after:.0f}, the text's {before:.0f}: {_hard(edited(example))}")
    return passed(f"reading ease from {before:.0f} to {after:.0f}")


def _hard(text: str) -> str:
    """The longest sentence, by its opening, for whoever has to make a text easier."""
    longest = max(sentences(text), key=lambda s: len(words(s)), default="")
    return f"shorter sentences, commoner words. The longest sentence has {len(words(longest))} words: “{longest[:40]} …”."


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


@check(decides=False, version=2, sees="sentence by sentence the languages alternate as asked (data.languages, in turn)",
       blind="sentences under five words; headings and the words of quotations; whether both halves fit together")
async def languages_alternate(example: Example, skill: Any, ask: Ask) -> Verdict:
    """Neighbours are compared, not places counted from the top, so that one doubtful sentence end spoils nothing after it."""
    turn = [str(code) for code in example.instruction.data.get("languages", ())]
    if len(turn) < 2:
        return not_applicable("the task names no two languages")
    read = [(s, guess_language(s) if len(words(s)) >= 5 else "und") for s in spoken(edited(example))]
    wrong = [f"“{s[:60]}” reads as {found}" for s, found in read if found not in (*turn, "und")]
    wrong += [f"“{a[:40]}” and, next, “{b[:40]}” both read as {x}" for (a, x), (b, y) in pairwise(read) if x == y != "und"]
    if read and read[0][1] == turn[1]:
        wrong.append(f"the first sentence, “{read[0][0][:40]}”, reads as {turn[1]}; {turn[0]} begins")
    if silent := [code for code in turn if code not in {found for _, found in read}]:
        wrong.append(f"no sentence reads as {', '.join(silent)}")
    if wrong:
        return failed("; ".join(wrong), hint=f"The languages do not take turns: {'; '.join(wrong[:3])}.")
    return passed(f"the languages take turns over {len(read)} sentences")


CITATION = re.compile(r"\[\d+(?:, ?\d+)*\]|\([A-ZÀ-Þ][^()\d]{1,60},? \d{4}[a-z]?\)|https?://\S+")


@check(decides=False, sees="every citation mark and address of the text is still there",
       blind="whether it backs the claim")
async def citations_kept(example: Example, skill: Any, ask: Ask) -> Verdict:
    had = Counter(CITATION.findall(source(example)))
    if not had:
        return not_applicable("the text cites nothing")
    lost = had - Counter(CITATION.findall(edited(example)))
    if lost:
        return failed(f"lost: {', '.join(lost)}", hint=f"Missing or changed: {', '.join(lost)}.")
    return passed(f"{sum(had.values())} citations kept")


@check(decides=True, languages=("en", "de", "fr", "es", "it", "nl", "pt"),
       sees="the words that carry the text are all there, in order, but for data.slack (a tenth), and few others",
       blind="small words such as not; a change hidden in the slack, where it is neither number nor name")
async def content_words_kept(example: Example, skill: Any, ask: Ask) -> Verdict:
    before, after = content_words(source(example)), content_words(edited(example))
    slack = float(example.instruction.data.get("slack", 0.1))
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    matched = sum(block.size for block in blocks)
    kept, own = matched / max(1, len(before)), matched / max(1, len(after))
    had, has = Counter(numbers(source(example))), Counter(numbers(edited(example)))
    lost = [n for n in names(source(example), language_of(example)) if n not in edited(example)]
    told = [f"{kept:.0%} of the text's carrying words are left in their order"] if kept < 1 - slack else []
    told += [f"only {own:.0%} of the draft's carrying words are the text's"] if own < 1 - 3 * slack else []
    told += [f"numbers gone or new: {', '.join([*(had - has), *(has - had)])}"] if had != has else []
    told += [f"names gone: {', '.join(lost)}"] if lost else []
    if told:
        return failed("; ".join(told), hint=f"More was changed than the task asks for: {'; '.join(told)}.")
    return passed(f"{kept:.0%} of the carrying words kept in order")


@check(decides=False, languages=("en",), sees="no contraction and no exclamation mark, where the task asks for formal",
       blind="every other mark of register")
async def formal_marks(example: Example, skill: Any, ask: Ask) -> Verdict:
    if example.instruction.data.get("register") != "formal":
        return not_applicable("the task does not ask for formal language")
    found = re.findall(r"\b\w+(?:n['’]t|['’](?:re|ve|ll|d|m))\b|!", edited(example))
    if found:
        return failed(f"informal: {', '.join(found[:6])}", hint=f"Informal here: {', '.join(found[:6])}.")
    return passed("no contraction, no exclamation mark")


@check(decides=False, sees="the request names every parameter that the right answer hangs on (data.says)",
       blind="a request that names them and asks for something else")
async def request_says(example: Example, skill: Any, ask: Ask) -> Verdict:
    silent = unsaid(example.instruction.text, example.instruction.data.get("says", ()))
    if silent:
        return failed(f"the request does not say: {', '.join(silent)}")
    return passed("the request says what is needed")
