"""An event loop for what the application wrote with `async def`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import threading
from typing import Any


class OwnLoop:
    """Runs what one object of the application answers, always on the same loop in a process."""

    def __init__(self, thread_name: str) -> None:
        self._thread_name = thread_name
        self._loops: dict[int, asyncio.AbstractEventLoop] = {}
        """By process, for a thread does not survive a fork."""

    def wait(self, answer: Any, seconds: float | None = None) -> Any:
        """Blocks until an awaitable is done, which is cancelled after so long; anything else is the answer already."""
        if not inspect.isawaitable(answer):
            return answer

        async def awaited() -> Any:
            return await asyncio.wait_for(answer, seconds)

        return asyncio.run_coroutine_threadsafe(awaited(), self._here()).result()

    def stop(self) -> None:
        """Lets the thread of this process end, if there is one."""
        loop = self._loops.pop(os.getpid(), None)
        if loop is not None:
            # Its thread may have seen it already.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.stop)

    def _here(self) -> asyncio.AbstractEventLoop:
        process = os.getpid()
        if process not in self._loops:
            made = asyncio.new_event_loop()
            # Several threads may come here at once. A lock might be held for ever in a forked child.
            if self._loops.setdefault(process, made) is made:
                threading.Thread(target=self._serve, args=(made,), name=self._thread_name, daemon=True).start()
            else:
                made.close()
        return self._loops[process]

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs a loop until `stop`: what the application raises or stops there is not the end of those that wait."""
        while self._loops.get(os.getpid()) is loop and not loop.is_closed():
            # A `SystemExit` of a task comes out here, too, once it is the task's answer.
            with contextlib.suppress(BaseException):
                loop.run_forever()
        loop.close()
