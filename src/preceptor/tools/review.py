"""People look at instructions before answers are paid for: one line each in a file, to keep, edit or decline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from preceptor.errors import Parked, RecipeError

DECISIONS = ("keep", "edit", "decline")
UNDECIDED = ""


class Review:
    """The file of instructions that wait for a person. The item waits until its instruction has a decision."""

    name = "review"
    version = "1"
    declaration: Mapping[str, Any] = {
        "name": "review",
        "description": "Ask a person to keep, edit or decline an instruction.",
        "parameters": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "kind": {"type": "string"},
                "goal": {"type": "string"},
                "text": {"type": "string"},
                "options": {"type": "array"},
                "gold": {},
                "passage": {"type": "string"},
            },
            "required": ["id", "kind", "text"],
        },
    }

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen = (0, 0)
        self._lines: dict[str, dict[str, Any]] = {}

    async def __call__(self, **shown: Any) -> dict[str, Any]:
        """The person's decision. Raises Parked where there is none yet, after the instruction is in the file."""
        line = self._read().get(shown["id"])
        if line is None:
            self._write({"decision": UNDECIDED, "reason": "", **shown})
            raise Parked(f"an instruction waits for review in {self.file}")
        decision = str(line.get("decision", "")).strip().lower()
        if decision == UNDECIDED:
            raise Parked(f"an instruction waits for review in {self.file}")
        if decision not in DECISIONS:
            raise RecipeError(f"{self.file}: instruction {shown['id']}: decision {decision!r}; there are: keep, edit, decline")
        return {"decision": decision, "text": str(line.get("text", "")), "reason": str(line.get("reason", ""))}

    def waiting(self) -> int:
        """How many instructions have no decision yet."""
        return sum(not str(line.get("decision", "")).strip() for line in self._read().values())

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self.file.exists():
            return {}
        stat = self.file.stat()
        if (stat.st_mtime_ns, stat.st_size) != self._seen:
            self._seen = (stat.st_mtime_ns, stat.st_size)
            self._lines = {line["id"]: line for line in map(self._line, enumerate(self._text(), 1)) if line}
        return self._lines

    def _text(self) -> list[str]:
        return self.file.read_text(encoding="utf-8").splitlines()

    def _line(self, numbered: tuple[int, str]) -> dict[str, Any]:
        number, text = numbered
        if not text.strip():
            return {}
        try:
            line = orjson.loads(text)
            return {**line, "id": str(line["id"])}
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise RecipeError(
                f"{self.file}, line {number}: not a line of a review file ({error}); "
                "each line is one JSON object with id and decision"
            ) from None

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.file.open("ab") as out:
            out.write(orjson.dumps(line) + b"\n")
