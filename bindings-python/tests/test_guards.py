"""Guards in programs as hosts write them: a service behind a real server, and a library with decorators."""

import asyncio
import runpy
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
import uvicorn
from rolekeep import Caller, Forbidden, Unauthorized, require_admin, require_permission, require_role

EXAMPLES = Path(__file__).parents[1] / "examples"
# How long an access token is good for here.
TOKEN_SECONDS = 15


@pytest.fixture(scope="module")
def world():
    """The service of the example on a socket of its own, with four accounts and two documents."""
    made = runpy.run_path(str(EXAMPLES / "service.py"))
    um = made["um"]
    ids = {
        name: um.system.users.create(f"{name}@example.org", password=password(name), roles=roles).id
        for name, roles in {"ada": ["author"], "lin": ["librarian"], "root": ["admin"], "eve": []}.items()
    }
    made["documents"] |= {
        1: {"owner_id": str(ids["ada"]), "is_published": False}, 2: {"owner_id": str(ids["lin"]), "is_published": False},
        3: {"owner_id": str(ids["lin"]), "is_published": True},
    }
    server = uvicorn.Server(uvicorn.Config(made["app"], port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield client, um, ids
    server.should_exit = True
    thread.join()
    um.close()


def password(name):
    return f"correct horse battery {name}"


def login(client, name):
    answer = client.post("/login", json={"identifier": f"{name}@example.org", "password": password(name)})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['tokens']['access_token']}"}


def wait_until(moment):
    """Waits until a moment is past."""
    time.sleep(max(0, (moment - datetime.now(timezone.utc)).total_seconds()) + 0.1)


def assert_refused(answer, status, code, reason):
    body = answer.json()
    assert (answer.status_code, body["code"], body["reason"]) == (status, code, reason), answer.text
    bearer = "Bearer" if reason in ("not_signed_in", "invalid_credentials") else 'Bearer error="invalid_token"'
    assert answer.headers.get("www-authenticate") == (bearer if status == 401 else None)
    assert len(body["message"]) > 5 and body["fields"] == [] and answer.headers["content-type"] == "application/json"


def test_allowed(world):
    client, _, _ = world
    ada, lin, root = (login(client, name) for name in ("ada", "lin", "root"))
    assert client.get("/me", headers=ada).json()["email"] == "ada@example.org"
    assert client.get("/documents", headers=ada).json() == [1, 3]
    assert client.get("/documents/1", headers=ada).status_code == 200
    assert client.put("/documents/1", headers=ada, json={"is_published": True}).json()["is_published"] is True
    assert client.get("/documents", headers=lin).json() == [1, 3]
    assert client.put("/documents/1", headers=ada, json={"is_published": False}).status_code == 200
    assert client.get("/desk", headers=lin).json() == "welcome"
    assert client.get("/users", headers=root).json()["total"] == 4


def test_denied(world):
    client, _, _ = world
    ada, lin, eve = (login(client, name) for name in ("ada", "lin", "eve"))
    for path in ("/me", "/documents", "/documents/1", "/desk", "/users"):
        assert_refused(client.get(path), 401, "UNAUTHORIZED", "not_signed_in")
        assert_refused(client.get(path, headers={"Authorization": "Bearer x.y.z"}), 401, "UNAUTHORIZED", "invalid_token")
        forged = {"Authorization": ada["Authorization"][:-4] + "AAAA"}
        assert_refused(client.get(path, headers=forged), 401, "UNAUTHORIZED", "invalid_token")
    assert_refused(client.get("/documents", headers=eve), 403, "FORBIDDEN", "denied")
    assert_refused(client.get("/documents/2", headers=ada), 403, "FORBIDDEN", "denied")
    assert_refused(client.put("/documents/3", headers=ada, json={"is_published": False}), 403, "FORBIDDEN", "denied")
    assert_refused(client.delete("/documents/1", headers=ada), 403, "FORBIDDEN", "denied")
    assert_refused(client.get("/desk", headers=ada), 403, "FORBIDDEN", "denied")
    assert_refused(client.get("/users", headers=lin), 403, "FORBIDDEN", "denied")
    assert_refused(client.get("/documents/9", headers=ada), 404, "RESOURCE_NOT_FOUND", "not_found")
    assert_refused(client.delete("/documents/9", headers=lin), 404, "RESOURCE_NOT_FOUND", "not_found")


def test_expired(world):
    client, um, ids = world
    ada = login(client, "ada")
    expires = datetime.now(timezone.utc) + timedelta(seconds=TOKEN_SECONDS)
    assert_refused(client.get("/desk", headers=ada), 403, "FORBIDDEN", "denied")
    until = datetime.now(timezone.utc) + timedelta(seconds=4)
    um.system.roles.assign(ids["ada"], "librarian", valid_until=until)
    assert client.get("/desk", headers=ada).status_code == 200
    wait_until(until)
    assert_refused(client.get("/desk", headers=ada), 403, "FORBIDDEN", "denied")
    assert_refused(client.delete("/documents/1", headers=ada), 403, "FORBIDDEN", "denied")
    assert client.get("/documents/1", headers=ada).status_code == 200
    wait_until(expires)
    for path in ("/me", "/documents", "/documents/1", "/desk", "/users"):
        assert_refused(client.get(path, headers=ada), 401, "UNAUTHORIZED", "token_expired")
    fresh = login(client, "ada")
    um.system.sessions.revoke_all(user_id=ids["ada"])
    assert_refused(client.get("/documents/1", headers=fresh), 401, "UNAUTHORIZED", "session_ended")


def test_the_library_of_the_example():
    run = subprocess.run([sys.executable, EXAMPLES / "guards.py"], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "document 1 says hello", "ada@example.org published document 1", "FORBIDDEN you may not do this",
        "FORBIDDEN you may not do this", "document 1 is gone",
    ]


def test_decorators(um, ada):
    class Desk:
        def __init__(self, me):
            self.me = me

        @require_role("editor")
        def edit(self, number):
            return number

        @classmethod
        @require_permission("document:edit")
        async def later(cls, me):
            return me

        @staticmethod
        @require_admin()
        def clear(me): ...

    me = um.acting_as(ada.id)
    assert Desk(me).edit(3) == 3 and asyncio.run(Desk.later(me.aio)).can("document:edit")
    with pytest.raises(Forbidden):
        Desk.clear(me)
    Desk.clear(um.system)
    for nobody in (um.anonymous(), um.aio.anonymous()):
        for ask in (lambda: Desk(nobody).edit(3), lambda: asyncio.run(Desk.later(nobody)), lambda: Desk.clear(nobody)):
            with pytest.raises(Unauthorized) as refused:
                ask()
            assert refused.value.reason == "not_signed_in" and refused.value.http_status == 401
    with pytest.raises(TypeError, match="Caller"):
        Desk(None).edit(3)
    um.system.roles.unassign(ada.id, "editor")
    with pytest.raises(Forbidden):
        Desk(me).edit(3)
    assert Desk.edit.__name__ == "edit" and asyncio.iscoroutinefunction(Desk.later)


def test_decorators_and_time(open_store):
    um = open_store(roles={"editor": ["document:edit"]}, access_token_seconds=TOKEN_SECONDS)
    ada = um.system.users.create("ada@example.org", password=password("ada"))
    until = datetime.now(timezone.utc) + timedelta(seconds=4)
    um.system.roles.assign(ada.id, "editor", valid_until=until)

    @require_permission("document:edit")
    def edit(me: Caller) -> bool:
        return True

    me = um.authenticate(um.login("ada@example.org", password("ada")).done().access_token)
    expires = datetime.now(timezone.utc) + timedelta(seconds=TOKEN_SECONDS)
    assert edit(me)
    wait_until(until)
    with pytest.raises(Forbidden):
        edit(me)
    wait_until(expires)
    with pytest.raises(Unauthorized, match="has expired"):
        edit(me)


PROGRAM = '''\
from rolekeep import AsyncCaller, Caller, require_admin, require_permission, require_role

@require_permission("document:edit")
def edit(me: Caller, number: int) -> str:
    return str(number)

@require_role("editor", "region:1")
async def later(me: AsyncCaller) -> int:
    return 1

class Desk:
    me: Caller

    @require_admin()
    def clear(self, sure: bool) -> None: ...

async def main(me: Caller) -> None:
    text: str = edit(me, 3)
    number: int = await later(me.aio)
    Desk().clear(True)
    allowed: bool = me.can_many(["document:edit", ("document:edit", {"type": "document"})])[0]
    print(text, number, allowed)
'''


@pytest.mark.parametrize("right, wrong", [
    ("", ""), ("edit(me, 3)", "edit(me, '3')"), ("text: str = edit", "text: int = edit"), ("await later(me.aio)", "later(me.aio)"),
    ("clear(True)", "clear(1)"), ('@require_admin()', '@require_admin'), ('["document:edit", (', '[1, ('), ('{"type": "document"}', 'None'),
])
def test_types_are_kept(tmp_path, right, wrong):
    from test_face import mypy

    assert right in PROGRAM
    found = mypy(tmp_path, PROGRAM.replace(right, wrong) if right else PROGRAM)
    assert found.startswith("Success") if not right else "error:" in found, found
