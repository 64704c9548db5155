//! What no hash of another system may do: stand for another password than its owner's, or take more than was agreed to.

use super::*;

fn cheap() -> Hashing {
    Hashing::new(HashingCost { memory_kib: 8, iterations: 1, parallelism: 1 }, None, &[]).unwrap()
}

const BCRYPT_U: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn is_taken(text: &str) -> bool {
    read_foreign(&text.into()).unwrap().is_ok()
}

fn is_right(hash: &str, typed: &str) -> bool {
    let today = cheap();
    let attempt = Attempt { hash: Some(hash.into()), costs: vec![], password: typed.into(), salt: [9; 16] };
    today.verify(&attempt, &mut Memory::default()).unwrap().is_right
}

/// bcrypt repeats its key with the NUL behind it: `U*U` and `U*U\0U*U` are one key. Its makers stop at a NUL, or refuse it.
#[test]
fn aut_3_bcrypt_takes_no_password_that_repeats_another_after_a_nul() {
    assert!(is_right(BCRYPT_U, "U*U"));
    assert!(!is_right(BCRYPT_U, "U*U\0U*U"));
}

#[test]
fn aut_3_bcrypt_of_nothing_is_not_that_of_nuls() {
    let nothing = "$2x$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
    assert!(is_right(nothing, ""));
    assert!(!is_right(nothing, "\0\0\0"));
}

/// passlib refuses each of these (its patterns: 22 letters of salt, 31 of hash, 2b alone in version 2, 2a and 2b in 1).
#[test]
fn aut_3_forms_that_passlib_refuses_are_refused() {
    let good = "$bcrypt-sha256$v=2,t=2b,r=5$fN.a6/jlsq4hIaqlsIEXM.$oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG";
    assert!(is_taken(good));
    let taken: Vec<&str> = [
        "$bcrypt-sha256$v=2,t=2b,r=5$$fN.a6/jlsq4hIaqlsIEXM.oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG",
        "$bcrypt-sha256$v=2,t=2b,r=5$fN.a6/jlsq4hIaqlsIEX$M.oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG",
        "$bcrypt-sha256$v=2,t=2b,r=5$fN.a6/jlsq4hIaqlsIEXM.oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG$",
        "$bcrypt-sha256$v=2,t=2x,r=5$fN.a6/jlsq4hIaqlsIEXM.$oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG",
        "$bcrypt-sha256$v=2,t=2y,r=5$fN.a6/jlsq4hIaqlsIEXM.$oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG",
        "$bcrypt-sha256$2x,5$Xmd0es6/R0fiQc8uM4PWdu$GofihQGNwuSjaOizmNjMqBxB7Xk03Xi",
        "$bcrypt-sha256$v=2,t=2b,r=+5$fN.a6/jlsq4hIaqlsIEXM.$oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG",
    ]
    .into_iter()
    .filter(|text| is_taken(text))
    .collect();
    assert!(taken.is_empty(), "{taken:#?}");
}

/// Numbers with a sign, and a hash of another length than its maker's: the maker's comparison fails for every password.
#[test]
fn aut_3_other_forms_that_their_makers_refuse_are_refused() {
    let taken: Vec<&str> = [
        "$2b$+5$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        // Django: 32 bytes of SHA-256, always; these are 10, and the first 10 of a right one.
        "pbkdf2_sha256$1000$saltysalt1234567$wiLEZJ3udjO2Zg==",
        // Werkzeug the same.
        "pbkdf2:sha256:1000$2SDay84fxe37eMdB$21422bbd15425c189a4b",
        // Django's scrypt: 64 bytes.
        "scrypt$256$saltysalt1234567$8$5$OHXyx7IaTxE057M=",
        // passlib: padding or leading zeros and signs are refused.
        "$pbkdf2-sha256$+1000$C4FQ6h2DkFJKSem99z7HuA$kh9H87aGe6jRNgSmM/x4jaFUaf.yrS4zu5acv9uo3tk",
        "$scrypt$ln=+8,r=8,p=1$ay2F8H6vFeJcqzUGgJCSsg$br+2ZrwPTvyLYGcGmo12mlVlmH9ueHBTOq9TtepBye4",
    ]
    .into_iter()
    .filter(|text| is_taken(text))
    .collect();
    assert!(taken.is_empty(), "{taken:#?}");
}

/// An imported hash of any good form makes no error at a sign-in that another account's would not make.
#[test]
fn aut_3_what_is_taken_can_be_computed() {
    for (hash, _) in foreign::samples() {
        assert!(is_taken(hash));
    }
    for (salt, output) in [("AQEBAQEBAQE", 10), ("AQEBAQEBAQEBAQEBAQEBAQ", 64), ("AQEB", 32), ("AQEBAQE", 32)] {
        let output = base64::Engine::encode(&base64::prelude::BASE64_STANDARD_NO_PAD, vec![7; output]);
        for head in [
            "$argon2id$v=19$m=64,t=1,p=1",
            "$argon2d$v=16$m=64,t=1,p=4",
            "$argon2i$m=8,t=1,p=1",
            "$argon2id$v=19$t=1,m=64,p=1",
            "$argon2id$v=19$m=64,t=1,p=1,keyid=",
            "$argon2id$v=19$m=64",
        ] {
            let hash = format!("{head}${salt}${output}");
            if is_taken(&hash) {
                assert!(!is_right(&hash, "whatever it may be"), "{hash}");
                // And the work of its cost, for others, can be done.
                let cost = cost_of(&hash).unwrap();
                super::work::take();
                let attempt = Attempt { hash: None, costs: vec![cost.clone()], password: "x".into(), salt: [9; 16] };
                cheap().verify(&attempt, &mut Memory::default()).unwrap();
                let nobody = super::work::take();
                let attempt = Attempt {
                    hash: Some(hash.as_str().into()),
                    costs: vec![cost],
                    password: "x".into(),
                    salt: [9; 16],
                };
                cheap().verify(&attempt, &mut Memory::default()).unwrap();
                assert_eq!(nobody.values().sum::<u64>(), super::work::take().values().sum::<u64>(), "{hash}");
            }
        }
    }
}

/// The design frees the memory that hashing worked in; a single dear hash, once replaced, keeps its megabytes for ever.
#[test]
fn sec_15_memory_of_a_dear_hash_is_let_go() {
    let mut memory = Memory::default();
    let dear = "$argon2id$v=19$m=32768,t=1,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
    let once = Attempt { hash: Some(dear.into()), costs: vec![], password: "x".into(), salt: [9; 16] };
    cheap().verify(&once, &mut memory).unwrap();
    let later = Attempt { hash: None, costs: vec![], password: "x".into(), salt: [9; 16] };
    for _ in 0..3 {
        cheap().verify(&later, &mut memory).unwrap();
    }
    assert!(memory.blocks.len() < 1024, "{} KiB are kept", memory.blocks.len());
}

/// Texts of one cost that are written otherwise are other costs: each takes one of the four places, and the work again.
#[test]
fn sec_15_one_cost_is_written_in_one_way() {
    let tail = "AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
    let forms =
        ["v=19$m=64,t=1,p=1", "v=19$t=1,m=64,p=1", "v=19$p=1,m=64,t=1", "v=19$m=64,t=1,p=1,keyid=", "v=19$m=64,t=1"];
    let hashes = forms.iter().map(|form| format!("$argon2id${form}${tail}"));
    let kept = hashes.map(|hash| read_foreign(&hash.into()).unwrap().unwrap());
    let mut costs: Vec<String> = kept.map(|hash| cost_of(hash.expose()).unwrap()).collect();
    costs.sort();
    costs.dedup();
    assert_eq!(costs.len(), 1, "{costs:#?}");
}

/// HMAC fills its key up with NULs: under PBKDF2 and scrypt a password is equal to itself with a NUL behind it.
#[test]
fn aut_3_no_password_is_equal_with_a_nul_behind() {
    let equal: Vec<&str> = foreign::samples()
        .into_iter()
        .filter(|(hash, password)| !hash.contains("firebase") && is_right(hash, &format!("{password}\0")))
        .map(|(hash, _)| hash)
        .collect();
    assert!(equal.is_empty(), "{equal:#?}");
}

/// What is left of a password in the memory that it was hashed in (it is reused, and zeroed).
#[test]
fn sec_13_memory_is_zeroed() {
    let mut memory = Memory::default();
    let cost = HashingCost { memory_kib: 1024, iterations: 1, parallelism: 1 };
    Hashing::new(cost, None, &[]).unwrap().hash(&"fifteen letters".into(), [7; 16], &mut memory).unwrap();
    assert!(!memory.is_wiped(), "there is nothing to wipe");
    let mut parts = 0;
    let wanted = memory.wipe_unless(|| {
        parts += 1;
        (parts == 2).then_some("wanted")
    });
    assert!(wanted == Some("wanted") && !memory.is_wiped(), "it is left to who wants it");
    memory.wipe();
    assert!(memory.is_wiped(), "words of state are left");
}

/// A truncated hash of PBKDF2, which its maker's comparison takes for no password, lets the right one in.
#[test]
fn aut_3_a_truncated_hash_lets_nobody_in() {
    let cut = "pbkdf2_sha256$1000$saltysalt1234567$wiLEZJ3udjO2Zg==";
    assert!(!is_right(cut, "correct horse battery st\u{e4}ple"));
}

/// Salts without a letter, and with letters that no storage and no maker takes (PostgreSQL refuses a NUL in a text).
#[test]
fn aut_3_no_control_characters_or_empty_salts_are_taken() {
    let taken: Vec<&str> = [
        "pbkdf2_sha256$1000$$wiLEZJ3udjO2ZlKnMcJFsM0s77Q/7ZaqjTqh4bl3dd0=",
        "pbkdf2_sha256$1000$salt\0salt$wiLEZJ3udjO2ZlKnMcJFsM0s77Q/7ZaqjTqh4bl3dd0=",
        "pbkdf2_sha256$1000$salt\nsalt$wiLEZJ3udjO2ZlKnMcJFsM0s77Q/7ZaqjTqh4bl3dd0=",
        "scrypt:256:8:1$\0$170ffa08c3675bf4ce8da581abdcf746b4fd5d925656e294b1bbf1ed0dfe3ecf",
        "$P$7wjbEXhS2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        "$P$7wjbEXhS2!!!!!!!!!!!!!!!!!!!!!!",
    ]
    .into_iter()
    .filter(|text| is_taken(text))
    .collect();
    assert!(taken.is_empty(), "{taken:#?}");
}

/// phpass works on all of a password at each round: on no more than was measured with.
#[test]
fn sec_15_a_long_password_makes_no_more_work_of_phpass() {
    let long = "x".repeat(2_000);
    let cost = vec!["phpass$c=9".to_owned()];
    let attempt = Attempt { hash: None, costs: cost, password: long.as_str().into(), salt: [9; 16] };
    assert!(!cheap().verify(&attempt, &mut Memory::default()).unwrap().is_right);
    let (hash, password) = foreign::samples().into_iter().find(|(hash, _)| hash.starts_with("$P$")).unwrap();
    assert!(is_right(hash, password) && !is_right(hash, &format!("{password}{long}")));
}
