//! Rows become a store, once all of them are verified.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use serde_json::json;

use super::{RestoreOptions, format::FORMAT, read::Reader};
use crate::{
    audit_chain::{AuditEntry, AuditFacts, AuditHead},
    environment::{Env, MaybeSend},
    model::{
        error::Result,
        predicate::Predicate,
        record::{Record, Row, Table},
        registry::{Guard, StoreSecret},
    },
    storage::{LanePosition, Load, MemoryStorage, Origin, Query, Storage},
};

/// Reads a backup to its end, into an empty storage where nobody sees it before [`Restoring::finish`].
///
/// # Errors
/// Those of [`verify`](super::verify) and of the storage, and [`Reason::StoreNotEmpty`](crate::Reason::StoreNotEmpty).
pub(crate) async fn restore<'s>(
    storage: &'s dyn Storage,
    env: &Env,
    backup: impl Read + MaybeSend,
    options: &RestoreOptions,
) -> Result<Restoring<'s>> {
    let mut reader = Reader::new(backup, options.key.as_ref())?;
    let position = reader.header.position.clone();
    let epoch = LanePosition::other_epoch(u16::from_be_bytes(env.random()?), &position);
    let mut load = storage.load().await?;
    let (mut eras, mut log) = (Eras::new(options), LogEnds::default());
    while let Some((table, mut rows)) = reader.rows()? {
        if table.name == Guard::TABLE.name {
            eras.move_on(&mut rows)?;
        }
        log.look_at(table, &mut rows)?;
        if !rows.is_empty() {
            load.add(table, rows).await?;
        }
    }
    eras.add_missing(&mut *load).await?;
    let summary = reader.finish()?;
    let origin = Origin { id: env.new_id()?, at: env.now(), epoch };
    let facts = json!({
        "format": FORMAT,
        "schema": summary.schema,
        "library_version": summary.version,
        "backup_at": summary.at,
        "backup_position": position,
        "rows": summary.rows,
        "sha256": summary.sha256,
        "is_sealed": summary.is_sealed,
        "keeps_sessions": options.keeps_sessions,
        "ends_api_keys": options.ends_api_keys,
    });
    let facts = AuditFacts { before: None, after: Some(facts) };
    let (known, log) = log.into_storage(&origin).await?;
    Ok(Restoring { load, origin, known, log, facts })
}

/// A store that is whole but for the entry of its audit log that says where it came from.
pub(crate) struct Restoring<'s> {
    load: Box<dyn Load + 's>,
    origin: Origin,
    /// The last entries of the chains, which the storage has.
    known: Vec<Row>,
    /// What the next entry is sealed by: the ends of the chains, and the secrets of the store.
    pub(crate) log: Arc<MemoryStorage>,
    /// What the entry says.
    pub(crate) facts: AuditFacts,
}

impl Restoring<'_> {
    /// Makes all of it live, with what was written to [`log`](Self::log), in one commit.
    pub(crate) async fn finish(mut self) -> Result<()> {
        for table in [AuditEntry::TABLE, AuditHead::TABLE, StoreSecret::TABLE] {
            let mut rows = self.log.query(&Query::of(table, Predicate::Always)).await?.rows;
            rows.retain(|row| !self.known.contains(row));
            if !rows.is_empty() {
                self.load.add(table, rows).await?;
            }
        }
        self.load.finish(&self.origin).await
    }
}

/// What seals the next entry of the audit log, held back until that is written. It is little: there are as many chains as lanes, and rows of
/// others are not read.
#[derive(Default)]
struct LogEnds {
    last: BTreeMap<i64, Row>,
    held: Vec<(&'static Table, Vec<Row>)>,
}

impl LogEnds {
    fn look_at(&mut self, table: &'static Table, rows: &mut Vec<Row>) -> Result<()> {
        if table.name == AuditEntry::TABLE.name {
            // They come in the order of lanes and places.
            for row in rows.iter() {
                self.last.insert(AuditEntry::from_row(row.clone())?.lane, row.clone());
            }
        }
        if table.name == AuditHead::TABLE.name || table.name == StoreSecret::TABLE.name {
            self.held.push((table, std::mem::take(rows)));
        }
        Ok(())
    }

    /// The entries that the storage has, and a store of these alone.
    async fn into_storage(self, origin: &Origin) -> Result<(Vec<Row>, Arc<MemoryStorage>)> {
        let last: Vec<Row> = self.last.into_values().collect();
        let storage = MemoryStorage::new();
        let mut load = storage.load().await?;
        load.add(AuditEntry::TABLE, last.clone()).await?;
        for (table, rows) in self.held {
            load.add(table, rows).await?;
        }
        load.finish(origin).await?;
        Ok((last, Arc::new(storage)))
    }
}

/// Guards that count how often everybody's sessions or API keys were ended: moved by one, they have ended.
struct Eras(Vec<&'static str>);

impl Eras {
    fn new(options: &RestoreOptions) -> Self {
        let sessions = (!options.keeps_sessions).then_some(Guard::SESSIONS);
        let keys = options.ends_api_keys.then_some(Guard::API_KEYS);
        Self(sessions.into_iter().chain(keys).collect())
    }

    fn move_on(&mut self, rows: &mut [Row]) -> Result<()> {
        for row in rows {
            let mut guard = Guard::from_row(row.clone())?;
            if let Some(at) = self.0.iter().position(|name| *name == guard.name) {
                guard.version += 1;
                *row = guard.to_row();
                self.0.remove(at);
            }
        }
        Ok(())
    }

    async fn add_missing(self, load: &mut dyn Load) -> Result<()> {
        let guards = self.0.into_iter().map(|name| Guard { name: name.to_owned(), version: 1 }.to_row());
        let guards: Vec<Row> = guards.collect();
        if guards.is_empty() { Ok(()) } else { load.add(Guard::TABLE, guards).await }
    }
}
