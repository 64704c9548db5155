//! Rows of OWASP ASVS 5.0.0 (`v…`) and NIST SP 800-63B-4 (`n_…`) that no other test is about; docs/security-status.md has all.

use std::{collections::BTreeSet, sync::Arc};

use rolekeep::{
    Reason, RequestContext, UserManagement,
    internals::{credential::Credential, session::SessionActivity},
    passwords::SetTemporaryPassword,
    sessions::{ListSessions, Refresh, RevokeAllSessions, RevokeSession, StepUp, Tokens},
    storage::MemoryStorage,
    users::{CreateUser, DeleteUser, ListUsers, UpdateUser},
};

use super::kit::{Ahead, PASSWORD, all, policy, signed_in, store, store_at};

use crate::cheap;

const DAY: u64 = 24 * 3600;

async fn begun(um: &UserManagement) -> Tokens {
    um.login("mia", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap()
}

async fn next(um: &UserManagement, tokens: Tokens) -> rolekeep::Result<Tokens> {
    um.anonymous(RequestContext::default()).sessions().refresh(Refresh::new(tokens.refresh_token)).await
}

#[tokio::test]
async fn v6_3_2_a_new_store_has_no_accounts() {
    for preset in ["standard", "flyos"] {
        let um = UserManagement::open(cheap::config().preset(preset)).await.unwrap();
        assert_eq!(um.system().users().list(ListUsers::new()).await.unwrap().total, Some(0), "{preset}");
    }
}

#[tokio::test]
async fn v7_2_3_no_two_sessions_share_their_secret() {
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap();
    signed_in(&um, "mia", &[]).await;
    for _ in 0..7 {
        begun(&um).await;
    }
    let kept = all::<SessionActivity>(&*storage).await;
    // 256 bits each, no byte of which is the same in all.
    let seeds: Vec<&str> = kept.iter().map(|one| one.seed.expose()).collect();
    assert!(seeds.len() == 8 && seeds.iter().all(|seed| seed.len() == 64));
    for at in 0..32 {
        let different: BTreeSet<&str> = seeds.iter().map(|seed| &seed[2 * at..2 * at + 2]).collect();
        assert!(different.len() > 1, "byte {at} of every seed is {different:?}");
    }
}

/// Where the host gives none.
#[tokio::test]
async fn v11_5_1_every_store_makes_a_key_of_its_own() {
    let (um, other) = (store(policy()).await, store(policy()).await);
    signed_in(&um, "mia", &[]).await;
    let tokens = begun(&um).await;
    let theirs = other.authenticate(tokens.access_token.expose(), RequestContext::default()).await;
    assert_eq!(theirs.err().map(|error| error.reason()), Some(Reason::InvalidToken));
}

/// What a generated password is made of, as what a recovery code is (`factors/recovery.rs`).
#[tokio::test]
async fn v11_5_1_a_generated_password_has_128_bits_or_more() {
    let um = store(policy()).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    let mut letters = BTreeSet::new();
    for _ in 0..20 {
        let made = um.system().passwords().set_temporary(SetTemporaryPassword::new(id)).await.unwrap();
        let groups: Vec<usize> = made.password.expose().split('-').map(str::len).collect();
        assert!(groups.iter().all(|group| *group == 4) && 5 * groups.iter().sum::<usize>() >= 128, "{groups:?}");
        letters.extend(made.password.expose().bytes().filter(|letter| *letter != b'-'));
    }
    // Five bits of each: all 32 letters come.
    assert_eq!(letters.len(), 32);
}

/// Whoever sees a session of a thief's ends it at once, without a second factor that the thief may have taken, too.
#[tokio::test]
async fn v7_5_2_a_user_ends_its_sessions_without_a_new_proof() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    let (me, id) = signed_in(&um, "mia", &["moderator"]).await;
    let thieves: Vec<Tokens> = [begun(&um).await, begun(&um).await, begun(&um).await].into();
    clock.pass(600);
    let stale = me.users().update(UpdateUser::new(id).email("mia@example.com")).await.unwrap_err();
    assert_eq!(stale.reason(), Reason::StepUpRequired);
    let list = me.sessions().list(ListSessions::new()).await.unwrap().items;
    let other = list.iter().find(|one| !one.is_current).unwrap().id;
    me.sessions().revoke(RevokeSession::new(other)).await.unwrap();
    assert_eq!(me.sessions().list(ListSessions::new()).await.unwrap().items.len(), list.len() - 1);
    me.sessions().revoke_others().await.unwrap();
    for thief in thieves {
        assert_eq!(next(&um, thief).await.unwrap_err().reason(), Reason::SessionEnded);
    }
    me.sessions().revoke_all(RevokeAllSessions::new()).await.unwrap();
    assert_eq!(me.users().me().await.unwrap_err().reason(), Reason::SessionEnded);
}

/// Also where no mail proves the new one.
#[tokio::test]
async fn v7_5_1_an_address_is_changed_by_who_has_just_proved_who_it_is() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    let (me, id) = signed_in(&um, "mia", &["moderator"]).await;
    let change = || UpdateUser::new(id).email("mia@example.com");
    clock.pass(301);
    assert_eq!(me.users().update(change()).await.unwrap_err().reason(), Reason::StepUpRequired);
    // What is no way in is.
    me.users().update(UpdateUser::new(id).full_name("Mia")).await.unwrap();
    let vouched = um.acting_as(id).await.unwrap();
    assert_eq!(vouched.users().update(change()).await.unwrap_err().reason(), Reason::StepUpRequired);
    let proved = me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap();
    let me = um.authenticate(proved.access_token.expose(), RequestContext::default()).await.unwrap();
    assert_eq!(me.users().update(change()).await.unwrap().user.email.as_deref(), Some("mia@example.com"));
}

/// A week without use ends a session, and thirty days end it however much it is used; a proof begins both anew.
#[tokio::test]
async fn v7_3_2_use_puts_off_the_end_of_idleness_and_no_other() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    signed_in(&um, "mia", &[]).await;
    let (mut used, idle, mut proved) = (begun(&um).await, begun(&um).await, begun(&um).await);
    for _ in 0..4 {
        clock.pass(6 * DAY);
        used = next(&um, used).await.unwrap();
        proved = next(&um, proved).await.unwrap();
    }
    assert_eq!(next(&um, idle).await.unwrap_err().reason(), Reason::SessionEnded);
    let me = um.authenticate(proved.access_token.expose(), RequestContext::default()).await.unwrap();
    let mut proved = me.sessions().step_up(StepUp::new(PASSWORD)).await.unwrap();
    clock.pass(6 * DAY - 60);
    used = next(&um, used).await.unwrap();
    proved = next(&um, proved).await.unwrap();
    // Nor does the last access token outlive its session.
    let me = um.authenticate(used.access_token.expose(), RequestContext::default()).await.unwrap();
    clock.pass(61);
    assert!(me.users().me().await.is_err());
    assert_eq!(next(&um, used).await.unwrap_err().reason(), Reason::SessionEnded);
    assert!(next(&um, proved).await.is_ok());
}

#[tokio::test]
async fn v7_4_2_who_is_deleted_has_no_session() {
    let um = store(policy()).await;
    let (me, id) = signed_in(&um, "mia", &[]).await;
    let tokens = begun(&um).await;
    um.system().users().delete(DeleteUser::new(id)).await.unwrap();
    assert_eq!(me.users().me().await.unwrap_err().reason(), Reason::SessionEnded);
    assert_eq!(me.can("user:read", None).unwrap_err().reason(), Reason::SessionEnded);
    assert!(um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.is_err());
    assert_eq!(next(&um, tokens).await.unwrap_err().reason(), Reason::SessionEnded);
}

#[tokio::test]
async fn n_3_1_1_2_2_no_setting_refuses_64_characters() {
    let opened = UserManagement::open(cheap::config().password_max_length(63)).await;
    assert_eq!(opened.err().map(|error| error.reason()), Some(Reason::ConfigInvalid));
}

#[tokio::test]
async fn n_3_1_1_2_6_no_password_grows_old() {
    let clock = Ahead::new();
    let um = store_at(&clock).await;
    signed_in(&um, "mia", &[]).await;
    clock.pass(20 * 365 * DAY);
    begun(&um).await;
}

#[tokio::test]
async fn n_3_1_1_2_s_each_hash_has_a_salt_of_its_own() {
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap();
    for name in ["ada", "bob"] {
        let new = CreateUser::new(format!("{name}@example.org")).password(PASSWORD);
        um.system().users().create(new).await.unwrap();
    }
    let kept = all::<Credential>(&*storage).await;
    let salts: BTreeSet<&str> =
        kept.iter().filter_map(|one| one.password_hash.as_ref()?.expose().split('$').nth(4)).collect();
    // 128 bits in Base64.
    assert!(salts.len() == 2 && salts.iter().all(|salt| salt.len() == 22), "{salts:?}");
}
