"""Runs short pure programs in pydantic-monty's worker processes: for machines that allow no namespaces."""

import threading
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

from preceptor.errors import ToolError

if TYPE_CHECKING:
    from preceptor.tools.sandbox import Limits, Ran

_MEMORY = 128 << 20


def version() -> str:
    """The version of pydantic-monty; empty where it is not installed or has no runtime."""
    try:
        import pydantic_monty  # noqa: F401

        return metadata.version("pydantic-monty")
    except (ImportError, metadata.PackageNotFoundError):
        return ""


class Pool:
    """Holds warm workers. The interpreter never runs in this process: a native fault ends a worker, not a run."""

    def __init__(self, most: int) -> None:
        import pydantic_monty

        self._lock = threading.Lock()
        self._pool: Any = pydantic_monty.Monty(max_processes=most, checkout_timeout=60)
        self._pool.__enter__()

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.__exit__(None, None, None)
                self._pool = None

    def run(self, code: str, limits: "Limits") -> "Ran":
        """Run `code` in a fresh session; blocks the calling thread for at most the limit and a second of grace."""
        import pydantic_monty as monty

        from preceptor.tools.sandbox import Ran

        if self._pool is None:
            raise ToolError("this sandbox is closed")
        kept = {"stdout": "", "stderr": ""}
        flooded: list[str] = []

        def keep(stream: str, text: str) -> None:
            room = limits.output - len(kept[stream])
            kept[stream] += text[: max(0, room)]
            if len(text) > room:
                flooded.append(stream)
                raise ValueError("too much output")

        bounds: monty.ResourceLimits = {
            "max_feed_duration_secs": limits.seconds,
            "max_memory": min(limits.memory, _MEMORY),
            "max_recursion_depth": 500,
            "max_total_sleep_secs": limits.seconds,
        }
        began, error, reason = time.monotonic(), "", ""
        try:
            # Fixed luck: the same program prints the same.
            with self._pool.checkout(limits=bounds, os_policy={"random_start": {"seed": 0}}) as session:
                session.feed_run(code, print_callback=keep)
        except monty.MontyCrashedError as crash:
            error, reason = str(crash), "time" if getattr(crash, "timed_out", False) else "crash"
        except (monty.MontySyntaxError, monty.MontyRuntimeError) as failure:
            error = str(failure.display())
            first = str(failure).partition(":")[0]
            reason = {"TimeoutError": "time", "MemoryError": "memory"}.get(first, "error")
        reason = "output" if flooded else reason
        seconds = round(time.monotonic() - began, 3)
        return Ran(not reason, kept["stdout"], (kept["stderr"] + error)[: limits.output], seconds, reason)
