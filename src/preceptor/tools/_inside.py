"""Starts one untrusted program inside the sandbox: sent there as text, run as the sandbox's uid, never imported."""

import builtins
import os
import sys


def unpacked(blob: bytes) -> list[bytes]:
    """What the outside sent: netstrings of the program, its standard input, then path and content of each file."""
    parts: list[bytes] = []
    at = 0
    while at < len(blob):
        colon = blob.index(b":", at)
        end = colon + 1 + int(blob[at:colon])
        parts.append(blob[colon + 1 : end])
        at = end
    return parts


def lay_out(code: bytes, given: bytes, *files: bytes) -> None:
    """Put the program's files into the working folder, and `given` where standard input is."""
    for path, content in ((b"main.py", code), *zip(files[::2], files[1::2])):
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    # A file without a name: programs may seek in it and read it through any door (input(), fd 0, /dev/stdin).
    with open(".stdin", "wb") as file:
        file.write(given)
    opened = os.open(".stdin", os.O_RDONLY)
    os.unlink(".stdin")
    os.dup2(opened, 0)
    os.close(opened)


def run(code: bytes) -> None:
    """Run `code` as a script would be, in a `__main__` of its own."""
    # `-c` put the working folder first. Last, a given `json.py` shadows nothing of the standard library.
    sys.path[:] = [p for p in sys.path if p] + [os.getcwd()]
    sys.argv[:] = ["main.py"]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # what `site` would define
    main = type(sys)("__main__")
    main.__file__ = "main.py"
    sys.modules["__main__"] = main
    try:
        exec(compile(code, "main.py", "exec"), main.__dict__)  # noqa: S102 - what a sandbox is for
    except SystemExit:
        raise
    except BaseException as error:
        shown = error.__traceback__ and error.__traceback__.tb_next  # without this file's own frame
        sys.excepthook(type(error), error.with_traceback(shown), shown)
        sys.exit(1)


if __name__ == "__main__":
    # The one byte that says the sandbox stands. Nothing untrusted has run yet, so no program can forge it.
    os.write(1, b"+")
    sent = unpacked(b"".join(iter(lambda: os.read(0, 1 << 16), b"")))
    lay_out(*sent)
    run(sent[0])
