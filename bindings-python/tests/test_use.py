"""What programs do: both faces, types, errors, bad input."""

import asyncio
import copy
import json
import pickle
import re
import runpy
import subprocess
import sys
import threading
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4

import jwt
import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from rolekeep import (
    UNSET, AsyncCaller, Caller, Code, Conflict, Duplicate, ExternalIdentity, Forbidden, Internal, NotFound, Page, RateLimited,
    Reason, RolekeepError, Unauthorized, Unavailable, User, UserStatus, ValidationError, _error, errors, require_permission,
)

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_taste(capsys):
    runpy.run_path(str(EXAMPLES / "taste.py"))
    shown = capsys.readouterr().out
    assert shown.startswith("True False\ndocument:delete is denied: no role that is held allows it")
    assert len((EXAMPLES / "taste.py").read_text().splitlines()) <= 9


def test_programs_of_the_guide(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "filters.py"))
    assert capsys.readouterr().out == "['Maps', 'News']\n"
    runpy.run_path(str(EXAMPLES / "persister.py"), run_name="__main__")
    assert capsys.readouterr().out == "ada@example.org\n"
def test_accounts_kept_elsewhere(capsys):
    runpy.run_path(str(EXAMPLES / "identities.py"))
    assert capsys.readouterr().out == "True False\nTrue\n"


def test_identities(um):
    identity = ExternalIdentity(issuer="staff", subject="17")
    ada = um.system.users.create(identity=identity, roles=["editor"])
    assert ada.email is None and ada.identities == [identity]
    me = um.acting_as_identity("staff", "17")
    assert me.can("document:edit") and me.users.me() == ada == um.system.users.find(identity=identity)
    assert me.is_signed_in and "17" not in repr(me)
    with_email = um.system.users.update(ada.id, email="ada@example.org").user
    assert with_email.email == "ada@example.org" and um.system.users.update(ada.id, full_name="Ada").user.email is not None
    assert um.system.users.update(ada.id, email=None).user.email is None
    with pytest.raises(Duplicate) as taken:
        um.system.users.create("eve@example.org", identity=identity)
    assert [each.field for each in taken.value.fields] == ["identity"]
    with pytest.raises(NotFound):
        um.acting_as_identity("staff", "18")
    for bad in [("", "17"), ("staff", ""), ("the staff", "17"), ("staff", "\ud800"), ("staff", "a" * 256)]:
        with pytest.raises(ValidationError):
            um.acting_as_identity(*bad)
    for bad in [None, 17, b"staff", ["staff"]]:
        with pytest.raises((RolekeepError, TypeError)):
            um.acting_as_identity(bad, bad)
    um.system.users.suspend(ada.id)
    with pytest.raises(Unauthorized):
        um.acting_as_identity("staff", "17")

    async def run():
        bob = await um.aio.system.users.create(identity=ExternalIdentity(issuer="staff", subject="19"))
        assert (await (await um.aio.acting_as_identity("staff", "19")).users.me()) == bob

    asyncio.run(run())


def test_types(um):
    ada = um.system.users.create(
        "ada@example.org", birth_date=date(1999, 12, 31), roles=("editor",), status=UserStatus.INACTIVE
    )
    assert type(ada) is User and type(ada.id) is UUID and ada.birth_date == date(1999, 12, 31)
    assert ada.created_at.tzinfo is timezone.utc and abs(ada.created_at - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert ada.status is UserStatus.INACTIVE and ada.status == "inactive" and str(ada.status) == "inactive"
    page = um.system.users.list(status=UserStatus.INACTIVE, created_until=datetime.now(timezone.utc) + timedelta(days=1))
    assert type(page) is Page and page.items == [ada] and page.total == 1
    with pytest.raises(AttributeError):
        ada.email = "other@example.org"
    assert um.system.users.delete(ada.id) is None


def test_for_ever(um):
    first, last = (at.replace(tzinfo=timezone.utc) for at in (datetime.min, datetime.max))
    ada = um.system.users.create("ada@example.org")
    held = um.system.roles.assign(ada.id, "editor", valid_from=first, valid_until=last)
    assert (held.valid_from, held.valid_until) == (first, last)
    assert um.system.users.list(created_from=first, created_until=last).items == [ada]
    east = datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        um.system.users.list(created_until=east)


def test_not_given_is_not_none(um, ada):
    users = um.system.users
    assert users.update(ada.id, full_name="Ada").user.full_name == "Ada"
    assert users.update(ada.id, phone=UNSET).user.full_name == "Ada"
    assert users.update(ada.id, full_name=None).user.full_name is None
    assert not UNSET and repr(UNSET) == "UNSET" and pickle.loads(pickle.dumps(UNSET)) is UNSET


def test_words_of_python(um, ada):
    entries = um.system.audit.list(from_=ada.created_at - timedelta(hours=1), action="users.create")
    assert [entry.target_id for entry in entries.items] == [str(ada.id)]


def test_checks(um, ada):
    me = um.acting_as(ada.id)
    assert isinstance(me, Caller) and repr(me) == f"<Caller: user {ada.id}>"
    assert me.can("document:edit") and not me.can("document:delete")
    assert me.can("document:edit", {"type": "document", "owner_id": str(uuid4())})
    assert me.can_somewhere("document:edit") and not me.can_somewhere("document:delete")
    me.require("document:edit")
    with pytest.raises(Forbidden) as caught:
        me.require("document:delete")
    assert caught.value.reason is Reason.DENIED
    assert "no role that is held allows it" in me.explain("document:delete").text
    with pytest.raises(ValidationError, match="document:edit"):
        me.can("document:edti")
    um.system.roles.unassign(ada.id, "editor")
    assert not me.can("document:edit")


def test_decorator(um, ada):
    @require_permission("document:edit")
    def edit(me: Caller, number: int) -> int:
        return number

    @require_permission("document:delete")
    async def delete(*, me: AsyncCaller) -> None: ...

    me = um.acting_as(ada.id)
    assert edit(me, 3) == 3
    with pytest.raises(Forbidden):
        asyncio.run(delete(me=me.aio))
    with pytest.raises(TypeError, match="Caller"):
        edit(None, 3)


def test_login_and_our_token(open_store):
    key = "a key that is known to another service too"
    um = open_store(preset="standard", signing_key=key, issuer="here", audience="there")
    ada = um.system.users.create("ada@example.org", password=PASSWORD)
    result = um.login("ADA@example.org", PASSWORD, ip="192.0.2.1", user_agent="test").done()
    assert result.access_token not in repr(result) and result.refresh_token not in repr(result)
    claims = jwt.decode(result.access_token, key, ["HS256"], issuer="here", audience="there")
    assert claims["sub"] == str(ada.id) and claims["sid"] == str(result.session_id)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(result.access_token, key + "!", ["HS256"], issuer="here", audience="there")
    me = um.authenticate(result.access_token)
    assert me.users.me() == um.system.users.get(ada.id)
    assert [session.ip for session in me.sessions.list()] == ["192.0.2.1"]
    assert result.access_token not in repr(me)
    me.sessions.logout()
    for call in (me.users.me, lambda: me.can("user:read"), lambda: um.authenticate(result.access_token)):
        with pytest.raises(Unauthorized) as caught:
            call()
        assert caught.value.reason is Reason.SESSION_ENDED
    with pytest.raises(Unauthorized) as caught:
        um.login("ada@example.org", "wrong")
    assert caught.value.reason is Reason.INVALID_CREDENTIALS


def test_async():
    async def main():
        async with rolekeep.open_async(preset="standard", **CHEAP) as um:
            ada = await um.system.users.create("ada@example.org", password=PASSWORD, roles=["user"])
            result = (await um.login("ada@example.org", PASSWORD)).done()
            me = await um.authenticate(result.access_token)
            assert isinstance(me, AsyncCaller) and me.can("user:read", {"type": "user", "id": str(ada.id), "region_id": None})
            assert await me.users.me() == me.sync.users.me() == um.sync.acting_as(ada.id).users.me()
            logins = await asyncio.gather(*(um.login("ada@example.org", PASSWORD) for _ in range(8)))
            assert len({login.done().session_id for login in logins}) == 8
            with pytest.raises(NotFound):
                await um.system.users.get(uuid4())
        with pytest.raises(Unavailable):
            await um.system.users.list()
        um = await rolekeep.open_async()
        await um.close()

    asyncio.run(main())


def test_any_loop_and_none(um, ada):
    """Nothing is bound to the loop of its first use."""
    shared = um.aio
    for _ in range(3):
        assert asyncio.run(shared.login("ada@example.org", PASSWORD)).done().user.id == ada.id
    seen = []

    def other():
        async def both():
            seen.append((await shared.system.users.get(ada.id), await shared.login("ada@example.org", PASSWORD)))

        asyncio.run(both())

    threads = [threading.Thread(target=other) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    answer = shared._acting_as(ada.id)
    with pytest.raises(RuntimeError, match="twice"):
        answer.wait(), answer.wait()
    login = shared.login("ada@example.org", PASSWORD)
    with pytest.raises(RuntimeError, match="asyncio"):
        login.send(None)


def test_hashing_does_not_hold_python(open_store):
    um = open_store(hashing_memory_kib=65536, hashing_iterations=8)
    turns, done = 0, threading.Event()

    def hash_one():
        um.system.users.create("ada@example.org", password=PASSWORD)
        done.set()

    started = time.perf_counter()
    thread = threading.Thread(target=hash_one)
    thread.start()
    while not done.is_set():
        turns += 1
        time.sleep(0.0005)
    thread.join()
    # Were it held, this thread would have had a turn or two.
    assert turns > (time.perf_counter() - started) / 0.02


def test_close(open_store):
    um = open_store()
    me = um.system
    um.close()
    um.close()
    for call in (me.users.list, lambda: um.acting_as(uuid4()), lambda: um.system.users.list()):
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.reason is Reason.CLOSED and caught.value.http_status == 503


def test_errors(um, ada):
    with pytest.raises(ValidationError) as caught:
        um.system.users.create("x", username="a b")
    error = caught.value
    assert error.code is Code.VALIDATION_ERROR and error.reason is Reason.INVALID_INPUT
    assert {field.field for field in error.fields} == {"email", "username"}
    assert error.timestamp.tzinfo is timezone.utc and "email:" in str(error)
    with pytest.raises(Duplicate) as caught:
        um.system.users.create("ADA@example.org")
    assert caught.value.fields[0].field == "email"
    with pytest.raises(ValidationError) as caught:
        rolekeep.open(policy_toml="[roles.a]\nallow = [\"drone:fly\"]\n")
    assert caught.value.problems[0].line == 2
    with pytest.raises(Conflict):
        um.system.users.update(ada.id, full_name="A", expected_version=99)


def test_a_class_for_each_code():
    assert errors.BY_CODE.keys() == set(Code)
    for code, kind in errors.BY_CODE.items():
        error = kind("message")
        assert error.code is code and issubclass(kind, RolekeepError)
        raised = _error.from_json(json.dumps({
            "code": code, "reason": error.reason, "message": "m", "fields": [], "problems": [],
            "timestamp": "2026-01-02T03:04:05.6789Z", "http_status": kind.http_status, "retry_after": 7,
        }))
        assert raised.retry_after == 7 and error.retry_after is None
        assert raised.client_message == kind("m").client_message
        assert type(raised) is kind and raised.timestamp == datetime(2026, 1, 2, 3, 4, 5, 678900, timezone.utc)


def test_pickle(um, ada):
    page = um.system.users.list()
    explanation = um.acting_as(ada.id).explain("document:delete")
    for value in (ada, page, explanation, UserStatus.ACTIVE, Reason.DENIED):
        assert pickle.loads(pickle.dumps(value)) == value and copy.deepcopy(value) == value
    with pytest.raises(ValidationError) as caught:
        um.system.users.create("x")
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ValidationError and vars(again) == vars(error) and str(again) == str(error)
    assert type(error)(*error.args).message == error.message


DEEP: list = []
for _ in range(500):
    DEEP = [DEEP]
DEEPER: list = []
for _ in range(100_000):
    DEEPER = [DEEPER]
CYCLE: dict = {}
CYCLE["self"] = CYCLE


@pytest.mark.parametrize("bad", [
    "x" * 20_000_000, "\ud800", "a\udfff@example.org", "a\x00@example.org", float("nan"), float("inf"), 1e999,
    10**30, -1, True, None, b"bytes", object(), {1: 2}, {(1, 2): 3}, DEEP, DEEPER, CYCLE, {}, datetime(2026, 1, 1), set("ab"),
], ids=lambda bad: type(bad).__name__)
def test_bad_input(um, bad):
    me = um.anonymous()
    for call in (
        lambda: um.system.users.create(bad),
        lambda: um.system.users.create("a@example.org", roles=bad),
        lambda: um.system.users.get(bad),
        lambda: me.sessions.login(bad, bad),
        lambda: um.system.permissions.explain(bad, "document:edit", attributes={"type": bad}),
        lambda: um.system.call("users.create", {"email": bad}),
        lambda: rolekeep.open(signing_key="short", issuer=bad),
        lambda: um.acting_as(bad),
    ):
        with pytest.raises(RolekeepError) as caught:
            call()
        assert caught.value.http_status in (400, 401, 404), caught.value
    with pytest.raises((RolekeepError, TypeError)):
        me.can("document:edit", bad) if bad is not None else me.can(None)
    with pytest.raises((RolekeepError, TypeError)):
        me.can(bad)
    with pytest.raises((RolekeepError, TypeError)):
        um.authenticate(bad)
    with pytest.raises((RolekeepError, TypeError)):
        asyncio.run(um.aio.system.users.create(bad))
    assert um.system.users.list().total == 0


class Thing:
    pass


def test_what_cannot_be_written_is_named(um, ada):
    """Whatever the way in: an operation, a check, a filter."""
    later = datetime(2030, 1, 31, 12)
    circle = {"type": "document"}
    circle["within"] = [circle]
    wrong = [
        (lambda: um.system.users.suspend(ada.id, until=later), "until", "invalid_format", "a time with a time zone"),
        (lambda: um.system.can("document:read", {"type": "document", "seen": [1j]}), "seen[0]", "invalid_type", "a complex"),
        (lambda: um.check(ada.id, "document:read", {"type": "document", "of": {"it": Thing()}}), "resource.of.it", "invalid_type", "a Thing"),
        (lambda: um.system.users.create("bob@example.org", attributes={"size": float("nan")}), "attributes.size", "invalid_format", ""),
        (lambda: um.system.users.create("bob@example.org", attributes={"age": timedelta(-1)}), "attributes.age", "invalid_type", "a timedelta"),
    ]
    for ask, field, code, message in wrong:
        with pytest.raises(rolekeep.ValidationError, match=f"invalid input: {re.escape(field)}") as refused:
            ask()
        [told] = refused.value.fields
        assert (told.field, told.code) == (field, code) and message in told.message
    for given in (circle, {"type": "document", ("a", "b"): 1}):
        with pytest.raises(rolekeep.ValidationError, match="cannot be written as JSON"):
            um.system.can("document:read", given)


def test_durations():
    policy = """
    [types.document]
    attributes = { age = "duration", size = "int" }
    [permissions]
    "document:purge" = "?"
    "document:move" = "?"
    [roles.keeper]
    allow = [
        { permission = "document:purge", when = "resource.age > 1h30m" },
        { permission = "document:move", when = "resource.size > 1" },
    ]
    """
    principal = rolekeep.Rules(policy_toml=policy).principal(UUID(int=7), roles=["keeper"])
    for age, may in ((timedelta(hours=1.5), False), (timedelta(hours=1.5, microseconds=1), True)):
        assert principal.can("document:purge", {"type": "document", "age": age, "size": 0}) is may
    with pytest.raises(rolekeep.ValidationError, match="size"):
        principal.can("document:move", {"type": "document", "age": 0, "size": timedelta(hours=1)})


def test_the_door_refuses(um):
    for name, given, reason in (
        ("users.creat", {}, Reason.UNKNOWN_OPERATION), ("users.create", "{", Reason.INVALID_JSON),
        ("users.create", "[" * 1000, Reason.INVALID_JSON), ("users.create", "[]", Reason.INVALID_INPUT),
        ("users.create", '{"email": "\\ud800"}', Reason.INVALID_JSON),
    ):
        with pytest.raises(ValidationError) as caught:
            um.system.call(name, given)
        assert caught.value.reason is reason


def test_a_panic_is_an_error():
    native = rolekeep._rolekeep
    for call in (native.panic_at_once, native.panic_later().wait):
        with pytest.raises(Internal, match="report"):
            call()

    async def awaited():
        await native.panic_later()

    with pytest.raises(Internal):
        asyncio.run(awaited())


def test_nothing_starts_at_import():
    program = """
import threading, os, rolekeep
assert threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1
um = rolekeep.open(hashing_memory_kib=7168, hashing_iterations=5)
assert len(os.listdir("/proc/self/task")) > 1
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("threads are counted in /proc")
    subprocess.run([sys.executable, "-c", program], check=True)


def test_all_rows_of_a_list(um):
    emails = [f"u{at}@example.org" for at in range(7)]
    for email in emails:
        um.system.users.create(email)
    users = um.system.users
    assert [user.email for user in users.list_all(sort=rolekeep.UserSort.EMAIL, limit=3)] == emails
    page = users.list(sort=rolekeep.UserSort.EMAIL, limit=3)
    assert [user.email for user in page] == emails[:3] and len(page) == 3 and len(users.list(page=4, limit=3)) == 0
    with pytest.raises(ValidationError):
        next(users.list_all(limit=0))


def test_all_rows_of_a_list_async():
    async def story():
        async with rolekeep.open_async(preset="standard", **CHEAP) as um:
            users = um.system.users
            for at in range(5):
                await users.create(f"u{at}@example.org")
            found = [user.email async for user in users.list_all(limit=2, search="example")]
            assert found == [f"u{at}@example.org" for at in reversed(range(5))]

    asyncio.run(story())


def test_the_short_form_of_a_sign_in_takes_the_token_of_a_known_device(open_store):
    um = open_store(sign_in_tries=2)
    um.system.users.create("ada@example.org", password=PASSWORD)
    device = um.login("ada@example.org", PASSWORD, device_token=None).device_token
    for _ in range(2):
        with pytest.raises(Unauthorized):
            um.login("ada@example.org", "wrong", ip="192.0.2.2")
    with pytest.raises(RateLimited):
        um.login("ada@example.org", PASSWORD, ip="192.0.2.1")
    assert um.login("ada@example.org", PASSWORD, device_token=device, ip="192.0.2.1").done()
    assert asyncio.run(um.aio.login("ada@example.org", PASSWORD, device_token=device, ip="192.0.2.1")).done()


def test_the_host_hears_which_permission_was_denied(um):
    ada = um.system.users.create("ada@example.org")
    me = um.acting_as(ada.id)
    with pytest.raises(Forbidden) as denied:
        me.require("document:edit")
    assert denied.value.permission == "document:edit" and "document" not in str(denied.value)
    with pytest.raises(Forbidden) as denied:
        me.users.create("bob@example.org")
    assert denied.value.permission == "user:create" and pickle.loads(pickle.dumps(denied.value)).permission == "user:create"
    with pytest.raises(NotFound) as missing:
        um.system.users.get(uuid4())
    assert missing.value.permission is None
