//! The schema of a database: what version it has, and the scripts that bring it to ours or take it one step back.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Row as _, postgres::PgConnection};
use tokio::time::{Instant, timeout};

use super::{
    PostgresOptions, begin,
    connections::{Connections, Fault, LONG},
    error,
    scripts::SCRIPTS,
    session,
    statement::GAPS,
};
#[cfg(any(test, feature = "testing"))]
use crate::storage::sql::dialect::Dialect;
use crate::{
    model::{
        error::{Error, Reason, Result},
        record::Table,
        registry::Guard,
    },
    storage::{
        MOST_LANES,
        sql::{
            migrations::{self, Deed, History, Schema, Seen, Status, Step},
            quoted,
        },
    },
};

/// The table that says which of them a schema has seen, and those of commits: the newest one of each lane with the versions of guards
/// and of the schema, until when it is left to who used it last (microseconds since 1970); and the buckets of rows that are not there.
fn frame() -> String {
    let guards = Guard::OF_ALL.map(|name| format!("{} bigint NOT NULL DEFAULT 0", quoted(name))).join(", ");
    format!(
        "CREATE TABLE IF NOT EXISTS rolekeep_schema (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now(), \
         name text, sha256 text);\n\
         CREATE TABLE IF NOT EXISTS lanes (lane bigint PRIMARY KEY, number bigint NOT NULL DEFAULT 0, \
         tag bigint NOT NULL DEFAULT 0, until bigint NOT NULL DEFAULT 0, schema bigint NOT NULL DEFAULT 0, {guards}) WITH (fillfactor = 10);\n\
         INSERT INTO lanes (lane) SELECT generate_series(0, {}) ON CONFLICT DO NOTHING;\n\
         CREATE TABLE IF NOT EXISTS gaps (bucket bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);\n\
         INSERT INTO gaps (bucket) SELECT generate_series(0, {}) ON CONFLICT DO NOTHING;\n",
        MOST_LANES - 1,
        GAPS - 1,
    )
}

/// What the first tables of versions did not have.
const ADDED: &str =
    "ALTER TABLE rolekeep_schema ADD COLUMN IF NOT EXISTS name text, ADD COLUMN IF NOT EXISTS sha256 text;\n";
/// Another instance that migrates is waited for so long.
const OTHERS: Duration = Duration::from_secs(300);
/// An index of many rows takes as long as it takes.
const PATIENT: &str = "SET LOCAL statement_timeout = 0;\nSET LOCAL idle_in_transaction_session_timeout = 0;\n";
/// No commit of another instance comes between, and nobody else migrates.
const ALONE: &str = "LOCK TABLE rolekeep_schema IN EXCLUSIVE MODE;\nSELECT lane FROM lanes ORDER BY lane FOR UPDATE;\n";
/// Commits look at the version in their lane only, which they lock: whoever changes the table of versions says it there in the same
/// transaction, behind [`ALONE`].
const TOLD: &str = "UPDATE lanes SET schema = (SELECT coalesce(max(version), 0) FROM rolekeep_schema);\n";

/// This library's tables.
pub(crate) fn released() -> Schema {
    Schema::released(SCRIPTS)
}

/// These tables, made from their declarations at once.
#[cfg(any(test, feature = "testing"))]
pub(super) fn generated(tables: Vec<&'static Table>) -> Schema {
    Schema::generated(Dialect::Postgres, tables, SCRIPTS)
}

/// The newest script.
pub(super) fn known() -> i64 {
    migrations::newest(SCRIPTS)
}

/// Refuses a schema that is another than this library's: somebody migrated it, or took a step back, while it was open.
///
/// # Errors
/// [`Reason::SchemaNewer`], [`Reason::SchemaForeign`]
pub(super) fn require_current(version: i64) -> Result<()> {
    migrations::require_current(version, known())
}

/// Applies what is pending, or takes the newest step back; gives the steps.
pub(crate) async fn change_at(options: &PostgresOptions, schema: &Schema, deed: Deed) -> Result<Vec<Step>> {
    let _busy = begin().await;
    let connections = Connections::new(options)?;
    let changed = run(&connections, schema, &options.schema, deed).await;
    connections.close().await;
    changed
}

/// What a schema has seen. One that does not exist has seen nothing, and is not made.
pub(crate) async fn status_of(options: &PostgresOptions, schema: &Schema) -> Result<Status> {
    Ok(schema.status(look(options, schema).await?.history))
}

/// The text of what [`Deed::Apply`] does.
pub(crate) async fn plan_of(options: &PostgresOptions, schema: &Schema) -> Result<String> {
    let Looked { is_made, history, has_searches } = look(options, schema).await?;
    schema.require_ours(&history)?;
    if is_done(schema, &history) && has_searches {
        return Ok(String::new());
    }
    let name = quoted(&options.schema);
    let make = if is_made { String::new() } else { format!("CREATE SCHEMA {name};\n") };
    let (before, after) = (prepares(&history), changes(schema, history.version()));
    Ok(format!(
        "-- PostgreSQL: run it with `psql -v ON_ERROR_STOP=1`, by the role that is to own the tables.\n\
         BEGIN;\n{PATIENT}{make}SET LOCAL search_path = {name}, pg_temp;\n{before}{ALONE}{after}COMMIT;\n"
    ))
}

/// What is found of a schema.
struct Looked {
    /// Whether it exists.
    is_made: bool,
    /// What it has seen.
    history: History,
    /// Whether searches have their indexes, as far as they could be made.
    has_searches: bool,
}

async fn look(options: &PostgresOptions, schema: &Schema) -> Result<Looked> {
    let _busy = begin().await;
    let connections = Connections::new(options)?;
    let looked = async {
        let mut writer = connections.looking().await?;
        let longest = writer.longest();
        let looked = async {
            let (connection, name) = (writer.get()?, &options.schema);
            let (is_made, history) = (is_schema(connection, name).await?, history(connection, name).await?);
            let has_searches = has_searches(connection, schema, name).await?;
            Ok(Looked { is_made, history, has_searches })
        };
        let looked = timeout(longest, looked).await;
        writer.settle(looked).map_err(Error::from)
    };
    let looked = looked.await;
    connections.close().await;
    looked
}

/// Whether a schema has seen all, and says so in a table like ours.
fn is_done(schema: &Schema, history: &History) -> bool {
    history.version() == schema.version() && history.is_whole
}

/// What is there before anything is locked.
fn prepares(history: &History) -> String {
    frame() + if history.is_there && !history.is_whole { ADDED } else { "" }
}

/// What brings tables that have seen this to the schema.
fn changes(schema: &Schema, seen: i64) -> String {
    schema.text_after(seen, "now()") + &index_searches(&schema.tables) + TOLD
}

/// Does it, or finds it done; gives the steps that were applied or taken back.
pub(super) async fn run(connections: &Connections, schema: &Schema, name: &str, deed: Deed) -> Result<Vec<Step>> {
    // Several that are opened at once make the same things, of which only one succeeds.
    const ATTEMPTS: usize = 20;
    let (mut attempt, since) = (1, Instant::now());
    loop {
        let mut writer = connections.looking().await?;
        let longest = writer.longest();
        let server = timeout(longest, session::server(writer.get().map_err(error::error)?)).await;
        let server = writer.settle(server).map_err(Error::from)?;
        session::require_fit(&server, name)?;
        session::require_own_statements(&server, connections.apart()).await?;
        let seen = timeout(longest, history(writer.get().map_err(error::error)?, name)).await;
        let seen = writer.settle(seen).map_err(Error::from)?;
        schema.require_ours(&seen)?;
        if deed == (Deed::Open { migrates: false }) {
            schema.require_current(&seen)?;
            return Ok(Vec::new());
        }
        if deed != Deed::Undo && is_done(schema, &seen) {
            // Whoever asks for it gets the indexes, too, that could not be made before.
            let searches = async { Ok(deed != Deed::Apply || has_searches(writer.get()?, schema, name).await?) };
            let searches = timeout(longest, searches).await;
            if writer.settle(searches).map_err(Error::from)? {
                return Ok(Vec::new());
            }
        }
        let changed = timeout(LONG, once(writer.get().map_err(error::error)?, schema, name, deed)).await;
        let changed = writer.settle(changed);
        if changed.is_err() {
            // A transaction may be open on it.
            writer.give_up();
        }
        match changed {
            Err(Fault::Sql(problem)) if attempt < ATTEMPTS && is_race(&problem) => attempt += 1,
            // Each time it was waited for already.
            Err(Fault::Sql(problem)) if since.elapsed() < OTHERS && error::is_held(&problem) => {}
            done => return done.map_err(Error::from)?,
        }
    }
}

/// Whether somebody else made the same thing at the same time.
fn is_race(problem: &sqlx::Error) -> bool {
    error::state(problem)
        .is_some_and(|state| matches!(&*state, "23505" | "42P06" | "42P07" | "42710" | "40001" | "40P01"))
}

/// One transaction. What is refused is told apart from what fails: nothing is wrong with the connection then.
async fn once(
    connection: &mut PgConnection,
    schema: &Schema,
    name: &str,
    deed: Deed,
) -> Result<Result<Vec<Step>>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Looked at first: whoever migrates makes them and says so at once.
    let foreign = foreign_frame(&mut transaction, name).await?;
    let before = history(&mut transaction, name).await?;
    if let Some(table) = foreign.filter(|_| before.seen.is_empty()) {
        transaction.rollback().await?;
        let message = format!(
            "the schema has a table `{table}` that another account made: give the store a schema of its own, in which nobody else may make tables"
        );
        return Ok(Err(Error::new(Reason::SchemaForeign, message)));
    }
    // Safe: names that were checked, and scripts of this library.
    let make = match is_schema(&mut transaction, name).await? {
        true => String::new(),
        false => format!("CREATE SCHEMA IF NOT EXISTS {};", quoted(name)),
    };
    let prepares = if deed == Deed::Undo { String::new() } else { make + &prepares(&before) };
    if deed == Deed::Undo && !before.is_there {
        return transaction.rollback().await.map(|()| Ok(Vec::new()));
    }
    sqlx::raw_sql(AssertSqlSafe(format!("{PATIENT}{prepares}{ALONE}"))).execute(&mut *transaction).await?;
    // Asked again behind the lock: another instance may have been first.
    let seen = history(&mut transaction, name).await?;
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
    connection: &mut PgConnection,
    schema: &Schema,
    seen: &History,
) -> Result<Result<Vec<Step>>, sqlx::Error> {
    if let Err(refused) = schema.require_ours(seen) {
        return Ok(Err(refused));
    }
    // Safe: scripts of this library.
    sqlx::raw_sql(AssertSqlSafe(changes(schema, seen.version()))).execute(connection).await?;
    Ok(Ok(schema.steps(|version| version > seen.version())))
}

async fn undo(
    connection: &mut PgConnection,
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
        let found: i32 = sqlx::query_scalar(AssertSqlSafe(asked)).fetch_one(&mut *connection).await?;
        if found != 0 {
            return Ok(Err(refused));
        }
    }
    // Safe: scripts of this library, and a number.
    sqlx::raw_sql(undoing.sql).execute(&mut *connection).await?;
    sqlx::raw_sql(AssertSqlSafe(undoing.forget())).execute(&mut *connection).await?;
    sqlx::raw_sql(TOLD).execute(connection).await?;
    Ok(Ok(schema.steps(|version| version == undoing.migration.version)))
}

/// Makes indexes of search texts, where the extension for them is there or may be made; without it, a search looks at each row.
fn index_searches(tables: &[&'static Table]) -> String {
    let index = |table: &&Table| {
        let (name, of) = (quoted(&format!("{}_search", table.name)), quoted(table.name));
        let column = quoted(crate::storage::sql::SEARCH_TEXT);
        // Whoever finds it made need not own the table.
        format!(
            "    IF to_regclass('{name}') IS NULL THEN\n      \
             EXECUTE format('CREATE INDEX {name} ON {of} USING gin ({column} %I.gin_trgm_ops)', home);\n    END IF;\n"
        )
    };
    let indexes: String = tables.iter().filter(|table| !table.search.is_empty()).map(index).collect();
    // Whoever may not make it may find it made.
    format!(
        "DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm; EXCEPTION WHEN OTHERS THEN NULL; END $$;\n\
         DO $$ DECLARE home name; BEGIN\n  SELECT n.nspname INTO home FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace \
         WHERE o.opcname = 'gin_trgm_ops';\n  IF home IS NOT NULL THEN\n{indexes}  END IF;\nEND $$;\n"
    )
}

/// Whether searches have all the indexes that this account could make now.
async fn has_searches(connection: &mut PgConnection, schema: &Schema, name: &str) -> Result<bool, sqlx::Error> {
    let indexes = schema.tables.iter().filter(|table| !table.search.is_empty());
    let indexes: Vec<String> = indexes.map(|table| format!("{}_search", table.name)).collect();
    let asked = "SELECT NOT (EXISTS (SELECT FROM pg_opclass WHERE opcname = 'gin_trgm_ops') \
                 OR has_database_privilege(current_database(), 'CREATE') \
                 AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')) \
                 OR NOT EXISTS (SELECT FROM unnest($2::text[]) AS wanted (name) WHERE NOT EXISTS \
                 (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = wanted.name))";
    sqlx::query_scalar(asked).bind(name).bind(indexes).fetch_one(connection).await
}

/// The first table of the frame that somebody else owns in a schema. Its owner would have triggers in what this account writes.
async fn foreign_frame(connection: &mut PgConnection, name: &str) -> Result<Option<String>, sqlx::Error> {
    let asked = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname IN ('rolekeep_schema', 'lanes', 'gaps') \
                 AND pg_get_userbyid(c.relowner) <> current_user ORDER BY c.relname LIMIT 1";
    sqlx::query_scalar(asked).bind(name).fetch_optional(connection).await
}

async fn is_schema(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let asked = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    sqlx::query_scalar(asked).bind(name).fetch_one(connection).await
}

/// What a schema says of the scripts that it has seen.
async fn history(connection: &mut PgConnection, name: &str) -> Result<History, sqlx::Error> {
    let columns = "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relname = 'rolekeep_schema' AND a.attnum > 0 AND NOT a.attisdropped";
    let columns: i64 = sqlx::query_scalar(columns).bind(name).fetch_one(&mut *connection).await?;
    if columns == 0 {
        return Ok(History { tables: tables(connection, name).await?, ..History::default() });
    }
    let is_whole = columns > 2;
    let others = if is_whole { "name, sha256" } else { "NULL::text, NULL::text" };
    // Safe: names that were checked.
    let asked = AssertSqlSafe(format!(
        "SELECT version, {others}, (extract(epoch FROM applied_at) * 1000000)::bigint FROM {}.rolekeep_schema ORDER BY version",
        quoted(name)
    ));
    let seen = sqlx::query(asked).fetch_all(&mut *connection).await?;
    let seen = seen.iter().map(|row| {
        Ok(Seen {
            version: row.try_get(0)?,
            name: row.try_get(1)?,
            sha256: row.try_get(2)?,
            applied_at: row.try_get(3)?,
        })
    });
    let seen = seen.collect::<Result<Vec<_>, sqlx::Error>>()?;
    let tables = if seen.is_empty() { tables(connection, name).await? } else { Vec::new() };
    Ok(History { is_there: true, is_whole, is_unfinished: false, seen, tables })
}

async fn tables(connection: &mut PgConnection, name: &str) -> Result<Vec<String>, sqlx::Error> {
    let asked = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
    sqlx::query_scalar(asked).bind(name).fetch_all(connection).await
}
