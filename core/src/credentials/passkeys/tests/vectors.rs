//! The examples of Web Authentication, Level 3, section 16. They are derived as the section says, and compared with the digests
//! of what it prints. Where a certificate of the attestation is in an example, another statement is in its place: none is
//! looked at. Left out are those of algorithms that are not asked for.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use super::{messages::*, *};

/// An example: its name in the derivation, and the digest of its client data, attestation object (authenticator data where the
/// statement is not ours), client data of the assertion, authenticator data of the assertion, and signature.
struct Example {
    name: &'static str,
    digest: &'static str,
    more: &'static str,
    id_bytes: usize,
    /// How many values are derived for the attestation.
    attestation: u8,
}

const fn example(name: &'static str, attestation: u8, digest: &'static str) -> Example {
    Example { name, digest, more: r#","crossOrigin":false"#, id_bytes: 32, attestation }
}

const EXAMPLES: &[Example] = &[
    example("none.ES256", 0, "649874d44aab0a7e9dbf210eb22b33f359c3b89819afae2e3094056cecd208c2"),
    example("packed-self.ES256", 0, "a5a3a75de4b7519d4a006823af9440cda4658a86ec5778553d10d5da9aac0a4c"),
    Example {
        id_bytes: 1023,
        ..example(
            "none.ES256.long-credential-id",
            0,
            "e8f7a744566926e8a7a2d682b6e6f000332624e85b31342754bf827142261fab",
        )
    },
    example("packed.ES256", 2, "723744c05c4ab053a2c7fcfd2aa5874bc03b35eea640fbde810a18ce2009dbd1"),
    example("packed.RS256", 2, "d64dbd8f241118bce1c5d11746d9937d4e530ca4c657a3fd5e87d779bdac817e"),
    example("packed.EdDSA", 2, "d3912b3be6c7c9cbdcb837bf492720f7c262054f61bb607e993c8b55981f5778"),
    example("tpm.ES256", 2, "bced6f80d38f121b40b75a6b00c50e3dcbf0a91431f46d45cb7bcc4ad4448b9f"),
    example("android-key.ES256", 1, "373823df06b1b6e41dbfe9c84c36f6fdce468e8911f1e735f6621f60d6c5b154"),
    example("apple.ES256", 1, "d2ebd6348165a02dfcff9bf696037d59f5a6261ee5c66177bbee778200a38fe6"),
    example("fido-u2f.ES256", 2, "cb96ccc7ebbdf8b34a3eaacfe711eeb1a7a472974ee015ed6d559ef47ce38c22"),
];

/// Of frames on pages of other origins.
const FRAMED: &[Example] = &[
    Example {
        more: r#","crossOrigin":true"#,
        ..example("none.ES256.crossOrigin", 0, "bf2ca948f7578dba3f83897659c7099b8698c2bd3339ad6fbadb9874dcf60c38")
    },
    Example {
        more: r#","crossOrigin":true,"topOrigin":"https://example.com""#,
        ..example("none.ES256.topOrigin", 0, "c28e83d5df5647c4569845e75b88414952dd4bc955240866c5df4fdb4886a0f8")
    },
];

/// RS256 by the key of [`rsa`]: made elsewhere, as nothing here signs with RSA.
const RS256_SIGNATURE: &str = concat!(
    "AQY9UtfDm01DL8cGPF2T5YK9yxaInNcfiI1n2IDqcwpChJjTvI4e4R8rHsvmwpKxGMVf-q3e-oytClTdE3xR8e7Gc_G7bE0XidaCaiIrItD1hf",
    "yQH9yTMhLledGZuJ1nKqRIkTM-ahNVU2Al6CslWQJWw1OCKbVXNwg7L2uTd-SeJHLxGVL3n90NoYC1_9kBtASajwgbtAcRvvdsYq7ZQ1cfLQV1",
    "MEy1SdaNiJL5UIajD5Nxau6Bj43AbpbA1eDtTPqf2Hc9kEZLaM8UD3mGZm_5yeMwKs0FNdYNdp9GXiq1fviqvIn8z-97oypkFUqLPSa-Ipj0cL",
    "jMU3fb49_UsLRfjwHmO95s_Ha2J3H5twqifPQBUsrZOqWs14T9S5D2duLqgo0L8kAK67quQVPlg49Tf4i2IoNGeCqTqJm-Zux33kWz788xHaYy",
    "HJLmsM0Rv-ZTvz6YzujjQfAtZ9u2-cmNnoF4CQz7W3D7xtVBWZrHlK4vHU3hKG7I3owtr3sdFchDjpDZJN9cGQRSIKTIQ4wbl5u-AWzz0O7sI8",
    "OZnUiCzGRbd23pMHVmEs3G3TmBYP8Cpg",
);

/// An example, derived.
pub(super) struct Derived {
    pub(super) challenges: [Challenge; 2],
    pub(super) key: SigningKey,
    pub(super) flags: [u8; 2],
    pub(super) id: Vec<u8>,
    pub(super) registration: String,
    pub(super) assertion: String,
}

/// The values of an example, one after the other.
struct Values(&'static str, u8);

impl Values {
    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let mut value = vec![0; bytes];
        Hkdf::<Sha256>::new(Some(&[self.1]), b"WebAuthn test vectors").expand(self.0.as_bytes(), &mut value).unwrap();
        self.1 += 1;
        value
    }

    fn challenge(&mut self) -> Challenge {
        self.take(32).try_into().unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// What follows the origin.
    fn more(&mut self, more: &str) -> String {
        if self.byte() & 1 == 0 {
            return more.to_owned();
        }
        let random = BASE64_URL_SAFE_NO_PAD.encode(self.take(16));
        let text = "clientDataJSON may be extended with additional fields in the future, such as this: ";
        format!(r#"{more},"extraData":"{text}{random}""#)
    }
}

/// The product of the two smallest Mersenne primes of 1,024 bits or more: 2^3482 - 2^2203 - 2^1279 + 1.
fn rsa() -> SigningKey {
    let mut bits = vec![false; 3483];
    bits[3482] = true;
    for power in [2203, 1279] {
        let lowest = (power..).find(|&bit| bits[bit]).unwrap();
        bits[power..=lowest].iter_mut().for_each(|bit| *bit = !*bit);
    }
    bits[0] = true;
    let bytes = bits[..3482].chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
    let modulus: Vec<u8> = bytes.rev().collect();
    SigningKey::Rs256 { modulus, signature: BASE64_URL_SAFE_NO_PAD.decode(RS256_SIGNATURE).unwrap() }
}

fn derive(example: &Example) -> Derived {
    let mut values = Values(example.name, 0);
    let (format, algorithm) = example.name.split_once('.').unwrap();
    let mut challenges = [values.challenge(), [0; 32]];
    let key = match algorithm {
        "RS256" => rsa(),
        "EdDSA" => SigningKey::ed_dsa(values.challenge()),
        _ => SigningKey::es256(values.challenge()),
    };
    let origin = "https://example.org";
    let created = client_data("webauthn.create", &challenges[0], origin, &values.more(example.more));
    let aaguid = values.take(16).try_into().unwrap();
    let id = values.take(example.id_bytes);
    // U2F has presence alone. Bits 2 to 4 are taken, the last only with the one before it.
    let bits = |byte: u8| if byte & 8 == 0 { byte & 4 } else { byte & 0x1c };
    let registered = if format == "fido-u2f" { 0 } else { bits(values.byte()) };
    let data = Data {
        relying_party: "example.org",
        flags: 0x41 | registered,
        counter: 0,
        aaguid,
        id_length: u16::try_from(id.len()).unwrap(),
        id: id.clone(),
        rest: key.cose(),
    };
    let attested = data.bytes();
    let statement = match format {
        "none" => b"\xa0".to_vec(),
        "packed-self" => {
            let signature = key.sign(&signed(&attested, created.as_bytes()));
            let length = u8::try_from(signature.len()).unwrap();
            [b"\xa2\x63alg\x26\x63sig\x58".as_slice(), &[length], &signature].concat()
        }
        _ => b"\xa3\x63alg\x26\x63sig\x43bad\x63x5c\x81\x43bad".to_vec(),
    };
    let object = object(format.trim_end_matches("-self"), &statement, &attested);

    values.1 += example.attestation;
    challenges[1] = values.challenge();
    let got = client_data("webauthn.get", &challenges[1], origin, &values.more(example.more));
    let used = if format == "fido-u2f" { 0 } else { bits(registered & 8 | values.byte() & 0x14) };
    let data = Data { flags: 1 | used, rest: Vec::new(), ..data }.bytes();
    let signature = key.sign(&signed(&data, got.as_bytes()));

    let compared = if example.attestation == 0 { &object } else { &attested };
    let printed = [created.as_bytes(), compared, got.as_bytes(), &data, &signature].concat();
    let digest: String = Sha256::digest(printed).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, example.digest, "{}", example.name);

    let registration = registration(&id, created.as_bytes(), &object).to_string();
    let assertion = assertion(&id, got.as_bytes(), &data, &signature, Some(&[9; 32])).to_string();
    Derived { challenges, key, flags: [registered, used], id, registration, assertion }
}

/// Every example that is good.
pub(super) fn good() -> &'static [Derived] {
    static GOOD: LazyLock<Vec<Derived>> = LazyLock::new(|| EXAMPLES.iter().map(derive).collect());
    &GOOD
}

#[test]
fn the_examples_of_the_specification_pass() {
    for (example, derived) in EXAMPLES.iter().zip(good()) {
        let name = example.name;
        let [created, got] = &derived.challenges;
        let [registered, used] = derived.flags;
        let user = if registered & 4 == 0 { Requirement::Preferred } else { Requirement::Required };
        let passkey = verify_registration(&example_org(), created, user, &derived.registration).unwrap();
        assert_eq!(passkey.credential_id, derived.id, "{name}");
        assert_eq!(passkey.public_key.to_stored(), derived.key.cose(), "{name}");
        assert_eq!(PublicKey::from_stored(passkey.public_key.to_stored()).as_ref(), Ok(&passkey.public_key), "{name}");
        assert!(name.contains(match passkey.public_key.algorithm() {
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Rs256 => "RS256",
        }));
        let flags = [passkey.is_user_verified, passkey.is_backup_eligible, passkey.is_backed_up];
        assert_eq!(flags, [4, 8, 16].map(|bit| registered & bit != 0), "{name}");
        assert_eq!(
            (passkey.counter, passkey.transports.as_slice()),
            (0, &["internal".to_owned(), "usb".to_owned()][..])
        );

        let found = credential_id_and_handle(&derived.assertion).unwrap();
        assert_eq!(found, (derived.id.clone(), Some([9; 32])), "{name}");
        let stored = Stored {
            credential_id: &passkey.credential_id,
            public_key: &passkey.public_key,
            counter: 0,
            is_backup_eligible: passkey.is_backup_eligible,
            handle: &[9; 32],
        };
        let user = if used & 4 == 0 { Requirement::Preferred } else { Requirement::Required };
        let asserted = verify_assertion(&example_org(), got, user, &stored, &derived.assertion).unwrap();
        let expected = Asserted {
            counter: 0,
            is_counter_stale: false,
            is_backed_up: used & 16 != 0,
            is_user_verified: used & 4 != 0,
            handle: Some([9; 32]),
        };
        assert_eq!(asserted, expected, "{name}");
    }
}

#[test]
fn the_examples_in_frames_are_refused() {
    for example in FRAMED {
        let derived = derive(example);
        let [created, got] = &derived.challenges;
        let user = Requirement::Preferred;
        let registered = verify_registration(&example_org(), created, user, &derived.registration);
        assert_eq!(refusal(registered), Refusal::CrossOrigin, "{}", example.name);
        let key = PublicKey::from_stored(&derived.key.cose()).unwrap();
        let stored = Stored {
            credential_id: &derived.id,
            public_key: &key,
            counter: 0,
            is_backup_eligible: derived.flags[0] & 8 != 0,
            handle: &[9; 32],
        };
        let asserted = verify_assertion(&example_org(), got, user, &stored, &derived.assertion);
        assert_eq!(refusal(asserted), Refusal::CrossOrigin, "{}", example.name);
    }
}
