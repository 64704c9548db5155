//! Every account makes the same work of a sign-in, whatever hash it has, or none (SEC-1, V6.3.8).

mod strict;

use std::collections::BTreeMap;

use super::*;

// Cheaper than a setting may be.
const CHEAP: HashingCost = HashingCost { memory_kib: 64, iterations: 1, parallelism: 1 };
const DEARER: HashingCost = HashingCost { memory_kib: 128, iterations: 2, parallelism: 1 };
const PASSWORD: &str = "fifteen letters";

fn hashing(cost: HashingCost) -> Hashing {
    Hashing::new(cost, None, &[]).unwrap()
}

fn made(by: &Hashing, password: &str) -> Secret {
    by.hash(&password.into(), [7; 16], &mut Memory::default()).unwrap().into()
}

fn attempt(hash: Option<&Secret>, costs: &[&str], password: &str) -> Attempt {
    let costs = costs.iter().map(|cost| (*cost).to_owned()).collect();
    Attempt { hash: hash.cloned(), costs, password: password.into(), salt: [9; 16] }
}

fn verify(hashing: &Hashing, attempt: &Attempt) -> (Verified, BTreeMap<String, u64>) {
    work::take();
    let verified = hashing.verify(attempt, &mut Memory::default()).unwrap();
    (verified, work::take())
}

#[test]
fn aut_2_hashes_and_verifies_whole_in_nfc() {
    let hashing = hashing(HashingCost { memory_kib: 19_456, iterations: 2, parallelism: 1 });
    let hash = made(&hashing, "Crème brûlée with\0sugar");
    assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(cost_of(hash.expose()).unwrap(), hashing.cost());
    let is_right = |hash: &Secret, typed: &str| {
        let (verified, _) = verify(&hashing, &attempt(Some(hash), &[hashing.cost()], typed));
        assert_eq!(verified.renewed.is_some(), hash.expose() == "not a hash");
        verified.is_right
    };
    assert!(is_right(&hash, "Cre\u{300}me bru\u{302}le\u{301}e with\0sugar"));
    assert!(!is_right(&hash, "Crème brûlée with"));
    assert!(!is_right(&"not a hash".into(), "whatever it may be"));
}

#[test]
fn sec_15_memory_of_one_hash_serves_others() {
    let (memory, own) = (&mut Memory::default(), &mut Memory::default());
    for cost in [CHEAP, DEARER, CHEAP] {
        let hashing = hashing(cost);
        let hash: Secret = hashing.hash(&PASSWORD.into(), [7; 16], memory).unwrap().into();
        let mut is_right =
            |typed| hashing.verify(&attempt(Some(&hash), &[hashing.cost()], typed), own).unwrap().is_right;
        assert!(is_right(PASSWORD) && !is_right("fifteen lettres"));
    }
    let greedy =
        "$argon2id$v=19$m=4294967295,t=1,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
    let (verified, done) = verify(&hashing(CHEAP), &attempt(Some(&greedy.into()), &[], PASSWORD));
    assert!(!verified.is_right && done.len() == 1, "{done:?}");
}

#[test]
fn aut_2_refuses_a_cost_below_the_floor() {
    assert!(HashingCost { memory_kib: 4096, iterations: 2, parallelism: 1 }.check().is_err());
    assert!(HashingCost { memory_kib: 9_216, iterations: 4, parallelism: 1 }.check().is_ok());
}

#[test]
fn aut_3_a_hash_of_another_cost_is_replaced_by_one_of_today() {
    let (before, today) = (hashing(CHEAP), hashing(DEARER));
    let old = made(&before, "Crème brûlée für alle");
    let (verified, _) = verify(&today, &attempt(Some(&old), &[before.cost(), today.cost()], "Crème brûlée für alle"));
    assert!(verified.is_right);
    let renewed = verified.renewed.unwrap();
    assert_eq!(cost_of(renewed.expose()).unwrap(), today.cost());
    let (again, _) =
        verify(&today, &attempt(Some(&renewed), &[today.cost()], "Cre\u{300}me bru\u{302}le\u{301}e für alle"));
    assert!(again.is_right && again.renewed.is_none());
}

#[test]
fn sec_13_a_pepper_is_needed_and_may_be_replaced() {
    let secrets: Vec<Secret> = [b'a', b'b'].map(|byte| String::from_utf8(vec![byte; 32]).unwrap().into()).to_vec();
    let first = Hashing::new(CHEAP, Some(&secrets[0]), &[]).unwrap();
    let second = Hashing::new(CHEAP, Some(&secrets[1]), &secrets[..1]).unwrap();
    let without = hashing(CHEAP);
    assert!(first.cost() != second.cost() && first.cost() != without.cost());
    let hash = made(&first, PASSWORD);
    assert!(!hash.expose().contains(secrets[0].expose()));
    let outcome = |by: &Hashing, hash: &Secret| {
        let (verified, done) = verify(by, &attempt(Some(hash), &[first.cost(), by.cost()], PASSWORD));
        (verified.is_right, verified.renewed.is_some(), done.values().sum::<u64>())
    };
    assert_eq!(outcome(&first, &hash), (true, false, 1));
    assert_eq!(outcome(&second, &hash), (true, true, 2));
    assert_eq!(outcome(&without, &hash), (false, true, 2));
    assert_eq!(outcome(&first, &made(&without, PASSWORD)), (true, true, 2));
}

/// Random accounts and sets of costs: what is computed depends on the costs and on what is typed alone.
#[test]
fn sec_1_every_account_makes_the_same_work() {
    let today = hashing(CHEAP);
    let other = hashing(DEARER);
    let argon2 = [made(&today, PASSWORD), made(&other, PASSWORD)];
    let mut foreign = foreign::samples();
    // Its scrypt is as dear as it must be; others stand for it.
    foreign.retain(|(hash, _)| !hash.contains("firebase"));
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..12 {
        let known: Vec<&str> = foreign.iter().map(|(hash, _)| *hash).filter(|_| random.u8(..4) == 0).collect();
        let costs: Vec<String> = known.iter().map(|hash| cost_of(hash).unwrap()).chain([other.cost().into()]).collect();
        let costs: Vec<&str> = costs.iter().map(String::as_str).collect();
        let typed = ["typed by nobody", "cre\u{300}me"][round % 2];
        let (nobody, expected) = verify(&today, &attempt(None, &costs, typed));
        assert!(!nobody.is_right && !expected.is_empty());
        let hashes = known.iter().map(|hash| Secret::from(*hash)).chain(argon2.clone());
        for hash in hashes {
            let (verified, done) = verify(&today, &attempt(Some(&hash), &costs, typed));
            assert!(!verified.is_right);
            assert_eq!(done, expected, "{} among {costs:?}", hash.expose());
        }
    }
}

#[test]
fn sec_15_costs_are_few_of_each_form() {
    let known: Vec<String> = (1..=4).map(|n| format!("argon2id$v=19$m={n}000,t=2,p=1")).collect();
    assert!(is_one_too_many(&known, "argon2i$v=19$m=9000,t=2,p=1") && !is_one_too_many(&known[..3], "argon2id$x"));
    assert!(!is_one_too_many(&known, "scrypt$ln=14,r=8,p=1"));
    let bcrypt: Vec<String> = (4..14).map(|n| format!("bcrypt$c={n}")).collect();
    assert!(!is_one_too_many(&bcrypt, "bcrypt$c=14"));
}

/// Argon2 as passlib and Django write it.
#[test]
fn aut_3_argon2_of_other_systems_verifies() {
    let hashes = [
        "$argon2id$v=19$m=1024,t=2,p=2$8b733ltrLaW01hrjvNd6Tw$p4RYmR7j0OmK1cha1b23qKSYCZvCfJrlE2L2znolUAI",
        "$argon2i$v=19$m=1024,t=2,p=1$mfO+F+J8jxFCaK2V0nrv/Q$vj4hUqQxpJ+9x1Xrbsi/7nJltDC916Dva4smF+wyNPY",
        "argon2$argon2id$v=19$m=1024,t=2,p=8$c2FsdHlzYWx0MTIzNDU2Nw$s6py7ZSFhtHy5N9Q/VE3uQJw9crYZA1cUlrHzY0EriA",
    ];
    for hash in hashes {
        let kept = read_foreign(&hash.into()).unwrap().unwrap();
        assert!(kept.expose().starts_with("$argon2"), "{hash}");
        let today = hashing(CHEAP);
        let typed = |typed| verify(&today, &attempt(Some(&kept), &[today.cost()], typed)).0.is_right;
        assert!(typed("correct horse battery stäple") && !typed("correct horse battery staple"), "{hash}");
    }
    let refused = [
        "$argon2id$v=19$m=131073,t=2,p=1$uZfSmjNmzFnr3ZuTktL63w$Aaz2qeo26Ft8C8WR5hPPnOzehRyKQ6YW+74gmGf275E",
        "$argon2id$v=19$m=1024,t=21,p=1$uZfSmjNmzFnr3ZuTktL63w$Aaz2qeo26Ft8C8WR5hPPnOzehRyKQ6YW+74gmGf275E",
        "$argon2id$v=19$m=1024,t=2,p=17$uZfSmjNmzFnr3ZuTktL63w$Aaz2qeo26Ft8C8WR5hPPnOzehRyKQ6YW+74gmGf275E",
        "$argon2id$v=19$m=1024,t=2,p=1,keyid=AAAA$uZfSmjNmzFnr3ZuTktL63w$Aaz2qeo26Ft8C8WR5hPPnOzehRyKQ6YW+74gmGf275E",
        "$argon2id$v=19$m=1024,t=2,p=1$uZfSmjNmzFnr3ZuTktL63w",
        "$argon2x$v=19$m=1024,t=2,p=1$uZfSmjNmzFnr3ZuTktL63w$Aaz2qeo26Ft8C8WR5hPPnOzehRyKQ6YW+74gmGf275E",
        "argon2",
        "argon2$",
    ];
    for hash in refused {
        assert_eq!(read_foreign(&hash.into()).unwrap().unwrap_err().code, FieldCode::InvalidFormat, "{hash}");
    }
}
