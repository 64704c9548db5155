//! Access tokens: JWTs (RFC 7519) signed with HS256, ES256 or EdDSA.
//!
//! A token has one header for each key, which is compared as text and never interpreted: there is
//! no `alg` to confuse, no `kid` to inject, no `jku` to follow (RFC 8725, 3.1 and 3.10). The
//! signature is verified before anything else is looked at (V9.1.1).

use std::sync::atomic::{AtomicBool, Ordering};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::signatures::{PrivateKey, PublicKey};
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
    /// Who acts as the user, where that is somebody else (RFC 8693, 4.1): for services that verify tokens themselves. Here the
    /// session says so.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub act: Option<Acting>,
}

/// Who acts as a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acting {
    /// The user who does.
    pub sub: UserId,
}

/// A key that signs tokens and verifies them.
pub struct Key {
    id: String,
    /// The one header of its tokens, as it stands in them.
    header: String,
    kind: JwsKey,
    is_gone: AtomicBool,
}

/// What signs tokens.
pub(super) enum JwsKey {
    /// HS256: at least 32 bytes (RFC 7518, 3.2).
    Shared(Zeroizing<Vec<u8>>),
    /// Its own algorithm.
    Private(PrivateKey),
}

impl JwsKey {
    /// The token of a header, which is base64url already, and of claims (RFC 7515, 3.1).
    pub(super) fn sign(&self, header: &str, claims: &impl Serialize) -> Result<Secret> {
        let failed = |_| Error::new(Reason::Internal, "a token could not be signed");
        let claims = serde_json::to_vec(claims).map_err(failed)?;
        let mut token = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let signature = match self {
            JwsKey::Shared(secret) => mac(secret, &token)?.finalize().into_bytes().to_vec(),
            JwsKey::Private(private) => private.sign(token.as_bytes()),
        };
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::from(token))
    }
}

/// What is expected of a token.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// For whom it is.
    pub audience: &'a str,
    /// The time now.
    pub now: Time,
    /// Of so many seconds later than now it may be, by a clock that is ahead.
    pub leeway: i64,
}

impl Key {
    /// A key of HS256; its id is derived from it and reveals nothing.
    pub fn shared(secret: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(b"rolekeep key id\0").chain_update(secret).finalize();
        let id = BASE64_URL_SAFE_NO_PAD.encode(&digest[..9]);
        Self::new(id, "HS256", JwsKey::Shared(secret.to_vec().into()))
    }

    /// A key of ES256 or EdDSA; its id is its thumbprint (RFC 7638).
    pub fn private(private: PrivateKey) -> Self {
        let public = private.public_key();
        let (id, algorithm) = (public.thumbprint(), public.algorithm().name());
        Self::new(id, algorithm, JwsKey::Private(private))
    }

    /// The id is base64url, so nothing in it needs escaping.
    fn new(id: String, algorithm: &str, kind: JwsKey) -> Self {
        let header = format!(r#"{{"typ":"at+jwt","alg":"{algorithm}","kid":"{id}"}}"#);
        Self { id, header: BASE64_URL_SAFE_NO_PAD.encode(header), kind, is_gone: AtomicBool::new(false) }
    }

    /// What tokens name it by, `kid`; base64url.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// By what others verify its tokens; none of HS256.
    pub fn public_key(&self) -> Option<&PublicKey> {
        match &self.kind {
            JwsKey::Shared(_) => None,
            JwsKey::Private(private) => Some(private.public_key()),
        }
    }

    /// It was revoked: what it signed counts no more.
    pub fn revoke(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    /// Refuses it where it was revoked.
    pub fn require(&self) -> Result<()> {
        if self.is_gone.load(Ordering::Acquire) { Err(invalid()) } else { Ok(()) }
    }

    /// Signs claims.
    pub fn sign(&self, claims: &Claims) -> Result<Secret> {
        self.kind.sign(&self.header, claims)
    }

    /// Whether a token says that it is signed with this key.
    pub fn is_of(&self, token: &str) -> bool {
        token.strip_prefix(&self.header).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Verifies a token; all that is wrong with one is the same error, but expiry.
    pub fn verify(&self, token: &str, expected: &Expected<'_>) -> Result<Claims> {
        if token.len() > MAX_BYTES || !self.is_of(token) {
            return Err(invalid());
        }
        self.require()?;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(invalid)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
        let is_right = match &self.kind {
            JwsKey::Shared(secret) => mac(secret, signed)?.verify_slice(&signature).is_ok(),
            JwsKey::Private(private) => private.public_key().verify(signed.as_bytes(), &signature),
        };
        let (_, claims) = signed.split_once('.').filter(|_| is_right).ok_or_else(invalid)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| invalid())?;
        // As text: of bytes JSON is read nowhere else in a page.
        let claims = str::from_utf8(&claims).map_err(|_| invalid())?;
        let claims: Claims = serde_json::from_str(claims).map_err(|_| invalid())?;
        let now = expected.now.as_second();
        let latest = now.saturating_add(expected.leeway);
        let is_for_here = claims.iss == expected.issuer && claims.aud == expected.audience;
        if !is_for_here || latest < claims.nbf || latest < claims.iat {
            return Err(invalid());
        }
        if now >= claims.exp {
            return Err(Error::new(Reason::TokenExpired, "the token has expired; use the refresh token"));
        }
        Ok(claims)
    }
}

/// Whether a text begins as the tokens of some key do.
pub fn is_claimed(token: &str) -> bool {
    let header = token.split_once('.').filter(|_| token.len() <= MAX_BYTES).map(|(header, _)| header);
    let header = header.and_then(|header| BASE64_URL_SAFE_NO_PAD.decode(header).ok());
    header.is_some_and(|header| header.starts_with(br#"{"typ":"at+jwt","alg":""#))
}

/// One answer for whatever makes a token void.
pub fn invalid() -> Error {
    Error::new(Reason::InvalidToken, "the token is not valid here")
}

fn mac(secret: &[u8], message: &str) -> Result<Hmac<Sha256>> {
    Ok(super::keyed(secret)?.chain_update(message))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key() -> Key {
        Key::shared(&[7; 32])
    }

    fn expected(issuer: &'static str, audience: &'static str, now: i64, leeway: i64) -> Expected<'static> {
        Expected { issuer, audience, now: at(now), leeway }
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
            act: None,
        }
    }

    /// Another header under a right signature, as somebody with the key for another purpose could make it.
    fn signed(header: &str, parts: &[&str]) -> String {
        let message = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), parts[1]);
        let tag = mac(&[7; 32], &message).unwrap().finalize().into_bytes();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    fn at(second: i64) -> Time {
        Time::from_second(second).unwrap()
    }

    fn reason(key: &Key, token: &str, now: i64) -> Reason {
        key.verify(token, &expected("rolekeep", "app", now, 60)).unwrap_err().reason()
    }

    #[test]
    fn aut_4_valid_within_its_time_only() {
        let token = key().sign(&claims()).unwrap();
        let token = token.expose();
        for good in [940, 1000, 1899] {
            assert_eq!(key().verify(token, &expected("rolekeep", "app", good, 60)).unwrap(), claims(), "{good}");
        }
        assert_eq!(reason(&key(), token, 1900), Reason::TokenExpired);
        assert_eq!(reason(&key(), token, 939), Reason::InvalidToken);
        assert!(key().verify(token, &expected("rolekeep", "app", 999, 0)).is_err());
        assert!(key().verify(token, &expected("other", "app", 1000, 60)).is_err());
        assert!(key().verify(token, &expected("rolekeep", "other", 1000, 60)).is_err());
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
        let other = Key::shared(&[8; 32]);
        assert_eq!(reason(&other, token.expose(), 1000), Reason::InvalidToken);
    }

    /// As a fault of ours, or somebody else who has the key, could make them.
    #[test]
    fn sec_4_claims_under_a_right_mac_are_each_there_once_and_of_their_type() {
        let key = key();
        let with = |claims: &str| {
            let message = format!("{}.{}", key.header, BASE64_URL_SAFE_NO_PAD.encode(claims));
            let tag = mac(&[7; 32], &message).unwrap().finalize().into_bytes();
            format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
        };
        let good = serde_json::to_string(&claims()).unwrap();
        assert_eq!(key.verify(&with(&good), &expected("rolekeep", "app", 1000, 60)), Ok(claims()));
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
