"""A small flow, models and tools for the engine's tests: pure but for `ask`, as all flows are."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp

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

WRITE = Agent("tiny/1_transform/write", "Write about {{ document.text }}")
QUESTION = Agent("tiny/2_instruct/question", "Ask {{ n }} of {{ text }}", fields=(Field("question"), Field("answer")))
ANSWER = Agent("tiny/4_respond/answer", "Answer: {{ question }}", fields=(Field("answer"),))


def items(n: int, skill: str = "tiny") -> list[Item]:
    return [Item(Document(f"doc{i:04}", f"text {i}", f"{i}.md"), skill, place=i) for i in range(n)]


async def produce(item: Item, ask: Ask, questions: int = 3) -> Produced:
    """One material, three questions at once, an answer to each: seven calls. The last row is rejected."""
    document = item.document
    material = Material(document, "write", (await ask(WRITE, document=document)).text)
    made = await asyncio.gather(*(_question(material, n, ask) for n in range(questions)))
    rows = await asyncio.gather(*(_row(one, ask) for one in made if isinstance(one, Instruction)))
    dropped = tuple(one for one in made if isinstance(one, Dropped))
    trace = (
        Trace("transform", document, (material,)),
        Trace("instruct", material, tuple(made)),
        *(Trace("respond", row.instruction, (row,)) for row in rows),
    )
    return Produced(tuple(rows), dropped, trace)


async def _question(material: Material, n: int, ask: Ask) -> Instruction | Dropped:
    try:
        reply = await ask(QUESTION, n=n, text=material.text)
    except StepError as error:
        return Dropped(material, "instruct", str(error), "question")
    return Instruction(material, f"kind{n}", reply.fields["question"], gold=Gold("text", reply.fields["answer"]))


async def _row(instruction: Instruction, ask: Ask) -> Example:
    reply = await ask(ANSWER, question=instruction.text)
    last = instruction.kind == "kind2"
    verdict = Verdict("gold_text", "fail" if last else "pass", "seen", decides=True)
    said = ({"role": "user", "content": instruction.text}, {"role": "assistant", "content": reply.text})
    status = "rejected" if last else "accepted"
    return Example(instruction, reply.text, said, reply.fields, verdicts=(verdict,), status=status)


def fitting(request: Request) -> str:
    """A reply that fits whatever is asked, and depends on nothing but the request."""
    told = digest(request.agent, request.messages[-1]["content"], request.sample)
    if request.schema is None:
        return f"prose {told}"
    names = ", ".join(f'"{name}": "{name} {told}"' for name in request.schema["properties"] if name != "decline")
    return "{" + names + "}"


class Fake:
    """A model in this process that counts what it is paid for."""

    def __init__(self, reply: Any = fitting, seconds: float = 0.0, name: str = "fake") -> None:
        self.name, self.reply, self.seconds = name, reply, seconds
        self.paid: Counter[tuple[Any, ...]] = Counter()
        self.requests: list[Request] = []
        self.now = self.most = 0

    async def complete(self, request: Request) -> Completion:
        self.now += 1
        self.most = max(self.most, self.now)
        self.requests.append(request)
        self.paid[(request.agent, request.messages[-1]["content"], request.sample, request.attempt)] += 1
        try:
            await asyncio.sleep(self.seconds)
            said = self.reply(request)
        finally:
            self.now -= 1
        if isinstance(said, BaseException):
            raise said
        return said if isinstance(said, Completion) else Completion(said, prompt_tokens=50, completion_tokens=20)

    async def close(self) -> None:
        pass


class Remote:
    """A model behind the ledger of `endpoint.py`."""

    name = "remote"

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession()

    async def complete(self, request: Request) -> Completion:
        body = {"key": digest(request.agent, request.messages[-1]["content"], request.sample, request.attempt)}
        async with self.session.post(self.url, json=body):
            return Completion(fitting(request), prompt_tokens=50, completion_tokens=20)

    async def close(self) -> None:
        await self.session.close()


class Adder:
    name, version = "adder", "1"
    declaration: Mapping[str, Any] = {
        "name": "adder",
        "description": "Adds two integers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "maximum": 99}},
            "required": ["a", "b"],
        },
    }

    def __init__(self) -> None:
        self.used = 0

    async def __call__(self, **arguments: Any) -> Any:
        self.used += 1
        return {"sum": arguments["a"] + arguments["b"]}


def outside(journal: Journal, model: Any, **settings: Any) -> Outside:
    return Outside(journal, {"teacher": model}, **settings)


def door(out: Outside) -> Any:
    """How every item of the test gets its ask."""
    return lambda item: JournaledAsk(out, item.id, seed=digest("seed", item.id), slots={"document": item.document})
