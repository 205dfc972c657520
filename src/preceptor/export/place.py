"""A dataset's folder goes from one generation to the next in one step; its manifest says what belongs to it.

    .dataset.new   written and synced ─▶ exchanged with dataset ─▶ the old one, now under the other name, is removed

Whoever opens the folder finds the old generation or the new one, whatever instant a crash came at. Where the folder holds
other things too, or names cannot be exchanged, file after file is moved in and the manifest comes last: a folder without
one is unfinished, and is refused.
"""

import ctypes
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import orjson

from preceptor.errors import DamagedRun, UserError
from preceptor.files import staged, sync_folder, told_of
from preceptor.points import reached

MANIFEST = "manifest.json"
OLDER = ("rows", "preference", "rejected", "surplus", "dropped")
"""What a dataset's files are called where no manifest says so."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A dataset's files, each with its rows (None for text), bytes and hash; `generation` stands for all of them."""

    generation: str
    files: Mapping[str, Mapping[str, Any]]


def place(folder: Path, write: Callable[[Path], Mapping[str, int | None]]) -> Manifest:
    """`folder` holds what `write` puts into the folder it is given, and nothing of the generation before.

    `write` returns the rows of each file by name (None for text). Raises DiskFull; the older generation is whole then.
    """
    folder = folder.resolve()
    with told_of(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent):
            new = _beside(folder)
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            try:
                reached("preceptor.export.begun")
                manifest = _manifest(new, write(new))
                staged(new / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
                sync_folder(new)
                reached("preceptor.export.staged")
                _placed(new, folder)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    reached("preceptor.export.done")
    return manifest


def manifest_of(folder: Path) -> Manifest:
    """The dataset's manifest. Raises UserError where `folder` is no finished dataset."""
    try:
        told = orjson.loads((folder / MANIFEST).read_bytes())
        return Manifest(told["generation"], told["files"])
    except FileNotFoundError:
        raise UserError(f"no finished dataset at {folder}: there is no {MANIFEST}; `preceptor export RUN` writes it") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, OSError):
        raise UserError(f"{folder / MANIFEST} cannot be read; `preceptor export RUN` writes it anew") from None


def faults_of(folder: Path) -> list[tuple[str, str]]:
    """Files of the dataset that are not what was written, each with what is wrong."""
    found = []
    for name, told in manifest_of(folder).files.items():
        file = folder / name
        if not file.is_file():
            found.append((name, "is not there"))
        elif file.stat().st_size != told["bytes"]:
            found.append((name, f"has {file.stat().st_size} bytes of {told['bytes']}"))
        elif _hash(file) != told["sha256"]:
            found.append((name, "is not what was written"))
    return found


def whole_dataset(folder: Path) -> Manifest:
    """The manifest of a dataset whose every file is what was written. Raises UserError or DamagedRun."""
    manifest = manifest_of(folder)
    if faults := faults_of(folder):
        name, what = faults[0]
        raise DamagedRun(f"{folder / name} {what}; `preceptor export RUN` writes it anew")
    return manifest


def _manifest(folder: Path, rows: Mapping[str, int | None]) -> Manifest:
    files = {
        name: {"rows": count, "bytes": (folder / name).stat().st_size, "sha256": _hash(folder / name)}
        for name, count in rows.items()
    }
    return Manifest(sha256(orjson.dumps(files)).hexdigest()[:16], files)


def _hash(file: Path) -> str:
    with file.open("rb") as held:
        return file_digest(held, "sha256").hexdigest()


# ── into its place ───────────────────────────────────────────────────────────────────────────────────────────────


def _placed(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
    elif new.parent == folder or set(_names(folder)) - _ours(folder) or not _exchanged(new, folder):
        _moved(new, folder)
    reached("preceptor.export.placed")
    sync_folder(folder.parent)


def _moved(new: Path, folder: Path) -> None:
    """File after file into a folder that is not ours alone; without a manifest until all are there."""
    older, names = _ours(folder), _names(new)
    (folder / MANIFEST).unlink(missing_ok=True)
    sync_folder(folder)
    for name in sorted(names, key=lambda name: name == MANIFEST):
        reached("preceptor.export.moving")
        if name == MANIFEST:
            for gone in older - set(names):
                (folder / gone).unlink(missing_ok=True)
            sync_folder(folder)
        (new / name).replace(folder / name)
    sync_folder(folder)


def _beside(folder: Path) -> Path:
    """Where the new generation is written: under a name of its own beside the folder, or in it where that cannot be."""
    apart = folder.exists() and folder.stat().st_dev != folder.parent.stat().st_dev
    if apart or not os.access(folder.parent, os.W_OK):
        return folder / ".new"
    return folder.parent / f".{folder.name}.new"


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != ".new"]


def _ours(folder: Path) -> set[str]:
    """The files in the folder that an export wrote."""
    if (folder / MANIFEST).is_file():
        try:
            return {MANIFEST, *manifest_of(folder).files}
        except UserError:
            return {MANIFEST}
    if not (folder / "rows.jsonl").is_file():
        return set()
    named = {f"{stem}{end}" for stem in OLDER for end in (".jsonl", ".parquet")}
    return {name for name in _names(folder) if name in named or name == "README.md"}


def _exchanged(one: Path, other: Path) -> bool:
    """The two folders have changed names with one another, in one step; False where the system cannot."""
    library, swap = ctypes.CDLL(None, use_errno=True), 2
    if hasattr(library, "renameat2"):
        here = -100
        return bool(library.renameat2(here, os.fsencode(one), here, os.fsencode(other), swap) == 0)
    if hasattr(library, "renamex_np"):
        return bool(library.renamex_np(os.fsencode(one), os.fsencode(other), swap) == 0)
    return False


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One export at a time in this folder; the others wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
