"""Requests written to a folder, replies taken from it: for batch services, air-gapped clusters, answering by hand.

    FOLDER/requests-001.jsonl       written here: OpenAI batch lines, what `vllm run-batch -i` reads
    FOLDER/replies-001.jsonl        put here by you, under any name that starts with `replies`
    FOLDER/replies/*.jsonl          or here, under any name

A reply line is OpenAI's ({"custom_id", "response": {"status_code", "body"}}), or, for answering by hand, the short
{"custom_id": …, "content": text or object, "reasoning": …, "calls": [{"name", "arguments"}]}.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from preceptor.errors import Parked, RecipeError
from preceptor.files import sync_folder, told_of, whole
from preceptor.models import fit as fits
from preceptor.models import reply as replies
from preceptor.models.limits import Fault, Notice
from preceptor.types import Completion, Request

MOST_LINES = 50_000
"""In one requests file: the most that hosted batch services take."""
LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Replies:
    """What is known of one file of replies."""

    mark: tuple[int, int, int]
    """inode, size, time of the last change"""
    taken: int = 0
    """Bytes read so far, whole lines only."""
    lines: int = 0
    tail: bytes = b""
    """What stands just before `taken`: tells a grown file from a rewritten one."""
    found: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """custom_id → line number, offset, length."""


class BatchModel:
    """A model whose replies come later: `complete` answers from the folder, or writes the request and raises Parked."""

    def __init__(
        self,
        folder: Path | str,
        *,
        model: str = "default",
        fit: fits.Fit | None = None,
        notice: Notice = lambda said: None,
    ) -> None:
        self.folder = Path(folder)
        self.name = f"batch:{self.folder.name}"
        self.fit = fit or fits.Fit()
        self.price = None
        self.problems: list[str] = []
        """What was wrong with lines of replies, in the order in which it was seen."""
        self._model = model
        self._notice = notice
        self._files: dict[Path, _Replies] = {}
        self._answered: dict[str, Path] = {}
        self._failed: dict[str, str] = {}
        self._new: dict[str, bytes] = {}
        self._flush = asyncio.Lock()
        self._looked = float("-inf")
        self._current: Path | None = None
        self._current_ids: set[str] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecipeError(f"batch:{folder} cannot be used as a folder: {error.strerror}") from None
        self._written = self._already_written()
        self._look(force=True)

    async def complete(self, request: Request) -> Completion:
        custom_id = fits.request_digest(request)
        self._look()
        if custom_id in self._answered:
            completion = self._taken(custom_id, request)
            if completion is not None:
                return completion
        if custom_id not in self._written:
            self._new[custom_id] = self._line(custom_id, request)
            await self._flushed()
        said = self._failed.get(custom_id)
        raise Parked(
            f"request {custom_id} of {request.agent} waits for its reply in {self.folder}"
            + (f"; the last one was an error: {said}" if said else "")
        )

    async def close(self) -> None:
        await self._flushed()

    def waiting(self) -> int:
        """How many requests of the folder have no reply yet."""
        self._look(force=True)
        return len(self._written | set(self._new)) - len((self._written | set(self._new)) & set(self._answered))

    def _line(self, custom_id: str, request: Request) -> bytes:
        body = {
            "model": self._model,
            **fits.fitted(request, self.fit),
            "temperature": request.temperature,
            self.fit.token_key: request.max_tokens,
            "metadata": {"agent": request.agent},
        }
        line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)

    async def _flushed(self) -> None:
        """All new lines are on the disk afterwards: whoever comes first writes for all who wait."""
        async with self._flush:
            if not self._new:
                return
            new = dict(self._new)
            await asyncio.to_thread(self._append, new)
            self._written |= set(new)
            for custom_id in new:
                self._new.pop(custom_id, None)

    def _append(self, new: Mapping[str, bytes]) -> None:
        # A file that was answered in part has been handed out: growing it would be noticed by nobody.
        handed_out = any(custom_id in self._answered for custom_id in self._current_ids)
        full = len(self._current_ids) + len(new) > MOST_LINES
        if self._current is None or handed_out or full:
            self._current, self._current_ids = self._next_file(), set()
        with told_of(self._current):
            made = not self._current.exists()
            with self._current.open("ab") as out:
                out.write(b"".join(new.values()))
                out.flush()
                os.fsync(out.fileno())
            if made:
                sync_folder(self.folder)
        self._current_ids |= set(new)

    def _next_file(self) -> Path:
        numbers = [int(p.stem.rpartition("-")[2]) for p in self._requests() if p.stem.rpartition("-")[2].isdigit()]
        return self.folder / f"requests-{max(numbers, default=0) + 1:03}.jsonl"

    def _requests(self) -> list[Path]:
        return sorted(self.folder.glob("requests-*.jsonl"))

    def _already_written(self) -> set[str]:
        """The ids in the folder's requests. A last line that a crash cut off is taken out."""
        known: set[str] = set()
        for path in self._requests():
            raw = path.read_bytes()
            kept = raw[: raw.rfind(b"\n") + 1]
            if len(kept) < len(raw):
                whole(path, kept)
                self._notice(f"{path}: its last line was cut off by a crash and is written anew")
            for number, row in enumerate(kept.splitlines(), 1):
                try:
                    known.add(str(orjson.loads(row)["custom_id"]))
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    self._problem(f"{path} line {number} is no request; left alone")
        return known

    # replies

    def _look(self, force: bool = False) -> None:
        """Takes in what is new among the replies; at most twice a second, since every pending request asks."""
        now = time.monotonic()
        if not force and now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        paths = sorted({*self.folder.glob("replies*.jsonl"), *self.folder.glob("replies/*.jsonl")})
        for gone in set(self._files) - set(paths):
            self._forget(gone)
        for path in paths:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            stat = path.stat()
            mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            known = self._files.get(path)
            if known and known.mark == mark:
                return
            with path.open("rb") as file:
                if known is None or not _grown(known, file.fileno(), stat.st_size, stat.st_ino):
                    self._forget(path)
                    known = self._files[path] = _Replies(mark)
                known.mark = mark
                for number, offset, row in _whole_lines(file, known):
                    self._take(path, known, number, offset, row)
        except OSError as error:
            self._problem(f"{path} cannot be read: {error.strerror}")

    def _forget(self, path: Path) -> None:
        for custom_id in self._files.pop(path, _Replies((0, 0, 0))).found:
            if self._answered.get(custom_id) == path:
                del self._answered[custom_id]

    def _take(self, path: Path, known: _Replies, number: int, offset: int, row: bytes) -> None:
        where = f"{path} line {number}"
        try:
            said = orjson.loads(row)
        except orjson.JSONDecodeError:
            self._problem(f"{where} is not whole JSON; left out")
            return
        custom_id = said.get("custom_id") if isinstance(said, Mapping) else None
        if not isinstance(custom_id, str):
            self._problem(f"{where} has no custom_id; left out")
            return
        if custom_id not in self._written and custom_id not in self._new:
            # Kept all the same: its requests file may have been cleared away, and a run may still ask for it.
            self._problem(f"{where} answers {custom_id}, which is no request of this folder")
        if custom_id in self._answered:
            self._problem(f"{where} answers {custom_id} a second time; the first reply stays")
            return
        error = _error_of(said)
        if error:
            self._failed[custom_id] = f"{where}: {error}"
            self._problem(f"{where} is an error for {custom_id}: {error}; it goes on waiting")
            return
        known.found[custom_id] = (number, offset, len(row))
        self._answered[custom_id] = path

    def _taken(self, custom_id: str, request: Request) -> Completion | None:
        path = self._answered[custom_id]
        number, offset, length = self._files[path].found[custom_id]
        try:
            with path.open("rb") as file:
                file.seek(offset)
                said = orjson.loads(file.read(length))
            completion = replies.completion(_body_of(said), request, 0.0)
        except (OSError, orjson.JSONDecodeError, Fault) as error:
            self._problem(f"{path} line {number} holds no reply for {custom_id}: {error}; it goes on waiting")
            del self._answered[custom_id]
            self._failed[custom_id] = f"{path} line {number}: {error}"
            return None
        return fits.unfitted(completion, request, self.fit)

    def _problem(self, said: str) -> None:
        if said not in self.problems:
            self.problems.append(said)
            self._notice(said)


def _whole_lines(file: Any, known: _Replies) -> Iterator[tuple[int, int, bytes]]:
    """Line number, offset and text of each new whole line. A last line without its end is read too where it is whole
    JSON: people write files by hand."""
    file.seek(known.taken)
    for row in file:
        if not row.endswith(b"\n") and not _is_json(row):
            return  # still being written: taken at the next look
        offset, known.taken, known.lines = known.taken, known.taken + len(row), known.lines + 1
        known.tail = (known.tail + row)[-64:]
        if row.strip():
            yield known.lines, offset, row


def _grown(known: _Replies, descriptor: int, size: int, inode: int) -> bool:
    """Whether the file is the one that was read, with more behind."""
    if inode != known.mark[0] or size < known.taken:
        return False
    return os.pread(descriptor, len(known.tail), known.taken - len(known.tail)) == known.tail


def _is_json(row: bytes) -> bool:
    try:
        orjson.loads(row)
    except orjson.JSONDecodeError:
        return False
    return True


def _error_of(said: Mapping[str, Any]) -> str:
    """What went wrong with this request, by the line's own words. A rejected request can hold its error where the
    completion would be."""
    response = said.get("response")
    response = response if isinstance(response, Mapping) else {}
    status, body = response.get("status_code"), response.get("body")
    if said.get("error"):
        return replies.error_text(said["error"], "")
    if isinstance(status, int) and status >= 400:
        return f"{status} {replies.error_text(body, '')}"
    return replies.error_text(body, "") if isinstance(body, Mapping) and body.get("error") else ""


def _body_of(said: Mapping[str, Any]) -> Any:
    if "response" in said:
        response = said["response"]
        return response.get("body") if isinstance(response, Mapping) else None
    content, calls = said.get("content"), said.get("calls") or []
    message = {
        "content": content if isinstance(content, str) or content is None else orjson.dumps(content).decode(),
        "reasoning_content": said.get("reasoning") or "",
        "tool_calls": [{"id": call.get("id"), "function": call} for call in calls if isinstance(call, Mapping)],
    }
    if content is None and not calls:
        raise Fault("permanent", "neither `response` nor `content` nor `calls`")
    finish = said.get("finish") or ("tool_calls" if calls else "stop")
    return {"model": said.get("model") or "", "choices": [{"message": message, "finish_reason": finish}]}
