//! What an import that is only checked would have made, kept for its later records: each finds the names and accounts of those before it,
//! as it would if they had been imported.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{KEPT_SECONDS, rows};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::ImportId,
        import::{Import, ImportPiece},
        predicate::Predicate,
        record::{Key, Record, Row, Table},
        registry::Claim,
        user::User,
    },
    operations::plan::{Plan, Rehearsal, Supposed},
    storage::{Query, Window},
};

/// By these a record finds an account, and what it finds.
pub(super) const TABLES: [&Table; 2] = [Claim::TABLE, User::TABLE];
/// So much of what is kept goes at most when the import ends; the rest goes by its time.
const MOST_GONE: u64 = 10_000;

/// A row as it would be; none: it would be gone.
#[derive(Serialize, Deserialize)]
struct Kept {
    table: String,
    key: Key,
    row: Option<Row>,
}

/// Goes on as if the records before had been imported, so far as these names lead to them.
pub(super) async fn recall(
    import: ImportId,
    names: Vec<(String, String)>,
    rehearsal: &mut Rehearsal,
    plan: &mut Plan<'_>,
) -> Result<()> {
    suppose(import, Claim::TABLE, names.iter().map(Claim::key_of).collect(), rehearsal, plan).await?;
    let users = rows::owners(names, plan).await?;
    suppose(import, User::TABLE, users.iter().map(User::key_of).collect(), rehearsal, plan).await
}

async fn suppose(
    import: ImportId,
    table: &'static Table,
    keys: BTreeSet<Key>,
    rehearsal: &mut Rehearsal,
    plan: &mut Plan<'_>,
) -> Result<()> {
    let places: BTreeSet<i64> = keys.iter().map(|key| place(table, key)).collect();
    let pieces: Vec<ImportPiece> = plan.reads().many(places.into_iter().map(|at| (import, at))).await?;
    for kept in pieces.iter().map(kept).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        // Of before the table had another column nothing is known.
        let fits = kept.row.as_ref().is_none_or(|row| row.0.len() == table.columns.len());
        if kept.table == table.name && keys.contains(&kept.key) && fits {
            plan.suppose(rehearsal, Supposed { table, key: kept.key, row: kept.row });
        }
    }
    Ok(())
}

/// Keeps rows as they would be, for the records to come.
pub(super) async fn keep(import: &Import, rows: Vec<Supposed>, plan: &mut Plan<'_>) -> Result<()> {
    let places: BTreeSet<i64> = rows.iter().map(|row| place(row.table, &row.key)).collect();
    plan.read_ahead::<ImportPiece>(places.into_iter().map(|at| (import.id, at)).collect()).await?;
    for Supposed { table, key, row } in rows {
        let at = place(table, &key);
        let before: Option<ImportPiece> = plan.reads().get(&(import.id, at)).await?;
        let mut all = before.as_ref().map(kept).transpose()?.unwrap_or_default();
        all.retain(|kept| (kept.table.as_str(), &kept.key) != (table.name, &key));
        all.push(Kept { table: table.name.to_owned(), key, row });
        let data = serde_json::to_string(&all);
        let data = data.map_err(|_| Error::new(Reason::Internal, "what a check found out cannot be written"))?;
        let expires_at = plan.now.plus_seconds(KEPT_SECONDS);
        let after = ImportPiece { import_id: import.id, at, data: data.into(), expires_at, version: 0 };
        plan.write_consequence(before.as_ref(), after);
    }
    Ok(())
}

/// Plans that what was kept goes as the import ends.
pub(super) async fn let_go(import: ImportId, plan: &mut Plan<'_>) -> Result<()> {
    let window = Window { limit: Some(MOST_GONE), ..Window::default() };
    let query = Query { window, ..Query::of(ImportPiece::TABLE, Predicate::equals("import_id", import.0)) };
    for piece in plan.reads().query::<ImportPiece>(&query).await? {
        plan.delete_consequence(&piece);
    }
    Ok(())
}

/// Where a row is kept among the pieces of an import: no place of a byte, and rarely that of another row.
fn place(table: &Table, key: &Key) -> i64 {
    let mut digest = Sha256::new();
    digest.update(table.name);
    digest.update(serde_json::to_vec(key).unwrap_or_default());
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(digest.finalize());
    i64::from_be_bytes([a, b, c, d, e, f, g, h]) | i64::MIN
}

fn kept(piece: &ImportPiece) -> Result<Vec<Kept>> {
    serde_json::from_str(piece.data.expose())
        .map_err(|_| Error::new(Reason::Corrupt, "what is kept of an import is damaged"))
}
