//! The export of all that is held about a person (USR-13): that it is all, and nothing of others.

use std::{collections::BTreeSet, sync::Arc};

use rolekeep::{
    AuditId, Caller, UserId,
    audit::{AuditView, ListAudit},
    preferences::{Theme, UpdatePreferences},
    storage::{MemoryStorage, audit::AuditEntry},
    users::{ExportUser, UpdateUser},
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
