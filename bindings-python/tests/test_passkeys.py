"""Passkeys, as programs use them: by the WebAuthn client that Yubico wrote, whose security key the tests are."""

import asyncio
import json
import secrets

import pytest
from conftest import PASSWORD
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.cose import ES256, RS256, EdDSA
from fido2.ctap import CtapDevice, CtapError
from fido2.hid import CAPABILITY
from fido2.utils import sha256
from fido2.webauthn import AttestedCredentialData, AuthenticatorData
from rolekeep import FactorKind, Proof, Reason, RolekeepError, SecondFactor, SignInStep, ValidationError

FLAG = AuthenticatorData.FLAG
MAKE, GET, INFO = 1, 2, 4

ALGORITHMS = {
    ES256: (lambda: ec.generate_private_key(ec.SECP256R1()), (ec.ECDSA(hashes.SHA256()),)),
    EdDSA: (ed25519.Ed25519PrivateKey.generate, ()),
    RS256: (lambda: rsa.generate_private_key(65537, 2048), (padding.PKCS1v15(), hashes.SHA256())),
}


class SecurityKey(CtapDevice):
    """A security key (CTAP 2) that holds passkeys of one algorithm, and verifies who is there unless it is told not to."""

    capabilities = CAPABILITY.CBOR

    def __init__(self, cose=ES256, is_verifying=True):
        self.cose, self.is_verifying = cose, is_verifying
        self.passkeys = {}
        self.counter = 0

    @classmethod
    def list_devices(cls):
        return iter(())

    def call(self, cmd, data=b"", event=None, on_keepalive=None):
        asked = cbor.decode(data[1:]) if len(data) > 1 else {}
        try:
            return b"\0" + cbor.encode({MAKE: self.make, GET: self.get, INFO: self.info}[data[0]](asked))
        except CtapError as error:
            return bytes([error.code])

    def info(self, _):
        options = {"rk": True, "up": True} | ({"uv": True} if self.is_verifying else {})
        return {1: ["FIDO_2_0"], 3: bytes(16), 4: options, 6: [1]}

    def make(self, asked):
        if any(each["id"] in self.passkeys for each in asked.get(5, [])):
            raise CtapError(CtapError.ERR.CREDENTIAL_EXCLUDED)
        if {"type": "public-key", "alg": self.cose.ALGORITHM} not in asked[4]:
            raise CtapError(CtapError.ERR.UNSUPPORTED_ALGORITHM)
        key, id_ = ALGORITHMS[self.cose][0](), secrets.token_bytes(32)
        self.passkeys[id_] = (key, asked[3])
        attested = AttestedCredentialData.create(bytes(16), id_, self.cose.from_cryptography_key(key.public_key()))
        return {1: "none", 2: self.data(asked[2]["id"], asked.get(7, {}), attested), 3: {}}

    def get(self, asked):
        allowed = [each["id"] for each in asked[3]] if 3 in asked else list(self.passkeys)
        id_ = next((each for each in allowed if each in self.passkeys), None)
        if id_ is None:
            raise CtapError(CtapError.ERR.NO_CREDENTIALS)
        key, user = self.passkeys[id_]
        data = self.data(asked[1], asked.get(5, {}))
        signature = key.sign(data + asked[2], *ALGORITHMS[self.cose][1])
        return {1: {"type": "public-key", "id": id_}, 2: data, 3: signature, 4: {"id": user["id"]}}

    def data(self, domain, options, attested=None):
        flags = FLAG.UP | (FLAG.UV if options.get("uv") else 0) | (FLAG.AT if attested else 0)
        self.counter += 1
        return AuthenticatorData.create(sha256(domain.encode()), flags, self.counter, attested or b"")


class Browser:
    """What a page of this origin can ask for."""

    def __init__(self, key, origin="https://app.example.org"):
        class Finger(UserInteraction):
            def request_uv(self, permissions, rp_id):
                return True

        self.client = Fido2Client(key, DefaultClientDataCollector(origin), Finger(), ())

    def create(self, options):
        return json.dumps(dict(self.client.make_credential(json.loads(options))))

    def get(self, options):
        return json.dumps(dict(self.client.get_assertion(json.loads(options)).get_response(0)))


@pytest.fixture
def open_site(open_store):
    def open_site(**settings):
        return open_store(passkey_domain="example.org", passkey_origins=["https://app.example.org"], **settings)

    return open_site


def added(um, browser, **more):
    """An account with a passkey, by whoever added it."""
    um.system.users.create("ada@example.org", password=PASSWORD, full_name="Ada")
    me = um.authenticate(um.login("ada@example.org", PASSWORD).done().access_token)
    setup = me.factors.add_passkey_start()
    answer = me.factors.add_passkey(setup.challenge, browser.create(setup.options), **more)
    return um.authenticate(answer.tokens.access_token), answer


@pytest.mark.parametrize("cose", ALGORITHMS)
def test_a_security_key_signs_in(open_site, cose):
    um = open_site()
    key = SecurityKey(cose)
    browser = Browser(key)
    me, answer = added(um, browser, name="Key")
    assert (answer.factor.kind, answer.factor.name, answer.factor.is_backed_up) == (FactorKind.PASSKEY, "Key", False)
    assert len(answer.recovery_codes) == 10
    assert me.factors.list().factors == [answer.factor]
    [(_, user)] = key.passkeys.values()
    assert (user["name"], user["displayName"], len(user["id"])) == ("ada@example.org", "Ada", 32)

    nobody = um.anonymous()
    start = nobody.sign_in.passkey_start()
    response = browser.get(start.options)
    for shown in (repr(start), str(start)):
        assert start.challenge not in shown
    done = nobody.sign_in.passkey(start.challenge, response, device_name="Desk")
    assert done.step is SignInStep.DONE
    assert um.authenticate(done.done().access_token).users.me().email == "ada@example.org"

    owed = um.login("ada@example.org", PASSWORD)
    assert owed.step is SignInStep.FACTOR and owed.offers == [Proof.PASSKEY, Proof.RECOVERY_CODE]
    start = nobody.sign_in.passkey_start(challenge=owed.challenge)
    proved = nobody.sign_in.passkey(start.challenge, browser.get(start.options))
    me = um.authenticate(proved.done().access_token)
    start = me.sessions.step_up_passkey_start()
    me = um.authenticate(me.sessions.step_up_passkey(start.challenge, browser.get(start.options)).access_token)
    tokens = me.factors.remove(answer.factor.id)
    assert um.authenticate(tokens.access_token).factors.list().factors == []
    start = nobody.sign_in.passkey_start()
    with pytest.raises(RolekeepError) as gone:
        nobody.sign_in.passkey(start.challenge, browser.get(start.options))
    assert gone.value.reason is Reason.INVALID_CREDENTIALS


def test_the_same_key_is_not_added_twice(open_site):
    um = open_site()
    browser = Browser(SecurityKey())
    me, _ = added(um, browser)
    setup = me.factors.add_passkey_start()
    with pytest.raises(ClientError) as excluded:
        browser.create(setup.options)
    assert excluded.value.code is ClientError.ERR.DEVICE_INELIGIBLE
    other = Browser(SecurityKey())
    answer = me.factors.add_passkey(setup.challenge, other.create(setup.options))
    assert answer.recovery_codes == []
    assert len(um.authenticate(answer.tokens.access_token).factors.list().factors) == 2


def test_one_that_does_not_verify_is_a_second_factor(open_site):
    um = open_site()
    browser = Browser(SecurityKey(is_verifying=False))
    added(um, browser)
    nobody = um.anonymous()
    with pytest.raises(ClientError) as impossible:
        browser.get(nobody.sign_in.passkey_start().options)
    assert impossible.value.code is ClientError.ERR.CONFIGURATION_UNSUPPORTED

    owed = um.login("ada@example.org", PASSWORD)
    start = nobody.sign_in.passkey_start(challenge=owed.challenge)
    me = um.authenticate(nobody.sign_in.passkey(start.challenge, browser.get(start.options)).done().access_token)
    start = me.sessions.step_up_passkey_start()
    with pytest.raises(ValidationError) as alone:
        me.sessions.step_up_passkey(start.challenge, browser.get(start.options))
    assert [(field.field, field.code) for field in alone.value.fields] == [("password", "required")]
    start = me.sessions.step_up_passkey_start()
    me.sessions.step_up_passkey(start.challenge, browser.get(start.options), password=PASSWORD)


def test_a_page_of_another_origin_gets_nothing(open_site):
    um = open_site()
    um.system.users.create("ada@example.org", password=PASSWORD)
    me = um.authenticate(um.login("ada@example.org", PASSWORD).done().access_token)
    setup = me.factors.add_passkey_start()
    # One that browsers keep from asking, and one that they let: of the domain, but not of the application.
    with pytest.raises(ClientError):
        Browser(SecurityKey(), "https://example.com").create(setup.options)
    with pytest.raises(ValidationError) as refused:
        me.factors.add_passkey(setup.challenge, Browser(SecurityKey(), "https://evil.example.org").create(setup.options))
    assert [(field.field, field.code) for field in refused.value.fields] == [("response", "incorrect")]


def test_the_same_with_await(open_site):
    um = open_site(second_factor=SecondFactor.REQUIRED)
    browser = Browser(SecurityKey())

    async def run():
        await um.aio.system.users.create("ada@example.org", password=PASSWORD)
        nobody = um.aio.anonymous()
        owed = await um.aio.login("ada@example.org", PASSWORD)
        assert owed.step is SignInStep.ENROL
        start = await nobody.sign_in.enrol_passkey_start(owed.challenge)
        enrolled = await nobody.sign_in.enrol_passkey(start.challenge, browser.create(start.options), name="Key")
        assert enrolled.step is SignInStep.DONE and len(enrolled.recovery_codes) == 10
        me = await um.aio.authenticate(enrolled.done().access_token)
        assert (await me.factors.list()).factors[0].name == "Key"
        start = await me.sessions.step_up_passkey_start()
        await me.sessions.step_up_passkey(start.challenge, browser.get(start.options))
        start = await nobody.sign_in.passkey_start()
        done = (await nobody.sign_in.passkey(start.challenge, browser.get(start.options))).done()
        assert (await (await um.aio.authenticate(done.access_token)).users.me()).email == "ada@example.org"

    asyncio.run(run())


@pytest.mark.parametrize("response", ["", "{}", "null", "[]", '{"id":"","rawId":"","type":"public-key","response":{}}', "{" * 1_000_000])
def test_what_is_no_answer_is_wrong(open_site, response):
    um = open_site()
    browser = Browser(SecurityKey())
    me, _ = added(um, browser)
    for start, prove, reason in [
        (um.anonymous().sign_in.passkey_start, um.anonymous().sign_in.passkey, Reason.INVALID_CREDENTIALS),
        (me.sessions.step_up_passkey_start, me.sessions.step_up_passkey, Reason.INVALID_INPUT),
        (me.factors.add_passkey_start, me.factors.add_passkey, Reason.INVALID_INPUT),
    ]:
        with pytest.raises(RolekeepError) as wrong:
            prove(start().challenge, response)
        assert wrong.value.reason is reason
