"""The service, asked by browsers and by other clients."""

import contextlib
import sqlite3
from types import SimpleNamespace

import pyotp
import pytest
import rolekeep
from fastapi.testclient import TestClient

import service
from sessions import ACCESS, DAY, DEVICE, REFRESH, REQUESTS, SIGN_INS

ORIGIN = "https://documents.example.org"
OWN = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse battery ada"
LOGIN = {"identifier": "ada@example.org", "password": PASSWORD}


@pytest.fixture
def world(tmp_path):
    """The service over a file, with Ada, who wrote the first document."""
    file, stores = tmp_path / "app.db", []
    settings = {"requests_per_minute": REQUESTS.quota, "hashing_memory_kib": 7168, "hashing_iterations": 5}

    def opened():
        stores.append(rolekeep.open(sqlite=file, policy_toml=service.POLICY.read_text(), **settings))
        return stores[-1]

    ada = opened().system.users.create("ada@example.org", password=PASSWORD, roles=["author"])
    documents = {1: {"owner_id": str(ada.id), "is_published": False, "text": "…"}}

    def client(headers=OWN, cookies=None):
        """At a page of ours, unless headers say otherwise."""
        app = service.serve(stores[-1], documents, ORIGIN)
        return TestClient(app, base_url=ORIGIN, headers=headers, cookies=cookies)

    def later(seconds):
        """Makes sign-ins as old as this, in a store that is opened anew."""
        stores[-1].close()
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("UPDATE sessions SET authenticated_at = authenticated_at - ?", [seconds * 1_000_000])
            database.commit()
        opened()

    yield SimpleNamespace(client=client, later=later)
    stores[-1].close()


@pytest.fixture
def browser(world):
    client = world.client()
    assert client.post("/session/login", json=LOGIN).json()["step"] == "done"
    return client


def cookies(answer):
    """Name, text and rules of each."""
    for header in answer.headers.get_list("set-cookie"):
        pair, *rules = header.split("; ")
        yield *pair.split("=", 1), set(rules)


def refusal(answer):
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == answer.status_code and body["title"] and body["detail"] and "message" not in body
    return answer.status_code, body["reason"], answer.headers.get("www-authenticate")


INVALID = 'Bearer error="invalid_token"'


def test_a_browser_gets_cookies_and_no_tokens(world):
    browser = world.client()
    answer = browser.post("/session/login", json=LOGIN)
    assert answer.json()["tokens"]["user"]["email"] == "ada@example.org" and answer.headers["cache-control"] == "no-store"
    given = {name: (text, rules) for name, text, rules in cookies(answer)}
    wanted = {ACCESS: ("lax", 7), REFRESH: ("strict", 7), DEVICE: ("strict", 180)}
    assert given.keys() == wanted.keys()
    for name, (text, rules) in given.items():
        same_site, days = wanted[name]
        assert rules == {"Path=/", "Secure", "HttpOnly", f"SameSite={same_site}", f"Max-Age={days * DAY}"}
        assert len(text) > 20 and text not in answer.text
    assert browser.get("/me").json()["email"] == "ada@example.org"
    assert browser.put("/documents/1", json={"text": "better"}).json()["text"] == "better"

    before = dict(browser.cookies)
    assert browser.post("/session/refresh").status_code == 200
    assert all(browser.cookies[name] != before[name] for name in (ACCESS, REFRESH))
    assert browser.get("/me").status_code == 200

    left = dict(browser.cookies)
    end = browser.post("/session/logout")
    assert (end.status_code, end.headers["clear-site-data"]) == (204, '"cache", "storage"')
    assert list(browser.cookies) == [DEVICE]
    assert refusal(browser.get("/me")) == (401, "not_signed_in", "Bearer")
    browser.cookies.update(left)
    assert refusal(browser.get("/me")) == (401, "session_ended", INVALID)
    # Nothing holds a browser back from forgetting.
    assert browser.post("/session/logout").status_code == 204


def test_logging_out_when_the_access_token_is_over(browser):
    browser.cookies.delete(ACCESS)
    left = browser.cookies[REFRESH]
    assert browser.post("/session/logout").status_code == 204
    browser.cookies.set(REFRESH, left, domain="documents.example.org")
    assert refusal(browser.post("/session/refresh"))[0] == 401


def test_other_clients_get_tokens_and_no_cookies(world, browser):
    client = world.client(headers={})
    answer = client.post("/login", json=LOGIN)
    assert list(cookies(answer)) == []
    tokens = client.post("/refresh", json={"refresh_token": answer.json()["tokens"]["refresh_token"]}).json()
    # Nobody's page makes a browser send it, so that it is not asked where it comes from.
    bearer = {"Authorization": f"Bearer {tokens['access_token']}", "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert client.put("/documents/1", json={"text": "better"}, headers=bearer).status_code == 200
    assert refusal(browser.get("/me", headers=bearer)) == (400, "invalid_input", None)
    assert client.post("/logout", headers=bearer).status_code == 204
    assert refusal(client.get("/me", headers=bearer)) == (401, "session_ended", INVALID)
    assert refusal(client.get("/me", headers={"Authorization": "Bearer x.y.z"})) == (401, "invalid_token", INVALID)


@pytest.mark.parametrize("headers", [
    {}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, {"Origin": "https://evil.example"}, {"Origin": "null"},
    {"Origin": f"{ORIGIN}.evil.example"}, {"Referer": ORIGIN},
])
def test_pages_of_others_change_nothing(world, browser, headers):
    other = world.client(headers, browser.cookies)
    for method, path, body in [
        ("PUT", "/documents/1", {"text": "mine now"}), ("DELETE", "/documents/1", None), ("POST", "/factors/add/start", None),
        ("POST", "/step-up", {"password": PASSWORD}), ("POST", "/session/login", LOGIN),
        ("POST", "/session/refresh", None), ("POST", "/session/logout", None), ("POST", "/logout", None),
    ]:
        answer = other.request(method, path, json=body)
        assert refusal(answer) == (403, "denied", None), path
        assert list(cookies(answer)) == []
    # What is only read is not theirs to see: they get no answer without CORS.
    assert other.get("/documents/1").json()["text"] == "…"


@pytest.mark.parametrize("headers", [OWN, {"Origin": ORIGIN}, OWN | {"Origin": "null"}])
def test_pages_of_ours_may(world, browser, headers):
    page = world.client(headers, browser.cookies)
    assert page.put("/documents/1", json={"text": "better"}).status_code == 200


def test_what_needs_a_fresh_proof_says_so(world, browser):
    assert browser.post("/factors/add/start").status_code == 200
    world.later(400)
    browser = world.client(cookies=browser.cookies)
    challenge = 'Bearer error="insufficient_user_authentication", max_age=300'
    assert refusal(browser.post("/factors/add/start")) == (401, "step_up_required", challenge)
    wrong = browser.post("/step-up", json={"password": "a wrong one"})
    assert refusal(wrong) == (400, "invalid_input", None) and wrong.json()["fields"][0]["field"] == "password"
    before = browser.cookies[ACCESS]
    proved = browser.post("/step-up", json={"password": PASSWORD})
    assert proved.status_code == 200 and "access_token" not in proved.json() and browser.cookies[ACCESS] != before
    assert browser.post("/factors/add/start").status_code == 200
    # Not allowed is another thing, and so is what cannot be read.
    assert refusal(browser.delete("/documents/1")) == (403, "denied", None)
    assert refusal(browser.get("/documents/9")) == (404, "not_found", None)
    unreadable = browser.put("/documents/1", json={})
    assert refusal(unreadable) == (400, "invalid_input", None) and unreadable.json()["fields"][0]["field"] == "text"


def test_a_second_factor_is_owed(world, browser):
    setup = browser.post("/factors/add/start").json()
    before = browser.cookies[ACCESS]
    code = pyotp.TOTP(setup["secret"]).now()
    added = browser.post("/factors/add", json={"challenge": setup["challenge"], "code": code})
    assert "access_token" not in added.json()["tokens"] and browser.cookies[ACCESS] != before
    owed = world.client(headers={}).post("/login", json=LOGIN).json()
    assert owed["step"] == "factor" and owed["tokens"] is None
    given = {"challenge": owed["challenge"], "code": added.json()["recovery_codes"][0]}
    other = world.client()
    assert other.post("/session/sign-in/factor", json=given).json()["step"] == "done"
    assert other.get("/me").json()["email"] == "ada@example.org"


def test_who_asks_too_often_is_told_the_limit(world, browser):
    client, wrong = world.client(headers={}), {"identifier": "eve@example.org", "password": "a wrong one"}
    policy = '"failed-sign-ins";q=5;w=900'
    for _ in range(SIGN_INS.quota):
        answer = client.post("/login", json=wrong)
        assert refusal(answer) == (401, "invalid_credentials", "Bearer")
        assert (answer.headers["ratelimit-policy"], answer.headers.get("ratelimit")) == (policy, None)
    answer = client.post("/login", json=wrong)
    wait = answer.headers["retry-after"]
    assert refusal(answer) == (429, "rate_limited", None) and 1 <= int(wait) <= 900
    assert answer.json()["retry_after"] == int(wait)
    assert (answer.headers["ratelimit-policy"], answer.headers["ratelimit"]) == (policy, f'"failed-sign-ins";r=0;t={wait}')
    # A known device has tries of its own.
    for _ in range(SIGN_INS.quota):
        assert client.post("/login", json=LOGIN | {"password": "a wrong one"}).status_code == 401
    assert client.post("/login", json=LOGIN).status_code == 429
    assert browser.post("/session/login", json=LOGIN).status_code == 200

    # Some are allowed again meanwhile, on a slow machine more.
    for _ in range(5 * REQUESTS.quota):
        answer = browser.get("/me")
        assert answer.headers["ratelimit-policy"] == '"requests";q=100;w=60'
        if answer.status_code == 429:
            break
        assert answer.status_code == 200 and "ratelimit" not in answer.headers
    assert answer.headers["ratelimit"] == f'"requests";r=0;t={answer.headers["retry-after"]}'


def test_it_starts_as_it_is(world):
    with TestClient(service.make(), base_url="http://localhost:8000", headers=OWN) as client:
        assert client.post("/login", json=LOGIN).json()["step"] == "done"
