"""Whether a text has the form that was asked for: case, letters, lines, structure, and constraints of a closed list.

Structures are parsed and compared by value with the text that was given, so that a table in perfect JSON with one
wrong cell fails.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson

from preceptor.checks.base import Check, check, failed, not_applicable, passed
from preceptor.checks.text import (
    edited,
    language_of,
    missing_from,
    names,
    numbers,
    paragraphs,
    sentences,
    settled,
    source,
    words,
)
from preceptor.types import Ask, Example, Verdict

# ── constraints of a closed list ─────────────────────────────────────────────────────────────────────────────────


def violations(text: str, constraints: Sequence[Mapping[str, Any]], given: str = "", language: str = "en") -> list[str]:
    """What of `constraints` does not hold of `text`, in words that may be shown to whoever mends it.

    A constraint: `name`; `number` or `strings` as its name needs; `only_where`, a string: then it binds only those
    paragraphs of the text that contain that string, and there must be one.
    """
    found = []
    for constraint in constraints:
        where = str(constraint.get("only_where") or "")
        places = [p for p in paragraphs(text) if where.casefold() in p.casefold()] if where else [text]
        if where and not places:
            found.append(f"no paragraph contains {where!r}")
        found += [why for place in places if (why := _violation(place, constraint, given, language))]
    return found


def _violation(text: str, constraint: Mapping[str, Any], given: str, language: str) -> str:
    name, number = str(constraint["name"]), int(constraint.get("number") or 0)
    strings = [str(s) for s in constraint.get("strings") or ()]
    if name in COUNTED:
        have, most = COUNTED[name](text), name.startswith("max_")
        right = have <= number if most else have >= number if name.startswith("min_") else have == number
        return "" if right else f"{name} {number}: there are {have}"
    if name in STATED:
        return STATED[name](text, strings)
    if name == "every_sentence_max_words":
        longest = max((len(words(s)) for s in sentences(text)), default=0)
        return "" if longest <= number else f"a sentence has {longest} words; at most {number}"
    if name == "keeps_all_numbers":
        lost = [n for n in numbers(given) if n not in numbers(text)]
        return f"numbers lost: {', '.join(lost)}" if lost else ""
    if name == "keeps_all_names":
        lost = [n for n in names(given, language) if n not in text]
        return f"names lost: {', '.join(lost)}" if lost else ""
    return f"there is no constraint {name!r}; there are: {', '.join(CONSTRAINTS)}"


COUNTED: Mapping[str, Callable[[str], int]] = {
    "max_words": lambda t: len(t.split()),
    "min_words": lambda t: len(t.split()),
    "max_characters": len,
    "max_sentences": lambda t: len(sentences(t)),
    "min_sentences": lambda t: len(sentences(t)),
    "exact_sentences": lambda t: len(sentences(t)),
    "exact_paragraphs": lambda t: len(paragraphs(t)),
    "exact_lines": lambda t: sum(1 for line in t.split("\n") if line.strip()),
    "max_line_characters": lambda t: max(map(len, t.split("\n")), default=0),
}


def _absent(text: str, strings: Sequence[str]) -> str:
    present = [s for s in strings if re.search(rf"(?<!\w){re.escape(s.strip())}(?!\w)", text, re.I)]
    return f"must not contain: {', '.join(present)}" if present else ""


def _present(text: str, strings: Sequence[str]) -> str:
    lost = missing_from(strings, text)
    return f"must contain: {', '.join(lost)}" if lost else ""


def _starts(text: str, strings: Sequence[str]) -> str:
    return "" if any(text.startswith(s) for s in strings) else f"must start with {' or '.join(strings)}"


def _ends(text: str, strings: Sequence[str]) -> str:
    return "" if any(text.rstrip().endswith(s) for s in strings) else f"must end with {' or '.join(strings)}"


def _each_sentence_starts(text: str, strings: Sequence[str]) -> str:
    odd = [s for s in sentences(text) if not any(s.lstrip("\"'“„«(").startswith(x) for x in strings)]
    return f"a sentence starts with neither of {', '.join(strings)}: {odd[0][:40]!r}" if odd else ""


def _first_person(text: str, _: Sequence[str]) -> str:
    found = re.findall(r"\b(?:I|me|my|mine|myself|we|us|our|ours|ourselves)\b", text)
    return f"first person: {', '.join(found[:4])}" if found else ""


STATED: Mapping[str, Callable[[str, Sequence[str]], str]] = {
    "must_keep": _present,
    "must_not_contain": _absent,
    "starts_with": _starts,
    "ends_with": _ends,
    "every_sentence_starts_with": _each_sentence_starts,
    "no_digits": lambda t, _: "there are digits" if re.search(r"\d", t) else "",
    "no_questions": lambda t, _: "there is a question mark" if "?" in t else "",
    "no_exclamation": lambda t, _: "there is an exclamation mark" if "!" in t else "",
    "no_commas": lambda t, _: "there is a comma" if "," in t else "",
    "no_brackets": lambda t, _: "there are brackets" if re.search(r"[()\[\]{}]", t) else "",
    "no_first_person": _first_person,
    "all_lower_case": lambda t, _: "there are capital letters" if t != t.lower() else "",
    "all_upper_case": lambda t, _: "there are small letters" if t != t.upper() else "",
}
CONSTRAINTS = (*COUNTED, *STATED, "every_sentence_max_words", "keeps_all_numbers", "keeps_all_names")
"""The closed list from which an editor chooses."""


@check(decides=False, sees="every constraint that refinement added holds of the answer", blind="whether the edit is right")
async def constraints_hold(example: Example, skill: Any, ask: Ask) -> Verdict:
    constraints = example.instruction.data.get("constraints", ())
    if not constraints:
        return not_applicable("no constraint was added")
    wrong = violations(edited(example), constraints, source(example), language_of(example))
    if wrong:
        return failed("; ".join(wrong), hint="; ".join(wrong))
    return passed(f"{len(constraints)} constraints hold")


# ── letters ──────────────────────────────────────────────────────────────────────────────────────────────────────


@check(decides=True, sees="each letter is in the case that the task's rule gives it, and the letters are the same ones",
       blind="scripts without case")
async def case_rule(example: Example, skill: Any, ask: Ask) -> Verdict:
    rule, given, answer = example.instruction.data.get("case"), source(example), edited(example)
    if not rule:
        return not_applicable("the task has no rule of case")
    if given.casefold() != answer.casefold():
        return failed("letters differ by more than case", hint="Only the case of letters may change.")
    place = 0
    for number, token in enumerate(given.split(), 1):
        place = given.index(token, place)
        became = answer[place : place + len(token)]
        if became != _cased(token, number, rule):
            return failed(f"word {number}, {token!r}, became {became!r}", hint=f"Look again at word {number}.")
        place += len(token)
    return passed("each word is in its case")


def _cased(token: str, number: int, rule: Mapping[str, Any]) -> str:
    bare = re.sub(r"^\W+|\W+$", "", token)
    match rule["name"]:
        case "every_nth":
            return token.upper() if number % int(rule["n"]) == 0 else token
        case "long_words":
            return token.upper() if sum(c.isalpha() for c in token) >= int(rule["n"]) else token
        case "terms":
            return token.upper() if bare in rule["terms"] else token
        case "starting_with":
            return token.upper() if bare[:1].casefold() == rule["letter"] else token
    return token.lower()


@check(decides=True, sees="the rule of words and letters holds all through",
       blind="sense; the rule could be kept by nonsense")
async def vocabulary_rule(example: Example, skill: Any, ask: Ask) -> Verdict:
    rule, answer = example.instruction.data.get("vocabulary"), edited(example)
    if not rule:
        return not_applicable("the task has no rule of vocabulary")
    odd = against(rule, answer, {str(w).casefold() for k in rule.get("except", ()) for w in words(str(k))})
    if not words(answer) or len(words(answer)) < int(rule.get("least", 20)):
        return failed(f"{len(words(answer))} words are too few to be the text", hint="The text is too short.")
    if odd:
        return failed(f"against the rule: {', '.join(odd[:6])}", hint=f"Against the rule: {', '.join(odd[:6])}.")
    return passed(f"{rule['name']} holds of {len(words(answer))} words")


def against(rule: Mapping[str, Any], text: str, free: set[str]) -> list[str]:
    """The words of a text that break a rule of vocabulary; `free` are exempt, case folded."""
    said = [w for w in words(text) if w.casefold() not in free]
    match rule["name"]:
        case "without_letter":
            return [w for w in said if rule["letter"] in w.casefold()]
        case "short_words":
            return [w for w in said if len(w) > int(rule["n"])]
        case "without_words":
            return [w for w in said if w.casefold() in {str(x).casefold() for x in rule["words"]}]
        case "sentence_initials":
            starts = [w[0] for s in sentences(text) if (w := words(s))]
            return [w for w in starts if w[0].casefold() not in rule["letters"]]
        case "nth_word_initial":
            spoken = text.split()
            return [w for w in spoken[int(rule["n"]) - 1 :: int(rule["n"])] if not _bare(w).startswith(rule["letter"])]
    return [f"unknown rule {rule['name']}"]


def _bare(token: str) -> str:
    return re.sub(r"^\W+", "", token).casefold()


@check(decides=True, sees="the first letters of the lines spell the word, one line a letter",
       blind="whether the lines are good")
async def acrostic_spells(example: Example, skill: Any, ask: Ask) -> Verdict:
    word = str(example.instruction.data.get("acrostic", ""))
    if not word:
        return not_applicable("the task asks for no acrostic")
    lines = [line for line in edited(example).split("\n") if line.strip()]
    spelled = "".join(_bare(line)[:1] for line in lines)
    short = [line for line in lines if len(line.split()) < 3]
    if spelled != word.casefold() or short:
        return failed(f"spells {spelled!r}, not {word!r}" + (f"; too short: {short[0]!r}" if short else ""),
                      hint="Read the first letters of the lines downwards.")
    return passed(f"spells {word}")


FIRST = re.compile(r"\b(?:I|[Mm]e|[Mm]y|[Mm]ine|[Mm]yself|I['’](?:m|ve|d|ll))\b")


@check(decides=True, languages=("en",),
       sees="outside quotation marks nobody says I, me or my any more, and the named person does",
       blind="we and our, which may stay; verbs that no longer agree")
async def person_changed(example: Example, skill: Any, ask: Ask) -> Verdict:
    task = example.instruction.data.get("person")
    if not task:
        return not_applicable("the task changes no person")
    outside = re.sub(r"[\"“][^\"”]*[\"”]", "", edited(example))
    if left := FIRST.findall(outside):
        return failed(f"still in the first person: {', '.join(left[:5])}", hint="The first person still speaks.")
    pronouns = len(re.findall(rf"\b(?:{'|'.join(task['forms'])})\b", outside, re.I))
    if not pronouns or str(task["name"]).casefold() not in outside.casefold():
        return failed("the person asked for does not appear", hint="Name the person, then use the pronoun asked for.")
    return passed(f"{pronouns} pronouns of the person asked for")


@check(decides=False, sees="no sentence is longer than the task allows", blind="whether they read well")
async def sentences_short(example: Example, skill: Any, ask: Ask) -> Verdict:
    most = int(example.instruction.data.get("sentence_words", 0))
    if not most:
        return not_applicable("the task sets no limit for sentences")
    long = [s for s in sentences(edited(example)) if len(s.split()) > most]
    if long:
        return failed(f"{len(long[0].split())} words: {long[0][:60]!r}", hint=f"A sentence has more than {most} words.")
    return passed(f"no sentence over {most} words")


@check(decides=False, sees="the words are within data.min_words and data.max_words", blind="what they say")
async def budget(example: Example, skill: Any, ask: Ask) -> Verdict:
    least, most = (int(example.instruction.data.get(k) or 0) for k in ("min_words", "max_words"))
    have = len(edited(example).split())
    if not (least or most):
        return not_applicable("the task sets no length")
    if have < least or (most and have > most):
        return failed(f"{have} words; wanted {least or 'any'} to {most or 'any'}", hint=f"There are {have} words.")
    return passed(f"{have} words")


# ── lines and headings ───────────────────────────────────────────────────────────────────────────────────────────


@check(decides=True, sees="each paragraph or line has the form asked for, and without it the text is the same",
       blind="whether the form suits the text")
async def layout_rule(example: Example, skill: Any, ask: Ask) -> Verdict:
    rule, given, answer = example.instruction.data.get("layout"), source(example), edited(example)
    if not rule:
        return not_applicable("the task asks for no layout")
    match rule["name"]:
        case "numbered_paragraphs":
            wrong = _unlike([f"{i}. {p}" for i, p in enumerate(paragraphs(given), 1)], paragraphs(answer))
        case "quoted":
            wrong = _unlike([("> " + line).rstrip() for line in given.split("\n")], answer.split("\n"))
        case "one_sentence_a_line":
            wrong = _unlike(sentences(" ".join(given.split())), [line for line in answer.split("\n") if line])
        case "bulleted_sentences":
            wrong = _unlike([f"- {s}" for s in sentences(" ".join(given.split()))], answer.split("\n"))
        case _:
            wrong = _unfilled(given, answer, int(rule["n"]))
    return failed(wrong, hint="A line does not have the form that the task describes.") if wrong else passed(rule["name"])


def _unlike(wanted: Sequence[str], got: Sequence[str]) -> str:
    if len(wanted) != len(got):
        return f"{len(got)} pieces, wanted {len(wanted)}"
    return next((f"{g!r} is not {w!r}" for w, g in zip(wanted, got) if w != g), "")


def _unfilled(given: str, answer: str, width: int, per_block: int = 0) -> str:
    """Why `answer` is not `given` broken at words, each line as full as `width` allows; paragraphs stay apart."""
    if given.split() != answer.split():
        return "words were lost or changed"
    blocks = [b.split("\n") for b in answer.split("\n\n")]
    long = [line for block in blocks for line in block if len(line) > width]
    if long:
        return f"{len(long[0])} characters in {long[0]!r}"
    whole = [[line for block in blocks for line in block]] if per_block else blocks
    for lines in whole:
        for line, after in pairwise(lines):
            if len(line) + 1 + len(after.split(" ")[0]) <= width:
                return f"another word had room in {line!r}"
    if (per_block and any(len(b) != per_block for b in blocks[:-1])) or (per_block and len(blocks[-1]) > per_block):
        return f"a block has other than {per_block} lines"
    return "" if per_block or len(blocks) == len(paragraphs(given)) else "paragraphs were joined or split"


@check(decides=True, sees="each line within the limit and as full as whole words allow, blocks as asked, all words there",
       blind="breaks that part what belongs together")
async def subtitles_fit(example: Example, skill: Any, ask: Ask) -> Verdict:
    task = example.instruction.data.get("subtitles")
    if not task:
        return not_applicable("the task asks for no subtitles")
    why = _unfilled(source(example), edited(example), int(task["width"]), int(task["lines"]))
    return failed(why, hint="A line is too long, not full, or a word is missing.") if why else passed("the lines fit")


HEADING = re.compile(r"^(#{1,6}) +(.+?)\s*#*$", re.M)


@check(decides=False, sees="only headings were added, as many as asked; without them the text is the same", blind="their sense")
async def headings_only_added(example: Example, skill: Any, ask: Ask) -> Verdict:
    wanted, answer = int(example.instruction.data.get("headings", 0)), edited(example)
    added = len(HEADING.findall(answer)) - len(HEADING.findall(source(example)))
    own = set(source(example).split("\n"))
    rest = [line for line in answer.split("\n") if not HEADING.match(line) or line in own]
    if " ".join(" ".join(rest).split()) != " ".join(source(example).split()):
        return failed("more than headings changed", hint="Leave the text between the headings as it was.")
    if wanted and added != wanted:
        return failed(f"{added} headings, wanted {wanted}", hint=f"There are {added} headings.")
    return passed(f"{added} headings")


@check(decides=True, sees="the list names every heading once, in order, at its depth, and the text below it is the same",
       blind="links that a renderer would make otherwise")
async def contents_right(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.instruction.data.get("contents"):
        return not_applicable("the task asks for no table of contents")
    lines, given = edited(example).split("\n"), source(example)
    listed = [line for line in lines if re.match(r" *- ", line) and line not in given.split("\n")]
    heads = [(len(h[1]), h[2]) for h in HEADING.finditer(given)]
    least = min(level for level, _ in heads)
    wanted = [f"{'  ' * (level - least)}- {title}" for level, title in heads]
    if listed != wanted:
        return failed(_unlike(wanted, listed), hint="An entry is missing, out of order, or at the wrong depth.")
    rest = settled("\n".join(line for line in lines if line not in listed))
    return passed(f"{len(wanted)} entries") if rest == given else failed("the text below the list changed")


# ── structures ───────────────────────────────────────────────────────────────────────────────────────────────────


def records(text: str) -> list[dict[str, str]]:
    """The rows of the first table in a text: Markdown, or CSV with a header; empty where there is none.

    Prose with commas is no CSV: that has no blank lines, one line a row, and short headings.
    """
    lines = text.split("\n")
    for i, line in enumerate(lines[:-2]):
        if "|" in line and re.fullmatch(r"[\s|:-]*-[\s|:-]*", lines[i + 1]):
            header, rows = _cells(line), []
            for row in lines[i + 2 :]:
                if "|" not in row:
                    break
                rows.append(_cells(row))
            return _rows(header, rows)
    rows = [row for row in csv.reader(io.StringIO(text.strip())) if row]
    plain = rows and len(rows) == text.strip().count("\n") + 1 and max(map(len, rows[0])) <= 40
    return _rows(rows[0], rows[1:]) if plain and len(rows) > 2 and len(rows[0]) > 1 else []


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    if len(set(header)) != len(header) or any(len(r) != len(header) for r in rows):
        return []
    return [{h.strip(): c.strip() for h, c in zip(header, row)} for row in rows]


def unfenced(text: str) -> str:
    """`text` without a code fence around the whole of it."""
    fenced = re.fullmatch(r"```[\w-]*\n(.*)\n```", text.strip(), re.S)
    return fenced[1] if fenced else text


def parsed(text: str, form: str) -> list[dict[str, str]] | None:
    """The records that `text` holds in `form`; None where it cannot be read so."""
    text = unfenced(text)
    try:
        match form:
            case "json":
                return _objects(orjson.loads(text))
            case "jsonl":
                return _objects([orjson.loads(line) for line in text.split("\n") if line.strip()])
            case "yaml":
                return _from_yaml(text)
            case "bullets":
                return [dict(p.split(": ", 1) for p in line[2:].split("; ")) for line in text.split("\n") if line.strip()]
            case "markdown":
                return records(text) if text.lstrip().startswith("|") else None
        return records(text) if "|" not in text.split("\n")[0] else None
    except (ValueError, orjson.JSONDecodeError):
        return None


def _objects(value: Any) -> list[dict[str, str]] | None:
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        return None
    if any(not isinstance(cell, str) for v in value for cell in v.values()):
        return None
    return [dict(v) for v in value]


def _from_yaml(text: str) -> list[dict[str, str]] | None:
    found: list[dict[str, str]] = []
    for line in text.split("\n"):
        entry = re.fullmatch(r"(- |  )(\"(?:[^\"\\]|\\.)*\"|[^:\"]+): (\"(?:[^\"\\]|\\.)*\")", line)
        if not entry:
            return None
        if entry[1] == "- ":
            found.append({})
        key = orjson.loads(entry[2]) if entry[2].startswith('"') else entry[2]
        found[-1][key] = orjson.loads(entry[3])
    return found


@check(decides=False, sees="the answer can be read in the form asked for", blind="its values")
async def structure_parses(example: Example, skill: Any, ask: Ask) -> Verdict:
    form = str(example.instruction.data.get("form", ""))
    if not form:
        return not_applicable("the task asks for no structure")
    if parsed(edited(example), form) is None:
        return failed(f"not readable as {form}", hint=f"The result cannot be read as {form} in the form described.")
    return passed(f"reads as {form}")


@check(decides=True, sees="parsed, every record and every value equals the text's, in its order, nothing added or lost",
       blind="spacing inside the structure")
async def content_equal(example: Example, skill: Any, ask: Ask) -> Verdict:
    form = str(example.instruction.data.get("form", ""))
    if not form:
        return not_applicable("the task asks for no structure")
    given, got = records(source(example)), parsed(edited(example), form)
    if got is None or len(got) != len(given):
        return failed(f"{len(got or ())} records, the text has {len(given)}", hint="Records are missing or unreadable.")
    for number, (want, have) in enumerate(zip(given, got), 1):
        if list(want.items()) != list(have.items()):
            return failed(f"record {number}: {have} is not {want}", hint=f"Record {number} differs from the text's.")
    return passed(f"{len(given)} records equal")


CHECKS: tuple[Check, ...] = (
    constraints_hold, case_rule, vocabulary_rule, acrostic_spells, person_changed, sentences_short, budget,
    layout_rule, subtitles_fit, headings_only_added, contents_right, structure_parses, content_equal,
)
