"""What models cost: a table of prices by model name in TOML, and a model's own `price` in the recipe, which goes before it.

    currency = "USD"
    as_of    = "2026-11-01"

    [models."large-model"]
    input     = 2.00             # per million tokens
    output    = 8.00
    cached    = 0.50             # prompt tokens from the endpoint's prefix cache; left out: as dear as the others
    reasoning = 8.00             # left out: as dear as other output
    batch     = 0.5              # what part of it a batch call costs
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from preceptor.errors import RecipeError

BATCH = 0.5
"""The part of the price that batch services ask for a call."""


@dataclass(frozen=True, slots=True)
class Price:
    """Money per million tokens, in whatever currency the recipe's cap is in."""

    input: float = 0.0
    output: float = 0.0
    cached: float | None = None
    """Of prompt tokens that the endpoint reports as cached; None: as dear as the others."""
    reasoning: float | None = None
    """Of completion tokens that the endpoint reports as reasoning; None: as dear as the others."""
    batch: float = BATCH
    """The part of it that a call costs which goes through a batch."""


@dataclass(frozen=True, slots=True)
class Table:
    """Prices by model name, in one currency, as of one day."""

    currency: str = ""
    as_of: str = ""
    models: Mapping[str, Price] = field(default_factory=dict)


NO_PRICES = Table()


def read_prices(path: Path) -> Table:
    """The table in the file. Raises RecipeError with the file, the key and what there is."""
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"prices = {path.name!r}: {error.strerror}: {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML: {error}") from None
    if unknown := sorted(set(read) - {"currency", "as_of", "models"}):
        raise RecipeError(f"{path}: unknown key {unknown[0]!r}; there are: currency, as_of, models")
    models = read.get("models", {})
    if not isinstance(models, Mapping) or not models:
        raise RecipeError(f'{path} holds no prices; write [models."NAME"] and below it input = …, output = …')
    made = {name: price_from(said, f'{path}: models."{name}"') for name, said in models.items()}
    return Table(str(read.get("currency", "")), str(read.get("as_of", "")), made)


def price_from(said: Any, where: str) -> Price:
    """The price that a table describes. Raises RecipeError that begins with `where`."""
    if not isinstance(said, Mapping):
        raise RecipeError(f"{where} = {said!r}: write {{ input = 0.5, output = 1.5 }}, per million tokens")
    known = [f.name for f in fields(Price)]
    for key, value in said.items():
        if key not in known:
            near = get_close_matches(key, known, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{where} has no setting {key!r}{hint} There are: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise RecipeError(f"{where}.{key} = {value!r}: a number, zero or more, is wanted")
    return Price(**said)
