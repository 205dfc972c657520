"""A run's documents: read from the recipe's paths, from a file of instructions, or as the run holds them already."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from preceptor import corpus
from preceptor.corpus.find import found as meant
from preceptor.draws import digest
from preceptor.engine.journal import Journal
from preceptor.engine.store import Store, documents_kept
from preceptor.errors import RecipeError, UserError
from preceptor.recipe import Recipe
from preceptor.types import Document

Notice: TypeAlias = Callable[[str], None]


def documents_of(recipe: Recipe, known: corpus.Known | None = None) -> corpus.Corpus:
    """The recipe's documents, cleaned, split and without duplicates; with what became of every file."""
    read = corpus.read(
        [recipe.path(p) for p in recipe.documents],
        root=recipe.root,
        licence=recipe.licence,
        language=recipe.language,
        size=corpus.Size(*recipe.chunk),
        known=known,
    )
    if not recipe.domain:
        return read
    return replace(read, documents=tuple(replace(d, domain=recipe.domain) for d in read.documents))


def instructions_of(recipe: Recipe) -> list[Document]:
    """The rows of `instructions` as documents of kind `instruction`, one a line."""
    file = recipe.path(recipe.instructions)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RecipeError(f"instructions = {recipe.instructions!r}: {error.strerror}: {file}") from None
    made = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            source = f"{file.name}#{number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise RecipeError(f"{file}, line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise RecipeError(f'{file}, line {number}: not a JSON object, such as {{"instruction": "…"}}')
            made.append(
                Document(
                    digest(source, line),
                    line,
                    source,
                    (0, len(line)),
                    "instruction",
                    recipe.language or "en",
                    recipe.domain or "general",
                    recipe.licence,
                )
            )
    if not made:
        raise RecipeError(
            f"{file} holds no instruction; one JSON object a line, such as "
            '{"instruction": "…", "passage": "…", "answer": "…"}'
        )
    return made


def examples_of(recipe: Recipe) -> list[str]:
    """The user's own rows as text for every prompt; at most the first fifty are taken, and at least five asked for."""
    if not recipe.examples:
        return []
    file = recipe.path(recipe.examples)
    try:
        rows = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise RecipeError(f"examples = {recipe.examples!r}: {error.strerror}: {file}") from None
    if not 5 <= len(rows) <= 50:
        raise RecipeError(
            f"examples = {recipe.examples!r}: {len(rows)} rows; 5 to 50 are asked for, so that they set a "
            "tone and leave room for the document"
        )
    return rows


def chosen(recipe: Recipe, notice: Notice, limit: int, stored: Sequence[Document] = ()) -> list[Document]:
    """The run's documents: those it has, in their order, then what is read and is like none of them."""
    if recipe.start == "respond":
        return list(islice(instructions_of(recipe), limit or None))
    known = corpus.Known()
    for document in stored:
        known.twin(document)  # remembered, so that what repeats it is left out
    read, held = documents_of(recipe, known), {document.source for document in stored}
    for line in read.lines:
        if line.reason and line.source not in held:
            notice(f"{line.source}: {line.reason}")
    return list(islice((*stored, *read.documents), limit or None))


Files: TypeAlias = list[list[Any]]


def files_of(recipe: Recipe) -> Files:
    """Source, size and time of every file that the recipe's paths mean: unchanged, they need not be read again."""
    if recipe.start == "respond":
        return []
    seen = [(file, file.path) for file in meant([recipe.path(p) for p in recipe.documents], recipe.root)]
    stats = [(file.source, path.stat()) for file, path in seen if path.is_file()]
    return [[source, known.st_size, known.st_mtime_ns] for source, known in stats]


def read_before(folder: Path, files: Files, notice: Notice) -> list[Document]:
    """The run's documents as they were first read; none where there is no run, or a file has come, gone or changed."""
    store = store_at(folder) if files else None
    if store is None:
        return []
    try:
        known = store.meta("read")
        if not known or known["files"] != files:
            return []
        for line in known["said"]:
            notice(line)
        return store.documents(known["documents"])
    finally:
        store.close()


async def grown(journal: Journal) -> None:
    """How many documents there were before some were added: what is made of those comes after all older rows."""
    before, grown = journal.meta("read"), journal.meta("grown") or []
    if before and (count := len(before["documents"])) not in grown:
        await journal.remember("grown", [*grown, count])


async def remember_read(journal: Journal, files: Files, documents: Sequence[Document], said: Sequence[str]) -> None:
    """A resumed run has its documents without opening a file: it starts sooner, and they are the same for certain."""
    for start in range(0, len(documents), 256):
        await journal.put(*documents_kept(documents[start : start + 256]))
    await journal.remember("read", {"files": files, "documents": [d.id for d in documents], "said": said})


def stored(folder: Path) -> list[Document]:
    """The documents that a run has planned already, in plan order; none where there is no run."""
    store = store_at(folder)
    if store is None:
        return []
    try:
        return store.documents()
    finally:
        store.close()


def store_at(folder: Path) -> Store | None:
    """The run at `folder`; none where there is none yet, or one that was killed before it had tables."""
    try:
        return Store(folder)
    except UserError:
        return None
