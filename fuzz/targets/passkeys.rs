//! What a browser may answer: a whole response, or the parts of one, the first byte of each says how long it is. Nothing
//! panics, no assertion passes that nobody signed, and a passkey that is registered is stored and read as it was.
#![no_main]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use rolekeep::internals::passkeys::{
    PublicKey, RelyingParty, Requirement, Stored, credential_id_and_handle, verify_assertion, verify_registration,
};

const CHALLENGE: [u8; 32] = [7; 32];
/// A point of Ed25519 whose secret nobody here has: the base point.
const KEY: &[u8] = b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20\x58fffffffffffffffffffffffffffffff";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        ask(text, text);
    }
    let Some((&id, rest)) = bytes.split_first() else { return };
    let (id, rest) = rest.split_at(rest.len().min(id.into()));
    let Some((&signature, rest)) = rest.split_first() else { return };
    let (signature, rest) = rest.split_at(rest.len().min(signature.into()));
    // Client data that is right, so that what is behind it is reached.
    let client_data = |ceremony| {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(CHALLENGE);
        let text = format!(r#"{{"type":"{ceremony}","challenge":"{challenge}","origin":"https://example.org"}}"#);
        BASE64_URL_SAFE_NO_PAD.encode(text)
    };
    let [id, signature, rest] = [id, signature, rest].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let whole = |response| format!(r#"{{"id":"{id}","rawId":"{id}","type":"public-key","response":{{{response}}}}}"#);
    let (created, got) = (client_data("webauthn.create"), client_data("webauthn.get"));
    ask(
        &whole(format!(r#""clientDataJSON":"{created}","attestationObject":"{rest}""#)),
        &whole(format!(r#""clientDataJSON":"{got}","authenticatorData":"{rest}","signature":"{signature}""#)),
    );
});

fn ask(registration: &str, assertion: &str) {
    let relying_party = RelyingParty::new("example.org", "Example", &["https://example.org"]).expect("a relying party");
    let user = Requirement::Preferred;
    if let Ok(passkey) = verify_registration(&relying_party, &CHALLENGE, user, registration) {
        assert!(passkey.public_key.to_stored().len() <= 530 && (1..=1023).contains(&passkey.credential_id.len()));
        assert_eq!(PublicKey::from_stored(passkey.public_key.to_stored()), Ok(passkey.public_key));
    }
    let Ok((credential_id, _)) = credential_id_and_handle(assertion) else { return };
    let public_key = PublicKey::from_stored(KEY).expect("a key");
    for is_backup_eligible in [false, true] {
        let (credential_id, public_key) = (&credential_id, &public_key);
        let stored = Stored { credential_id, public_key, counter: 0, is_backup_eligible, handle: &[9; 32] };
        assert!(verify_assertion(&relying_party, &CHALLENGE, user, &stored, assertion).is_err(), "{assertion}");
    }
}
