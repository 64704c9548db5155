//! The schema of a database: how far it is, and the steps forward and back.

use std::sync::Arc;

use rolekeep::migrations;

use crate::{Result, face::Config, manager::json, runtime::run, types::Timestamp};

/// The migrations of the database that a config names, which need not be open, and may be.
///
/// A store that is opened migrates by itself. This is for applications that migrate on their own, and open with `migrates = false`.
/// Any number of processes may use it at once.
#[derive(uniffi::Object)]
pub struct Migrations(Arc<migrations::Migrations>);

/// How far the schema of a database is.
#[derive(Debug, uniffi::Record)]
pub struct MigrationStatus {
    /// The newest step that was applied; 0 where the database has no tables of this library.
    pub version: u32,
    /// The newest step that this version of the library knows.
    pub newest: u32,
    /// The steps that were applied, oldest first.
    pub history: Vec<AppliedStep>,
    /// The steps that `apply` would apply, in that order.
    pub pending: Vec<MigrationStep>,
}

/// A step that was applied.
#[derive(Debug, uniffi::Record)]
pub struct AppliedStep {
    /// Its number.
    pub version: u32,
    /// Its name; null where it was applied before names were kept.
    pub name: Option<String>,
    /// When, by the clock of the database; null where it was applied before times were kept.
    pub applied_at: Option<Timestamp>,
    /// Whether it is the script that this library has.
    pub checksum: MigrationChecksum,
}

/// Whether a script that was applied is the one of this number that this version of the library has.
#[derive(Debug, uniffi::Enum)]
pub enum MigrationChecksum {
    /// It is.
    Fits,
    /// It was applied before checksums were kept, or is of a newer version of the library.
    Unknown,
    /// It is not: the store does not open (`SCHEMA_FOREIGN`).
    Differs,
}

/// A step from one schema to the next.
#[derive(Debug, uniffi::Record)]
pub struct MigrationStep {
    /// Its number: 1 for the first.
    pub version: u32,
    /// What it is about, such as `events`.
    pub name: String,
    /// Why it can never be taken back; null where it can, at least while nothing is stored that would be lost.
    pub irreversible: Option<String>,
}

impl From<migrations::Step> for MigrationStep {
    fn from(step: migrations::Step) -> Self {
        Self { version: step.version, name: step.name, irreversible: step.irreversible }
    }
}

impl From<migrations::Applied> for AppliedStep {
    fn from(applied: migrations::Applied) -> Self {
        let checksum = match applied.checksum {
            migrations::Checksum::Fits => MigrationChecksum::Fits,
            migrations::Checksum::Differs => MigrationChecksum::Differs,
            _ => MigrationChecksum::Unknown,
        };
        Self { version: applied.version, name: applied.name, applied_at: applied.applied_at, checksum }
    }
}

#[uniffi::export]
impl Migrations {
    /// Those of the file that the config's `sqlite` names. Nothing is opened yet.
    ///
    /// Throws `VALIDATION_ERROR` (`CONFIG_INVALID`) where it names none.
    #[uniffi::constructor]
    pub fn of(config: Config) -> Result<Arc<Self>> {
        let config = rolekeep::Config::from_json(&json(&config)?)?;
        Ok(Arc::new(Self(Arc::new(migrations::Migrations::of(&config)?))))
    }

    /// How far the schema is. Nothing is changed; a file that does not exist is not made.
    pub async fn status(&self) -> Result<MigrationStatus> {
        let migrations = self.0.clone();
        run(async move {
            let status = migrations.status().await?;
            Ok(MigrationStatus {
                version: status.version,
                newest: status.newest,
                history: status.history.into_iter().map(Into::into).collect(),
                pending: status.pending.into_iter().map(Into::into).collect(),
            })
        })
        .await
    }

    /// What `apply` would run now, as SQL for another tool; empty where nothing is pending.
    ///
    /// Throws `UNAVAILABLE` (`SCHEMA_NEWER`) where a newer version of the library has migrated the database, and (`SCHEMA_FOREIGN`)
    /// where an applied step was another script than this library has. So do `apply` and `down`.
    pub async fn plan(&self) -> Result<String> {
        let migrations = self.0.clone();
        run(async move { Ok(migrations.plan().await?) }).await
    }

    /// Applies all steps that are pending, in one transaction; none where another process was first.
    pub async fn apply(&self) -> Result<Vec<MigrationStep>> {
        let migrations = self.0.clone();
        run(async move { Ok(migrations.apply().await?.into_iter().map(Into::into).collect()) }).await
    }

    /// Takes the newest step back; null where none has been applied. Close the stores that use it before.
    ///
    /// Throws `CONFLICT` (`DATA_WOULD_BE_LOST`) where the older schema has no place for what is stored.
    pub async fn down(&self) -> Result<Option<MigrationStep>> {
        let migrations = self.0.clone();
        run(async move { Ok(migrations.down().await?.map(Into::into)) }).await
    }
}
