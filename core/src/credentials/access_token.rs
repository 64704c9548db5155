//! Access tokens: JWTs (RFC 7519) signed with HS256.
//!
//! A token has one header for each key, which is compared as text and never interpreted: there is
//! no `alg` to confuse, no `kid` to inject, no `jku` to follow (RFC 8725, 3.1 and 3.10). The
//! signature is verified before anything else is looked at (V9.1.1).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
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
    /// Named by the token's header; base64url.
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

    /// Signs claims.
    pub fn sign(&self, claims: &Claims) -> Result<Secret> {
        let failed = |_| Error::new(Reason::Internal, "a token could not be signed");
        let claims = serde_json::to_vec(claims).map_err(failed)?;
        let mut token = format!("{}.{}", self.header(), BASE64_URL_SAFE_NO_PAD.encode(claims));
        let tag = self.mac(&token)?.finalize().into_bytes();
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        Ok(Secret::from(token))
    }

    /// Verifies a token at a moment; all that is wrong with one is the same error, but expiry. A token may be of so many
    /// seconds later than now, by a clock that is ahead.
    pub fn verify(&self, token: &str, issuer: &str, audience: &str, now: Time, leeway: i64) -> Result<Claims> {
        let invalid = || Error::new(Reason::InvalidToken, "the token is not valid here");
        if token.len() > MAX_BYTES {
            return Err(invalid());
        }
        let (signed, tag) = token.rsplit_once('.').ok_or_else(invalid)?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).map_err(|_| invalid())?;
        self.mac(signed)?.verify_slice(&tag).map_err(|_| invalid())?;
        let (header, claims) = signed.split_once('.').ok_or_else(invalid)?;
        if header != self.header() {
            return Err(invalid());
        }
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| invalid())?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| invalid())?;
        let now = now.as_second();
        let latest = now.saturating_add(leeway);
        if claims.iss != issuer || claims.aud != audience || latest < claims.nbf || latest < claims.iat {
            return Err(invalid());
        }
        if now >= claims.exp {
            return Err(Error::new(Reason::TokenExpired, "the token has expired; use the refresh token"));
        }
        Ok(claims)
    }

    /// The one header of this key's tokens. The id is base64url, so nothing in it needs escaping.
    fn header(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{}"}}"#, self.id))
    }

    fn mac(&self, message: &str) -> Result<Hmac<Sha256>> {
        Ok(super::keyed(&self.secret)?.chain_update(message))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key() -> Key {
        Key::new(&[7; 32])
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

    /// Another header under a right signature, as somebody with the key for another purpose could make it.
    fn signed(header: &str, parts: &[&str]) -> String {
        let message = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), parts[1]);
        let tag = key().mac(&message).unwrap().finalize().into_bytes();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    fn at(second: i64) -> Time {
        Time::from_second(second).unwrap()
    }

    fn reason(key: &Key, token: &str, now: i64) -> Reason {
        key.verify(token, "rolekeep", "app", at(now), 60).unwrap_err().reason()
    }

    #[test]
    fn aut_4_valid_within_its_time_only() {
        let token = key().sign(&claims()).unwrap();
        let token = token.expose();
        for good in [940, 1000, 1899] {
            assert_eq!(key().verify(token, "rolekeep", "app", at(good), 60).unwrap(), claims(), "{good}");
        }
        assert_eq!(reason(&key(), token, 1900), Reason::TokenExpired);
        assert_eq!(reason(&key(), token, 939), Reason::InvalidToken);
        assert!(key().verify(token, "rolekeep", "app", at(999), 0).is_err());
        assert!(key().verify(token, "other", "app", at(1000), 60).is_err());
        assert!(key().verify(token, "rolekeep", "other", at(1000), 60).is_err());
        let late = Claims { iat: 1061, ..claims() };
        assert_eq!(reason(&key(), key().sign(&late).unwrap().expose(), 1000), Reason::InvalidToken);
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
            signed(r#"{"alg":"HS256","typ":"JWT","kid":"../../key"}"#, &parts),
            signed(r#"{"alg":"HS256","typ":"JWT","jku":"https://evil.example/jwks"}"#, &parts),
            format!("{}.{}.{}", parts[0], header(r#"{"sub":"x"}"#), parts[2]),
            format!("{}.{}.AAAA", parts[0], parts[1]),
            "a.b".into(),
            String::new(),
            "x".repeat(100_000),
        ];
        for token in forged {
            assert_eq!(reason(&key(), &token, 1000), Reason::InvalidToken, "{}", &token[..token.len().min(80)]);
        }
        let other = Key::new(&[8; 32]);
        assert_eq!(reason(&other, token.expose(), 1000), Reason::InvalidToken);
    }

    /// As a fault of ours, or somebody else who has the key, could make them.
    #[test]
    fn sec_4_claims_under_a_right_mac_are_each_there_once_and_of_their_type() {
        let key = key();
        let with = |claims: &str| {
            let message = format!("{}.{}", key.header(), BASE64_URL_SAFE_NO_PAD.encode(claims));
            let tag = key.mac(&message).unwrap().finalize().into_bytes();
            format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
        };
        let good = serde_json::to_string(&claims()).unwrap();
        assert_eq!(key.verify(&with(&good), "rolekeep", "app", at(1000), 60), Ok(claims()));
        let twice = |claim: &str| good.replace('{', &format!("{{{claim},"));
        let odd = [
            twice(r#""exp":9999"#),
            twice(r#""aud":"other""#),
            twice(r#""sub":"00000000-0000-0000-0000-000000000009""#),
            good.replace(r#""exp":1900,"#, ""),
            good.replace("1900", "\"1900\""),
            good.replace("1900", "1900.5"),
            good.replace("1900", "null"),
            good.replace("1900", "99999999999999999999"),
            good.replace(r#""app""#, r#"["app"]"#),
            format!("{good} trailing"),
            "[".repeat(2000),
            String::new(),
        ];
        for claims in odd {
            assert_ne!(claims, good);
            assert_eq!(reason(&key, &with(&claims), 1000), Reason::InvalidToken, "{claims}");
        }
    }
}
