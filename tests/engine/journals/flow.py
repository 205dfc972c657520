"""The little flow that the recorded journals were made with. It never changes: a journal replays only what asks as it did."""

import asyncio
from typing import Any, ClassVar

from preceptor.draws import digest
from preceptor.engine.ask import JournaledAsk, Outside
from preceptor.engine.journal import Journal
from preceptor.engine.store import Item
from preceptor.errors import StepError
from preceptor.types import (
    Agent,
    Ask,
    Completion,
    Document,
    Dropped,
    Example,
    Field,
    Gold,
    Instruction,
    Material,
    Produced,
    Request,
    Trace,
    Verdict,
)

WRITE = Agent("old/1_transform/write", "Write about {{ document.text }}")
QUESTION = Agent("old/2_instruct/question", "Ask {{ n }} of {{ text }}", fields=(Field("question"), Field("answer")))
ANSWER = Agent("old/4_respond/answer", "Answer: {{ question }}", fields=(Field("answer"),))
ITEMS = 12
BROKEN, DECLINED = 5, 7


def items() -> list[Item]:
    return [Item(Document(f"doc{i:02}", f"text {i} über naïve Häfen", f"{i}.md"), "old", place=i) for i in range(ITEMS)]


def work(broken: bool) -> Any:
    """What is done with an item; one meets a bug while `broken`."""

    async def produce(item: Item, ask: Ask) -> Produced:
        document = item.document
        material = Material(document, "write", (await ask(WRITE, document=document)).text, {"sum": await summed(item, ask)})
        made = await asyncio.gather(*(question(material, n, ask) for n in range(2)))
        if broken and item.place == BROKEN:
            raise KeyError("a bug of that day")
        asked = [one for one in made if isinstance(one, Instruction)]
        rows = await asyncio.gather(*(row(one, ask) for one in asked))
        dropped = tuple(one for one in made if isinstance(one, Dropped))
        trace = (
            Trace("transform", document, (material,)),
            Trace("instruct", material, tuple(made)),
            *(Trace("respond", one.instruction, (one,)) for one in rows),
        )
        return Produced(tuple(rows), dropped, trace)

    return produce


async def summed(item: Item, ask: Ask) -> Any:
    return (await ask.use("adder", a=item.place, b=1))["sum"]


async def question(material: Material, n: int, ask: Ask) -> Instruction | Dropped:
    try:
        reply = await ask(QUESTION, n=n, text=material.text)
    except StepError as error:
        return Dropped(material, "instruct", str(error), "question")
    return Instruction(material, f"kind{n}", reply.fields["question"], gold=Gold("text", reply.fields["answer"]))


async def row(instruction: Instruction, ask: Ask) -> Example:
    reply = await ask(ANSWER, question=instruction.text)
    last = instruction.kind == "kind1"
    verdict = Verdict("gold_text", "fail" if last else "pass", "seen", decides=True)
    said = ({"role": "user", "content": instruction.text}, {"role": "assistant", "content": reply.text})
    return Example(instruction, reply.text, said, reply.fields, verdicts=(verdict,), status="rejected" if last else "accepted")


class Teacher:
    """Replies that depend on nothing but the request, counted; after `most` of them it is silent."""

    name = "old"

    def __init__(self, most: int = 10**9) -> None:
        self.most, self.paid = most, 0

    async def complete(self, request: Request) -> Completion:
        if self.paid == self.most:
            await asyncio.sleep(3600)
        self.paid += 1
        told = digest(request.agent, request.messages[-1]["content"], request.sample)
        if request.schema is None:
            return Completion(f"prose {told}", prompt_tokens=50, completion_tokens=20)
        if f"text {DECLINED} " in str(request.slots.get("document", "")) and "Ask 1" in request.messages[-1]["content"]:
            return Completion('{"question": "-", "answer": "-", "decline": "nothing to ask"}', prompt_tokens=9)
        if request.agent == ANSWER.name and request.attempt == 0 and told < "4":
            return Completion("no JSON at all", prompt_tokens=50, completion_tokens=4)
        names = ", ".join(f'"{name}": "{name} {told}"' for name in request.schema["properties"] if name != "decline")
        return Completion("{" + names + "}", prompt_tokens=50, completion_tokens=20)

    async def close(self) -> None:
        """Nothing is held."""


class Adder:
    name, version = "adder", "1"
    declaration: ClassVar[Any] = {
        "name": "adder",
        "description": "Adds two integers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    }

    async def __call__(self, **arguments: Any) -> Any:
        return {"sum": arguments["a"] + arguments["b"]}


def outside(journal: Journal, teacher: Teacher) -> Outside:
    from preceptor.engine.money import Caps, Price

    return Outside(journal, {"teacher": teacher}, tools=[Adder()], prices={"old": Price(1.0, 2.0)}, caps=Caps(5.0), slots=4)


def door(out: Outside) -> Any:
    return lambda item: JournaledAsk(out, item.id, seed=digest("seed", item.id), slots={"document": item.document})
