"""Events as they happen: subscriptions and consumers, for blocking code and for asyncio."""

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from rolekeep import Conflict, EventType, Unauthorized, Unavailable
from rolekeep.records import Reason


def types(events):
    return [event.event_type for event in events]


def test_a_subscription_goes_on_with_what_happens(um):
    system = um.system
    start = system.events.read().position
    ada = system.users.create("ada@example.org")
    events = rolekeep.subscribe(system, start)
    first = next(event for event in events if event.event_type is EventType.USER_CREATED)
    assert (first.aggregate.kind, first.aggregate.id, first.actor) == ("user", str(ada.id), "system")
    with ThreadPoolExecutor(1) as waiting:
        later = waiting.submit(lambda: next(event for event in events if event.event_type is EventType.USER_SUSPENDED))
        threading.Event().wait(0.05)
        assert not later.done(), "nothing of it happened yet"
        system.users.suspend(ada.id)
        assert later.result(10).data["status"] == "suspended"
    events.close()


def test_a_subscription_ends_with_its_store(open_store):
    um = open_store(preset="standard")
    events = rolekeep.subscribe(um.system)
    with ThreadPoolExecutor(1) as waiting:
        waits = waiting.submit(lambda: next(events))
        threading.Event().wait(0.05)
        um.close()
        with pytest.raises(Unavailable) as closed:
            waits.result(10)
    assert closed.value.reason is Reason.CLOSED


def test_a_consumer_reads_on_where_it_was_left(um):
    system = um.system
    lease = system.consumers.claim("mails", from_="earliest")
    system.consumers.release("mails", lease.lease)
    for at in range(5):
        system.users.create(f"user{at}@example.org")
    created = [event.id for event in system.events.read(from_="earliest", limit=1000).events]
    handled = []
    events = rolekeep.consume(system, "mails")
    for event in itertools.islice(events, 3):
        handled.append(event.id)
    # The third was in hand as the loop was left.
    events.close()
    again = rolekeep.consume(system, "mails")
    first = next(again)
    assert first.id == handled[-1]
    handled += [event.id for event in itertools.islice(again, len(created) - len(handled))]
    with pytest.raises(Conflict) as held:
        system.consumers.claim("mails")
    assert held.value.reason is Reason.LEASE_HELD
    again.close()
    assert system.consumers.claim("mails").name == "mails"
    assert set(handled) | {first.id} <= set(created)


def test_for_asyncio():
    async def run():
        async with rolekeep.open_async(**CHEAP, preset="standard") as um:
            system = um.system
            position = (await system.events.read()).position
            ada = await system.users.create("ada@example.org", password=PASSWORD)
            heard = []
            async for event in rolekeep.subscribe_async(system, position):
                heard.append(event.event_type)
                if event.event_type is EventType.CREDENTIAL_CHANGED:
                    break
            assert heard[0] is EventType.USER_CREATED
            lease = await system.consumers.claim("crm", from_=position)
            await system.consumers.release("crm", lease.lease)
            events = rolekeep.consume_async(system, "crm")
            first = await anext(events)
            assert first.aggregate.id == str(ada.id)
            waiting = asyncio.ensure_future(_find(events, EventType.USER_BANNED))
            await asyncio.sleep(0.05)
            await system.users.ban(ada.id)
            assert (await asyncio.wait_for(waiting, 10)).cause == "users.ban"
            await events.aclose()

    asyncio.run(run())


async def _find(events, event_type):
    async for event in events:
        if event.event_type is event_type:
            return event
    return None


def test_nobody_hears_without_signing_in(um):
    with pytest.raises(Unauthorized):
        next(rolekeep.subscribe(um.anonymous()))
