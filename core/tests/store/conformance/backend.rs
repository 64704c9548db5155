//! Where the stores of scenarios are kept.

#[cfg(feature = "postgres")]
use std::path::{Path, PathBuf};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use super::costs::Tally;

/// Where a scenario's store is kept.
#[derive(Clone)]
pub enum Backend {
    Memory,
    Sqlite,
    /// A database, by a URL; each store in a schema of its own.
    #[cfg(feature = "postgres")]
    Postgres(String),
    /// A file of the storage that `examples/redb` writes.
    Redb,
    /// An SQLite file under a key: the secret columns in which there was anything at the end of a scenario.
    Encrypted(Arc<Mutex<BTreeSet<String>>>),
    /// An SQLite file, each call of which is counted.
    Counted(Arc<Tally>),
    /// A schema of a server whose socket is in this folder, each call of which is counted.
    #[cfg(feature = "postgres")]
    CountedTrips(PathBuf, Arc<Tally>),
}

impl Backend {
    /// Where calls are counted.
    pub fn tally(&self) -> Option<&Tally> {
        match self {
            Backend::Counted(tally) => Some(tally),
            #[cfg(feature = "postgres")]
            Backend::CountedTrips(_, tally) => Some(tally),
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => None,
            Backend::Memory | Backend::Sqlite | Backend::Redb | Backend::Encrypted(_) => None,
        }
    }
}

/// A schema for what would be kept in a file.
#[cfg(feature = "postgres")]
pub fn schema_of(file: &Path) -> String {
    let folder = file.parent().unwrap().file_name().unwrap().as_encoded_bytes();
    folder.iter().fold("s".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}
