// Another issuer, whose tokens are verified by its public key.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use rolekeep::{Secret, TrustedIssuer};
use serde_json::{Value, json};

/// An issuer with one key.
pub struct Issuer {
    name: String,
    key: SigningKey,
    key_id: String,
}

impl Issuer {
    /// An issuer whose key follows from a number.
    pub fn new(name: &str, seed: u8) -> Self {
        Self::named(name, seed, "one")
    }

    /// One that calls its key so.
    pub fn named(name: &str, seed: u8, key_id: &str) -> Self {
        Self { name: name.to_owned(), key: SigningKey::from_bytes(&[seed; 32]), key_id: key_id.to_owned() }
    }

    /// Its public key, as it is in its key set.
    pub fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key_id, "alg": "EdDSA", "use": "sig"})
    }

    /// The setting by which it is trusted.
    pub fn trusted(&self) -> TrustedIssuer {
        let keys = json!({"keys": [self.jwk()]}).to_string();
        TrustedIssuer::new(self.name.clone()).audiences(["app"]).jwks(keys)
    }

    /// A token of a subject for `app`, issued at a second and good for an hour, with further claims, and without those that are null.
    pub fn token(&self, subject: &str, at: i64, further: Value) -> Secret {
        let mut claims =
            json!({"iss": self.name, "sub": subject, "aud": "app", "iat": at, "exp": at + 3600, "auth_time": at});
        let claims_of = claims.as_object_mut().unwrap();
        claims_of.extend(further.as_object().unwrap().clone());
        claims_of.retain(|_, value| !value.is_null());
        self.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.key_id}).to_string(), &claims.to_string())
    }

    /// A token of this header and these claims, whatever they are.
    pub fn sign(&self, header: &str, claims: &str) -> Secret {
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}").into()
    }
}
