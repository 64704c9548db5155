//! The entry of a store that came from a backup: what is newer than the backup is not in the log, and this says so.

use crate::{
    audit_chain::AuditFacts,
    config::Config,
    environment::Env,
    model::error::{Error, Reason, Result},
    operations::store_secrets,
    storage::{ChangeSet, CommitError, Storage},
};

/// How the log calls it.
const ACTION: &str = "store.restored";

/// Writes the entry to a storage that has the ends of the log and the secrets of the store.
///
/// # Errors
/// Those of opening the log; [`Reason::Corrupt`] where none of its keys sealed its end.
pub(crate) async fn tell_of_restore(
    storage: &dyn Storage,
    config: &Config,
    env: &Env,
    facts: AuditFacts,
) -> Result<()> {
    let secrets = store_secrets::open(storage, env).await?;
    let keys = super::open(config, &secrets, storage, env).await?;
    let at = env.now();
    let mut draft = super::draft(env, &keys, ACTION, "system".to_owned(), at)?;
    draft.facts = facts;
    let (id, audit) = (env.new_id()?, vec![draft]);
    let change_set = ChangeSet { id, at, checks: Vec::new(), writes: Vec::new(), audit, events: Vec::new() };
    match storage.commit(&change_set).await {
        Ok(_) => Ok(()),
        Err(CommitError::Failed(error)) => Err(error),
        Err(CommitError::Stale { .. } | CommitError::Unknown) => {
            Err(Error::new(Reason::Internal, "somebody else wrote to an audit log that nobody has yet"))
        }
    }
}
