//! The export of all that is held about a person (USR-13): that it is all, and nothing of others.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rolekeep::{
    AuditId, Caller, Policy, Reason, UserId,
    audit::{AuditView, ListAudit},
    drones::{AssignDrone, CreateDrone, DroneModel, UpdateDrone},
    preferences::{Theme, UpdatePreferences},
    regions::CreateRegion,
    sessions::Impersonate,
    storage::{MemoryStorage, audit::AuditEntry},
    users::{CreateUser, ExportUser, GetUser, UpdateUser},
};

use super::kit::{Ahead, all, policy, signed_in};
use crate::cheap;

/// All entries that somebody is told of by one export after the other.
async fn exported(me: &Caller) -> Vec<AuditView> {
    let (mut entries, mut next) = (Vec::new(), None);
    loop {
        let is_first = next.is_none();
        let asked = next.into_iter().fold(ExportUser::new(), ExportUser::audit_cursor);
        let export = me.users().export(asked).await.unwrap();
        assert_eq!(export.records.get("users").is_some(), is_first);
        assert!(export.audit.len() <= 1_000);
        entries.extend(export.audit);
        next = match export.next_audit_cursor {
            Some(cursor) => Some(cursor),
            None => return entries,
        };
    }
}

#[tokio::test]
async fn usr_13_exports_have_every_entry_of_the_log_once() {
    // Most entries are of one moment.
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::standing_still());
    let builder = cheap::builder().storage(storage.clone()).policy(policy()).environment(clock.clone());
    let um = builder.open().await.unwrap();
    let (me, ada): (Caller, UserId) = signed_in(&um, "ada", &[]).await;
    let (other, _) = signed_in(&um, "bob", &[]).await;
    for at in 0..1_100 {
        if at % 100 == 0 {
            clock.pass(1);
        }
        let theme = if at % 2 == 0 { Theme::Dark } else { Theme::Light };
        match at % 3 {
            0 => drop(me.preferences().update(UpdatePreferences::new().theme(theme)).await.unwrap()),
            1 => drop(other.preferences().update(UpdatePreferences::new().theme(theme)).await.unwrap()),
            _ => drop(um.system().users().update(UpdateUser::new(ada).full_name(format!("Ada {at}"))).await.unwrap()),
        }
        // Others' entries are between them.
        drop(um.system().users().update(UpdateUser::new(ada).first_name(format!("Ada {at}"))).await.unwrap());
    }
    let ada = ada.to_string();
    let is_hers = |entry: &AuditEntry| entry.actor == ada || entry.target_id.as_deref() == Some(&ada);
    let mut hers: Vec<AuditEntry> = all::<AuditEntry>(&*storage).await.into_iter().filter(is_hers).collect();
    hers.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.at, entry.lane, entry.seq)));
    let hers: Vec<AuditId> = hers.into_iter().map(|entry| entry.id).collect();
    assert!(hers.len() > 1_500, "{}", hers.len());

    let told: Vec<AuditId> = exported(&me).await.into_iter().map(|entry| entry.id).collect();
    assert_eq!(told, hers);
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len());
    assert!(told.len() > exported(&other).await.len());

    // A cursor is good for the export that it came from.
    let cursor = me.users().export(ExportUser::new()).await.unwrap().next_audit_cursor.unwrap();
    let list = um.system().audit().list(ListAudit::new()).await.unwrap().next_cursor.unwrap();
    for (who, cursor) in [(&other, cursor), (&me, list)] {
        let refused = who.users().export(ExportUser::new().audit_cursor(cursor)).await.unwrap_err();
        assert_eq!(refused.fields()[0].field, "audit_cursor", "{refused:?}");
    }
}

/// One's own export says nothing that was hidden from its owner, and not why others did what they did.
#[tokio::test]
async fn usr_13_exports_tell_nothing_hidden() {
    let policy = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.user]
        default = true
        allow = [{ permission = "user:read", when = "resource.id == principal.id" }]
        [roles.mover]
        allow = ["region:read", "drone:read", "drone:update", "drone:set_authority"]
    "#;
    let storage = Arc::new(MemoryStorage::new());
    let builder = cheap::builder().storage(storage.clone()).policy(Policy::from_toml(policy).unwrap());
    let um = builder.open().await.unwrap();
    let system = um.system();
    let (admin, _) = signed_in(&um, "admin", &["admin"]).await;
    let (me, id) = signed_in(&um, "ann", &["mover"]).await;
    for code in ["east", "west"] {
        system.regions().create(CreateRegion::new(code, code)).await.unwrap();
    }
    let hidden = CreateUser::new("hidden@example.org").region("east");
    let hidden = system.users().create(hidden).await.unwrap().id;
    system.drones().create(CreateDrone::new("one", DroneModel::Mq5).region("east")).await.unwrap();
    system.drones().assign(AssignDrone::new("one", hidden)).await.unwrap();
    let absent: UserId = "01980000-0000-7000-8000-000000000000".parse().unwrap();
    for asked in [hidden, absent] {
        assert_eq!(me.users().get(GetUser::new(asked)).await.unwrap_err().reason(), Reason::NotFound);
    }
    me.drones().update(UpdateDrone::new("one").region("west")).await.unwrap();
    admin.sessions().impersonate(Impersonate::new(id, "Suspected of theft")).await.unwrap();
    // What is told of refusals is written behind the answer.
    while !all::<AuditEntry>(&*storage).await.iter().any(|entry| entry.action == "access.denied") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let export = me.users().export(ExportUser::new()).await.unwrap();
    let text = serde_json::to_string(&export).unwrap();
    for word in [&*hidden.to_string(), "Suspected of theft", "not_found"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    let told = |action: &str| export.audit.iter().filter(|entry| entry.action == action).count();
    assert_eq!((told("access.denied"), told("sessions.impersonate")), (0, 1), "{text}");
    assert_eq!(export.records["sessions"].as_array().unwrap().len(), 2);
}
