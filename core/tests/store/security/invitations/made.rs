//! Who makes invitations and sees them, and how often.

use rolekeep::{
    ChangeSetId, Time,
    api_keys::CreateApiKey,
    internals::record::Record,
    storage::{ChangeSet, Write},
    verification::ConfirmVerification,
};

use super::*;

/// Nothing that the inviter gets, and nothing that is mailed, says whether somebody has the address.
#[tokio::test]
async fn sec_1_an_invitation_does_not_say_who_has_an_account() {
    let stage = Stage::open().await;
    let create =
        async |email: &str| stage.um.system().users().create(CreateUser::new(email).password(PASSWORD)).await.unwrap();
    create("known@example.org").await;
    let gone = create("gone@example.org").await.id;
    stage.um.system().users().delete(rolekeep::users::DeleteUser::new(gone)).await.unwrap();
    let mut told = Vec::new();
    for name in ["nobody", "known", "gone"] {
        let email = format!("{name}@example.org");
        stage.is_quiet().await;
        stage.storage.calls();
        let made = stage.me.invitations().create(invitation(&email, &[])).await.unwrap();
        let mail = stage.mails.take("invitation", &email).await;
        stage.is_quiet().await;
        let token = mail.token.unwrap();
        let text = mail.text.expose().replace(token.expose(), "TOKEN");
        let answer = serde_json::to_string(&made).unwrap();
        let hidden = [made.id.to_string(), email, made.created_at.to_string(), made.expires_at.to_string()];
        let answer = hidden.iter().fold(answer, |answer, part| answer.replace(part, "…"));
        assert!(mail.user_id.is_none() && mail.ip.is_none());
        told.push((answer, text.split("It can be used").next().unwrap().to_owned(), mail.subject));
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
}

/// The address is not mailed to more often than by asking for itself, whoever invites; a user invites 100 in an hour.
#[tokio::test]
async fn aut_12_nobody_is_invited_again_and_again() {
    let stage = Stage::open().await;
    let create = async |who: &Caller, email: &str| reason(who.invitations().create(invitation(email, &[])).await);
    let (bob, system) = (stage.um.acting_as(stage.bob).await.unwrap(), stage.um.system());
    assert_eq!(create(&bob, ADA).await, None);
    assert_eq!(create(&bob, "ADA@EXAMPLE.ORG").await, Some(Reason::RateLimited));
    assert_eq!(create(&system, ADA).await, Some(Reason::RateLimited));
    assert_eq!(create(&bob, "eve@example.org").await, None, "others are");
    for _ in 0..4 {
        stage.clock.pass(61);
        assert_eq!(create(&system, ADA).await, None);
    }
    stage.clock.pass(61);
    assert_eq!(create(&bob, ADA).await, Some(Reason::RateLimited), "the sixth within an hour");
    stage.clock.pass(HOUR);
    assert_eq!(create(&bob, ADA).await, None);
    for number in 0..99 {
        assert_eq!(create(&bob, &format!("user{number}@example.org")).await, None, "{number}");
    }
    assert_eq!(create(&bob, "one.more@example.org").await, Some(Reason::RateLimited));
    assert_eq!(create(&system, "one.more@example.org").await, None);
}

/// A program of a user invites nobody, and accepts nothing for it.
#[tokio::test]
async fn sec_10_a_key_neither_invites_nor_accepts() {
    let stage = Stage::open().await;
    let key = stage.me.api_keys().create(CreateApiKey::new("everything")).await.unwrap().key;
    let program = stage.um.authenticate(key.expose(), RequestContext::default()).await.unwrap();
    assert_eq!(reason(program.invitations().create(invitation(ADA, &[])).await), Some(Reason::Denied));
    let (made, _) = stage.invite(ADA, &[]).await;
    assert_eq!(program.invitations().list(ListInvitations::new()).await.unwrap().items.len(), 1);
    assert_eq!(reason(program.invitations().revoke(RevokeInvitation::new(made.id)).await), Some(Reason::Denied));
    // Bob's own address is proved by his session and the token, and not by a key.
    let (_, token) = stage.invite("bob@example.org", &["helper"]).await;
    let accept = || AcceptInvitation::new(token.clone());
    stage.me.verification().send().await.unwrap();
    let proof = stage.mails.take("verification", "bob@example.org").await.token.unwrap();
    stage.me.verification().confirm(ConfirmVerification::new(proof)).await.unwrap();
    assert_eq!(reason(program.invitations().accept(accept()).await), Some(Reason::NotSignedIn));
    stage.me.invitations().accept(accept()).await.unwrap();
    assert!(stage.roles(stage.bob).await.contains(&"helper global".to_owned()));
}

/// Who may invite some sees and ends what it made itself, and nothing else is there.
#[tokio::test]
async fn sec_9_who_may_invite_some_sees_its_own_invitations() {
    let policy = format!(
        "{POLICY}\n[roles.some]\nallow = [{{ permission = \"user:invite\", when = \"not has resource.region_id\" }}]"
    );
    let stage = Stage::by(&policy, "some").await;
    let of_system = stage.um.system().invitations().create(invitation("eve@example.org", &[])).await.unwrap().id;
    let (made, token) = stage.invite(ADA, &[]).await;
    let seen = stage.me.invitations().list(ListInvitations::new()).await.unwrap();
    assert_eq!((seen.items, seen.total), (vec![made.clone()], Some(1)));
    let revoke = async |who: &Caller, id| reason(who.invitations().revoke(RevokeInvitation::new(id)).await);
    assert_eq!(revoke(&stage.me, of_system).await, Some(Reason::NotFound));
    assert_eq!(
        revoke(&stage.me, serde_json::from_value("0190a0b0-0000-7000-8000-0000000000ff".into()).unwrap()).await,
        Some(Reason::NotFound)
    );
    // What it made is its own, whatever it may do by then.
    let unassign = rolekeep::roles::UnassignRole::new(stage.bob, "some");
    stage.um.system().roles().unassign(unassign).await.unwrap();
    let me = stage.um.acting_as(stage.bob).await.unwrap();
    assert_eq!(reason(me.invitations().list(ListInvitations::new()).await), Some(Reason::Denied));
    assert_eq!(revoke(&me, of_system).await, Some(Reason::NotFound));
    assert_eq!(revoke(&me, made.id).await, None);
    void(stage.accept(&token).await);
    assert_eq!(stage.states().await, [InvitationState::Revoked, InvitationState::Open]);
}

/// The storage has nothing that would serve a thief of it, and what stands in a row is bound by what was mailed.
#[tokio::test]
async fn sec_4_the_storage_has_no_token_of_an_invitation() {
    let stage = Stage::open().await;
    let (made, token) = stage.invite(ADA, &[]).await;
    let (other, others) = stage.invite("eve@example.org", &["admin"]).await;
    let (_, body) = token.expose().split_once('_').unwrap();
    for table in tables() {
        let rows = stage.storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows;
        let shown = format!("{rows:?}");
        assert!(!shown.contains(body) && !shown.contains(&body[22..]), "{} has it", table.name);
    }
    // The id of one with the MAC of another.
    assert_ne!(made.id, other.id);
    let mixed = format!("{}{}", &others.expose()[..4 + 20], &token.expose()[4 + 20..]);
    void(stage.accept(&mixed.into()).await);
    for at in 0..token.expose().len() {
        let mut spoilt = token.expose().as_bytes().to_vec();
        spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
        void(stage.accept(&String::from_utf8(spoilt).unwrap().into()).await);
    }
    // A row that somebody changed.
    let row = all::<Invitation>(&*stage.storage).await.into_iter().find(|row| row.id == made.id).unwrap();
    let moved = Invitation { email: "thief@example.org".to_owned(), version: row.version + 1, ..row.clone() };
    write(&stage, row.version, moved.clone()).await;
    void(stage.accept(&token).await);
    let by_system = Invitation { invited_by: None, version: row.version + 2, ..row.clone() };
    write(&stage, moved.version, by_system).await;
    void(stage.accept(&token).await);
}

/// Writes a row behind the library's back.
async fn write(stage: &Stage, expected: i64, row: Invitation) {
    let id: ChangeSetId =
        serde_json::from_value(format!("0190a0b0-0000-7000-8000-0000000000a{expected}").into()).unwrap();
    let write = Write {
        table: Invitation::TABLE,
        key: row.key(),
        expected: Some(expected),
        row: Some(row.to_row()),
        before: None,
    };
    let set =
        ChangeSet { id, at: Time::MIN, writes: vec![write], checks: Vec::new(), audit: Vec::new(), events: Vec::new() };
    stage.storage.commit(&set).await.unwrap();
}

/// Nothing is hashed for who does not use the invitation up: neither without a good token nor with a name that is taken.
#[tokio::test]
async fn sec_15_a_password_is_hashed_for_who_gets_an_account() {
    let stage = Stage::open().await;
    let (_, token) = stage.invite(ADA, &[]).await;
    stage.um.system().users().create(CreateUser::new("eve@example.org").username("ada")).await.unwrap();
    let hashed = stage.um.hashed();
    assert_eq!(reason(stage.accept(&token).await), Some(Reason::Taken));
    void(stage.accept(&"rki_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into()).await);
    let short = AcceptInvitation::new(token.clone()).password("short");
    assert_eq!(reason(stage.anybody().invitations().accept(short).await), Some(Reason::InvalidInput));
    assert_eq!(stage.um.hashed(), hashed);
    let accept = AcceptInvitation::new(token.clone()).username("ada_2").password(NEW);
    stage.anybody().invitations().accept(accept).await.unwrap();
    assert_eq!(stage.um.hashed(), hashed + 1);
}
