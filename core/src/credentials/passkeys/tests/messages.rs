//! Messages as browsers and authenticators write them, part by part, so that a test can spoil any one.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

/// The key of an authenticator.
#[derive(Clone)]
pub(super) enum SigningKey {
    Es256(p256::ecdsa::SigningKey),
    EdDsa(Box<ed25519_dalek::SigningKey>),
    /// No crate here signs with RSA: the key, and the one signature that is needed.
    Rs256 {
        modulus: Vec<u8>,
        signature: Vec<u8>,
    },
}

impl SigningKey {
    pub(super) fn es256(secret: [u8; 32]) -> Self {
        Self::Es256(p256::ecdsa::SigningKey::from_slice(&secret).unwrap())
    }

    pub(super) fn ed_dsa(secret: [u8; 32]) -> Self {
        Self::EdDsa(Box::new(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// The public key in the form that authenticators are to write.
    pub(super) fn cose(&self) -> Vec<u8> {
        match self {
            Self::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = (point.x().unwrap().to_vec(), point.y().unwrap().to_vec());
                [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec(), x, b"\x22\x58\x20".to_vec(), y].concat()
            }
            Self::EdDsa(key) => {
                [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20".as_slice(), key.verifying_key().as_bytes()].concat()
            }
            Self::Rs256 { modulus, .. } => {
                let length = u16::try_from(modulus.len()).unwrap().to_be_bytes();
                let head = b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59".as_slice();
                [head, &length, modulus, b"\x21\x43\x01\x00\x01"].concat()
            }
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::EdDsa(key) => key.sign(message).to_bytes().to_vec(),
            Self::Rs256 { signature, .. } => signature.clone(),
        }
    }
}

/// Authenticator data; nothing in it but its flags says what else there is.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) relying_party: &'static str,
    pub(super) flags: u8,
    pub(super) counter: u32,
    pub(super) aaguid: [u8; 16],
    /// How long the id is said to be.
    pub(super) id_length: u16,
    pub(super) id: Vec<u8>,
    /// The key, and whatever a test puts behind it.
    pub(super) rest: Vec<u8>,
}

impl Data {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Sha256::digest(self.relying_party).to_vec();
        bytes.push(self.flags);
        bytes.extend(self.counter.to_be_bytes());
        if self.flags & 0x40 != 0 {
            bytes.extend(self.aaguid);
            bytes.extend(self.id_length.to_be_bytes());
            bytes.extend(&self.id);
        }
        bytes.extend(&self.rest);
        bytes
    }
}

/// The attestation object around authenticator data.
pub(super) fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\xa3\x63fmt".to_vec();
    bytes.push(0x60 + u8::try_from(format.len()).unwrap());
    bytes.extend(format.as_bytes());
    bytes.extend(b"\x67attStmt");
    bytes.extend(statement);
    bytes.extend(b"\x68authData");
    match u8::try_from(data.len()) {
        Ok(length) => bytes.extend([0x58, length]),
        Err(_) => bytes.extend([[0x59].as_slice(), &u16::try_from(data.len()).unwrap().to_be_bytes()].concat()),
    }
    bytes.extend(data);
    bytes
}

/// Client data as browsers write it, byte by byte (5.8.1.1); what follows the origin is given.
pub(super) fn client_data(ceremony: &str, challenge: &Challenge, origin: &str, more: &str) -> String {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
    format!(r#"{{"type":"{ceremony}","challenge":"{challenge}","origin":"{origin}"{more}}}"#)
}

pub(super) fn registration(id: &[u8], client_data: &[u8], object: &[u8]) -> Value {
    let id = BASE64_URL_SAFE_NO_PAD.encode(id);
    json!({
        "id": id,
        "rawId": id,
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": BASE64_URL_SAFE_NO_PAD.encode(client_data),
            "attestationObject": BASE64_URL_SAFE_NO_PAD.encode(object),
            "transports": ["usb", "internal"],
        },
    })
}

pub(super) fn assertion(id: &[u8], client_data: &[u8], data: &[u8], signature: &[u8], handle: Option<&[u8]>) -> Value {
    let id = BASE64_URL_SAFE_NO_PAD.encode(id);
    json!({
        "id": id,
        "rawId": id,
        "type": "public-key",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": BASE64_URL_SAFE_NO_PAD.encode(client_data),
            "authenticatorData": BASE64_URL_SAFE_NO_PAD.encode(data),
            "signature": BASE64_URL_SAFE_NO_PAD.encode(signature),
            "userHandle": handle.map(|handle| BASE64_URL_SAFE_NO_PAD.encode(handle)),
        },
    })
}

/// What an authenticator signs.
pub(super) fn signed(data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [data, &Sha256::digest(client_data)].concat()
}
