"""Models: `open_model` makes one of what a recipe says, `probe` finds out what it can do.

local · local:PATH.gguf          llama.cpp in this process
scripted:FILE                    replies from a file
batch:FOLDER                     requests written, replies taken in when they come
{ url, model, key_env, … }       any OpenAI-compatible endpoint
{ endpoints = [ … ], model, … }  several of them, for one model
"""

import os
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.errors import Parked, PreceptorError, RecipeError
from preceptor.types import Completion, Model, Request

if TYPE_CHECKING:
    from preceptor.models.openai import Endpoint
    from preceptor.models.prices import Price

__all__ = ["Probe", "most_tokens", "open_model", "price_of", "probe"]

Notice = Callable[[str], None]
WORDS = 'local, local:PATH.gguf, scripted:FILE, batch:FOLDER, or { url = "…", model = "…", key_env = "…" }'


def _silent(said: str) -> None:
    """No notice is taken."""


def open_model(
    spec: Mapping[str, Any] | str,
    *,
    notice: Notice = _silent,
    base: Path | str = ".",
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Model:
    """The model that `spec` describes, not yet loaded or called.

    `base` is the folder that paths in `spec` are relative to, `folder` the run's, in which what a batch service has is
    kept; `notice` is told, once each, of what a user should know
    while the model works: waits, parameters left out, another model answering. Raises RecipeError for a word, key or
    value that does not exist, or a key variable that is not set; MissingExtra where a library is not installed.
    """
    if isinstance(spec, str):
        return _named(spec.strip(), notice, Path(base))
    if "url" in spec and spec.get("batch") and isinstance(spec["batch"], bool | Mapping):
        return _batch_api(spec, notice, environ, folder)
    if "endpoints" in spec:
        return _endpoints(spec, notice, environ)
    if "url" in spec:
        from preceptor.models.openai import OpenAIModel

        return OpenAIModel(_endpoint(spec), notice=notice, environ=environ)
    for word, known in (("batch", ("batch", "model", "tools", "means")), ("local", ("local", "context", "threads"))):
        if word in spec:
            _known(spec, known, f"a `{word}` model")
            return _batch(spec, notice, Path(base)) if word == "batch" else _local(spec, notice, Path(base))
    raise RecipeError(f"a model needs a `url`, in {dict(spec)!r}; there are: {WORDS}")


def _named(spec: str, notice: Notice, base: Path) -> Model:
    word, _, rest = spec.partition(":")
    if word == "local":
        return _local({"local": rest}, notice, base)
    if word == "scripted" and rest:
        from preceptor.models.scripted import read_script

        return read_script(base / Path(rest).expanduser())
    if word == "batch" and rest:
        return _batch({"batch": rest}, notice, base)
    if word in ("http", "https"):
        raise RecipeError(f'{spec!r} names no model; write {{ url = {spec!r}, model = "…", key_env = "…" }}')
    near = get_close_matches(word, ["local", "scripted", "batch"], 1)
    raise RecipeError(f"no model {spec!r}; {f'did you mean {near[0]}? ' if near else ''}There are: {WORDS}")


def _local(spec: Mapping[str, Any], notice: Notice, base: Path) -> Model:
    from preceptor.models.local import CONTEXT, LocalModel

    path = spec["local"]
    where = base / Path(path).expanduser() if isinstance(path, str) and path else None
    return LocalModel(where, context=spec.get("context", CONTEXT), threads=spec.get("threads", 0), notice=notice)


def _batch(spec: Mapping[str, Any], notice: Notice, base: Path) -> Model:
    from preceptor.models.batch import BatchModel
    from preceptor.models.fit import Fit

    fit = Fit(means=spec.get("means", "json_schema"), tools=spec.get("tools", "native"))
    _choice(fit.means, "means")
    _choice(fit.tools, "tools")
    folder = base / Path(str(spec["batch"])).expanduser()
    return BatchModel(folder, model=spec.get("model", "default"), fit=fit, notice=notice)


def _batch_api(spec: Mapping[str, Any], notice: Notice, environ: Mapping[str, str], folder: Path | None) -> Model:
    from preceptor.models.batch_api import BatchAPIModel

    said = {} if spec["batch"] is True else spec["batch"]
    _known(said, ("window", "within", "every"), "batch")
    for key in ("window", "every"):
        _number(said.get(key, 1), f"batch.{key}")
    if said.get("window", 1) < 1 or not isinstance(said.get("window", 1), int):
        raise RecipeError(f"batch.window = {said['window']!r}: how many calls a batch holds, at least one")
    if not isinstance(said.get("within", ""), str):
        raise RecipeError(f'batch.within = {said["within"]!r}: the time in the service\'s own words, such as "24h"')
    if folder is None:
        raise RecipeError(f"{spec.get('model')!r} goes by batches, which take a run; leave out batch to ask it directly")
    plain = {key: value for key, value in spec.items() if key != "batch"}
    return BatchAPIModel(_endpoint(plain), folder / "batches", notice=notice, environ=environ, **said)


def _endpoint(spec: Mapping[str, Any]) -> "Endpoint":
    from preceptor.models.openai import Endpoint

    spec = {key: value for key, value in spec.items() if key != "batch" or value is not False}
    _known(spec, [*(f.name for f in fields(Endpoint)), "batch"], "a model")
    if "batch" in spec:
        raise RecipeError(f"batch = {spec['batch']!r}: write true, or {{ window = 10000, within = \"24h\" }}")
    for needed in ("url", "model"):
        if not isinstance(spec.get(needed), str) or not spec[needed]:
            raise RecipeError(f'the model at {spec.get("url")!r} needs `{needed}`: a text, such as {needed} = "…"')
    for key in ("in_flight", "reasoning_budget", "max_completion_tokens", "timeout", "rpm", "tpm", "weight"):
        _number(spec.get(key, 0), key)
    if spec.get("in_flight", 1) < 1:
        raise RecipeError(f"in_flight = {spec['in_flight']}: at least one call must be in flight")
    _choice(spec.get("means") or "json_schema", "means")
    _choice(spec.get("tools") or "native", "tools")
    if not isinstance(spec.get("extra_body", {}), Mapping):
        raise RecipeError(f"extra_body = {spec['extra_body']!r} is no table; write {{ top_k = 20 }}")
    return replace(Endpoint(**{**spec, "price": None}), price=price_of(spec))


def _each(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is said of each of several endpoints; what is said beside them holds for all."""
    said = spec["endpoints"]
    if not isinstance(said, list) or not said or not all(isinstance(one, Mapping) for one in said):
        raise RecipeError(
            f'endpoints = {said!r}: write a list, such as endpoints = [{{ url = "…", key_env = "…" }}, {{ url = "…" }}]'
        )
    shared = {key: value for key, value in spec.items() if key != "endpoints"}
    return [{**shared, **one} for one in said]


def _endpoints(spec: Mapping[str, Any], notice: Notice, environ: Mapping[str, str]) -> Model:
    from preceptor.models.endpoints import Endpoints
    from preceptor.models.openai import OpenAIModel

    each = [_endpoint(one) for one in _each(spec)]
    for endpoint in each:
        if not endpoint.weight > 0:
            raise RecipeError(f"weight = {endpoint.weight!r}: more than zero; leave an endpoint out that is to get nothing")
    return Endpoints([OpenAIModel(one, notice=notice, environ=environ) for one in each], notice=notice)


def price_of(spec: Mapping[str, Any]) -> "Price | None":
    """What the model costs by its `price` in the recipe, of several endpoints the dearest; None where it, or one of them, has
    none. Raises RecipeError."""
    from preceptor.models.prices import price_from

    if "endpoints" in spec:
        from preceptor.models.endpoints import dearest

        each = [price_of(one) for one in _each(spec)]
        return None if None in each else dearest([price for price in each if price is not None])

    return None if spec.get("price") is None else price_from(spec["price"], "price")


def _known(spec: Mapping[str, Any], known: Any, what: str) -> None:
    for key in spec:
        if key not in known:
            near = get_close_matches(key, known, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{what} has no setting {key!r}{hint} There are: {', '.join(known)}")


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise RecipeError(f"{key} = {value!r}: a number, zero or more, is wanted")
    return value


def _choice(value: str, key: str) -> None:
    from preceptor.models.fit import LADDER

    choices = LADDER if key == "means" else ("native", "action")
    if value not in choices:
        raise RecipeError(f"{key} = {value!r}; there are: {', '.join(choices)}")


def most_tokens(model: Model, request: Request) -> int:
    """The most completion tokens that `model` can be paid for this request: what a budget reserves."""
    bound = getattr(model, "most_tokens", None)
    return int(bound(request)) if bound else request.max_tokens


@dataclass(frozen=True, slots=True)
class Probe:
    """What a model can do, as found by asking it."""

    name: str
    answers: bool
    schema: bool = False
    """Schema replies hold: two of two fitted."""
    means: str = ""
    """How the schema is enforced: json_schema, json_object, instructions."""
    tools: str = "none"
    """native, action, or none."""
    seconds: float = 0.0
    """Of one short call."""
    tokens_per_second: float = 0.0
    reports: str = ""
    """The name that the endpoint gives itself."""
    reasons: bool = False
    permits: str = ""
    """How many calls it may have at once, and how many a minute, as far as that is known by now."""
    health: str = ""
    """`answers`, or why it does not."""
    error: str = ""


CALCULATOR = {
    "type": "function",
    "function": {
        "name": "calculator",
        "description": "Computes an arithmetic expression.",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "maxLength": 100}},
            "required": ["expression"],
            "additionalProperties": False,
        },
    },
}
UMBRELLAS = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "total": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["colour", "total"],
    "additionalProperties": False,
}


async def probe(model: Model) -> Probe:
    """Four or five short calls: does it answer, how fast, do schema replies hold, can it call tools, and how.

    What the calls taught the model about its endpoint (means, tools) stays with it. Raises nothing of PreceptorError:
    `error` says what went wrong.
    """
    return _standing(model, await _probed(model))


async def _probed(model: Model) -> Probe:
    found = Probe(model.name, answers=False)
    try:
        await model.complete(_question("plain", sample=1))  # loads, connects, learns the parameters
        began = time.monotonic()
        plain = await model.complete(_question("plain"))
        seconds = time.monotonic() - began
        found = replace(
            found,
            answers=bool(plain.content or plain.reasoning),
            seconds=round(seconds, 3),
            tokens_per_second=round(plain.completion_tokens / seconds, 1) if seconds > 0 else 0.0,
            reports=plain.model,
            reasons=bool(plain.reasoning or plain.reasoning_tokens),
        )
        replies = [await model.complete(_question("schema", sample=n, schema=UMBRELLAS)) for n in (0, 1)]
        found = replace(found, schema=all(map(_fits, replies)), means=replies[-1].means)
        return replace(found, tools=await _tools(model))
    except Parked as parked:
        return replace(found, error=f"replies come later: {parked}")
    except PreceptorError as error:
        return replace(found, error=str(error))


def _standing(model: Model, found: Probe) -> Probe:
    """With the permits and the health of the endpoint behind it, where there is one."""
    lane = getattr(model, "lane", None)
    if lane is None:
        return found
    _, now, most = lane.permits()
    allowed = lane.buckets.allowed()
    permits = f"{now} of {most} at once" + (f", {allowed}" if allowed else "")
    return replace(found, permits=permits, health=found.error or lane.health(time.monotonic()))


def _question(name: str, *, sample: int = 0, **more: Any) -> Request:
    said = tomllib.loads(files("preceptor.models").joinpath("texts", "probe.toml").read_text(encoding="utf-8"))[name]
    messages = ({"role": "user", "content": said["text"]},)
    return Request(f"probe/{name}", messages, max_tokens=said["max_tokens"], temperature=0.0, sample=sample, **more)


def _fits(reply: Completion) -> bool:
    from preceptor.models.fit import json_in

    value = json_in(reply.content)
    if not isinstance(value, dict) or set(value) != {"colour", "total"}:
        return False
    return value["colour"] in ("red", "blue") and type(value["total"]) is int and 0 <= value["total"] <= 99


async def _tools(model: Model) -> str:
    """How tool calls come: native, by an action object (tried where native brings none, and then kept), or not."""
    question = _question("tools", tools=(CALCULATOR,))
    if _calls(await model.complete(question)):
        return str(getattr(getattr(model, "fit", None), "tools", "native"))
    fit = getattr(model, "fit", None)
    pinned = getattr(getattr(model, "endpoint", None), "tools", "")
    if fit is None or fit.tools == "action" or pinned or not hasattr(model, "endpoint"):
        return "none"
    model.fit = replace(fit, tools="action")  # type: ignore[attr-defined]
    if _calls(await model.complete(question)):
        return "action"
    model.fit = fit  # type: ignore[attr-defined]
    return "none"


def _calls(reply: Completion) -> bool:
    return any(call.name == "calculator" and call.arguments and call.arguments.get("expression") for call in reply.calls)
