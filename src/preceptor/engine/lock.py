"""The lock of a run folder: who writes it, told to whoever comes second; and whose own code is on the processor.

The kernel holds the lock and lets go of it when the process dies, however it dies. What the file says is for people: nobody
is driven out by what it says, whether its process number has been given to another or its host is another. Only where a
disk is shared between machines, whose locks one machine may not see, is it believed.
"""

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from preceptor.errors import RunLocked
from preceptor.files import told_of

BOX = 4096
"""Where in the file the item stands whose own code is on the processor: it is left there by a process that dies of it."""
ITEM_BYTES = 64
PATIENCE = 20
SHARED = ("nfs", "cifs", "smb", "ceph", "lustre", "gluster", "gpfs", "beegfs", "9p", "afs", "fuse.sshfs", "ocfs2", "gfs2")
"""Beginnings of the names of file systems that several machines may have open."""


class Lock:
    """Held from its making to `release`."""

    def __init__(self, path: Path, steal: bool = False, mounts: Path = Path("/proc/mounts")) -> None:
        """Lock `path`, made if absent. With `steal`, also where another has it: `path` is then a new file, and the other's
        lock is on one that no longer has a name. Raises RunLocked, or DiskFull where it cannot be written."""
        self.path = path
        with told_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            self._take(steal, mounts)
        except BaseException:
            os.close(self._handle)
            raise

    def _take(self, steal: bool, mounts: Path) -> None:
        held, told = not _flocked(self._handle), self._read_owner()
        for _ in range(PATIENCE if held else 0):
            if told:
                break
            time.sleep(0.01)  # who has just taken it has not yet said so
            told = self._read_owner()
        if held and not steal:
            raise RunLocked(f"{_who(self.path, told)} {self._way(held)}")
        if held:
            self._renew()
        elif not steal and _elsewhere(told) and _shared(self.path, mounts):
            raise RunLocked(f"{_who(self.path, told)} Its machine is another one, and the disk is shared. {self._way(held)}")
        self.last = self._read_box()
        """The item whose code was running when the last process died; empty where none was."""
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot()}
        mine["started"] = time.strftime("%Y-%m-%d %H:%M:%S%z")
        with told_of(self.path):
            os.pwrite(self._handle, orjson.dumps(mine).ljust(BOX + ITEM_BYTES, b"\0"), 0)

    def _way(self, held: bool) -> str:
        if held:
            return (
                "Wait for it or stop it; `preceptor status` reads it meanwhile. Where it hangs and cannot be stopped, "
                "`--steal` takes the run from it"
            )
        return "Stop it there; where it is gone for certain, `--steal` takes the run"

    def _renew(self) -> None:
        """A new file under the same name, locked before anybody can see it."""
        os.close(self._handle)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with told_of(self.path):
            self._handle = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o644)
            _flocked(self._handle)
            beside.replace(self.path)

    def release(self) -> None:
        """The run is free. Nothing in the file suspects anybody, or says that a process goes on."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
        os.close(self._handle)

    # ── whose code is running ────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, item: bytes) -> None:
        """The item's own code runs from here. What is written to a file outlives the process; a full disk is no matter."""
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, item, BOX)

    def leave(self) -> None:
        """No item's own code is."""
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, b"\0", BOX)

    def _read_owner(self) -> bytes:
        return os.pread(self._handle, BOX, 0).rstrip(b"\0")

    def _read_box(self) -> str:
        box = os.pread(self._handle, ITEM_BYTES, BOX)
        return "" if box[:1] in (b"", b"\0") else box.rstrip(b"\0").decode("ascii", "replace")


def _flocked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True


def _told(text: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _who(path: Path, text: bytes) -> str:
    told = _told(text)
    if {"pid", "host", "started"} <= told.keys():
        owner = f"process {told['pid']} on {told['host']}, since {told['started']}"
    else:
        owner = "another process, which has not said which"
    return f"{path.parent} is being written by {owner}."


def _elsewhere(text: bytes) -> bool:
    """Whether the file tells of a process of another machine. Two containers of one machine have one kernel and its locks."""
    told = _told(text)
    return bool(told) and told.get("boot") != _boot() and told.get("host") != socket.gethostname()


def _boot() -> str:
    """What tells this start of this kernel from all others; empty where there is no such thing."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return sys.platform


def _shared(path: Path, mounts: Path) -> bool:
    """Whether several machines may have the folder's disk open, by the kind of file system it is on."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in mounts.read_text().splitlines()]
        above = [(len(at), kind) for _, at, kind, *_ in lines if path.absolute().is_relative_to(at)]
        return bool(above) and max(above)[1].startswith(SHARED)
    return False
