"""Flow 1 of the pack: from a document to an API library with books and a simulator that has stood its trial.

code ─▶ api_synthesis ─╮
prose ─▶ api_from_text ─┼▶ grown by retrieval or by hypothesis ─▶ database ─▶ simulator ⇄ trial ─▶ Material
api ─▶ api_from_openapi ╯
records (OpenAPI, tables) ─▶ operations, books, simulator by code ─▶ described ─▶ Material
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from preceptor.draws import one
from preceptor.errors import Declined, StepError
from preceptor.flows.together import together
from preceptor.skill import Skill
from preceptor.skills.tool_use import books, library, records
from preceptor.skills.tool_use.library import Unfit
from preceptor.types import Agent, Ask, Document, Dropped, Material

GENRE = "api_library"
REPAIRS = 2
"""How often a simulator goes back to whoever wrote it, with what was wrong."""
FILLINGS = 2
GROWTHS = ("retrieval", "hypothesis")
FOUND = 6
"""Pieces of similar code that are shown at once."""
LOOKED_AT = 20
"""Pieces that a search is asked for: those that are no code are passed over."""
MOST_APIS = 9
"""In one library: a service for more does not fit into one reply, and nobody reads a longer list with care."""
FEWEST_APIS = 2
SHARED = 3
"""Words of its own that a library has to share with a piece of the corpus to grow from it."""
EVERYWHERE = re.compile(
    r"find|search|list|show|create|update|change|delete|remove|check|make|with|from|that|this|have|been|into|"
    r"service|desk|system|records?|registry|entry|data|number|info"
)
"""Words that tell of no library what it is about."""


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
    choices = books.sorts_of(service)
    collections = ", ".join(name.replace("_", " ") for name in service.fields)
    operations = ", ".join(library.names_of(tools))
    describe = skill.agent("1_transform/describe")
    reply = await ask(describe, collections=collections, operations=operations, named=books.named(service), choices=choices)
    names = books.names_from(reply.fields.get("names") or (), choices)
    state = books.books_of(service, words_of(document.language), names, ask.seed, document.id)
    data: dict[str, Any] = {
        "title": service.title,
        "setting": " ".join(str(reply.fields["setting"]).split()),
        "apis": tools,
        "effects": records.effects_of(service),
        "simulator": records.code_of(service),
        "state": state,
        "policy": [],
        "callers": callers_of(reply.fields.get("callers") or ()),
        "operations": records.data_of(service),
        "grown": "",
    }
    # The code is ours and tested; what has to be seen is that this document's names and books make it run.
    await library.run(data["simulator"], state, [], ask)
    return material_of(document, data)


FEWEST_CALLERS = 3


def callers_of(told: Sequence[str]) -> list[str]:
    """Who calls, as the model says: clauses without figures. None where too few are of use, and code has its own."""
    plain = [" ".join(str(who).split()).rstrip(".") for who in told]
    kept = list(dict.fromkeys(who for who in plain if 20 <= len(who) <= 200 and not re.search(r"\d", who)))
    return kept if len(kept) >= FEWEST_CALLERS else []


@cache
def words() -> Mapping[str, Mapping[str, Any]]:
    """What code fills books and people with."""
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def words_of(language: str) -> Mapping[str, Any]:
    """The words of a language, else English ones."""
    return words().get(language, words()["en"])


def material_of(document: Document, data: Mapping[str, Any]) -> Material:
    data = {**data, "domain": domain_of(document, data)}
    return Material(document, GENRE, library.readable(data), data, language=document.language)


def domain_of(document: Document, data: Mapping[str, Any]) -> str:
    """What the service is about. A document of code or of an API is `software` by its form; its library need not be."""
    from preceptor.corpus.describe import domains_of

    told = "" if document.kind in ("code", "api") and document.domain == "software" else document.domain
    about = "\n".join([data["title"], data["setting"], *(tool["function"]["description"] for tool in data["apis"])])
    return told if told not in ("", "general") else domains_of([about])[0]


# ── by agents ────────────────────────────────────────────────────────────────────────────────────────────────────


async def written(document: Document, skill: Skill, ask: Ask) -> Material:
    """A library that agents write, fill and programme; Unfit or declined where one of them cannot."""
    reply = await ask(skill.agent(f"1_transform/{opening_agent(document)}"))
    data: dict[str, Any] = {"title": reply.fields["title"], "setting": reply.fields["setting"], "policy": []}
    data["apis"] = library.declarations(reply.fields["apis"])
    data["effects"] = effects_of(reply.fields["apis"])
    data |= await grown(data, document, skill, ask)
    data["state"], data["policy"] = await filled(data, skill, ask)
    return material_of(document, data | await simulated(data, skill, ask))


async def filled(data: Mapping[str, Any], skill: Skill, ask: Ask) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Books and rules of the house; books that do not hold go back once, with the reason."""
    problem = ""
    for _ in range(FILLINGS):
        reply = await ask(skill.agent("1_transform/database"), library=library.readable(data), problem=problem)
        try:
            state = library.books_of(reply.fields, data["apis"])
            return state, library.policy_of(reply.fields.get("policy", ()), data["apis"])
        except Unfit as error:
            problem = str(error)
    raise Unfit(problem)


def opening_agent(document: Document) -> str:
    return {"code": "api_synthesis", "api": "api_from_openapi"}.get(document.kind, "api_from_text")


def effects_of(apis: Any) -> dict[str, str]:
    return {library.snake(api["name"]): api["effect"] for api in apis}


async def grown(data: Mapping[str, Any], document: Document, skill: Skill, ask: Ask) -> dict[str, Any]:
    """The library with more APIs: those of similar code in the corpus, or those that it must have had.

    Retrieval that finds nothing near enough gives way to hypothesis; where that declines too, the library stays as it
    is. `not_grown` says of each way that was not gone why.
    """
    skipped: dict[str, str] = {}
    drawn = one(GROWTHS, ask.seed, "growth", document.id)
    for way in (drawn, *(g for g in GROWTHS if g != drawn and drawn == "retrieval")):
        try:
            reply = await (by_retrieval if way == "retrieval" else by_hypothesis)(data, document, skill, ask)
            if added := library.declarations(reply, data["apis"]):
                more = {"apis": data["apis"] + added, "effects": {**data["effects"], **effects_of(reply)}}
                return {**more, "grown": way, "not_grown": skipped}
        except (StepError, Unfit) as error:
            skipped[way] = f"declined: {error}" if isinstance(error, Declined) else str(error)
    return {"grown": "", "not_grown": skipped}


async def by_retrieval(data: Mapping[str, Any], document: Document, skill: Skill, ask: Ask) -> Any:
    """APIs that grew from pieces of the corpus which resemble the library's own."""
    query = " ".join([data["title"], *(name.replace("_", " ") for name in library.names_of(data["apis"]))])[:300]
    told = await ask.use("search", query=query, k=LOOKED_AT)
    results = told["results"] if isinstance(told, Mapping) else told
    others = [r for r in results if r.get("source") != document.source and r.get("kind", "code") == "code"]
    found = near(others, query)[:FOUND]
    shown = "\n\n".join(f"[{r.get('id', n)}] {r.get('title', '')}\n{r.get('snippet', '')}" for n, r in enumerate(found))
    agent: Agent = skill.agent("1_transform/grow_by_retrieval")
    return (await ask(agent, library=library.readable(data), found=shown, room=room(data))).fields["apis"]


def near(results: Sequence[Mapping[str, Any]], query: str) -> list[Mapping[str, Any]]:
    """The results that share enough of the library's own words. Unfit, with how near the nearest came, where none does.

    A search always returns something, and its scores mean nothing across corpora: what counts is how many different
    words of weight a piece shares with the library, verbs of every API (`get`, `list`) left out.
    """
    wanted = stems(query)
    least = min(SHARED, max(2, len(wanted) // 2))
    shared = [len(wanted & stems(f"{r.get('title', '')} {r.get('snippet', '')}")) for r in results]
    kept = [r for r, count in zip(results, shared, strict=True) if count >= least]
    if not kept:
        best = max(shared, default=0)
        raise Unfit(f"nothing near enough in the corpus: the nearest shares {best} of {len(wanted)} words, {least} are needed")
    return kept


def stems(text: str) -> set[str]:
    """The beginnings of the words that tell what a text is about."""
    words = re.findall(r"[^\W\d_]{4,}", library.snake(text).replace("_", " ").casefold())
    return {word[:5] for word in words if not EVERYWHERE.fullmatch(word)}


async def by_hypothesis(data: Mapping[str, Any], document: Document, skill: Skill, ask: Ask) -> Any:
    """APIs that a library with these calls would also have."""
    agent: Agent = skill.agent("1_transform/grow_by_hypothesis")
    first = library.names_of(data["apis"])[0]
    return (await ask(agent, library=library.readable(data), first=first, room=room(data))).fields["apis"]


def room(data: Mapping[str, Any]) -> str:
    """How many APIs may still be added, in words."""
    return ("one", "two", "three")[max(0, min(2, MOST_APIS - len(data["apis"]) - 1))]


async def simulated(data: Mapping[str, Any], skill: Skill, ask: Ask) -> dict[str, Any]:
    """Simulator, samples with what they return, and the APIs that stood their trial. What fails goes back, twice."""
    problem, code = "", ""
    shown: dict[str, Any] = {"library": library.readable(data), "state": pretty(data["state"])}
    for _ in range(REPAIRS + 1):
        reply = await ask(skill.agent("1_transform/simulator"), problem=problem, code=code, **shown)
        code = unfenced(str(reply.fields["code"]))
        try:
            tried = left(data, reply.fields.get("untried") or ())
            given = [s for s in reply.fields["samples"] if library.snake(s["api"]) not in tried["untried"]]
            samples = await library.stand_trial(tried["apis"], data["effects"], code, data["state"], given, ask)
            return {**tried, "simulator": code, "samples": samples}
        except Unfit as error:
            problem = str(error)
    raise Unfit(f"the simulator did not stand its trial in {REPAIRS + 1} attempts: {problem}"[:1500])


def left(data: Mapping[str, Any], untried: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The library without the APIs that its books let nobody use, and without the rules that bind those. Unfit where that is
    too little."""
    gone = {library.snake(entry["api"]): entry["why"] for entry in untried}
    apis = [tool for tool in data["apis"] if tool["function"]["name"] not in gone]
    if len(apis) < FEWEST_APIS or "writes" not in {data["effects"][name] for name in library.names_of(apis)}:
        raise Unfit(f"without {', '.join(gone)} too little is left of the library: let calls before it make it succeed")
    policy = [rule for rule in data["policy"] if rule["api"] not in gone and rule.get("other") not in gone]
    return {"apis": apis, "policy": policy, "untried": gone}


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
