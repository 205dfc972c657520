"""Whether an edit did what was asked and nothing else: the answer is walked beside the text that was given.

`gold_edit` compares with the computed text. Every other check here goes its own way, from the text and the task's
parameters alone, so that a wrong gold is found out too.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.text import (
    dates,
    edited,
    first_difference,
    numbers,
    occurrences,
    paragraphs,
    settled,
    source,
)
from preceptor.types import Ask, Example, Verdict

Found = tuple[int, int, Any]
"""Start, end and value of something read in a text."""


# ── walking two texts side by side ───────────────────────────────────────────────────────────────────────────────


def walk(given: str, answer: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """Empty where `answer` is `given` with each span replaced and nothing else changed; otherwise where they part."""
    here = there = 0
    for start, end, new in sorted(spans):
        between = given[here:start]
        if answer[there : there + len(between)] != between:
            return "outside what was named, " + first_difference(between, answer[there : there + len(between)])
        there += len(between)
        if answer[there : there + len(new)] != new:
            return f"{given[start:end]!r} should have become {new!r}, not {answer[there : there + len(new) + 8]!r}"
        here, there = end, there + len(new)
    if answer[there:] != given[here:]:
        return "outside what was named, " + first_difference(given[here:], answer[there:])
    return ""


def spans_of(given: str, changes: Iterable[Mapping[str, str]], whole: bool = True) -> list[tuple[int, int, str]]:
    """Where the named terms stand in `given`, longer terms first, none inside another."""
    taken: list[tuple[int, int, str]] = []
    for change in sorted(changes, key=lambda c: -len(c["old"])):
        old = change["old"]
        starts = occurrences(given, old) if whole else [m.start() for m in re.finditer(re.escape(old), given)]
        for start in starts:
            if all(start >= e or start + len(old) <= s for s, e, _ in taken):
                taken.append((start, start + len(old), change["new"]))
    return sorted(taken)


def applied(given: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """`given` with each span replaced."""
    for start, end, new in sorted(spans, reverse=True):
        given = given[:start] + new + given[end:]
    return given


def near(right: str, answer: str) -> str:
    """Where an answer leaves what is right, in the answer's own words, so that it may be told without telling what is right."""
    at = next((i for i, (a, b) in enumerate(zip(right, answer)) if a != b), min(len(right), len(answer)))
    if at >= len(answer.rstrip()):
        return f"the end: something is missing after “{answer[-40:].strip()}”"
    words_ = " ".join(answer[max(0, at - 30) : at + 30].split())
    return f"line {answer.count(chr(10), 0, at) + 1}, near “{words_}”"


def as_named(given: str, answer: str, spans: Sequence[tuple[int, int, str]], order: str, told: str) -> Verdict:
    """Pass where the answer is the text with the spans replaced; else the `order` that was not kept, and where."""
    if why := walk(given, answer, spans):
        return failed(why, hint=f"{order} Look at {near(applied(given, spans), answer)}.")
    return passed(told)


# ── checks: named changes ────────────────────────────────────────────────────────────────────────────────────────


@check(decides=True, sees="the answer is the computed text, letter for letter (line ends and outer blanks apart)",
       blind="a computed text that is wrong itself: the kind's other checks are for that")
async def gold_edit(example: Example, skill: Any, ask: Ask) -> Verdict:
    gold = example.instruction.gold
    if gold is None or gold.form != "edit" or gold.value is None:
        return not_applicable("no computed text")
    right, answer = settled(str(gold.value)), edited(example)
    if answer == right:
        return passed("equals the computed text")
    return failed(first_difference(right, answer),
                  hint=f"Something is missing, extra or changed against the task. Look at {near(right, answer)}.")


@check(decides=True, sees="each named term became what was asked wherever it stands, and the rest is the same",
       blind="whether the terms were well chosen")
async def only_named_changed(example: Example, skill: Any, ask: Ask) -> Verdict:
    changes, given = example.instruction.data.get("changes"), source(example)
    if not changes:
        return not_applicable("the task names no changes")
    spans = spans_of(given, changes, bool(example.instruction.data.get("whole_words", True)))
    return as_named(given, edited(example), spans, "Change what the task names, everywhere, and not one letter beside it.",
                    f"{len(spans)} places changed, the rest untouched")


@check(decides=False, sees="nothing of what was to go is left, in any case of letters", blind="what else went with it")
async def target_gone(example: Example, skill: Any, ask: Ask) -> Verdict:
    targets = [str(t) for t in example.instruction.data.get("targets", ())]
    if not targets:
        return not_applicable("the task names nothing to take away")
    left = [t for t in targets if t.casefold() in edited(example).casefold()]
    if left:
        return failed(f"still there: {', '.join(left)}", hint=f"Still there, though it was to go: {', '.join(left)}.")
    return passed(f"{len(targets)} targets gone")


@check(decides=True, sees="one alias for each person, as often as the person was named, numbered by first mention",
       blind="people the task does not list")
async def pseudonyms_consistent(example: Example, skill: Any, ask: Ask) -> Verdict:
    changes, given, answer = example.instruction.data.get("changes", ()), source(example), edited(example)
    if not changes:
        return not_applicable("the task names no people")
    wrong = []
    for change in changes:
        had, has = len(occurrences(given, change["old"])), len(occurrences(answer, change["new"]))
        if had != has or occurrences(answer, change["old"]):
            wrong.append(f"{change['old']}: named {had} times, its alias stands {has} times")
    by_mention = sorted(changes, key=lambda c: min(occurrences(given, c["old"]), default=0))
    if [c["new"] for c in by_mention] != sorted({c["new"] for c in changes}):
        wrong.append("the aliases do not follow the order of first mention")
    people = [new for _, _, new in spans_of(given, changes)]
    if people != [old for _, _, old in spans_of(answer, [{"old": c["new"], "new": c["new"]} for c in changes])]:
        wrong.append("an alias stands where another person was named")
    if wrong:
        return failed("; ".join(wrong), hint=f"Someone has two aliases, none, or another's: {'; '.join(wrong)}.")
    return passed(f"{len(changes)} people, one alias each")


@check(decides=True, sees="exactly the private characters are asterisks: length kept, the visible part as the task says",
       blind="private facts in words, and those the task does not list")
async def masked(example: Example, skill: Any, ask: Ask) -> Verdict:
    values, given, answer = example.instruction.data.get("private", ()), source(example), edited(example)
    if not values:
        return not_applicable("the task lists nothing private")
    if len(given) != len(answer):
        return failed(f"{len(given)} characters became {len(answer)}",
                      hint=f"A mask is as long as what it covers; the draft is {abs(len(given) - len(answer))} signs off.")
    hidden = {place for v in values for start in _everywhere(given, v["value"]) for place in _hidden(v, start)}
    for place, (old, new) in enumerate(zip(given, answer)):
        if new != ("*" if place in hidden else old):
            seen = answer[max(0, place - 12) : place + 12]
            return failed(f"at character {place}: {given[max(0, place - 12):place + 12]!r} became {seen!r}",
                          hint=f"Too much or too little is masked near “{seen}”.")
    return passed(f"{len(hidden)} characters masked")


def _everywhere(text: str, value: str) -> list[int]:
    return [m.start() for m in re.finditer(re.escape(value), text)]


def _hidden(entry: Mapping[str, Any], start: int) -> list[int]:
    """The places to mask: an address up to its @ but for the first letter; of a number, all digits but the last few."""
    value, shown = str(entry["value"]), int(entry.get("shown", 2))
    if entry["what"] == "e-mail":
        return [start + i for i in range(1, value.index("@")) if value[i].isalnum()]
    places = [start + i for i, c in enumerate(value) if c.isalnum()]
    return places[:-shown]


# ── checks: marks ────────────────────────────────────────────────────────────────────────────────────────────────


@check(decides=False, sees="with the marks taken out (data.marks) the answer is the text again, letter for letter",
       blind="whether the marks stand where they should")
async def stripped_equal(example: Example, skill: Any, ask: Ask) -> Verdict:
    marks, answer, given = example.instruction.data.get("marks", ()), edited(example), source(example)
    if not marks:
        return not_applicable("the task adds no marks")
    for mark in sorted(map(str, marks), key=len, reverse=True):
        answer = answer.replace(mark, "")
    if settled(answer) != given:
        return failed(first_difference(given, settled(answer)),
                      hint=f"The text between the marks was changed: {near(given, settled(answer))}.")
    return passed("the text under the marks is untouched")


@check(decides=True, sees="each pair of marks encloses exactly what the task says, all of it, in order, and nothing more",
       blind="things to mark that the task's rule does not reach")
async def marks_right(example: Example, skill: Any, ask: Ask) -> Verdict:
    rules, answer, given = example.instruction.data.get("mark_rules", ()), edited(example), source(example)
    if not rules:
        return not_applicable("the task has no rule for marks")
    for rule in rules:
        inside = re.findall(re.escape(rule["open"]) + "(.*?)" + re.escape(rule["close"]), answer, re.S)
        wanted = _to_mark(given, rule)
        if inside != wanted:
            lost, extra = Counter(wanted) - Counter(inside), Counter(inside) - Counter(wanted)
            why = f"not marked: {', '.join(lost) or 'none'}; marked in error: {', '.join(extra) or 'none'}"
            return failed(why, hint=f"The marks {rule['open']}…{rule['close']} are not where they should be; {why}.")
    return passed("the marks stand where they should")


def _to_mark(given: str, rule: Mapping[str, Any]) -> list[str]:
    if rule["what"] == "years":
        digits = re.findall(r"\d+", given)
        return [d for d in digits if len(d) == 4 and "1500" <= d <= "2099"]
    if rule["what"] == "numbers":
        return re.findall(r"\d+", given)
    places = sorted((at, t) for t in rule["terms"] for at in occurrences(given, t))
    return [t for _, t in places]


# ── checks: faults, order, insertions ────────────────────────────────────────────────────────────────────────────


@check(decides=True, sees="each fault that was put in is gone, and the rest of the text is as it was",
       blind="faults that the text had before")
async def faults_repaired(example: Example, skill: Any, ask: Ask) -> Verdict:
    faults, given = example.instruction.data.get("faults", ()), source(example)
    if not faults:
        return not_applicable("no faults are on record")
    spans = [(int(f["at"]), int(f["at"]) + len(f["wrong"]), str(f["right"])) for f in faults]
    left = sum(1 for f in faults if f["wrong"] in edited(example) and len(f["wrong"]) > 3)
    order = f"Not every fault is mended as the task asks, or sound text was changed ({left} remain)."
    return as_named(given, edited(example), spans, order, f"{len(faults)} faults mended")


@check(decides=False, sees="the same lines as before, none lost, doubled or reworded", blind="their order")
async def sentence_set_kept(example: Example, skill: Any, ask: Ask) -> Verdict:
    before, after = Counter(_lines(source(example))), Counter(_lines(edited(example)))
    if before != after:
        odd = list((before - after) + (after - before))
        return failed(f"lost or changed: {odd[0]!r}", hint=f"A line was lost, doubled or reworded: “{odd[0][:80]}”.")
    return passed(f"{sum(before.values())} lines kept")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


@check(decides=True, sees="the lines stand in the order asked for: by date, by first number, or by alphabet",
       blind="the order of lines whose keys are equal")
async def order_right(example: Example, skill: Any, ask: Ask) -> Verdict:
    rule = example.instruction.data.get("order")
    if not rule:
        return not_applicable("the task asks for no order")
    lines = _lines(edited(example))
    if Counter(lines) != Counter(_lines(source(example))):
        return failed("the lines are not the same ones", hint="A line was lost, doubled or reworded.")
    keys = [order_key(line, str(rule["by"])) for line in lines]
    if None in keys:
        return failed("a line has no key to order by")
    pairs = list(pairwise(keys))
    wrong = [i for i, (a, b) in enumerate(pairs) if (a < b if rule.get("descending") else a > b)]
    if wrong:
        return failed(f"{lines[wrong[0] + 1]!r} stands after {lines[wrong[0]]!r}",
                      hint=f"In the wrong order: “{lines[wrong[0]][:60]}”, then “{lines[wrong[0] + 1][:60]}”.")
    return passed(f"{len(lines)} lines in order")


def order_key(line: str, by: str) -> Any:
    """What a line is ordered by; None where it has no such thing."""
    if by == "date":
        found = dates(line)
        return found[0][2] if found else None
    if by == "year":
        years = [d for d in re.findall(r"\d+", line) if len(d) == 4 and "1000" <= d <= "2099"]
        return int(years[0]) if years else None
    if by == "number":
        return Fraction(numbers(line)[0]) if numbers(line) else None
    return re.sub(r"^\W+", "", line).casefold()


@check(decides=True, sees="the sentence stands once, at the place named, and the rest is as it was",
       blind="whether the place is a good one")
async def inserted_once(example: Example, skill: Any, ask: Ask) -> Verdict:
    task = example.instruction.data.get("insert")
    if not task:
        return not_applicable("the task inserts nothing")
    sentence, answer, given = str(task["sentence"]), paragraphs(edited(example)), paragraphs(source(example))
    if sum(p.count(sentence) for p in answer) != 1 or len(answer) != len(given):
        return failed("the sentence does not stand exactly once, or paragraphs changed",
                      hint="The sentence must stand once, letter for letter, and the paragraphs stay.")
    home = int(task["paragraph"]) - 1
    before, _, after = answer[home].partition(sentence)
    first, last = not before.strip(), not after.strip()
    rest = [*answer[:home], f"{before.rstrip()} {after.lstrip()}".strip(), *answer[home + 1 :]]
    if (task["place"] == "first") != first or (task["place"] == "last") != last or sentence not in answer[home]:
        return failed("the sentence stands elsewhere", hint="The sentence is not where the task wants it.")
    if [p.split() for p in rest] != [p.split() for p in given]:
        return failed("other text was changed", hint="Something beside the sentence was changed.")
    return passed("inserted where asked")


@check(decides=True, sees="one value was changed, to what the claim needs, and not a character beside it",
       blind="whether other sentences still fit the new value")
async def one_value_changed(example: Example, skill: Any, ask: Ask) -> Verdict:
    task = example.instruction.data.get("claim")
    if not task:
        return not_applicable("the task has no claim")
    before, after = source(example).split(), edited(example).split()
    moves = [m for m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if m[0] != "equal"]
    if len(moves) != 1 or len(before) != len(after) or moves[0][2] - moves[0][1] != 1:
        return failed(f"{len(moves)} places differ",
                      hint=f"Exactly one value has to change; in the draft {len(moves)} places differ.")
    old, new = before[moves[0][1]], after[moves[0][3]]
    if old.replace(task["old"], task["new"], 1) != new or old == new:
        return failed(f"{old!r} became {new!r}", hint=f"{old!r} became {new!r}; that is not what the claim needs.")
    agrees = " ".join(str(task["statement"]).split()) in " ".join(after)
    if agrees != (task["direction"] == "agree"):
        return failed(f"the text {'agrees with' if agrees else 'contradicts'} the claim",
                      hint=f"The text now {'says' if agrees else 'denies'} what the claim says; the task wants the other.")
    return passed(f"{old} became {new}")


# ── checks: several changes at once ──────────────────────────────────────────────────────────────────────────────


@check(decides=True, sees="each change of the list was made, and every other word stands where it stood",
       blind="blanks and line ends inside a paragraph")
async def changes_applied(example: Example, skill: Any, ask: Ask) -> Verdict:
    steps, answer = example.instruction.data.get("steps", ()), edited(example)
    if not steps:
        return not_applicable("the task lists no changes")
    wanted = [piece.split() for piece in paragraphs(source(example))]
    for number, step in enumerate(steps, 1):
        wanted = _step(step, wanted)
        if not wanted:
            return failed(f"change {number} has no place in the text: {dict(step)}")
    got = [piece.split() for piece in paragraphs(answer)]
    if got == wanted:
        return passed(f"{len(steps)} changes made")
    if len(got) != len(wanted):
        return failed(f"{len(got)} paragraphs, wanted {len(wanted)}", hint="A paragraph was lost, joined or split.")
    at = next(i for i, (g, w) in enumerate(zip(got, wanted)) if g != w)
    return failed(f"paragraph {at + 1}: " + first_difference(" ".join(wanted[at]), " ".join(got[at])),
                  hint=f"Paragraph {at + 1} is not what the list of changes makes of it.")


def _step(step: Mapping[str, Any], pieces: list[list[str]]) -> list[list[str]]:
    """The paragraphs, as words, after one change; empty where it has no place in them."""
    match step["do"]:
        case "replace":
            return [_renamed(" ".join(p), step).split() for p in pieces]
        case "delete":
            gone = step["sentence"].split()
            found = [(i, j) for i, p in enumerate(pieces) for j in range(len(p)) if p[j : j + len(gone)] == gone]
            return [p if i != found[0][0] else p[: found[0][1]] + p[found[0][1] + len(gone) :]
                    for i, p in enumerate(pieces)] if len(found) == 1 else []
        case "last":
            opening = step["begins"].split()
            moved = [p for p in pieces if p[: len(opening)] == opening]
            return [p for p in pieces if p is not moved[0]] + moved if len(moved) == 1 else []
        case "insert" | "append":
            home = int(step.get("paragraph", len(pieces))) - 1
            return [p + step["sentence"].split() if i == home else p for i, p in enumerate(pieces)]
    return []


def _renamed(text: str, step: Mapping[str, Any]) -> str:
    made, here = "", 0
    for start, end, new in spans_of(text, [{"old": step["old"], "new": step["new"]}]):
        made, here = made + text[here:start] + new, end
    return made + text[here:]


@check(decides=True, sees="no editor's note is left, and each noted place reads as its note says",
       blind="notes that call for taste")
async def comments_resolved(example: Example, skill: Any, ask: Ask) -> Verdict:
    notes, given, answer = example.instruction.data.get("notes", ()), source(example), edited(example)
    if not notes:
        return not_applicable("the text has no notes")
    if "[ed" in answer:
        return failed("a note is still in the text", hint="A note is still in the text.")
    spans = spans_of(given, [{"old": n["span"], "new": n["becomes"]} for n in notes], whole=False)
    return as_named(given, answer, spans, "A note was not followed, or text without a note was changed.",
                    f"{len(notes)} notes followed")


@check(decides=True, sees="put back in place of its number, each reference gives the text again; numbers by first mention",
       blind="whether the source says what it is cited for")
async def citations_numbered(example: Example, skill: Any, ask: Ask) -> Verdict:
    heading, answer = str(example.instruction.data.get("list_heading", "")), edited(example)
    if not heading:
        return not_applicable("the task converts no citations")
    body, found, tail = answer.rpartition(f"\n{heading}\n")
    entries = dict(re.findall(r"^\[(\d+)\] (.+)$", tail, re.M))
    used = list(dict.fromkeys(re.findall(r"\[(\d+)\]", body)))
    counted = [str(i + 1) for i in range(len(entries))]
    if not found or used != counted or list(entries) != counted or len(set(entries.values())) != len(entries):
        return failed(f"numbers in the text: {used}, in the list: {list(entries)}",
                      hint=f"By first mention, one number a source, each listed once; the draft uses {', '.join(used)}.")
    back = re.sub(r"\[(\d+)\]", lambda m: f"({entries[m[1]]})", body)
    if settled(back) != source(example):
        return failed(first_difference(source(example), settled(back)),
                      hint=f"A citation has the wrong entry, or text was changed: {near(source(example), settled(back))}.")
    return passed(f"{len(entries)} sources numbered")


@check(decides=True, sees="every part of a composed edit still holds in the result, each by its own checks",
       blind="what those checks are blind to")
async def parts_hold(example: Example, skill: Any, ask: Ask) -> Verdict:
    from preceptor.checks import find

    parts = example.instruction.data.get("parts", ())
    if not parts:
        return not_applicable("the task has one part")
    for part in parts:
        inner = replace(example.instruction, data=part["data"], gold=None)
        for name in part["checks"]:
            verdict = await find(name, skill)(replace(example, instruction=inner), skill, ask)
            if verdict.outcome == "fail":
                return failed(f"{part['kind']}: {name}: {verdict.evidence}", hint=f"{part['kind']}: {verdict.hint}")
    return passed(f"all {len(parts)} parts hold")


@check(decides=True, sees="what earlier turns asked for still holds everywhere, the newly added text included",
       blind="earlier wishes that no rule here can state")
async def session_constraints_hold(example: Example, skill: Any, ask: Ask) -> Verdict:
    task, answer = example.instruction.data.get("session"), edited(example)
    if not task:
        return not_applicable("not an edit session")
    pieces = paragraphs(answer)
    for i, piece in enumerate(pieces, 1):
        if not piece.startswith(f"{i}. "):
            return failed(f"paragraph {i} has lost its number",
                          hint=f"An earlier turn asked for numbered paragraphs; paragraph {i} has none.")
    bare = "\n\n".join(re.sub(r"^\d+\. ", "", p) for p in pieces)
    wrapped, term = f"{task['open']}{task['term']}{task['close']}", str(task["term"])
    if len(occurrences(bare, term)) != bare.count(wrapped):
        return failed(f"{term!r} is not marked everywhere",
                      hint=f"An earlier turn asked for a mark around {term!r}, everywhere.")
    bare = bare.replace(wrapped, term)
    if why := walk(settled(str(task["plain"])), bare, spans_of(settled(str(task["plain"])), [task["replace"]])):
        return failed(why, hint="An earlier turn's wording no longer holds, or the new sentence is not where it belongs.")
    return passed("all earlier wishes still hold")
