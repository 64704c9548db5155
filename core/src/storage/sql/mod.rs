//! What the SQL backends share: the declarations become tables, queries and writes become
//! statements. Pure: statements are built here and run elsewhere, every value a bound parameter.

pub(super) mod condition;
pub(super) mod dialect;
// Scripts are checked in; only tests make them from the declarations.
#[cfg(any(test, feature = "testing"))]
pub(super) mod schema;
pub(super) mod statement;

use crate::model::record::Table;

/// The column of the folded text that searches look into.
const SEARCH_TEXT: &str = "search_text";

/// The tables that a database has.
#[derive(Clone, Debug)]
pub(super) struct Tables(pub(super) Vec<&'static Table>);

impl Tables {
    fn named(&self, name: &str) -> Option<&'static Table> {
        self.0.iter().copied().find(|table| table.name == name)
    }

    pub(super) fn has(&self, table: &Table) -> bool {
        self.named(table.name).is_some()
    }
}
