//! The scripts that make and change the tables of a database.

#[cfg(any(test, feature = "testing"))]
use super::{dialect::Dialect, schema};
use crate::model::{
    error::{Error, Reason, Result},
    record::Table,
};

/// The tables of a database and the scripts that make them.
pub(in crate::storage) struct Schema {
    pub(in crate::storage) tables: Vec<&'static Table>,
    pub(in crate::storage) scripts: Vec<String>,
}

impl Schema {
    /// What the tables are once all scripts have run.
    pub(in crate::storage) fn version(&self) -> i64 {
        i64::try_from(self.scripts.len()).unwrap_or(i64::MAX)
    }

    /// This library's, by the scripts that were released.
    pub(in crate::storage) fn released(scripts: &[&str]) -> Self {
        let scripts = scripts.iter().map(|script| (*script).to_owned()).collect();
        Self { tables: crate::storage::tables().to_vec(), scripts }
    }

    /// Made from declarations at once, by the last of so many scripts.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::storage) fn generated(dialect: Dialect, tables: Vec<&'static Table>, scripts: usize) -> Self {
        let mut scripts = vec![String::new(); scripts - 1];
        scripts.push(schema::script(dialect, &tables));
        Self { tables, scripts }
    }
}

/// The number of the newest of these scripts.
pub(in crate::storage) fn newest(scripts: &[&str]) -> i64 {
    i64::try_from(scripts.len()).unwrap_or(i64::MAX)
}

/// Refuses a database that a newer version of this library has migrated.
///
/// # Errors
/// [`Reason::SchemaNewer`]
pub(in crate::storage) fn require_known(version: i64, known: i64) -> Result<()> {
    if version <= known {
        return Ok(());
    }
    Err(Error::new(
        Reason::SchemaNewer,
        format!("the database has schema {version}, this version of the library knows {known}: update the library"),
    ))
}
