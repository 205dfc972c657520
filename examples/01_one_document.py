"""The whole way on one document: read it, load a skill, ask a teacher, produce rows, print them. No network, no key."""

import asyncio
from pathlib import Path

import preceptor

HERE = Path(__file__).parent


async def main() -> None:
    document = preceptor.read(HERE / "documents" / "altitude_sickness_clinic_notes.md").documents[0]
    skill = preceptor.load_skill("reading_comprehension").only(["literal"]).through(["identity"])
    teacher = preceptor.model("scripted:replies.jsonl", base=HERE)  # or {"url": "…", "model": "…", "key_env": "…"}

    async with preceptor.ask(document, skill, teacher=teacher, seed=4) as ask:
        made = await preceptor.produce(document, skill, ask)

    for example in made.examples:
        print(f"{example.status}: {example.instruction.text}")
        print(f"    {example.answer}")
        for verdict in example.verdicts:
            print(f"    {verdict.outcome:<4} {verdict.check}{' (decides)' if verdict.decides else ''}  {verdict.evidence}")
    for lost in made.dropped:
        print(f"dropped at {lost.step}: {lost.reason}")


if __name__ == "__main__":
    asyncio.run(main())
