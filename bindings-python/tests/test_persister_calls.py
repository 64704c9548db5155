"""How a storage written in Python is called: one call at a time, whatever becomes of who waits for it."""

import asyncio
import threading
import time

import pytest
import rolekeep
from conftest import CHEAP
from rolekeep import Loaded, Reason, Unavailable
from persisters import AsyncPersister, LogPersister
from test_host import ROLES


class CountingPersister(LogPersister):
    """Counts the calls that run beside each other."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.running = self.most = 0

    def load(self, since: int) -> Loaded:
        self.running += 1
        self.most = max(self.most, self.running)
        time.sleep(self.delay)
        self.running -= 1
        return super().load(since)


class CountingAsyncPersister(CountingPersister):
    async def load(self, since: int) -> Loaded:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.delay)
        self.running -= 1
        return LogPersister.load(self, since)


@pytest.mark.parametrize("kind", [CountingPersister, CountingAsyncPersister])
@pytest.mark.parametrize("by", ["cancel", "health"])
def test_one_call_at_a_time_whoever_gives_up(tmp_path, kind, by):
    persister = kind(tmp_path / "log")

    async def main(um):
        persister.delay = 0.3 if by == "cancel" else 1.4
        for _ in range(4 if by == "cancel" else 2):
            if by == "health":
                assert (await um.health()).storage.reason == Reason.STORAGE_UNAVAILABLE
                continue
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(um.system.users.list(), 0.05)
        await um.system.users.list()

    um = rolekeep.open(persister=persister, **CHEAP)
    asyncio.run(main(um.aio))
    um.close()
    assert (persister.running, persister.most) == (0, 1)


@pytest.mark.parametrize("kind", [LogPersister, AsyncPersister])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_ends_programs_ends_no_store(open_store, tmp_path, kind, error):
    class Failing(kind):
        error = None

        def batches(self):
            if self.error:
                error, self.error = self.error, None
                raise error("once")
            return super().batches()

    def create(name):
        try:
            outcomes.append(um.system.users.create(f"{name}@example.org").email)
        except Unavailable as failed:
            outcomes.append((failed.reason, type(failed.__cause__)))

    persister, outcomes = Failing(tmp_path / "log"), []
    um = open_store(persister=persister, **ROLES)
    # Whoever hangs is left.
    for number in range(3):
        persister.error = error if number == 0 else None
        work = threading.Thread(target=create, args=(number,), daemon=True)
        work.start()
        work.join(10)
    assert outcomes[1:] == ["1@example.org", "2@example.org"]
    assert outcomes[0][0] == Reason.STORAGE_UNAVAILABLE


def test_what_stops_the_loop_of_a_persister_ends_no_store(open_store, tmp_path):
    class Stopping(AsyncPersister):
        async def load(self, since: int) -> Loaded:
            asyncio.get_running_loop().stop()
            return await super().load(since)

    um = open_store(persister=Stopping(tmp_path / "log"), **ROLES)
    um.system.users.create("ada@example.org")
    assert um.system.users.list().total == 1
