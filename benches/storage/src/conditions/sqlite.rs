//! The table in an SQLite file.

use std::path::Path;

use anyhow::{Result, bail};
use rolekeep::storage::sql::{SqlCondition, SqlValue};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions},
};
use uuid::Uuid;

use super::{Database, IDS, SUM, things};

const TABLE: &str = "
    CREATE TABLE things (id TEXT PRIMARY KEY, title TEXT NOT NULL, region_id TEXT NOT NULL, owner_id TEXT NOT NULL,
        status TEXT NOT NULL, level INTEGER NOT NULL, is_public INTEGER NOT NULL, size INTEGER NOT NULL) STRICT;
    CREATE INDEX by_region ON things (region_id);
    CREATE INDEX by_owner ON things (owner_id);
    CREATE INDEX by_public ON things (is_public);";

/// A connection to it.
pub struct Things(SqliteConnection);

impl Things {
    /// Makes and fills it.
    pub async fn make(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut db = options.pragma("cache_size", "-100000").disable_statement_logging().connect().await?;
        sqlx::raw_sql(TABLE).execute(&mut db).await?;
        let mut filling = db.begin().await?;
        for thing in things() {
            let insert = sqlx::query("INSERT INTO things VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
            let insert = insert.bind(thing.id.to_string()).bind(thing.title).bind(thing.region_id.to_string());
            let insert = insert.bind(thing.owner_id.to_string()).bind(thing.status).bind(thing.level);
            insert.bind(thing.is_public).bind(thing.size).execute(&mut *filling).await?;
        }
        filling.commit().await?;
        sqlx::raw_sql("ANALYZE").execute(&mut db).await?;
        Ok(Self(db))
    }
}

fn bound(text: String, condition: &SqlCondition) -> Result<Query<'static, Sqlite, SqliteArguments>> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for parameter in &condition.parameters {
        query = match parameter {
            SqlValue::Int(int) => query.bind(*int),
            SqlValue::Text(text) => query.bind(text.clone()),
            other => bail!("SQLite binds no {other:?}"),
        };
    }
    Ok(query)
}

impl Database for Things {
    async fn name(&mut self) -> Result<String> {
        let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut self.0).await?;
        Ok(format!("SQLite {version}"))
    }

    async fn ids(&mut self, condition: &SqlCondition) -> Result<Vec<Uuid>> {
        let text = format!("{IDS} ({}) ORDER BY id", condition.text);
        let rows = bound(text, condition)?.fetch_all(&mut self.0).await?;
        rows.iter().map(|row| Ok(row.get::<&str, _>(0).parse()?)).collect()
    }

    async fn sum(&mut self, condition: &SqlCondition) -> Result<i64> {
        let row = bound(format!("{SUM} ({})", condition.text), condition)?.fetch_one(&mut self.0).await?;
        Ok(row.get(0))
    }

    async fn indexes(&mut self, condition: &SqlCondition) -> Result<Vec<String>> {
        let text = format!("EXPLAIN QUERY PLAN {SUM} ({})", condition.text);
        let rows = bound(text, condition)?.fetch_all(&mut self.0).await?;
        let lines: Vec<&str> = rows.iter().map(|row| row.get("detail")).collect();
        let index = |line: &&str| Some(line.split_once("INDEX ")?.1.split(' ').next()?.to_owned());
        let mut indexes: Vec<String> = lines.iter().filter_map(index).collect();
        indexes.dedup();
        Ok(indexes)
    }
}
