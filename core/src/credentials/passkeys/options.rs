//! What a browser is asked for, as `PublicKeyCredential.parseCreationOptionsFromJSON()` and `parseRequestOptionsFromJSON()`
//! take it (5.1.8, 5.1.9).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Algorithm, Challenge, Handle, RelyingParty};

impl Algorithm {
    /// Its number at IANA ("COSE Algorithms").
    pub const fn number(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }
}

/// How much something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Without it the answer is refused.
    Required,
    /// Without it the answer is taken too.
    Preferred,
}

impl Requirement {
    const fn word(self) -> &'static str {
        match self {
            Requirement::Required => "required",
            Requirement::Preferred => "preferred",
        }
    }
}

/// A passkey that the account has.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its credential id.
    pub id: &'a [u8],
    /// As they were at its registration: how the browser finds it.
    pub transports: &'a [String],
}

impl Known<'_> {
    fn descriptor(&self) -> Value {
        let id = BASE64_URL_SAFE_NO_PAD.encode(self.id);
        if self.transports.is_empty() {
            // An empty list is another answer than none: reachable in no way.
            return json!({ "type": "public-key", "id": id });
        }
        json!({ "type": "public-key", "id": id, "transports": self.transports })
    }
}

/// For what a passkey is made.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// What the answer must sign.
    pub challenge: &'a Challenge,
    /// The account, as the authenticator keeps it.
    pub handle: &'a Handle,
    /// What the person signs in as.
    pub user_name: &'a str,
    /// What the person is called; may be empty.
    pub display_name: &'a str,
    /// What the account has: an authenticator that holds one of these makes no other.
    pub exclude: &'a [Known<'a>],
    /// Whether it must be found without the account being named.
    pub resident_key: Requirement,
    /// Whether it must be verified who is there, by a PIN or a finger.
    pub user_verification: Requirement,
    /// For so long the browser waits, in milliseconds.
    pub timeout_millis: u32,
}

/// For what a passkey is used.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What the answer must sign.
    pub challenge: &'a Challenge,
    /// The passkeys of the account, or none, where the passkey says who it is.
    pub allow: &'a [Known<'a>],
    /// Whether it must be verified who is there, by a PIN or a finger.
    pub user_verification: Requirement,
    /// For so long the browser waits, in milliseconds.
    pub timeout_millis: u32,
}

/// The options to make a passkey with.
pub fn creation_options(relying_party: &RelyingParty, creation: &Creation<'_>) -> Value {
    let algorithms = relying_party.algorithms();
    let algorithms = algorithms.map(|algorithm| json!({ "type": "public-key", "alg": algorithm.number() }));
    let algorithms: Vec<Value> = algorithms.collect();
    json!({
        "rp": { "id": relying_party.id(), "name": relying_party.name() },
        "user": {
            "id": BASE64_URL_SAFE_NO_PAD.encode(creation.handle),
            "name": creation.user_name,
            "displayName": creation.display_name,
        },
        "challenge": BASE64_URL_SAFE_NO_PAD.encode(creation.challenge),
        "pubKeyCredParams": algorithms,
        "timeout": creation.timeout_millis,
        "excludeCredentials": descriptors(creation.exclude),
        "authenticatorSelection": {
            "residentKey": creation.resident_key.word(),
            // What browsers of Level 1 read (5.4.4).
            "requireResidentKey": creation.resident_key == Requirement::Required,
            "userVerification": creation.user_verification.word(),
        },
        "attestation": "none",
    })
}

/// The options to sign in with.
pub fn request_options(relying_party: &RelyingParty, request: &Request<'_>) -> Value {
    json!({
        "challenge": BASE64_URL_SAFE_NO_PAD.encode(request.challenge),
        "rpId": relying_party.id(),
        "allowCredentials": descriptors(request.allow),
        "userVerification": request.user_verification.word(),
        "timeout": request.timeout_millis,
    })
}

fn descriptors(known: &[Known<'_>]) -> Vec<Value> {
    known.iter().map(Known::descriptor).collect()
}
