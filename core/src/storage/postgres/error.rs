//! SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) as reasons: the one place.

use std::{borrow::Cow, fmt::Display, io};

use sqlx::{
    Error as Sqlx,
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::{
    audit_chain::{AuditEntry, AuditHead},
    model::{
        error::{Error, Reason},
        record::Record as _,
    },
    storage::CommitRecord,
};

const READ_ONLY: &str = "25006";

/// What PostgreSQL says went wrong.
pub(super) fn state(error: &Sqlx) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Whether the statement wrote nothing, and will do so again if its plan is made anew.
pub(super) fn is_stale(error: &Sqlx) -> bool {
    // A key that is taken, a row that another host changed between reading and writing, a conflict of transactions.
    state(error).is_some_and(|state| matches!(&*state, "23505" | "22012" | "40001" | "40P01"))
}

/// Whether the server undid the statement for the sake of others, and may not do so when it is sent again: what it expects may hold.
pub(super) fn is_in_the_way(error: &Sqlx) -> bool {
    state(error).is_some_and(|state| matches!(&*state, "40001" | "40P01"))
}

/// Whether somebody else held what it needs for longer than it waits.
pub(super) fn is_held(error: &Sqlx) -> bool {
    state(error).is_some_and(|state| state == "55P03")
}

/// Whether somebody else wrote in the lane, or a row of it is not as it was left.
pub(super) fn is_of_lane(error: &Sqlx) -> bool {
    let of_lane = [CommitRecord::TABLE, AuditEntry::TABLE, AuditHead::TABLE];
    let table = error.as_database_error().and_then(DatabaseError::table);
    match state(error).as_deref() {
        Some("23505") => of_lane.iter().any(|of_lane| table == Some(of_lane.name)),
        Some("22012") => true,
        _ => false,
    }
}

/// Whether the server may have done what it was asked, though it did not say so.
pub(super) fn is_lost(error: &Sqlx) -> bool {
    match error {
        // After its last word it may have died in the middle of anything.
        Sqlx::Database(database) if is_last_word(&**database) => true,
        Sqlx::Database(_) => {
            state(error).is_none_or(|state| state.starts_with("08") || matches!(&*state, "57P01" | "57P02"))
        }
        Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::Configuration(_) | Sqlx::Encode(_) => false,
        _ => true,
    }
}

fn is_last_word(database: &dyn DatabaseError) -> bool {
    let own = database.try_downcast_ref::<PgDatabaseError>();
    own.is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether the connection was gone before it was asked, as that of a server that was restarted.
pub(super) fn is_gone(error: &Sqlx) -> bool {
    match error {
        Sqlx::Io(_) => true,
        Sqlx::Database(_) => state(error).is_some_and(|state| state.starts_with("08") || state.starts_with("57P0")),
        _ => false,
    }
}

/// Whether prepared statements are no longer what the server knows.
pub(super) fn is_forgotten(error: &Sqlx) -> bool {
    state(error).is_some_and(|state| matches!(&*state, "26000" | "0A000" | "42P05"))
}

/// Whether the server is one that nobody writes to, such as one that was the primary before.
pub(super) fn is_read_only(error: &Sqlx) -> bool {
    state(error).is_some_and(|state| state == READ_ONLY)
}

/// An error for the caller, which keeps the driver's.
pub(super) fn error(error: Sqlx) -> Error {
    let (reason, message) = match &error {
        Sqlx::Database(database) => {
            let state = state(&error).unwrap_or_default();
            let (reason, what) = reason(&state);
            // A message may quote values, and so do details: the state says enough.
            let message = match reason {
                Reason::StorageDenied | Reason::StorageMissing | Reason::SchemaForeign => {
                    format!(": {}", database.message())
                }
                // By it poolers say what they do not take.
                _ if state == "08P01" => format!(": {}", database.message()),
                _ => String::new(),
            };
            (reason, format!("{what} (PostgreSQL {state}{message})"))
        }
        Sqlx::Io(io) if is_of_tls(io) => not_encrypted(io),
        Sqlx::Io(io) => (Reason::StorageUnavailable, format!("the database cannot be reached: {io}")),
        Sqlx::Tls(problem) => not_encrypted(problem),
        Sqlx::PoolTimedOut => {
            (Reason::StorageUnavailable, "no connection to the database was made, or became free, in time".to_owned())
        }
        Sqlx::PoolClosed => (Reason::Closed, "the storage was closed".to_owned()),
        Sqlx::Configuration(_) => {
            (Reason::ConfigInvalid, "postgres: the connection cannot be made as the URL says".to_owned())
        }
        Sqlx::ColumnDecode { .. } | Sqlx::Decode(_) | Sqlx::ColumnNotFound(_) => {
            (Reason::Corrupt, "the database holds a value of another type than was written".to_owned())
        }
        Sqlx::WorkerCrashed | Sqlx::Protocol(_) => {
            (Reason::StorageUnavailable, "the connection to the database was lost".to_owned())
        }
        _ => (Reason::Internal, "the database driver failed".to_owned()),
    };
    match error {
        // Its details hold values of rows.
        Sqlx::Database(_) => Error::new(reason, message),
        error => Error::new(reason, message).with_source(error),
    }
}

/// Whether what the server said is no TLS, or shows another certificate than one that is believed: the driver has no other sign of it.
fn is_of_tls(io: &io::Error) -> bool {
    io.kind() == io::ErrorKind::InvalidData
}

fn not_encrypted(problem: &dyn Display) -> (Reason, String) {
    let advice = "to use another way than `verify-full`, name it as `sslmode` in the URL";
    (Reason::StorageDenied, format!("no encrypted connection to the database: {problem}; {advice}"))
}

fn reason(state: &str) -> (Reason, &'static str) {
    match state {
        "55P03" => (Reason::Contention, "somebody else holds a lock for too long"),
        "57014" => (Reason::StorageUnavailable, "a statement took too long"),
        "25P02" => (Reason::InvalidInput, "a statement of this transaction failed before: roll it back"),
        "25P03" | "25P04" => (Reason::StorageUnavailable, "a transaction took too long"),
        "53100" => (Reason::StorageFull, "the disk of the database is full"),
        READ_ONLY => (Reason::StorageReadOnly, "the database cannot be written"),
        "26000" | "42P05" => (
            Reason::Internal,
            "a prepared statement is not what it was prepared as: a pooler in between has to keep track of them",
        ),
        "42501" => (Reason::StorageDenied, "the account may not do that in the database"),
        "3D000" => (Reason::StorageMissing, "there is no such database"),
        "3F000" | "42P01" | "42703" => (Reason::SchemaForeign, "the schema does not have this library's tables"),
        "XX001" | "XX002" => (Reason::Corrupt, "the database is damaged"),
        state => match state.get(..2) {
            Some("08" | "53" | "57" | "58") => (Reason::StorageUnavailable, "the database is not available"),
            Some("28") => (Reason::StorageDenied, "the database does not let the account in"),
            Some("40") => (Reason::Contention, "transactions stood in each other's way"),
            _ => (Reason::Internal, "the database refused a statement"),
        },
    }
}
