"""The API simulator keeps state, blames the right side, and gives the same for the same calls."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from preceptor.errors import MissingExtra, RecipeError, ToolError
from preceptor.states import state_difference
from preceptor.tools import Sandbox, Simulator, inspect, open_tools, probe
from preceptor.types import Document

FOUND = probe("bubblewrap")
jailed = pytest.mark.skipif(FOUND.kind != "bubblewrap", reason=f"bubblewrap cannot start here: {FOUND.why}")

SHOP = '''
"""A shop with stock and orders."""
import datetime
import random


class OutOfStock(Exception):
    code = "out_of_stock"


def _find(state, sku):
    if sku not in state["stock"]:
        raise ApiError(f"no article {sku}")
    return state["stock"][sku]


def order(state, sku: str, amount: int = 1, *, note: str = ""):
    """Order some of an article."""
    state["touched"] = True
    if _find(state, sku) < amount:
        raise OutOfStock(f"only {state['stock'][sku]} of {sku} left")
    state["stock"][sku] -= amount
    state["orders"].append({"sku": sku, "amount": amount, "at": datetime.datetime.now().isoformat()})
    print("ordered", sku)
    return {"order": len(state["orders"])}


def luck(state):
    return random.random()


def clock(state):
    return [str(datetime.date.today()), str(datetime.datetime.today()), str(datetime.datetime.utcnow())]


def missing(state): return state["nothing"]
def typo(state): return state.stock
def a_set(state): return {1, 2}
def int_key(state): state["k"] = {1: 2}
def not_a_number(state): return float("nan")
def endless(state):
    while True: pass
def hoards(state): state["much"] = "x" * 300_000
def floods(state): print("x" * 5_000_000)
'''
START = {"stock": {"tea": 3}, "orders": []}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    sandbox = Sandbox("bubblewrap")
    yield Simulator(sandbox)
    sandbox.close()


@jailed
async def test_calls_build_on_each_other_from_the_start_state(simulator: Simulator) -> None:
    told = await simulator(code=SHOP, state=START, calls=[call("order", sku="tea"), call("order", sku="tea", amount=2)])
    assert [result["value"] for result in told["results"]] == [{"order": 1}, {"order": 2}]
    assert told["state"]["stock"] == {"tea": 0}
    assert told["log"][0] == {"name": "order", "ok": True, "changed": True, "printed": "ordered tea\n"}
    difference = state_difference(START, told["state"])
    assert difference.paths == {"/stock/tea", "/orders/0", "/orders/1", "/touched"}
    assert START == {"stock": {"tea": 3}, "orders": []}


@jailed
@pytest.mark.parametrize(
    ("made", "kind", "message", "fault"),
    [
        (call("order", sku="rum"), "ApiError", "no article rum", False),
        (call("order", sku="tea", amount=9), "OutOfStock", "only 3 of tea left", False),
        (call("order"), "ArgumentError", "order takes sku, amount?, note?; missing: sku", False),
        (call("order", sku="tea", colour="red"), "ArgumentError", "unknown: colour", False),
        (call("order", sku="tea", state={}), "ArgumentError", "unknown: state", False),
        ({"name": "order", "arguments": None}, "ArgumentError", "a JSON object of arguments", False),
        ({"name": "order", "arguments": ["tea"]}, "ArgumentError", "a JSON object of arguments", False),
        (call("pay"), "UnknownFunction", "no function named 'pay'; there are: order", False),
        (call("_find", sku="tea"), "UnknownFunction", "no function named '_find'", False),
        (call("missing"), "KeyError", "nothing", False),
        (call("typo"), "AttributeError", "no attribute 'stock'", True),
        (call("a_set"), "Fault", "what a_set returned holds a set at /", True),
        (call("int_key"), "Fault", "the state has the key 1 at /k", True),
        (call("not_a_number"), "Fault", "holds a float", True),
        (call("endless"), "Timeout", "longer than 1 s", True),
        (call("hoards"), "TooLarge", "at most 256,000", True),
    ],
)
async def test_a_call_that_fails_says_who_is_to_blame_and_changes_nothing(
    simulator: Simulator, made: dict[str, Any], kind: str, message: str, fault: bool
) -> None:
    told = await simulator(code=SHOP, state=START, calls=[made, call("order", sku="tea")])
    error = told["results"][0]["error"]
    assert (error["type"], error["fault"]) == (kind, fault)
    assert message in error["message"]
    assert told["log"][0]["changed"] is False
    assert told["results"][1] == {"ok": True, "value": {"order": 1}}, "the calls after it run all the same"


@jailed
async def test_an_error_class_of_the_api_keeps_its_code(simulator: Simulator) -> None:
    told = await simulator(code=SHOP, state=START, calls=[call("order", sku="tea", amount=9)])
    assert told["results"][0]["error"]["code"] == "out_of_stock"


@jailed
async def test_the_same_calls_give_the_same_at_any_time(simulator: Simulator) -> None:
    calls = [call("luck"), call("luck"), call("clock"), call("order", sku="tea")]
    first = await simulator(code=SHOP, state=START, calls=calls)
    second = await simulator(code=SHOP, state=START, calls=calls)
    assert first == second
    assert first["results"][0] != first["results"][1]
    longer = await simulator(code=SHOP, state=START, calls=[*calls, call("luck")])
    assert longer["results"][:4] == first["results"], "a call does not change those before it"


@jailed
async def test_the_clock_stands_where_the_state_says(simulator: Simulator) -> None:
    told = await simulator(code=SHOP, state={**START, "now": "2031-02-03T04:05:06"}, calls=[call("clock")])
    assert told["results"][0]["value"] == ["2031-02-03", "2031-02-03 04:05:06", "2031-02-03 04:05:06"]


@jailed
async def test_no_calls_tell_what_the_api_offers(simulator: Simulator) -> None:
    told = await simulator(code=SHOP, state=START)
    assert told["results"] == []
    assert told["state"] == START
    assert told["functions"][0] == {
        "name": "order", "parameters": ["sku", "amount", "note"], "required": ["sku"], "about": "Order some of an article.",
    }  # fmt: skip


@jailed
async def test_prints_are_logged_and_cut(simulator: Simulator) -> None:
    told = await simulator(code=SHOP, state=START, calls=[call("floods")])
    assert told["log"][0]["printed"] == "x" * 2_000


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def f(state", "line 1: '(' was never closed"),
        ("x = 1", "no public function takes `state`"),
        ("def f(x): pass", "no public function takes `state`"),
        ("import os\ndef f(state): pass", "line 1: os may not be imported"),
        ("import uuid\ndef f(state): pass", "line 1: uuid may not be imported"),
        ("from os.path import join\ndef f(state): pass", "line 1: os.path may not be imported"),
        ("from . import x\ndef f(state): pass", "line 1: . may not be imported"),
        ("import time, json\ndef f(state): pass", "line 1: time may not be imported"),
        ("def f(state):\n    return eval('1')", "line 2: eval is not available"),
        ("def f(state):\n    return __import__('os')", "line 2: __import__ is not available"),
        ("def f(state):\n    return open('x')", "line 2: open is not available"),
        ("import random\ndef f(state):\n    return random.SystemRandom()", "line 3: SystemRandom is not available"),
        ("n = 0\ndef f(state):\n    global n", "line 3: global n: keep everything that changes in `state`"),
        ("async def f(state): pass", "line 1: f is async"),
        ("\0", "null bytes"),
        ("(" * 10_000, "too many nested parentheses"),
        ("x" * 200_000, "at most 100,000"),
    ],
)
async def test_code_that_cannot_be_used_is_refused_before_it_runs(code: str, problem: str) -> None:
    assert any(problem in said for said in inspect(code).problems), inspect(code).problems
    with pytest.raises(ToolError, match="the simulator cannot be run"):
        await Simulator(Sandbox("none"))(code=code, state={})


def test_ordinary_code_has_no_problem() -> None:
    code = "import re, datetime, math\nA = re.compile('a')\ndef f(state, id, open=False):\n    return A.match(id).start()"
    assert inspect(code).problems == ()
    assert [f.name for f in inspect(SHOP).functions][:2] == ["order", "luck"]
    assert inspect(SHOP).problems == ()


@jailed
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0\ndef f(state): pass", "cannot be loaded: ZeroDivisionError"),
        ("def f(state):\n  while True:\n    try:\n      while True: len('')\n    except BaseException: pass", "."),
        ("x = [0] * 10**9\ndef f(state): pass", "cannot be loaded: MemoryError"),
        ("while True: pass\ndef f(state): pass", "out of time"),
        ("raise SystemExit\ndef f(state): pass", "ended the process"),
    ],
)
async def test_a_simulator_that_does_not_stand_is_told_so(code: str, said: str) -> None:
    began = time.monotonic()
    simulator = Simulator(Sandbox("bubblewrap"), seconds=1.5)
    try:
        told = await simulator(code=code, state={}, calls=[call("f")])
    except ToolError as error:
        assert said in str(error)  # noqa: PT017
    else:
        assert told["results"][0]["error"]["type"] == "Timeout"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "there is no code"),
        ({"code": SHOP}, "state is NoneType"),
        ({"code": SHOP, "state": []}, "state is list"),
        ({"code": SHOP, "state": {}, "calls": [{"arguments": {}}]}, "call 1 is not a record with a name"),
        ({"code": SHOP, "state": {}, "calls": [call("luck")] * 101}, "at most 100 calls"),
        ({"code": SHOP, "state": {"x": {1}}}, "must be JSON"),
        ({"code": SHOP, "state": {"x": float("nan")}}, "must be JSON"),
        ({"code": SHOP, "state": {"x": "y" * 600_000}}, "at most 512,000"),
        ({"code": SHOP, "state": {}, "seconds": 9}, "not seconds"),
    ],
)
async def test_wrong_arguments_are_refused_with_what_it_takes(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        await Simulator(Sandbox("none"))(**arguments)


@pytest.mark.parametrize("kind", ["none", "monty"])
async def test_without_bubblewrap_a_simulator_is_refused_with_what_to_install(kind: Any) -> None:
    with pytest.raises(MissingExtra, match=r"simulators need bubblewrap.*preceptor\[sandbox\]"):
        await Simulator(Sandbox(kind))(code=SHOP, state=START)


# --- opening tools ------------------------------------------------------------------------------------------------


async def test_tools_are_opened_by_name() -> None:
    tools = open_tools(["calculator", "python", "search", "simulator"], corpus=[Document("d", "tea", "s")])
    assert {name: tool.name for name, tool in tools.items()} == {name: name for name in tools}
    for tool in tools.values():
        assert tool.version
        assert tool.declaration["name"] == tool.name
        assert set(tool.declaration["parameters"]["required"]) <= set(tool.declaration["parameters"]["properties"])
    assert (await tools["calculator"](expression="2*3"))["value"] == "6"
    assert (await tools["search"](query="tea"))[0]["id"] == "d"


@pytest.mark.parametrize(
    ("names", "said"),
    [(["calculater"], "no tool named 'calculater'; there are: calculator, python"), (["search"], "nothing to search")],
)
def test_a_tool_that_is_not_there_is_named(names: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        open_tools(names)


# --- states -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "added", "removed", "changed"),
    [
        ({"a": 1}, {"a": 1.0}, {}, {}, {}),
        ({"a": 1}, {"a": True}, {}, {}, {"/a": (1, True)}),
        ({"a": None}, {}, {}, {"/a": None}, {}),
        ({}, {"a": {"b": 1}}, {"/a": {"b": 1}}, {}, {}),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, {"/a/2": 4}, {}, {"/a/1": (2, 3)}),
        ({"a": [1]}, {"a": {"0": 1}}, {}, {}, {"/a": ([1], {"0": 1})}),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, {}, {}, {"/a~1b/~0": (1, 2)}),
        (1, 2, {}, {}, {"": (1, 2)}),
        ({"a": "1"}, {"a": 1}, {}, {}, {"/a": ("1", 1)}),
    ],
)
def test_states_differ_where_they_differ(before: Any, after: Any, added: Any, removed: Any, changed: Any) -> None:
    difference = state_difference(before, after)
    assert (difference.added, difference.removed, difference.changed) == (added, removed, changed)
    assert bool(difference) == bool(added or removed or changed)
    assert not state_difference(after, after)
