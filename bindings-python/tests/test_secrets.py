"""Whatever the core's reflection calls a secret does not show."""

import dataclasses
import json
import logging
import pprint
from pathlib import Path

import pytest
from conftest import PASSWORD
from planted import Watch
from rolekeep import records

SECRETS = json.loads((Path(__file__).parents[2] / "tests/conformance/secrets.json").read_text())
# What an operation takes is no record here.
ANSWERED = [name for name in SECRETS if hasattr(records, name)]


@pytest.mark.parametrize("name", ANSWERED)
def test_no_record_shows_its_secrets(name):
    record = getattr(records, name)
    made = record(**{each.name: PASSWORD if each.name in SECRETS[name] else None for each in dataclasses.fields(record)})
    for shown in (repr(made), str(made), f"{made}", repr([made]), pprint.pformat(made), repr({"deep": made})):
        assert PASSWORD not in shown
    assert PASSWORD in json.dumps(dataclasses.asdict(made))


def test_a_login_shows_everything_else(um, ada):
    login = um.login("ada@example.org", PASSWORD).done()
    shown = f"{login!r} {login}"
    assert login.access_token not in shown and login.refresh_token not in shown
    assert str(login.session_id) in shown and "ada@example.org" in shown
    assert {"SignInResult", "Tokens"} <= set(ANSWERED)


def test_an_open_store_and_its_callers_show_nothing(open_store):
    key = "correct horse battery staple of the host"
    um = open_store(signing_key=key)
    for each in (um, um.aio, um.system, um.system.users):
        assert key not in f"{each!r} {getattr(each, '__dict__', '')}"


def test_what_is_shown_of_a_secret_is_seen():
    watch = Watch()
    watch.given({"identifier": "ada@example.org", "password": PASSWORD, "code": "a word of errors"})
    watch.answered({"codes": ["ABCDE-FGHIJ-KLMNO"], "token": "short", "user": {"full_name": "Ada of Somewhere"}})
    assert watch.secrets == {PASSWORD, "ABCDE-FGHIJ-KLMNO"}
    watch.printed("Ada of Somewhere, a word of errors, short")
    assert watch.leak() is None
    logging.getLogger("rolekeep").addHandler(watch)
    logging.getLogger("rolekeep.storage").warning("slow: %s", "ABCDE-FGHIJ-KLMNO")
    logging.getLogger("rolekeep").removeHandler(watch)
    assert "ABCDE-FGHIJ-KLMNO" in (watch.leak() or "")
    echo = Watch()
    echo.given({"password": PASSWORD})
    echo.answered({"display_name": PASSWORD})
    assert PASSWORD in (echo.leak() or "")
