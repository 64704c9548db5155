//! Access tokens: JWTs (RFC 7519), signed with HS256, the algorithm pinned (RFC 8725, 3.1).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{
    error::{Error, Reason, Result},
    id::{SessionId, UserId},
    secret::Secret,
    time::Time,
};

/// A longer token is none of ours and is not looked at, in bytes.
const MAX_BYTES: usize = 4096;

/// What an access token says. Roles are not in it: they are looked up, so that a change counts at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The session.
    pub sid: SessionId,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid from then on.
    pub exp: i64,
    /// The token's own id.
    pub jti: uuid::Uuid,
}

/// A key for signing and verifying.
#[derive(Clone)]
pub struct Key {
    /// Named by the token's header.
    pub id: String,
    /// At least 32 bytes (RFC 7518, 3.2).
    pub secret: zeroize::Zeroizing<Vec<u8>>,
}

impl Key {
    /// A key of these bytes; its id is derived from them and reveals nothing.
    pub fn new(secret: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(b"rolekeep key id\0").chain_update(secret).finalize();
        Self { id: BASE64_URL_SAFE_NO_PAD.encode(&digest[..9]), secret: secret.to_vec().into() }
    }

    /// The secret as it is stored.
    pub fn to_base64(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&*self.secret)
    }

    /// A stored secret.
    pub fn from_base64(text: &str) -> Option<Self> {
        BASE64_URL_SAFE_NO_PAD.decode(text).ok().map(|secret| Self::new(&secret))
    }

    /// Signs claims.
    pub fn sign(&self, claims: &Claims) -> Result<Secret> {
        install_provider();
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&self.secret))
            .map(Secret::from)
            .map_err(|_| Error::new(Reason::Internal, "a token could not be signed"))
    }

    /// Verifies a token at a moment; all that is wrong with one is the same error, but expiry.
    pub fn verify(&self, token: &str, issuer: &str, audience: &str, now: Time) -> Result<Claims> {
        install_provider();
        let invalid = || Error::new(Reason::InvalidToken, "the token is not valid here");
        if token.len() > MAX_BYTES {
            return Err(invalid());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        if header.alg != Algorithm::HS256 || header.kid.as_deref() != Some(self.id.as_str()) {
            return Err(invalid());
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        // Times are compared below, with the clock of the Environment.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&self.secret), &validation)
            .map_err(|_| invalid())?
            .claims;
        let now = now.as_second();
        if now < claims.nbf {
            return Err(invalid());
        }
        if now >= claims.exp {
            return Err(Error::new(Reason::TokenExpired, "the token's time is over; use the refresh token"));
        }
        Ok(claims)
    }
}

/// jsonwebtoken has one provider a process. A provider the host chose before stays.
fn install_provider() {
    #[cfg(not(target_arch = "wasm32"))]
    let provider = &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
    #[cfg(target_arch = "wasm32")]
    let provider = &super::hmac_provider::PROVIDER;
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = provider.install_default();
    });
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key() -> Key {
        Key { id: "k1".into(), secret: vec![7; 32].into() }
    }

    fn claims() -> Claims {
        Claims {
            iss: "rolekeep".into(),
            aud: "app".into(),
            sub: UserId(Uuid::from_u128(1)),
            sid: SessionId(Uuid::from_u128(2)),
            iat: 1000,
            nbf: 1000,
            exp: 1900,
            jti: Uuid::from_u128(3),
        }
    }

    fn at(second: i64) -> Time {
        Time::from_second(second).unwrap()
    }

    fn reason(key: &Key, token: &str, now: i64) -> Reason {
        key.verify(token, "rolekeep", "app", at(now)).unwrap_err().reason()
    }

    #[test]
    fn aut_4_valid_within_its_time_only() {
        let token = key().sign(&claims()).unwrap();
        let token = token.expose();
        assert_eq!(key().verify(token, "rolekeep", "app", at(1000)).unwrap(), claims());
        assert_eq!(key().verify(token, "rolekeep", "app", at(1899)).unwrap(), claims());
        assert_eq!(reason(&key(), token, 1900), Reason::TokenExpired);
        assert_eq!(reason(&key(), token, 999), Reason::InvalidToken);
        assert!(key().verify(token, "other", "app", at(1000)).is_err());
        assert!(key().verify(token, "rolekeep", "other", at(1000)).is_err());
    }

    #[test]
    fn sec_4_forgeries_are_refused() {
        let token = key().sign(&claims()).unwrap();
        let parts: Vec<&str> = token.expose().split('.').collect();
        let header = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let forged = [
            format!("{}.{}.", header(r#"{"alg":"none","typ":"JWT","kid":"k1"}"#), parts[1]),
            format!("{}.{}.{}", header(r#"{"alg":"HS512","typ":"JWT","kid":"k1"}"#), parts[1], parts[2]),
            format!("{}.{}.{}", header(r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#), parts[1], parts[2]),
            format!("{}.{}.{}", header(r#"{"alg":"HS256","typ":"JWT"}"#), parts[1], parts[2]),
            format!("{}.{}.{}", parts[0], header(r#"{"sub":"x"}"#), parts[2]),
            format!("{}.{}.AAAA", parts[0], parts[1]),
            "a.b".into(),
            String::new(),
            "x".repeat(100_000),
        ];
        for token in forged {
            assert_eq!(reason(&key(), &token, 1000), Reason::InvalidToken, "{}", &token[..token.len().min(80)]);
        }
        let other = Key { id: "k1".into(), secret: vec![8; 32].into() };
        assert_eq!(reason(&other, token.expose(), 1000), Reason::InvalidToken);
    }
}
