"""Second factors, as programs use them: by an authenticator app that others wrote."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from conftest import PASSWORD
from rolekeep import Reason, RolekeepError, SecondFactor, SignInStep, Unauthorized, ValidationError

NAME = "Öl & Söhne: \"Rolls\""


def app_of(setup):
    """An app that has scanned the QR code."""
    app = pyotp.parse_uri(setup.uri)
    assert isinstance(app, pyotp.TOTP)
    return app


def test_an_app_reads_the_uri(open_store):
    um = open_store(application_name=NAME)
    um.system.users.create("ada+1@example.org", password=PASSWORD)
    me = um.authenticate(um.login("ada+1@example.org", PASSWORD).done().access_token)
    setup = me.factors.add_start()
    app = app_of(setup)
    assert (app.issuer, app.name, app.secret) == (NAME, "ada+1@example.org", setup.secret)
    assert (app.digits, app.interval, app.digest().name) == (6, 30, "sha1")
    written = urlsplit(setup.uri)
    assert (written.scheme, written.netloc) == ("otpauth", "totp")
    assert parse_qs(written.query).keys() == {"secret", "issuer", "algorithm", "digits", "period"}
    for shown in (repr(setup), str(setup)):
        assert setup.secret not in shown and "otpauth" not in shown and "<svg" not in shown


def test_codes_of_an_app_sign_in(open_store):
    um = open_store()
    ada = um.system.users.create("ada@example.org", password=PASSWORD)
    me = um.authenticate(um.login("ada@example.org", PASSWORD).done().access_token)
    setup = me.factors.add_start()
    app = app_of(setup)
    added = me.factors.add(setup.challenge, app.now(), name="Phone")
    assert added.factor.name == "Phone" and len(added.recovery_codes) == 10
    assert not any(code in repr(added) for code in added.recovery_codes)
    assert um.authenticate(added.tokens.access_token).factors.list().factors == [added.factor]

    owed = um.login("ada@example.org", PASSWORD)
    assert owed.step is SignInStep.FACTOR and owed.tokens is None and owed.challenge is not None
    with pytest.raises(Unauthorized) as early:
        owed.done()
    assert early.value.reason is Reason.STEP_NEEDED
    next_code = app.at(time.time() + 30)
    proved = um.anonymous().sign_in.factor(owed.challenge, next_code)
    assert proved.step is SignInStep.DONE
    me = um.authenticate(proved.done().access_token)
    assert me.users.me().id == ada.id

    with pytest.raises(ValidationError) as missing:
        me.sessions.step_up(PASSWORD)
    assert [field.field for field in missing.value.fields] == ["code"]
    fresh = um.authenticate(me.sessions.step_up(PASSWORD, code=added.recovery_codes[0]).access_token)
    tokens = fresh.factors.remove(added.factor.id)
    assert um.authenticate(tokens.access_token).factors.list().factors == []
    um.login("ada@example.org", PASSWORD).done()


def test_the_same_with_await(open_store):
    um = open_store(second_factor=SecondFactor.REQUIRED)

    async def run():
        await um.aio.system.users.create("ada@example.org", password=PASSWORD)
        nobody = um.aio.anonymous()
        owed = await um.aio.login("ada@example.org", PASSWORD)
        assert owed.step is SignInStep.ENROL
        setup = await nobody.sign_in.enrol_start(owed.challenge)
        app = app_of(setup)
        enrolled = await nobody.sign_in.enrol(setup.challenge, app.now())
        assert enrolled.step is SignInStep.DONE and len(enrolled.recovery_codes) == 10
        me = await um.aio.authenticate(enrolled.done().access_token)
        assert (await me.factors.list()).are_required
        owed = await um.aio.login("ada@example.org", PASSWORD)
        done = (await nobody.sign_in.factor(owed.challenge, app.at(time.time() + 30))).done()
        assert (await (await um.aio.authenticate(done.access_token)).users.me()).email == "ada@example.org"

    asyncio.run(run())


@pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "\x00", "0" * 1_000_000, "-" * 24])
def test_what_is_no_code_is_wrong(open_store, code):
    um = open_store(second_factor=SecondFactor.REQUIRED)
    um.system.users.create("ada@example.org", password=PASSWORD)
    nobody = um.anonymous()
    setup = nobody.sign_in.enrol_start(um.login("ada@example.org", PASSWORD).challenge)
    with pytest.raises(ValidationError) as wrong:
        nobody.sign_in.enrol(setup.challenge, code)
    assert [(field.field, field.code) for field in wrong.value.fields] == [("code", "incorrect")]
    nobody.sign_in.enrol(setup.challenge, app_of(setup).now())
    owed = um.login("ada@example.org", PASSWORD)
    with pytest.raises(RolekeepError) as wrong:
        nobody.sign_in.factor(owed.challenge, code)
    assert wrong.value.reason is Reason.INVALID_CREDENTIALS
