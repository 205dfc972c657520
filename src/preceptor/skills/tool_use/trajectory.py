"""One conversation: the assistant calls, the service answers, the person is asked, until STOP, FAILED or too many turns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from preceptor.checks.state import contains, replay, told, unfounded
from preceptor.skill import Skill
from preceptor.skills.tool_use.library import unwrapped
from preceptor.types import Ask, Draft, Instruction, Message, Reply

MARK = re.compile(r"\A[\s*#_`]*(STOP|FAILED)\b[\s*:.,_`–—-]*", re.I)
ENDS: Mapping[str, str] = {"STOP": "done", "FAILED": "failed"}


@dataclass
class Talk:
    """A conversation while it goes on: what was said, what was called, what the person told."""

    instruction: Instruction
    messages: list[Message] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[Mapping[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    state: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    answer: str = ""
    changed_mind: bool = False
    reasoning: list[str] = field(default_factory=list)
    model: str = ""

    def say(self, role: str, content: str) -> None:
        self.messages.append({"role": role, "content": content})

    async def call(self, made: Sequence[tuple[str, Any]], said: str, ask: Ask) -> None:
        """Make these calls in order, all earlier ones before them, and put calls and results into the conversation."""
        first = len(self.calls)
        self.calls += [{"name": name, "arguments": arguments} for name, arguments in made]
        self.results, self.state = await replay(self.instruction, self.calls, ask)
        ids = [f"call_{n}" for n in range(first, len(self.calls))]
        written = [
            {"id": key, "type": "function", "function": {"name": name, "arguments": orjson.dumps(arguments).decode()}}
            for key, (name, arguments) in zip(ids, made, strict=True)
        ]
        self.messages.append({"role": "assistant", "content": said, "tool_calls": written})
        for key, result in zip(ids, self.results[first:], strict=True):
            self.messages.append({"role": "tool", "tool_call_id": key, "content": told(result)})

    def heard(self, said: str, consent: str) -> None:
        """The person's reply, with what it told and whether it was a yes."""
        facts = [f["name"] for f in self.instruction.data["facts"] if contains(said, f["value"])]
        self.turns.append({"at": len(self.messages), "told": facts, "consent": consent})
        self.say("user", said)


def begun(instruction: Instruction) -> Talk:
    talk = Talk(instruction)
    talk.say("user", instruction.text)
    return talk


async def converse(instruction: Instruction, skill: Skill, ask: Ask, sample: int = 0) -> Talk:
    """The conversation that the assistant and the person have about this task. It may end in any way, or not at all."""
    talk = begun(instruction)
    closing = unwrapped(skill.agent("4_respond/closing").template)
    for _ in range(skill.of("respond", "rounds")):
        reply = await ask(
            skill.agent("4_respond/assistant"),
            history=tuple(talk.messages),
            tools=instruction.tools,
            sample=sample,
            system=instruction.style.system,
            closing=closing,
        )
        talk.model, talk.reasoning = reply.model or talk.model, [*talk.reasoning, *filter(None, [reply.reasoning])]
        if reply.calls:
            await talk.call(
                [(c.name, None if c.arguments is None else dict(c.arguments)) for c in reply.calls], reply.text.strip(), ask
            )
            if circling(talk):
                break
            continue
        outcome, said = ended(reply)
        change_due = bool(instruction.data.get("change")) and not talk.changed_mind
        if outcome and not (change_due and outcome == "done"):
            talk.say("assistant", said)
            talk.outcome, talk.answer = outcome, said
            break
        talk.say("assistant", said)
        await answered(talk, skill, ask, sample, change=str(instruction.data["change"]) if change_due else "")
        talk.changed_mind = talk.changed_mind or change_due
    return talk


def circling(talk: Talk) -> bool:
    """Whether the same call has been made three times running: whoever does that will not find the way out."""
    last = talk.calls[-3:]
    return len(last) == 3 and last[0] == last[1] == last[2]


def ended(reply: Reply) -> tuple[str, str]:
    """How a message without a call ends the conversation (empty: it does not), and what it says.

    Models that forget the mark are read as people read them: a message that asks goes on, one that does not is the end.
    """
    text = reply.text.strip()
    if found := MARK.match(text):
        rest = text[found.end() :].strip()
        again = MARK.match(rest)  # "STOP: FAILED …", as the paper nests them
        if again:
            return ENDS[again[1].upper()], rest[again.end() :].strip() or rest
        return ENDS[found[1].upper()], rest or text
    return ("", text) if re.search(r"[?？؟]", text) else ("done", text)


async def answered(talk: Talk, skill: Skill, ask: Ask, sample: int, change: str = "") -> None:
    """The person's reply to the assistant's last message. A reply with made-up figures is asked for once more."""
    data = talk.instruction.data
    known = [
        f for f in data["facts"] if f["said"] in (("when_asked", "later") if talk.changed_mind or change else ("when_asked",))
    ]
    told_already = "\n".join(str(m.get("content")) for m in talk.messages if m.get("role") == "user")
    slots = {
        "conversation": heard_by_person(talk.messages),
        "person": data["person"],
        "mood": data["mood"],
        "words": data["words"],
        "goal": data["goal"],
        "change": change,
        "known": [f for f in known if change or not contains(told_already, f["value"])],
    }
    grounds = f"{told_already}\n{talk.messages[-1]['content']}\n{data['goal']}\n{change}\n" + "\n".join(
        str(f["value"]) for f in data["facts"]
    )
    for attempt in range(2):
        reply = await ask(skill.agent("4_respond/user"), sample=sample * 2 + attempt, **slots)
        said = str(reply.fields["message"])
        if not unfounded(said, grounds):
            break
    talk.heard(said, str(reply.fields.get("consent", "not_asked")))


def heard_by_person(messages: Sequence[Message]) -> str:
    """The conversation as the person knows it: without calls and results."""
    who = {"user": "You", "assistant": "Assistant"}
    said = [(who[m["role"]], m["content"]) for m in messages if m["role"] in who and m.get("content")]
    return "\n\n".join(f"{name}: {text}" for name, text in said)


def seen_by_reader(messages: Sequence[Message]) -> str:
    """The conversation with every call and its result, for whoever judges how it went."""
    lines = []
    for message in messages:
        if message.get("content") and message["role"] != "tool":
            lines.append(f"{message['role']}: {message['content']}")
        lines += [f"call: {c['function']['name']} {c['function']['arguments']}" for c in message.get("tool_calls", ())]
        lines += [f"result: {str(message['content'])[:600]}"] if message["role"] == "tool" else []
    return "\n".join(lines)


def row_of(talk: Talk) -> tuple[Message, ...]:
    """The conversation as the student sees it: under its system message, its last answer marked where the row has marks."""
    messages = list(talk.messages)
    style = talk.instruction.style
    if talk.outcome and style.format == "marked":
        mark = "STOP" if talk.outcome == "done" else "FAILED"
        messages[-1] = {"role": "assistant", "content": f"{mark} {talk.answer}"}
    opening: list[Message] = [{"role": "system", "content": style.system}] if style.system else []
    return (*opening, *messages)


def draft_of(talk: Talk, by: str) -> Draft:
    """The conversation as a draft: the row's messages, how it ended, and what was recorded on the way."""
    fields = {"outcome": talk.outcome, "final": talk.answer}
    data = {"calls": talk.calls, "results": talk.results, "state": talk.state, "turns": talk.turns}
    return Draft(talk.answer, by, fields, row_of(talk), reasoning="\n\n".join(talk.reasoning), model=talk.model, data=data)


# ── the gold way, walked ─────────────────────────────────────────────────────────────────────────────────────────


async def walked(instruction: Instruction, wording: Mapping[str, str], ask: Ask) -> Talk:
    """The conversation of an assistant that knows the plan: it asks what is held back, makes the gold calls and reports."""
    assert instruction.gold is not None
    gold, data, talk = instruction.gold.value, instruction.data, begun(instruction)
    if gold["outcome"] == "failed":
        ending = wording["failed"].replace("{lacking}", gold["lacking"][0])
        return finished(talk, ending)
    for fact in gold["asked"]:
        talk.say("assistant", wording["ask"].replace("{name}", fact["name"]))
        talk.heard(filled(wording["tell"], fact), "not_asked")
    bound = {rule["api"] for rule in gold["rules"] if rule["rule"] == "confirm"}
    later = [f["value"] for f in data["facts"] if f["said"] == "later"]
    for call in gold["calls"]:
        if later and not talk.changed_mind and any(contains(str(v), later[0]) for v in call["arguments"].values()):
            talk.say("assistant", MARK.sub("", wording["done"]))
            talk.heard(str(data["change"]), "not_asked")
            talk.changed_mind = True
        if call["name"] in bound:
            action = f"{call['name'].replace('_', ' ')} ({', '.join(str(v) for v in call['arguments'].values())})"
            talk.say("assistant", wording["confirm"].replace("{action}", action))
            talk.heard(wording["yes"], "yes")
        await talk.call([(call["name"], call["arguments"])], "", ask)
        if not talk.results[-1]["ok"]:
            await talk.call([(call["name"], call["arguments"])], "", ask)
    named = data.get("named") or [""] * len(gold["report"])
    report = "; ".join(f"{name} {value}".strip() for name, value in zip(named, gold["report"], strict=True))
    found = wording["found"].replace("{report}", report)
    return finished(talk, found if gold["report"] else wording["done"])


def filled(text: str, fact: Mapping[str, Any]) -> str:
    return text.replace("{name}", str(fact["name"])).replace("{value}", str(fact["value"]))


def finished(talk: Talk, text: str) -> Talk:
    talk.outcome, talk.answer = ended(Reply(text))
    talk.say("assistant", talk.answer)
    return talk
