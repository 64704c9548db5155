"""Tokens of ours that others verify, and theirs here: by PyJWT and `cryptography`, which somebody else wrote."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from conftest import PASSWORD
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from rolekeep import ExternalIdentity, IssuerKind, Reason, TokenAlgorithm, TrustedIssuer, Unauthorized, Unavailable

ISSUER = "https://login.example.org"
SECRET = "a key that the issuer and the application share"
TLS = Path(__file__).resolve().parents[2] / "tests" / "tls"


@pytest.mark.parametrize(("algorithm", "name"), [(TokenAlgorithm.ES256, "ES256"), (TokenAlgorithm.EDDSA, "EdDSA")])
def test_pyjwt_verifies_ours_by_the_key_set(open_store, algorithm, name):
    um = open_store(token_algorithm=algorithm, issuer="https://example.org", audience="api")
    ada = um.system.users.create("ada@example.org", password=PASSWORD)

    def verified():
        token = um.login("ada@example.org", PASSWORD).done().access_token
        key = jwt.PyJWKSet.from_json(um.anonymous().signing_keys.jwks().json)[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=[name], issuer="https://example.org", audience="api")
        return jwt.get_unverified_header(token), claims

    header, claims = verified()
    assert header["typ"] == "at+jwt" and header["alg"] == name
    assert claims["sub"] == str(ada.id) and claims.keys() == {"aud", "exp", "iat", "iss", "jti", "nbf", "sid", "sub"}
    um.system.signing_keys.revoke(header["kid"])
    assert verified()[0]["kid"] != header["kid"]


def test_pyjwt_verifies_ours_by_the_shared_key(open_store):
    key = "a root key of thirty-two bytes and more"
    um = open_store(signing_key=key, audience="api")
    um.system.users.create("ada@example.org", password=PASSWORD)
    token = um.login("ada@example.org", PASSWORD).done().access_token
    assert jwt.decode(token, key, algorithms=["HS256"], audience="api")["iss"] == "rolekeep"


def keys():
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "RS256": rsa.generate_private_key(65537, 2048),
    }


def jwk(name, key):
    """Its public key, as a member of the issuer's key set."""
    algorithm = jwt.get_algorithm_by_name(name)
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}


def claims(**further):
    now = int(time.time())
    return {"iss": ISSUER, "sub": "auth0|1", "aud": "app", "iat": now, "exp": now + 60, "auth_time": now, **further}


def test_tokens_of_pyjwt_sign_in(open_store):
    private = keys()
    key_set = json.dumps({"keys": [jwk(name, key) for name, key in private.items()]})
    um = open_store(sign_in_tries=0, trusted_issuers=[TrustedIssuer(issuer=ISSUER, audiences=["app"], jwks=key_set)])
    ada = um.system.users.create(username="ada", identity=ExternalIdentity(issuer=ISSUER, subject="auth0|1"))
    for name, key in private.items():
        token = jwt.encode(claims(jti=name), key, algorithm=name, headers={"kid": name})
        assert um.anonymous().sign_in.external(token).done().user.id == ada.id, name
        for other in private.keys() - {name}:
            forged = jwt.encode(claims(jti=other), key, algorithm=name, headers={"kid": other})
            with pytest.raises(Unauthorized) as refused:
                um.anonymous().sign_in.external(forged)
            assert refused.value.reason is Reason.INVALID_CREDENTIALS


def test_tokens_of_supabase_s_shape_sign_in(open_store):
    project = TrustedIssuer(issuer=ISSUER, audiences=["authenticated"], secret=SECRET, kind=IssuerKind.SUPABASE)
    um = open_store(trusted_issuers=[project])
    um.system.users.create(username="ada", identity=ExternalIdentity(issuer=ISSUER, subject="auth0|1"))
    person = claims(aud="authenticated", role="authenticated", is_anonymous=False, user_metadata={"role": "admin"})
    assert um.anonymous().sign_in.external(jwt.encode(person, SECRET, algorithm="HS256")).done().user.username == "ada"
    for further in ({"role": "service_role"}, {"is_anonymous": True}):
        with pytest.raises(Unauthorized):
            um.anonymous().sign_in.external(jwt.encode({**person, **further}, SECRET, algorithm="HS256"))


def test_pyjwt_verifies_a_token_for_supabase(open_store):
    private = ec.generate_private_key(ec.SECP256R1())
    key = {**json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(private)), "kid": "project"}
    for settings, verifies in (
        ({"supabase_secret": SECRET}, (SECRET, ["HS256"])),
        ({"supabase_signing_key": json.dumps(key)}, (private.public_key(), ["ES256"])),
    ):
        um = open_store(supabase_issuer=ISSUER, **settings)
        ada = um.system.users.create("ada@example.org", password=PASSWORD)
        tokens = um.login("ada@example.org", PASSWORD).done()
        answer = um.authenticate(tokens.access_token).sessions.supabase_token()
        said = jwt.decode(answer.access_token, *verifies, issuer=ISSUER, audience="authenticated")
        assert said["sub"] == str(ada.id) and said["role"] == "authenticated" and said["aal"] == "aal1"
        assert said["session_id"] == str(tokens.session_id) and said["exp"] == int(answer.expires_at.timestamp())
        with pytest.raises(Unauthorized):
            um.authenticate(answer.access_token)


@pytest.fixture
def key_server():
    """A server of key sets on this machine: its port, what it publishes by path, and how often it was asked."""
    published, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = published[self.path].encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.pem", TLS / "localhost.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, published, asked
    server.shutdown()
    server.server_close()


def test_a_key_set_is_fetched_over_tls_from_where_it_may_be(open_store, key_server):
    port, published, asked = key_server
    key = ed25519.Ed25519PrivateKey.generate()
    published["/keys"] = json.dumps({"keys": [jwk("EdDSA", key)]})

    def sign_in(**settings):
        url = f"https://localhost:{port}/keys"
        um = open_store(trusted_issuers=[TrustedIssuer(issuer=ISSUER, audiences=["app"], jwks_url=url, **settings)])
        um.system.users.create(username="ada", identity=ExternalIdentity(issuer=ISSUER, subject="auth0|1"))
        for number in range(2):
            token = jwt.encode(claims(jti=str(number)), key, algorithm="EdDSA", headers={"kid": "EdDSA"})
            um.anonymous().sign_in.external(token).done()

    authority = (TLS / "ca.pem").read_text()
    sign_in(root_certificates=authority, allow_private_network=True)
    assert asked == ["/keys"]
    with pytest.raises(Unavailable, match="certificate") as refused:
        sign_in(allow_private_network=True)
    assert refused.value.reason is Reason.ISSUER_UNAVAILABLE
    with pytest.raises(Unavailable, match="public internet"):
        sign_in(root_certificates=authority)
    assert asked == ["/keys"]
