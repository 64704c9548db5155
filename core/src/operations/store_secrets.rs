//! Secrets that a store makes for itself when it is opened first, and never changes.

use zeroize::Zeroizing;

use super::reads::Reads;
#[cfg(feature = "sql")]
use super::services::Services;
use crate::{
    credentials,
    environment::Env,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        registry::StoreSecret,
    },
    storage::{ChangeSet, CommitError, Storage, Write},
};

/// What stands for the names of accounts that are gone is made with this. Were it another one, names would be free again.
pub struct NameKey(pub(super) Zeroizing<Vec<u8>>);

/// What a store keeps for itself.
pub(crate) struct StoreSecrets {
    /// For pseudonyms of the names of accounts that are gone.
    pub(crate) names: NameKey,
    /// What seals the audit log where the application has no key for that.
    pub(crate) audit: Zeroizing<Vec<u8>>,
}

/// Whether what these services read is the store whose secrets they have.
#[cfg(feature = "sql")]
pub(crate) async fn are_those_of(services: &Services) -> Result<bool> {
    let found = services.reads().get::<StoreSecret>(&(StoreSecret::NAMES.to_owned(),)).await?;
    let known = crate::model::secret::Secret::from(String::from_utf8_lossy(&services.names.0).into_owned());
    Ok(found.is_some_and(|found| found.secret == known))
}

/// The secrets of a store; made where there are none yet.
pub(crate) async fn open(storage: &dyn Storage, env: &Env) -> Result<StoreSecrets> {
    for attempt in 0..10 {
        let names = StoreSecret::ALL;
        let found = Reads::stored(storage).many::<StoreSecret>(names.map(|name| (name.to_owned(),))).await?;
        let of = |name: &str| found.iter().find(|secret| secret.name == name);
        let bytes = |secret: &StoreSecret| Zeroizing::new(secret.secret.expose().as_bytes().to_vec());
        if let [Some(names), Some(audit)] = names.map(of) {
            return Ok(StoreSecrets { names: NameKey(bytes(names)), audit: bytes(audit) });
        }
        let mut writes = Vec::new();
        for name in names.into_iter().filter(|name| of(name).is_none()) {
            let (name, bytes) = (name.to_owned(), Zeroizing::new(env.random::<32>()?));
            let mut secret = StoreSecret { name, secret: credentials::keys::encoded(&*bytes), version: 0 };
            writes.push(Write::insert(&mut secret));
        }
        let id: ChangeSetId = env.new_id()?;
        match storage
            .commit(&ChangeSet { id, at: env.now(), checks: Vec::new(), writes, audit: Vec::new(), events: Vec::new() })
            .await
        {
            // Made by us, or by somebody else a moment before.
            Ok(_) | Err(CommitError::Stale { .. } | CommitError::Unknown) => {}
            Err(CommitError::Failed(error)) => return Err(error),
        }
        env.sleep(attempt).await;
    }
    Err(Error::new(Reason::StorageUnavailable, "it is not known whether the storage keeps its secrets; try again"))
}
