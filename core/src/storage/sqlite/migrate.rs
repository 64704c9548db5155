//! The schema of a file: what version it has, and the scripts that bring it to ours or take it one step back.

use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

use super::{Access, DIALECT, SqliteOptions, connections::Connections, error, refold, rows, scripts::SCRIPTS};
#[cfg(any(test, feature = "testing"))]
use crate::model::record::Table;
use crate::{
    model::error::Result,
    storage::sql::migrations::{self, Deed, History, Schema, Seen, Status, Step},
};

/// The table that says which of them a file has seen.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS rolekeep_schema (version INTEGER PRIMARY KEY, name TEXT, sha256 TEXT, \
                        applied_at INTEGER) STRICT;\n";
/// What the first ones did not have in it.
const ADDED: &str = "ALTER TABLE rolekeep_schema ADD COLUMN name TEXT;\nALTER TABLE rolekeep_schema ADD COLUMN sha256 TEXT;\n\
                     ALTER TABLE rolekeep_schema ADD COLUMN applied_at INTEGER;\n";
/// The time, in microseconds since 1970, as every version of SQLite says it.
const NOW: &str = "CAST(strftime('%s', 'now') AS INTEGER) * 1000000";
const BEGIN: &str = "BEGIN IMMEDIATE";

/// This library's tables.
pub(crate) fn released() -> Schema {
    Schema::released(SCRIPTS).at_once(DIALECT)
}

/// These tables, made from their declarations at once.
#[cfg(any(test, feature = "testing"))]
pub(super) fn generated(tables: Vec<&'static Table>) -> Schema {
    Schema::generated(DIALECT, tables, SCRIPTS)
}

/// Refuses a file that has another schema than this library: somebody migrated it, or took a step back, while it was open.
///
/// # Errors
/// [`Reason::SchemaNewer`](crate::Reason::SchemaNewer), [`Reason::SchemaForeign`](crate::Reason::SchemaForeign)
pub(super) fn require_current(version: i64) -> Result<()> {
    migrations::require_current(version, migrations::newest(SCRIPTS))
}

/// Brings a file to the schema as a store is opened, if it is not there yet; or refuses it, where that is not to be done here.
pub(super) async fn run(connections: &Connections, schema: &Schema, migrates: bool) -> Result<()> {
    change(connections, schema, Deed::Open { migrates }).await.map(|_| ())
}

/// Applies what is pending, or takes the newest step back; gives the steps.
pub(crate) async fn change_at(options: &SqliteOptions, schema: &Schema, deed: Deed) -> Result<Vec<Step>> {
    let options = match deed {
        Deed::Undo => options.clone().access(Access::Existing),
        Deed::Open { .. } | Deed::Apply => options.clone(),
    };
    let connections = Connections::open(&options).await?;
    let changed = change(&connections, schema, deed).await;
    connections.close().await?;
    changed
}

/// What a file has seen. One that does not exist has seen nothing, and is not made.
pub(crate) async fn status_of(options: &SqliteOptions, schema: &Schema) -> Result<Status> {
    Ok(schema.status(history_of(options).await?))
}

/// The text of what [`Deed::Apply`] does.
pub(crate) async fn plan_of(options: &SqliteOptions, schema: &Schema) -> Result<String> {
    let history = history_of(options).await?;
    schema.require_ours(&history)?;
    if is_done(schema, &history) {
        return Ok(String::new());
    }
    let text = changes(schema, &history);
    Ok(format!(
        "-- SQLite: run it with `sqlite3 -bail`, version 3.42 or newer, so that it ends at the first error.\n{BEGIN};\n{text}COMMIT;\n"
    ))
}

async fn history_of(options: &SqliteOptions) -> Result<History> {
    if options.makes_files() && !options.path()?.exists() {
        return Ok(History::default());
    }
    let options = match options.makes_files() {
        true => options.clone().access(Access::Existing),
        false => options.clone(),
    };
    let connections = Connections::open(&options).await?;
    let history = read_history(&connections).await;
    connections.close().await?;
    history
}

async fn read_history(connections: &Connections) -> Result<History> {
    let mut writer = connections.writer().await?;
    let read = history(writer.get()?).await;
    writer.settle(read)
}

/// Whether a file has seen all, and says so in a table like ours.
fn is_done(schema: &Schema, history: &History) -> bool {
    history.version() == schema.version() && history.is_whole
}

/// What brings a file that has seen this to the schema.
fn changes(schema: &Schema, history: &History) -> String {
    let added = if history.is_there && !history.is_whole { ADDED } else { "" };
    format!("{VERSIONS}{added}{}", schema.text_after(history.version(), NOW))
}

async fn change(connections: &Connections, schema: &Schema, deed: Deed) -> Result<Vec<Step>> {
    let mut writer = connections.writer().await?;
    let seen = history(writer.get()?).await;
    let seen = writer.settle(seen)?;
    schema.require_ours(&seen)?;
    if deed == (Deed::Open { migrates: false }) {
        schema.require_current(&seen)?;
    }
    if !connections.is_read_only() {
        if seen.version() < schema.version() {
            connections.file.keep_private();
        }
        if !seen.is_there && seen.tables.is_empty() {
            let set = shrinkable(writer.get()?).await;
            writer.settle(set)?;
        }
        let logged = write_ahead(writer.get()?).await;
        writer.settle(logged)?;
    }
    let may_wait = seen.version() == schema.version() && connections.is_read_only();
    let is_idle = match deed {
        Deed::Open { migrates } => !migrates || may_wait || is_done(schema, &seen),
        Deed::Apply => is_done(schema, &seen),
        Deed::Undo => false,
    };
    // Whoever has run the scripts by hand has left the rest to us.
    if is_idle && !seen.is_unfinished {
        return Ok(Vec::new());
    }
    let changed = patiently(writer.get()?, schema, deed).await;
    writer.settle(changed)?
}

async fn patiently(
    connection: &mut SqliteConnection,
    schema: &Schema,
    deed: Deed,
) -> Result<Result<Vec<Step>>, sqlx::Error> {
    // Who migrates a large file takes longer than others wait for a lock: a million users some 20 seconds.
    const ATTEMPTS: u32 = 60;
    for _ in 1..ATTEMPTS {
        match once(connection, schema, deed).await {
            Err(problem) if error::is_busy(&problem) => {}
            done => return done,
        }
    }
    once(connection, schema, deed).await
}

/// One transaction. What is refused is told apart from what fails: nothing is wrong with the connection then.
async fn once(
    connection: &mut SqliteConnection,
    schema: &Schema,
    deed: Deed,
) -> Result<Result<Vec<Step>>, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    // Asked again under the lock: another process may have been first.
    let seen = history(&mut transaction).await?;
    let changed = match deed {
        Deed::Undo => undo(&mut transaction, schema, &seen).await?,
        Deed::Open { .. } | Deed::Apply => apply(&mut transaction, schema, &seen).await?,
    };
    match changed {
        Ok(steps) => transaction.commit().await.map(|()| Ok(steps)),
        Err(refused) => transaction.rollback().await.map(|()| Err(refused)),
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    schema: &Schema,
    seen: &History,
) -> Result<Result<Vec<Step>>, sqlx::Error> {
    if let Err(refused) = schema.require_ours(seen) {
        return Ok(Err(refused));
    }
    // Safe: scripts of this library.
    sqlx::raw_sql(AssertSqlSafe(changes(schema, seen))).execute(&mut *connection).await?;
    refold::noted(connection, &schema.tables).await?;
    Ok(Ok(schema.steps(|version| version > seen.version())))
}

async fn undo(
    connection: &mut SqliteConnection,
    schema: &Schema,
    seen: &History,
) -> Result<Result<Vec<Step>>, sqlx::Error> {
    let undoing = match schema.undoing(seen) {
        Ok(Some(undoing)) => undoing,
        Ok(None) => return Ok(Ok(Vec::new())),
        Err(refused) => return Ok(Err(refused)),
    };
    for (asked, refused) in undoing.losses() {
        // Safe: names of this library.
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(asked)).fetch_one(&mut *connection).await?;
        if found != 0 {
            return Ok(Err(refused));
        }
    }
    // Safe: scripts of this library, and a number.
    sqlx::raw_sql(undoing.sql).execute(&mut *connection).await?;
    sqlx::raw_sql(AssertSqlSafe(undoing.forget())).execute(connection).await?;
    Ok(Ok(schema.steps(|version| version == undoing.migration.version)))
}

/// What a file says of the scripts that it has seen.
async fn history(connection: &mut SqliteConnection) -> Result<History, sqlx::Error> {
    let columns = "SELECT count(*) FROM pragma_table_info('rolekeep_schema')";
    let columns = rows::pragma(connection, columns).await?.unwrap_or_default();
    if columns == 0 {
        return Ok(History { tables: tables(connection).await?, ..History::default() });
    }
    let is_whole = columns > 1;
    let others = if is_whole { "name, sha256, applied_at" } else { "NULL, NULL, NULL" };
    // Safe: names of this library.
    let asked = AssertSqlSafe(format!("SELECT version, {others} FROM rolekeep_schema ORDER BY version"));
    let seen = sqlx::query(asked).fetch_all(&mut *connection).await?;
    let seen = seen.iter().map(|row| {
        Ok(Seen {
            version: row.try_get(0)?,
            name: row.try_get(1)?,
            sha256: row.try_get(2)?,
            applied_at: row.try_get(3)?,
        })
    });
    let mut seen = seen.collect::<Result<Vec<_>, sqlx::Error>>()?;
    // Before the first script stands what is still to be done.
    let count = seen.len();
    seen.retain(|seen| seen.version > 0);
    let tables = if seen.is_empty() { tables(connection).await? } else { Vec::new() };
    Ok(History { is_there: true, is_whole, is_unfinished: seen.len() < count, seen, tables })
}

async fn tables(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").fetch_all(connection).await
}

/// Lets a new file give back what is free in it; one with tables would have to be written anew for that.
async fn shrinkable(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("PRAGMA auto_vacuum = INCREMENTAL").execute(connection).await.map(drop)
}

/// Turns the write-ahead log on; a file remembers it.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // SQLite does not wait for locks here as it does elsewhere, so another process that does the
    // same at the same moment is waited for by taking the write lock for a moment.
    const ATTEMPTS: u32 = 100;
    for _ in 1..ATTEMPTS {
        match sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
            Err(problem) if error::is_busy(&problem) => {
                connection.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
            }
            done => return done.map(|_| ()),
        }
    }
    sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(connection).await.map(|_| ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails panics")]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::storage::{SqliteOptions, Storage, sqlite::SqliteStorage};

    /// A change of a record is a new script, which moves what is stored.
    #[tokio::test]
    async fn the_scripts_make_the_declared_tables() {
        let generated = generated(crate::storage::tables().to_vec());
        let (scripts, declared) = (made_by(Schema::released(SCRIPTS)).await, made_by(generated).await);
        assert_eq!(scripts, declared, "a record changed: core/migrations needs a new script");
        assert!(declared.len() >= crate::storage::tables().len());
    }

    #[test]
    fn backups_know_the_schema() {
        assert_eq!(Ok(crate::storage::SCHEMA), SCRIPTS.len().try_into(), "`SCHEMA` moves with each script");
    }

    /// What a database says its tables and indexes are.
    async fn made_by(schema: Schema) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let storage = SqliteStorage::open_with(SqliteOptions::new(folder.path().join("x.db")), schema).await.unwrap();
        let mut reader = storage.connections.reader().await.unwrap();
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let rows = sqlx::query(sql).fetch_all(reader.get().unwrap()).await.unwrap();
        let made = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        drop(reader);
        storage.close().await.unwrap();
        made
    }
}
