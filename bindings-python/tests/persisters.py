"""Storages written in Python."""

import asyncio
import json
import threading
import time

from rolekeep import Batch, Loaded


class LogPersister:
    """A file of batches, one a line."""

    def __init__(self, path, delay: float = 0) -> None:
        self.path, self.delay, self.threads = path, delay, set()
        self.known: list[Batch] = []
        self.read = 0

    def batches(self) -> list[Batch]:
        """All of them, of which those that are new are read."""
        if self.path.exists():
            with self.path.open() as log:
                log.seek(self.read)
                self.known += [json.loads(line) for line in log]
                self.read = log.tell()
        return self.known

    def load(self, since: int) -> Loaded:
        self.threads.add(threading.current_thread())
        batches = self.batches()
        changes = [change for batch in batches if batch["position"] > since for change in batch["changes"]]
        return {"position": len(batches), "changes": changes}

    def persist(self, batch: Batch) -> str:
        if batch["base"] != len(self.batches()):
            return "stale"
        time.sleep(self.delay)
        with self.path.open("a") as log:
            log.write(json.dumps(batch) + "\n")
        return "done"


class AsyncPersister(LogPersister):
    def __init__(self, path, delay: float = 0) -> None:
        super().__init__(path)
        self.pause, self.loops, self.is_closed = delay, set(), False

    async def load(self, since: int) -> Loaded:
        self.loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return super().load(since)

    async def persist(self, batch: Batch) -> str:
        await asyncio.sleep(self.pause)
        return super().persist(batch)

    async def close(self) -> None:
        self.is_closed = True
