"""Importing users from a source of any size."""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Protocol, TypedDict
from uuid import UUID

from ._codec import EMPTY
from ._store import AsyncCaller, Caller
from .records import FirebaseHashing, Import, ImportFormat, ImportLevel, ImportProgress, ImportShape, ImportStatus, OnExisting

PIECE = 128 * 1024
"""So many bytes are fed at a time: about what one commit takes."""
LONGEST = 1024 * 1024
"""And of one record that is longer."""
BYTES = (bytes, bytearray, memoryview)


class BinaryReader(Protocol):
    """A file that is open for reading bytes, or what is read like one."""

    def read(self, size: int, /) -> bytes: ...


class AsyncBinaryReader(Protocol):
    """The same for asyncio: an upload of FastAPI, a `StreamReader`."""

    def read(self, size: int, /) -> Awaitable[bytes]: ...


def import_users(
    caller: Caller,
    data: BinaryReader | Iterable[bytes] | bytes | bytearray,
    source: str,
    format: ImportFormat,
    *,
    shape: ImportShape | None = None,
    on_existing: OnExisting | None = None,
    level: ImportLevel | None = None,
    match_email: bool | None = None,
    atomic: bool | None = None,
    trust_verified_emails: bool | None = None,
    without_unknown_hashes: bool | None = None,
    roles: Mapping[str, str] = EMPTY,
    groups: Mapping[str, str] = EMPTY,
    attributes: Mapping[str, str] = EMPTY,
    firebase: FirebaseHashing | None = None,
    resume: UUID | None = None,
    progress: Callable[[ImportProgress], object] | None = None,
) -> Import:
    """Imports users from a source of any size, of which no more than a piece is in memory; returns the finished import.

    An import ends early, with the status `stopped`, when too many of its records have failed. One that an error breaks
    off keeps what it made, and can be resumed.

    Args:
        data: A file that is open in binary mode, or the bytes, in parts of any size.
        source, format, …: What `imports.begin` takes.
        resume: An import that was broken off, with which it goes on: `data` is the same source from its beginning, and
            the other options are those it was begun with.
        progress: Is given what became of each piece, which is committed by then. An exception ends the import.
    """
    options = _Options(
        shape=shape, on_existing=on_existing, level=level, match_email=match_email, atomic=atomic,
        trust_verified_emails=trust_verified_emails, without_unknown_hashes=without_unknown_hashes, roles=roles,
        groups=groups, attributes=attributes, firebase=firebase,
    )
    imports = caller.imports
    feed = _Feed(imports.begin(source, format, **options) if resume is None else imports.resume(resume))
    for chunk in _chunks(data):
        for piece in feed.pieces(chunk):
            done = feed.note(imports.feed(**piece))
            if progress is not None:
                progress(done)
        if not feed.is_open:
            return feed.status
    return imports.finish(feed.status.id)


async def import_users_async(
    caller: AsyncCaller,
    data: AsyncBinaryReader | BinaryReader | AsyncIterable[bytes] | Iterable[bytes] | bytes | bytearray,
    source: str,
    format: ImportFormat,
    *,
    shape: ImportShape | None = None,
    on_existing: OnExisting | None = None,
    level: ImportLevel | None = None,
    match_email: bool | None = None,
    atomic: bool | None = None,
    trust_verified_emails: bool | None = None,
    without_unknown_hashes: bool | None = None,
    roles: Mapping[str, str] = EMPTY,
    groups: Mapping[str, str] = EMPTY,
    attributes: Mapping[str, str] = EMPTY,
    firebase: FirebaseHashing | None = None,
    resume: UUID | None = None,
    progress: Callable[[ImportProgress], object] | None = None,
) -> Import:
    """`import_users` for asyncio. A plain file is read in a thread; `progress` may be `async`."""
    options = _Options(
        shape=shape, on_existing=on_existing, level=level, match_email=match_email, atomic=atomic,
        trust_verified_emails=trust_verified_emails, without_unknown_hashes=without_unknown_hashes, roles=roles,
        groups=groups, attributes=attributes, firebase=firebase,
    )
    imports = caller.imports
    begun = await (imports.begin(source, format, **options) if resume is None else imports.resume(resume))
    feed = _Feed(begun)
    async with aclosing(_chunks_async(data)) as chunks:
        async for chunk in chunks:
            for piece in feed.pieces(chunk):
                done = feed.note(await imports.feed(**piece))
                answer = None if progress is None else progress(done)
                if inspect.isawaitable(answer):
                    await answer
            if not feed.is_open:
                return feed.status
    return await imports.finish(feed.status.id)


class _Options(TypedDict):
    shape: ImportShape | None
    on_existing: OnExisting | None
    level: ImportLevel | None
    match_email: bool | None
    atomic: bool | None
    trust_verified_emails: bool | None
    without_unknown_hashes: bool | None
    roles: Mapping[str, str]
    groups: Mapping[str, str]
    attributes: Mapping[str, str]
    firebase: FirebaseHashing | None


class _Piece(TypedDict):
    id: UUID
    at: int
    data: str
    is_last: bool


class _Feed:
    """An import, and what has come of its source and was not read yet: the beginning of a record."""

    def __init__(self, begun: Import) -> None:
        self.status = begun
        self._held = bytearray()
        self._size = PIECE

    @property
    def is_open(self) -> bool:
        return self.status.status is ImportStatus.OPEN

    def pieces(self, chunk: bytes | None) -> Iterator[_Piece]:
        """What is to be fed now that this has come; none: the source has ended. `note` is told of each before the next."""
        self._held += chunk or b""
        is_over = chunk is None
        while self.is_open and (is_over or len(self._held) >= self._size):
            is_last = is_over and len(self._held) <= self._size
            data = base64.b64encode(self._held[: self._size]).decode()
            yield {"id": self.status.id, "at": self.status.position, "data": data, "is_last": is_last}
            if is_last and not self._held:
                return

    def note(self, done: ImportProgress) -> ImportProgress:
        used = done.import_.position - self.status.position
        del self._held[:used]
        # A record that is longer is fed whole.
        self._size = PIECE if used else min(2 * self._size, LONGEST)
        self.status = done.import_
        return done


def _chunks(data: BinaryReader | Iterable[bytes] | bytes | bytearray) -> Iterator[bytes | None]:
    """What a source gives, and none at its end."""
    read = getattr(data, "read", None)
    if read is not None:
        while chunk := _checked(read(PIECE)):
            yield chunk
    else:
        yield from map(_checked, [data] if isinstance(data, BYTES) else data)  # type: ignore[arg-type]
    yield None


async def _chunks_async(
    data: AsyncBinaryReader | BinaryReader | AsyncIterable[bytes] | Iterable[bytes] | bytes | bytearray,
) -> AsyncGenerator[bytes | None, None]:
    read = getattr(data, "read", None)
    if read is None and isinstance(data, AsyncIterable):
        async for chunk in data:
            yield _checked(chunk)
    elif inspect.iscoroutinefunction(read):
        while chunk := _checked(await read(PIECE)):
            yield chunk
    elif read is not None:
        while chunk := _checked(await asyncio.to_thread(read, PIECE)):
            yield chunk
    else:
        for part in _chunks(data):  # type: ignore[arg-type]
            if part is not None:
                yield part
    yield None


def _checked(chunk: object) -> bytes:
    if not isinstance(chunk, BYTES):
        raise TypeError(f"the source gives {type(chunk).__name__}, not bytes; files are opened in binary mode")
    return bytes(chunk)
