//! SQLite's result codes (<https://sqlite.org/rescode.html>) as reasons: the one place.

use std::borrow::Cow;

use sqlx::Error as Sqlx;

use crate::model::error::{Error, Reason};

/// The extended code for a disk too full for the shared memory of the log.
const IOERR_SHMSIZE: i32 = 4874;

/// The result code for a file that is none of SQLite's.
const NOTADB: i32 = 26;

/// The extended result code, if it is SQLite that answered.
fn code(error: &Sqlx) -> Option<i32> {
    error.as_database_error()?.code().as_ref().map(Cow::as_ref)?.parse().ok()
}

/// Whether another connection holds a lock.
pub(super) fn is_busy(error: &Sqlx) -> bool {
    code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a failed `COMMIT` surely wrote nothing: it was refused, not broken.
pub(super) fn is_refusal(error: &Sqlx) -> bool {
    code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 13))
}

/// Whether the file is none of SQLite's or, as it seems the same, under another key.
pub(super) fn is_no_database(error: &Error) -> bool {
    let driver = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Sqlx>());
    driver.and_then(code).is_some_and(|code| code & 0xff == NOTADB)
}

/// An error for the caller, which keeps the driver's.
pub(super) fn error(error: Sqlx) -> Error {
    let (reason, message) = match &error {
        Sqlx::Database(database) => {
            let code = code(&error).unwrap_or_default();
            let (reason, what) = reason(code);
            (reason, format!("{what} (SQLite {code}: {})", database.message()))
        }
        Sqlx::Io(io) => (Reason::StorageUnavailable, format!("the database cannot be used: {io}")),
        Sqlx::WorkerCrashed => (Reason::StorageUnavailable, "the connection to the database was lost".to_owned()),
        Sqlx::ColumnDecode { .. } | Sqlx::Decode(_) | Sqlx::ColumnNotFound(_) => {
            (Reason::Corrupt, "the database holds a value of another type than was written".to_owned())
        }
        _ => (Reason::Internal, format!("the database driver failed: {error}")),
    };
    Error::new(reason, message).with_source(error)
}

fn reason(code: i32) -> (Reason, &'static str) {
    match code & 0xff {
        _ if code == IOERR_SHMSIZE => (Reason::StorageFull, "the disk is full"),
        5 | 6 => (
            Reason::StorageUnavailable,
            "the database is locked, by another process or by a transaction of your own that was not ended",
        ),
        3 | 8 => (Reason::StorageReadOnly, "the database cannot be written"),
        10 => (Reason::StorageUnavailable, "reading or writing the disk failed"),
        11 => (Reason::Corrupt, "the database is damaged"),
        13 => (Reason::StorageFull, "the disk is full"),
        14 => (Reason::StorageMissing, "the database cannot be opened: check that its folder exists and is accessible"),
        NOTADB => (Reason::StorageMissing, "the file is not a database"),
        _ => (Reason::Internal, "the database refused a statement"),
    }
}
