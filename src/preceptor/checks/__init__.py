"""Executable checks, one family a file. A pack's own checks go before those in the box."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from preceptor.checks.base import Check, check, failed, not_applicable, passed, table
from preceptor.errors import PackError

__all__ = ["Check", "all_checks", "check", "failed", "find", "not_applicable", "passed"]


@lru_cache(maxsize=1)
def all_checks() -> Mapping[str, Check]:
    """Every check in the box, by name: what the families' files define."""
    modules = [import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)]
    return table(*dict.fromkeys(c for m in modules for c in vars(m).values() if isinstance(c, Check)))


def find(name: str, skill: Any) -> Check:
    """The check of that name: the pack's, else the box's. An unknown name is a PackError with the nearest."""
    import difflib

    known: dict[str, Check] = {**all_checks(), **skill.checks}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
    raise PackError(f"skill {skill.name}: no check named {name!r}; {hint}")
