"""One model behind several endpoints: each with its key, weight, limits and health; one lost, the others carry on.

Calls about one document go to the same endpoint while it has room, so that its prefix cache serves them.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from preceptor.errors import PreceptorError
from preceptor.models import fit as fits
from preceptor.models.limits import PATIENCE, Fault, Notice, Patience
from preceptor.models.openai import OpenAIModel, used
from preceptor.models.prices import Price
from preceptor.models.way import Way
from preceptor.types import Completion, Request

NEAR = 400
"""Characters of a prompt that tell its beginning, where no document does."""


class Endpoints:
    """A model that several endpoints serve."""

    paced = True

    def __init__(self, members: Sequence[OpenAIModel], *, notice: Notice, patience: Patience = PATIENCE) -> None:
        self.members = tuple(members)
        self.name = self.members[0].name
        self.endpoint = self.members[0].endpoint
        for member, name in zip(self.members, names_of(self.members), strict=True):
            member.lane.name = name
        self.way = Way([member.lane for member in self.members], notice=notice, patience=patience)

    async def complete(self, request: Request) -> Completion:
        async def asked(at: int) -> tuple[int, tuple[Completion, fits.Fit]]:
            return at, await self.members[at].asked(request)

        try:
            at, answer = await self.way.call(
                asked,
                lambda: fits.request_digest(request),
                lambda at: self.members[at].alive(),
                used=lambda answer: used(answer[1]),
                tokens=max(member.worst(request) for member in self.members),
                near=near(request),
            )
        except Fault as fault:
            if fault.kind == "content":
                return Completion(content="", finish="content_filter", model=self.name)
            raise await self._refusal(fault) from None
        return self.members[at].taken(answer, request)

    async def _refusal(self, fault: Fault) -> PreceptorError:
        """What the member says that refused; where none is left, with what the others said before it."""
        told = await self.members[fault.at].refusal(fault)
        stopped = [m.lane for m in self.members if m.lane.stopped]
        if len(stopped) < len(self.members):
            return told
        each = "; ".join(f"{lane.name}: {lane.stopped}" for lane in stopped)
        return type(told)(f"{told}. No endpoint is left ({each})")

    def most_tokens(self, request: Request) -> int:
        """The most tokens that a completion of this request can be billed for, whoever writes it."""
        return max(member.most_tokens(request) for member in self.members)

    def why(self) -> str:
        """Why nothing is sent, where that is so; else empty."""
        return self.way.why()

    async def close(self) -> None:
        self.way.close()
        for member in self.members:
            await member.close()


def near(request: Request) -> str:
    """What calls with the same beginning have in common: their document, else how their prompt begins."""
    document = getattr(request.slots.get("document"), "id", "")
    if document:
        return str(document)
    return "".join(str(message.get("content") or "") for message in request.messages)[:NEAR]


def names_of(members: Sequence[OpenAIModel]) -> list[str]:
    """A name for each: its own, else its host, else its host with the name of its key or its place."""
    said = [m.endpoint.name or urlsplit(m.endpoint.url).netloc for m in members]
    keys = [m.endpoint.key_env for m in members]
    twice = [f"{n} ({key})" if said.count(n) > 1 and key else n for n, key in zip(said, keys, strict=True)]
    return [f"{n} #{at}" if twice.count(n) > 1 else n for at, n in enumerate(twice, 1)]


def dearest(prices: Sequence[Price]) -> Price:
    """What a call may cost wherever it goes: of each part the most."""
    return Price(
        input=max(p.input for p in prices),
        output=max(p.output for p in prices),
        cached=max(p.input if p.cached is None else p.cached for p in prices),
        reasoning=max(p.output if p.reasoning is None else p.reasoning for p in prices),
        batch=max(p.batch for p in prices),
    )
