"""Events as they happen."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing, suppress

from ._error import RolekeepError
from ._store import AsyncCaller, Caller
from .errors import Conflict
from .records import ConsumerLease, Event, EventBatch, Reason

BATCH = 1_000
"""So many events are read at a time."""
BEAT_MILLIS = 30_000
"""How often it is looked anew where nobody tells of news. A thread that is to end waits for so long at most."""
RENEW_SECONDS = 10
"""How often a consumer renews its lease at least."""
CLAIM_SECONDS = 2
"""How soon a consumer that another process reads for is claimed again."""
ACKNOWLEDGE_AFTER_SECONDS = 5
"""For how long what was handled may be unacknowledged while more is there."""


def subscribe(caller: Caller, from_: str = "now") -> Generator[Event, None, None]:
    """The events behind a position, and then those that happen, without an end: what the caller may hear of.

    It begins where `from_` says when the first event is asked for. Break off by leaving the loop.

    Args:
        caller: Who asks.
        from_: A position, `now` or `earliest`.

    Raises:
        Conflict: Reason `position_gone` where the change feed no longer reaches back to the position,
            `position_foreign` where it is none of this store: read your data again, and continue from `now`.
    """
    batch = caller.events.read(from_=from_, limit=BATCH)
    while True:
        yield from batch.events
        if not batch.events and not batch.has_more:
            caller.call("events.wait", _wait(batch, BEAT_MILLIS))
        batch = caller.events.read(from_=batch.position, limit=BATCH)


async def subscribe_async(caller: AsyncCaller, from_: str = "now") -> AsyncGenerator[Event, None]:
    """`subscribe` for asyncio: `async for event in subscribe_async(me)`."""
    batch = await caller.events.read(from_=from_, limit=BATCH)
    while True:
        for event in batch.events:
            yield event
        if not batch.events and not batch.has_more:
            await caller.call("events.wait", _wait(batch, BEAT_MILLIS))
        batch = await caller.events.read(from_=batch.position, limit=BATCH)


def consume(caller: Caller, name: str) -> Generator[Event, None, None]:
    """The events of a consumer, from where it was left on, each at least once, without an end.

    While another process reads for the consumer, this one waits. An event counts as handled once the next one is asked
    for, and is acknowledged soon after; what a process had in hand when it ended is read again by the next. A consumer
    that is new begins with what happens from now on, unless it was claimed before (`consumers.claim`).

    Args:
        caller: The application itself.
        name: The consumer's name: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.

    Raises:
        Conflict: Reason `lease_lost`, if an event took more than 30 seconds and another process reads on
            meanwhile: begin again. Reasons `position_gone` and `position_foreign` as in `subscribe`.
    """
    lease = _claim(caller, name)
    try:
        with closing(_consumed(caller, lease)) as events:
            yield from events
    finally:
        # So that nobody waits for its end; where another process has it, that changes nothing. A failure is not what ended this.
        with suppress(RolekeepError):
            caller.consumers.release(name=name, lease=lease.lease)


def _consumed(caller: Caller, lease: ConsumerLease) -> Generator[Event, None, None]:
    handled = acknowledged = position = lease.position
    at = time.monotonic()

    def acknowledge() -> None:
        nonlocal acknowledged, at
        caller.consumers.acknowledge(name=lease.name, lease=lease.lease, position=handled)
        acknowledged, at = handled, time.monotonic()

    while True:
        batch = caller.events.read(from_=position, limit=BATCH)
        position = batch.position
        for event in batch.events:
            try:
                yield event
            except BaseException:
                # Whoever breaks off, or fails at one, has handled those before it.
                if handled != acknowledged:
                    with suppress(RolekeepError):
                        acknowledge()
                raise
            handled = event.position
            if time.monotonic() - at >= ACKNOWLEDGE_AFTER_SECONDS:
                acknowledge()
        handled = position
        if batch.events:
            acknowledge()
            continue
        if not batch.has_more:
            caller.call("events.wait", _wait(batch, RENEW_SECONDS * 1000))
        # What is no event alone is no reason: each acknowledgement is a commit, which wakes all other consumers.
        if time.monotonic() - at >= RENEW_SECONDS:
            acknowledge()


async def consume_async(caller: AsyncCaller, name: str) -> AsyncGenerator[Event, None]:
    """`consume` for asyncio: `async for event in consume_async(host, "mails")`."""
    lease = await _claim_async(caller, name)
    try:
        async with aclosing(_consumed_async(caller, lease)) as events:
            async for event in events:
                yield event
    finally:
        with suppress(RolekeepError):
            await caller.consumers.release(name=name, lease=lease.lease)


async def _consumed_async(caller: AsyncCaller, lease: ConsumerLease) -> AsyncGenerator[Event, None]:
    handled = acknowledged = position = lease.position
    at = time.monotonic()

    async def acknowledge() -> None:
        nonlocal acknowledged, at
        await caller.consumers.acknowledge(name=lease.name, lease=lease.lease, position=handled)
        acknowledged, at = handled, time.monotonic()

    while True:
        batch = await caller.events.read(from_=position, limit=BATCH)
        position = batch.position
        for event in batch.events:
            try:
                yield event
            except BaseException:
                if handled != acknowledged:
                    with suppress(RolekeepError):
                        await acknowledge()
                raise
            handled = event.position
            if time.monotonic() - at >= ACKNOWLEDGE_AFTER_SECONDS:
                await acknowledge()
        handled = position
        if batch.events:
            await acknowledge()
            continue
        if not batch.has_more:
            await caller.call("events.wait", _wait(batch, RENEW_SECONDS * 1000))
        if time.monotonic() - at >= RENEW_SECONDS:
            await acknowledge()


def _wait(batch: EventBatch, millis: int) -> str:
    return json.dumps({"position": batch.position, "millis": millis})


def _claim(caller: Caller, name: str) -> ConsumerLease:
    while True:
        try:
            return caller.consumers.claim(name=name)
        except Conflict as error:
            if error.reason is not Reason.LEASE_HELD:
                raise
        time.sleep(CLAIM_SECONDS)


async def _claim_async(caller: AsyncCaller, name: str) -> ConsumerLease:
    while True:
        try:
            return await caller.consumers.claim(name=name)
        except Conflict as error:
            if error.reason is not Reason.LEASE_HELD:
                raise
        await asyncio.sleep(CLAIM_SECONDS)
