"""Steps, builders and judged checks of text modification: what text files cannot say.

    instruct   the default flow; a wording that leaves out a parameter gives way to the builder's own
    refine     the default flow for goals that word or bind the task anew; goals that compose are built here
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from preceptor.checks.base import Check, check
from preceptor.checks.form import violations
from preceptor.checks.judged import judge
from preceptor.checks.sense import senseless
from preceptor.checks.text import settled, unsaid
from preceptor.draws import draw, fraction
from preceptor.errors import Declined, StepError
from preceptor.skills.text_modification import composing, faults, named, ruled, shaped
from preceptor.skills.text_modification.building import KindLike, Unfit, dropped, language_of, tried
from preceptor.types import Ask, Dropped, Example, Instruction, Material, Verdict

_BUILT: Mapping[str, composing.Builder] = {
    "keyword_replace": named.keyword_replace, "redact": named.redact, "pseudonymise": named.pseudonymise,
    "case": named.case, "style_markup": named.style_markup, "annotate": named.annotate,
    "normalise_data": named.normalise_data, "localise": named.localise, "obfuscate": named.obfuscate,
    "entail_contradict": named.entail_contradict, "insert_sentence": named.insert_sentence,
    "format": shaped.layout, "subtitles": shaped.subtitles, "restructure": shaped.restructure, "reorder": shaped.reorder,
    "contents_list": shaped.contents_list, "citation_style": shaped.citation_style,
    "grammar_repair": faults.grammar_repair, "ocr_cleanup": faults.ocr_cleanup,
    "consistency_repair": faults.consistency_repair,
    "review_comments": faults.review_comments,
    "draft_repair": faults.draft_repair, "apply_changes": faults.apply_changes, "undo_edit": faults.undo_edit,
    "vocabulary_limits": ruled.vocabulary_limits, "acrostic": ruled.acrostic, "person_change": ruled.person_change,
    "split_sentences": ruled.split_sentences, "edit_session": composing.edit_session,
}
PLAIN: Mapping[str, composing.Builder] = {name: tried(builder) for name, builder in _BUILT.items()}


def _guarded(builder: composing.Builder) -> Any:
    def made(material: Material, kind: KindLike, seed: str) -> Instruction | Dropped:
        try:
            return builder(material, kind, seed)
        except Unfit as why:
            return dropped(material, kind, str(why))

    return made


def two_edits(material: Material, kind: KindLike, seed: str) -> Instruction | Dropped:
    """Two edits, sometimes three, from the table of pairs that the taxonomy gives; the first pair that the text allows."""
    kinds = {name: _Part(name, data, tuple(checks)) for name, (data, checks) in _parts(kind).items()}
    pairs = draw(kind.data["pairs"], seed, "pairs", material.id, k=len(kind.data["pairs"]), name=lambda p: "+".join(p))
    for first, then in pairs:
        try:
            made = PLAIN[first](material, kinds[first], seed)
            chain = [then, *composing.partners(kind, then, seed, material.id, k=1)] if _three(seed, material) else [then]
            others = [(kinds[name], PLAIN[name]) for name in chain if name != first]
            return composing.composed(made, others, kind, seed, {name: p.checks for name, p in kinds.items()})
        except Unfit:
            continue
    return dropped(material, kind, "no two edits of the table suit this text one after the other")


def _three(seed: str, material: Material) -> bool:
    return fraction(seed, "three", material.id) < 0.25


class _Part:
    """A kind as a composing kind knows it: name, parameters and checks copied from the taxonomy."""

    def __init__(self, name: str, data: Mapping[str, Any], checks: tuple[str, ...]) -> None:
        self.name, self.data, self.checks, self.shape = name, data, checks, "edit"


def _parts(kind: KindLike) -> dict[str, tuple[Mapping[str, Any], list[str]]]:
    """What the taxonomy says of each kind that may be a part."""
    from preceptor.skill import load_skill

    wanted = {name for pair in kind.data["pairs"] for name in pair}
    return {k.name: (k.data, list(k.checks)) for k in load_skill("text_modification").kinds if k.name in wanted}


BUILDERS = {**{name: _guarded(builder) for name, builder in PLAIN.items()}, "two_edits": two_edits}


GIVEN = ("material", "kind", "instruction", "hints", "avoid")
"""The slots that the default instruct step fills in this pack's wording agents, beside those that every agent has."""


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def instruct(material: Material, skill: Any, ask: Ask) -> list[Any]:
    """The default step; where a wording leaves out what the right answer hangs on, the builder's own request stands."""
    from preceptor.flows.flow2_instruct import instruct as default

    made = await default(material, skill, ask)
    return [sound(complete(thing)) if isinstance(thing, Instruction) else thing for thing in made]


LIMITS = ("min_words", "max_words", "headings")
"""Numbers that a generator sets and code counts: its request has to give them."""


def sound(instruction: Instruction) -> Instruction | Dropped:
    """The instruction; dropped where its request does not give the limits that code counts by, or they leave no room."""
    data = instruction.data
    limits = [str(data[name]) for name in LIMITS if data.get(name)]
    if silent := [n for n in limits if not re.search(rf"(?<!\d){n}(?!\d)", instruction.text.replace(",", ""))]:
        why = f"the request does not give the limit {silent[0]}, by which the answer is judged"
        return Dropped(instruction.material, "instruct", why, instruction.made_by, instruction.kind)
    if data.get("min_words") and data.get("max_words") and int(data["max_words"]) < 1.1 * int(data["min_words"]):
        why = f"{data['min_words']} to {data['max_words']} words leave no room"
        return Dropped(instruction.material, "instruct", why, instruction.made_by, instruction.kind)
    return instruction


def complete(instruction: Instruction) -> Instruction:
    """The instruction, its request replaced by the canonical one where parameters are missing from it or it makes no sense."""
    lost = unsaid(instruction.text, instruction.data.get("says", ()))
    material = instruction.material
    why = f"left out {lost[0]!r}" if lost else senseless(instruction.text, language_of(material), known=material.text)
    if not why or "canonical" not in instruction.data:
        return instruction
    return replace(instruction, text=str(instruction.data["canonical"]),
                   made_by=f"{instruction.made_by}; its wording {why}, so the builder's stands")


async def refine(seed: Instruction, skill: Any, ask: Ask) -> list[Any]:
    """The seed, and what the drawn goals make of it. What a goal would make false of a computed gold is dropped."""
    from preceptor.flows import flow3_refine as flow

    if fraction(ask.seed, "refine", seed.id) >= skill.of("refine", "share"):
        return [seed]
    goals = [g for g in flow.suiting(seed, skill, ask) if suits(g, seed, skill)]
    drawn = draw(goals, ask.seed, "goals", seed.id, k=skill.of("refine", "goals"), name=lambda g: str(g.name),
                 weight=lambda g: float(g.weight))
    made: list[Any] = [seed]
    for goal in drawn:
        if goal.data.get("builds"):
            made.append(await built(seed, goal, skill, ask))
        else:
            made += [settle(thing, goal) for thing in await flow.branch(seed, goal, skill, ask)]
    return made


def suits(goal: Any, seed: Instruction, skill: Any) -> bool:
    """Goals that build need a computed gold and a partner in the table; goals that bind need a task without one."""
    computed = seed.gold is not None and seed.gold.made_by == "computed"
    if goal.data.get("builds"):
        table = skill.kind(goal.data["kind"]).data["pairs"]
        return computed and not seed.history and any(first == seed.kind for first, _ in table)
    return not (computed and goal.data.get("free_only")) and "parts" not in seed.data


def settle(thing: Any, goal: Any) -> Any:
    """A refined instruction with its parameters said; dropped where its new constraints and its right text disagree."""
    if not isinstance(thing, Instruction):
        return thing
    thing = replace(thing, text=thing.text if not unsaid(thing.text, thing.data.get("says", ())) else
                    f"{thing.text}\n\n{thing.data.get('canonical', '')}".strip())
    if thing.gold is None or thing.gold.value is None:
        return thing
    wrong = violations(settled(str(thing.gold.value)), thing.data.get("constraints", ()), thing.material.text,
                       language_of(thing.material))
    if wrong:
        why = f"{goal.name}: the one right text breaks the new constraint: {wrong[0]}"
        return Dropped(thing, "refine", why, kind=thing.kind)
    return thing


async def built(seed: Instruction, goal: Any, skill: Any, ask: Ask) -> Instruction | Dropped:
    """A composed task: the suggester picks among the edits that fit, code builds it, the editor words it whole."""
    kind = skill.kind(goal.data["kind"])
    checks = {k.name: k.checks for k in skill.kinds}
    able: dict[str, Instruction] = {}
    for name in composing.partners(kind, seed.kind, ask.seed, seed.id, k=6):
        try:
            able[name] = composing.composed(seed, [(skill.kind(name), PLAIN[name])], kind, ask.seed, checks)
        except Unfit:
            continue
    if not able:
        return Dropped(seed, "refine", f"{goal.name}: no edit of the table suits the result of {seed.kind}", kind=seed.kind)
    try:
        return await worded(seed, able, goal, skill, ask)
    except StepError as error:
        reason = f"declined: {error}" if isinstance(error, Declined) else str(error)
        return Dropped(seed, "refine", f"{goal.name}: {reason}", kind=seed.kind)


async def worded(
    seed: Instruction, able: Mapping[str, Instruction], goal: Any, skill: Any, ask: Ask
) -> Instruction:
    """One of the buildable tasks, as the suggester would have it, in the editor's words, or over turns."""
    shown = {"material": seed.material, "instruction": seed, "goal": goal, "kind": skill.kind(seed.kind)}
    offered = [{"name": name, "about": skill.kind(name).about} for name in able]
    said = await ask(skill.agent(f"3_refine/{goal.suggester}"), partners=offered, **shown)
    name = next((p for s in said.fields.get("suggestions", ()) for p in able if p in str(s)), next(iter(able)))
    whole = able[name]
    if goal.data["builds"] == "turns":
        whole = composing.in_turns(whole, "")
    whole = replace(whole, parent=seed, goal=goal.name, depth=seed.depth + 1, suggestion=f"{seed.kind} and {name}")
    reply = await ask(skill.agent(f"3_refine/{goal.editor}"), suggestion=whole.text, **{**shown, "instruction": whole})
    return complete(replace(whole, text=str(reply.fields["request"]), made_by=f"builder, worded by 3_refine/{goal.editor}"))


# ── judged checks ────────────────────────────────────────────────────────────────────────────────────────────────


def judged(rubric: str, sees: str, blind: str) -> Check:
    """A check that asks the judge in `5_verify/RUBRIC.md`: a quotation from the answer, a reason, yes or no."""

    async def judged_edit(example: Example, skill: Any, ask: Ask) -> Verdict:
        return await judge(example, skill, ask, f"5_verify/{rubric}", original=example.instruction.material.text,
                           request=example.instruction.text)

    return check(decides=False, sees=sees, blind=blind, needs=("judge",), name=rubric)(judged_edit)


RUBRICS = {
    "meaning_kept": ("the edit says what the text says, no less and no more", "what judge and answerer both misread"),
    "plainer_and_true": ("a lay reader can follow, and no condition, duty or exception was lost", "a true but clumsy text"),
    "grown_from_the_text": ("what was added follows from the text or explains it, and is no new fact", "plausible inventions"),
    "translated_right": ("each sentence says in the other language what it said", "languages that the judge reads badly"),
    "tone_as_asked": ("the tone is the one asked for throughout, and the facts are untouched", "irony"),
    "manner_as_asked": ("perspective, style and reader are those asked for, with the facts kept", "taste"),
    "gist_kept": ("what matters most is in, what matters least is out, nothing is invented", "what the reader needed it for"),
}
CHECKS = tuple(judged(rubric, sees, blind) for rubric, (sees, blind) in RUBRICS.items())
