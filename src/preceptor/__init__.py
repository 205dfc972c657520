"""Preceptor: raw documents in, verified training rows out.

Everything public is named here and loaded when it is first used; importing opens no file and no socket.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from preceptor.beside import ask, recheck
    from preceptor.corpus import read
    from preceptor.draws import draw
    from preceptor.errors import PreceptorError
    from preceptor.export import export
    from preceptor.factory import Run, run
    from preceptor.flows.produce import produce
    from preceptor.models import open_model as model
    from preceptor.recipe import Recipe, load_recipe
    from preceptor.skill import Skill, load_skill
    from preceptor.types import Document, Dropped, Example, Instruction, Material, Verdict

WHERE = {
    "read": "preceptor.corpus",
    "load_skill": "preceptor.skill",
    "Skill": "preceptor.skill",
    "model": "preceptor.models",
    "ask": "preceptor.beside",
    "produce": "preceptor.flows.produce",
    "Recipe": "preceptor.recipe",
    "load_recipe": "preceptor.recipe",
    "run": "preceptor.factory",
    "Run": "preceptor.factory",
    "recheck": "preceptor.beside",
    "export": "preceptor.export",
    "draw": "preceptor.draws",
    "Document": "preceptor.types",
    "Material": "preceptor.types",
    "Instruction": "preceptor.types",
    "Example": "preceptor.types",
    "Verdict": "preceptor.types",
    "Dropped": "preceptor.types",
    "PreceptorError": "preceptor.errors",
}
ALIASES = {"model": "open_model"}

__all__ = [
    "Document",
    "Dropped",
    "Example",
    "Instruction",
    "Material",
    "PreceptorError",
    "Recipe",
    "Run",
    "Skill",
    "Verdict",
    "ask",
    "draw",
    "export",
    "load_recipe",
    "load_skill",
    "model",
    "produce",
    "read",
    "recheck",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module 'preceptor' has no attribute {name!r}; there are: {', '.join(__all__)}")
    found = getattr(import_module(WHERE[name]), ALIASES.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
