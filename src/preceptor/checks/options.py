"""Multiple choice: which option an answer credits, and whether an item gives its key away.

`option_key` decides: an answerer who never saw roles or reasons must credit the keyed option. The others look at the
item alone, so they can also run before anyone is paid to answer it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import orjson

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.figures import NUMBER_WORDS
from preceptor.checks.text import MONTHS
from preceptor.checks.words import SAME, content, holds_any, language_of, phrases, plain, quoted, run_length, stands_in, tokens
from preceptor.types import Ask, Example, Instruction, Material, Option, Verdict

LETTERS = "ABCDEFGHIJ"
CREDITED = "credited"
LONGEST_TO_SHORTEST = 2.2
"""Options may differ in length by this factor, and by `SLACK` characters more, so that short ones have room."""
SLACK = 20
KEY_OVERHANG = 1.35
"""The key may be longer than the longest wrong option by this factor."""
QUOTED = ("statement", "bears_on", "step", "first_fact", "second_fact", "conclusion", "supports", "support", "stands")
"""Plan fields of the argument kinds that are copied from the passage."""
PLANNED = ("gap", "assumption", "negation", "breaks", "defect", "other_story", "open_point", "missing_form", "warrant",
           "derivation", "clash", "expectation", "answer_one_way", "answer_other_way")
"""Plan fields that the question must not give away."""


# ── which option is credited ─────────────────────────────────────────────────────────────────────────────────────

WORDS_FOR_ANSWER = (
    r"(?:final |correct |right |best |the |my |die |richtige |la |bonne |correcta |सही )*"
    r"(?:answer|option|choice|key|antwort|lösung|réponse|respuesta|opción|risposta|उत्तर|जवाब|विकल्प)"
)
LEAD = re.compile(
    rf"\A(?:{WORDS_FOR_ANSWER}\s*(?:is|ist|lautet|est|es|è|[:=-])?\s*)*[\"'(\[]*([a-j])[\"')\].:,-]*(?:\s+(?:है|-)?\s*(.*))?\Z",
    re.S,
)
CLAIM = re.compile(
    rf"(?i:{WORDS_FOR_ANSWER}\s*(?:is|ist|lautet|est|es|è|[:=])\s*:?)[\s\"'*_(\[]*([A-J])(?![\w'’])"
)
MENTION = re.compile(r"(?<![\w'’])([A-J])(?![\w'’])")


def credited(said: Any, options: Sequence[Option]) -> str:
    """The letter of the one option that `said` credits, as a letter, as its text or both; empty where it is not one."""
    text = _unwrapped(said)
    by_text = [LETTERS[i] for i, o in enumerate(options) if _bare(o.text) == _bare(text)]
    found = LEAD.match(plain(text))
    if found is None:
        return by_text[0] if len(by_text) == 1 else ""
    letter, rest = found[1].upper(), _bare(found[2] or "")
    if letter not in LETTERS[: len(options)]:
        return by_text[0] if len(by_text) == 1 else ""
    if len(by_text) == 1 and rest:
        return by_text[0]
    own = _bare(options[LETTERS.index(letter)].text)
    return letter if not rest or rest == own or (len(rest) >= 12 and own.startswith(rest)) else ""


def _unwrapped(said: Any) -> str:
    text = str(said).strip()
    if text.startswith("{"):
        try:
            read = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        values = [read[k] for k in ("final", "answer", "choice", "option", "letter") if k in read]
        return str(values[0]) if len(values) == 1 else text
    if boxed := re.search(r"\\boxed\{(?:\\text\{)?([^{}]*)\}", text):
        return boxed[1]
    return re.sub(r"[*_#`]+", "", text).strip()


def _bare(text: str) -> str:
    return plain(text).strip(" \"'().,;:!?।-")


def claims(answer: str, options: Sequence[Option]) -> set[str]:
    """The letters that an answer names as its result: after words for it, or alone on its last line."""
    found = {m[1] for m in CLAIM.finditer(answer)}
    lines = [line for line in answer.strip().splitlines() if line.strip(" `*_")]
    last = credited(lines[-1], options) if lines else ""
    whole = credited(answer, options)
    return {letter for letter in (*found, last, whole) if letter and letter in LETTERS[: len(options)]}


def shows(answer: str, letter: str, options: Sequence[Option]) -> bool:
    """Whether the answer names this option, by letter or by its text."""
    text = _bare(options[LETTERS.index(letter)].text)
    return letter in MENTION.findall(answer) or (len(text) > 3 and text in plain(answer))


@check(decides=True, version=1, sees="final and answer both credit the keyed option, as a letter or as its text",
       blind="whether the key is right, and whether the reasons before the letter are")
async def option_key(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    gold, options = instruction.gold, instruction.options
    if gold is None or gold.form != "option" or not options:
        return not_applicable("no option is keyed")
    said = credited(example.fields.get("final", ""), options)
    if not said:
        return failed(f"final {str(example.fields.get('final', ''))[:80]!r} is not one option",
                      hint="The final answer must be exactly one of the options.")
    if said != gold.value:
        return failed(f"credits {said}, keyed is {gold.value}", hint="Weigh each option again against the question.")
    named = claims(example.answer, options)
    if named - {said}:
        return failed(f"final is {said}, but the answer settles on {', '.join(sorted(named))}",
                      hint="The answer text and the final answer name different options.")
    if not named and not shows(example.answer, said, options):
        return failed(f"the answer never names option {said}", hint="Say in the answer which option it is.")
    return passed(f"credits {said}")


# ── the item alone ───────────────────────────────────────────────────────────────────────────────────────────────


def key_of(instruction: Instruction) -> Option | None:
    """The keyed option; None where there is none."""
    gold = instruction.gold
    if gold is None or gold.form != "option" or str(gold.value) not in LETTERS[: len(instruction.options)]:
        return None
    return instruction.options[LETTERS.index(str(gold.value))]


def _without_order(said: list[str]) -> tuple[str, ...]:
    """Words of an option to compare it by: in a short one their order means nothing, in a long one (first this, then that)
    it may be all the difference."""
    return tuple(sorted(set(said))) if len(said) < 6 else tuple(said)


def wrong_with_options(instruction: Instruction) -> Iterator[str]:
    """What is wrong with the options as a set, one line each."""
    options, key = instruction.options, key_of(instruction)
    texts = [_bare(o.text) for o in options]
    sizes = [len(t) for t in texts]
    roles = [o.role for o in options]
    answerable = instruction.answerability == "answerable"
    if key is None and answerable:
        yield f"the key {instruction.gold.value if instruction.gold else None!r} is none of the {len(options)} options"
    if any(roles) and answerable and not instruction.goal and (roles.count(CREDITED) != 1 or (key and key.role != CREDITED)):
        held = ", ".join(f"{letter} {role}" for letter, role in zip(LETTERS, roles, strict=False))
        yield f"not exactly the keyed option has the role credited: {held}"
    if not 3 <= len(options) <= len(LETTERS):
        yield f"{len(options)} options, where 3 to {len(LETTERS)} are wanted"
    said = [_without_order(list(tokens(t))) for t in texts]
    same = [(i, said.index(words)) for i, words in enumerate(said) if said.index(words) < i]
    if same:
        i, first = same[0]
        yield f"options {LETTERS[first]} and {LETTERS[i]} say the same: {options[i].text[:60]!r}"
    if max(sizes) > LONGEST_TO_SHORTEST * min(sizes) + SLACK:
        short, long = (LETTERS[sizes.index(pick(sizes))] for pick in (min, max))
        yield f"lengths from {min(sizes)} characters ({short}) to {max(sizes)} ({long})"
    yield from _key_stands_out(instruction, key)


def _key_stands_out(instruction: Instruction, key: Option | None) -> Iterator[str]:
    if key is None or len(instruction.options) < 3:
        return
    language, letter = language_of(instruction), LETTERS[instruction.options.index(key)]
    wrong = [o for o in instruction.options if o is not key]
    longest = max(len(o.text) for o in wrong)
    if len(key.text) > KEY_OVERHANG * longest + SLACK / 2:
        yield f"the key {letter} is much the longest: {len(key.text)} characters, the next has {longest}"
    found = {"figure": lambda text: quantity(text, language)} | {
        name: lambda text, name=name: marker(name, text, language) for name in ("hedge", "absolute")
    }
    for name, find in found.items():
        has = [o for o in instruction.options if find(o.text)]
        called = "an absolute" if name == "absolute" else f"a {name}"
        if has == [key]:
            yield f"only the key {letter} has {called}, {find(key.text)!r}: {key.text[:100]!r}"
        if len(has) == len(wrong) >= 3 and key not in has:
            marks = ", ".join(repr(find(o.text)) for o in wrong)
            yield f"only the key {letter} has no {name}; the others have {marks}"


NUMERAL = re.compile(r"(?<![\w.,])[^\W\d_]{0,3}\d[\d.,:]*")
BEFORE = re.compile(r"([^\W\d_]\S*)\s+\Z")


def quantity(text: str, language: str) -> str:
    """The first figure or number word that tells how much, how many or when; a figure that only names a thing is none."""
    labels = {plain(w) for w in phrases("labels")["label"].get(language, ())}
    months = {plain(m) for names in MONTHS.values() for m in names}
    for match in NUMERAL.finditer(text):
        before = BEFORE.search(text[: match.start()])
        word = before[1].strip(".,;:()") if before else ""
        first = bool(before) and not re.search(r"[\w,;:]\s*\Z", text[: before.start()] if before else "")
        year = bool(re.fullmatch(r"1\d{3}|20\d{2}", match[0].strip(".,")))
        name = word[:1].isupper() and not first and plain(word) not in months and not year
        code = match[0][0].isalpha()
        if not (code or name or (plain(word).strip(".") in labels and not year)):
            return match[0].strip(".,:")
    words = NUMBER_WORDS.get(language, {})
    return next((w for w in tokens(text) if words.get(w, 0) > 1), "")


def marker(name: str, text: str, language: str) -> str:
    """The first cautious (`hedge`) or sweeping (`absolute`) word of what a text itself claims; empty where it has none.

    The month of May, idioms, and words in a clause that only grants, conditions or explains do not count.
    """
    lists = phrases("labels")
    if language == "en":
        text = re.sub(r"(?<!\A)(?<![.!?] )\bMay\b|\AMay(?= \d)|\bMAY(?= \d)", " ", text)
    asides = "|".join(re.escape(a) for a in sorted(lists["aside"].get(language, ()), key=len, reverse=True))
    if asides:
        text = re.sub(rf"(?i),\s+(?:{asides})(?=\s)[^,;.]*", " ", text)
    folded = f" {' '.join(tokens(text))} "
    for idiom in lists["idiom"].get(language, ()):
        folded = folded.replace(f" {' '.join(tokens(idiom))} ", "  ")
    return holds_any(phrases("wording")[name].get(language, ()), folded)


@check(decides=False, version=2, sees="options differ, are alike in length, and nothing on the surface marks the key",
       blind="whether they make sense; cues that only a set of rows shows (checks/sets.py counts those)")
async def options_wellformed(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.instruction.options:
        return not_applicable("no options")
    wrong = list(wrong_with_options(example.instruction))
    return failed("; ".join(wrong)) if wrong else passed(f"{len(example.instruction.options)} options")


@check(decides=False, version=1, blind="a hint by meaning; a plan that was not recorded",
       sees="the question holds neither the plan's words nor the key's; matching words does not find the key")
async def no_key_leak(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    key = key_of(instruction)
    if key is None:
        return not_applicable("no option is keyed")
    plan = [*texts_of(instruction.data, PLANNED), *texts_of(instruction.material.data, ("assumption", "flaw_where"))]
    for planned in plan:
        if (run := run_length(tokens(planned), tokens(instruction.text))) >= 6:
            return failed(f"the question shares {run} words in a row with the plan: {planned[:80]!r}")
    wrong = [o.text for o in instruction.options if o is not key]
    near = share(key.text, instruction.text)
    if near >= 0.5 and near > max(share(o, instruction.text) for o in wrong) + 0.3:
        return failed(f"{near:.0%} of the key's words stand in the question, far fewer of any other option's")
    matched = share(key.text, instruction.material.text)
    if matched >= 0.8 and matched > max(share(o, instruction.material.text) for o in wrong) + 0.25:
        return failed(f"matching words finds the key: {matched:.0%} of them are in the passage, fewer of the others")
    return passed(f"key's words in the question {near:.0%}, in the passage {matched:.0%}")


def share(option: str, text: str) -> float:
    """Which part of an option's longer words stands in the text."""
    own = content(option)
    return len(own & content(text)) / len(own) if len(own) >= 3 else 0.0


def texts_of(data: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """All texts of these plan fields, out of lists and records too."""
    found: list[str] = []
    for name in names:
        value = data.get(name)
        for entry in value if isinstance(value, list | tuple) else [value]:
            if isinstance(entry, Mapping):
                found += [text for k, v in entry.items() if "quote" in k and (text := quoted(v))]
            elif entry:
                found.append(str(entry))
    return found


@check(decides=False, version=1, sees="every option has a reason of its own, which is not the option's text again",
       blind="whether the reason is true")
async def distractor_reasons(example: Example, skill: Any, ask: Ask) -> Verdict:
    options = example.instruction.options
    if not options:
        return not_applicable("no options")
    for letter, option in zip(LETTERS, options, strict=False):
        if len(tokens(option.reason)) < 4:
            return failed(f"option {letter} has no reason of its own: {option.reason[:60]!r}")
        if _bare(option.reason) == _bare(option.text):
            return failed(f"option {letter}: the reason is the option again: {option.text[:80]!r}")
    reasons = [frozenset(tokens(o.reason)) for o in options]
    for i, left in enumerate(reasons):
        for j, right in enumerate(reasons[:i]):
            if len(left & right) > 0.85 * len(left | right):
                return failed(f"options {LETTERS[j]} and {LETTERS[i]} share one reason: {options[i].reason[:80]!r}")
    return passed(f"{len(options)} reasons")


# ── what was copied, marked and schematised ──────────────────────────────────────────────────────────────────────


def lineage(material: Material) -> str:
    """The text with the texts it was edited from: a quotation may be of the sentence that an edit took away."""
    found, at = [], material
    while at is not None:
        found.append(at.text)
        at = at.parent  # type: ignore[assignment]
    return "\n\n".join(found)


@check(decides=False, version=1, sees="what the plan calls copied stands in the passage to the letter",
       blind="whether it is the right passage to copy")
async def quotes_stand(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    quotes = [*(instruction.gold.evidence if instruction.gold else ()), *texts_of(instruction.data, QUOTED)]
    if not quotes:
        return not_applicable("nothing was copied")
    text = lineage(instruction.material)
    for quote in quotes:
        if not stands_in(quote, text):
            return failed(f"not in the passage: {quote[:120]!r}")
    asked = instruction.data.get("statement")
    if asked and not stands_in(str(asked), instruction.text):
        return failed(f"the question does not hold the statement that it asks about: {str(asked)[:120]!r}")
    return passed(f"{len(quotes)} quotations")


PARTS = {"conclusion": ("main_conclusion",), "premises": ("premise", "subsidiary_conclusion", "illustration"),
         "concession": ("concession",)}


@check(decides=False, version=1, blind="statements that the plan did not mark",
       sees="the part that the key gives a statement is the part that the passage's plan marked")
async def marks_agree(example: Example, skill: Any, ask: Ask) -> Verdict:
    data, plan = example.instruction.data, example.instruction.material.data
    statement, part = str(data.get("statement", "")), data.get("part")
    for mark, parts in PARTS.items():
        for marked in texts_of(plan, (mark,)):
            if stands_in(statement, marked) or stands_in(marked, statement):
                if part in parts:
                    return passed(f"marked as {mark}, keyed as {part}")
                return failed(f"the plan marks {statement[:60]!r} as {mark}, the item keys it as {part}")
    return not_applicable("the plan does not mark this statement")


def opposed(first: str, second: str) -> bool:
    """One is committed to it, the other to its denial."""
    return {first, second} == {"affirms", "denies"}


def shared(first: str, second: str) -> bool:
    """Both are committed to it, or both to its denial."""
    return first == second != "silent"


@check(decides=False, version=1, blind="whether the record is right: agreement_test has a judge fill it in again",
       sees="by the item's own record of who says what, the key alone divides (or unites) the two")
async def agreement_table(example: Example, skill: Any, ask: Ask) -> Verdict:
    data = example.instruction.data
    stands = data.get("stands")
    if not stands:
        return not_applicable("no record of who says what")
    holds = shared if data.get("wanted") == "shared" else opposed
    fitting = [s["role"] for s in stands if holds(s["first"], s["second"])]
    if fitting != [CREDITED]:
        return failed(f"the record fits {', '.join(fitting) or 'no statement'} instead of the credited one alone")
    for entry in stands:
        for who in ("first", "second"):
            if entry[who] != "silent" and not quoted(entry.get(f"{who}_quote")):
                return failed(f"{entry['role']}: {data.get(who, who)} {entry[who]} it without words of theirs")
    return passed(f"only the credited statement is {data.get('wanted', 'opposed')}")


CONCLUDES = re.compile(r"\b(?:so|therefore|hence|thus|also|folglich|इसलिए)\b|∴|⊢|⇒\s*$")
MOST_PREMISES = 5


def skeleton(form: str) -> str:
    """A form with its letters renamed by order of appearance, for the order of premises that makes it least.

    Equal skeletons are one argument in other letters; words ("all", "most", "not") count as they stand, and capital
    letters differ from small ones.
    """
    folded = re.sub(r"[^\W\d_]{2,}", lambda m: m[0].lower(), unicodedata.normalize("NFKC", form).translate(SAME))
    parts = CONCLUDES.split(folded)
    premises = [p.strip(" ,.") for p in re.split(r"[;.\n]", " ; ".join(parts[:-1])) if p.strip(" ,.")]
    ending = parts[-1].strip(" ,.;")
    orders: Iterable[Sequence[str]] = permutations(premises) if len(premises) <= MOST_PREMISES else [premises]
    return min(_renamed([*order, "so " + ending]) for order in orders)


def _renamed(clauses: Sequence[str]) -> str:
    names: dict[str, str] = {}
    out = []
    for clause in clauses:
        words = re.findall(r"\w+|[^\w\s]", clause)
        for at, word in enumerate(words):
            article = word == "a" and at + 1 < len(words) and words[at + 1].isalpha() and at > 0
            if article:
                continue
            letter = len(word) == 1 and word.isalpha()
            out.append(names.setdefault(word, f"v{len(names)}") if letter else word)
        out.append(";")
    return " ".join(out)


@check(decides=False, version=1, blind="whether text and schema agree: form_test has a judge write the schemas again",
       sees="by the item's own schemas, the credited argument alone has the form of the passage's")
async def form_match(example: Example, skill: Any, ask: Ask) -> Verdict:
    data = example.instruction.data
    if not data.get("form") or not data.get("forms"):
        return not_applicable("no schemas")
    wanted = skeleton(str(data["form"]))
    alike = [f["role"] for f in data["forms"] if skeleton(str(f["form"])) == wanted]
    roles = sorted(f["role"] for f in data["forms"])
    if not example.instruction.goal and roles != sorted(o.role for o in example.instruction.options):
        odd = sorted(set(roles) ^ {o.role for o in example.instruction.options})
        return failed(f"schemas and options are not of the same roles: {', '.join(odd) or 'one of them twice'}")
    if alike != [CREDITED]:
        return failed(f"{', '.join(alike) or 'no option'} has the form {data['form']!r}")
    return passed(f"only the credited argument has the form {data['form']!r}")


@check(decides=True, version=1, sees="the answer copies the sentence that was asked for, and only that one",
       blind="whether another sentence could be defended too")
async def sentence_copied(example: Example, skill: Any, ask: Ask) -> Verdict:
    gold = example.instruction.gold
    if gold is None or gold.form != "text":
        return not_applicable("no sentence is recorded")
    said = _bare(str(example.fields.get("final", "")))
    right = [_bare(str(gold.value)), *map(_bare, gold.accepts)]
    if said not in right:
        known = stands_in(said, example.instruction.material.text)
        return failed(f"copied {said[:80]!r}" if known else f"not a sentence of the passage: {said[:80]!r}",
                      hint="" if known else "Copy the sentence from the passage to the letter.")
    if not any(r in plain(example.answer) for r in right):
        return failed(f"the answer does not hold the sentence of its final: {said[:80]!r}",
                      hint="Quote the sentence in the answer.")
    return passed("copied to the letter")
