//! Tokens of other issuers, and their key sets: any text, and any header and claims (a byte says how long the header is) signed by the
//! issuer's key. What is accepted says what it has to, and a key set holds public keys alone.
#![no_main]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use libfuzzer_sys::fuzz_target;
use rolekeep::{
    Time,
    internals::tokens::{
        foreign_token::{Issuer, IssuerKeys, Unverified, VerifyingKeys},
        signatures::{KeySet, PrivateKey},
    },
};
use serde_json::Value;

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 60;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = PrivateKey::of_jwk(text);
        if let Ok(set) = KeySet::read(text) {
            let count = set.find(None).count();
            assert!((1..=100).contains(&count), "{text}");
            for key in set.find(None) {
                // As we would publish it, it is read again.
                let again = KeySet::read(&format!(r#"{{"keys":[{}]}}"#, key.to_jwk())).expect("a set");
                assert!(again.find(Some(&key.thumbprint())).eq([key]), "{text}");
            }
        }
        // Nobody here has signed it.
        assert!(!is_accepted(text), "{text}");
    }
    let Some((&length, rest)) = bytes.split_first() else { return };
    let (header, claims) = rest.split_at(rest.len().min(length.into()));
    is_accepted(&signed(header, claims));
    is_accepted(&signed(br#"{"alg":"EdDSA","kid":"one","typ":"JWT"}"#, rest));
});

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

/// Whether a token is, by an OpenID provider or by Supabase; what is says what it has to.
fn is_accepted(text: &str) -> bool {
    let x = BASE64_URL_SAFE_NO_PAD.encode(key().verifying_key().to_bytes());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"one"}}]}}"#);
    let keys = KeySet::read(&set).expect("a set");
    let Ok(token) = Unverified::read(text) else { return false };
    let now = Time::from_second(NOW).expect("a time");
    let mut is_accepted = false;
    for is_supabase in [false, true] {
        let issuer = Issuer {
            name: "https://login.example.org".to_owned(),
            audiences: vec!["app".to_owned()],
            keys: IssuerKeys::Public(keys.clone()),
            is_for_access: false,
            registers: true,
            is_supabase,
        };
        let Ok(proved) = issuer.verify(VerifyingKeys::Public(&keys), &token, now) else { continue };
        is_accepted = true;
        let part = |at: usize| -> Value {
            let part = text.split('.').nth(at).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
            serde_json::from_slice(&part.expect("base64url")).expect("JSON")
        };
        let (header, claims) = (part(0), part(1));
        assert!(header["alg"] == "EdDSA" && header.get("crit").is_none(), "{text}");
        assert!(header.get("kid").is_none_or(|id| id == "one"), "{text}");
        assert_eq!(claims["sub"], proved.subject.as_str(), "{text}");
        assert!(proved.expires_at + LEEWAY > NOW && proved.issued_at <= NOW + LEEWAY, "{text}");
        assert!(proved.proved_at(now).is_none_or(|at| at <= now && at.as_second() <= proved.issued_at), "{text}");
        let is_for_us =
            claims["aud"] == "app" || claims["aud"].as_array().is_some_and(|all| all.iter().any(|one| one == "app"));
        assert!(is_for_us && claims.get("rolekeep").is_none(), "{text}");
        assert!(!is_supabase || claims["role"] == "authenticated", "{text}");
        let profile = proved.profile.expect("the issuer registers");
        assert!(
            profile.email.is_none_or(|email| claims["email"] == email && claims["email_verified"] == true),
            "{text}"
        );
    }
    is_accepted
}
