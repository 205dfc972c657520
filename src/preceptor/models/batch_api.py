"""Batch services of OpenAI's form as a transport: files go up, batches are made of them, and replies come down hours later.

    request ─▶ requests-001.jsonl ─▶ sealed ─▶ uploaded ─▶ a batch, found again by its tag ─▶ replies/001.jsonl ─▶ replayed
               (on the disk first)   batch-001.json says how far; written before each step      expired: what is done is
                                                                                                taken, the rest goes again

A request that is not answered yet raises Parked: its item leaves memory. Nothing is sent but by `poll`, which the engine
calls when no item can go on. Everything is in the folder, so that another process goes on where one was killed.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest
from preceptor.errors import DiskFull, EndpointError, Parked, RecipeError, ReplyError
from preceptor.files import sync_folder, whole
from preceptor.models import fit as fits
from preceptor.models.batch import BatchModel, _error_of
from preceptor.models.batch_service import Service
from preceptor.models.limits import Notice
from preceptor.models.openai import Endpoint, OpenAIModel
from preceptor.types import Completion, Request

WINDOW = 10_000
"""Calls of one batch."""
TRIES = 3
"""A request that came back without a reply so often is given up."""
EVERY = 15.0
"""Seconds between two looks at a batch."""
OVER = ("completed", "expired", "cancelled", "failed")


@dataclass(slots=True)
class _Batch:
    """How far the batch of one requests file is; what its JSON file holds."""

    number: str
    tag: str
    file_id: str = ""
    creating: bool = False
    """The service was asked to make it: it may be there although its id is not known."""
    batch_id: str = ""
    doubtful: bool = False
    """It was made after a process had died in the middle of making it: there may be two."""
    status: str = ""
    taken: bool = False


class BatchAPIModel(BatchModel):
    """A model at a batch service; the recipe's line is the endpoint's, with `batch = true`."""

    later = True

    def __init__(
        self,
        endpoint: Endpoint,
        folder: Path,
        *,
        window: int = WINDOW,
        within: str = "24h",
        every: float = EVERY,
        notice: Notice = lambda said: None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`within` is the time that the service is given for a batch, in its own words."""
        self.endpoint = endpoint
        self._plain = OpenAIModel(endpoint, notice=notice, environ=environ)
        self._service = Service(endpoint, notice, environ)
        self.window, self.within, self.every = window, within, every
        self._batches: dict[str, _Batch] = {}
        self._refused: dict[str, str] = {}
        self._tries: Counter[str] = Counter()
        self._lost: set[str] = set()
        self._waits: set[str] = set()
        self._polled = float("-inf")
        super().__init__(
            folder / digest(endpoint.url, endpoint.model), model=endpoint.model, notice=notice, fit=self._plain.fit
        )
        self.name = endpoint.model
        self._taken_up()

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def complete(self, request: Request) -> Completion:
        custom_id = fits.request_digest(request)
        if custom_id in self._answered and (completion := self._taken(custom_id, request)) is not None:
            return completion
        if custom_id in self._refused:
            raise ReplyError(f"{self.name}: {self._refused[custom_id]}")
        if custom_id not in self._written:
            self._new[custom_id] = self._line(custom_id, request)
            await self._flushed()
        parked = Parked(f"request {custom_id} of {request.agent} waits for a batch of {self.name}")
        parked.lost = custom_id in self._lost
        self._lost.discard(custom_id)
        raise parked

    def most_tokens(self, request: Request) -> int:
        """The most tokens that a completion of this request can be billed for."""
        return self._plain.most_tokens(request)

    async def close(self) -> None:
        await super().close()
        await self._service.close()
        await self._plain.close()

    def _line(self, custom_id: str, request: Request) -> bytes:
        body = {**self._plain.body(request, self.fit), "metadata": {"agent": request.agent}}
        if not self.endpoint.label_calls:
            del body["metadata"]
        line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)

    def _append(self, new: Mapping[str, bytes]) -> None:
        for start in range(0, len(new), self.window):
            self._append_part(dict(list(new.items())[start : start + self.window]))

    def _append_part(self, new: Mapping[str, bytes]) -> None:
        if self._current is None or len(self._current_ids) + len(new) > self.window:
            self._current, self._current_ids = self._next_file(), set()
        try:
            made = not self._current.exists()
            with self._current.open("ab") as out:
                out.write(b"".join(new.values()))
                out.flush()
                os.fsync(out.fileno())
            if made:
                sync_folder(self.folder)
        except OSError as error:
            raise DiskFull(f"{self._current} cannot be written: {error.strerror}") from None
        self._current_ids |= set(new)
        self._tries.update(new.keys())
        self._waits |= set(new)

    # ── what the folder holds ────────────────────────────────────────────────────────────────────────────────────

    def _taken_up(self) -> None:
        """Goes on with what an earlier process left: batches under way, and the last file if it was not sealed."""
        for path in sorted(self.folder.glob("batch-*.json")):
            batch = _Batch(**orjson.loads(path.read_bytes()))
            batch.doubtful |= batch.creating and not batch.batch_id
            self._batches[batch.number] = batch
        for path in self._requests():
            ids = [custom_id for custom_id, _ in _lines(path)]
            self._tries.update(ids)
            number = _number(path)
            if number not in self._batches:
                self._current, self._current_ids = path, set(ids)
        for path in sorted(self.folder.glob("errors-*.jsonl")):
            for custom_id, line in _lines(path):
                self._refuse(custom_id, line)
        self._waits = set(self._tries) - set(self._answered) - set(self._refused)
        for batch in self._batches.values():
            if batch.taken:
                self._again(batch, lost=False)

    def _refuse(self, custom_id: str, line: bytes) -> None:
        """An error for good; what may go better another time is not here."""
        if _for_good(said := orjson.loads(line)):
            self._refused[custom_id] = _error_of(said)
            self._waits.discard(custom_id)

    def _save(self, batch: _Batch) -> None:
        try:
            whole(self.folder / f"batch-{batch.number}.json", orjson.dumps(asdict(batch)))
        except OSError as error:
            raise DiskFull(f"{self.folder} cannot be written: {error.strerror}") from None

    # ── the service ──────────────────────────────────────────────────────────────────────────────────────────────

    async def poll(self) -> bool:
        """What waits is submitted, and what is ready is taken in. Whether anything was."""
        if not self._sealed() and time.monotonic() - self._polled < self.every:
            return False
        self._polled, came = time.monotonic(), False
        for batch in [b for b in self._batches.values() if not b.taken]:
            came |= await self._advanced(batch)
        if came and self._sealed():  # what has to go again goes now
            for batch in [b for b in self._batches.values() if not b.batch_id]:
                await self._advanced(batch)
        return came

    def _sealed(self) -> bool:
        """Every file of requests is on its way; whether any was not before."""
        open_files = [path for path in self._requests() if _number(path) not in self._batches]
        for path in open_files:
            self._seal(path)
        return bool(open_files)

    def waiting(self) -> int:
        """How many requests have no reply yet."""
        return len(self._waits)

    def _seal(self, path: Path) -> None:
        """Nothing more is written to the file; the intent to submit it is on the disk. Refuses ids that stand there twice."""
        ids = Counter(custom_id for custom_id, _ in _lines(path))
        if doubled := [custom_id for custom_id, times in ids.items() if times > 1]:
            raise RecipeError(
                f"{path}: {doubled[0]} stands there {ids[doubled[0]]} times, and a service would mix up the replies. Nothing "
                "was submitted; leave one line of each id in the file, then type the same command"
            )
        batch = _Batch(_number(path), digest(path.read_bytes()))
        self._save(batch)
        self._batches[batch.number] = batch
        self._current, self._current_ids = None, set()

    async def _advanced(self, batch: _Batch) -> bool:
        """The batch is one step on or more; whether replies came of it."""
        if not batch.batch_id:
            await self._submitted(batch)
            return False
        if batch.doubtful:
            await self._one_only(batch)
        said = await self._service.batch(batch.batch_id)
        if said is None:
            self._notice(f"{self.name}: batch {batch.batch_id} is not there any more; its calls count as paid and go again")
            return self._over(batch, lost=True)
        batch.status = str(said.get("status"))
        if batch.status not in OVER:
            return False
        if batch.status == "failed" and not said.get("output_file_id"):
            raise EndpointError(f"{self._service.where} refuses batch {batch.batch_id} of {self.name}: {_reasons(said)}")
        await self._fetched(batch, said)
        return self._over(batch, lost=False)

    async def _submitted(self, batch: _Batch) -> None:
        """The batch is made, once: each step is written down before it is taken."""
        if batch.doubtful and (there := await self._service.tagged(batch.tag)):
            batch.batch_id = str(there[0]["id"])
            self._notice(f"{self.name}: batch {batch.batch_id} was submitted before the last end; it is gone on with")
            self._save(batch)
            return
        path = self.folder / f"requests-{batch.number}.jsonl"
        if not batch.file_id:
            batch.file_id = await self._service.upload(path)
            self._save(batch)
        batch.creating = True
        self._save(batch)
        batch.batch_id = await self._service.create(batch.file_id, batch.tag, self.within)
        self._save(batch)
        self._notice(f"{self.name}: batch {batch.batch_id} of {sum(1 for _ in _lines(path))} calls is submitted")

    async def _one_only(self, batch: _Batch) -> None:
        """Where a process died in the middle of submitting there may be two batches of one file: one is kept."""
        for other in await self._service.tagged(batch.tag):
            if other["id"] != batch.batch_id and other.get("status") not in (*OVER, "cancelling"):
                self._notice(f"{self.name}: batch {other['id']} is {batch.batch_id} once more; it is cancelled")
                await self._service.cancel(str(other["id"]))

    async def _fetched(self, batch: _Batch, said: Mapping[str, Any]) -> None:
        """Output and errors are files of the folder: of an expired or cancelled batch too, as far as it came."""
        (self.folder / "replies").mkdir(exist_ok=True)
        for key, path in (
            ("output_file_id", f"replies/{batch.number}.jsonl"),
            ("error_file_id", f"errors-{batch.number}.jsonl"),
        ):
            if said.get(key):
                await self._service.download(str(said[key]), self.folder / path)
        self._look(force=True)
        errors = self.folder / f"errors-{batch.number}.jsonl"
        for custom_id, line in _lines(errors) if errors.exists() else ():
            self._refuse(custom_id, line)
        ids = {custom_id for custom_id, _ in _lines(self.folder / f"requests-{batch.number}.jsonl")}
        if len(ids) > 1 and ids <= set(self._refused):
            why = self._refused[min(ids)]
            for name in (f"requests-{batch.number}.jsonl", f"errors-{batch.number}.jsonl", f"batch-{batch.number}.json"):
                (self.folder / name).rename(self.folder / f"refused-{name}")
            raise EndpointError(
                f"{self._service.where} refuses every call of batch {batch.batch_id}: {why}. Mend the model's line in the "
                'recipe (where it cannot hold replies to a schema: means = "json_object", or "instructions"), '
                "then type the same command"
            )

    def _over(self, batch: _Batch, lost: bool) -> bool:
        self._again(batch, lost)
        batch.taken = True
        self._save(batch)
        return True

    def _again(self, batch: _Batch, lost: bool) -> None:
        """What came back without a reply goes into the next file, if it has not been tried too often."""
        path, again = self.folder / f"requests-{batch.number}.jsonl", {}
        later = [ids for n, ids in self._later(batch.number)]
        for custom_id, line in _lines(path):
            if custom_id in self._answered or custom_id in self._refused or any(custom_id in ids for ids in later):
                continue
            if self._tries[custom_id] >= TRIES:
                self._refused[custom_id] = self._failed.get(custom_id, f"no reply in {TRIES} batches")
                self._waits.discard(custom_id)
            else:
                again[custom_id] = line
        if lost:
            self._lost |= set(again)
        if again:
            self._append(again)

    def _later(self, number: str) -> Iterator[tuple[str, set[str]]]:
        for path in self._requests():
            if _number(path) > number:
                yield _number(path), {custom_id for custom_id, _ in _lines(path)}

    def _take(self, path: Path, known: Any, number: int, offset: int, row: bytes) -> None:
        super()._take(path, known, number, offset, row)
        self._waits -= known.found.keys()


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The custom_id of each line, and the line."""
    with path.open("rb") as file:
        for row in file:
            if row.strip():
                yield str(orjson.loads(row)["custom_id"]), row


def _number(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def _for_good(said: Mapping[str, Any]) -> bool:
    """Whether asking again would bring the same error: the request itself was refused."""
    response = said.get("response")
    status = response.get("status_code") if isinstance(response, Mapping) else None
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 425, 429)


def _reasons(said: Mapping[str, Any]) -> str:
    errors = (said.get("errors") or {}).get("data") or []
    return "; ".join(str(e.get("message")) for e in errors[:3]) or "no reason given"
