//! Texts that rows are found and sorted by, made anew: SQL does not fold them, so a script that needs it notes so, and this does it behind the
//! scripts, in their transaction or, where somebody ran them by hand, when the store is opened.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::{
    model::record::Table,
    storage::sql::{
        derived::{Derived, row_of},
        quoted,
    },
};

/// So many rows are in memory at once.
const PIECE: usize = 1_000;
/// A line of no script in the table of versions: scripts write it where there are rows.
const FORGET: &str = "DELETE FROM rolekeep_schema WHERE version = 0";

/// Does what scripts have noted, if they have.
pub(super) async fn noted(connection: &mut SqliteConnection, tables: &[&'static Table]) -> Result<(), sqlx::Error> {
    if sqlx::query(FORGET).execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(());
    }
    for table in tables {
        every_row(connection, table).await?;
    }
    Ok(())
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

async fn every_row(connection: &mut SqliteConnection, table: &'static Table) -> Result<(), sqlx::Error> {
    let derived: Vec<Derived> = Derived::of(table).collect();
    if derived.is_empty() {
        return Ok(());
    }
    let sources: BTreeSet<usize> = derived.iter().flat_map(|derived| derived.sources()).copied().collect();
    let column = |at: &usize| quoted(table.columns[*at].name);
    let made = || derived.iter().map(|derived| quoted(derived.name()));
    let (of, key) = (quoted(table.name), joined(table.key.iter().map(column), ", "));
    let read = joined(table.key.iter().chain(&sources).map(column).chain(made()), ", ");
    let given = joined(table.key.iter().map(|_| "?".to_owned()), ", ");
    let first = format!("SELECT {read} FROM {of} ORDER BY {key} LIMIT {PIECE}");
    let next = format!("SELECT {read} FROM {of} WHERE ({key}) > ({given}) ORDER BY {key} LIMIT {PIECE}");
    let set = joined(made().map(|name| format!("{name} = ?")), ", ");
    let has_key = joined(table.key.iter().map(|at| format!("{} = ?", column(at))), " AND ");
    let update = format!("UPDATE {of} SET {set} WHERE {has_key}");

    let mut after: Vec<String> = Vec::new();
    loop {
        // Safe: names of declarations.
        let mut piece = sqlx::query(AssertSqlSafe(if after.is_empty() { first.clone() } else { next.clone() }));
        for part in &after {
            piece = piece.bind(part.clone());
        }
        let rows = piece.fetch_all(&mut *connection).await?;
        for row in &rows {
            // Keys of such tables are texts, as ids are.
            let key = (0..table.key.len()).map(|at| row.try_get(at)).collect::<Result<Vec<String>, _>>()?;
            let mut texts: Vec<(usize, Option<String>)> = Vec::new();
            for (source, at) in sources.iter().zip(table.key.len()..) {
                texts.push((*source, row.try_get(at)?));
            }
            let whole = row_of(table, texts);
            let made: Vec<String> = derived.iter().map(|derived| derived.text(&whole)).collect();
            let first = table.key.len() + sources.len();
            let there = (first..first + made.len()).map(|at| row.try_get(at)).collect::<Result<Vec<String>, _>>()?;
            if made != there {
                // Safe: names of declarations.
                let mut change = sqlx::query(AssertSqlSafe(update.clone()));
                for text in made.into_iter().chain(key.iter().cloned()) {
                    change = change.bind(text);
                }
                change.execute(&mut *connection).await?;
            }
            after = key;
        }
        if rows.len() < PIECE {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Derived;
    use crate::model::record::Kind;

    #[test]
    fn keys_of_rows_that_are_found_by_texts_are_texts() {
        for table in crate::storage::tables() {
            if Derived::of(table).next().is_some() {
                let kinds: Vec<Kind> = table.key.iter().map(|at| table.columns[*at].kind).collect();
                assert!(kinds.iter().all(|kind| matches!(kind, Kind::Id | Kind::Text)), "{}: {kinds:?}", table.name);
            }
        }
    }
}
