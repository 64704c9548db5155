//! The table on a PostgreSQL of our own.

use anyhow::{Result, anyhow};
use rolekeep::storage::sql::SqlCondition;
use rolekeep_postgres_tests::{Cluster, bound};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use super::{Database, IDS, SUM, things};

/// Where Debian installs it.
pub const PROGRAMS: &str = "/usr/lib/postgresql";

const TABLE: &str = "
    CREATE TABLE things (id uuid PRIMARY KEY, title text NOT NULL, region_id uuid NOT NULL, owner_id uuid NOT NULL,
        status text NOT NULL, level bigint NOT NULL, is_public boolean NOT NULL, size bigint NOT NULL);
    CREATE INDEX by_region ON things (region_id);
    CREATE INDEX by_owner ON things (owner_id);
    CREATE INDEX by_public ON things (is_public);";

/// A connection to it, and the server.
pub struct Things {
    db: PgConnection,
    // Ends when it is dropped, after the connection.
    _cluster: Cluster,
}

impl Things {
    /// Starts a server, makes and fills it.
    pub async fn make() -> Result<Self> {
        let cluster = Cluster::start();
        let mut db = cluster.connect().await;
        sqlx::raw_sql(TABLE).execute(&mut db).await?;
        let mut filling = db.begin().await?;
        for thing in things() {
            let insert = sqlx::query("INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
            let insert = insert.bind(thing.id).bind(thing.title).bind(thing.region_id).bind(thing.owner_id);
            let insert = insert.bind(thing.status).bind(thing.level).bind(thing.is_public).bind(thing.size);
            insert.execute(&mut *filling).await?;
        }
        filling.commit().await?;
        sqlx::raw_sql("VACUUM ANALYZE things").execute(&mut db).await?;
        Ok(Self { db, _cluster: cluster })
    }
}

impl Database for Things {
    async fn name(&mut self) -> Result<String> {
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut self.db).await?;
        Ok(format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()))
    }

    async fn ids(&mut self, condition: &SqlCondition) -> Result<Vec<Uuid>> {
        let text = format!("{IDS} ({}) ORDER BY id", condition.text);
        let rows = bound(text, &condition.parameters).fetch_all(&mut self.db).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn sum(&mut self, condition: &SqlCondition) -> Result<i64> {
        let text = format!("SELECT ({SUM} ({}))::bigint", condition.text);
        Ok(bound(text, &condition.parameters).fetch_one(&mut self.db).await?.get(0))
    }

    async fn indexes(&mut self, condition: &SqlCondition) -> Result<Vec<String>> {
        let text = format!("EXPLAIN (FORMAT JSON) {SUM} ({})", condition.text);
        let row = bound(text, &condition.parameters).fetch_one(&mut self.db).await?;
        let plan: String = row.try_get_unchecked(0).map_err(|error| anyhow!("EXPLAIN: {error}"))?;
        let after = |line: &str| Some(line.split_once("\"Index Name\": \"")?.1.split('"').next()?.to_owned());
        Ok(plan.lines().filter_map(after).collect())
    }
}
