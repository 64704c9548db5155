//! An erasure takes nothing of others, and covers nothing up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    ChangeSetId, Policy, Registration, RequestContext, Time, UserId,
    audit::{ListAudit, VerifyAudit},
    internals::{erasure::Erasure, record::Document},
    invitations::{AcceptInvitation, CreateInvitation, NewInvitationRole},
    roles::AssignRole,
    storage::{ChangeSet, MemoryStorage, SqliteOptions, Storage, Write, audit::AuditEntry, sqlite::SqliteStorage},
    users::{ActivateUser, CreateUser, EraseUser, ExportUser, GetUser, RegisterUser, SuspendUser, UpdateUser},
    verification::ConfirmVerification,
};

use super::{
    super::kit::{Interposed, PASSWORD, all, caller, policy, signed_in, user},
    ADDRESS, erased, found_in, from_ada, is_whole, stored,
};
use crate::{cheap, mails::Mails};

/// Nobody chooses a name that takes words out of what the log says of others.
#[tokio::test]
async fn usr_13_the_log_forgets_nobody_else() {
    let (um, storage) = Interposed::open(policy()).await;
    let system = um.system();
    let (admin, admin_id) = caller(&um, "admin", &["admin"]).await;
    let admin = admin.with_request(RequestContext::from_ip("192.0.2.5"));
    let eve = CreateUser::new("eve@example.org").username("users");
    let eve = system.users().create(eve.full_name("users.update").first_name("by")).await.unwrap().id;
    let bob = admin.users().create(CreateUser::new("bob@example.org").full_name("Bob")).await.unwrap().id;
    admin.users().suspend(SuspendUser::new(eve).reason("what she did")).await.unwrap();
    // One after the other had this address.
    system.users().update(UpdateUser::new(eve).email("shared@example.org")).await.unwrap();
    system.users().update(UpdateUser::new(eve).email("eve@example.org")).await.unwrap();
    system.users().update(UpdateUser::new(bob).email("shared@example.org")).await.unwrap();
    let of_others = async || {
        let entries: Vec<AuditEntry> = all::<AuditEntry>(&*storage).await;
        let eve = eve.to_string();
        let is_of_another = |entry: &AuditEntry| entry.target_id.as_ref() != Some(&eve);
        entries.into_iter().filter(is_of_another).collect::<Vec<_>>()
    };
    let before = of_others().await;
    system.users().erase(EraseUser::new(eve)).await.unwrap();
    erased(&*storage).await;
    assert_eq!(of_others().await[..before.len()], before);
    // Who did it, and from where, is no data of hers.
    let log =
        system.audit().list(ListAudit::new().actor(admin_id.to_string()).target_id(eve.to_string())).await.unwrap();
    assert!(log.items.len() == 1 && log.items.iter().all(|entry| entry.ip.as_deref() == Some("192.0.2.5")), "{log:?}");
    assert!(is_whole(&um).await);
}

/// Whoever registers with an address that is not its own has nothing of its owner forgotten, and voids no invitation of that one.
#[tokio::test]
async fn usr_13_who_only_claims_an_address_takes_nothing_of_its_owner() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.user]
        default = true
        allow = [{ permission = ["user:read", "user:erase"], when = "resource.id == principal.id" }]
    "#;
    for is_proved in [false, true] {
        let (mails, storage) = (Mails::default(), Arc::new(MemoryStorage::new()));
        let config = cheap::config().registration(Registration::Open);
        let builder = cheap::builder().storage(storage.clone()).config(config).notifier(mails.clone());
        let um = builder.policy(Policy::from_toml(text).unwrap()).open().await.unwrap();
        let (admin, _) = signed_in(&um, "admin", &["admin"]).await;
        admin.invitations().create(CreateInvitation::new("bob@example.org")).await.unwrap();
        let token = mails.take("invitation", "bob@example.org").await.token.unwrap();
        let stranger = um.anonymous(RequestContext::from_ip("192.0.2.66"));
        let made = stranger.users().register(RegisterUser::new("bob@example.org", PASSWORD)).await.unwrap();
        let eve = made.user.unwrap().id;
        let login = um.login("bob@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
        let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap();
        if is_proved {
            me.verification().send().await.unwrap();
            let token = mails.take("verification", "bob@example.org").await.token.unwrap();
            me.verification().confirm(ConfirmVerification::new(token)).await.unwrap();
        }
        me.users().erase(EraseUser::new(eve)).await.unwrap();
        erased(&*storage).await;
        let log = um.system().audit().list(ListAudit::new().action("invitations.create")).await.unwrap();
        let is_told = log.items[0].detail.as_deref() == Some("bob@example.org");
        assert_eq!(is_told, !is_proved);
        let accept = AcceptInvitation::new(token.expose()).password(PASSWORD);
        let accepted = um.anonymous(RequestContext::default()).invitations().accept(accept).await;
        assert_eq!(accepted.is_ok(), !is_proved);
        assert!(is_whole(&um).await);
    }
}

/// Nor does whoever gives another account an address that nobody has proved, and erases that.
#[tokio::test]
async fn usr_13_who_names_an_address_erases_nothing_that_named_it_before() {
    let text = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.clerk]
        allow = ["user:read", "user:create", "user:update", "user:erase"]
    "#;
    for is_renamed in [false, true] {
        let (mails, storage) = (Mails::default(), Arc::new(MemoryStorage::new()));
        let builder = cheap::builder().storage(storage.clone()).notifier(mails.clone());
        let um = builder.policy(Policy::from_toml(text).unwrap()).open().await.unwrap();
        let (admin, _) = signed_in(&um, "admin", &["admin"]).await;
        let (clerk, _) = signed_in(&um, "clerk", &["clerk"]).await;
        admin.invitations().create(CreateInvitation::new("bob@example.org")).await.unwrap();
        let token = mails.take("invitation", "bob@example.org").await.token.unwrap();
        let given = if is_renamed { "eve@example.org" } else { "bob@example.org" };
        let made = clerk.users().create(CreateUser::new(given)).await.unwrap().id;
        if is_renamed {
            clerk.users().update(UpdateUser::new(made).email("bob@example.org")).await.unwrap();
        }
        clerk.users().erase(EraseUser::new(made)).await.unwrap();
        erased(&*storage).await;
        let log = um.system().audit().list(ListAudit::new().action("invitations.create")).await.unwrap();
        assert_eq!(log.items[0].detail.as_deref(), Some("bob@example.org"));
        let accept = AcceptInvitation::new(token.expose()).password(PASSWORD);
        um.anonymous(RequestContext::default()).invitations().accept(accept).await.unwrap();
        assert!(is_whole(&um).await);
    }
}

/// An entry that cannot be read any more stays for whoever verifies the log, and keeps nothing else from being erased.
#[tokio::test]
async fn usr_13_a_damaged_entry_is_left_out() {
    use sqlx::Connection as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap());
    let um = cheap::builder().policy(policy()).storage(storage.clone()).open().await.unwrap();
    let ada = user(&um, "ada", &[]).await.id;
    for number in 0..5 {
        um.system().users().update(UpdateUser::new(ada).full_name(format!("Ada {number}"))).await.unwrap();
    }
    let mut thief = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let damage = sqlx::query("UPDATE audit_entries SET id = 'none' WHERE seq = 3");
    assert_eq!(damage.execute(&mut thief).await.unwrap().rows_affected(), 1);
    um.system().users().erase(EraseUser::new(ada)).await.unwrap();
    erased(&*storage).await;
    let rows = sqlx::query_scalar::<_, i64>("SELECT seq FROM audit_entries WHERE payload LIKE '%Ada%'");
    assert_eq!(rows.fetch_all(&mut thief).await.unwrap(), [3_i64]);
    let fault = um.system().audit().verify(VerifyAudit::new()).await.unwrap().fault.unwrap();
    assert_eq!(fault.seq, 3);
}

/// Whoever writes the storage, but has not the key, has nothing taken out of the log, and nothing covered up.
#[tokio::test]
async fn usr_13_only_the_log_itself_says_who_is_erased() {
    let config = cheap::config().audit_key("k".repeat(32));
    let storage = Arc::new(Interposed::default());
    let open = async || {
        cheap::builder().storage(storage.clone()).config(config.clone()).policy(policy()).open().await.unwrap()
    };
    let um = open().await;
    let (ada, bob) = (user(&um, "ada", &[]).await.id, user(&um, "bob", &[]).await.id);
    um.system().users().suspend(SuspendUser::new(bob).reason("lost her badge")).await.unwrap();
    let before: Vec<AuditEntry> = all(&*storage).await;
    // A row that nobody's operation wrote.
    let mut forged = Erasure::new(bob, um.system().users().get(GetUser::new(bob)).await.unwrap().created_at);
    forge(&storage, Write::insert(&mut forged)).await;
    let log = um.system().audit().list(ListAudit::new().action("users.suspend")).await.unwrap();
    assert_eq!(log.items[0].after.as_ref().unwrap()["status_reason"], "lost her badge");
    let other = open().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(all::<AuditEntry>(&*storage).await, before);
    drop(other);
    forge(&storage, Write::delete(&forged)).await;

    // Entries of others, changed so that they seem to be about who is erased: they stay, and are found.
    let suspended = before.iter().find(|entry| entry.action == "users.suspend").unwrap();
    for change in 0..3 {
        let mut entry = suspended.clone();
        match change {
            0 => entry.target_id = Some(ada.to_string()),
            1 => entry.actor = ada.to_string(),
            _ => {
                entry.target_type = Some("role".into());
                entry.payload = Some(Document(serde_json::json!({ "detail": "ada@example.org" })));
            }
        }
        forge(&storage, Write::update(&mut entry)).await;
        if change == 0 {
            um.system().users().erase(EraseUser::new(ada)).await.unwrap();
        }
        erased(&*storage).await;
        let stored: Vec<AuditEntry> = all(&*storage).await;
        let found = stored.iter().find(|stored| stored.seq == suspended.seq).unwrap();
        assert!(found.payload.is_some(), "{change}");
        let report = um.system().audit().verify(VerifyAudit::new()).await.unwrap();
        assert_eq!(report.fault.map(|fault| fault.seq), Some(suspended.seq), "{change}");
        forge(&storage, Write::delete(&entry)).await;
        forge(&storage, Write::insert(&mut suspended.clone())).await;
        assert!(is_whole(&um).await);
    }
}

/// Writes a row as whoever has the storage does.
async fn forge(storage: &Interposed, write: Write) {
    static FORGED: AtomicU64 = AtomicU64::new(1);
    let id = ChangeSetId(uuid::Uuid::from_u128(FORGED.fetch_add(1, Ordering::SeqCst).into()));
    let (at, checks, audit) = (Time::UNIX_EPOCH, Vec::new(), Vec::new());
    storage.commit(&ChangeSet { id, at, checks, writes: vec![write], audit, events: Vec::new() }).await.unwrap();
}

/// What an administrator did to others stays when it is erased, and from where others came.
#[tokio::test]
async fn usr_13_what_an_administrator_gave_stays() {
    let mails = Mails::default();
    let storage = Arc::new(MemoryStorage::new());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).notifier(mails.clone()).open().await.unwrap();
    let (_, second) = caller(&um, "second", &["admin"]).await;
    let (admin, admin_id) = signed_in(&um, "admin", &["admin"]).await;
    let bob = user(&um, "bob", &[]).await.id;
    admin.roles().assign(AssignRole::new(bob, "clerk").reason("promoted")).await.unwrap();
    let invitation = CreateInvitation::new("cyd@example.org").roles([NewInvitationRole::new("clerk")]);
    admin.invitations().create(invitation).await.unwrap();
    let token = mails.take("invitation", "cyd@example.org").await.token.unwrap();
    let accept = AcceptInvitation::new(token.expose()).password(PASSWORD);
    let cyd = um.anonymous(from_ada()).invitations().accept(accept).await.unwrap().user.id;
    // What was for it is in its export.
    let export = um.system().users().export(ExportUser::new().id(cyd)).await.unwrap();
    assert_eq!(export.records["invitations"][0]["email"], "cyd@example.org");
    um.system().users().erase(EraseUser::new(admin_id)).await.unwrap();
    erased(&*storage).await;
    let left: Vec<AuditEntry> = all(&*storage).await;
    let given: Vec<&AuditEntry> = left.iter().filter(|entry| entry.action == "roles.assign").collect();
    let of = |user: UserId| {
        *given.iter().find(|entry| entry.target_id.as_ref().unwrap().starts_with(&user.to_string())).unwrap()
    };
    assert!(of(bob).payload.as_ref().unwrap().text().contains("promoted"));
    assert!(of(cyd).origin.as_ref().unwrap().text().contains(ADDRESS));
    assert!(of(second).payload.is_some() && of(admin_id).payload.is_none());
    // Until the other one is erased as well, whose address and program an anonymous entry has.
    assert!(stored(&*storage).await.contains(ADDRESS));
    um.system().users().erase(EraseUser::new(cyd)).await.unwrap();
    erased(&*storage).await;
    let left = stored(&*storage).await;
    assert!(!left.contains(ADDRESS) && !left.contains("cyd@example.org"), "{left}");
    assert!(is_whole(&um).await);
}

/// The log is verified while persons are erased whose entries are the same.
#[tokio::test]
async fn usr_13_the_log_is_whole_at_any_moment() {
    let (um, storage) = Interposed::open(policy()).await;
    let mut admins = Vec::new();
    for name in ["one", "two", "three", "four"] {
        let (admin, id) = caller(&um, name, &["admin"]).await;
        admins.push((admin.with_request(from_ada()), id));
    }
    user(&um, "last", &["admin"]).await;
    for (admin, _) in &admins {
        for (_, id) in &admins {
            admin.users().update(UpdateUser::new(*id).full_name("Ada Lovelace")).await.ok();
            admin.users().suspend(SuspendUser::new(*id).reason("lost her badge")).await.ok();
            um.system().users().activate(ActivateUser::new(*id)).await.ok();
        }
    }
    for (_, id) in &admins {
        um.system().users().erase(EraseUser::new(*id)).await.unwrap();
        for _ in 0..5 {
            let verifying = um.clone();
            storage.before_next_commit(async move { assert!(is_whole(&verifying).await) });
            assert!(is_whole(&um).await);
        }
    }
    erased(&*storage).await;
    assert!(is_whole(&um).await);
    let left = stored(&*storage).await;
    assert_eq!(found_in(left.as_bytes()), [""; 0]);
}
