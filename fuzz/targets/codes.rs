//! What people type for a code, and what an app reads from a QR code: any text. A code is what was typed but for its spaces, and no
//! name breaks out of its place in the URI.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rolekeep::{
    Secret, Time,
    internals::{
        tokens::{digits, letters},
        totp,
    },
};

fuzz_target!(|text: &str| {
    let typed = Secret::from(text);
    if let Some(code) = digits::typed::<6>(&typed) {
        let meant: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        assert_eq!(code.to_vec(), meant, "{text:?}");
        let seed = totp::seed(&[7; totp::SEED_BYTES]);
        let now = Time::from_second(1_800_000_000).expect("a time");
        if let Some(step) = totp::step(&seed, &code, now).expect("a seed") {
            assert!((totp::present(now) - 1..=totp::present(now) + 1).contains(&step), "{text:?}");
            assert_eq!(totp::code(&seed, step).expect("a seed"), code, "{text:?}");
        }
    }
    // A seed may be anything in a spoilt storage.
    let _ = totp::code(&typed, 1);
    if let Some(meant) = letters::meant(&typed, 24) {
        assert_eq!(meant.expose().chars().count(), 24, "{text:?}");
        // Typed as it is shown, it is meant again.
        assert_eq!(letters::meant(&meant, 24).map(|again| again.expose() == meant.expose()), Some(true), "{text:?}");
    }
    let (issuer, account) = text.split_at_checked(text.len() / 2).unwrap_or((text, text));
    let seed = totp::seed(&[7; totp::SEED_BYTES]);
    let uri = totp::uri(issuer, account, &seed);
    let uri = uri.expose();
    assert!(uri.is_ascii() && uri.matches('?').count() == 1 && uri.matches('&').count() == 4, "{uri}");
    assert!(!uri.contains(['#', ' ', '"', '<', '>']) && uri.matches(':').count() == 2, "{uri}");
    // Drawing takes a thousand times as long as the rest.
    if !text.len().is_multiple_of(64) {
        return;
    }
    let svg = totp::qr_svg(&Secret::from(uri)).expect("it fits");
    assert!(svg.expose().starts_with("<svg ") && svg.expose().ends_with("</svg>"));
});
