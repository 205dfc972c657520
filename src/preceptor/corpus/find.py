"""Which files a user's paths mean: folders, globs and files, each once, in an order that no file system decides."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.corpus.describe import LICENCE_FILES
from preceptor.errors import DocumentError

SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
WILD = "*?["


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, or with a reason one that is not read."""

    source: str
    path: Path
    reason: str = ""


def found(paths: Sequence[str | Path], root: str | Path | None = None) -> list[Found]:
    """The files that `paths` mean, sorted by source. Raises DocumentError for a path that is not there."""
    if not paths:
        raise DocumentError(
            "no path to read documents from: name files, folders or globs, such as  documents/  or  notes/**/*.md"
        )
    starts = [(Path(os.path.abspath(p)), asked) for asked in map(str, paths) for p in expanded(asked)]
    base = Path(os.path.abspath(root)) if root is not None else common([path for path, _ in starts], paths)
    files: dict[Path, Found] = {}
    taken: dict[str, Path] = {}
    for start, asked in starts:
        for one in walk(start, ()):
            known = files.get(one.path)
            if known is None:
                source = free(one.path, base if one.path.is_relative_to(base) else outside(start, asked), taken)
                files[one.path] = replace(one, source=source + ("/" if one.source == "/" else ""))
            elif known.reason and not one.reason:
                files[one.path] = replace(known, reason="")
    return sorted(files.values(), key=lambda file: file.source)


def outside(start: Path, asked: str) -> Path:
    """What the sources of a path outside the root are relative to: `/data/seeds` gives `seeds/…` on every machine."""
    glob_of = any(sign in asked for sign in WILD) and not os.path.lexists(asked)
    named = Path(os.path.abspath(fixed(os.path.expanduser(asked)))) if glob_of else start
    return named.parent


def free(path: Path, base: Path, taken: dict[str, Path]) -> str:
    """The path's source relative to `base`, or to a folder above where another file has that name already."""
    while (source := path.relative_to(base).as_posix()) in taken and base != base.parent:
        base = base.parent
    taken[source] = path
    return source


def expanded(asked: str) -> list[str]:
    """A path as it is, a glob as what it matches. Raises DocumentError where there is nothing."""
    asked = os.path.expanduser(asked)
    if os.path.lexists(asked):
        return [asked]
    if any(sign in asked for sign in WILD):
        matches = [match for match in sorted(glob.glob(asked, recursive=True)) if not os.path.isdir(match)]
        if matches:
            return matches
        raise DocumentError(f"no file matches {asked!r}; {there_is(fixed(asked))}. Quote the glob and try  {fixed(asked)}/**/*")
    parent = os.path.dirname(asked.rstrip("/")) or "."
    raise DocumentError(f"no file or folder {asked!r}; {there_is(parent)}")


def fixed(asked: str) -> str:
    """The part of a glob before its first wild sign, up to a folder."""
    parts = []
    for part in asked.split("/"):
        if any(sign in part for sign in WILD):
            break
        parts.append(part)
    return "/".join(parts) or "."


def there_is(folder: str) -> str:
    """What a folder holds, as the second half of an error."""
    if not os.path.isdir(folder):
        return f"there is no folder {folder!r} either"
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return f"in {folder!r} there are: " + (", ".join(names[:12]) + (" …" if len(names) > 12 else "") if names else "no files")


def common(paths: list[Path], asked: Sequence[str | Path]) -> Path:
    """The folder that sources are relative to: the deepest that holds all that was asked for."""
    folders = [path if path.is_dir() else path.parent for path in paths]
    folders += [
        Path(os.path.abspath(fixed(str(p)))) for p in asked if any(sign in str(p) for sign in WILD) and not os.path.lexists(p)
    ]
    return Path(os.path.commonpath(folders))


def walk(path: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
    """The files at and under `path`, yet without their sources (`/` marks a folder); what is not read has its reason."""
    try:
        status = path.stat()
    except (OSError, RuntimeError) as error:
        yield Found("", path, unreachable(path, error))
        return
    if path.is_file():
        if LICENCE_FILES.match(path.name):
            yield Found("", path, "is a licence: it was taken as the licence of the files beside and below it")
        else:
            yield Found("", path)
        return
    if not path.is_dir():
        yield Found("", path, "is no regular file (a pipe, socket or device): take it out")
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        yield Found("/", path, f"is a symlink loop: it leads back to a folder above it; remove the link {path.name!r}")
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        yield Found("/", path, unreachable(path, error))
        return
    for name in names:
        child = path / name
        if name.startswith(".") or (name in SKIPPED and child.is_dir()):
            what = "folder" if child.is_dir() else "file"
            yield Found("/" if what == "folder" else "", child, f"is a hidden or generated {what}: name it to read it")
        else:
            yield from walk(child, (*above, here))


def unreachable(path: Path, error: BaseException) -> str:
    """What a failing look at the file means to its owner."""
    if isinstance(error, PermissionError):
        return f"may not be read by this user: type  chmod u+r {path.name!r}  or run as its owner"
    if getattr(error, "errno", None) == 40 or isinstance(error, RuntimeError):
        return f"is a symlink loop: remove the link {path.name!r}"
    if isinstance(error, FileNotFoundError):
        return (
            f"is a broken link: mend or remove it ({os.readlink(path)})"
            if path.is_symlink()
            else "is gone: it was there a moment ago"
        )
    return f"cannot be read ({getattr(error, 'strerror', None) or error}): check the file and its disk"
