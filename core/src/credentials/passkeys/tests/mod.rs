//! What is asked for, and who asks; the ceremonies are in the files beside.

mod messages;
mod random;
mod refused;
mod vectors;

use std::error::Error as _;

use super::*;
use crate::model::error::Result;

/// Why something was refused; all refusals are one to whoever is told.
fn refusal<T: std::fmt::Debug>(answer: Result<T>) -> Refusal {
    let error = answer.unwrap_err();
    assert_eq!((error.reason(), error.message()), (Reason::InvalidCredentials, "the passkey was not accepted"));
    *error.source().and_then(|source| source.downcast_ref::<Refusal>()).unwrap()
}

fn example_org() -> RelyingParty {
    RelyingParty::new("example.org", "Example", &["https://example.org"]).unwrap()
}

#[test]
fn a_relying_party_is_a_domain_and_its_origins() {
    let hash = format!("android:apk-key-hash:{}", "A".repeat(43));
    for (id, origins) in [
        ("example.org", &["https://example.org", "https://login.example.org:8443", &hash][..]),
        ("a.b-c.example.co.uk", &["https://a.b-c.example.co.uk"]),
        ("xn--bcher-kva.example", &["https://xn--bcher-kva.example"]),
        ("localhost", &["http://localhost", "http://localhost:5173", "https://localhost:1"]),
    ] {
        let relying_party = RelyingParty::new(id, "Example", origins).unwrap();
        assert!(origins.iter().all(|origin| relying_party.has_origin(origin)), "{id}");
        for other in ["https://example.com", "https://login.example.org", "http://localhost:80", "null", ""] {
            assert!(!relying_party.has_origin(other), "{id}: {other}");
        }
    }
    let long = format!("{}.org", "a".repeat(64));
    let longer = format!("{}org", "abcdefg.".repeat(32));
    for id in [
        "",
        "org",
        ".org",
        "example.org.",
        "Example.org",
        "bücher.example",
        "https://example.org",
        "example.org:443",
        "a..b",
        "-a.org",
        "a-.org",
        "127.0.0.1",
        "[::1]",
        "a_b.org",
        "example.org/",
        "example.org\0",
        " example.org",
        &long,
        &longer,
    ] {
        let origin = format!("https://{id}");
        let error = RelyingParty::new(id, "Example", &[&origin]).unwrap_err();
        assert_eq!(error.reason(), Reason::ConfigInvalid, "{id}");
    }
    for origin in [
        "",
        "example.org",
        "http://example.org",
        "https://example.com",
        "https://badexample.org",
        "https://example.org.evil.com",
        "https://example.org/",
        "https://example.org:443",
        "https://example.org:0",
        "https://example.org:080",
        "https://example.org:+1",
        "https://example.org:65536",
        "https://example.org:",
        "HTTPS://example.org",
        "https://EXAMPLE.org",
        "https://user@example.org",
        "https://.example.org",
        "https://example.org?x",
        "http://localhost",
        "https://*.example.org",
        "null",
        "android:apk-key-hash:",
        "android:apk-key-hash:AAAA",
        "ios:bundle-id:org.example",
    ] {
        let error = RelyingParty::new("example.org", "Example", &["https://example.org", origin]).unwrap_err();
        assert_eq!(error.reason(), Reason::ConfigInvalid, "{origin}");
    }
    for origin in ["http://localhost:80", "http://a.localhost", "http://localhost.example"] {
        assert!(RelyingParty::new("localhost", "Example", &[origin]).is_err(), "{origin}");
    }
    for name in ["", "a\nb", &"x".repeat(65)] {
        assert!(RelyingParty::new("example.org", name, &["https://example.org"]).is_err(), "{name}");
    }
    assert!(RelyingParty::new("example.org", "Example", &[]).is_err());
}

#[test]
fn options_are_as_browsers_parse_them() {
    let transports = ["internal".to_owned(), "hybrid".to_owned()];
    let known = [Known { id: &[1, 2, 3], transports: &transports }, Known { id: &[255; 2], transports: &[] }];
    let creation = Creation {
        challenge: &[7; 32],
        handle: &[9; 32],
        user_name: "ada@example.org",
        display_name: "Ada",
        exclude: &known,
        resident_key: Requirement::Required,
        user_verification: Requirement::Preferred,
        timeout_millis: 300_000,
    };
    let descriptors = serde_json::json!([
        { "type": "public-key", "id": "AQID", "transports": ["internal", "hybrid"] },
        { "type": "public-key", "id": "__8" },
    ]);
    assert_eq!(
        creation_options(&example_org(), &creation),
        serde_json::json!({
            "rp": { "id": "example.org", "name": "Example" },
            "user": {
                "id": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
                "name": "ada@example.org",
                "displayName": "Ada",
            },
            "challenge": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
            "pubKeyCredParams": [
                { "type": "public-key", "alg": -7 },
                { "type": "public-key", "alg": -8 },
                { "type": "public-key", "alg": -257 },
            ],
            "timeout": 300_000,
            "excludeCredentials": descriptors,
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "preferred",
            },
            "attestation": "none",
        })
    );
    let (allow, user_verification) = (&known, Requirement::Required);
    let request = Request { challenge: &[7; 32], allow, user_verification, timeout_millis: 1 };
    assert_eq!(
        request_options(&example_org(), &request),
        serde_json::json!({
            "challenge": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
            "rpId": "example.org",
            "allowCredentials": descriptors,
            "userVerification": "required",
            "timeout": 1,
        })
    );
}
