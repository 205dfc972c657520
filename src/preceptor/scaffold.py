"""New things to start from: a commented recipe for someone's documents, and a skill pack that runs."""

import re
import shutil
from pathlib import Path

from preceptor.errors import RecipeError, UserError
from preceptor.prompts import fill
from preceptor.skill import BUILT_IN

TEMPLATE = BUILT_IN / "_template"
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def new_recipe(folder: Path, documents: list[str], url: str, model: str, key_env: str, force: bool = False) -> Path:
    """A commented recipe in `folder`, for these documents and this endpoint. An existing one is left alone."""
    file = folder / "recipe.toml"
    if file.exists() and not force:
        raise RecipeError(f"{file} is there already; say --force to write it anew, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    globs = documents or ["documents/**/*"]
    slots = {"name": folder.resolve().name, "documents": globs, "url": url, "model": model, "key_env": key_env}
    file.write_text(fill((TEMPLATE / "recipe.toml.jinja").read_text(encoding="utf-8"), slots) + "\n", encoding="utf-8")
    return file


def new_skill(name: str, into: Path) -> Path:
    """A copy of the template pack under `into`, named `name`: two kinds, one deciding check, and it runs as it is."""
    if not NAME.match(name):
        raise UserError(f"{name!r} is no name for a skill; small letters, digits and _ make one, such as tide_tables")
    folder = into / name
    if folder.exists():
        raise UserError(f"{folder} is there already; choose another name, or remove it first")
    shutil.copytree(TEMPLATE / "pack", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        text = file.read_text(encoding="utf-8")
        if "my_skill" in text or "My skill" in text:
            file.write_text(
                text.replace("my_skill", name).replace("My skill", name.replace("_", " ").capitalize()), encoding="utf-8"
            )
    return folder
