//! What strangers give as a token of ours: any text, and any bytes under a right MAC. Nothing is accepted but what we would issue for
//! what it says, and each kind is for itself.
#![no_main]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use rolekeep::{
    ApiKeyId, Secret, SessionId, Time, UserId,
    internals::tokens::{
        access_token::{self, Expected, Key},
        api_key, device_token, refresh_token,
        signed_id::{self, Purpose},
    },
};
use sha2::Sha256;
use uuid::Uuid;

const KEY: [u8; 32] = [7; 32];
const SEED: &str = "seed";
const NOW: i64 = 1_800_000_000;
const PURPOSES: [Purpose; 9] = [
    Purpose::Challenge,
    Purpose::Passkey,
    Purpose::Reset,
    Purpose::Verification,
    Purpose::EmailChange,
    Purpose::EmailRevert,
    Purpose::MailSignIn,
    Purpose::Identity,
    Purpose::Invitation,
];

fuzz_target!(|bytes: &[u8]| {
    let signed = under_a_right_mac(bytes);
    let claims = access(&signed).is_some();
    assert!(!claims || access_token::is_claimed(&signed), "{signed}");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // No text is by our key but what we signed, and that is more than anybody finds by chance.
    assert!(access(text).is_none(), "{text}");
    let secret = Secret::from(text);
    if let Ok(body) = refresh_token::read(&secret) {
        let issued = refresh_token::issue(&KEY, SEED, body).expect("a token");
        let is_it = refresh_token::verify(&KEY, SEED, &secret).is_ok();
        assert_eq!(is_it, issued.expose() == text, "{text}");
    }
    for purpose in PURPOSES {
        let Ok(id) = signed_id::read(purpose, &secret) else { continue };
        let bounds: [&[&[u8]]; 2] = [&[], &[b"ada@example.org", b"1"]];
        for bound in bounds {
            let issued = signed_id::issue(&KEY, purpose, id, bound).expect("a token");
            let is_it = signed_id::verify(&KEY, purpose, &secret, bound).is_ok();
            assert_eq!(is_it, issued.expose() == text, "{text}");
            let others = PURPOSES.iter().filter(|other| **other != purpose);
            assert!(others.map(|other| signed_id::read(*other, &issued)).all(|read| read.is_err()), "{text}");
        }
    }
    let (user, now) = (UserId(Uuid::nil()), Time::from_second(NOW).expect("a time"));
    assert!(device_token::read(&KEY, &secret, user, now).is_none(), "{text}");
    if let Ok(given) = api_key::read(text) {
        let (issued, stored) = api_key::issue(given.id, &[7; 24]);
        assert_eq!(given.is(&stored), issued.expose() == text, "{text}");
        assert!(text.starts_with(&api_key::beginning(given.id)), "{text}");
    }
    // What is issued for any id is read as that.
    let Some(id) = bytes.first_chunk().map(|id| Uuid::from_bytes(*id)) else { return };
    let (key, stored) = api_key::issue(ApiKeyId(id), &[7; 24]);
    let given = api_key::read(key.expose()).expect("a key");
    assert!(given.id == ApiKeyId(id) && given.is(&stored));
    let token = device_token::issue(&KEY, id, user, now).expect("a token");
    assert_eq!(device_token::read(&KEY, &token, user, now), Some(id));
    assert_eq!(device_token::read(&KEY, &token, UserId(Uuid::max()), now), None);
    let body = refresh_token::TokenBody { session: SessionId(id), generation: NOW };
    let token = refresh_token::issue(&KEY, SEED, body).expect("a token");
    assert_eq!(refresh_token::verify(&KEY, SEED, &token).ok(), Some(body));
});

/// What an access token says, if it is accepted.
fn access(text: &str) -> Option<access_token::Claims> {
    let now = Time::from_second(NOW).expect("a time");
    let expected = Expected { issuer: "rolekeep", audience: "app", now, leeway: 60 };
    let claims = Key::shared(&KEY).verify(text, &expected).ok()?;
    assert!(claims.iss == "rolekeep" && claims.aud == "app", "{text}");
    assert!(claims.exp > NOW && claims.nbf <= NOW + 60 && claims.iat <= NOW + 60, "{text}");
    // As everybody else reads it: no body is there twice. What we do not read may be wrong.
    let part = text.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok()).expect("base64url");
    let Ok(read) = serde_json::from_slice::<serde_json::Value>(&part) else { return Some(claims) };
    let id = |body: &str| read[body].as_str().and_then(|id| id.parse::<Uuid>().ok());
    assert_eq!((id("sub"), id("sid")), (Some(claims.sub.0), Some(claims.sid.0)), "{text}");
    Some(claims)
}

/// A token with the header of our key and these bytes for claims.
fn under_a_right_mac(claims: &[u8]) -> String {
    let id = Key::shared(&KEY).id().to_owned();
    let header = format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{id}"}}"#);
    let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("a key").chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}
