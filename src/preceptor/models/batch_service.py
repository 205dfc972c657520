"""The HTTP of a batch service: upload, make, look, find by tag, download, cancel; what fails in passing is tried again."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from preceptor.errors import DiskFull, EndpointError
from preceptor.models import reply as replies
from preceptor.models.limits import Fault, Notice, classify, retry_after, spoken
from preceptor.models.openai import Endpoint, _bare, _key, base_url

if TYPE_CHECKING:
    from aiohttp import ClientSession

ATTEMPTS = 6
TAG = "preceptor"
PAGES, PAGE = 20, 100
SECONDS = 120.0
TRANSFER_SECONDS = 3600.0


class Service:
    """A batch service at an endpoint's address."""

    def __init__(self, endpoint: Endpoint, notice: Notice, environ: Mapping[str, str] = os.environ) -> None:
        self.url = base_url(endpoint.url)
        self.where = _bare(self.url)
        self._key = _key(endpoint, environ)
        self._key_env = endpoint.key_env
        self._notice = notice
        self._session: ClientSession | None = None

    async def upload(self, path: Path) -> str:
        """The id of the file there."""
        import aiohttp

        def form() -> Any:
            made = aiohttp.FormData()
            made.add_field("purpose", "batch")
            made.add_field("file", path.open("rb"), filename=path.name, content_type="application/jsonl")
            return made

        return str((await self._said("POST", "/files", form=form))["id"])

    async def create(self, file_id: str, tag: str, within: str) -> str:
        """The id of a new batch of that file, which carries the tag.

        It is asked for once: whether a lost answer made one is found out by the tag.
        """
        body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": within}
        said = await self._said("POST", "/batches", {**body, "metadata": {TAG: tag}}, attempts=1, tag=tag)
        return str(said["id"])

    async def batch(self, batch_id: str) -> Mapping[str, Any] | None:
        """How it stands with the batch; None where the service does not know it."""
        said: Mapping[str, Any] | None = await self._said("GET", f"/batches/{batch_id}", missing=True)
        return said

    async def tagged(self, tag: str) -> list[Mapping[str, Any]]:
        """The batches that carry the tag, the oldest first."""
        found, after = [], ""
        for _ in range(PAGES):
            page = await self._said("GET", f"/batches?limit={PAGE}{after}")
            data = [one for one in page.get("data") or () if isinstance(one, Mapping)]
            found += [one for one in data if (one.get("metadata") or {}).get(TAG) == tag]
            if not page.get("has_more") or not data:
                break
            after = f"&after={data[-1]['id']}"
        return sorted(found, key=lambda one: one.get("created_at") or 0)

    async def cancel(self, batch_id: str) -> None:
        """The batch is to stop; what is done of it stays."""
        await self._said("POST", f"/batches/{batch_id}/cancel", missing=True)

    async def download(self, file_id: str, into: Path) -> None:
        """The file's content is on the disk, whole, under its name; a file that was half there is replaced."""
        half = into.with_name(f".{into.name}.half")

        async def taken(response: Any) -> None:
            try:
                with half.open("wb") as out:
                    async for chunk in response.content.iter_chunked(2**18):
                        out.write(chunk)
                    out.flush()
                    os.fsync(out.fileno())
                half.replace(into)
            except OSError as error:
                if error.errno is None or isinstance(error, ConnectionError):
                    raise
                raise DiskFull(f"{into} cannot be written: {error.strerror}; make room, then type the same command") from None

        await self._said("GET", f"/files/{file_id}/content", taken=taken)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ── one question ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _said(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        form: Any = None,
        taken: Any = None,
        attempts: int = ATTEMPTS,
        missing: bool = False,
        tag: str = "",
    ) -> Any:
        """What the service says; None where it knows no such thing and that may be. Raises EndpointError."""
        for attempt in range(1, attempts + 1):
            try:
                return await self._asked(method, path, body, form, taken)
            except Fault as fault:
                if fault.status == 404 and missing:
                    return None
                if fault.kind == "permanent" or (attempt == attempts and not tag):
                    raise self._refusal(method, path, fault) from None
                if tag:  # one made by an answer that was lost is found by its tag
                    await asyncio.sleep(1.0)
                    there = await self.tagged(tag)
                    return there[0] if there else await self._said(method, path, body, attempts=1)
                wait = fault.wait if fault.wait is not None else min(30.0, 0.5 * 2**attempt)
                self._notice(f"waiting {spoken(wait)} for {self.where}: {fault}")
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _asked(self, method: str, path: str, body: Any, form: Any, taken: Any) -> Any:
        import aiohttp

        headers = {"Accept": "application/json"} if taken is None else {}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        data = form() if form else None
        if body is not None:
            headers["Content-Type"], data = "application/json", orjson.dumps(body)
        timeout = aiohttp.ClientTimeout(total=TRANSFER_SECONDS if form or taken else SECONDS, sock_connect=10)
        try:
            async with self._open().request(
                method, self.url + path, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status == 200 and taken is not None:
                    return await taken(response)
                raw = self._key.scrub((await response.read()).decode("utf-8", "replace"))
                return self._read(response, raw)
        except TimeoutError:
            raise Fault("transient", f"no answer from {self.where}", status=408) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Fault("transient", self._key.scrub(str(error)) or type(error).__name__) from None

    def _read(self, response: Any, raw: str) -> Any:
        try:
            said = orjson.loads(raw)
        except orjson.JSONDecodeError:
            said = None
        if response.status in (200, 201) and isinstance(said, Mapping):
            return said
        told = replies.error_text(said, raw)
        kind = classify(response.status, told) if response.status >= 400 else "permanent"
        wait = retry_after(response.headers, time.time())
        raise Fault(kind, f"{response.status} {told}", status=response.status, wait=wait)

    def _refusal(self, method: str, path: str, fault: Fault) -> EndpointError:
        if fault.status in (401, 403):
            return EndpointError(f"{self.where} refuses the key in `{self._key_env}` ({fault})")
        if fault.status in (404, 405):
            return EndpointError(
                f"{self.where} has no batches ({method} {path}: {fault}); leave out batch = true, or check `url`"
            )
        return EndpointError(f"{self.where}: {method} {path}: {fault}")

    def _open(self) -> "ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session
