"""Decorators for functions and methods that take a caller."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ._store import AnyCaller

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["require_admin", "require_permission", "require_role"]


def require_permission(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Lets a function run only if the caller among its arguments may do this, else raises `Forbidden`.

    The caller is the first argument that is one, or the attribute `me` of the object whose method it is.

    ```python
    @require_permission("document:delete")
    def delete(me: Caller, document: int) -> None: ...
    ```
    """
    return _guard(lambda me: me.require(permission))


def require_role(role: str, scope: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The same for callers who hold a role; prefer permissions."""
    return _guard(lambda me: me.require_role(role, scope))


def require_admin() -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The same for administrators: who holds `admin:all`."""
    return _guard(lambda me: me.require_admin())


def _guard(require: Callable[[AnyCaller], None]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: P.args, **kwargs: P.kwargs) -> Any:
                require(_caller(args, kwargs))
                return await function(*args, **kwargs)

            return later  # type: ignore[return-value]

        @functools.wraps(function)
        def at_once(*args: P.args, **kwargs: P.kwargs) -> R:
            require(_caller(args, kwargs))
            return function(*args, **kwargs)

        return at_once

    return decorate


def _caller(args: tuple[object, ...], kwargs: dict[str, Any]) -> AnyCaller:
    for given in (*args, *kwargs.values(), *(getattr(each, "me", None) for each in args[:1])):
        if isinstance(given, AnyCaller):
            return given
    raise TypeError("no argument is a Caller")
