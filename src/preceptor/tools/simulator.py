"""A stateful API in the sandbox: all calls run from the start state in one process, so that replay is trivial."""

import ast
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from preceptor.errors import MissingExtra, ToolError
from preceptor.tools.sandbox import INSTALL, Limits, Sandbox

IMPORTS = (
    "__future__", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "heapq", "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "textwrap",
    "typing",
)  # fmt: skip
_REFUSED = frozenset({"eval", "exec", "compile", "open", "input", "__import__", "breakpoint", "globals", "SystemRandom"})
MOST_CODE = 100_000
MOST_CALLS = 100
MOST_STATE = 256_000


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a simulated API, without its `state`."""

    name: str
    parameters: list[str]
    required: list[str]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a simulator offers, and what keeps it from being run."""

    functions: tuple[Function, ...] = ()
    problems: tuple[str, ...] = ()


def inspect(code: str) -> Inspection:
    """Read `code` without running it: its public functions that take `state` first, and what is wrong with it.

    A problem is a syntax error, an import beyond `IMPORTS`, a name that reaches outside, or a `global`, because
    what is kept outside `state` is seen by no check. This is advice to whoever wrote the code; the sandbox is the wall.
    """
    if len(code) > MOST_CODE:
        return Inspection(problems=(f"the code has {len(code):,} characters; at most {MOST_CODE:,} are run",))
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        said = getattr(error, "msg", None) or str(error)
        return Inspection(problems=(f"line {line}: {said}" if line else f"the code does not parse: {said}",))
    problems = [problem for node in ast.walk(tree) for problem in _problems(node)]
    functions = tuple(filter(None, map(_function, tree.body)))
    if any("may not be imported" in problem for problem in problems):
        problems.append(f"what may be imported: {', '.join(IMPORTS)}")
    if not functions:
        problems.append("no public function takes `state` as its first parameter")
    return Inspection(functions, tuple(problems))


def _problems(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or "."]
        names = [a.name for a in node.names]
        refused = [m for m in modules if m.partition(".")[0] not in IMPORTS] + [n for n in names if n in _REFUSED]
        return [f"line {node.lineno}: {name} may not be imported" for name in refused]
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    if name in _REFUSED and isinstance(getattr(node, "ctx", None), ast.Load):
        # `re.compile` compiles a pattern, and a record may well have a method named open.
        plain = isinstance(node, ast.Name) or name == "SystemRandom"
        return [f"line {node.lineno}: {name} is not available"] if plain else []  # type: ignore[attr-defined]
    if isinstance(node, ast.Global):
        return [f"line {node.lineno}: global {', '.join(node.names)}: keep everything that changes in `state`"]
    if isinstance(node, ast.AsyncFunctionDef):
        return [f"line {node.lineno}: {node.name} is async; the simulator calls plain functions"]
    return []


def _function(node: ast.stmt) -> Function | None:
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
        return None
    given = node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    if names[:1] != ["state"]:
        return None
    required = names[1 : len(names) - len(given.defaults)]
    named = [a.arg for a in given.kwonlyargs]
    required += [name for name, default in zip(named, given.kw_defaults) if default is None]
    return Function(node.name, [*names[1:], *named], required, (ast.get_docstring(node) or "").strip())


_TAKES = "simulator takes code (Python source), state (a JSON object) and calls (a list of {name, arguments})"


class Simulator:
    """`simulator(code, state, calls=[])` → `{results, state, log, functions}`.

    Each result is `{ok: true, value}` or `{ok: false, error: {type, message, fault}}`; `fault` says that the
    simulator is wrong and not the call. A call that fails changes nothing, and the ones after it run all the same.
    The clock stands at `state["now"]` (else 2025-01-15 09:00), luck is seeded by the call's place: equal arguments,
    equal result. ToolError where the code cannot be used at all: every reason, with its line.
    """

    name = "simulator"
    version = "1"
    declaration: Mapping[str, Any] = {
        "name": "simulator",
        "description": "Run calls of a simulated API from a start state; returns each result and the end state.",
        "parameters": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "functions that take state first, then keyword arguments"},
                "state": {"type": "object", "description": "the start state"},
                "calls": {
                    "type": "array",
                    "maxItems": MOST_CALLS,
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                        "required": ["name", "arguments"],
                    },
                },
            },
            "required": ["code", "state"],
            "additionalProperties": False,
        },
    }

    def __init__(self, sandbox: Sandbox, seconds: float = 5.0) -> None:
        self.sandbox = sandbox
        self.limits = Limits(seconds=seconds, memory=512 << 20, processes=8, output=8_000_000)

    async def __call__(self, **arguments: Any) -> dict[str, Any]:
        code, state, calls = _read(**arguments)
        seen = inspect(code)
        if seen.problems:
            raise ToolError("the simulator cannot be run: " + "; ".join(seen.problems[:12]))
        found = await self.sandbox.which()
        if found.kind != "bubblewrap":
            raise MissingExtra(f"simulators need bubblewrap; {INSTALL} ({found.why})")
        program = Path(__file__).with_name("_inside_simulator.py").read_text(encoding="utf-8")
        sent = json.dumps({"code": code, "state": state, "calls": calls})
        ran = await self.sandbox.run(program, stdin=sent, limits=self.limits)
        if not ran.ok:
            raise ToolError(f"the simulator was ended ({_why(ran.reason)}) in {_last(ran.stderr)}")
        try:
            told: dict[str, Any] = json.loads(ran.stdout)
        except ValueError:
            raise ToolError("the simulator ended the process before all calls had run") from None
        if "error" in told:
            raise ToolError(f"the simulator cannot be loaded: {told['error']}")
        return {**told, "functions": [asdict(function) for function in seen.functions]}


def _why(reason: str) -> str:
    return {"time": "out of time", "memory": "out of memory", "output": "too much output"}.get(reason, reason)


def _last(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    started = [line for line in lines if line.startswith("call ")]
    return (started[-1] if started else "loading") + (f": {lines[-1][:200]}" if lines and lines[-1] not in started else "")


def _read(code: Any = None, state: Any = None, calls: Any = (), **unknown: Any) -> tuple[str, Any, list[Any]]:
    if unknown:
        raise ToolError(f"{_TAKES}; not {', '.join(sorted(unknown))}")
    if not isinstance(code, str) or not code.strip():
        raise ToolError(f"{_TAKES}; there is no code")
    if not isinstance(state, Mapping):
        raise ToolError(f"{_TAKES}; state is {type(state).__name__}")
    calls = list(calls or ())
    if len(calls) > MOST_CALLS:
        raise ToolError(f"{_TAKES}; at most {MOST_CALLS} calls, not {len(calls):,}")
    read = []
    for place, call in enumerate(calls):
        if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
            raise ToolError(f"{_TAKES}; call {place + 1} is not a record with a name")
        read.append({"name": call["name"][:200], "arguments": call.get("arguments")})
    try:
        size = len(json.dumps({"state": dict(state), "calls": read}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ToolError(f"{_TAKES}; state and calls must be JSON: {error}") from None
    if size > 2 * MOST_STATE:
        raise ToolError(f"the start state and calls have {size:,} characters; at most {2 * MOST_STATE:,} are run")
    return code, dict(state), read
