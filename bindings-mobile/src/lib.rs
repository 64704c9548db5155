//! Rolekeep for Kotlin and Swift.
//!
//! The hand-written parts open a store, check, and let a host keep the data and send the mail itself; operations and
//! records are generated into `face/`. All of it goes through the core's `ffi` module.

#![allow(clippy::result_large_err, reason = "uniffi takes an error as it is, not boxed")]

mod backup;
mod breached;
mod caller;
mod direct;
mod error;
mod face;
mod manager;
mod migrations;
mod notifier;
mod persister;
mod rules;
mod runtime;
mod sign_in;
mod telemetry;
mod types;

pub use backup::{
    BackupReader, BackupSource, BackupStreamError, BackupSummary, BackupTable, BackupTarget, BackupWriter, Restore,
    verify_backup,
};
pub use breached::{BreachedPasswords, BreachedPasswordsError};
pub use caller::{Caller, Check, RequestContext, Resource};
pub use error::RolekeepError;
pub use face::*;
pub use manager::{Circumstances, UserCheck, UserManagement};
pub use migrations::{AppliedStep, MigrationChecksum, MigrationStatus, MigrationStep, Migrations};
pub use notifier::{Delivery, Notifier, NotifierError};
pub use persister::{Batch, Loaded, Persisted, Persister, PersisterError, RowChange};
pub use rules::{Principal, Rules};
pub use telemetry::{LogLevel, LogRecord, LogSink, LogSinkError, log_to, metrics};
pub use types::{CalendarDate, JsonText, Timestamp, Uuid};

uniffi::setup_scaffolding!("rolekeep");

/// What operations answer.
pub type Result<T> = std::result::Result<T, RolekeepError>;
