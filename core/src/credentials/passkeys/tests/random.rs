//! Whatever comes in, nothing panics, and nothing passes that was not made by the passkey.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::Value;

use super::{vectors::Derived, *};

fn cases() -> ProptestConfig {
    let percent = std::env::var("ROLEKEEP_TEST_PERCENT").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    ProptestConfig { cases: 2000 * percent / 100, failure_persistence: None, ..ProptestConfig::default() }
}

/// What both ceremonies say of a text, whatever it is.
fn ask(derived: &Derived, text: &str) -> (Result<NewPasskey>, Result<Asserted>) {
    let key = PublicKey::from_stored(&derived.key.cose()).unwrap();
    let stored = Stored {
        credential_id: &derived.id,
        public_key: &key,
        counter: 0,
        is_backup_eligible: derived.flags[0] & 8 != 0,
        handle: &[9; 32],
    };
    let _ = credential_id_and_handle(text);
    let user = Requirement::Preferred;
    (
        verify_registration(&example_org(), &derived.challenges[0], user, text),
        verify_assertion(&example_org(), &derived.challenges[1], user, &stored, text),
    )
}

/// One of the parts that are bytes, spoilt in one place.
fn spoil(text: &str, part: &str, at: prop::sample::Index, xor: u8, cut: usize) -> String {
    let mut whole: Value = serde_json::from_str(text).unwrap();
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(whole["response"][part].as_str().unwrap()).unwrap();
    let at = at.index(bytes.len());
    bytes[at] ^= xor;
    bytes.drain(at + 1..bytes.len().min(at + 1 + cut));
    whole["response"][part] = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
    whole.to_string()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn random_parts_never_pass(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 4)) {
        let derived = &vectors::good()[0];
        let registered = messages::registration(&derived.id, &parts[0], &parts[1]).to_string();
        let client_data = messages::client_data("webauthn.create", &derived.challenges[0], "https://example.org", "");
        let object = messages::object("none", b"\xa0", &parts[2]);
        let nearly = messages::registration(&derived.id, client_data.as_bytes(), &object).to_string();
        let got = messages::client_data("webauthn.get", &derived.challenges[1], "https://example.org", "");
        let asserted = messages::assertion(&derived.id, got.as_bytes(), &parts[2], &parts[3], None).to_string();
        for text in [registered, nearly, asserted, String::from_utf8_lossy(&parts[0]).into_owned()] {
            let (registered, asserted) = ask(derived, &text);
            prop_assert!(registered.is_err() && asserted.is_err(), "{text}");
        }
    }

    #[test]
    fn spoilt_assertions_never_pass(
        example in any::<prop::sample::Index>(),
        part in prop::sample::select(vec!["clientDataJSON", "authenticatorData", "signature"]),
        at in any::<prop::sample::Index>(),
        xor in 1..=255u8,
        cut in 0..4usize,
    ) {
        let all = vectors::good();
        let derived = &all[example.index(all.len())];
        let text = spoil(&derived.assertion, part, at, xor, cut);
        let (registered, asserted) = ask(derived, &text);
        prop_assert!(registered.is_err() && asserted.is_err(), "{text}");
    }

    /// Nothing is signed in a registration: what passes is another passkey, never one that the message does not hold.
    #[test]
    fn spoilt_registrations_never_panic(
        example in any::<prop::sample::Index>(),
        part in prop::sample::select(vec!["clientDataJSON", "attestationObject"]),
        at in any::<prop::sample::Index>(),
        xor in 1..=255u8,
        cut in 0..4usize,
    ) {
        let all = vectors::good();
        let derived = &all[example.index(all.len())];
        let text = spoil(&derived.registration, part, at, xor, cut);
        let (registered, asserted) = ask(derived, &text);
        prop_assert!(asserted.is_err());
        if let Ok(passkey) = registered {
            prop_assert_eq!(&passkey.credential_id, &derived.id);
            let again = PublicKey::from_stored(passkey.public_key.to_stored());
            prop_assert_eq!(again.as_ref(), Ok(&passkey.public_key));
        }
    }

    /// A text that is changed anywhere is refused, or says the same.
    #[test]
    fn spoilt_json_says_the_same_or_nothing(at in any::<prop::sample::Index>(), letter in any::<char>()) {
        let derived = &vectors::good()[0];
        let mut text: Vec<char> = derived.assertion.chars().collect();
        let at = at.index(text.len());
        text[at] = letter;
        let text: String = text.into_iter().collect();
        let (_, asserted) = ask(derived, &text);
        if let Ok(asserted) = asserted {
            prop_assert!(asserted.handle.is_none_or(|handle| handle == [9; 32]));
            prop_assert!(!asserted.is_counter_stale && asserted.counter == 0);
        }
    }
}
