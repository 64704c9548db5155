//! Columns that a database has beside those of a row, and fills from it.

use super::SEARCH_TEXT;
use crate::model::record::{Row, SortKey, Table};
#[cfg(feature = "sqlite")]
use crate::model::value::Value;

/// One of them: a text that is never null.
#[derive(Clone, Copy)]
pub(in crate::storage) enum Derived {
    /// What rows are sorted by.
    SortKey(&'static SortKey),
    /// What searches look into.
    SearchText(&'static Table),
}

impl Derived {
    /// Those of a table, in the order in which they stand behind its columns.
    pub(in crate::storage) fn of(table: &'static Table) -> impl Iterator<Item = Self> {
        let search = (!table.search.is_empty()).then_some(Self::SearchText(table));
        table.sort_keys.iter().map(Self::SortKey).chain(search)
    }

    pub(in crate::storage) fn name(self) -> &'static str {
        match self {
            Self::SortKey(key) => key.column.name,
            Self::SearchText(_) => SEARCH_TEXT,
        }
    }

    /// What a row has there.
    pub(in crate::storage) fn text(self, row: &Row) -> String {
        match self {
            Self::SortKey(key) => key.text(&row.0),
            Self::SearchText(table) => table.search_text(row),
        }
    }

    /// The positions of the columns that it is made of.
    #[cfg(feature = "sqlite")]
    pub(in crate::storage) fn sources(self) -> &'static [usize] {
        match self {
            Self::SortKey(key) => std::slice::from_ref(&key.of),
            Self::SearchText(table) => table.search,
        }
    }
}

/// A row of which nothing is known but these texts.
#[cfg(feature = "sqlite")]
pub(in crate::storage) fn row_of(table: &Table, texts: impl IntoIterator<Item = (usize, Option<String>)>) -> Row {
    let mut row = Row(vec![Value::Null; table.columns.len()]);
    for (at, text) in texts {
        row.0[at] = text.map_or(Value::Null, Value::Text);
    }
    row
}
