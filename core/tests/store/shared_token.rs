//! Tokens of an issuer that shares its key.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// A token by a shared key, whose claims have times in seconds from now.
pub fn shared_token(mut claims: Value, secret: &str) -> String {
    let now = jiff::Timestamp::now().as_second();
    for name in ["iat", "nbf", "exp", "auth_time"] {
        if let Some(at) = claims.get(name).and_then(Value::as_i64) {
            claims[name] = (now + at).into();
        }
    }
    let [header, claims] = [r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(), claims.to_string()];
    let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}
