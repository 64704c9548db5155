//! Rows of OWASP ASVS 5.0.0 (`v…`) and NIST SP 800-63B-4 (`n_…`) that no other test is about; docs/security-status.md has all.

use std::{collections::BTreeSet, sync::Arc};

use rolekeep::{
    Reason, RequestContext, UserManagement,
    internals::{credential::Credential, session::SessionActivity},
    sessions::{Refresh, StepUp, Tokens},
    storage::MemoryStorage,
    users::{CreateUser, DeleteUser, ListUsers},
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
