"""What an area calls operations by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Ffi(Protocol):
    """A caller of blocking code."""

    def call(self, operation: str, given: Mapping[str, Any] | str = ...) -> str:
        """Runs an operation by name; JSON in and out."""
        ...


class AsyncFfi(Protocol):
    """A caller of asyncio code."""

    async def call(self, operation: str, given: Mapping[str, Any] | str = ...) -> str:
        """Runs an operation by name; JSON in and out."""
        ...
