//! What the audit log says of a restore.

use rolekeep::audit::{AuditView, ListAudit};

use super::*;

const ACTION: &str = "store.restored";

/// The entries that tell of a restore, newest first.
pub(super) async fn restores(um: &UserManagement) -> Vec<AuditView> {
    um.system().audit().list(ListAudit::new().action(ACTION)).await.unwrap().items
}

#[tokio::test]
async fn the_log_says_what_was_restored() {
    let stage = Stage::open(Builder::memory).await;
    let (entries, at) = (verified(&stage.um).await, stage.um.position());
    let (file, written) = stage.backup().await;
    let um = builder().restore(&file[..], &keeping().end_api_keys(true)).await.unwrap();
    let told = restores(&um).await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].actor.as_str(), told[0].seq, &told[0].target_type), ("system", entries + 1, &None));
    let expected = serde_json::json!({
        "format": 1, "schema": written.schema, "library_version": written.version, "backup_at": written.at.to_string(),
        "backup_position": at.to_string(), "rows": written.rows, "sha256": written.sha256, "is_sealed": true,
        "keeps_sessions": true, "ends_api_keys": true,
    });
    assert_eq!(told[0].after, Some(expected));
    assert_eq!(verified(&um).await, entries + 1);
    assert!(restores(&stage.um).await.is_empty(), "the source is as it was");
    // Opened again, the store says nothing more; restored again, it does.
    let (again, _) = backup_of(&um).await;
    let um = builder().restore(&again[..], &keeping()).await.unwrap();
    assert_eq!(restores(&um).await.len(), 2);
    // Who may not read the log does not see it.
    let me = um.acting_as(stage.ada).await.unwrap();
    let refused = me.audit().list(ListAudit::new().action(ACTION)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Denied);
}

#[tokio::test]
async fn keys_that_the_application_keeps_seal_it() {
    let folder = tempfile::tempdir().unwrap();
    let (log, secrets) =
        ("the key of the audit log, kept elsewhere", "what encrypts columns".to_owned() + &"!".repeat(32));
    let keyed = || builder().config(config().audit_key(log).encryption_key(secrets.clone()));
    let um = keyed().open().await.unwrap();
    um.system().users().create(CreateUser::new(ADA)).await.unwrap();
    let (file, _) = backup_of(&um).await;
    let path = folder.path().join("x.db");
    // Without the keys nothing is left behind, and the next try has them.
    for wrong in [builder(), builder().config(config().encryption_key(secrets.clone()))] {
        assert!(wrong.sqlite(&path).restore(&file[..], &keeping()).await.is_err());
        let empty = sqlite(&path).await;
        assert!(empty.position().await.unwrap().lanes().is_empty());
        empty.close().await.unwrap();
    }
    let um = keyed().sqlite(&path).restore(&file[..], &keeping()).await.unwrap();
    assert_eq!(restores(&um).await.len(), 1);
    verified(&um).await;
    // A key that is given for the first time seals the entry.
    let plain = Stage::open(Builder::memory).await;
    let (file, _) = plain.backup().await;
    let um = keyed().restore(&file[..], &keeping()).await.unwrap();
    assert_eq!(restores(&um).await.len(), 1);
    um.system().users().create(CreateUser::new("new@example.org")).await.unwrap();
}
