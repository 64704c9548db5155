//! A key from its making to its end.

use rolekeep::{
    Code, FieldCode, Time,
    api_keys::{ApiKeyEnd, CreateApiKeyFor, ListApiKeysOf},
    audit::ListAudit,
    internals::api_key::{ApiKey, ApiKeyUse},
    storage::{Position, Storage},
    users::{DeleteUser, PurgeUser},
};

use super::*;
use crate::security::kit::{all, caller, others, signed_in};

#[tokio::test]
async fn aut_11_a_key_does_what_its_user_may_until_it_is_ended() {
    let stage = Stage::open(&["writer"]).await;
    let me = stage.ada().await;
    let made = made(&me, &["document:*"]).await.unwrap();
    let NewApiKey { key, api_key, .. } = &made;
    assert!(key.expose().starts_with(&api_key.starts_with) && api_key.starts_with.len() == 26);
    assert_eq!((api_key.name.as_str(), api_key.patterns.as_deref()), ("Backup", Some(&["document:*".to_owned()][..])));
    assert_eq!((api_key.user_id, api_key.last_used_at, api_key.ended_at), (stage.ada, None, None));
    let days = |view: &ApiKeyView| (view.expires_at.as_second() - view.created_at.as_second()) / (24 * 3600);
    assert_eq!((days(api_key), api_key.has_second_factor), (90, false));

    let program = stage.by(key).await.unwrap();
    assert!(program.can("document:edit", None).unwrap() && !program.can("document:delete", None).unwrap());
    assert_eq!(program.users().me().await.unwrap().id, stage.ada);
    assert_eq!(program.permissions().mine().await.unwrap().len(), 2);
    assert!(stage.mails.take("api_key_created", ADA).await.token.is_none());

    revoke(&me, api_key.id).await.unwrap();
    assert_eq!(reason(program.can("document:edit", None)), Reason::InvalidToken, "without I/O, at once");
    assert_eq!(reason(program.users().me().await), Reason::InvalidToken);
    assert_eq!(reason(stage.by(key).await), Reason::InvalidToken);
    let known = listed(&me).await;
    assert_eq!((known.len(), known[0].end_reason), (1, Some(ApiKeyEnd::Revoked)));
    assert!(me.api_keys().list(ListApiKeys::new()).await.unwrap().items.is_empty());
    revoke(&me, api_key.id).await.unwrap();
    assert_eq!(stage.mails.left(), 0, "of what one ends oneself nobody tells");
    let told: Vec<String> = audit(&stage, "api_keys.").await;
    assert_eq!(told, ["api_keys.revoke", "api_keys.create"], "revoked once");
}

async fn audit(stage: &Stage, area: &str) -> Vec<String> {
    let entries = stage.um.system().audit().list(ListAudit::new().limit(100_u32)).await.unwrap().items;
    entries.into_iter().map(|entry| entry.action).filter(|action| action.starts_with(area)).collect()
}

/// V6.5.2, V11.5.1: what is stored opens nothing.
#[tokio::test]
async fn sec_4_a_thief_of_the_storage_finds_no_key() {
    let stage = Stage::open(&[]).await;
    let (one, other) = (stage.key(&["document:read"]).await, stage.key(&["document:read"]).await);
    let stored: Vec<ApiKey> = all(&*stage.storage).await;
    let known: Vec<String> = stored.iter().map(|key| format!("{key:?} {}", key.hash.expose())).collect();
    for made in [&one, &other] {
        let secret = &made.key.expose()[26..59];
        assert!(known.iter().all(|row| !row.contains(secret) && !row.contains(made.key.expose())));
        assert!(!format!("{made:?}").contains(secret));
    }
    assert!(stored[0].hash != stored[1].hash && stored[0].hash.expose().len() == 64);
}

#[tokio::test]
async fn aut_11_what_cannot_be_a_key_is_refused_field_by_field() {
    let stage = Stage::open(&["writer"]).await;
    let me = stage.ada().await;
    let fields = async |create: CreateApiKey| {
        let refused = me.api_keys().create(create).await.unwrap_err();
        assert_eq!(refused.code(), Code::Validation);
        refused.fields().iter().map(|field| (field.field.clone(), field.code)).collect::<Vec<_>>()
    };
    let field = |name: &str, code| vec![(name.to_owned(), code)];
    let new = || CreateApiKey::new("Backup");
    assert_eq!(fields(CreateApiKey::new(" ")).await, field("name", FieldCode::TooShort));
    for seconds in [0, -1, i64::MIN, i64::MAX, 365 * 24 * 3600 + 1] {
        let wrong = fields(new().expires_in_seconds(seconds)).await;
        assert_eq!(wrong, field("expires_in_seconds", FieldCode::OutOfRange), "{seconds}");
    }
    assert_eq!(fields(new().patterns(Vec::<String>::new())).await, field("patterns", FieldCode::Required));
    assert_eq!(fields(new().networks(Vec::<String>::new())).await, field("networks", FieldCode::Required));
    assert_eq!(fields(new().patterns(vec!["document:read"; 101])).await, field("patterns", FieldCode::TooLong));
    assert_eq!(fields(new().networks(vec!["10.0.0.0/8"; 21])).await, field("networks", FieldCode::TooLong));
    for wrong in [
        "",
        "document",
        "document:fly",
        "paper:*",
        "admin:all",
        "document:read{kind}",
        "document:read invoice:pay",
        "*",
    ] {
        let told = fields(new().patterns(["document:read", wrong])).await;
        assert_eq!(told, field("patterns[1]", FieldCode::NotFound), "{wrong}");
    }
    for wrong in ["", "10.0.0.1/8", "10.0.0.0/33", "somewhere", "10.0.0.0/8 ::/0", "fe80::1%eth0"] {
        let told = fields(new().networks(["10.0.0.0/8", wrong])).await;
        assert_eq!(told, field("networks[1]", FieldCode::InvalidFormat), "{wrong}");
    }
    let widest =
        new().patterns(["*:*", "*:read"]).expires_in_seconds(365 * 24 * 3600).networks(["10.0.0.7", "2001:db8::/32"]);
    let made = me.api_keys().create(widest).await.unwrap().api_key;
    assert_eq!(made.networks.unwrap(), ["10.0.0.7/32", "2001:db8::/32"]);
}

/// To the minute, and beside the call.
#[tokio::test]
async fn aut_11_the_last_use_is_noted_once_a_minute() {
    let stage = Stage::open(&["writer"]).await;
    let me = stage.ada().await;
    let made = made(&me, &["document:read"]).await.unwrap();
    // What is noted in the background is done once others had a turn.
    let noted = async || {
        others().await;
        let at = listed(&me).await[0].last_used_at;
        others().await;
        at
    };
    let use_of = async || all::<ApiKeyUse>(&*stage.storage).await[0].version;
    assert_eq!(noted().await, None);
    let program = stage.by(&made.key).await.unwrap();
    let first = noted().await.unwrap();
    let version = use_of().await;
    for _ in 0..5 {
        program.users().me().await.unwrap();
        stage.by(&made.key).await.unwrap();
        assert_eq!((noted().await, use_of().await), (Some(first), version));
    }
    stage.clock.pass(61);
    program.users().me().await.unwrap();
    let second = noted().await.unwrap();
    assert!(second.as_second() - first.as_second() >= 61 && use_of().await == version + 1);
    // Its checks cost nothing, and are not noted.
    stage.clock.pass(61);
    program.can("document:read", None).unwrap();
    assert_eq!(noted().await, Some(second));
    stage.storage.fail_next_commit();
    program.users().me().await.unwrap();
    assert_eq!(noted().await, Some(second), "a use that cannot be noted is a use");
    stage.clock.pass(11);
    program.users().me().await.unwrap();
    assert!(noted().await > Some(second));
}

/// The clock is set: by the one on the wall a key ends when it ends.
#[tokio::test]
async fn aut_11_a_key_ends_by_itself() {
    let stage = Stage::open(&["writer"]).await;
    let short = CreateApiKey::new("Short").expires_in_seconds(3600);
    let made = stage.ada().await.api_keys().create(short).await.unwrap();
    let program = stage.by(&made.key).await.unwrap();
    stage.clock.pass(3590);
    assert!(program.can("document:read", None).unwrap());
    stage.clock.pass(11);
    assert_eq!(reason(program.can("document:read", None)), Reason::InvalidToken);
    assert_eq!(reason(program.users().me().await), Reason::InvalidToken);
    assert_eq!(reason(stage.by(&made.key).await), Reason::InvalidToken);
    stage.clock.put_back(3600);
    assert!(stage.is_good(&made).await, "it was the clock");
    let me = stage.ada().await;
    assert!(listed(&me).await[0].ended_at.is_none());
    // A reset ends those that have expired by a clock that is ahead, too.
    stage.clock.pass(2 * 3600);
    let reset = rolekeep::passwords::SetPassword::new(stage.ada, NEW).is_temporary(false);
    stage.um.system().passwords().set(reset).await.unwrap();
    stage.clock.put_back(2 * 3600);
    assert!(!stage.is_good(&made).await);
}

/// For ninety days from its end it is known what a key was; with its user it is gone.
#[tokio::test]
async fn aut_11_what_has_ended_is_forgotten_in_time() {
    let stage = Stage::open(&[]).await;
    let me = stage.ada().await;
    let made = made(&me, &["document:read"]).await.unwrap();
    revoke(&me, made.api_key.id).await.unwrap();
    let count = async || (all::<ApiKey>(&*stage.storage).await.len(), all::<ApiKeyUse>(&*stage.storage).await.len());
    stage.clock.pass(89 * DAY);
    stage.um.tidy().await.unwrap();
    assert_eq!(count().await, (1, 1));
    stage.clock.pass(2 * DAY);
    stage.um.tidy().await.unwrap();
    assert_eq!(count().await, (0, 0));
    let long = CreateApiKey::new("Long").expires_in_seconds(100 * 24 * 3600);
    let long = stage.ada().await.api_keys().create(long).await.unwrap();
    stage.clock.pass(189 * DAY);
    stage.um.tidy().await.unwrap();
    assert_eq!(count().await, (1, 1));
    stage.um.system().users().delete(DeleteUser::new(stage.ada)).await.unwrap();
    assert_eq!(reason(stage.by(&long.key).await), Reason::InvalidToken);
    stage.um.system().users().purge(PurgeUser::new(stage.ada)).await.unwrap();
    assert_eq!(count().await, (0, 0));
}

#[tokio::test]
async fn sec_9_keys_of_others_are_seen_and_ended_by_who_may() {
    let stage = Stage::open(&["writer"]).await;
    let made = stage.key(&["document:read"]).await;
    let (id, of_ada) = (made.api_key.id, || ListApiKeysOf::new(stage.ada));
    let (stranger, _) = signed_in(&stage.um, "eve", &["writer"]).await;
    assert_eq!(reason(stranger.api_keys().list_of(of_ada()).await), Reason::Denied);
    assert_eq!(reason(revoke(&stranger, id).await), Reason::NotFound);
    let nowhere = ApiKeyId(uuid::Uuid::from_u128(7));
    assert_eq!(reason(revoke(&stranger, nowhere).await), Reason::NotFound, "as one that is there");
    assert!(listed(&stranger).await.is_empty());
    let (moderator, _) = caller(&stage.um, "mod", &["moderator"]).await;
    let seen = moderator.api_keys().list_of(of_ada()).await.unwrap().items;
    assert_eq!((seen.len(), seen[0].id), (1, id));
    assert_eq!(reason(revoke(&moderator, nowhere).await), Reason::NotFound);
    revoke(&moderator, id).await.unwrap();
    let told = stage.mails.take("api_key_revoked", ADA).await;
    assert!(told.text.expose().contains("was ended"));
    assert!(!stage.is_good(&made).await);
    // Of who is stronger nobody ends any.
    let (root, _) = signed_in(&stage.um, "root", &["admin"]).await;
    let strong = made_whole(&root).await.unwrap();
    assert_eq!(reason(revoke(&moderator, strong.api_key.id).await), Reason::Denied);
    assert!(stage.is_good(&strong).await);
    stage.um.system().api_keys().revoke(RevokeApiKey::new(strong.api_key.id)).await.unwrap();
    assert!(!stage.is_good(&strong).await);
}

/// For accounts that no person signs in to.
#[tokio::test]
async fn aut_11_the_application_makes_keys_of_its_users() {
    let stage = Stage::open(&[]).await;
    let robot =
        stage.um.system().users().create(CreateUser::new("robot@example.org").roles(["treasurer"])).await.unwrap().id;
    let create = || CreateApiKeyFor::new(robot, "Nightly").patterns(["invoice:pay"]);
    let (moderator, _) = caller(&stage.um, "mod", &["moderator"]).await;
    let (root, _) = signed_in(&stage.um, "root", &["admin"]).await;
    for other in [&moderator, &root, &stage.ada().await, &stage.um.acting_as(robot).await.unwrap()] {
        assert_eq!(reason(other.api_keys().create_for(create()).await), Reason::Denied);
    }
    let made = stage.um.system().api_keys().create_for(create()).await.unwrap();
    assert!(made.api_key.has_second_factor);
    let program = stage.by(&made.key).await.unwrap();
    assert!(program.can("invoice:pay", None).unwrap());
    assert_eq!(program.users().me().await.unwrap().id, robot);
    stage.mails.take("api_key_created", "robot@example.org").await;
    let position = stage.storage.position().await.unwrap();
    assert!(position != Position::START && made.api_key.expires_at > Time::MIN);
}
