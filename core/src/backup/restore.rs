//! Rows become a store, once all of them are verified.

use std::io::Read;

use super::{BackupSummary, RestoreOptions, read::Reader};
use crate::{
    environment::{Env, MaybeSend},
    model::{
        error::Result,
        record::{Record, Row},
        registry::Guard,
    },
    storage::{Load, Origin, Place, Storage},
};

/// Restores a backup into an empty storage: all of it or nothing.
///
/// # Errors
/// Those of [`verify`](super::verify) and of the storage, and [`Reason::StoreNotEmpty`](crate::Reason::StoreNotEmpty).
pub(crate) async fn restore(
    storage: &dyn Storage,
    env: &Env,
    backup: impl Read + MaybeSend,
    options: &RestoreOptions,
) -> Result<BackupSummary> {
    let mut reader = Reader::new(backup, options.key.as_ref())?;
    let epoch = Place::other_epoch(u16::from_be_bytes(env.random()?), &reader.header.position);
    let mut load = storage.load().await?;
    let mut eras = Eras::new(options);
    while let Some((table, mut rows)) = reader.rows()? {
        if table.name == Guard::TABLE.name {
            eras.move_on(&mut rows)?;
        }
        if !rows.is_empty() {
            load.add(table, rows).await?;
        }
    }
    eras.add_missing(&mut *load).await?;
    let summary = reader.finish()?;
    load.finish(&Origin { id: env.new_id()?, at: env.now(), epoch }).await?;
    Ok(summary)
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
