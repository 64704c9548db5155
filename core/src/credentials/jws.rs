//! Documents that are signed by a key of the application, for others to verify (RFC 7515).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::json;

use super::{
    access_token::JwsKey,
    signatures::{NoPrivateKey, PrivateKey},
};
use crate::model::{error::Result, secret::Secret};

/// Signs documents of one type.
pub struct Jws {
    /// As it stands in them.
    header: String,
    key: JwsKey,
}

impl Jws {
    /// By a secret that whoever verifies them has, too (HS256).
    pub fn shared(secret: &Secret, typ: &str) -> Self {
        Self::of(json!({"alg": "HS256", "typ": typ}), JwsKey::Shared(secret.expose().as_bytes().to_vec().into()))
    }

    /// By a private key: a JWK of ES256 or EdDSA with its id.
    ///
    /// # Errors
    /// If it is none.
    pub fn private(jwk: &Secret, typ: &str) -> Result<Self, NoPrivateKey> {
        let (id, key) = PrivateKey::of_jwk(jwk.expose())?;
        let header = json!({"alg": key.public_key().algorithm().name(), "kid": id, "typ": typ});
        Ok(Self::of(header, JwsKey::Private(key)))
    }

    fn of(header: serde_json::Value, key: JwsKey) -> Self {
        Self { header: BASE64_URL_SAFE_NO_PAD.encode(header.to_string()), key }
    }

    /// Signs a document, in the compact form.
    ///
    /// # Errors
    /// [`Reason::Internal`](crate::Reason::Internal)
    pub fn sign(&self, document: &impl Serialize) -> Result<Secret> {
        self.key.sign(&self.header, document)
    }
}
