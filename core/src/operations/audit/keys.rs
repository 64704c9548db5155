//! What seals the audit log of a store (decision 042).

use crate::{
    audit_chain::{
        AuditDraft, AuditEntry, AuditFacts, AuditHead, AuditKeeper, AuditKey, AuditKeys, AuditOrigin, AuditPayload,
        AuditSalts, chain,
    },
    config::Config,
    environment::Env,
    model::{error::Result, id::ChangeSetId, predicate::Predicate, record::Record, time::Time},
    operations::{reads::Reads, store_secrets::StoreSecrets},
    storage::{ChangeSet, CommitError, Storage, Write},
};

/// The keys of a store's audit log: the application's, where it gives one, before the store's own. The ends of chains that nothing
/// sealed yet, or the store's key alone, are sealed with today's.
///
/// # Errors
/// Those of the storage.
pub(crate) async fn open(
    config: &Config,
    secrets: &StoreSecrets,
    storage: &dyn Storage,
    env: &Env,
) -> Result<AuditKeys> {
    let own = AuditKey::new(&secrets.audit, AuditKeeper::Store)?;
    let mut keys = AuditKeys::new(own);
    for secret in &config.retired_audit_keys {
        keys.know(AuditKey::new(secret.expose().as_bytes(), AuditKeeper::Application)?);
    }
    if let Some(secret) = &config.audit_key {
        keys.seal_with(AuditKey::new(secret.expose().as_bytes(), AuditKeeper::Application)?);
    }
    adopt(&keys, storage, env).await?;
    Ok(keys)
}

/// Seals the ends of chains again that are not sealed as those of today are.
async fn adopt(keys: &AuditKeys, storage: &dyn Storage, env: &Env) -> Result<()> {
    let heads: Vec<AuditHead> = Reads::stored(storage).all(Predicate::Always).await?;
    for head in heads {
        let last: Option<AuditEntry> = Reads::stored(storage).get(&(head.lane, head.seq)).await?;
        let Some(sealed) = last.and_then(|last| chain::adopted(&head, &last, keys)) else { continue };
        let (table, key, expected) = (AuditHead::TABLE, head.key(), Some(head.version));
        let writes = vec![Write { table, key, expected, row: Some(sealed.to_row()), before: None }];
        let id: ChangeSetId = env.new_id()?;
        match storage
            .commit(&ChangeSet { id, at: env.now(), checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() })
            .await
        {
            // Sealed by us, or by somebody else a moment before.
            Ok(_) | Err(CommitError::Stale { .. } | CommitError::Unknown) => {}
            Err(CommitError::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

/// An entry of which only this is known yet.
pub(crate) fn draft(
    env: &Env,
    keys: &AuditKeys,
    action: impl Into<String>,
    actor: String,
    at: Time,
) -> Result<AuditDraft> {
    Ok(AuditDraft {
        id: env.new_id()?,
        at,
        action: action.into(),
        actor,
        on_behalf_of: None,
        session_id: None,
        target_type: None,
        target_id: None,
        facts: AuditFacts::default(),
        payload: AuditPayload::default(),
        origin: AuditOrigin::default(),
        salts: AuditSalts { payload: env.random()?, origin: env.random()? },
        keys: keys.clone(),
    })
}
