"""A file is there whole or not at all: written aside, synced, renamed, its folder synced. The one place that writes so."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from preceptor.errors import DiskFull
from preceptor.points import reached

UNWRITABLE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room in {}"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make {} writable, or take another folder"),
    **dict.fromkeys((errno.EIO, errno.ENODEV), "see whether the disk of {} is still whole"),
}
"""What a disk says that cannot be written, and what is to be done then."""


def whole(file: Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """`file` holds `content` afterwards, through any crash; until then it is what it was. Returns `file`.

    `content` may be a function that writes the file it is given. Its folder is made if absent. Raises DiskFull where the
    disk cannot be written; nothing is left aside then.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    with told_of(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            _written(aside, content)
            aside.replace(file)
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()
        reached("preceptor.file.renamed")
        sync_folder(file.parent)
    reached("preceptor.file.done")
    return file


def staged(file: Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """`file` is written and on the disk: for files in a folder that is itself aside and takes its place when all are there."""
    with told_of(file):
        return _written(file, content)


def _written(file: Path, content: bytes | str | Callable[[Path], object]) -> Path:
    if callable(content):
        content(file)
        handle = os.open(file, os.O_RDWR)
    else:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        reached("preceptor.file.begun")
        if not callable(content):
            _all(handle, content.encode() if isinstance(content, str) else content)
        reached("preceptor.file.written")
        os.fsync(handle)
    finally:
        os.close(handle)
    reached("preceptor.file.synced")
    return file


def _all(handle: int, content: bytes) -> None:
    """A write may be short: it goes on until nothing is left."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def told_of(file: Path) -> Iterator[None]:
    """A disk that cannot be written is told as DiskFull, with the file's name."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        todo = UNWRITABLE[error.errno].format(file.parent)
        raise DiskFull(f"cannot write {file}: {error.strerror or error}; {todo}, then type the same command") from error
