"""A teacher that works by rule: it answers every agent of the packs with replies that fit and stand on the document.

    teacher = SimulatedTeacher()                       right as far as it knows the instruction that is being answered
    teacher = SimulatedTeacher(wrong="polarity")       right answers, each made wrong in one named way
    run = simulate(recipe, folder, teacher)            a whole run, with the oracle on

What an instruction's right answer is, the teacher is told by `simulate` (the oracle): while a row is being answered, its
instruction lies open to the teacher and to nothing else. Without it, answers fit and may be wrong. The same request is
always answered with the same reply.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest, fraction
from preceptor.errors import Declined, PackError
from preceptor.factory import Run
from preceptor.flows.flow3_refine import refine
from preceptor.flows.respond import respond
from preceptor.flows.verify import verify
from preceptor.models.reply import estimated
from preceptor.models.scripted import prompt_of
from preceptor.plan import plan_of
from preceptor.recipe import Recipe
from preceptor.skill import Skill, built_in, load_skill
from preceptor.testing import clothes, service
from preceptor.testing.answers import right_answer
from preceptor.testing.fake import remembered
from preceptor.testing.invent import Source, clipped, invented, question_fields, sized
from preceptor.testing.judging import guessed, judged
from preceptor.testing.mutators import mutate
from preceptor.testing.runs import run_with
from preceptor.types import Agent, Ask, Call, Completion, Document, Example, Instruction, Material, Request, Step, canonical

OPEN: ContextVar[Instruction | None] = ContextVar("instruction", default=None)
"""The oracle: the instruction whose answer is being made, in the task that makes it."""
BLOCK = re.compile(r"<([a-z_]+)-([0-9a-f]{4})>\n(.*?)\n</\1-\2>", re.S)

Handler = Callable[["SimulatedTeacher", Agent, Request], Any]
"""Returns reply fields, text, or a Completion."""


@contextmanager
def told(instruction: Instruction) -> Iterator[None]:
    """Inside the block, and in tasks started there, the teacher knows which instruction is being answered."""
    token = OPEN.set(instruction)
    try:
        yield
    finally:
        OPEN.reset(token)


class SimulatedTeacher:
    """`types.Model` by rule. `wrong` names a mutator for its answers, `share` how many of them it spoils."""

    def __init__(
        self,
        skills: Iterable[Skill] = (),
        *,
        wrong: str = "",
        share: float = 1.0,
        name: str = "simulated",
        seed: str = "1",
        handlers: Mapping[str, Handler] | None = None,
    ) -> None:
        self.name = name
        self.price = None
        self.wrong, self.share, self.seed = wrong, share, seed
        self.asked: dict[str, int] = {}
        self.spoilt: dict[str, str] = {}
        """Instructions whose answers were made wrong, by id: the mutator."""
        self._skills = {skill.name: skill for skill in skills}
        self._handlers = {**HANDLERS, **(handlers or {})}

    async def complete(self, request: Request) -> Completion:
        self.asked[request.agent] = self.asked.get(request.agent, 0) + 1
        agent = self.agent(request.agent)
        try:
            said = self.reply(agent, request)
        except Declined as reason:
            said = {"decline": str(reason)} if agent.fields else f"DECLINE: {reason}"
        name = self.name if agent.role == "teacher" else f"{self.name}-{agent.role}"
        if isinstance(said, Completion):
            return replace(said, model=name, prompt_tokens=estimated(len(prompt_of(request))))
        content = said if isinstance(said, str) else orjson.dumps(said).decode()
        if agent.prose and agent.fields:
            content = f"So it is, by what stands here.\n\n<fields>{content}</fields>"
        return Completion(
            content,
            model=name,
            prompt_tokens=estimated(len(prompt_of(request))),
            completion_tokens=estimated(len(content)),
            means="json_schema" if request.schema else "",
        )

    async def close(self) -> None:
        return None

    def know(self, skills: Iterable[Skill]) -> None:
        """These packs, where the teacher has none of the name yet."""
        for skill in skills:
            self._skills.setdefault(skill.name, skill)

    def agent(self, name: str) -> Agent:
        """The agent of that full name, in the packs given or in the box."""
        pack, _, rest = name.partition("/")
        if pack == "_shared":
            return self._skill(built_in()[0]).agent(name) if not self._skills else next(iter(self._skills.values())).agent(name)
        try:
            return self._skill(pack).agent(rest)
        except PackError:
            return Agent(name, "")

    def _skill(self, name: str) -> Skill:
        if name not in self._skills:
            self._skills[name] = load_skill(name)
        return self._skills[name]

    def reply(self, agent: Agent, request: Request) -> Any:
        """What the handler of this agent says: by full name, by step and file, by step."""
        parts = agent.name.split("/")
        step = parts[-2] if len(parts) > 2 else parts[0]
        least = agent.role if step == "_shared" else step
        for key in (agent.name, f"{parts[0]}/{step}/{parts[-1]}", f"{step}/{parts[-1]}", least):
            if key in self._handlers:
                return self._handlers[key](self, agent, request)
        return made_up(self, agent, request)

    def place(self, request: Request) -> tuple[Any, ...]:
        """Where draws for this request are made."""
        return (self.seed, request.agent, digest(canonical(list(request.messages))), request.sample, request.attempt)


# ── what a request is about ──────────────────────────────────────────────────────────────────────────────────────


def blocks(request: Request) -> dict[str, str]:
    """The quoted texts of the prompt, by the name of their boundary."""
    return {m[1]: m[3] for m in BLOCK.finditer(prompt_of(request))}


def ground(request: Request) -> Source:
    """What the request is about: its material, else its document, else the longest quoted text, else the prompt."""
    slots = request.slots
    if isinstance(slots.get("material"), Material):
        return Source(slots["material"].text)
    for name in ("material_text", "passage"):
        if slots.get(name):
            return Source(str(slots[name]))
    quoted = blocks(request)
    if "document" in slots and ("document" in quoted or not quoted):
        return Source(slots["document"].text)
    return Source(max(quoted.values(), key=len)) if quoted else Source(prompt_of(request))


def made_up(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """Fields by rule, or a few sentences of the text where the agent replies in prose."""
    source, place = ground(request), teacher.place(request)
    if not agent.fields:
        return " ".join(source.quotes(place, 3, 200))
    return invented(agent.fields, source, place)


# ── the flows' agents ────────────────────────────────────────────────────────────────────────────────────────────


def generates(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """A question with its gold; for a builder's agent, the request in other words, with all that it has to say."""
    kind, made = request.slots.get("kind"), request.slots.get("instruction")
    if "request" in {f.name for f in agent.fields}:
        return worded(teacher, agent, request, made if isinstance(made, Instruction) else None)
    fields = question_fields(
        agent.fields, ground(request), teacher.place(request), kind.shape if kind else "short", kind.data if kind else {}
    )
    return _as_marked(fields, request)


def _as_marked(fields: dict[str, Any], request: Request) -> dict[str, Any]:
    """Where the passage's plan marked a conclusion, that is the statement that is asked about."""
    material = request.slots.get("material")
    conclusion = str(material.data.get("conclusion", "")) if isinstance(material, Material) else ""
    if "part" in fields and "statement" in fields and conclusion and len(conclusion) < 380:
        fields["question"] = str(fields["question"]).replace(str(fields["statement"]), conclusion)
        fields |= {"statement": conclusion, "part": "main_conclusion"}
    return fields


def worded(teacher: SimulatedTeacher, agent: Agent, request: Request, made: Instruction | None) -> dict[str, Any]:
    """The builder's own request, which names all that the right text hangs on; else one that gives the limits it set."""
    fields = invented(agent.fields, ground(request), teacher.place(request))
    if made is not None:
        fields["request"] = str(made.data.get("canonical") or made.text)
        return fields
    if "min_words" in fields and "max_words" in fields:
        fields["max_words"] = max(int(fields["max_words"]), 2 * int(fields["min_words"]))
    set_here = [name for name in ("min_words", "max_words", "headings") if fields.get(name)]
    limits = [f"{name.replace('_', ' ')}: {fields[name]}" for name in set_here]
    fields["request"] = " ".join([str(fields["request"]), *(f"Keep to this, please, {limit}." for limit in limits)])
    return fields


def suggests(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    return invented(agent.fields, ground(request), teacher.place(request))


def binds(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """An edit with one constraint more, which every text of some length keeps."""
    instruction = request.slots.get("instruction")
    said = instruction.text if isinstance(instruction, Instruction) else "Edit the text as before, please."
    return {"request": f"{said} At least 3 words have to be left.", "constraints": [{"name": "min_words", "number": 3}]}


def edits(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """What the goal asks for: a marked change of the passage, a harder question, an answer that is another now."""
    from preceptor.testing.edits import edit

    return edit(agent, request, ground(request), teacher.place(request))


def answers(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """The right answer, or the right one made wrong; without the oracle, something that fits."""
    instruction = OPEN.get()
    names = {f.name for f in agent.fields}
    if instruction is None:
        return made_up(teacher, agent, request)
    right = solved(instruction, request)
    if teacher.wrong and fraction(teacher.seed, "wrong", instruction.id) < teacher.share:
        wrong = mutate(teacher.wrong, instruction, right)
        if wrong is None:
            raise Declined(f"{teacher.wrong} has nothing to change here")
        right = wrong
        teacher.spoilt[instruction.id] = teacher.wrong
    if not names:
        return str(right.get("answer"))
    right = {name: _long(agent, name, value, request) for name, value in right.items()}
    fields = invented([f for f in agent.fields if f.name not in right], ground(request), teacher.place(request))
    bounds = {f.name: f for f in agent.fields}
    for name, value in right.items():
        if name in names:
            most = int(bounds[name].max or 2000)
            fields[name] = value if not isinstance(value, str) or len(value) <= most else clipped(value, most)
    return {f.name: fields[f.name] for f in agent.fields if f.name in fields}


def _long(agent: Agent, name: str, value: Any, request: Request) -> Any:
    """A text brought to the least length that its field asks for: what an essay needs."""
    field = next((f for f in agent.fields if f.name == name), None)
    if field is None or not isinstance(value, str) or len(value) >= int(field.min or 0):
        return value
    return sized(value, int(field.min or 0), int(field.max or 4000), ground(request), (name, value))


def solved(instruction: Instruction, request: Request) -> dict[str, Any]:
    """The right reply: from gold, or worked out from text and task where the kind has no gold."""
    from preceptor.testing.modify import solve

    form = request.slots.get("format") or {}
    done = solve(instruction)
    if done is not None:
        return {"answer": done, "final": done}
    return dict(right_answer(instruction, form))


def critiques(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    fields = invented(agent.fields, ground(request), teacher.place(request))
    return {**fields, **({"good": False} if "good" in fields else {})} if agent.fields else "Look once more at the text."


def judges(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """A judge that finds everything as it should be: what it alone decides is reached by the simulation, not decided."""
    return judged(agent, request, OPEN.get(), ground(request), teacher.place(request))


def guesses(teacher: SimulatedTeacher, agent: Agent, request: Request) -> Any:
    """The weak model: it does not know, and says something that fits."""
    return guessed(agent, teacher.place(request)) if agent.fields else "I do not know."


HANDLERS: dict[str, Handler] = {
    "2_instruct": generates,
    "3_refine/suggester": suggests,
    "3_refine/find_routes": suggests,
    "3_refine/find_hinges": suggests,
    "3_refine": edits,
    "4_respond": answers,
    "text_modification/3_refine/editor": binds,
    "4_respond/critic": critiques,
    "5_verify": judges,
    "judge": judges,
    "weak": guesses,
    **service.HANDLERS,
    **clothes.HANDLERS,
}


# ── a whole run ──────────────────────────────────────────────────────────────────────────────────────────────────


def open_to(teacher_sees: Skill) -> Skill:
    """The skill with its last three steps watched, so that the teacher knows which row is being answered or judged."""

    def watched(step: Step) -> Step:
        async def watches(item: Instruction | Example, skill: Skill, ask: Ask) -> list[Any]:
            with told(item.instruction if isinstance(item, Example) else item):
                return await step(item, skill, ask)

        watches.__name__ = step.__name__
        return watches

    steps = {step.__name__: watched(teacher_sees.override(step)) for step in (refine, respond, verify)}
    return replace(teacher_sees, steps={**teacher_sees.steps, **steps})


def simulate(
    recipe: Recipe,
    into: Path,
    teacher: SimulatedTeacher | None = None,
    *,
    limit: int = 0,
    documents: Sequence[Document] | None = None,
    roles: Sequence[str] = ("teacher", "judge", "weak"),
) -> Run:
    """A run of the recipe in the folder `into`, every role played by the simulation."""
    model = teacher or SimulatedTeacher()
    plan = plan_of(recipe.model_copy(update=dict.fromkeys(roles, "given")))
    skills = {name: open_to(skill) for name, skill in plan.skills.items()}
    model.know(skills.values())
    given = dict.fromkeys(roles, model)
    return run_with(recipe, Path(into), given, skills=skills, limit=limit, documents=documents, wrap=remembered)


def calls_completion(calls: Sequence[tuple[str, Mapping[str, Any]]], content: str = "") -> Completion:
    """A completion that calls functions."""
    made = tuple(
        Call(name, dict(arguments), f"call_{n}", orjson.dumps(dict(arguments)).decode())
        for n, (name, arguments) in enumerate(calls)
    )
    return Completion(content, calls=made, finish="tool_calls" if made else "stop")
