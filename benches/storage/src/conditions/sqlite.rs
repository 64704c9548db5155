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
        Ok(rows.iter().filter_map(|row| index(row.get("detail"))).collect())
    }
}

/// The table's index that a line of a plan names.
fn index(line: &str) -> Option<String> {
    let (_, found) = line.strip_prefix("SEARCH things USING ")?.split_once("INDEX ")?;
    Some(found.split(' ').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::*, Things, index};

    #[test]
    fn only_indexes_of_the_table_are_named() {
        let lines = [
            ("SEARCH things USING INDEX by_region (region_id=?)", Some("by_region")),
            ("SEARCH things USING COVERING INDEX by_owner (owner_id=?)", Some("by_owner")),
            ("SCAN json_each VIRTUAL TABLE INDEX 1:", None),
            ("MULTI-INDEX OR", None),
            ("SCAN things", None),
        ];
        lines.iter().for_each(|(line, found)| assert_eq!(index(line).as_deref(), *found, "{line}"));
    }

    /// Each side gives the rows that the check allows, counted here without SQL.
    #[tokio::test]
    async fn both_sides_give_the_rows_that_are_meant() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Things::make(&folder.path().join("things.db")).await.unwrap();
        let near = |thing: &Thing, regions| (0..regions).any(|at| region(at) == thing.region_id);
        let wanted: [&dyn Fn(&Thing) -> bool; 4] = [
            &|thing| near(thing, 1),
            &|thing| near(thing, 64),
            &|thing| near(thing, 1) && thing.status == "active" && thing.level <= LEVEL,
            &|thing| thing.owner_id == owner(ME) || thing.is_public,
        ];
        let now = Time::from_microsecond(NOW).unwrap();
        for (case, wanted) in CASES.iter().zip(wanted) {
            let mut ids: Vec<_> = things().filter(|thing| wanted(thing)).map(|thing| thing.id).collect();
            ids.sort_unstable();
            let ours = filter_of(case, now).unwrap().to_sql(&Dialect::Sqlite.mapping(), now).unwrap();
            for condition in [ours, (case.by_hand)(Dialect::Sqlite)] {
                assert_eq!(database.ids(&condition).await.unwrap(), ids, "{}: {}", case.name, condition.text);
                assert!(!database.indexes(&condition).await.unwrap().is_empty(), "{}", condition.text);
            }
        }
    }
}
