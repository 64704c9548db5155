//! Public keys as JSON (RFC 7517).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use zeroize::Zeroizing;

use super::{Algorithm, PrivateKey, PublicKey, public_key::PublicParameters};
use crate::model::input;

impl PublicKey {
    /// The key's id: the SHA-256 thumbprint of RFC 7638.
    pub fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.required_members()))
    }

    /// The key as a member of a key set, under its thumbprint.
    pub fn to_jwk(&self) -> String {
        let members = self.required_members();
        let members = members.trim_start_matches('{');
        let (name, id) = (self.algorithm().name(), self.thumbprint());
        format!(r#"{{"kid":"{id}","alg":"{name}","use":"sig",{members}"#)
    }

    /// What a thumbprint is made of: the members that every such key has, in the order of their names, without spaces.
    fn required_members(&self) -> String {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match self.parts() {
            PublicParameters::Es256(x, y) => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(&x), text(&y))
            }
            PublicParameters::EdDsa(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(&x)),
            PublicParameters::Rs256(n, e) => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(&e), text(&n)),
        }
    }
}

/// Why a text is no private key.
#[allow(missing_docs, reason = "their messages say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrivateKey {
    #[error("is no JSON Web Key: an object with `kty`, `crv`, `x`, `d` and `kid`")]
    Json,
    #[error("is no private key of ES256 (`EC`, `P-256`) or EdDSA (`OKP`, `Ed25519`) for signing")]
    Kind,
    #[error("has a public part that is not its private part's")]
    Halves,
    #[error("has no `kid`, by which those who verify find it: 1 to 255 characters")]
    Id,
}

impl PrivateKey {
    /// Reads a private key and its id (RFC 7517, section 4; RFC 7518, 6.2.2; RFC 8037, 2).
    pub fn of_jwk(text: &str) -> Result<(String, Self), NoPrivateKey> {
        let read = input::read(text, input::Limits::SMALL).map_err(|_| NoPrivateKey::Json)?;
        let key = read.as_object().ok_or(NoPrivateKey::Json)?;
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        let algorithm = match (member("kty"), member("crv")) {
            (Some("EC"), Some("P-256")) => Algorithm::Es256,
            (Some("OKP"), Some("Ed25519")) => Algorithm::EdDsa,
            _ => return Err(NoPrivateKey::Kind),
        };
        let signs = |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "sign"));
        let is_of = |named: &str| named == algorithm.name() || (named == "Ed25519" && algorithm == Algorithm::EdDsa);
        let is_to_sign = member("use").is_none_or(|of| of == "sig") && key.get("key_ops").is_none_or(signs);
        if !is_to_sign || !member("alg").is_none_or(is_of) {
            return Err(NoPrivateKey::Kind);
        }
        let bytes = |name: &str| Some(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(member(name)?).ok()?));
        let secret = bytes("d").ok_or(NoPrivateKey::Kind)?;
        let secret: &[u8; 32] = secret.as_slice().try_into().map_err(|_| NoPrivateKey::Kind)?;
        let private = Self::of_bytes(algorithm, secret).ok_or(NoPrivateKey::Kind)?;
        let is_same = |name: &str, part: &[u8]| bytes(name).is_some_and(|bytes| bytes.as_slice() == part);
        let has_its_public_part = match private.public_key().parts() {
            PublicParameters::Es256(x, y) => is_same("x", &x) && is_same("y", &y),
            PublicParameters::EdDsa(x) => is_same("x", &x),
            PublicParameters::Rs256(..) => false,
        };
        if !has_its_public_part {
            return Err(NoPrivateKey::Halves);
        }
        let id = member("kid").filter(|id| (1..=255).contains(&id.chars().count())).ok_or(NoPrivateKey::Id)?;
        Ok((id.to_owned(), private))
    }
}

/// A longer set is none, in bytes.
pub const MAX_SET_BYTES: usize = 256 * 1024;
/// A set has no more keys.
const MAX_KEYS: usize = 100;

/// The public keys of another issuer (RFC 7517, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(Vec<(Option<String>, PublicKey)>);

/// Why a text is no key set.
#[allow(missing_docs, reason = "their messages say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeySet {
    #[error("is no JSON Web Key Set: an object with `keys`")]
    Json,
    #[error("has more than 100 keys")]
    TooMany,
    #[error("has a private key: give the public keys alone")]
    Private,
    #[error("has no key for verifying ES256, EdDSA or RS256")]
    Empty,
}

impl KeySet {
    /// Reads a set. Keys of other kinds, and for other uses, are left out (section 5).
    pub fn read(text: &str) -> Result<Self, NoKeySet> {
        let limits = input::Limits { bytes: MAX_SET_BYTES, ..input::Limits::SMALL };
        let set = input::read(text, limits).map_err(|_| NoKeySet::Json)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(NoKeySet::Json)?;
        if keys.len() > MAX_KEYS {
            return Err(NoKeySet::TooMany);
        }
        let mut found = Vec::new();
        for key in keys.iter().filter_map(Value::as_object) {
            if ["d", "p", "k"].iter().any(|member| key.contains_key(*member)) {
                return Err(NoKeySet::Private);
            }
            let id = key.get("kid").and_then(Value::as_str).map(str::to_owned);
            found.extend(public_key(key).map(|key| (id, key)));
        }
        if found.is_empty() { Err(NoKeySet::Empty) } else { Ok(Self(found)) }
    }

    /// The keys of an id, or all for a token that names none.
    pub fn find(&self, id: Option<&str>) -> impl Iterator<Item = &PublicKey> {
        self.0.iter().filter(move |(of, _)| id.is_none_or(|id| of.as_deref() == Some(id))).map(|(_, key)| key)
    }
}

/// A key that verifies, of the algorithm that its members say.
fn public_key(key: &Map<String, Value>) -> Option<PublicKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let verifies = |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"));
    if text("use").is_some_and(|of| of != "sig") || !key.get("key_ops").is_none_or(verifies) {
        return None;
    }
    let found = match (text("kty")?, text("crv")) {
        ("EC", Some("P-256")) => PublicKey::es256(&bytes("x")?, &bytes("y")?)?,
        ("OKP", Some("Ed25519")) => PublicKey::ed_dsa(&bytes("x")?)?,
        ("RSA", _) => PublicKey::rs256(&bytes("n")?, &bytes("e")?)?,
        _ => return None,
    };
    // RFC 9864 names EdDSA by its curve.
    let is_of = |algorithm: &str| {
        algorithm == found.algorithm().name() || (algorithm == "Ed25519" && found.algorithm() == Algorithm::EdDsa)
    };
    (text("alg").is_none_or(is_of) && Algorithm::offered().any(|offered| offered == found.algorithm())).then_some(found)
}
