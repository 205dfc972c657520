"""A yard of cable drums, the replies of a teacher who knows it, and an ask that renders, validates and really runs calls."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from preceptor import prompts
from preceptor.errors import Declined
from preceptor.tools.calculator import Calculator
from preceptor.tools.sandbox import Sandbox
from preceptor.tools.simulator import Simulator
from preceptor.types import Agent, Call, Document, Instruction, Message, Reply

SIMULATOR = Simulator(Sandbox())

CODE_DOCUMENT = Document(
    "yard",
    '"""How much cable is left on a drum."""\n\ndef rest(outer, inner, width, cable):\n    return outer - inner\n',
    "yard/rest.py",
    kind="code",
    title="rest.py",
)


def p(name: str, kind: str = "string", required: bool = True, choices: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "about": f"the {name.replace('_', ' ')} of it",
        "required": required,
        "choices": list(choices),
    }


def api(name: str, effect: str, does: str, *parameters: Mapping[str, Any]) -> dict[str, Any]:
    about = {"does": does, "returns": "the entry as it is afterwards", "fails_when": "there is no such entry"}
    return {"name": name, "effect": effect, "parameters": list(parameters), **about}


APIS = [
    api("find_drums", "reads", "Look for drums by words that stand in the entry, such as a surname.", p("words")),
    api("get_drum", "reads", "One drum with all that is known of it, notes included.", p("drum_id")),
    api("move_drum", "writes", "Put a drum into another bay; a spent drum is refused.", p("drum_id"), p("bay")),
]
GROWN = [
    api(
        "scrap_drum",
        "writes",
        "Write a drum off for good; this cannot be undone.",
        p("drum_id"),
        p("reason", choices=["cracked", "rusted", "spent"]),
    ),
]
RECORDS = {
    "W-2041": {"id": "W-2041", "owner": "Okonkwo", "bay": "A1", "rest_m": 412.5, "note": "wet side up"},
    "W-2044": {"id": "W-2044", "owner": "Okonjo", "bay": "A7", "rest_m": 88.0, "note": "for the tram depot"},
    "W-2057": {"id": "W-2057", "owner": "Brandt", "bay": "C3", "rest_m": 1260.0, "note": "ask before cutting"},
}
CODE = """
def _drum(state, drum_id):
    if drum_id not in state["drums"]:
        raise ApiError(f"no drum {drum_id}")
    return state["drums"][drum_id]


def find_drums(state, words):
    return [{"id": d["id"], "owner": d["owner"]} for d in state["drums"].values() if words.lower() in str(d).lower()]


def get_drum(state, drum_id):
    return dict(_drum(state, drum_id))


def move_drum(state, drum_id, bay):
    drum = _drum(state, drum_id)
    if drum.get("scrapped"):
        raise ApiError("a scrapped drum stays where it is")
    drum["bay"] = bay
    return {"drum_id": drum_id, "bay": bay}


def scrap_drum(state, drum_id, reason):
    drum = _drum(state, drum_id)
    drum["scrapped"] = reason
    return {"drum_id": drum_id, "scrapped": reason}
"""
SAMPLES = [
    {"api": "find_drums", "arguments": '{"words": "okonkwo"}'},
    {"api": "get_drum", "arguments": '{"drum_id": "W-2041"}'},
    {"api": "move_drum", "arguments": '{"drum_id": "W-2041", "bay": "B2"}'},
    {"api": "scrap_drum", "arguments": '{"drum_id": "W-2044", "reason": "rusted"}'},
]
PERSON = {
    "person": "Hanne drives the forklift in a cable yard and has the lorry waiting at the gate.",
    "mood": "short of time",
    "words": 25,
}


def f(name: str, value: str, said: str = "opening") -> dict[str, str]:
    return {"name": name, "value": value, "said": said}


def c(name: str, **arguments: Any) -> dict[str, str]:
    return {"why": "it is what was asked for", "api": name, "arguments": json.dumps(arguments)}


MOVE = c("move_drum", drum_id="W-2041", bay="B2")
SCRAP = c("scrap_drum", drum_id="W-2041", reason="cracked")
FIND = c("find_drums", words="Okonkwo")
DRUM, BAY, WHY = f("the drum", "W-2041"), f("the bay", "B2"), f("the damage", "cracked")
PLANS: dict[str, dict[str, Any]] = {
    "one_api_all_parameters": {"calls": [MOVE], "facts": [DRUM, BAY]},
    "one_api_superfluous_parameters": {"calls": [MOVE], "facts": [DRUM, BAY, f("her badge", "7731", "idle")]},
    "one_api_missing_parameter": {"calls": [MOVE], "facts": [DRUM, f("the bay", "B2", "when_asked")]},
    "needed_api_not_in_list": {"calls": [SCRAP], "facts": [DRUM, WHY], "lacking": ["scrap", "drum"]},
    "several_apis_all_parameters": {"calls": [FIND, MOVE], "facts": [f("the owner", "Okonkwo"), BAY]},
    "several_apis_missing_parameters": {
        "calls": [FIND, MOVE],
        "facts": [f("the owner", "Okonkwo"), f("the bay", "B2", "when_asked")],
    },
    "several_apis_some_not_in_list": {
        "calls": [FIND, MOVE, SCRAP],
        "facts": [f("the owner", "Okonkwo"), BAY, WHY],
        "lacking": ["scrap"],
    },
    "dependent_chain": {
        "calls": [FIND, c("get_drum", drum_id="W-2041")],
        "facts": [f("the owner", "Okonkwo")],
        "report": ["412.5"],
    },
    "near_duplicate_apis": {"calls": [MOVE], "facts": [DRUM, BAY]},
    "no_tool_needed": {"calls": [], "facts": [], "report": ["reason", "undone"]},
    "error_then_recovery": {"calls": [MOVE], "facts": [DRUM, BAY]},
    "confirm_before_irreversible": {"calls": [SCRAP], "facts": [DRUM, WHY]},
    "user_changes_mind": {
        "calls": [MOVE, c("move_drum", drum_id="W-2041", bay="B4")],
        "facts": [DRUM, BAY, f("the bay", "B4", "later")],
        "change": "No, wait, B4, they are painting the other one.",
    },
    "instruction_in_result": {"calls": [c("get_drum", drum_id="W-2041"), MOVE], "facts": [DRUM, BAY]},
    "budgeted_calls": {"calls": [FIND, MOVE], "facts": [f("the owner", "Okonkwo"), BAY]},
}
for plan in PLANS.values():
    plan.update({"goal": "get the drum out of the way of the lorry", "report": plan.get("report", []), **PERSON})

Replies = Mapping[str, Any]
Acts = Callable[[Sequence[Message], Sequence[Mapping[str, Any]], int], Reply]


class YardAsk:
    """Answers as a teacher who knows the yard. Every prompt is rendered and every reply validated as the engine would."""

    def __init__(self, **replies: Any) -> None:
        self.seed, self.roles = "seed", frozenset({"teacher"})
        self.replies = {**REPLIES, **replies}
        self.task: Instruction | None = None
        self.asked: list[str] = []
        self.used: list[str] = []
        self.prompts: list[tuple[str, str]] = []

    async def __call__(
        self,
        agent: Agent,
        /,
        *,
        history: Sequence[Message] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        sample: int = 0,
        **slots: Any,
    ) -> Reply:
        name = agent.name.rsplit("/", 1)[-1]
        self.asked.append(name)
        rendered = prompts.messages(agent, {"document": CODE_DOCUMENT, **slots}, history)
        self.prompts.append((name, "\n".join(str(m["content"]) for m in rendered)))
        given = self.replies[name]
        made = given(self, slots, sample, history, tools) if callable(given) else given
        if isinstance(made, Reply):
            return made
        if isinstance(made, Exception):
            raise made
        return Reply("", prompts.read_reply(agent, json.dumps(made)), model="yard")

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        self.used.append(tool)
        if tool == "simulator":
            return await SIMULATOR(**arguments)
        if tool == "calculator":
            return await Calculator()(**arguments)
        return {
            "results": [
                {"id": "d9", "title": "spool.py", "source": "yard/spool.py", "snippet": "scrap(drum, yard)", "score": 2.1}
            ]
        }


def worded(ask: YardAsk, slots: Mapping[str, Any], *_: Any) -> dict[str, Any]:
    limit = f" At most {slots['budget']} requests, the line is bad." if slots["budget"] else ""
    return {
        "message": "Lorry at the gate. "
        + " and ".join(fact["value"] for fact in slots["facts"])
        + ", you know what I need."
        + limit
    }


def person(ask: YardAsk, slots: Mapping[str, Any], *_: Any) -> dict[str, Any]:
    told = slots["change"] or "; ".join(fact["value"] for fact in slots["known"])
    return {"asked": [], "consent": "not_asked" if told else "yes", "message": told or "Yes, do it."}


def oracle(ask: YardAsk, slots: Mapping[str, Any], sample: int, history: Sequence[Message], tools: Sequence[Any]) -> Reply:
    """An assistant that goes the planned way: it asks, confirms, repeats what failed, and reports."""
    assert ask.task is not None
    assert ask.task.gold is not None
    gold = ask.task.gold.value
    if gold["outcome"] == "failed":
        return Reply(f"FAILED Nothing I have can {gold['lacking'][0]} it.")
    said = [str(m["content"]) for m in history if m["role"] == "user"]
    for fact in gold["asked"]:
        if not any(fact["value"] in text for text in said):
            return Reply(f"Which one is {fact['name']}?")
    done = [json.loads(str(m["content"])) for m in history if m["role"] == "tool"]
    good = sum(not (isinstance(value, dict) and "error" in value) for value in done)
    changed = ask.task.data.get("change")
    if changed and good == 1 and changed not in said:
        return Reply("STOP It is in B2.")
    if good < len(gold["calls"]):
        call = gold["calls"][good]
        if call["name"] in {r["api"] for r in gold["rules"]} and not any("Shall I" in str(m["content"]) for m in history):
            return Reply(f"I would now do this with {call['arguments']['drum_id']}. Shall I?")
        return Reply("", calls=(Call(call["name"], call["arguments"]),))
    return Reply(f"STOP Done. {' '.join(map(str, gold['report']))}")


REPLIES: dict[str, Any] = {
    "api_synthesis": {
        "setting": "A yard that stores cable drums for contractors and hands them out.",
        "title": "Drum yard",
        "apis": APIS,
    },
    "grow_by_hypothesis": {
        "gaps": ["nothing is ever written off", "nobody is told"],
        "apis": [{"closes": "nothing is written off", **a} for a in GROWN],
    },
    "grow_by_retrieval": {"apis": [{"from_result": "d9", **a} for a in GROWN]},
    "database": {
        "today": "2026-03-11",
        "now": "10:40",
        "collections": [{"name": "drums", "records": [json.dumps(r) for r in RECORDS.values()]}],
        "policy": [],
    },
    "simulator": {"code": CODE, "samples": SAMPLES},
    "describe": {"setting": "A volunteer desk that looks after these entries; people ring in about one of them."},
    "chain": lambda ask, slots, *_: PLANS[slots["kind"].name],
    "goal": worded,
    "user": person,
    "assistant": oracle,
    "suggester": {
        "suggestions": [
            {"idea": "The drum that stood in B2 has to go somewhere as well, or it is crushed.", "trap": "moving one only"}
        ]
        * 2
    },
    "editor": Declined("long enough"),
}


def sandbox_or_skip() -> None:
    """Skips where simulators cannot run here, with the reason."""
    found = asyncio.run(Sandbox().which())
    if found.kind != "bubblewrap":
        pytest.skip(f"simulators need bubblewrap: {found.why}")
