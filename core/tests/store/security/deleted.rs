//! Deleted users: what is left of them, until when, and who is first where several ask at once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rolekeep::{
    Config, NamesAfterDelete, Reason, RequestContext, UserId, UserManagement,
    api_keys::CreateApiKeyFor,
    drones::{AssignDrone, CreateDrone, DroneModel},
    internals::{notice::PendingNotice, registry::Claim, session::Session, user::User},
    passwords::ForgotPassword,
    preferences::{Theme, UpdatePreferences},
    storage::{MemoryStorage, Predicate, Query, SqliteOptions, Storage, Table, sqlite::SqliteStorage, tables},
    users::{
        CreateUser, DeleteUser, ExportUser, ExternalIdentity, GetUser, ListUsers, PurgeUser, RestoreUser, UserStatus,
    },
};

use super::kit::{Ahead, Interposed, PASSWORD, all, is_let_in, policy, signed_in, user};
use crate::{cheap, mails::Mails};

const DAY: u64 = 24 * 3600;
const ADDRESS: &str = "198.51.100.77";
const SUBJECT: &str = "subject-of-ada";

/// What the storage holds, but for the audit log and what says which rows were changed.
async fn stored(storage: &dyn Storage) -> Vec<(&'static Table, String)> {
    let mut found = Vec::new();
    for table in tables().iter().filter(|table| !["audit_entries", "commits", "guards"].contains(&table.name)) {
        for row in storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows {
            let values: Vec<String> = row.0.iter().map(|value| value.to_json().to_string()).collect();
            found.push((*table, values.join(" ")));
        }
    }
    found
}

/// A user with something in all that can belong to one.
async fn ada(um: &UserManagement, mails: &Mails) -> UserId {
    let system = um.system();
    let identity = ExternalIdentity::new("https://login.example.org", SUBJECT);
    let new = CreateUser::new("ada@example.org").username("countess").password(PASSWORD).full_name("Ada Lovelace");
    let id = system.users().create(new.identity(identity)).await.unwrap().id;
    let login = um.login("countess", PASSWORD, RequestContext::from_ip(ADDRESS)).await.unwrap().done().unwrap();
    let me = um.authenticate(login.access_token.expose(), RequestContext::from_ip(ADDRESS)).await.unwrap();
    me.preferences().update(UpdatePreferences::new().theme(Theme::Dark)).await.unwrap();
    me.factors().add_start().await.unwrap();
    system.api_keys().create_for(CreateApiKeyFor::new(id, "Backup")).await.unwrap();
    um.anonymous(RequestContext::from_ip(ADDRESS)).passwords().forgot(ForgotPassword::new("countess")).await.unwrap();
    mails.take("password_reset", "ada@example.org").await;
    system.drones().create(CreateDrone::new("one", DroneModel::Mq5)).await.unwrap();
    system.drones().assign(AssignDrone::new("one", id)).await.unwrap();
    id
}

#[tokio::test]
async fn usr_7_nothing_is_left_of_who_was_purged() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    for storage in [Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, Arc::new(sqlite)] {
        let mails = Mails::default();
        let um = cheap::builder().storage(storage.clone()).policy(policy()).notifier(mails.clone());
        let um = um.open().await.unwrap();
        let id = ada(&um, &mails).await;
        // Long enough that no hash or MAC has one by chance.
        let id_text = id.to_string();
        let words = [&*id_text, "countess", "ada@example.org", "Lovelace", ADDRESS, SUBJECT];
        let is_of_ada = |(_, row): &&(&Table, String)| words.iter().any(|word| row.contains(word));
        let tables_of = async || {
            let stored = stored(&*storage).await;
            let mut names: Vec<&str> = stored.iter().filter(is_of_ada).map(|(table, _)| table.name).collect();
            names.dedup();
            names
        };
        // What waits to be mailed says what was typed, until it is.
        while !all::<PendingNotice>(&*storage).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = tables_of().await;
        for table in
            ["users", "user_activity", "preferences", "credentials", "identities", "claims", "sessions", "api_keys"]
        {
            assert!(before.contains(&table), "{table}: {before:?}");
        }
        // What goes is what an export tells of, but for the names, which it has with the account.
        let export = um.system().users().export(ExportUser::new().id(id)).await.unwrap();
        for table in before.iter().filter(|table| !["claims", "drones"].contains(table)) {
            assert!(export.records.get(table).is_some(), "{table}: {}", export.records);
        }
        um.system().users().delete(DeleteUser::new(id)).await.unwrap();
        um.system().users().purge(PurgeUser::new(id)).await.unwrap();
        assert_eq!(tables_of().await, [""; 0]);
        // Its username, and what that looks like, which nobody takes again, by what stands for it.
        let gone: Vec<Claim> =
            all::<Claim>(&*storage).await.into_iter().filter(|claim| claim.owner.is_empty()).collect();
        assert_eq!(
            gone.iter().map(|claim| claim.kind.as_str()).collect::<Vec<_>>(),
            ["gone_username", "gone_username_look", "gone_username_look"]
        );
        um.close().await.unwrap();
    }
}

#[tokio::test]
async fn usr_7_deleted_users_are_purged_in_time() {
    let clock = Ahead::new();
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).environment(clock.clone());
    let um = um.open().await.unwrap();
    let users = um.system();
    let users = users.users();
    let [ada, bob, cyd] = [user(&um, "ada", &[]).await, user(&um, "bob", &[]).await, user(&um, "cyd", &[]).await];
    users.delete(DeleteUser::new(ada.id)).await.unwrap();
    users.delete(DeleteUser::new(bob.id)).await.unwrap();
    users.restore(RestoreUser::new(bob.id)).await.unwrap();
    clock.pass(10 * DAY);
    users.delete(DeleteUser::new(cyd.id)).await.unwrap();
    clock.pass(19 * DAY);
    assert_eq!(um.tidy().await.unwrap().users, 0);
    users.restore(RestoreUser::new(ada.id)).await.unwrap();
    users.delete(DeleteUser::new(ada.id)).await.unwrap();
    clock.pass(12 * DAY);
    // Ada was deleted again since.
    assert_eq!(um.tidy().await.unwrap().users, 1);
    // Of one millisecond ids have no order.
    let left: BTreeSet<UserId> = all::<User>(&*storage).await.into_iter().map(|user| user.id).collect();
    assert_eq!(left, BTreeSet::from([ada.id, bob.id]));
    clock.pass(20 * DAY);
    assert_eq!((um.tidy().await.unwrap().users, um.tidy().await.unwrap().users), (1, 0));
    assert_eq!(users.get(GetUser::new(bob.id)).await.unwrap().status, UserStatus::Active);
    assert_eq!(users.restore(RestoreUser::new(cyd.id)).await.unwrap_err().reason(), Reason::NotFound);
}

/// More than go at a time.
#[tokio::test]
async fn usr_7_many_are_purged() {
    let clock = Ahead::new();
    let config = cheap::config().keep_deleted_users_seconds(0);
    let um = cheap::builder().config(config).policy(policy()).environment(clock.clone()).open().await.unwrap();
    for at in 0..250 {
        let user = user(&um, &format!("user_{at}"), &[]).await;
        um.system().users().delete(DeleteUser::new(user.id)).await.unwrap();
    }
    clock.pass(1);
    let mut purged = Vec::new();
    loop {
        let tidied = um.tidy().await.unwrap();
        purged.push(tidied.users);
        if !tidied.has_more {
            break;
        }
    }
    assert_eq!(purged, [100, 100, 50, 0]);
    assert_eq!(um.system().users().list(ListUsers::new().status(UserStatus::Deleted)).await.unwrap().total, Some(0));
}

#[tokio::test]
async fn sec_16_of_restoring_and_purging_one_is_first() {
    let (um, storage) = Interposed::open(policy()).await;
    let (_, ada) = signed_in(&um, "ada", &[]).await;
    um.system().users().delete(DeleteUser::new(ada)).await.unwrap();
    let rival = um.system();
    storage.before_next_commit(async move { drop(rival.users().restore(RestoreUser::new(ada)).await.unwrap()) });
    let late = um.system().users().purge(PurgeUser::new(ada)).await.unwrap_err();
    assert_eq!((late.reason(), storage.has_acted()), (Reason::WrongStatus, true));
    assert!(is_let_in(&um, "ada", PASSWORD).await);

    um.system().users().delete(DeleteUser::new(ada)).await.unwrap();
    let rival = um.system();
    storage.before_next_commit(async move { rival.users().purge(PurgeUser::new(ada)).await.unwrap() });
    let late = um.system().users().restore(RestoreUser::new(ada)).await.unwrap_err();
    assert_eq!((late.reason(), storage.has_acted()), (Reason::NotFound, true));
    assert!(all::<User>(&*storage).await.is_empty());
}

/// Nothing comes to belong to who goes meanwhile.
#[tokio::test]
async fn sec_16_a_sign_in_of_who_is_purged_meanwhile_leaves_nothing() {
    let (um, storage) = Interposed::open(policy()).await;
    let (_, ada) = signed_in(&um, "ada", &[]).await;
    let rival = um.system();
    storage.before_next_commit(async move {
        rival.users().delete(DeleteUser::new(ada)).await.unwrap();
        rival.users().purge(PurgeUser::new(ada)).await.unwrap();
    });
    assert!(!is_let_in(&um, "ada", PASSWORD).await && storage.has_acted());
    assert!(all::<Session>(&*storage).await.is_empty());
}

/// Who restores an account with an address of its own choice could choose the password by it.
#[tokio::test]
async fn sec_10_another_address_for_who_is_restored_needs_what_a_change_of_it_needs() {
    let policy = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.restorer]
        allow = ["user:read", "user:restore", "user:update"]
        [roles.reviver]
        allow = ["user:read", "user:restore"]
    "#;
    let config = cheap::config().names_after_delete(NamesAfterDelete::Freed);
    let policy = rolekeep::Policy::from_toml(policy).unwrap();
    let um = cheap::builder().config(config).policy(policy).open().await.unwrap();
    let (_, ada) = signed_in(&um, "ada", &[]).await;
    let (restorer, _) = super::kit::caller(&um, "restorer", &["restorer"]).await;
    um.system().users().delete(DeleteUser::new(ada)).await.unwrap();
    let (reviver, _) = super::kit::caller(&um, "reviver", &["reviver"]).await;
    let renamed = reviver.users().restore(RestoreUser::new(ada).username("mine")).await;
    assert_eq!(renamed.unwrap_err().reason(), Reason::Denied);
    let restore = || RestoreUser::new(ada).email("mine@example.org");
    // The application vouches for it: nobody has signed in a moment ago.
    assert_eq!(restorer.users().restore(restore()).await.unwrap_err().reason(), Reason::StepUpRequired);
    let admin = um.system();
    let restored = admin.users().restore(restore()).await.unwrap();
    assert_eq!((restored.email.as_deref(), restored.email_verified), (Some("mine@example.org"), false));
}

#[tokio::test]
async fn names_that_are_gone_are_not_told_by_the_storage() {
    let storage = Arc::new(MemoryStorage::new());
    let open = async |config: Config| {
        cheap::builder().storage(storage.clone()).config(config).policy(policy()).open().await.unwrap()
    };
    let um = open(cheap::config()).await;
    for name in ["ada", "bob"] {
        let user = user(&um, name, &[]).await;
        um.system().users().delete(DeleteUser::new(user.id)).await.unwrap();
        um.system().users().purge(PurgeUser::new(user.id)).await.unwrap();
    }
    let names: BTreeSet<String> = all::<Claim>(&*storage).await.into_iter().map(|claim| claim.name).collect();
    // Each as it is, in small letters and in capitals, all of them pseudonyms.
    assert!(names.len() == 6 && names.iter().all(|name| name.len() == 22), "{names:?}");
    // As long as the store is there, whatever it is opened with.
    let um = open(cheap::config().names_after_purge(rolekeep::NamesAfterPurge::Freed)).await;
    let again = um.system().users().create(CreateUser::new("new@example.org").username("ADA")).await.unwrap_err();
    assert_eq!(again.reason(), Reason::Taken);
}
