// An authenticator that holds one passkey, of ES256, and does what it is told: also what none should. The guide includes it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;

/// A clone of it is a copy of the passkey.
#[derive(Clone)]
pub struct SecurityKey {
    pub key: SigningKey,
    /// The credential id.
    pub id: Vec<u8>,
    /// What it calls the account.
    pub handle: String,
    /// How often it has signed; always 0 where it does not count.
    pub counter: u32,
    pub counts: bool,
    pub is_verified: bool,
    pub is_backup_eligible: bool,
    pub is_backed_up: bool,
    /// Where the browser is.
    pub origin: String,
}

impl SecurityKey {
    /// One whose key follows from a number.
    pub fn new(number: u64) -> Self {
        let seed = Sha256::digest(number.to_be_bytes());
        Self {
            key: SigningKey::from_slice(&seed).unwrap(),
            id: Sha256::digest(seed).to_vec(),
            handle: String::new(),
            counter: 0,
            counts: true,
            is_verified: true,
            is_backup_eligible: false,
            is_backed_up: false,
            origin: "https://example.org".to_owned(),
        }
    }

    /// The credential id as it stands in JSON.
    pub fn id(&self) -> String {
        BASE64.encode(&self.id)
    }

    /// Makes its passkey, as `navigator.credentials.create()` does.
    pub fn create(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let is_known = |one: &Value| one["id"] == self.id();
        assert!(!options["excludeCredentials"].as_array().unwrap().iter().any(is_known), "the account has it");
        assert!(options["pubKeyCredParams"].as_array().unwrap().iter().any(|one| one["alg"] == -7));
        self.handle = options["user"]["id"].as_str().unwrap().to_owned();
        let mut data = self.data(options["rp"]["id"].as_str().unwrap(), HAS_CREDENTIAL);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        let point = self.key.verifying_key().to_sec1_point(false);
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(point.x().unwrap());
        data.extend([0x22, 0x58, 32]);
        data.extend(point.y().unwrap());
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);
        let client = self.client_data("webauthn.create", &options);
        let response = json!({
            "clientDataJSON": BASE64.encode(client),
            "attestationObject": BASE64.encode(object),
            "transports": ["usb", "nfc"],
        });
        self.credential(response)
    }

    /// Uses it, as `navigator.credentials.get()` does.
    pub fn get(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let allowed = options["allowCredentials"].as_array().unwrap();
        assert!(allowed.is_empty() || allowed.iter().any(|one| one["id"] == self.id()), "it is not asked for");
        let data = self.data(options["rpId"].as_str().unwrap(), 0);
        let client = self.client_data("webauthn.get", &options);
        let signature: Signature = self.key.sign(&[data.as_slice(), &Sha256::digest(&client)].concat());
        let response = json!({
            "clientDataJSON": BASE64.encode(client),
            "authenticatorData": BASE64.encode(data),
            "signature": BASE64.encode(signature.to_der()),
            "userHandle": if allowed.is_empty() { json!(self.handle) } else { Value::Null },
        });
        self.credential(response)
    }

    fn data(&mut self, id: &str, more: u8) -> Vec<u8> {
        self.counter += u32::from(self.counts);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = more
            | USER_PRESENT
            | flag(self.is_verified, USER_VERIFIED)
            | flag(self.is_backup_eligible, BACKUP_ELIGIBLE)
            | flag(self.is_backed_up, BACKED_UP);
        let mut data = Sha256::digest(id).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, ceremony: &str, options: &Value) -> Vec<u8> {
        let (challenge, origin) = (&options["challenge"], &self.origin);
        json!({ "type": ceremony, "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string().into()
    }

    fn credential(&self, response: Value) -> String {
        let id = self.id();
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {} })
            .to_string()
    }
}
