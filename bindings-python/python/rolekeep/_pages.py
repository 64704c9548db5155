"""All rows of a list, page after page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from .records import Page

T = TypeVar("T")


def all_rows(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """The rows of all pages; `read` gives the page after a cursor."""
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


async def all_rows_async(read: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """`all_rows` for asyncio."""
    cursor: str | None = None
    while True:
        page = await read(cursor)
        for row in page.items:
            yield row
        cursor = page.next_cursor
        if cursor is None:
            return
