//! Users in a PostgreSQL of their own.

use std::path::Path;

use anyhow::Result;
use rolekeep::{
    UserManagement,
    storage::{PostgresOptions, PostgresStorage, Storage},
};
use rolekeep_postgres_tests::Cluster;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;

use super::{CHUNK, Sql, rows};
use crate::scale::actor;

const INSERT: &str = "
    INSERT INTO users (id, username, email, email_verified, first_name, last_name, full_name, region_id, status, created_at, updated_at,
        visibility, version, username_key, email_key, last_name_key, search_text)
    SELECT (value ->> 0)::uuid, value ->> 1, value ->> 2, true, value ->> 3, value ->> 4, value ->> 5, (value ->> 6)::uuid, value ->> 7,
        (value ->> 8)::bigint, (value ->> 8)::bigint, 'private', 1, value ->> 1, value ->> 2, value ->> 4,
        value ->> 9 FROM jsonb_array_elements($1::jsonb) AS value";

/// Drops the indexes of a table but that of its key, so that it is filled quickly; gives how they are made.
async fn made(db: &mut PgConnection, table: &str) -> Result<Vec<String>> {
    let made = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'rolekeep' AND tablename = $1 AND indexname <> $1 || '_pkey'";
    let made: Vec<(String, String)> = sqlx::query_as(made).bind(table).fetch_all(&mut *db).await?;
    for (name, _) in &made {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX \"{name}\""))).execute(&mut *db).await?;
    }
    Ok(made.into_iter().map(|(_, definition)| definition).collect())
}

async fn remake(db: &mut PgConnection, made: Vec<String>) -> Result<()> {
    for definition in made {
        sqlx::raw_sql(AssertSqlSafe(definition)).execute(&mut *db).await?;
    }
    Ok(())
}

pub struct Base {
    storage: PostgresStorage,
    db: PgConnection,
    cluster: Cluster,
}

#[async_trait::async_trait]
impl super::Base for Base {
    const SQL: Sql = Sql::Postgres;
    const NAME: &'static str = "PostgreSQL";

    async fn make(_: &Path, users: u64) -> Result<Self> {
        let cluster = Cluster::start();
        let mut db = cluster.connect().await;
        let storage = PostgresStorage::open(PostgresOptions::new(cluster.url())).await?;
        sqlx::raw_sql("SET search_path = rolekeep; SET maintenance_work_mem = '1GB'").execute(&mut db).await?;
        let made = made(&mut db, "users").await?;
        let mut random = fastrand::Rng::with_seed(1);
        for from in (0..users).step_by(usize::try_from(CHUNK)?) {
            let rows = rows(from, users.min(from + CHUNK), users, &mut random);
            sqlx::query(INSERT).bind(rows).execute(&mut db).await?;
        }
        remake(&mut db, made).await?;
        sqlx::raw_sql("VACUUM ANALYZE users").execute(&mut db).await?;
        Ok(Self { storage, db, cluster })
    }

    fn ours(&self) -> &dyn Storage {
        &self.storage
    }

    async fn by_hand(&mut self, page: String, count: Option<String>) -> Result<(Vec<Uuid>, Option<u64>)> {
        let rows = sqlx::query(AssertSqlSafe(page)).fetch_all(&mut self.db).await?;
        let mut total: Option<i64> = None;
        if let Some(count) = count {
            total = Some(sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut self.db).await?);
        }
        let ids = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
        Ok((ids, total.map(i64::unsigned_abs)))
    }

    async fn fill_log(&mut self, users: u64, entries: u64) -> Result<()> {
        let db = &mut self.db;
        let made = made(db, "audit_entries").await?;
        let from = actor(users, 0);
        let (_, rest) = from.split_at(8);
        // In a lane that is used last of all.
        let insert = format!(
            "INSERT INTO audit_entries (lane, seq, id, at, action, actor, target_type, target_id, payload, salt, commitment, previous, hash, version) \
             SELECT 63, i, (lpad(to_hex(i), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, i * 1000, \
             CASE i % 10 WHEN 0 THEN 'users.update' ELSE 'sessions.login' END, lpad(to_hex(i % $1), 8, '0') || '{rest}', 'user', \
             lpad(to_hex((i * 7) % $1), 8, '0') || '{rest}', '{{\"changed\":[\"last_name\"],\"of\":' || i || '}}', $3, $4, $4, $4, 1 \
             FROM generate_series(0, $2 - 1) AS i"
        );
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(users as i64).bind(entries as i64);
        insert.bind("0".repeat(32)).bind("0".repeat(64)).execute(&mut *db).await?;
        let head = "INSERT INTO audit_heads (lane, seq, hash, version) VALUES (63, $1, '', 1)";
        sqlx::query(head).bind(entries as i64).execute(&mut *db).await?;
        remake(db, made).await?;
        sqlx::raw_sql("VACUUM ANALYZE audit_entries").execute(db).await?;
        Ok(())
    }

    async fn open(&self) -> Result<UserManagement> {
        Ok(UserManagement::builder().postgres_with(PostgresOptions::new(self.cluster.url())).open().await?)
    }

    async fn end(self) -> Result<()> {
        self.storage.close().await?;
        Ok(self.db.close().await?)
    }
}
