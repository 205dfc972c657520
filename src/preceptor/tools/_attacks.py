"""The start-up probe: small real attacks, run inside the sandbox, that report which of its walls hold."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any


def refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except (OSError, MemoryError, ValueError):
        return True
    return False


def told(path: str) -> bool:
    """True where something can be read there."""
    try:
        with open(path, "rb") as file:
            return file.read(1) != b""
    except OSError:
        return False


def written(path: str) -> bool:
    return not refused(lambda: os.open(path, os.O_CREAT | os.O_WRONLY))


def forks(most: int) -> int:
    """How many children could live at once."""
    made = []
    for _ in range(most):
        try:
            child = os.fork()
        except OSError:
            break
        if not child:
            time.sleep(5)
            os._exit(0)
        made.append(child)
    for child in made:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return len(made)


def new_namespace() -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
        raise OSError("unshare refused")


def oversized(size: int) -> None:
    with open("big", "wb") as file:
        file.truncate(size)


def report(asked: dict[str, Any]) -> dict[str, bool]:
    """Wall by wall, whether it held."""
    holds: dict[str, bool] = {}
    holds["identity"] = os.getuid() != 0 and refused(lambda: os.setuid(0))
    holds["files"] = not any(map(told, asked["secrets"]))
    holds["writing"] = not any(map(written, ("/out", "/usr/out", "/usr/lib/out", "/dev/out")))
    holds["network"] = refused(lambda: socket.create_connection(("127.0.0.1", asked["port"]), 1).close())
    holds["environment"] = set(os.environ) <= set(asked["environment"]) | {"PWD", "LC_CTYPE"}
    holds["processes"] = len([name for name in os.listdir("/proc") if name.isdigit()]) <= 4
    holds["forks"] = forks(asked["processes"] + 8) < asked["processes"] + 2
    holds["memory"] = refused(lambda: bytearray(asked["memory"]))
    holds["disk"] = refused(lambda: oversized(asked["file"] + 1))
    holds["namespaces"] = refused(new_namespace)
    return holds


if __name__ == "__main__":
    held = report(json.loads(sys.stdin.read()))
    print("Python", sys.version.split()[0])
    print(json.dumps(held))
