//! A file that holds a workload as the product's own rows.

use std::path::Path;

use anyhow::{Context, Result};
use rolekeep::UserManagement;
use rolekeep_lab::{NOW, Workload, ours};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

/// So many rows at once.
const CHUNK: usize = 20_000;

/// As the product writes a new user without password and username; `?2` is the time.
const USERS: &str = "
    INSERT INTO users (id, email, email_verified, visibility, status, created_at, updated_at, version, email_key, username_key,
        last_name_key, search_text)
    SELECT value, value || '@example.org', 1, 'private', 'active', ?2, ?2, 1, value || '@example.org', '', '', ' ' || replace(value, '-', ' ') || ' example org'
    FROM json_each(?1)";
const ASSIGNMENTS: &str = "
    INSERT INTO role_assignments (user_id, role, scope, assigned_by, assigned_at, version)
    SELECT value ->> 0, value ->> 1, 'global', 'system', ?2, 1 FROM json_each(?1)";
/// What comes with each user: its guard, and the claim on its address.
const REST: &str = "
    INSERT INTO guards (name, version) SELECT 'user:' || id, 1 FROM users ORDER BY id;
    INSERT INTO claims (kind, name, owner, version) SELECT 'email', email, id, 1 FROM users ORDER BY email;";

/// Makes it, if it is not there. The policy is stored by the product itself, users in bulk.
pub async fn make(workload: &Workload, file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let new = file.with_extension("new");
    if new.exists() {
        std::fs::remove_file(&new)?;
    }
    UserManagement::builder().sqlite(&new).policy(ours::policy(workload)).open().await?.close().await?;
    let options = SqliteConnectOptions::new().filename(&new).synchronous(SqliteSynchronous::Off);
    let options = options.pragma("cache_size", "-200000").pragma("temp_store", "MEMORY").disable_statement_logging();
    let mut db = options.clone().journal_mode(SqliteJournalMode::Off).connect().await?;
    fill(workload, &mut db).await.with_context(|| new.display().to_string())?;
    sqlx::Connection::close(db).await?;
    // As the product keeps it.
    let db = options.journal_mode(SqliteJournalMode::Wal).connect().await?;
    sqlx::Connection::close(db).await?;
    Ok(std::fs::rename(&new, file)?)
}

async fn fill(workload: &Workload, db: &mut SqliteConnection) -> Result<()> {
    // Indexes are made at the end: that is much faster.
    let indexes = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL \
                   AND tbl_name IN ('users', 'role_assignments', 'claims')";
    let indexes = sqlx::query(indexes).fetch_all(&mut *db).await?;
    for index in &indexes {
        let drop = format!("DROP INDEX \"{}\"", index.get::<&str, _>("name"));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *db).await?;
    }
    let mut users: Vec<(Uuid, u32)> = (0..workload.users).map(|user| (Workload::user_id(user), user)).collect();
    users.sort_unstable();
    sqlx::raw_sql("BEGIN").execute(&mut *db).await?;
    for users in users.chunks(CHUNK) {
        let ids = users.iter().map(|(id, _)| Value::String(id.to_string())).collect();
        let held = users.iter().flat_map(|(id, user)| {
            let roles = workload.assignments(*user).iter().map(|one| &workload.roles[one.role as usize].name);
            let mut roles: Vec<&String> = roles.collect();
            roles.sort_unstable();
            roles.into_iter().map(move |role| Value::from(vec![id.to_string(), role.clone()]))
        });
        for (sql, rows) in [(USERS, ids), (ASSIGNMENTS, Value::Array(held.collect()))] {
            sqlx::query(sql).bind(rows.to_string()).bind(NOW).execute(&mut *db).await?;
        }
    }
    sqlx::raw_sql(REST).execute(&mut *db).await?;
    sqlx::raw_sql("COMMIT").execute(&mut *db).await?;
    for index in &indexes {
        sqlx::raw_sql(AssertSqlSafe(index.get::<String, _>("sql"))).execute(&mut *db).await?;
    }
    Ok(())
}
