"""Eight ways to turn a right answer into a wrong one of the same form, length and schema.

    number     a figure becomes another                 argument   two parties change places; a call gets another value
    entity     a name becomes another                   polarity   a statement becomes its denial
    scope      some becomes all, may becomes must       unit       a figure keeps its digits and changes its unit
    order      two neighbours change places             span       the stretch of text ends a word early or late

`mutate(name, instruction, fields)` returns reply fields, or None where there is nothing to change in this way.
Same arguments, same result. `predicted` names the checks that must reject what comes out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from preceptor.checks.text import names
from preceptor.draws import one, shuffled
from preceptor.flows.shapes import LETTERS
from preceptor.skill import Kind, Skill
from preceptor.testing.invent import shown
from preceptor.testing.packs import deciding
from preceptor.types import Instruction, Message

MUTATORS = ("number", "entity", "scope", "order", "argument", "polarity", "unit", "span")
STRANGERS = ("Marten Vale", "Oriel Tamsin", "Jonas Keel", "Petra Lindqvist")
NUMBER = re.compile(r"(?<![\w])\d+(?:[.,]\d+)*")
SCOPES = {
    "all": "some",
    "every": "hardly any",
    "most": "all",
    "some": "all",
    "many": "all",
    "few": "all",
    "only": "mainly",
    "always": "sometimes",
    "often": "always",
    "never": "rarely",
    "may": "must",
    "must": "may",
    "might": "must",
    "can": "must",
    "should": "need not",
    "each": "one",
    "any": "no",
    "both": "neither",
    "several": "all",
    "whole": "half",
    "alle": "einige",
    "einige": "alle",
    "jeder": "kaum einer",
    "nur": "auch",
    "immer": "manchmal",
    "kann": "muss",
}
POLES = {
    "is": "is not",
    "are": "are not",
    "was": "was not",
    "were": "were not",
    "has": "has not",
    "have": "have not",
    "will": "will not",
    "would": "would not",
    "could": "could not",
    "does": "does not",
    "did": "did not",
    "more": "less",
    "less": "more",
    "before": "after",
    "after": "before",
    "above": "below",
    "below": "above",
    "higher": "lower",
    "lower": "higher",
    "true": "false",
    "false": "true",
    "yes": "no",
    "no": "yes",
    "with": "without",
    "without": "with",
    "first": "last",
    "last": "first",
    "ist": "ist nicht",
    "sind": "sind nicht",
    "war": "war nicht",
    "mehr": "weniger",
    "hat": "hat nicht",
    "wird": "wird nicht",
}
UNITS = {
    "km": "m",
    "m": "km",
    "kg": "g",
    "g": "kg",
    "mg": "g",
    "cm": "mm",
    "mm": "cm",
    "kilometres": "metres",
    "metres": "miles",
    "meters": "miles",
    "miles": "metres",
    "feet": "metres",
    "hours": "minutes",
    "minutes": "hours",
    "seconds": "minutes",
    "days": "weeks",
    "weeks": "days",
    "months": "years",
    "years": "months",
    "euros": "dollars",
    "dollars": "euros",
    "pounds": "dollars",
    "%": " per mille",
    "percent": "per mille",
    "per cent": "per mille",
    "million": "thousand",
    "thousand": "million",
    "billion": "million",
    "€": "$",
    "$": "€",
    "£": "€",
    "bytes": "bits",
    "bits": "bytes",
    "Euro": "Dollar",
    "Jahre": "Monate",
    "Tage": "Wochen",
    "Stunden": "Minuten",
    "Prozent": "Promille",
}
ROLE_OF = {
    "scope": ("broad", "narrow", "extreme", "strong", "weak", "grand", "overshoot", "more_than", "falls_short", "inflated"),
    "polarity": ("revers", "contrary", "opposite", "converse", "turns_round", "backwards", "deepens"),
    "order": ("order", "wrong_order", "step_on_the_way"),
    "entity": ("voice", "group", "wrong_target", "other", "topic", "subject"),
    "argument": ("half_right", "part", "misnamed", "premise", "conditions", "distorted"),
    "span": ("means", "detail", "one_part", "says_what", "repeats", "stated", "background"),
    "number": (),
    "unit": (),
}

Fields = Mapping[str, Any]


def mutate(name: str, instruction: Instruction, fields: Fields, place: Sequence[Any] = ()) -> dict[str, Any] | None:
    """The reply with its answer made wrong in the named way; None where this answer cannot be made wrong so."""
    at = (name, instruction.id, *place)
    gold = instruction.gold
    form = gold.form if gold is not None else "none"
    if "messages" in fields or form == "state":
        return trajectory(name, instruction, fields, at)
    final = str(fields.get("final", fields.get("answer", "")))
    match form:
        case "option":
            wrong = _option(name, instruction, final, at)
        case "label":
            wrong = _label(name, instruction, final, at)
        case "set" | "order":
            wrong = _list(name, instruction, final, at)
        case "pairs":
            wrong = _pairs(name, final, at)
        case "number":
            wrong = _number(name, final, at)
        case "none" if instruction.shape != "edit":
            wrong = _claimed(name, instruction, at)
        case _:
            wrong = MAKE[name](final, instruction.material.text, at) if name in MAKE else None
    if wrong is None or _same(wrong, final, form):
        return None
    return replaced(fields, final, wrong)


def _same(wrong: str, right: str, form: str) -> bool:
    """Whether the change bears no meaning: the same text or, but for edits, the same words without articles and marks."""
    if wrong == right or form in ("edit", "none", "number"):
        return wrong == right

    def bare(text: str) -> list[str]:
        return [w for w in re.findall(r"\w+(?:[.,]\d+)*", text.casefold()) if w not in ("the", "a", "an")]

    return bool(bare(right)) and bare(wrong) == bare(right)


def replaced(fields: Fields, right: str, wrong: str) -> dict[str, Any]:
    """The fields with the wrong bare answer, in the answer's text too."""
    answer = str(fields.get("answer", right))
    if answer == right or not right:
        said = wrong
    elif len(right) == 1 and right in LETTERS:
        said = re.sub(rf"(?<![A-Za-z]){right}(?![A-Za-z'’])", wrong, answer)
    else:
        said = answer.replace(right, wrong) if right in answer else wrong
    made = {**fields, "final": wrong}
    return {**made, "answer": said} if "answer" in fields else made


# ── answers that are a choice, a list or a figure ────────────────────────────────────────────────────────────────


def _option(name: str, instruction: Instruction, final: str, at: Sequence[Any]) -> str | None:
    """Another letter: that of an option whose role is this sort of mistake, else any."""
    key = str(instruction.gold.value) if instruction.gold else ""
    letters = [letter for letter, _ in zip(LETTERS, instruction.options) if letter != key]
    roles = {letter: option.role for letter, option in zip(LETTERS, instruction.options)}
    fit = [letter for letter in letters if any(part in roles[letter] for part in ROLE_OF.get(name, ()))]
    if not letters:
        return None
    wrong = one(fit or letters, *at)
    return wrong if len(final) == 1 else final.replace(key, wrong, 1)


def _label(name: str, instruction: Instruction, final: str, at: Sequence[Any]) -> str | None:
    labels = [str(v) for v in instruction.data.get("labels", ()) if str(v) != final]
    return one(labels, *at) if labels and name in ("polarity", "scope", "entity") else None


def _list(name: str, instruction: Instruction, final: str, at: Sequence[Any]) -> str | None:
    items = _read(final)
    if not isinstance(items, list) or len(items) < 2:
        return None
    order = instruction.gold is not None and instruction.gold.form == "order"
    first = int(shuffled(range(len(items) - 1), *at)[0])
    if order and name in ("order", "argument"):
        second = first + 1 if name == "order" else (first + 2) % len(items)
        if second == first:
            return None
        items[first], items[second] = items[second], items[first]
    elif name == "scope" and not order:
        items = items[:first] + items[first + 1 :]
    elif name in ("entity", "number", "span", "polarity", "unit") and not order:
        wrong = MAKE[name](str(items[first]), instruction.material.text, at)
        if wrong is None:
            return None
        items[first] = wrong
    else:
        return None
    return _write(items, final)


def _pairs(name: str, final: str, at: Sequence[Any]) -> str | None:
    pairs = _read(final)
    if not isinstance(pairs, dict) or len(pairs) < 2 or name not in ("argument", "order", "entity"):
        return None
    lefts = shuffled(list(pairs), *at)[:2]
    if pairs[lefts[0]] == pairs[lefts[1]]:
        return None
    pairs[lefts[0]], pairs[lefts[1]] = pairs[lefts[1]], pairs[lefts[0]]
    return _write(pairs, final)


def _number(name: str, final: str, at: Sequence[Any]) -> str | None:
    if name == "number":
        return number(final, "", at)
    if name == "polarity" and re.search(r"[1-9]", final):
        return final[1:] if final.startswith("-") else "-" + final
    if name == "unit":
        match = NUMBER.search(final)
        if match and unit(final, "", at):
            return unit(final, "", at)
        if match and match[0].strip("0.,"):
            return f"{final[: match.start()]}{shown(float(match[0].replace(',', '')) * 1000)}{final[match.end() :]}"
    return None


def _claimed(name: str, instruction: Instruction, at: Sequence[Any]) -> str | None:
    """Where the text does not tell: an answer all the same, taken from it."""
    from preceptor.testing.invent import Source

    if instruction.answerability == "answerable":
        return None
    source = Source(instruction.material.text)
    if name == "entity":
        return one(source.names, *at) if source.names else None
    if name == "number":
        return one([q for q, _ in source.numbered], *at) if source.numbered else None
    return " ".join(source.quote(at, 120).split()[:6]) if name in ("span", "polarity", "scope") else None


def _read(final: str) -> Any:
    try:
        return orjson.loads(final)
    except orjson.JSONDecodeError:
        lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", line) for line in final.split("\n") if line.strip()]
        return lines if len(lines) > 1 else None


def _write(value: Any, like: str) -> str:
    if like.lstrip()[:1] in "[{":
        return orjson.dumps(value).decode()
    return "\n".join(f"{i}. {v}" if re.match(r"\s*\d", like) else f"- {v}" for i, v in enumerate(value, 1))


# ── running text ─────────────────────────────────────────────────────────────────────────────────────────────────


def number(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """One figure with its last digit changed: as many characters as before."""
    found = list(NUMBER.finditer(text))
    if not found:
        return None
    match = one(found, *at, name=lambda m: str(m.start()))
    digits = match[0]
    other = str((int(digits[-1]) + 1 + int(one("012345678", *at)) % 8) % 10)
    other = str((int(other) + 1) % 10) if other == digits[-1] else other
    changed = digits[:-1] + other
    if not changed.strip("0.,"):
        changed = digits[:-1] + "7"
    return text[: match.start()] + changed + text[match.end() :]


def entity(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """A name of the text becomes another: one that stands in the passage, else a stranger's."""
    inside = [n for n in names(" x, " + text) if n in text] or re.findall(r"\b[A-Z][a-zà-ÿ]{3,}(?: [A-Z][a-zà-ÿ]+)*\b", text)
    if not inside:
        return None
    old = one(inside, *at)
    others = [n for n in (*names(ground), *STRANGERS) if n not in text and n not in old and old not in n]
    return text.replace(old, one(others, *at), 1) if others else None


def _swapped_word(text: str, table: Mapping[str, str], at: Sequence[Any]) -> str | None:
    found = [m for m in re.finditer(r"[^\W\d_]+", text) if m[0] in table or m[0].lower() in table]
    if not found:
        return None
    match = one(found, *at, name=lambda m: str(m.start()))
    new = table.get(match[0]) or table[match[0].lower()]
    return text[: match.start()] + (new.capitalize() if match[0][0].isupper() else new) + text[match.end() :]


def scope(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """Some becomes all, all becomes some, may becomes must."""
    return _swapped_word(text, SCOPES, at)


def polarity(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """A statement becomes its denial, a denial a statement."""
    if " not " in text:
        return text.replace(" not ", " ", 1)
    return _swapped_word(text, POLES, at)


def unit(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """A figure keeps its digits and is now of something else."""
    words = sorted(UNITS, key=len, reverse=True)
    pattern = "|".join(re.escape(w) for w in words)
    found = list(re.finditer(rf"(?<=\d)(\s?)({pattern})(?![^\W\d_])", text))
    found = found or [m for m in re.finditer(r"([€$£])(?=\s?\d)()", text)]
    if not found:
        return None
    match = one(found, *at, name=lambda m: str(m.start()))
    old = match[2] or match[1]
    return text[: match.start()] + (match[1] if match[2] else "") + UNITS[old] + text[match.end() :]


def order(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """Two neighbouring lines, sentences or words change places."""
    for pattern in (r"\n+", r"(?<=[.!?]) +", r" +"):
        pieces = re.split(f"({pattern})", text)
        places = [
            i
            for i in range(0, len(pieces) - 2, 2)
            if pieces[i].strip() and pieces[i + 2].strip() and pieces[i] != pieces[i + 2]
        ]
        if places:
            i = int(one([str(p) for p in places], *at))
            pieces[i], pieces[i + 2] = pieces[i + 2], pieces[i]
            return "".join(pieces)
    return None


def argument(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """Two names of the text change places, so that the other party does it."""
    inside = [n for n in names(" x, " + text) if n in text]
    pairs = [(a, b) for i, a in enumerate(inside) for b in inside[i + 1 :] if a not in b and b not in a]
    if not pairs:
        return None
    first, second = one(pairs, *at)
    return text.replace(first, "\0").replace(second, first).replace("\0", second)


def span(text: str, ground: str, at: Sequence[Any]) -> str | None:
    """The stretch ends a word early; a single word becomes the one beside it in the passage."""
    if " " in text.strip():
        return text.rstrip().rsplit(None, 1)[0]
    found = re.search(rf"{re.escape(text)}\W+([^\W\d_]{{3,}})", ground) if text else None
    return found[1] if found else None


MAKE: Mapping[str, Callable[[str, str, Sequence[Any]], str | None]] = {
    "number": number,
    "entity": entity,
    "scope": scope,
    "order": order,
    "argument": argument,
    "polarity": polarity,
    "unit": unit,
    "span": span,
}


# ── trajectories ─────────────────────────────────────────────────────────────────────────────────────────────────


def trajectory(name: str, instruction: Instruction, fields: Fields, at: Sequence[Any]) -> dict[str, Any] | None:
    """A conversation with calls, with one thing wrong in what was called or in what was said at the end."""
    messages = [dict(m) for m in fields.get("messages", ())]
    effects = instruction.material.data.get("effects", {})
    calling = [i for i, m in enumerate(messages) if m.get("tool_calls")]
    refused = {m.get("tool_call_id") for m in messages if str(m.get("content")).startswith('{"error"')}
    calling = [i for i in calling if messages[i]["tool_calls"][0]["id"] not in refused]
    writing = [i for i in calling if effects.get(messages[i]["tool_calls"][0]["function"]["name"]) == "writes"]
    made: dict[str, Any] = {**fields}
    if name == "polarity":
        other = {"done": "failed", "failed": "done"}.get(str(fields.get("outcome")))
        return {**made, "outcome": other} if other else None
    if name in ("number", "entity", "argument", "unit"):
        for i in reversed(writing or calling):  # what an earlier call did, a later one may have set right
            if wrong := _other_call(messages[i], name, instruction, at):
                messages[i] = wrong
                return {**made, "messages": tuple(messages)}
        return None
    if name in ("scope", "span") and writing:
        i = writing[-1] if name == "span" else writing[0]
        ids = {c["id"] for c in messages[i]["tool_calls"]}
        kept = [m for n, m in enumerate(messages) if n != i and m.get("tool_call_id") not in ids]
        return {**made, "messages": tuple(kept)}
    if name == "order" and len(writing) > 1:
        first, second = writing[0], writing[-1]
        messages[first], messages[second] = messages[second], messages[first]
        return {**made, "messages": tuple(messages)}
    return None


def _other_call(message: Message, name: str, instruction: Instruction, at: Sequence[Any]) -> dict[str, Any] | None:
    calls = [dict(c) for c in message["tool_calls"]]
    for n, call in enumerate(calls):
        function = dict(call["function"])
        given = function["arguments"]
        arguments = orjson.loads(given) if isinstance(given, str) else dict(given)
        wrong = other_arguments(name, arguments, instruction, at)
        if wrong is not None:
            function["arguments"] = orjson.dumps(wrong).decode() if isinstance(given, str) else wrong
            calls[n] = {**call, "function": function}
            return {**message, "tool_calls": calls}
    return None


def other_arguments(
    name: str, arguments: Mapping[str, Any], instruction: Instruction, at: Sequence[Any]
) -> dict[str, Any] | None:
    """The arguments of a call with one of them wrong, of its type still."""
    numbers = [k for k, v in arguments.items() if isinstance(v, int | float) and not isinstance(v, bool)]
    texts = [k for k, v in arguments.items() if isinstance(v, str) and v]
    if name in ("number", "unit") and numbers:
        key = one(numbers, *at)
        return {**arguments, key: arguments[key] * 1000 if name == "unit" and arguments[key] else arguments[key] + 1}
    if name == "number" and (digits := [k for k in texts if re.search(r"\d", arguments[k])]):
        key = one(digits, *at)
        return {**arguments, key: number(arguments[key], "", at)}
    if name == "entity" and texts:
        key = one(texts, *at)
        return {**arguments, key: sibling(arguments[key], instruction, at)}
    if name == "argument" and len(texts) > 1 and len({arguments[k] for k in texts}) > 1:
        a, b = shuffled(texts, *at)[:2]
        if arguments[a] != arguments[b]:
            return {**arguments, a: arguments[b], b: arguments[a]}
    return None


def sibling(value: str, instruction: Instruction, at: Sequence[Any]) -> str:
    """Another value of the same sort in the books: what stands beside it in its collection, else a stranger's name."""
    state = instruction.data.get("state") or instruction.material.data.get("state") or {}
    for collection in state.values() if isinstance(state, Mapping) else ():
        held_rows = collection.values() if isinstance(collection, Mapping) else collection
        rows = list(held_rows) if not isinstance(held_rows, str | int | float | None) else []
        for row in rows:
            if isinstance(row, Mapping):
                for key, held in row.items():
                    if held == value:
                        others = [str(r[key]) for r in rows if isinstance(r, Mapping) and r.get(key) not in (None, value)]
                        if others:
                            return str(one(others, *at))
    return str(one([s for s in STRANGERS if s != value], *at))


# ── who must notice ──────────────────────────────────────────────────────────────────────────────────────────────

TEXTUAL = frozenset(("number", "entity", "scope", "order", "argument", "polarity", "unit", "span"))
NOTICES: Mapping[str, frozenset[str]] = {
    "gold_text": TEXTUAL,
    "gold_number": frozenset(("number", "polarity", "unit")),
    "gold_set": TEXTUAL,
    "gold_order": frozenset(("order", "argument")),
    "gold_pairs": frozenset(("argument", "order", "entity")),
    "option_key": TEXTUAL,
    "gold_label": TEXTUAL,
    "answerability": TEXTUAL,
    "gold_edit": TEXTUAL,
    "end_state": frozenset(("number", "entity", "argument", "scope", "span", "unit", "order")),
    "gold_calls": frozenset(("number", "entity", "argument", "scope", "span", "unit")),
    "outcome_right": frozenset(("polarity",)),
    "answer_reports": frozenset(("number", "entity", "argument", "unit")),
    **dict.fromkeys(
        ("results_true", "policy_held", "budget_held", "no_obedience", "asked_first", "no_call", "arguments_given"), frozenset()
    ),
    "content_words_kept": frozenset(("number",)),
    "vocabulary_rule": frozenset(),
    "person_changed": frozenset(),
    "acrostic_spells": frozenset(("order",)),
}
"""By deciding check: the mutators whose work it must reject. A check that is not named must reject all of them; one with
none guards something that no mutator touches, and has a planted fault of its own (`planted.PLANTS`)."""


def predicted(name: str, kind: Kind, skill: Skill) -> list[str]:
    """The kind's deciding checks that must reject what this mutator makes, those of its own first."""
    return [check.name for check in deciding(kind, skill) if name in NOTICES.get(check.name, TEXTUAL)]
