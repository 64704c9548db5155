use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::import::{ImportFormat, ImportLevel, OnExisting};

fn options(shape: ImportShape) -> ImportOptions {
    ImportOptions {
        source: "old".into(),
        format: ImportFormat::JsonLines,
        shape,
        on_existing: OnExisting::Skip,
        level: ImportLevel::Strict,
        match_email: false,
        atomic: false,
        trust_verified_emails: false,
        without_unknown_hashes: false,
        roles: BTreeMap::new(),
        groups: BTreeMap::new(),
        attributes: BTreeMap::from([("dept".into(), "department".into())]),
    }
}

fn candidate(shape: ImportShape, record: Json) -> Candidate {
    let Json::Object(record) = record else { panic!("no record") };
    let options = options(shape);
    let project = Some(Project("ln=14,r=8,p=1$Bw==$a2V5"));
    let mapping = Mapping { options: &options, project, is_declared: &|name| name == "clearance" };
    mapping.candidate(record).expect("a user")
}

fn hash(candidate: &Candidate) -> Option<&str> {
    candidate.user.password_hash.as_ref().map(|hash| hash.expose())
}

fn names(set: &BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[test]
fn auth0() {
    let made = candidate(
        ImportShape::Auth0,
        json!({
            "_id": {"$oid": "5f"}, "email": "ann@example.org", "email_verified": true, "given_name": "Ann", "family_name": "Bee",
            "name": "Ann Bee", "phone_number": "+49 30 901820", "blocked": true, "passwordHash": "$2b$10$x",
            "app_metadata": {"roles": ["editor"], "plan": "pro"}, "user_metadata": {"dept": "B", "clearance": 9, "Not Fit": 1},
            "logins_count": 7,
        }),
    );
    assert_eq!((made.foreign_id.as_deref(), hash(&made)), (Some("5f"), Some("$2b$10$x")));
    assert_eq!((made.user.first_name.as_deref(), made.user.full_name.as_deref()), (Some("Ann"), Some("Ann Bee")));
    assert_eq!((made.status, made.is_email_verified), (UserStatus::Banned, true));
    assert_eq!(names(&made.roles), ["editor"]);
    // What the policy declares is chosen by the call alone.
    assert_eq!(made.user.attributes, BTreeMap::from([("department".to_owned(), json!("B"))]));
    assert_eq!(names(&made.ignored), ["Not Fit", "app_metadata.plan", "clearance", "logins_count"]);
    assert!(made.checks.is_empty());
    let custom =
        json!({"email": "a@b.org", "custom_password_hash": {"algorithm": "argon2", "hash": {"value": "$argon2id$x"}}});
    assert_eq!(hash(&candidate(ImportShape::Auth0, custom)), Some("$argon2id$x"));
    // Whoever has a password there is not taken for somebody without one, nor two for one.
    for hash_of_no_text in [json!({"passwordHash": {}}), json!({"custom_password_hash": {"algorithm": "md5"}})] {
        assert_eq!(hash(&candidate(ImportShape::Auth0, hash_of_no_text)), Some("unknown"));
    }
    let made = candidate(ImportShape::Auth0, json!({"user_id": 1.25e20, "email_verified": "perhaps"}));
    assert_eq!((made.foreign_id, made.is_email_verified), (None, false));
    assert_eq!(names(&made.ignored), ["email_verified"]);
    assert_eq!(made.checks.into_told()[0].field, "foreign_id");
}

#[test]
fn firebase() {
    let made = candidate(
        ImportShape::Firebase,
        json!({
            "localId": "u1", "email": "ann@example.org", "emailVerified": true, "passwordHash": "a-_b", "salt": "c-_d",
            "displayName": "Ann", "phoneNumber": "+4930901820", "disabled": true, "createdAt": "1706696430000",
            "customAttributes": "{\"admin\":true,\"roles\":[\"pilot\"]}", "providerUserInfo": [],
        }),
    );
    assert_eq!(hash(&made), Some("$firebase-scrypt$ln=14,r=8,p=1$c+/d$Bw==$a2V5$a+/b"));
    assert_eq!((made.foreign_id.as_deref(), made.status), (Some("u1"), UserStatus::Inactive));
    assert_eq!(made.created_at.map(|at| at.to_string()).as_deref(), Some("2024-01-31T10:20:30Z"));
    assert_eq!((names(&made.roles), names(&made.ignored)), (vec!["admin", "pilot"], vec!["providerUserInfo"]));
}

#[test]
fn supabase_as_a_row_of_csv() {
    let made = candidate(
        ImportShape::Supabase,
        json!({
            "id": "9b", "email": "ann@example.org", "encrypted_password": "$2a$10$x", "email_confirmed_at": "2024-01-31 10:20:30+00",
            "banned_until": "2999-01-01 00:00:00+00", "raw_user_meta_data": "{\"full_name\":\"Ann\",\"team\":\"x\"}",
            "raw_app_meta_data": "{\"provider\":\"email\",\"role\":\"editor\"}", "role": "authenticated", "is_super_admin": "t",
        }),
    );
    assert_eq!((made.status, made.is_email_verified), (UserStatus::Suspended, true));
    assert!(made.suspended_until.is_some());
    assert_eq!(made.user.full_name.as_deref(), Some("Ann"));
    assert_eq!(made.user.attributes, BTreeMap::from([("team".to_owned(), json!("x"))]));
    assert_eq!(names(&made.roles), ["editor"]);
    assert_eq!(names(&made.ignored), ["is_super_admin", "raw_app_meta_data.provider", "role"]);
}

#[test]
fn django_with_models_and_without() {
    let made = candidate(
        ImportShape::Django,
        json!({"model": "auth.user", "pk": 7, "fields": {
            "username": "ann", "email": "ann@example.org", "password": "!unusable", "first_name": "Ann", "last_name": "",
            "is_active": false, "is_superuser": true, "is_staff": false, "date_joined": "2024-01-31T10:20:30Z", "groups": [["editors"], 3],
        }}),
    );
    assert_eq!((made.foreign_id.as_deref(), hash(&made), made.status), (Some("7"), None, UserStatus::Inactive));
    assert_eq!((names(&made.roles), names(&made.ignored)), (vec!["3", "editors"], vec!["is_superuser"]));
    assert_eq!((made.user.first_name.as_deref(), made.user.last_name.as_deref()), (Some("Ann"), None));
    let row = json!({"id": "7", "email": "a@b.org", "password": "pbkdf2_sha256$1$s$h", "is_active": "t"});
    let made = candidate(ImportShape::Django, row);
    assert_eq!((made.foreign_id.as_deref(), made.status), (Some("7"), UserStatus::Active));
    let options = options(ImportShape::Django);
    let mapping = Mapping { options: &options, project: None, is_declared: &|_| false };
    let Json::Object(group) = json!({"model": "auth.group", "pk": 1, "fields": {"name": "x"}}) else { panic!() };
    assert!(mapping.candidate(group).is_none());
}

#[test]
fn keycloak() {
    let of = |algorithm: &str, more: Json| {
        let data = json!({"hashIterations": 5, "algorithm": algorithm, "additionalParameters": more});
        json!({
            "id": "k", "username": "ann", "email": "ann@example.org", "enabled": true, "emailVerified": false, "firstName": "Ann",
            "attributes": {"team": ["x"], "tags": ["a", "b"]}, "realmRoles": ["pilot"], "groups": ["/staff"],
            "credentials": [{"type": "otp"}, {"type": "password", "secretData": "{\"value\":\"aGFzaA==\",\"salt\":\"c2FsdA==\"}",
                "credentialData": data.to_string()}],
        })
    };
    let made = candidate(ImportShape::Keycloak, of("pbkdf2-sha512", json!({})));
    assert_eq!(hash(&made), Some("$pbkdf2-sha512$5$c2FsdA==$aGFzaA=="));
    assert_eq!(names(&made.roles), ["/staff", "pilot"]);
    let attributes = [("tags".to_owned(), json!(["a", "b"])), ("team".to_owned(), json!("x"))];
    assert_eq!(made.user.attributes, BTreeMap::from(attributes));
    let argon =
        json!({"hashLength": ["32"], "memory": ["7168"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]});
    let made = candidate(ImportShape::Keycloak, of("argon2", argon));
    assert_eq!(hash(&made), Some("$argon2id$v=19$m=7168,t=5,p=1$c2FsdA$aGFzaA"));
    // Of an algorithm of its own, and as it was kept before version 8.
    assert_eq!(hash(&candidate(ImportShape::Keycloak, of("bcrypt", json!({})))), Some("unknown"));
    let old = json!({"type": "password", "hashedSaltedValue": "aGFzaA==", "salt": "c2FsdA==", "algorithm": "pbkdf2"});
    assert_eq!(hash(&candidate(ImportShape::Keycloak, json!({"credentials": [old]}))), Some("unknown"));
    let plain = json!({"credentials": [{"type": "password", "value": "correct horse"}]});
    let made = candidate(ImportShape::Keycloak, plain);
    assert_eq!(hash(&made), None);
    assert_eq!(made.checks.into_told()[0].field, "password");
}

#[test]
fn ours_refuses_what_it_does_not_know() {
    let made = candidate(
        ImportShape::Rolekeep,
        json!({"email": "a@b.org", "is_admin": true, "id": "x", "password": "plain", "status": "admin", "created_at": "long ago", "roles": "a; b"}),
    );
    let told: BTreeSet<String> = made.checks.clone().into_told().into_iter().map(|error| error.field).collect();
    assert_eq!(names(&told), ["created_at", "id", "is_admin", "password", "status"]);
    assert_eq!(names(&made.roles), ["a", "b"]);
}

#[test]
fn a_confirmed_phone_proves_no_address() {
    let of = |more: Json| {
        let Json::Object(mut record) = json!({"id": "1", "email": "a@b.org"}) else { panic!() };
        record.extend(more.as_object().unwrap().clone());
        candidate(ImportShape::Supabase, record.into()).is_email_verified
    };
    assert!(!of(json!({"phone_confirmed_at": "2024-01-31T10:20:30Z", "confirmed_at": "2024-01-31T10:20:30Z"})));
    assert!(of(json!({"confirmed_at": "2024-01-31T10:20:30Z"})));
    assert!(of(json!({"email_confirmed_at": "2024-01-31T10:20:30Z"})));
}

#[test]
fn what_a_user_chose_does_not_override_what_is_mapped() {
    for record in [
        json!({"email": "a@b.org", "dept": "C", "user_metadata": {"dept": "A"}}),
        json!({"email": "a@b.org", "dept": "C", "user_metadata": {"department": "A"}}),
    ] {
        let made = candidate(ImportShape::Auth0, record);
        assert_eq!(made.user.attributes, BTreeMap::from([("department".to_owned(), json!("C"))]));
    }
}

#[test]
fn ours_reads_nothing_wrong_as_absent() {
    let made = candidate(
        ImportShape::Rolekeep,
        json!({
            "email": "a@b.org", "status": ["banned"], "password_hash": {}, "attributes": "{broken", "email_verified": "maybe",
            "full_name": true, "suspended_until": "2020-01-01T00:00:00Z",
        }),
    );
    let told: BTreeSet<String> = made.checks.clone().into_told().into_iter().map(|error| error.field).collect();
    let wrong = ["attributes", "email_verified", "full_name", "password_hash", "status", "suspended_until"];
    assert_eq!(names(&told), wrong);
}

/// A flag that shuts somebody out, and cannot be read, lets nobody in.
#[test]
fn who_may_be_shut_out_does_not_come_over_open() {
    for (shape, field) in [
        (ImportShape::Auth0, "blocked"),
        (ImportShape::Firebase, "disabled"),
        (ImportShape::Django, "is_active"),
        (ImportShape::Keycloak, "enabled"),
    ] {
        for value in [json!("\0"), json!(0.0), json!("off"), json!({})] {
            let made = candidate(shape, json!({"email": "a@b.org", field: value}));
            let told: Vec<String> = made.checks.clone().into_told().into_iter().map(|error| error.field).collect();
            assert_eq!(told, [field], "{value}");
        }
        assert!(candidate(shape, json!({"email": "a@b.org", field: null})).checks.is_empty());
    }
}

/// What the source leaves empty of what is mapped, its user does not fill in.
#[test]
fn what_a_user_chose_does_not_stand_in_for_what_is_mapped() {
    for free in [json!({"dept": "A"}), json!({"department": "A"})] {
        let made = candidate(ImportShape::Auth0, json!({"email": "a@b.org", "dept": null, "user_metadata": free}));
        assert_eq!(made.user.attributes, BTreeMap::new());
        assert_eq!(made.ignored.len(), 1);
    }
}

/// What a source says of a user is not lost without a word, and who may be shut out there is not let in here.
#[test]
fn usr_8_what_cannot_be_read_is_told() {
    use ImportShape::{Auth0, Django, Firebase, Keycloak, Supabase};
    for (shape, field) in [
        (Auth0, "created_at"),
        (Firebase, "createdAt"),
        (Supabase, "created_at"),
        (Django, "date_joined"),
        (Keycloak, "createdTimestamp"),
    ] {
        let made = candidate(shape, json!({"email": "a@b.org", field: "2024-01-31T10:20:30"}));
        assert_eq!((made.created_at, names(&made.ignored)), (None, vec![field]));
        assert!(made.checks.is_empty());
    }
    let made = candidate(Keycloak, json!({"email": "a@b.org", "username": ["ann"], "emailVerified": "perhaps"}));
    assert_eq!(names(&made.ignored), ["emailVerified", "username"]);
    for (shape, field) in [(Auth0, "blocked"), (Firebase, "disabled"), (Django, "is_active"), (Keycloak, "enabled")] {
        let made = candidate(shape, json!({"email": "a@b.org", field: "perhaps"}));
        let wrong: Vec<String> = made.checks.into_told().into_iter().map(|error| error.field).collect();
        assert_eq!(wrong, [field]);
    }
}
