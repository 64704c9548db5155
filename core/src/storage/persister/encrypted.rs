//! What a persister gets where there is a key (decision 059): rows that it cannot read, under names that tell nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rolekeep_macros::portable_async;
use serde_json::{Map, Value as Json};

use super::{ATTEMPTS, Batch, Loaded, Persisted, PersistedStorage, Persister, RowChange, changes_of_all, rows::SEALED};
use crate::{
    credentials::encryption::EncryptionKeys,
    environment::Env,
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
    },
    storage::{ChangeSet, CommitWork, OneLane},
};

/// What rows begin with that the TypeScript half of a page encrypted (`bindings-wasm/ts/encryption.ts`).
const OF_PAGES: &str = "e2.";

/// A persister of which what it keeps is encrypted. Without a key it gets rows as they are, and what is encrypted is refused.
pub(crate) struct EncryptedPersister<P> {
    persister: P,
    keys: EncryptionKeys,
    env: Env,
    old: Mutex<Old>,
}

/// What is kept as it is, or under an older key.
#[derive(Clone, Default)]
struct Old {
    ids: Vec<String>,
    /// What was deleted under an older key: another writer may still have it.
    deleted: Vec<RowChange>,
}

impl<P: Persister> EncryptedPersister<P> {
    /// A change as the persister gets it.
    fn sealed(&self, change: &RowChange) -> Result<RowChange> {
        let Some(id) = self.keys.hidden(&change.id) else { return Ok(change.clone()) };
        let text = serde_json::to_string(change).map_err(|_| Error::new(Reason::Internal, "a row is no JSON"))?;
        let sealed = self.keys.seal(&[b"row", id.as_bytes()], &text, self.env.random()?)?;
        let row = sealed.map(|sealed| Map::from_iter([(SEALED.to_owned(), Json::String(sealed))]));
        Ok(RowChange { id, table: SEALED.to_owned(), row })
    }

    /// A change that was encrypted as it was before; none where it stands for a row that goes by another id since.
    fn opened(&self, change: RowChange) -> Result<Option<RowChange>> {
        let corrupt = || Error::new(Reason::Corrupt, "an encrypted row is not as this library writes it");
        let Some(row) = change.row else { return Ok(None) };
        let stored = row.get(SEALED).and_then(Json::as_str).ok_or_else(corrupt)?;
        if stored.starts_with(OF_PAGES) {
            return Err(Error::new(
                Reason::EncryptionKeyWrong,
                "the store is encrypted by a web page, and web pages alone read it",
            ));
        }
        let text = self.keys.open(&[b"row", change.id.as_bytes()], stored)?.ok_or_else(corrupt)?;
        let opened: RowChange = serde_json::from_str(&text).map_err(|_| corrupt())?;
        if !self.keys.hides(&opened.id, &change.id) {
            return Err(corrupt());
        }
        if !self.keys.current().is_some_and(|current| stored.starts_with(&current)) {
            self.old(|old| {
                old.ids.push(change.id);
                old.deleted.extend(opened.row.is_none().then(|| opened.clone()));
            });
        }
        Ok(Some(opened))
    }

    fn old<T>(&self, with: impl FnOnce(&mut Old) -> T) -> T {
        with(&mut self.old.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[deny(clippy::missing_trait_methods)]
#[portable_async]
impl<P: Persister> Persister for EncryptedPersister<P> {
    async fn load(&self, since: u64) -> Result<Loaded> {
        let Loaded { position, changes, is_whole } = self.persister.load(since).await?;
        let is_all = since == 0 || is_whole;
        // A log has what a row was before it was encrypted as well: the last change of an id counts.
        let last: HashMap<String, usize> =
            changes.iter().enumerate().map(|(at, change)| (change.id.clone(), at)).collect();
        let changes = changes.into_iter().enumerate().filter(|(at, change)| last.get(&change.id) == Some(at));
        let (sealed, plain): (Vec<_>, Vec<_>) =
            changes.map(|(_, change)| change).partition(|change| change.table == SEALED);
        if is_all {
            self.old(|old| *old = Old::default());
        }
        // All rows are encrypted in one batch: afterwards, one that is not was put there by somebody else.
        let is_encrypted =
            self.keys.current().is_some() && (!is_all || sealed.iter().any(|change| change.row.is_some()));
        if is_encrypted && plain.iter().any(|change| change.row.is_some()) {
            return Err(Error::new(Reason::Corrupt, "the storage is encrypted, and has rows that are not"));
        }
        let mut opened = Vec::new();
        let mut gone = Vec::new();
        for change in sealed {
            let id = change.id.clone();
            match self.opened(change)? {
                Some(change) if is_all && change.row.is_none() => gone.push(id),
                Some(change) => opened.push(change),
                None if is_all => gone.push(id),
                None => {}
            }
        }
        // Nobody else has what was deleted, and the persister cannot tell by itself.
        if !gone.is_empty() && !self.persister.is_shared() {
            // What is not forgotten now is named again when all is loaded again.
            let _ = self.persister.forget(&gone).await;
        }
        if self.keys.current().is_some() {
            self.old(|old| old.ids.extend(plain.iter().map(|change| change.id.clone())));
        }
        if !is_encrypted {
            opened.extend(plain);
        }
        Ok(Loaded { position, changes: opened, is_whole })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let changes = batch.changes.iter().map(|change| self.sealed(change)).collect::<Result<_>>()?;
        self.persister.persist(&Batch { base: batch.base, position: batch.position, changes }).await
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        let hidden: Vec<String> = ids.iter().map(|id| self.keys.hidden(id).unwrap_or_else(|| id.clone())).collect();
        self.persister.forget(&hidden).await
    }

    fn is_shared(&self) -> bool {
        self.persister.is_shared()
    }

    async fn close(&self) -> Result<()> {
        self.persister.close().await
    }
}

impl<P: Persister> PersistedStorage<EncryptedPersister<P>> {
    /// Loads everything that the persister has, encrypted where there is a key. Rows that are not, or are under an older key, are
    /// encrypted anew, all in one batch.
    ///
    /// # Errors
    /// Those of [`PersistedStorage::open`], and [`Reason::EncryptionKeyWrong`].
    pub(crate) async fn open_encrypted(persister: P, keys: EncryptionKeys, env: Env) -> Result<Self> {
        let persister = EncryptedPersister { persister, keys, env, old: Mutex::default() };
        let storage = Self::open(persister).await?;
        let renewed = storage.renew().await;
        storage.closed_unless(renewed).await
    }

    async fn renew(&self) -> Result<()> {
        let EncryptedPersister { persister, env, .. } = &self.persister;
        for _ in 0..ATTEMPTS {
            let mut host = self.newest().await?;
            let Old { ids, deleted } = self.persister.old(|old| old.clone());
            if ids.is_empty() {
                return Ok(());
            }
            let id: ChangeSetId = env.new_id()?;
            let (checks, writes, audit, events) = Default::default();
            let change_set = ChangeSet { id, at: env.now(), checks, writes, audit, events };
            let planned = self.memory.read(|state| {
                let CommitWork::Pending { committed, writes } = state.resolve(&change_set)? else { return Ok(None) };
                Ok::<_, crate::storage::CommitError>(Some((
                    committed,
                    changes_of_all(state).collect::<Vec<_>>(),
                    writes,
                )))
            });
            let planned = planned.map_err(|_| Error::new(Reason::Internal, "a commit of nothing failed"))?;
            let Some((committed, rows, writes)) = planned else { return Ok(()) };
            let rows = rows.into_iter().chain(writes.iter().map(RowChange::of)).chain(deleted);
            let rows = rows.map(|change| self.persister.sealed(&change)).collect::<Result<Vec<_>>>()?;
            // An older key gives a row another id; one that it has now is not to be deleted.
            let gone = ids.into_iter().map(|id| RowChange { id, table: SEALED.to_owned(), row: None });
            let changes = gone.chain(rows).collect();
            let batch = Batch { base: committed.place.number - 1, position: committed.place.number, changes };
            host.is_unsure = true;
            if persister.persist(&batch).await? == Persisted::Done {
                self.memory.write(|state| {
                    state.apply(writes);
                    Ok::<_, Error>(())
                })?;
                host.is_unsure = false;
                self.persister.old(|old| *old = Old::default());
                return Ok(());
            }
            self.catch_up(&mut host).await?;
            host.is_unsure = false;
        }
        Err(Error::new(Reason::Contention, "other writers kept committing first"))
    }
}
