"""Parsers apart from us: one child process with limits serves file after file, and is replaced when it dies.

    Parsers.records(wish) ──JSON line──▶ child: parse ──JSON lines──▶ Record, Record, … end

A hostile or broken file can crash, hang or fill a parser. It then takes the child along, its line says so, and the
next file gets a new child. The child has no keys in its environment, no network where the kernel allows to take it
away, and may not write files. Nothing but JSON comes back.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from preceptor.corpus.parse import Record, Wish, parse
from preceptor.corpus.sniff import Unreadable

MEMORY = 4 << 30  # bytes of address space
SECONDS = 120.0  # for the next record of one file, and of processor for a whole file of one text
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000


@dataclass(slots=True)
class Parsers:
    """Holds the child. `close()` ends it; using it as a context manager does so too."""

    memory: int = MEMORY
    seconds: float = SECONDS
    child: "subprocess.Popen[bytes] | None" = None
    rest: bytes = b""
    """What the child has sent beyond the last whole line."""
    started: int = field(default=0)
    """How many children there have been: one, unless files kill them."""

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def records(self, wish: Wish) -> Iterator[Record]:
        """The file's texts. Raises Unreadable, also for a file that kills or stalls the parser."""
        child = self.child or self.start()
        ended = False
        try:
            self.send(child, wish)
            while True:
                answer = self.answer(child)
                if "record" in answer:
                    yield Record(**answer["record"])
                    continue
                ended = True
                if answer.get("unreadable"):
                    raise Unreadable(answer["unreadable"])
                return
        finally:
            if not ended:  # stalled, dead, or the caller wants no more of this file: this child is of no further use
                self.close()

    def start(self) -> "subprocess.Popen[bytes]":
        home = str(Path(__file__).resolve().parents[2])
        # Only what Python needs to start: no keys, no proxies.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "preceptor.corpus.child", str(self.memory), str(self.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | {"PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # Ctrl-C is for us; we close the child
        )
        self.rest = b""
        self.started += 1
        return self.child

    def send(self, child: "subprocess.Popen[bytes]", wish: Wish) -> None:
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(asdict(wish)).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            raise Unreadable("could not be read: the parser ended before it began; try again") from None

    def answer(self, child: "subprocess.Popen[bytes]") -> dict[str, Any]:
        """The child's next line. Raises Unreadable when it dies or says nothing for too long."""
        assert child.stdout is not None
        until = time.monotonic() + self.seconds
        while b"\n" not in self.rest:
            with selectors.DefaultSelector() as selector:
                selector.register(child.stdout, selectors.EVENT_READ)
                ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                raise Unreadable(f"took the parser more than {self.seconds:g} s: split it, or save it as .txt")
            data = os.read(child.stdout.fileno(), 1 << 20)
            if not data:
                raise Unreadable(died(child.wait(), self.seconds))
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        child, self.child = self.child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # a request that the dead child never read
                    continue


def died(code: int, seconds: float) -> str:
    """Why the child ended, in words for the file's owner."""
    if code == -24:  # SIGXCPU
        return f"took the parser more than {seconds:g} s of processor: split it, or save it as .txt"
    if code in (-9, -6, 137):
        return "took the parser more memory than it may have: split it, or save it as .txt"
    return f"crashed its parser ({code}): export it again, or save it as .txt"


def limited(memory: int) -> None:
    """Take from this process what a parser does not need. What the system refuses to take is left."""
    import ctypes
    import resource

    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # a harder limit is set already, or the system has none (macOS and RLIMIT_AS)
            continue
    sys.addaudithook(no_network)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def no_network(event: str, arguments: tuple[Any, ...]) -> None:
    """For systems without namespaces: Python's own sockets and processes are refused."""
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.exec", "os.system", "os.fork", "os.posix_spawn"):
        raise PermissionError(f"a parser may not {event}")


def processor(seconds: float) -> None:
    """Give this process `seconds` of processor from now on."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def serve(requests: IO[bytes], replies: IO[bytes], seconds: float) -> None:
    """Answer each request line with the file's records and an end."""

    def say(answer: dict[str, Any]) -> None:
        replies.write(json.dumps(answer).encode() + b"\n")
        replies.flush()

    for line in requests:
        processor(seconds)
        try:
            for record in parse(Wish(**json.loads(line))):
                say({"record": asdict(record)})
                processor(seconds)
            say({"end": True})
        except Unreadable as reason:
            say({"unreadable": str(reason)})
        except MemoryError:
            say({"unreadable": "took the parser more memory than it may have: split it, or save it as .txt"})
        except RecursionError:
            say({"unreadable": "is nested too deeply to be read: simplify it, or save it as .txt"})
        except ImportError as error:
            say({"unreadable": f'needs {error.name}, which is not installed: type  pip install "preceptor[docs]"'})
        except OSError as error:
            say({"unreadable": f"cannot be read ({error.strerror or error}): check the file and its rights"})
        except Exception as error:  # the boundary: what a parser raises is a fact about the file
            what = f"{type(error).__name__}: {str(error)[:100]}"
            say({"unreadable": f"broke its parser ({what}): export it again, or save it as .txt"})


def main() -> None:
    """The child's whole life. File descriptor 1 is kept for answers; what libraries print goes nowhere."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limited(int(sys.argv[1]))
    serve(sys.stdin.buffer, replies, float(sys.argv[2]))


if __name__ == "__main__":
    main()
