"""Two steps of the chain's own, each with one call for each thing, and the check that tells a right chain from a wrong one."""

from binascii import crc32
from dataclasses import replace
from typing import Any

from preceptor.checks.base import check, failed, passed
from preceptor.types import Ask, Dropped, Example, Instruction, Material, Reply, Verdict

LINKS = {"chain": 5, "single": 1}


async def instruct(material: Material, skill: Any, ask: Ask) -> list[Instruction | Dropped]:
    """One instruction of the material."""
    kind = skill.kind("chain")
    agent = skill.agent("2_instruct/chain")
    reply = await ask(agent, material=material)
    return [Instruction(material, kind.name, said(reply), kind.shape, shows_material=False, made_by=agent.name)]


async def refine(seed: Instruction, skill: Any, ask: Ask) -> list[Instruction | Dropped]:
    """The seed as the editor rewrites it, in its place."""
    way = said(await ask(skill.agent("3_refine/suggester"), instruction=seed))
    editor = skill.agent("3_refine/editor")
    text = said(await ask(editor, instruction=seed, suggestion=way))
    return [replace(seed, text=text, parent=seed, goal="harder", suggestion=way, depth=1, made_by=editor.name)]


def said(reply: Reply) -> str:
    """The reply's text, whether it came as prose or in a field."""
    return str(reply.fields.get("text", reply.text))


@check(
    decides=True,
    sees="the answer is whole and carries the signature that follows from the document and every link before it",
    blind="everything that a reader would care for",
)
async def signed(example: Example, skill: Any, ask: Ask) -> Verdict:
    """A lost, doubled, crossed, stale or cut-off link gives another signature."""
    record, links = example.instruction.material.document.source, LINKS[example.instruction.kind]
    signature = ""
    for link in range(1, links + 1):
        signature = f"{crc32(f'{record};{link};{signature}'.encode()):08x}"
    tag = f"##rec={record};step={links};sig={signature}##"
    if not example.answer.startswith(tag):
        return failed(f"begins with {example.answer[:60]!r}, not {tag!r}")
    return passed(tag) if example.answer.endswith("END") else failed("cut off", hint="the answer has no end")


CHECKS = (signed,)
