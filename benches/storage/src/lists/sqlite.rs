//! Users in one SQLite file.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rolekeep::{
    UserManagement,
    storage::{SqliteOptions, SqliteStorage, Storage, sqlite::Durability},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use uuid::Uuid;

use super::{CHUNK, Sql, rows};
use crate::scale::actor;

const INSERT: &str = "
    INSERT INTO users (id, username, email, email_verified, first_name, last_name, full_name, region_id, status, created_at, updated_at,
        visibility, version, username_key, email_key, last_name_key, search_text)
    SELECT value ->> 0, value ->> 1, value ->> 2, 1, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 8,
        'private', 1, value ->> 1, value ->> 2, value ->> 4, value ->> 9 FROM json_each(?1)";

/// What the migration does for users who are there.
const INDEX: [&str; 2] = [
    "INSERT INTO users_search_rows (id) SELECT id FROM users ORDER BY id",
    "INSERT INTO users_search (rowid, text) SELECT n, search_text FROM users_search_rows JOIN users USING (id) ORDER BY n",
];

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Normal).disable_statement_logging()
}

/// Makes it, as it would be if they had come one after the other.
async fn make(file: &Path, users: u64) -> Result<()> {
    SqliteStorage::open(SqliteOptions::new(file)).await?.close().await?;
    let mut db = options(file).synchronous(SqliteSynchronous::Off).pragma("cache_size", "-200000").connect().await?;
    let made = made(&mut db, "users").await?;
    let mut random = fastrand::Rng::with_seed(1);
    sqlx::raw_sql("BEGIN").execute(&mut db).await?;
    for from in (0..users).step_by(usize::try_from(CHUNK)?) {
        let rows = rows(from, users.min(from + CHUNK), users, &mut random);
        sqlx::query(INSERT).bind(rows).execute(&mut db).await?;
    }
    for sql in INDEX {
        sqlx::raw_sql(sql).execute(&mut db).await?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut db).await?;
    remake(&mut db, &made).await?;
    Ok(db.close().await?)
}

/// Drops the indexes and triggers of a table, so that it is filled quickly; gives how they are made.
async fn made(db: &mut SqliteConnection, table: &str) -> Result<Vec<String>> {
    let made = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL AND tbl_name = ?1 \
                ORDER BY type";
    let made = sqlx::query(made).bind(table).fetch_all(&mut *db).await?;
    for one in &made {
        let drop = format!("DROP {} \"{}\"", one.get::<&str, _>("type"), one.get::<&str, _>("name"));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *db).await?;
    }
    Ok(made.iter().map(|one| one.get("sql")).collect())
}

async fn remake(db: &mut SqliteConnection, made: &[String]) -> Result<()> {
    for sql in made {
        sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *db).await?;
    }
    Ok(())
}

pub struct Base {
    storage: SqliteStorage,
    db: SqliteConnection,
    file: PathBuf,
}

#[async_trait::async_trait]
impl super::Base for Base {
    const SQL: Sql = Sql::Sqlite;
    const NAME: &'static str = "SQLite";

    async fn make(folder: &Path, users: u64) -> Result<Self> {
        let file = folder.join(format!("lists-{users}.db"));
        make(&file, users).await?;
        let storage = SqliteStorage::open(SqliteOptions::new(&file)).await?;
        Ok(Self { storage, db: options(&file).connect().await?, file })
    }

    fn ours(&self) -> &dyn Storage {
        &self.storage
    }

    async fn by_hand(&mut self, page: String, count: Option<String>) -> Result<(Vec<Uuid>, Option<u64>)> {
        let mut reading = self.db.begin().await?;
        let rows = sqlx::query(AssertSqlSafe(page)).fetch_all(&mut *reading).await?;
        let mut total: Option<i64> = None;
        if let Some(count) = count {
            total = Some(sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *reading).await?);
        }
        reading.commit().await?;
        let ids = rows.iter().map(|row| Ok(row.try_get::<&str, _>("id")?.parse()?)).collect::<Result<_>>()?;
        Ok((ids, total.map(i64::unsigned_abs)))
    }

    async fn fill_log(&mut self, users: u64, entries: u64) -> Result<()> {
        let mut db =
            options(&self.file).synchronous(SqliteSynchronous::Off).pragma("cache_size", "-200000").connect().await?;
        let made = made(&mut db, "audit_entries").await?;
        sqlx::raw_sql("BEGIN").execute(&mut db).await?;
        let from = actor(users, 0);
        let (_, rest) = from.split_at(8);
        // In a lane that nobody else has.
        let insert = format!(
            "INSERT INTO audit_entries (lane, seq, id, at, action, actor, target_type, target_id, payload, salt, commitment, previous, hash, version) \
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2) \
             SELECT 7, i, printf('%08x-0000-4000-8000-%012x', i, i), i * 1000, CASE i % 10 WHEN 0 THEN 'users.update' ELSE 'sessions.login' END, \
             printf('%08x{rest}', i % ?1), 'user', printf('%08x{rest}', (i * 7) % ?1), \
             '{{\"changed\":[\"last_name\"],\"of\":' || i || '}}', ?3, ?4, ?4, ?4, 1 FROM n"
        );
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(users as i64).bind(entries as i64);
        insert.bind("0".repeat(32)).bind("0".repeat(64)).execute(&mut db).await?;
        let head = "INSERT INTO audit_heads (lane, seq, hash, version) VALUES (7, ?1, '', 1)";
        sqlx::query(head).bind(entries as i64).execute(&mut db).await?;
        sqlx::raw_sql("COMMIT").execute(&mut db).await?;
        remake(&mut db, &made).await?;
        Ok(db.close().await?)
    }

    async fn open(&self) -> Result<UserManagement> {
        let options = SqliteOptions::new(&self.file).durability(Durability::Normal);
        Ok(UserManagement::builder().sqlite_with(options).open().await?)
    }

    async fn end(self) -> Result<()> {
        self.storage.close().await?;
        self.db.close().await?;
        Ok(std::fs::remove_file(self.file)?)
    }
}
