//! The names of accounts that are gone for good: nobody takes them again, and nobody reads them (USR-7).

use zeroize::Zeroizing;

use super::{reads::Reads, services::Services};
use crate::{
    config::{Config, NamesAfterPurge},
    credentials,
    environment::Env,
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        id::ChangeSetId,
        registry::{Claim, StoreSecret},
    },
    storage::{ChangeSet, CommitError, Storage, Write},
};

/// What stands for names is made with this. The store makes it for itself when it is opened first and never changes it, as names would
/// be free again.
pub struct NameKey(Zeroizing<Vec<u8>>);

/// Whether nobody may take a name of this kind again.
pub(super) fn is_kept(config: &Config, kind: &str) -> bool {
    match config.names_after_purge {
        NamesAfterPurge::Username => kind == Claim::USERNAME,
        NamesAfterPurge::Both => kind == Claim::USERNAME || kind == Claim::EMAIL,
        NamesAfterPurge::Freed => false,
    }
}

/// What says that nobody may take a name, however it was claimed; none: names of this kind are never kept. In pages nobody is purged.
pub(super) fn gone(services: &Services, kind: &str, name: &str) -> Result<Option<Claim>> {
    if IS_PAGE || kind != Claim::USERNAME && kind != Claim::EMAIL {
        return Ok(None);
    }
    let name = Claim::canonical(kind, name);
    let name = credentials::pseudonym(&services.names.0, &[kind.as_bytes(), name.as_bytes()])?;
    Ok(Some(Claim { kind: format!("gone_{kind}"), name, owner: String::new(), held_until: None, version: 0 }))
}

/// The key of a store; made where there is none yet.
pub(crate) async fn open(storage: &dyn Storage, env: &Env) -> Result<NameKey> {
    for attempt in 0..10 {
        let secret: Option<StoreSecret> = Reads::stored(storage).get(&(StoreSecret::NAMES.to_owned(),)).await?;
        if let Some(secret) = secret {
            return Ok(NameKey(Zeroizing::new(secret.secret.expose().as_bytes().to_vec())));
        }
        let bytes = Zeroizing::new(env.random::<32>()?);
        let mut secret = StoreSecret {
            name: StoreSecret::NAMES.to_owned(),
            secret: credentials::keys::encoded(&*bytes),
            version: 0,
        };
        let (id, writes): (ChangeSetId, _) = (env.new_id()?, vec![Write::insert(&mut secret)]);
        match storage.commit(&ChangeSet { id, at: env.now(), checks: Vec::new(), writes, audit: Vec::new() }).await {
            // Made by us, or by somebody else a moment before.
            Ok(_) | Err(CommitError::Stale { .. } | CommitError::Unknown) => {}
            Err(CommitError::Failed(error)) => return Err(error),
        }
        env.sleep(attempt).await;
    }
    Err(Error::new(Reason::StorageUnavailable, "it is not known whether the storage keeps the key of names; try again"))
}
