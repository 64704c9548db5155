//! Hashes as the programs wrote them that are named: passlib 1.7.4, Django 5.2, Werkzeug 3, crypt_blowfish, Firebase.

use super::*;

const PASSWORD: &str = "correct horse battery stäple";
const LONG: &str =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxä and more than bcrypt takes";

/// Those that are not Argon2's, each with its password.
#[rustfmt::skip]
pub(in crate::credentials::hashing) fn samples() -> Vec<(&'static str, &'static str)> {
    vec![
        // passlib pbkdf2
        ("$pbkdf2$1000$DsF4z/nfe08J4RzDWMv5Hw$kXd/NQLOvpcjyLO7yh7siH41Xjk", PASSWORD),
        // passlib pbkdf2-sha256
        ("$pbkdf2-sha256$1000$C4FQ6h2DkFJKSem99z7HuA$kh9H87aGe6jRNgSmM/x4jaFUaf.yrS4zu5acv9uo3tk", PASSWORD),
        // passlib pbkdf2-sha512
        ("$pbkdf2-sha512$1000$Rqj1fu89hzAmhHBubc1ZKw$Bqzuk/hX4S4uKziA9j9AUpS4KnE2hyjuCQvRH.PL4Y3XzqpzDiR4GY/oRAfca9tTvNUDcfKvWjNAjyyhpxcSmg", PASSWORD),
        // passlib scrypt
        ("$scrypt$ln=8,r=8,p=1$ay2F8H6vFeJcqzUGgJCSsg$br+2ZrwPTvyLYGcGmo12mlVlmH9ueHBTOq9TtepBye4", PASSWORD),
        // passlib bcrypt
        ("$2b$05$atJOjjcN3tWk1YF.C7YdS.6oYGokXYXWv/l1brJh.Krpw28E4R/sq", PASSWORD),
        // passlib bcrypt-sha256
        ("$bcrypt-sha256$v=2,t=2b,r=5$fN.a6/jlsq4hIaqlsIEXM.$oovxLwiSQEzbEjnqnpsiSi2T6KZOyuG", LONG),
        // passlib bcrypt-sha256 1
        ("$bcrypt-sha256$2b,5$Xmd0es6/R0fiQc8uM4PWdu$GofihQGNwuSjaOizmNjMqBxB7Xk03Xi", LONG),
        // passlib phpass
        ("$P$7wjbEXhS2CVUItR704KgCgvYqvox.D0", PASSWORD),
        // passlib phpass H
        ("$H$6P2zebsxFxz.MBeEucVpRt1wDCAQBO.", PASSWORD),
        // django pbkdf2_sha256
        ("pbkdf2_sha256$1000$saltysalt1234567$wiLEZJ3udjO2ZlKnMcJFsM0s77Q/7ZaqjTqh4bl3dd0=", PASSWORD),
        // django pbkdf2_sha1
        ("pbkdf2_sha1$1000$saltysalt1234567$w3yQyebJ7zWNCdKZtfPUPTLH/1I=", PASSWORD),
        // django bcrypt
        ("bcrypt$$2b$05$lO11xW4oKutjiyNbH3vG1.djvZw7m8he1CDY/oXmZtL3B1jQ8Edtm", PASSWORD),
        // django bcrypt_sha256
        ("bcrypt_sha256$$2b$05$xi1RyVZJP/RnS6auA7bNmefRU74fgbBrT1b6Iopv/m1Xo7OaTlqNS", LONG),
        // django scrypt
        ("scrypt$256$saltysalt1234567$8$5$OHXyx7IaTxE057PTfgrqe6DgfXG9aWvkmJf8rRlP2U2XKq++CQ2LGnl7zL71iMVdlpDdXS6ewuSZYxzi04MThQ==", PASSWORD),
        // werkzeug pbkdf2
        ("pbkdf2:sha256:1000$2SDay84fxe37eMdB$21422bbd15425c189a4b01f33ad974247be87d3e3fbf164b395d6a0004190604", PASSWORD),
        // werkzeug scrypt
        ("scrypt:256:8:1$cHzT7WTfFuaeAZdD$170ffa08c3675bf4ce8da581abdcf746b4fd5d925656e294b1bbf1ed0dfe3ecf5291ba89cab7e2816c17bb6ca2b129cd23ae5cf51192f32552bde12725d20675", PASSWORD),
        // crypt_blowfish
        ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"),
        ("$2x$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
        // firebase/scrypt
        ("$firebase-scrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==", "user1password"),
    ]
}

fn lets_in(hash: Option<&str>, costs: &[&str], texts: &[&str]) -> bool {
    verify(hash, costs, texts).0
}

#[test]
fn aut_3_hashes_of_other_systems_verify() {
    for (hash, password) in samples() {
        let read = Foreign::read(hash).unwrap_or_else(|| panic!("{hash}"));
        assert!(read.is_of(password), "{hash}");
        assert!(!read.is_of(&format!("{password}a")) || password.is_empty(), "{hash}");
        assert_eq!(read.cost.to_string().parse(), Ok(read.cost), "{hash}");
        assert!(lets_in(Some(hash), &[], &["wrong", password]) && !lets_in(Some(hash), &[], &["wrong"]), "{hash}");
        // Whoever has another hash, or none, is not let in by it.
        assert!(!lets_in(None, &[&read.cost.to_string()], &[password]), "{hash}");
    }
}

/// bcrypt takes 72 bytes, and those who hash before it take all.
#[test]
fn what_is_cut_off_is_what_its_maker_cut_off() {
    let others = format!("{}b", LONG.trim_end_matches('s'));
    for (hash, _) in samples().into_iter().filter(|(_, password)| *password == LONG) {
        assert!(!Foreign::read(hash).unwrap().is_of(&others), "{hash}");
    }
    let cut = Foreign::read("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui").unwrap();
    let seventy_two = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    assert!(cut.is_of(seventy_two) && cut.is_of(&format!("{seventy_two}chars after 72 are ignored")));
}

/// Whatever is written there, nothing is computed that costs more than it may, and nothing panics.
#[test]
fn sec_15_hostile_hashes_are_refused_before_anything_is_computed() {
    let hostile = [
        "$2b$31$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        "$2b$15$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        "$2b$03$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        "$2b$5$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        "$2$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        "$2b$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn3",
        "$2b$05$myZ/Fra8/njXcldk46ILZOéWOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36",
        "$scrypt$ln=63,r=8,p=1$2BvjnJPSWqv13rvXOieEEA$BT5ugHpC+RKN1yHZ9dyU0qyuPBHTDI6y2dqOJczSYrg",
        "$scrypt$ln=20,r=8,p=1$2BvjnJPSWqv13rvXOieEEA$BT5ugHpC+RKN1yHZ9dyU0qyuPBHTDI6y2dqOJczSYrg",
        "$scrypt$ln=8,r=0,p=1$2BvjnJPSWqv13rvXOieEEA$BT5ugHpC+RKN1yHZ9dyU0qyuPBHTDI6y2dqOJczSYrg",
        "$scrypt$ln=8,r=8,p=4294967295$2BvjnJPSWqv13rvXOieEEA$BT5ugHpC+RKN1yHZ9dyU0qyuPBHTDI6y2dqOJczSYrg",
        "scrypt$0$salt$8$5$OHXyx7IaTxE057PTfgrqe6DgfXG9aWvkmJf8rRlP2U0=",
        "scrypt$257$salt$8$5$OHXyx7IaTxE057PTfgrqe6DgfXG9aWvkmJf8rRlP2U0=",
        "scrypt$18446744073709551615$salt$8$5$OHXyx7IaTxE057PTfgrqe6DgfXG9aWvkmJf8rRlP2U0=",
        "$pbkdf2$2000001$TKlVKgXgvJeS0vofg3DO.Q$Go/gC/IhTQuZAOwSjrYnPgDadm4",
        "$pbkdf2$0$TKlVKgXgvJeS0vofg3DO.Q$Go/gC/IhTQuZAOwSjrYnPgDadm4",
        "$pbkdf2$-1$TKlVKgXgvJeS0vofg3DO.Q$Go/gC/IhTQuZAOwSjrYnPgDadm4",
        "$pbkdf2$4294967295$TKlVKgXgvJeS0vofg3DO.Q$Go/gC/IhTQuZAOwSjrYnPgDadm4",
        "$pbkdf2-md5$1000$TKlVKgXgvJeS0vofg3DO.Q$Go/gC/IhTQuZAOwSjrYnPgDadm4",
        "$pbkdf2$1000$TKlVKgXgvJeS0vofg3DO.Q$",
        "$pbkdf2$1000$TKlVKgXgvJeS0vofg3DO.Q$AAAA",
        "pbkdf2:sha256:1000$salt$xyz0000000000000000000000000",
        "$P$ZZ6Xl2dada00RIWnxJoyYZm.i3Uk8e/",
        "$P$.Z6Xl2dada00RIWnxJoyYZm.i3Uk8e/",
        "$P$7Z6Xl2dada00RIWnxJoyYZm.i3Uk8e",
        "$firebase-scrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$Bw==$jxspr8Ki$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+V",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr",
        "sha1$salt$hash",
        "",
        "$",
        "$$$$$",
    ];
    crate::credentials::hashing::work::take();
    for hash in hostile {
        assert!(Foreign::read(hash).is_none(), "{hash}");
        assert!(
            !lets_in(Some(hash), &["bcrypt$c=31", "scrypt$ln=63,r=8,p=1", "none", "bcrypt$c=x"], &[PASSWORD]),
            "{hash}"
        );
    }
    let long = format!("$pbkdf2$1000${}$Go/gC/IhTQuZAOwSjrYnPgDadm4", "A".repeat(1_000_000));
    assert!(Foreign::read(&long).is_none());
    assert!(crate::credentials::hashing::work::take().is_empty());
}

/// Every text that one letter makes of a good one is read without a panic, and lets nobody in by another password.
#[test]
fn a_letter_changed_lets_nobody_in() {
    for (hash, _) in samples().into_iter().filter(|(hash, _)| !hash.contains("firebase")) {
        for at in (0..hash.len()).step_by(3) {
            let mut spoilt = hash.as_bytes().to_vec();
            spoilt[at] = if spoilt[at] == b'$' { b'a' } else { b'$' };
            let spoilt = String::from_utf8(spoilt).unwrap();
            if let Some(read) = Foreign::read(&spoilt) {
                assert!(!read.is_of("not the password"), "{spoilt}");
            }
        }
    }
}
