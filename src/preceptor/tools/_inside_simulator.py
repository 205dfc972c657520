"""Runs the calls of a simulated API, one after another from a start state: sent into the sandbox, never imported."""

import datetime
import inspect
import io
import json
import math
import os
import random
import signal
import sys
from typing import Any

PER_CALL = 1.0
MOST_STATE = 256_000
MOST_VALUE = 64_000
NOW = "2025-01-15T09:00:00"


class ApiError(Exception):
    """What simulated functions raise where the API would answer with an error."""


class Fault(Exception):
    """The simulator itself is wrong, not the call."""


class TimeUp(BaseException):
    """Raised by the alarm: not an Exception, so that an `except Exception` in the simulator cannot swallow it."""


def plain(value: Any, path: str, what: str) -> Any:
    """`value` as JSON holds it; Fault where JSON cannot (an int key would silently become another key)."""
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, list | tuple):
        return [plain(entry, f"{path}/{place}", what) for place, entry in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Fault(f"{what} has the key {key!r} at {path or '/'}: keys of JSON records are text")
        return {key: plain(entry, f"{path}/{key}", what) for key, entry in value.items()}
    raise Fault(f"{what} holds a {type(value).__name__} at {path or '/'}: only JSON values can be kept")


def freeze_clock(now: str) -> None:
    """Let every clock that a simulator may reach stand still at `now`."""
    instant = datetime.datetime.fromisoformat(now)

    class Datetime(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromisoformat(now) if tz is None else cls.fromisoformat(now).replace(tzinfo=tz)

        today = utcnow = classmethod(lambda cls: cls.fromisoformat(now))

    class Date(datetime.date):
        @classmethod
        def today(cls) -> Any:
            return cls(instant.year, instant.month, instant.day)

    Datetime.__name__, Date.__name__ = "datetime", "date"
    datetime.datetime, datetime.date = Datetime, Date  # type: ignore[misc]


def loaded(code: str) -> dict[str, Any]:
    """The public functions of the simulator that take `state` first."""
    module = type(sys)("simulator")
    module.__dict__["ApiError"] = ApiError
    sys.modules["simulator"] = module
    exec(compile(code, "simulator.py", "exec"), module.__dict__)  # noqa: S102 - inside the sandbox
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == "simulator"
        and not name.startswith("_")
        and next(iter(inspect.signature(function).parameters), "") == "state"
    }


def bound(name: str, function: Any, arguments: Any) -> str:
    """Why `arguments` do not fit `function`; empty where they do."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    takes = ", ".join(p.name + ("" if p.default is p.empty else "?") for p in parameters) or "nothing"
    if not isinstance(arguments, dict):
        return f"{name} takes a JSON object of arguments ({takes})"
    known = {p.name for p in parameters}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [] if open_ended else sorted(set(arguments) - known)
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    missing = [p for p in required if p not in arguments]
    if "state" in arguments:
        unknown = sorted({*unknown, "state"})
    faults = ([f"missing: {', '.join(missing)}"] if missing else []) + ([f"unknown: {', '.join(unknown)}"] if unknown else [])
    return f"{name} takes {takes}; {'; '.join(faults)}" if faults else ""


def failure(error: BaseException) -> dict[str, Any]:
    """An error as the caller sees it; `fault` says that the simulator is to blame, not the call."""
    said = error.args[0] if error.args else type(error).__name__
    name = type(error).__name__
    if isinstance(error, TimeUp):
        return {"type": "Timeout", "message": f"the call took longer than {PER_CALL:g} s", "fault": True}
    meant = isinstance(error, ApiError | ValueError | LookupError | PermissionError)
    if meant or type(error).__module__ == "simulator":
        code = getattr(error, "code", None)
        told = {"type": name, "message": str(said)[:500], "fault": False}
        return {**told, "code": code} if isinstance(code, str | int) else told
    kind = "Fault" if isinstance(error, Fault) else name
    return {"type": kind, "message": str(said)[:500], "fault": True}


def called(functions: dict[str, Any], call: dict[str, Any], text: str) -> tuple[dict[str, Any], str]:
    """The result of one call, and the state after it as text. A call that fails changes nothing."""
    name, arguments = call["name"], call["arguments"]
    if name not in functions:
        there = ", ".join(functions) or "none"
        message = f"no function named {name!r}; there are: {there}"
        return {"ok": False, "error": {"type": "UnknownFunction", "message": message, "fault": False}}, text
    misfit = bound(name, functions[name], arguments)
    if misfit:
        return {"ok": False, "error": {"type": "ArgumentError", "message": misfit, "fault": False}}, text
    state = json.loads(text)
    signal.setitimer(signal.ITIMER_REAL, PER_CALL)
    try:
        value = plain(functions[name](state, **arguments), "", f"what {name} returned")
        after = json.dumps(plain(state, "", "the state"))
    except (Exception, TimeUp) as error:
        return {"ok": False, "error": failure(error)}, text
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for what, size, most in (("the state", len(after), MOST_STATE), ("the value", len(json.dumps(value)), MOST_VALUE)):
        if size > most:
            message = f"{what} grew to {size:,} characters; at most {most:,} are kept"
            return {"ok": False, "error": {"type": "TooLarge", "message": message, "fault": True}}, text
    return {"ok": True, "value": value}, after


def ring(*_: Any) -> None:
    raise TimeUp


def main() -> None:
    asked = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w")
    sys.stdout = io.StringIO()
    signal.signal(signal.SIGALRM, ring)
    now = asked["state"].get("now")
    try:
        freeze_clock(now if isinstance(now, str) else NOW)
    except ValueError:
        freeze_clock(NOW)
    random.seed("load")
    try:
        functions = loaded(asked["code"])
    except Exception as error:
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        answers.close()
        return
    text, results, log = json.dumps(asked["state"]), [], []
    for place, call in enumerate(asked["calls"]):
        sys.__stderr__.write(f"call {place + 1} ({call['name']})\n")  # type: ignore[union-attr]
        sys.__stderr__.flush()  # type: ignore[union-attr]
        random.seed(f"call {place}")
        sys.stdout = io.StringIO()
        result, after = called(functions, call, text)
        printed = sys.stdout.getvalue()[:2_000]
        results.append(result)
        log.append({"name": call["name"], "ok": result["ok"], "changed": after != text, "printed": printed})
        text = after
    answers.write(json.dumps({"results": results, "state": json.loads(text), "log": log}))
    answers.close()


if __name__ == "__main__":
    main()
