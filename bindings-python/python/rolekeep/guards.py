"""Decorators for functions that take a caller."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ._store import AnyCaller

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["require_permission"]


def require_permission(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Lets a function run only if the caller among its arguments may do this, else raises `Forbidden`.

    ```python
    @require_permission("document:delete")
    def delete(me: Caller, document: int) -> None: ...
    ```
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: P.args, **kwargs: P.kwargs) -> Any:
                _caller(args, kwargs).require(permission)
                return await function(*args, **kwargs)

            return later  # type: ignore[return-value]

        @functools.wraps(function)
        def at_once(*args: P.args, **kwargs: P.kwargs) -> R:
            _caller(args, kwargs).require(permission)
            return function(*args, **kwargs)

        return at_once

    return decorate


def _caller(args: tuple[object, ...], kwargs: dict[str, Any]) -> AnyCaller:
    for given in (*args, *kwargs.values()):
        if isinstance(given, AnyCaller):
            return given
    raise TypeError("no argument is a Caller")
