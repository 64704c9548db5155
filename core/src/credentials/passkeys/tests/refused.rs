//! Each check of the two ceremonies, broken alone.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{messages::*, *};

const HANDLE: Handle = [9; 32];
const CHALLENGE: Challenge = [7; 32];
const ID: [u8; 16] = [3; 16];

/// A ceremony before its messages are made. As it is made, it passes.
#[derive(Clone)]
struct Parts {
    key: SigningKey,
    client_data: Vec<u8>,
    data: Data,
    /// Around the authenticator data of a registration.
    object: fn(&[u8]) -> Vec<u8>,
    user: Requirement,
}

fn key() -> SigningKey {
    SigningKey::es256([5; 32])
}

fn data(flags: u8, rest: Vec<u8>) -> Data {
    Data { relying_party: "example.org", flags, counter: 6, aaguid: [0; 16], id_length: 16, id: ID.to_vec(), rest }
}

fn creating() -> Parts {
    Parts {
        key: key(),
        client_data: client_data("webauthn.create", &CHALLENGE, "https://example.org", "").into(),
        data: data(0x45, key().cose()),
        object: |data| object("none", b"\xa0", data),
        user: Requirement::Required,
    }
}

fn getting() -> Parts {
    let client_data = client_data("webauthn.get", &CHALLENGE, "https://example.org", "").into();
    Parts { client_data, data: data(0x05, Vec::new()), ..creating() }
}

impl Parts {
    fn registration(&self) -> Value {
        registration(&ID, &self.client_data, &(self.object)(&self.data.bytes()))
    }

    fn assertion(&self) -> Value {
        let data = self.data.bytes();
        let signature = self.key.sign(&signed(&data, &self.client_data));
        assertion(&ID, &self.client_data, &data, &signature, Some(&HANDLE))
    }

    fn register(&self) -> Result<NewPasskey> {
        verify_registration(&example_org(), &CHALLENGE, self.user, &self.registration().to_string())
    }

    fn assert(&self) -> Result<Asserted> {
        assert_text(&self.assertion().to_string(), self.user)
    }
}

fn assert_text(text: &str, user: Requirement) -> Result<Asserted> {
    let public_key = PublicKey::from_stored(&key().cose()).unwrap();
    let stored =
        Stored { credential_id: &ID, public_key: &public_key, counter: 5, is_backup_eligible: false, handle: &HANDLE };
    verify_assertion(&example_org(), &CHALLENGE, user, &stored, text)
}

fn register_text(text: &str) -> Result<NewPasskey> {
    verify_registration(&example_org(), &CHALLENGE, Requirement::Required, text)
}

#[test]
fn unspoilt_they_pass() {
    assert_eq!(creating().register().unwrap().counter, 6);
    assert_eq!(getting().assert().unwrap().handle, Some(HANDLE));
}

#[test]
fn client_data_of_something_else_is_refused() {
    let says = |ceremony: &str, challenge: &Challenge, origin: &str, more: &str| -> Vec<u8> {
        client_data(ceremony, challenge, origin, more).into()
    };
    for (ceremony, other) in [("webauthn.create", "webauthn.get"), ("webauthn.get", "webauthn.create")] {
        let good = says(ceremony, &CHALLENGE, "https://example.org", "");
        let text = String::from_utf8(good.clone()).unwrap();
        let spoilt = [
            (says(other, &CHALLENGE, "https://example.org", ""), Refusal::Type),
            (says("", &CHALLENGE, "https://example.org", ""), Refusal::Type),
            (says("payment.get", &CHALLENGE, "https://example.org", ""), Refusal::Type),
            (says(ceremony, &[8; 32], "https://example.org", ""), Refusal::Challenge),
            (text.replace(r#"Bwc","#, r#"Bwc=","#).into(), Refusal::Challenge),
            (text.replace(r#"Bwc","#, r#"Bwd","#).into(), Refusal::Challenge),
            (says(ceremony, &CHALLENGE, "https://example.com", ""), Refusal::Origin),
            (says(ceremony, &CHALLENGE, "https://sub.example.org", ""), Refusal::Origin),
            (says(ceremony, &CHALLENGE, "https://example.org:8443", ""), Refusal::Origin),
            (says(ceremony, &CHALLENGE, "https://example.org/", ""), Refusal::Origin),
            (says(ceremony, &CHALLENGE, "http://example.org", ""), Refusal::Origin),
            (says(ceremony, &CHALLENGE, "null", ""), Refusal::Origin),
            (says(ceremony, &CHALLENGE, "https://example.org", r#","crossOrigin":true"#), Refusal::CrossOrigin),
            (says(ceremony, &CHALLENGE, "https://example.org", r#","crossOrigin":"true""#), Refusal::ClientData),
            (
                says(
                    ceremony,
                    &CHALLENGE,
                    "https://example.org",
                    r#","crossOrigin":false,"topOrigin":"https://example.com""#,
                ),
                Refusal::CrossOrigin,
            ),
            (says(ceremony, &CHALLENGE, "https://example.org", r#","topOrigin":null"#), Refusal::CrossOrigin),
            (
                says(ceremony, &CHALLENGE, "https://example.org", r#","origin":"https://example.org""#),
                Refusal::ClientData,
            ),
            (says(ceremony, &CHALLENGE, "https://example.org", r#","x":1,"x":1"#), Refusal::ClientData),
            (says(ceremony, &CHALLENGE, "https://example.org", r#","x":{"y":1,"\u0079":1}"#), Refusal::ClientData),
            ([good.as_slice(), b"}"].concat(), Refusal::ClientData),
            ([good.as_slice(), b"\xff"].concat(), Refusal::ClientData),
            (good[..good.len() - 1].to_vec(), Refusal::ClientData),
            (text.replace(r#""type""#, r#""kind""#).into(), Refusal::ClientData),
            (text.replace(r#""challenge""#, r#""chall""#).into(), Refusal::ClientData),
            (text.replace(r#""origin""#, r#""from""#).into(), Refusal::ClientData),
            (text.replace(r#""https://example.org""#, r#"["https://example.org"]"#).into(), Refusal::ClientData),
            (format!("[{text}]").into(), Refusal::ClientData),
            (format!(r#"{{"deep":{}{},{}"#, "[".repeat(65), "]".repeat(65), &text[1..]).into(), Refusal::ClientData),
            (Vec::new(), Refusal::ClientData),
        ];
        let answer = |client_data| {
            if ceremony == "webauthn.create" {
                Parts { client_data, ..creating() }.register().map(|_| ())
            } else {
                Parts { client_data, ..getting() }.assert().map(|_| ())
            }
        };
        for (client_data, expected) in spoilt {
            let shown = String::from_utf8_lossy(&client_data).into_owned();
            assert_eq!(refusal(answer(client_data)), expected, "{shown}");
        }
        let fine = [
            [b"\xef\xbb\xbf".as_slice(), &good].concat(),
            says(ceremony, &CHALLENGE, "https://example.org", r#","crossOrigin":false,"other":{"a":[1.5,null]}"#),
            says(ceremony, &CHALLENGE, "https://example.org", r#","tokenBinding":{"status":"present","id":"AAAA"}"#),
        ];
        for client_data in fine {
            let shown = String::from_utf8_lossy(&client_data).into_owned();
            assert_eq!(answer(client_data), Ok(()), "{shown}");
        }
    }
}

#[test]
fn flags_and_the_relying_party_are_checked() {
    type Spoil = fn(&mut Parts);
    let spoilt: [(Spoil, Refusal); 5] = [
        (|parts| parts.data.relying_party = "example.com", Refusal::RelyingParty),
        (|parts| parts.data.relying_party = "https://example.org", Refusal::RelyingParty),
        (|parts| parts.data.flags &= !1, Refusal::UserPresence),
        (|parts| parts.data.flags &= !4, Refusal::UserVerification),
        (|parts| parts.data.flags |= 16, Refusal::Backup),
    ];
    for (at, (spoil, expected)) in spoilt.into_iter().enumerate() {
        let (mut created, mut got) = (creating(), getting());
        spoil(&mut created);
        spoil(&mut got);
        assert_eq!((refusal(created.register()), refusal(got.assert())), (expected, expected), "{at}");
    }
    let unverified = |mut parts: Parts| {
        parts.data.flags &= !4;
        Parts { user: Requirement::Preferred, ..parts }
    };
    assert!(!unverified(creating()).register().unwrap().is_user_verified);
    assert!(!unverified(getting()).assert().unwrap().is_user_verified);

    // What it could be once, it stays (6.1.3).
    let mut eligible = getting();
    eligible.data.flags |= 8;
    assert_eq!(refusal(eligible.assert()), Refusal::Backup);
    // Reserved bits are no business of ours.
    let mut reserved = getting();
    reserved.data.flags |= 0x22;
    assert!(reserved.assert().is_ok());
}

#[test]
fn a_counter_that_did_not_rise_is_told() {
    let public_key = PublicKey::from_stored(&key().cose()).unwrap();
    for (before, now, is_stale) in [
        (0, 0, false),
        (0, 1, false),
        (5, 6, false),
        (5, 5, true),
        (5, 4, true),
        (5, 0, true),
        (u32::MAX, 0, true),
        (0, u32::MAX, false),
    ] {
        let mut parts = getting();
        parts.data.counter = now;
        let stored = Stored {
            credential_id: &ID,
            public_key: &public_key,
            counter: before,
            is_backup_eligible: false,
            handle: &HANDLE,
        };
        let text = parts.assertion().to_string();
        let asserted = verify_assertion(&example_org(), &CHALLENGE, parts.user, &stored, &text).unwrap();
        assert_eq!((asserted.counter, asserted.is_counter_stale), (now, is_stale), "{before} {now}");
    }
}

#[test]
fn what_is_not_signed_by_the_passkey_is_refused() {
    let spoil = |text: &str, name: &str, spoil: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let mut whole: Value = serde_json::from_str(text).unwrap();
        let part = BASE64_URL_SAFE_NO_PAD.decode(whole["response"][name].as_str().unwrap()).unwrap();
        whole["response"][name] = BASE64_URL_SAFE_NO_PAD.encode(spoil(part)).into();
        whole.to_string()
    };
    let good = getting().assertion().to_string();
    let other = Parts { key: SigningKey::es256([6; 32]), ..getting() };
    assert_eq!(refusal(other.assert()), Refusal::Signature);
    assert_eq!(
        refusal(assert_text(&spoil(&good, "signature", &|_| Vec::new()), Requirement::Required)),
        Refusal::Signature
    );
    // The counter and a reserved flag are signed, and so is every byte of the client data.
    for at in [32, 36] {
        let spoilt = spoil(&good, "authenticatorData", &|mut data| {
            data[at] ^= if at == 32 { 2 } else { 1 };
            data
        });
        assert_eq!(refusal(assert_text(&spoilt, Requirement::Required)), Refusal::Signature, "{at}");
    }
    let spaced = spoil(&good, "clientDataJSON", &|data| [b" ".as_slice(), &data].concat());
    assert_eq!(refusal(assert_text(&spaced, Requirement::Required)), Refusal::Signature);
    // In every algorithm every bit counts.
    for example in vectors::good() {
        let text = example.assertion.clone();
        let key = PublicKey::from_stored(&example.key.cose()).unwrap();
        let stored = Stored {
            credential_id: &example.id,
            public_key: &key,
            counter: 0,
            is_backup_eligible: example.flags[0] & 8 != 0,
            handle: &HANDLE,
        };
        let answer = |text: &str| {
            verify_assertion(&example_org(), &example.challenges[1], Requirement::Preferred, &stored, text)
        };
        assert!(answer(&text).is_ok());
        for bit in (0..64 * 8).step_by(37) {
            let spoilt = spoil(&text, "signature", &|mut signature| {
                signature[bit / 8] ^= 1 << (bit % 8);
                signature
            });
            assert_eq!(refusal(answer(&spoilt)), Refusal::Signature, "{bit}");
        }
        for spoilt in [
            spoil(&text, "signature", &|signature| [signature.as_slice(), &[0]].concat()),
            spoil(&text, "signature", &|signature| signature[..signature.len() - 1].to_vec()),
            spoil(&text, "signature", &|signature| vec![0; signature.len()]),
        ] {
            assert_eq!(refusal(answer(&spoilt)), Refusal::Signature);
        }
    }
}

#[test]
fn an_assertion_is_of_the_passkey_and_the_account_that_were_looked_up() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut whole = getting().assertion();
        change(&mut whole);
        whole.to_string()
    };
    let answer = |text: &str| assert_text(text, Requirement::Required);
    let other = with(&|whole| (whole["id"], whole["rawId"]) = (json!("AAAA"), json!("AAAA")));
    assert_eq!(refusal(answer(&other)), Refusal::CredentialId);
    for handle in [BASE64_URL_SAFE_NO_PAD.encode([8; 32]), BASE64_URL_SAFE_NO_PAD.encode([9; 31]), String::new()] {
        let other = with(&|whole| whole["response"]["userHandle"] = handle.clone().into());
        assert_eq!(refusal(answer(&other)), Refusal::Handle, "{handle}");
    }
    let none = with(&|whole| whole["response"]["userHandle"] = Value::Null);
    assert_eq!(answer(&none).unwrap().handle, None);
    let none = with(&|whole| drop(whole["response"].as_object_mut().unwrap().remove("userHandle")));
    assert_eq!(answer(&none).unwrap().handle, None);
    assert_eq!(credential_id_and_handle(&none).unwrap(), (ID.to_vec(), None));
}

#[test]
fn json_that_no_browser_writes_is_refused() {
    let good = creating().registration();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut whole = good.clone();
        change(&mut whole);
        whole.to_string()
    };
    let text = good.to_string();
    let id = BASE64_URL_SAFE_NO_PAD.encode(ID);
    let long = BASE64_URL_SAFE_NO_PAD.encode([1; 1024]);
    let spoilt = [
        (String::new(), Refusal::Json),
        ("null".into(), Refusal::Json),
        (format!("[{text}]"), Refusal::Json),
        (format!("{text} {text}"), Refusal::Json),
        (text[..text.len() - 1].into(), Refusal::Json),
        (text.replacen('{', r#"{"type":"public-key","#, 1), Refusal::Json),
        (text.replacen(r#""response":{"#, r#""response":{"attestationObject":"AAAA","#, 1), Refusal::Json),
        (text.replacen(r#""clientExtensionResults":{"#, r#""clientExtensionResults":{"a":1,"a":2"#, 1), Refusal::Json),
        (with(&|whole| whole["padding"] = "x".repeat(16 * 1024).into()), Refusal::Json),
        (with(&|whole| whole["response"] = json!([])), Refusal::Json),
        (with(&|whole| whole["rawId"] = json!(3)), Refusal::Json),
        (with(&|whole| drop(whole.as_object_mut().unwrap().remove("type"))), Refusal::Json),
        (with(&|whole| whole["response"]["attestationObject"] = Value::Null), Refusal::Json),
        (with(&|whole| whole["type"] = "password".into()), Refusal::Credential),
        (with(&|whole| whole["id"] = "AAAA".into()), Refusal::Credential),
        (with(&|whole| (whole["id"], whole["rawId"]) = (json!(""), json!(""))), Refusal::CredentialId),
        (with(&|whole| (whole["id"], whole["rawId"]) = (json!(long), json!(long))), Refusal::CredentialId),
        (with(&|whole| (whole["id"], whole["rawId"]) = (json!("AAAA"), json!("AAAA"))), Refusal::CredentialId),
        (text.replace(&id, &format!("{id}==")), Refusal::Base64),
        // The last letter has bits that belong to no byte.
        (text.replace(&id, &format!("{}x", &id[..id.len() - 1])), Refusal::Base64),
        (with(&|whole| whole["response"]["attestationObject"] = "o2NmbX+/".into()), Refusal::Base64),
        (with(&|whole| whole["response"]["clientDataJSON"] = "e30\n".into()), Refusal::Base64),
        (with(&|whole| whole["response"]["clientDataJSON"] = "e".into()), Refusal::Base64),
    ];
    for (text, expected) in spoilt {
        assert_eq!(refusal(register_text(&text)), expected, "{text:.300}");
    }
    assert!(register_text(&text).is_ok());
    assert_eq!(refusal(credential_id_and_handle("{}")), Refusal::Json);
    for (bytes, is_one) in [(1023, true), (1024, false)] {
        let text = assertion(&vec![1; bytes], b"", b"", b"", None).to_string();
        assert_eq!(credential_id_and_handle(&text).is_ok(), is_one, "{bytes}");
    }
}

#[test]
fn transports_are_bounded() {
    let given = |transports: Value| {
        let mut whole = creating().registration();
        whole["response"]["transports"] = transports;
        register_text(&whole.to_string()).unwrap().transports
    };
    let none: [&str; 0] = [];
    assert_eq!(given(json!(["usb", "hybrid", "usb", "smart-card"])), ["hybrid", "smart-card", "usb"]);
    assert_eq!(given(json!(["", "USB", "a b", "x".repeat(33), 5, null, ["usb"]])), none);
    assert_eq!(given(json!((0..100).map(|number| format!("t{number}")).collect::<Vec<_>>())).len(), 8);
    for other in [json!(null), json!("usb"), json!({})] {
        assert_eq!(given(other), none);
    }
}

/// A registration whose attestation object is these bytes.
fn object_answer(bytes: &[u8]) -> Result<NewPasskey> {
    register_text(&registration(&ID, &creating().client_data, bytes).to_string())
}

#[test]
fn attestation_objects_that_are_not_whole_are_refused() {
    let data = creating().data.bytes();
    let good = object("none", b"\xa0", &data);
    assert!(object_answer(&good).is_ok());
    for length in 0..good.len() {
        assert_eq!(refusal(object_answer(&good[..length])), Refusal::AttestationObject, "{length}");
    }
    let doubled = [b"\xa4".as_slice(), &good[1..], b"\x63fmt\x64none"].concat();
    let nested = |depth: usize| [vec![0x81; depth], vec![0xa0]].concat();
    let keys = |count: u8| {
        let pairs = (0..count).flat_map(|key| [vec![0x18, 100 + key], vec![0]].concat());
        [[0xb8, count].into_iter().collect::<Vec<_>>(), pairs.collect()].concat()
    };
    let spoilt = [
        [good.as_slice(), &[0]].concat(),
        [good.as_slice(), &good].concat(),
        doubled,
        object("none", b"\xa2\x01\x00\x01\x00", &data),
        object("none", b"\xa2\x01\x00\x18\x01\x00", &data),
        object("none", b"\xa1\x00\x81\xa2\x61a\x00\x61a\x00", &data),
        object("none", b"\xa1\xa2\x01\x00\x01\x00\x00", &data),
        object("none", &nested(8), &data),
        object("none", &nested(5000), &data),
        object("none", &keys(65), &data),
        // Lengths of what is not there.
        object("none", b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", &data),
        object("none", b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", &data),
        object("none", b"\xbb\x00\x00\x00\xff\xff\xff\xff\xff", &data),
        object("none", b"\x7b\x00\x00\x00\xff\xff\xff\xff\xff", &data),
        object("none", b"\xff", &data),
        object("none", b"\x1c", &data),
        object("none", b"\x62\xff\xff", &data),
        b"\x80".to_vec(),
        b"\xa0".to_vec(),
        [b"\xa2\x63fmt\x64none".as_slice(), &good[19..]].concat(),
        [b"\xa2\x67attStmt\xa0".as_slice(), &good[19..]].concat(),
        b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x63abc".to_vec(),
        b"\xa3\x63fmt\x00\x67attStmt\xa0\x68authData\x43abc".to_vec(),
    ];
    for bytes in spoilt {
        assert_eq!(
            refusal(object_answer(&bytes)),
            Refusal::AttestationObject,
            "{:02x?}",
            &bytes[..bytes.len().min(60)]
        );
    }
    for fine in [
        object("none", &nested(5), &data),
        object("none", &keys(64), &data),
        object("no-such-format", b"\xa0", &data),
        // Compound: a list of statements.
        object(
            "compound",
            b"\x82\xa2\x63fmt\x64none\x67attStmt\xa0\xa2\x63fmt\x63tpm\x67attStmt\xa1\x63x5c\x81\x40",
            &data,
        ),
    ] {
        assert!(object_answer(&fine).is_ok(), "{fine:02x?}");
    }
}

#[test]
fn authenticator_data_that_is_not_whole_is_refused() {
    let good = creating().data;
    let answer = |data: Data| Parts { data, ..creating() }.register();
    let bytes = good.bytes();
    for length in 0..bytes.len() {
        let spoilt = object_answer(&object("none", b"\xa0", &bytes[..length]));
        assert_eq!(refusal(spoilt), Refusal::AuthenticatorData, "{length}");
    }
    let key = key().cose();
    let behind = |flags, bytes: &[u8]| Data { flags, rest: [key.as_slice(), bytes].concat(), ..good.clone() };
    let spoilt = [
        behind(0x45, b"\x00"),
        behind(0x45, b"\xa0"),
        behind(0xc5, b""),
        behind(0xc5, b"\x80"),
        behind(0xc5, b"\xa0\x00"),
        behind(0xc5, b"\xa2\x61a\x00\x61a\x00"),
        behind(0x05, b""),
        Data { flags: 0x05, rest: Vec::new(), ..good.clone() },
        Data { id_length: 1000, ..good.clone() },
        Data { rest: b"\xa0".to_vec(), id_length: 17, ..good.clone() },
        // A doubled member of the key.
        Data { rest: [b"\xa6".as_slice(), &key[1..], b"\x01\x02"].concat(), ..good.clone() },
    ];
    for data in spoilt {
        assert_eq!(refusal(answer(data.clone())), Refusal::AuthenticatorData, "{:02x?}", data.bytes());
    }
    for id_length in [0, 1024, u16::MAX] {
        assert_eq!(refusal(answer(Data { id_length, ..good.clone() })), Refusal::CredentialId, "{id_length}");
    }
    assert_eq!(refusal(answer(Data { id: vec![4; 16], ..good.clone() })), Refusal::CredentialId);
    assert!(answer(behind(0xc5, b"\xa1\x6bcredProtect\x02")).is_ok());

    let used = getting().data;
    let answer = |data: Data| Parts { data, ..getting() }.assert();
    for spoilt in [
        Data { rest: b"\x00".to_vec(), ..used.clone() },
        Data { flags: 0x85, ..used.clone() },
        Data { flags: 0x45, ..used.clone() },
    ] {
        assert_eq!(refusal(answer(spoilt.clone())), Refusal::AuthenticatorData, "{:02x?}", spoilt.bytes());
    }
    assert!(answer(Data { flags: 0x85, rest: b"\xa0".to_vec(), ..used }).is_ok());
}

#[test]
fn keys_that_were_not_asked_for_or_are_none_are_refused() {
    let answer = |rest: Vec<u8>| Parts { data: Data { rest, ..creating().data }, ..creating() }.register();
    let Data { rest: es256, .. } = creating().data;
    let ed_dsa = SigningKey::ed_dsa([5; 32]).cose();
    let rs256 = |modulus: &[u8], exponent: &[u8]| {
        let mut cose = SigningKey::Rs256 { modulus: modulus.to_vec(), signature: Vec::new() }.cose();
        cose.truncate(cose.len() - 4);
        [cose.as_slice(), &[0x40 + u8::try_from(exponent.len()).unwrap()], exponent].concat()
    };
    let changed = |cose: &[u8], at: usize, bytes: &[u8]| {
        let mut cose = cose.to_vec();
        cose.splice(at..at + 1, bytes.iter().copied());
        cose
    };
    let modulus = |length: usize, first: u8| [vec![first], vec![0xa5; length - 1]].concat();
    assert!(answer(es256.clone()).is_ok() && answer(ed_dsa.clone()).is_ok());
    for good in [modulus(256, 0x80), modulus(257, 1), modulus(512, 255)] {
        assert!(answer(rs256(&good, &[1, 0, 1])).is_ok() && answer(rs256(&good, &[3])).is_ok());
    }
    // ES384, ES512, PS256, ES256K, RS1, Ed448 and the fully specified ESP256 and Ed25519.
    for number in [
        b"\x38\x22".as_slice(),
        b"\x38\x23",
        b"\x38\x24",
        b"\x38\x2e",
        b"\x39\xff\xfe",
        b"\x38\x34",
        b"\x28",
        b"\x32",
        b"\x00",
        b"\x07",
        b"\x1b\xff\xff\xff\xff\xff\xff\xff\xf9",
    ] {
        assert_eq!(refusal(answer(changed(&es256, 4, number))), Refusal::Algorithm, "{number:02x?}");
    }
    let weak = |y: &[u8; 32]| [&ed_dsa[..10], y].concat();
    let mut identity = [0; 32];
    identity[0] = 1;
    let spoilt = [
        b"\xa0".to_vec(),
        b"\xa1\x03\x26".to_vec(),
        // Of another type, on another curve, for another algorithm.
        changed(&es256, 2, &[1]),
        changed(&es256, 6, &[2]),
        changed(&es256, 4, &[0x27]),
        changed(&ed_dsa, 2, &[2]),
        changed(&ed_dsa, 6, &[4]),
        changed(&ed_dsa, 4, &[0x26]),
        changed(&rs256(&modulus(256, 255), &[3]), 2, &[2]),
        // No point of the curve; no coordinate; a compressed point.
        changed(&es256, 20, &[es256[20] ^ 1]),
        [&es256[..10], &[0; 32], b"\x22\x58\x20", &[0; 32]].concat(),
        [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x41\x01\x22\x41\x01".as_slice()].concat(),
        [&es256[..42], b"\x22\xf5"].concat(),
        [b"\xa4".as_slice(), &es256[1..42]].concat(),
        // Under these one signature is good for many messages.
        weak(&[0; 32]),
        weak(&identity),
        [b"\xa4\x01\x01\x03\x27\x20\x06\x21\x41\x01".as_slice()].concat(),
        rs256(&modulus(255, 255), &[1, 0, 1]),
        rs256(&modulus(256, 0x7f), &[1, 0, 1]),
        rs256(&modulus(257, 0), &[1, 0, 1]),
        rs256(&modulus(513, 255), &[1, 0, 1]),
        rs256(&[vec![255; 255], vec![254]].concat(), &[1, 0, 1]),
        rs256(&modulus(256, 255), &[]),
        rs256(&modulus(256, 255), &[1]),
        rs256(&modulus(256, 255), &[0, 3]),
        rs256(&modulus(256, 255), &[1, 0, 0]),
        rs256(&modulus(256, 255), &[1, 0, 0, 0, 1]),
    ];
    for cose in spoilt {
        assert_eq!(refusal(answer(cose.clone())), Refusal::PublicKey, "{cose:02x?}");
    }
    // Members that nobody needs are not stored, and what is stored is read as it was.
    let more = [b"\xa6".as_slice(), &es256[1..], b"\x04\x81\x02"].concat();
    let passkey = answer(more.clone()).unwrap();
    assert_eq!(passkey.public_key.to_stored(), es256);
    for bytes in [more, Vec::new(), es256[..40].to_vec(), [es256.as_slice(), &[0]].concat()] {
        assert_eq!(PublicKey::from_stored(&bytes).unwrap_err().reason(), Reason::Corrupt, "{bytes:02x?}");
    }
}
