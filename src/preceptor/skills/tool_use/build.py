"""Flow 1 of the pack: from a document to an API library with books and a simulator that has stood its trial.

code ─▶ api_synthesis ─╮
prose ─▶ api_from_text ─┼▶ grown by retrieval or by hypothesis ─▶ database ─▶ simulator ⇄ trial ─▶ Material
api ─▶ api_from_openapi ╯
records (OpenAPI, tables) ─▶ operations, books, simulator by code ─▶ described ─▶ Material
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from preceptor.draws import one
from preceptor.errors import Declined, StepError
from preceptor.flows.together import together
from preceptor.skill import Skill
from preceptor.skills.tool_use import library, records
from preceptor.skills.tool_use.library import Unfit
from preceptor.types import Agent, Ask, Document, Dropped, Material

GENRE = "api_library"
REPAIRS = 2
"""How often a simulator goes back to whoever wrote it, with what was wrong."""
GROWTHS = ("retrieval", "hypothesis")
FOUND = 6
"""Pieces of similar code that are shown at once."""


async def transform(document: Document, skill: Skill, ask: Ask) -> list[Material | Dropped]:
    """The library that this document yields: computed where it describes records, else written by agents and tried."""
    ways = [computed] if service_of(document) else []
    ways += [written] if not ways or skill.of("transform", "pick") > 1 else []
    return await together([tried(way, document, skill, ask) for way in ways[: max(1, skill.of("transform", "pick"))]])


async def tried(way: Any, document: Document, skill: Skill, ask: Ask) -> Material | Dropped:
    try:
        made: Material = await way(document, skill, ask)
    except Declined as error:
        return Dropped(document, "transform", f"declined: {error}")
    except (StepError, Unfit) as error:
        return Dropped(document, "transform", str(error))
    return made


# ── by code ──────────────────────────────────────────────────────────────────────────────────────────────────────


def service_of(document: Document) -> records.Service | None:
    """The records service in a document: at least three operations, of which one changes something and one looks."""
    if document.kind not in ("api", "table"):
        return None
    read = records.from_api if document.kind == "api" else records.from_table
    service = read(document.text, document.title)
    acts = {o.act for o in service.operations} if service else set()
    enough = service is not None and len(service.operations) >= 3 and acts & set(records.WRITES) and acts & {"find", "get"}
    return service if enough else None


async def computed(document: Document, skill: Skill, ask: Ask) -> Material:
    """A library of records: operations, books and simulator by code; the model says whose records they are."""
    service = service_of(document)
    assert service is not None
    tools = records.tools_of(service)
    state = records.books_of(service, words_of(document.language), ask.seed, document.id)
    collections = ", ".join(name.replace("_", " ") for name in service.fields)
    reply = await ask(
        skill.agent("1_transform/describe"), collections=collections, operations=", ".join(library.names_of(tools))
    )
    data: dict[str, Any] = {
        "title": service.title,
        "setting": " ".join(str(reply.fields["setting"]).split()),
        "apis": tools,
        "effects": records.effects_of(service),
        "simulator": records.code_of(service),
        "state": state,
        "policy": [],
        "operations": records.data_of(service),
        "grown": "",
    }
    # The code is ours and tested; what has to be seen is that this document's names and books make it run.
    await library.run(data["simulator"], state, [], ask)
    return material_of(document, data)


@cache
def words() -> Mapping[str, Mapping[str, Any]]:
    """What code fills books and people with."""
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def words_of(language: str) -> Mapping[str, Any]:
    """The words of a language, else English ones."""
    return words().get(language, words()["en"])


def material_of(document: Document, data: Mapping[str, Any]) -> Material:
    return Material(document, GENRE, library.readable(data), dict(data), language=document.language)


# ── by agents ────────────────────────────────────────────────────────────────────────────────────────────────────


async def written(document: Document, skill: Skill, ask: Ask) -> Material:
    """A library that agents write, fill and programme; Unfit or declined where one of them cannot."""
    reply = await ask(skill.agent(f"1_transform/{opening_agent(document)}"))
    data: dict[str, Any] = {"title": reply.fields["title"], "setting": reply.fields["setting"], "policy": []}
    data["apis"] = library.declarations(reply.fields["apis"])
    data["effects"] = effects_of(reply.fields["apis"])
    data |= await grown(data, document, skill, ask)
    books = await ask(skill.agent("1_transform/database"), library=library.readable(data))
    data["state"] = library.books_of(books.fields)
    data["policy"] = library.policy_of(books.fields.get("policy", ()), data["apis"])
    data["simulator"], data["samples"] = await simulated(data, skill, ask)
    return material_of(document, data)


def opening_agent(document: Document) -> str:
    return {"code": "api_synthesis", "api": "api_from_openapi"}.get(document.kind, "api_from_text")


def effects_of(apis: Any) -> dict[str, str]:
    return {library.snake(api["name"]): api["effect"] for api in apis}


async def grown(data: Mapping[str, Any], document: Document, skill: Skill, ask: Ask) -> dict[str, Any]:
    """The library with more APIs: those of similar code in the corpus, or those that it must have had.

    Retrieval that finds nothing fitting gives way to hypothesis; where that declines too, the library stays as it is.
    """
    drawn = one(GROWTHS, ask.seed, "growth", document.id)
    for way in (drawn, *(g for g in GROWTHS if g != drawn and drawn == "retrieval")):
        try:
            reply = await (by_retrieval if way == "retrieval" else by_hypothesis)(data, document, skill, ask)
            if added := library.declarations(reply, data["apis"]):
                return {"apis": data["apis"] + added, "effects": {**data["effects"], **effects_of(reply)}, "grown": way}
        except (StepError, Unfit):
            continue
    return {"grown": ""}


async def by_retrieval(data: Mapping[str, Any], document: Document, skill: Skill, ask: Ask) -> Any:
    """APIs that grew from pieces of the corpus which resemble the library's own."""
    query = " ".join([data["title"], *(name.replace("_", " ") for name in library.names_of(data["apis"]))])[:300]
    told = await ask.use("search", query=query, k=FOUND)
    results = told["results"] if isinstance(told, Mapping) else told
    found = [r for r in results if r.get("source") != document.source]
    if not found:
        raise Unfit("nothing like it in the corpus")
    shown = "\n\n".join(f"[{r.get('id', n)}] {r.get('title', '')}\n{r.get('snippet', '')}" for n, r in enumerate(found))
    agent: Agent = skill.agent("1_transform/grow_by_retrieval")
    return (await ask(agent, library=library.readable(data), found=shown)).fields["apis"]


async def by_hypothesis(data: Mapping[str, Any], document: Document, skill: Skill, ask: Ask) -> Any:
    """APIs that a library with these calls would also have."""
    agent: Agent = skill.agent("1_transform/grow_by_hypothesis")
    return (await ask(agent, library=library.readable(data), first=library.names_of(data["apis"])[0])).fields["apis"]


async def simulated(data: Mapping[str, Any], skill: Skill, ask: Ask) -> tuple[str, list[Mapping[str, Any]]]:
    """A simulator that stood its trial, and its sample calls. It goes back with the faults found, a few times."""
    problem, code = "", ""
    shown: dict[str, Any] = {"library": library.readable(data), "state": pretty(data["state"])}
    for _ in range(REPAIRS + 1):
        reply = await ask(skill.agent("1_transform/simulator"), problem=problem, code=code, **shown)
        code, samples = unfenced(str(reply.fields["code"])), list(reply.fields["samples"])
        try:
            await library.stand_trial(data["apis"], data["effects"], code, data["state"], samples, ask)
            return code, samples
        except Unfit as error:
            problem = str(error)
    raise Unfit(f"the simulator did not stand its trial in {REPAIRS + 1} attempts: {problem}"[:1500])


def unfenced(code: str) -> str:
    """Code without the markdown fence that models like to put around it."""
    lines = code.strip().splitlines()
    return "\n".join(lines[1:-1] if lines and lines[0].startswith("```") and lines[-1].strip() == "```" else lines) + "\n"


def pretty(state: Mapping[str, Any]) -> str:
    """The books, one record a line."""
    import json

    lines = []
    for name, value in state.items():
        if isinstance(value, Mapping):
            lines += [f"{name}:", *(f"  {key}: {json.dumps(record, ensure_ascii=False)}" for key, record in value.items())]
        else:
            lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines)
