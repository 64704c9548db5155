//! The schema of a database: what version it has, and the scripts that bring it to ours.

use sqlx::{AssertSqlSafe, Connection as _, postgres::PgConnection};
use tokio::time::timeout;

use super::{
    connections::{Connections, Fault},
    error,
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
            migrations::{self, Schema},
            quoted,
        },
    },
};

/// The scripts that were released, in order; a released script never changes.
const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/postgres/0001_initial.sql")];

/// The oldest server.
const OLDEST: i32 = 130_000;

/// The table that says which of them a schema has seen, and those of commits: the newest one of each lane with the versions of guards
/// that stand there, until when it is left to who used it last (microseconds since 1970); and the buckets of rows that are not there.
fn frame() -> String {
    let guards = Guard::OF_ALL.map(|name| format!("{} bigint NOT NULL DEFAULT 0", quoted(name))).join(", ");
    format!(
        "CREATE TABLE IF NOT EXISTS rolekeep_schema (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()); \
         CREATE TABLE IF NOT EXISTS lanes (lane bigint PRIMARY KEY, number bigint NOT NULL DEFAULT 0, \
         tag bigint NOT NULL DEFAULT 0, until bigint NOT NULL DEFAULT 0, {guards}) WITH (fillfactor = 10); \
         INSERT INTO lanes (lane) SELECT generate_series(0, {}) ON CONFLICT DO NOTHING; \
         CREATE TABLE IF NOT EXISTS gaps (bucket bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50); \
         INSERT INTO gaps (bucket) SELECT generate_series(0, {}) ON CONFLICT DO NOTHING;",
        MOST_LANES - 1,
        GAPS - 1,
    )
}

/// The indexes of searches, where the extension for them is there or may be made.
const SEARCHES: &str = "CREATE EXTENSION IF NOT EXISTS pg_trgm";

/// This library's tables.
pub(super) fn released() -> Schema {
    Schema::released(MIGRATIONS)
}

/// These tables, made from their declarations at once.
#[cfg(any(test, feature = "testing"))]
pub(super) fn generated(tables: Vec<&'static Table>) -> Schema {
    Schema::generated(Dialect::Postgres, tables, MIGRATIONS.len())
}

/// The newest script.
pub(super) fn known() -> i64 {
    migrations::newest(MIGRATIONS)
}

/// Refuses a schema that a newer version of this library has migrated.
///
/// # Errors
/// [`Reason::SchemaNewer`]
pub(super) fn require_known(version: i64) -> Result<()> {
    migrations::require_known(version, known())
}

/// Brings a schema to what this library knows, if it is not there yet; or refuses it, where that is not to be done here.
pub(super) async fn run(connections: &Connections, schema: &Schema, name: &str, migrates: bool) -> Result<()> {
    // Several that are opened at once make the same things, of which only one succeeds.
    const ATTEMPTS: usize = 20;
    for attempt in 1.. {
        let mut writer = connections.writer().await?;
        let longest = writer.longest();
        let server = timeout(longest, server(writer.get().map_err(error::error)?)).await;
        require_fit(&writer.settle(server).map_err(Error::from)?, name)?;
        let version = timeout(longest, version(writer.get().map_err(error::error)?, name)).await;
        let version = writer.settle(version).map_err(Error::from)?;
        require_known(version)?;
        if version == known() {
            return Ok(());
        }
        if !migrates {
            let message = format!("the database has schema {version}, and {} is needed: migrate it", known());
            return Err(Error::new(Reason::SchemaForeign, message));
        }
        // Without a time of its own, as an index of many rows takes as long as it takes.
        let migrated = migrate(writer.get().map_err(error::error)?, schema, name).await;
        let migrated = writer.settle(Ok(migrated));
        if migrated.is_err() {
            // A transaction may be open on it.
            writer.give_up();
        }
        match migrated {
            Err(Fault::Sql(problem)) if attempt < ATTEMPTS && is_race(&problem) => {}
            done => return done.map_err(Error::from),
        }
    }
    Ok(())
}

/// The server's version, such as 150003, the encoding of the database, and two settings of the session.
type Server = (i32, String, String, String);

async fn server(connection: &mut PgConnection) -> Result<Server, sqlx::Error> {
    let asked = "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), \
                 current_setting('search_path'), current_setting('synchronous_commit')";
    sqlx::query_as(asked).fetch_one(connection).await
}

fn require_fit((version, encoding, path, durable): &Server, schema: &str) -> Result<()> {
    let version = *version;
    if path != schema {
        let message = "the connection does not have the options it was made with, such as `search_path`: a pooler in between has to let \
                       them pass";
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    if durable == "off" {
        let message =
            "`synchronous_commit` is off for this account, so that acknowledged commits may be lost: turn it on";
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    if version < OLDEST {
        let message = format!("PostgreSQL {} or newer is needed; this one is {}", OLDEST / 10_000, version / 10_000);
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    if encoding != "UTF8" {
        let message = format!("the database has the encoding {encoding}; make one with UTF8");
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    Ok(())
}

/// Whether somebody else made the same thing at the same time.
fn is_race(problem: &sqlx::Error) -> bool {
    error::state(problem)
        .is_some_and(|state| matches!(&*state, "23505" | "42P06" | "42P07" | "42710" | "40001" | "40P01"))
}

async fn migrate(connection: &mut PgConnection, schema: &Schema, name: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        .execute(&mut *transaction)
        .await?;
    // Safe: names that were checked, and scripts of this library.
    let make = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(name));
    if !is_schema(&mut transaction, name).await? {
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *transaction).await?;
    }
    // Safe: names of this library.
    sqlx::raw_sql(AssertSqlSafe(frame())).execute(&mut *transaction).await?;
    sqlx::raw_sql("LOCK TABLE rolekeep_schema IN EXCLUSIVE MODE").execute(&mut *transaction).await?;
    // No commit of another instance comes between.
    sqlx::query("SELECT lane FROM lanes ORDER BY lane FOR UPDATE").fetch_all(&mut *transaction).await?;
    let newest = "SELECT coalesce(max(version), 0) FROM rolekeep_schema";
    let version: i64 = sqlx::query_scalar(newest).fetch_one(&mut *transaction).await?;
    for (at, script) in (1_i64..).zip(&schema.scripts).filter(|(at, _)| *at > version) {
        sqlx::raw_sql(AssertSqlSafe(script.clone())).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO rolekeep_schema (version) VALUES ($1)").bind(at).execute(&mut *transaction).await?;
    }
    index_searches(&mut transaction, &schema.tables).await?;
    transaction.commit().await
}

/// Makes indexes of search texts; without the extension, a search looks at each row.
async fn index_searches(connection: &mut PgConnection, tables: &[&'static Table]) -> Result<(), sqlx::Error> {
    // Whoever may not make it may find it made.
    let mut tries = connection.begin().await?;
    match sqlx::raw_sql(SEARCHES).execute(&mut *tries).await {
        Ok(_) => tries.commit().await?,
        Err(_) => tries.rollback().await?,
    }
    let home = "SELECT n.nspname FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE o.opcname = 'gin_trgm_ops'";
    let Some(home) = sqlx::query_scalar::<_, String>(home).fetch_optional(&mut *connection).await? else {
        return Ok(());
    };
    for table in tables.iter().filter(|table| !table.search.is_empty()) {
        let (name, of) = (quoted(&format!("{}_search", table.name)), quoted(table.name));
        let column = quoted(crate::storage::sql::SEARCH_TEXT);
        let index =
            format!("CREATE INDEX IF NOT EXISTS {name} ON {of} USING gin ({column} {}.gin_trgm_ops)", quoted(&home));
        // Safe: names of declarations.
        sqlx::raw_sql(AssertSqlSafe(index)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn is_schema(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let asked = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    sqlx::query_scalar(asked).bind(name).fetch_one(connection).await
}

/// The number of the newest script that a schema has seen; 0 if there is none.
async fn version(connection: &mut PgConnection, name: &str) -> Result<i64, sqlx::Error> {
    let made = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'rolekeep_schema')";
    if !sqlx::query_scalar::<_, bool>(made).bind(name).fetch_one(&mut *connection).await? {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM rolekeep_schema").fetch_one(connection).await
}
