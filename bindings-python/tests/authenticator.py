"""An authenticator of the tests, and the browser before it (Web Authentication, Level 3)."""

from __future__ import annotations

import base64
import json
import secrets
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT = 1
USER_VERIFIED = 1 << 2
HAS_CREDENTIAL = 1 << 6


def base64url(given: bytes) -> str:
    return base64.urlsafe_b64encode(given).decode().rstrip("=")


class Authenticator:
    """It holds one passkey, of ES256, which is made by `create`."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.handle = ""
        self.counter = 0

    def create(self, text: str, **more: Any) -> str:
        """What `navigator.credentials.create()` answers; `more` may say `verified` and `counter`."""
        options = json.loads(text)
        assert {"type": "public-key", "alg": -7} in options["pubKeyCredParams"]
        self.handle = options["user"]["id"]
        domain = options["rp"]["id"]
        point = self.key.public_key().public_numbers()
        x, y = (part.to_bytes(32, "big") for part in (point.x, point.y))
        # {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        cose = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y
        data = self._data(domain, HAS_CREDENTIAL, **more) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
        client = client_data("webauthn.create", domain, options)
        return self._answer(clientDataJSON=client, attestationObject=attestation, transports=["internal"])

    def get(self, text: str, **more: Any) -> str:
        """What `navigator.credentials.get()` answers."""
        options = json.loads(text)
        allowed = [each["id"] for each in options["allowCredentials"]]
        assert not allowed or base64url(self.id) in allowed, "it is not asked for"
        data = self._data(options["rpId"], 0, **more)
        client = client_data("webauthn.get", options["rpId"], options)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        handle = None if allowed else self.handle
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature, userHandle=handle)

    def _data(self, domain: str, flags: int, verified: bool = True, counter: int | None = None) -> bytes:
        self.counter = self.counter + 1 if counter is None else counter
        flags |= USER_PRESENT | (USER_VERIFIED if verified else 0)
        return sha256(domain.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _answer(self, **response: Any) -> str:
        written = {name: base64url(part) if isinstance(part, bytes) else part for name, part in response.items()}
        name = base64url(self.id)
        answer = {"id": name, "rawId": name, "type": "public-key", "response": written, "clientExtensionResults": {}}
        return json.dumps(answer)


def client_data(ceremony: str, domain: str, options: dict[str, Any]) -> bytes:
    origin = f"https://{domain}"
    return json.dumps({"type": ceremony, "challenge": options["challenge"], "origin": origin, "crossOrigin": False}).encode()
