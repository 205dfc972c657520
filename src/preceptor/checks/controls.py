"""Controls: a row must be hard without its passage, follow its passage when that changes, and have one answer.

`closed_book` and `options_only` ask a weak model that lacks what it would need; being right more often than luck
allows (k = 3 tries, one chance in twenty) fails the row. `altered_twin` and `second_reader` ask a reader who has never
seen the key. What decides in all of them is code: the row's own deciding checks, applied to the other answer.
"""

import re
from collections import Counter
from dataclasses import replace
from math import comb
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.figures import FIGURE, NUMBER_WORDS, ascii_digits, numbers_in, units_of
from preceptor.checks.finals import ARTICLES, PLACES, words_of
from preceptor.checks.judged import lettered
from preceptor.checks.options import LETTERS, credited
from preceptor.checks.words import language_of, tokens
from preceptor.errors import StepError
from preceptor.types import Ask, Example, Instruction, Verdict, canonical

TRIES = 3
LUCK = 0.05
"""A share of right guesses that luck reaches less often than this is not luck."""
NEAR = 0.6
"""A twin's question or passage shares at least this much of its words."""


# ── how another answer is marked ─────────────────────────────────────────────────────────────────────────────────


async def is_right(answer: str, instruction: Instruction, skill: Any, ask: Ask) -> bool | None:
    """Whether `answer` passes the deciding checks that code makes for this instruction; None where there are none.

    `skill.kind(…)` names the checks, so a twin of any shape is marked as its row is.
    """
    from preceptor.checks import find

    example = Example(instruction, answer, ({"role": "assistant", "content": answer},), {"final": answer})
    verdicts = []
    for name in skill.kind(instruction.kind).checks:
        found = find(name, skill)
        if found.decides and not found.needs:
            verdicts.append(await found(example, skill, ask))
    decided = [v for v in verdicts if v.outcome != "na"]
    return all(v.outcome == "pass" for v in decided) if decided else None


async def agrees(said: str, instruction: Instruction, skill: Any, ask: Ask) -> bool | None:
    """Whether a reader means the right answer: what they said is right, or is so without what they added to it.

    Readers are not graded on form. A bracket, a second clause, a unit beside the number and another order of a short
    list are forgiven; another entity, another number or another unit is not.
    """
    right = await is_right(said, instruction, skill, ask)
    if right is not False or instruction.gold is None:
        return right
    for reading in readings(said)[1:]:
        if await is_right(reading, instruction, skill, ask):
            return True
    return any(alike(reading, instruction) for reading in readings(said))


def readings(said: str) -> list[str]:
    """What a reader may have meant as the answer: all of it, without brackets, and the clause before an added one.

    Nothing is taken away where the addition takes something back or puts another answer beside it.
    """
    bare = re.sub(r"\s*[(\[][^()\[\]]*[)\]]", "", said).strip(" .;,")
    made = [said]
    cut = [bare, *(bare[: m.start()] for m in ADDED.finditer(bare))]
    for reading in cut:
        added = Counter(tokens(said)) - Counter(tokens(reading))
        if reading.strip() and reading not in made and not TAKES_BACK & added.keys():
            made.append(reading.strip())
    return made


ADDED = re.compile(
    r"\s*(?:[;:]|\s[–—-]+|\.)\s|,\s+(?=(?:the|a|an|at|by|with|in|on|which|who|whose|about|because|since|as|up|down|not|his|her|their"
    r"|der|die|das|ein|eine|mit|bei|im|am|auf|weil|da|nicht|जो|क्योंकि)\s|[\d(])"
)
"""Where something begins that only says more of an answer."""
TAKES_BACK = frozenset(
    tokens(
        "or no perhaps maybe possibly alternatively either instead rather actually wait but and unless "
        "oder nein vielleicht möglicherweise beziehungsweise doch aber und या नहीं शायद लेकिन और"
    )
)
"""Words with which an addition is another answer, or a doubt."""
IN_ORDER = re.compile(r"\b(?:orders?|sequence|first|last|then|rank\w*|reihenfolge|zuerst|zuletzt|nacheinander)\b|क्रम|पहले", re.I)
JOINED = re.compile(r"\s*(?:[,;&/]|\b(?:and|und|sowie|et|y)\b|\sऔर\s|\sतथा\s)\s*")


def alike(said: str, instruction: Instruction) -> bool:
    """Whether two answers are one to a reader: one number in one unit, or one short list in another order."""
    gold, language = instruction.gold, language_of(instruction)
    assert gold is not None
    if gold.form == "number":
        return same_measure(said, f"{gold.value} {instruction.data.get('unit') or ''}", language)
    if gold.form == "set":
        return same_list(said, " ; ".join(str(e) for e in gold.value), language)
    if gold.form != "text":
        return False
    unordered = not IN_ORDER.search(instruction.text)
    forms = (str(gold.value), *gold.accepts)
    return any(same_measure(said, form, language) or (unordered and same_list(said, form, language)) for form in forms)


def same_measure(said: str, right: str, language: str) -> bool:
    """One number each, the same, and no two different words beside them: `7 days` is `7` and is not `7 weeks`."""
    ours, theirs = numbers_in(said, language), numbers_in(right, language)
    if len(ours) != 1 or ours != theirs:
        return False
    mine, yours = (beside(text, language) for text in (said, right))
    return not mine or not yours or mine == yours


def beside(text: str, language: str) -> set[str]:
    """What stands beside the number of a measure, but for articles and words such as `about`."""
    rest = units_of(FIGURE.sub(" ", ascii_digits(text)))
    idle = ARTICLES.get(language, frozenset()) | PLACES.get(language, frozenset()) | NUMBER_WORDS.get(language, {}).keys()
    return {w for w in rest if w not in idle | {"about", "some", "exactly", "etwa", "rund", "genau", "लगभग", "of"}}


def same_list(said: str, right: str, language: str) -> bool:
    """Two to six entries, the same ones in any order."""
    ours, theirs = (sorted(words_of(e, language) for e in JOINED.split(t.strip(' .[]"')) if e.strip()) for t in (said, right))
    return ours == theirs and 2 <= len(ours) <= 6


def chance_of(instruction: Instruction) -> float:
    """How often a guess is right: one in as many as there are options or labels, else hardly ever."""
    choices = len(instruction.options) or len(instruction.data.get("labels", ()))
    return 1 / choices if choices else 0.02


def by_luck(right: int, tries: int, chance: float) -> float:
    """How probable it is that guessing alone is right at least `right` times."""
    return sum(comb(tries, n) * chance**n * (1 - chance) ** (tries - n) for n in range(right, tries + 1))


async def guesses(agent: str, example: Example, skill: Any, ask: Ask, **slots: Any) -> list[bool]:
    """Whether each of `TRIES` answers of an agent is right; an attempt without a usable reply is not right."""
    marked = []
    for sample in range(TRIES):
        try:
            reply = await ask(skill.agent(agent), sample=sample, **slots)
        except StepError:
            marked.append(False)
            continue
        said = str(reply.fields["answer"])
        options = example.instruction.options
        said = credited(said, options) or said if options else said
        marked.append(bool(await agrees(said, example.instruction, skill, ask)))
    return marked


def weighed(marked: list[bool], example: Example, without: str) -> Verdict:
    """Pass where luck may explain how many guesses were right. `sets.closed_book` reads the counts out of the words."""
    right, chance = sum(marked), chance_of(example.instruction)
    told = f"right {right} of {len(marked)} {without}; chance {chance:.2f}"
    return failed(told) if right and by_luck(right, len(marked), chance) < LUCK else passed(told)


def unsuited(instruction: Instruction) -> str:
    """Why a control has nothing to control; empty where it has."""
    if instruction.gold is None or instruction.gold.form == "none":
        return "the row has no gold"
    if not instruction.shows_material:
        return "the row shows no passage"
    return ""


# ── what is taken away ───────────────────────────────────────────────────────────────────────────────────────────


@check(
    decides=False,
    needs=("weak",),
    version=2,
    sees="a weak model without the passage is not right more often than luck allows, in three tries",
    blind="one lucky or unlucky row: read it over the set (closed-book accuracy per kind)",
)
async def closed_book(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    if why := unsuited(instruction):
        return not_applicable(why)
    if await is_right(str(instruction.gold and instruction.gold.value), instruction, skill, ask) is None:
        return not_applicable("no code decides this kind's answers")
    marked = await guesses(
        "_shared/closed_book",
        example,
        skill,
        ask,
        question=instruction.text,
        options=lettered(instruction),
        form=form_of(instruction),
    )
    return weighed(marked, example, "without the passage")


@check(
    decides=False,
    needs=("weak",),
    version=2,
    sees="a weak model that sees the options alone does not find the key more often than luck allows",
    blind="cues that only a set shows, such as a favoured place",
)
async def options_only(example: Example, skill: Any, ask: Ask) -> Verdict:
    gold = example.instruction.gold
    if gold is None or gold.form != "option" or not example.instruction.options:
        return not_applicable("no option is keyed")
    marked = await guesses("_shared/options_only", example, skill, ask, options=lettered(example.instruction))
    return weighed(marked, example, "from the options alone")


def form_of(instruction: Instruction) -> str:
    """What a bare answer looks like, for shapes where that is not plain."""
    labels = instruction.data.get("labels")
    if labels:
        return " | ".join(map(str, labels))
    forms = {"number": "123", "set": '["…", "…"]', "order": '["…", "…"]', "pairs": '{"…": "…"}'}
    return forms.get(instruction.shape, "")


# ── what is changed ──────────────────────────────────────────────────────────────────────────────────────────────


def is_flip(instruction: Instruction, skill: Any) -> bool:
    """Whether refinement made this row so that its answer differs from its parent's."""
    if instruction.data.get("flips"):
        return True
    return any(g.name == instruction.goal and g.flips for g in getattr(skill, "goals", ()))


@check(
    decides=False,
    version=2,
    sees="after an edit that flips the answer, neither gold nor answer is the parent's, or would be marked right as it",
    blind="whether the passage really says so now: altered_twin has a reader try",
)
async def flip_holds(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, parent = example.instruction, example.instruction.parent
    if parent is None or not is_flip(instruction, skill):
        return not_applicable("not a flipped row")
    if instruction.gold is None or parent.gold is None:
        return not_applicable("row or parent has no gold")
    if same_gold(instruction, parent):
        return failed(f"the gold is still the parent's: {parent.gold.value!r}")
    for new, old in ((instruction, parent), (parent, instruction)):
        if await is_right(bare(new), old, skill, ask):
            return failed(f"{bare(new)[:60]!r} is the same answer as {bare(old)[:60]!r} in other words")
    final = str(example.fields.get("final", example.answer))
    if example.answer and await is_right(final, parent, skill, ask):
        return failed(
            f"the answer {final[:80]!r} is still right for the parent", hint="Answer from this passage, as it stands now."
        )
    return passed(f"{parent.gold.value!r} became {instruction.gold.value!r}")


def bare(instruction: Instruction) -> str:
    """The gold as an answer that holds it alone."""
    value = instruction.gold.value if instruction.gold else ""
    return value if isinstance(value, str) else canonical(value)


def same_gold(instruction: Instruction, parent: Instruction) -> bool:
    """Whether both have one answer; of options the texts are compared, for letters move."""
    return _told(instruction) == _told(parent)


def _told(instruction: Instruction) -> list[str]:
    assert instruction.gold is not None
    value = instruction.gold.value
    if instruction.gold.form == "option" and str(value) in LETTERS[: len(instruction.options)]:
        value = instruction.options[LETTERS.index(str(value))].text
    return tokens(str(value))


@check(
    decides=False,
    needs=("judge",),
    version=2,
    sees="a reader of the passage before the edit does not come to the answer that is right after it",
    blind="an old passage that never had one answer",
)
async def altered_twin(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, parent = example.instruction, example.instruction.parent
    if parent is None or not is_flip(instruction, skill) or instruction.gold is None:
        return not_applicable("not a flipped row")
    if parent.material.text == instruction.material.text:
        return not_applicable("the passage was not edited")
    before = replace(instruction, material=parent.material)
    said, _ = await read_by_another(before, skill, ask)
    if said is None:
        return not_applicable("the reader gave no answer")
    if await agrees(said, instruction, skill, ask):
        return failed(f"the passage before the edit gives the same answer: {said[:80]!r}")
    return passed(f"before the edit a reader answers {said[:60]!r}")


@check(
    decides=False,
    version=1,
    sees="a row that cannot be answered has a parent, nearly the same, that can",
    blind="whether it really cannot be answered",
)
async def unanswerable_twin(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, parent = example.instruction, example.instruction.parent
    if instruction.answerability == "answerable":
        return not_applicable("the row can be answered")
    if parent is None:
        return failed(f"the row is {instruction.answerability}, and there is no answerable row beside it")
    if parent.answerability != "answerable" or parent.gold is None or parent.gold.form == "none":
        return failed(f"its parent is {parent.answerability} and has {'no gold' if parent.gold is None else 'a gold of none'}")
    alike = [overlap(instruction.text, parent.text), overlap(instruction.material.text, parent.material.text)]
    if min(alike) < NEAR:
        return failed(f"its parent is another row: question {alike[0]:.0%} and passage {alike[1]:.0%} alike")
    return passed(f"its parent answers {str(parent.gold.value)[:60]!r}")


def overlap(left: str, right: str) -> float:
    """Shared words as a part of the shorter text's words."""
    ours, theirs = set(tokens(left)), set(tokens(right))
    return len(ours & theirs) / max(1, min(len(ours), len(theirs)))


# ── another reader ───────────────────────────────────────────────────────────────────────────────────────────────


ROOM = 2000
"""Characters of an answer in the second reader's form."""


def put(instruction: Instruction) -> str:
    """The question with what stands below it: entries to order, or the two columns to match."""
    data = instruction.data
    lists = [data[name] for name in ("shown", "left", "right") if data.get(name)]
    return "\n\n".join([instruction.text, *("\n".join(f"- {entry}" for entry in entries) for entries in lists)])


async def read_by_another(
    instruction: Instruction, skill: Any, ask: Ask, *, turned: bool = False, sample: int = 0
) -> tuple[str | None, str]:
    """What a reader (role judge) answers who saw passage, question and options alone; how many answers they could defend.

    With `turned` the options come in the opposite order; the letter returned is that of the row all the same.
    """
    shown = lettered(instruction, turned=turned)
    try:
        reply = await ask(
            skill.agent("_shared/second_reader"),
            sample=sample,
            passage=instruction.material.text,
            question=put(instruction),
            options=shown,
            form=form_of(instruction),
        )
    except StepError:
        return None, "none"
    said = str(reply.fields["answer"])
    if instruction.options:
        order = instruction.options[::-1] if turned else instruction.options
        letter = credited(said, order)
        said = LETTERS[instruction.options.index(order[LETTERS.index(letter)])] if letter else said
    return said, str(reply.fields.get("unclear"))


@check(
    decides=False,
    needs=("judge",),
    version=2,
    sees="another model, shown the options in both orders, credits the key both times and calls it the only answer",
    blind="a misreading that both models share",
)
async def blind_panel(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    if instruction.gold is None or instruction.gold.form == "none":
        return not_applicable("the row has no gold")
    if instruction.gold.form in ("order", "pairs") and len(canonical(instruction.gold.value)) > ROOM:
        return not_applicable("the answer is longer than the reader's form has room for")
    for turned in (False, True) if instruction.options else (False,):
        said, found = await read_by_another(instruction, skill, ask, turned=turned, sample=int(turned))
        if said is None:
            return not_applicable("the reader gave no answer")
        right = await agrees(said, instruction, skill, ask)
        if right is None:
            return not_applicable("no code decides this kind's answers")
        if not right:
            order = ", the options turned round" if turned else ""
            return failed(f"another reader answers {said[:120]!r}{order}; the gold is {str(instruction.gold.value)[:120]!r}")
        if found != "one answer":
            return failed(f"another reader answers {said[:80]!r} and finds {found} answers defensible")
    return passed("another reader comes to the same answer")
