"""A service over the package."""

import asyncio
import json
import runpy
from dataclasses import fields
from pathlib import Path
from typing import Annotated, get_args
from uuid import UUID

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from persisters import LogPersister
from pydantic import TypeAdapter
from rolekeep import AsyncCaller, Page, Reason, User, UserStatus, errors
from rolekeep.fastapi import Rolekeep, error_headers, error_response

TASTE = Path(__file__).parents[1] / "examples/taste_fastapi.py"


@pytest.fixture
def service(um, ada):
    app = FastAPI()
    rk = Rolekeep(um, app)
    Me = Annotated[AsyncCaller, Depends(rk.current_user)]

    @app.get("/me")
    async def me(me: Me) -> User:
        return await me.users.me()

    @app.get("/maybe")
    async def maybe(me: Annotated[AsyncCaller, Depends(rk.caller)]) -> bool:
        return me.can_somewhere("document:edit")

    @app.get("/users")
    async def users(status: UserStatus | None = None) -> Page[User]:
        return await rk.um.system.users.list(status=status)

    @app.post("/users")
    async def create(email: str) -> User:
        return await rk.um.system.users.create(email)

    @app.get("/edit")
    async def edit(me: Annotated[AsyncCaller, Depends(rk.require_permission("document:edit"))]) -> str:
        return str((await me.users.me()).id)

    @app.get("/delete", dependencies=[Depends(rk.require_permission("document:delete"))])
    def delete() -> None: ...

    @app.get("/editors", dependencies=[Depends(rk.require_role("editor"))])
    async def editors() -> None: ...

    @app.get("/admins", dependencies=[Depends(rk.require_admin())])
    async def admins() -> None: ...

    @app.get("/typo", dependencies=[Depends(rk.require_permission("document:edti"))])
    async def typo() -> None: ...

    return TestClient(app), rk


@pytest.fixture
def signed_in(um, ada):
    return {"Authorization": "Bearer " + um.login("ada@example.org", PASSWORD).done().access_token}


def test_taste():
    assert len(TASTE.read_text().splitlines()) <= 22
    made = runpy.run_path(str(TASTE))
    client = TestClient(made["app"])
    given = {"email": "ada@example.org", "password": "correct horse battery staple"}
    login = client.post("/login", json=given)
    signed_in = {"Authorization": f"Bearer {login.json()['tokens']['access_token']}"}
    assert client.get("/me", headers=signed_in).json()["email"] == "ada@example.org"
    assert client.delete("/documents/1", headers=signed_in).status_code == 403
    assert client.delete("/documents/1").json()["reason"] == "not_signed_in"
    assert client.post("/login", json=given | {"password": "wrong"}).json()["reason"] == "invalid_credentials"
    made["um"].close()


def test_who_asks_too_often_hears_when_to_come_back():
    error = errors.RateLimited("too many requests", retry_after=7)
    answer = asyncio.run(error_response(None, error))
    assert answer.status_code == 429 and answer.headers["retry-after"] == "7" and json.loads(answer.body)["retry_after"] == 7
    assert "retry_after" not in json.loads(asyncio.run(error_response(None, errors.Forbidden("no"))).body)


def test_what_may_have_been_done_is_named():
    error = errors.Conflict("this was done before", reason=Reason.ALREADY_DONE, change_id=UUID(int=7))
    assert json.loads(asyncio.run(error_response(None, error)).body)["change_id"] == str(UUID(int=7))
    assert "change_id" not in json.loads(asyncio.run(error_response(None, errors.Forbidden("no"))).body)


def test_what_the_storage_said_is_for_the_log(tmp_path, open_store):
    class Failing(LogPersister):
        fails = False

        def batches(self):
            if self.fails:
                raise OSError("db.internal refused the account")
            return super().batches()

    persister = Failing(tmp_path / "log")
    um = open_store(persister=persister, **CHEAP)
    persister.fails = True
    with pytest.raises(errors.Unavailable) as failed:
        um.system.users.list()
    assert "db.internal" in failed.value.message and "db.internal" in str(failed.value)
    body = asyncio.run(error_response(None, failed.value)).body.decode()
    assert "db.internal" not in body and json.loads(body)["message"] == failed.value.client_message
    assert errors.Forbidden("no").client_message == "no"
    assert errors.Unavailable("the database said no").client_message == failed.value.client_message
    assert "database" not in errors.Internal("the database said no").client_message


def test_a_401_says_what_to_do():
    challenges = {
        Reason.NOT_SIGNED_IN: "Bearer", Reason.INVALID_CREDENTIALS: "Bearer", Reason.TOKEN_EXPIRED: 'Bearer error="invalid_token"',
        Reason.SESSION_ENDED: 'Bearer error="invalid_token"', Reason.ACCOUNT_INACTIVE: 'Bearer error="invalid_token"',
        Reason.STEP_UP_REQUIRED: 'Bearer error="insufficient_user_authentication", max_age=300',
    }
    for reason, challenge in challenges.items():
        assert error_headers(errors.Unauthorized("no", reason=reason)) == {"WWW-Authenticate": challenge}
    assert error_headers(errors.Forbidden("no")) == {}


def test_401_403_and_the_rest(service, signed_in, um, ada):
    client, _ = service
    for path in ("/me", "/edit", "/delete", "/editors", "/admins"):
        for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic YTpi"}):
            answer = client.get(path, headers=headers)
            is_token = headers.get("Authorization", "").startswith("Bearer")
            challenge = 'Bearer error="invalid_token"' if is_token else "Bearer"
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == challenge
            assert answer.json()["code"] == "UNAUTHORIZED"
    expected = {"/me": 200, "/edit": 200, "/delete": 403, "/editors": 200, "/admins": 403, "/typo": 400}
    assert {path: client.get(path, headers=signed_in).status_code for path in expected} == expected
    assert client.get("/delete", headers=signed_in).json()["code"] == "FORBIDDEN"
    assert client.get("/maybe").json() is False and client.get("/maybe", headers=signed_in).json() is True
    assert client.get("/maybe", headers={"Authorization": "Bearer x"}).status_code == 401

    um.system.users.create("root@example.org", roles=["admin"])
    um.system.users.grant_admin(ada.id)
    assert client.get("/admins", headers=signed_in).status_code == 200
    um.system.users.revoke_admin(ada.id)
    um.system.roles.unassign(ada.id, "editor")
    assert {path: client.get(path, headers=signed_in).status_code for path in ("/edit", "/editors", "/admins")} == {
        "/edit": 403, "/editors": 403, "/admins": 403,
    }
    um.system.sessions.revoke_all(user_id=ada.id)
    assert client.get("/me", headers=signed_in).json()["reason"] == "session_ended"


def test_errors_by_code(service):
    client, _ = service
    bad = client.post("/users", params={"email": "x"})
    assert bad.status_code == 400 and bad.json()["fields"][0]["field"] == "email" and bad.json()["timestamp"]
    taken = client.post("/users", params={"email": "ada@example.org"})
    assert taken.status_code == 409 and taken.json()["code"] == "DUPLICATE_RESOURCE"


def test_a_role_held_somewhere_or_later_allows_nothing(service, signed_in, um, ada):
    client, _ = service
    region = um.system.regions.create("east", "East")
    um.system.roles.unassign(ada.id, "editor")
    um.system.roles.assign(ada.id, "editor", scope=f"region:{region.id}")
    assert client.get("/editors", headers=signed_in).status_code == 403


def test_records_are_response_models(service, ada):
    client, _ = service
    page = client.get("/users", params={"status": "active"}).json()
    assert page["items"][0]["id"] == str(ada.id) and page["items"][0]["birth_date"] is None
    assert page["items"][0].keys() == {field.name for field in fields(User)}
    schema = client.get("/openapi.json").json()
    assert "HTTPBearer" in schema["components"]["securitySchemes"]
    assert schema["components"]["schemas"]["UserStatus"]["enum"] == [status.value for status in UserStatus]
    for name in rolekeep.records.__all__:
        kind = getattr(rolekeep, name)
        if kind not in (Page, rolekeep.Word):
            assert TypeAdapter(kind).json_schema()["title"] == name
    assert get_args(Page[User]) == (User,)


def test_dependencies_can_be_replaced(service, um, ada):
    client, rk = service
    client.app.dependency_overrides[rk.current_user] = lambda: um.acting_as(ada.id).aio
    assert client.get("/me").json()["id"] == str(ada.id) and client.get("/delete").status_code == 403


def test_an_async_store():
    import asyncio

    um = asyncio.run(open_async())
    assert Rolekeep(um).um is um
    asyncio.run(um.close())


async def open_async():
    return await rolekeep.open_async(**CHEAP)


def test_a_guard_that_finds_no_resource_does_not_ask_without_one(um, ada):
    app = FastAPI()
    rk = Rolekeep(um, app)

    def nothing() -> None:
        return None

    @app.get("/edit", dependencies=[Depends(rk.require_permission("document:edit", nothing))])
    async def edit() -> None: ...

    token = um.login(ada.email, PASSWORD).done().access_token
    response = TestClient(app).get("/edit", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["reason"]) == (500, "internal")


@pytest.mark.parametrize(
    ("peer", "forwarded", "kept"),
    [
        ("10.0.0.5", ["198.51.100.66, 198.51.100.7", "10.0.0.9"], "198.51.100.7"),
        ("10.0.0.5", ["198.51.100.7, unknown"], "10.0.0.5"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("203.0.113.9", ["198.51.100.7"], "203.0.113.9"),
    ],
)
def test_the_address_behind_a_proxy(open_store, peer, forwarded, kept):
    um = open_store(preset="standard", trusted_proxies=["10.0.0.0/8"])
    app = FastAPI()
    rk = Rolekeep(um, app)

    @app.get("/login")
    async def login(nobody: Annotated[AsyncCaller, Depends(rk.caller)]) -> None:
        await nobody.sessions.login("ada@example.org", PASSWORD)

    @app.get("/me")
    async def me(me: Annotated[AsyncCaller, Depends(rk.current_user)]) -> None:
        await me.sessions.logout()

    client = TestClient(app, client=(peer, 50000))
    headers = [("X-Forwarded-For", each) for each in forwarded]
    um.system.users.create("ada@example.org", password=PASSWORD)
    assert client.get("/login", headers=headers).status_code == 200
    token = um.login("ada@example.org", PASSWORD, ip=peer, forwarded_for=", ".join(forwarded)).done().access_token
    assert client.get("/me", headers=[*headers, ("Authorization", f"Bearer {token}")]).status_code == 200
    logged = um.system.audit.list(action="sessions.login").items + um.system.audit.list(action="sessions.logout").items
    assert [each.ip for each in logged] == [kept] * 3
