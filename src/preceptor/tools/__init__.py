"""What a step may use through `ask.use`: Python in a sandbox, a calculator, search, an API simulator."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from preceptor.errors import RecipeError
from preceptor.tools.address import Address, AddressSearch
from preceptor.tools.calculator import Calculator
from preceptor.tools.sandbox import Found, Kind, Limits, PythonTool, Ran, Sandbox, probe
from preceptor.tools.search import Search, search_over
from preceptor.tools.simulator import Simulator, inspect
from preceptor.types import Document, Tool

__all__ = [
    "TOOLS",
    "Address",
    "AddressSearch",
    "Calculator",
    "Found",
    "Kind",
    "Limits",
    "PythonTool",
    "Ran",
    "Sandbox",
    "Search",
    "Simulator",
    "inspect",
    "open_tools",
    "probe",
    "search_over",
]

TOOLS = ("calculator", "python", "search", "simulator")


def open_tools(
    names: Iterable[str],
    *,
    corpus: Iterable[Document] | None = None,
    address: Address | None = None,
    sandbox: Sandbox | None = None,
    folder: Path | None = None,
) -> Mapping[str, Tool]:
    """The tools named, ready to be called. Nothing is attacked, indexed or connected that is not named.

    `search` goes over `corpus` (in memory, or in `folder`), or to `address` where the recipe gives one. Code runs in
    `sandbox`, which the caller closes. Raises RecipeError for a tool that does not exist or has nothing to work on.
    """
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in TOOLS]
    if unknown:
        raise RecipeError(f"no tool named {unknown[0]!r}; there are: {', '.join(TOOLS)}")
    shared = sandbox or Sandbox()
    made: dict[str, Tool] = {}
    for name in wanted:
        if name == "calculator":
            made[name] = Calculator()
        elif name == "python":
            made[name] = PythonTool(shared)
        elif name == "simulator":
            made[name] = Simulator(shared)
        else:
            made[name] = _search(corpus, address, folder)
    return made


def _search(corpus: Iterable[Document] | None, address: Address | None, folder: Path | None) -> Tool:
    if address is not None:
        return AddressSearch(address)
    if corpus is None:
        raise RecipeError("the tool 'search' has nothing to search: give documents, or [search] url = \"…{query}…\"")
    return search_over(corpus, folder)
