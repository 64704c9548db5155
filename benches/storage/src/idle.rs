//! What an instance does that nobody asks for anything.

use std::time::Duration;

use anyhow::Result;
use rolekeep::{UserManagement, storage::PostgresOptions, users::CreateUser};
use rolekeep_lab::figures::spent;
use rolekeep_postgres_tests::Cluster;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::Extent;

/// Of an instance on PostgreSQL that listens.
#[derive(Serialize, Deserialize)]
pub struct Idle {
    pub seconds: f64,
    /// What the server ran.
    pub transactions: i64,
    /// The processor's time of the process, in milliseconds.
    pub spent: f64,
}

pub async fn measure(extent: Extent) -> Result<Idle> {
    let cluster = Cluster::start();
    let mut db = cluster.connect().await;
    let um = UserManagement::builder().postgres_with(PostgresOptions::new(cluster.url())).open().await?;
    um.system().users().create(CreateUser::new("ada@example.org")).await?;
    // What follows a commit is over, the instance counts as at rest, and it has tidied for the first time, which it does in its second
    // minute.
    let (settled, seconds) = if extent == Extent::Whole { (130, 60) } else { (5, 5) };
    tokio::time::sleep(Duration::from_secs(settled)).await;
    let (before, spent_before) = (transactions(&mut db).await?, spent());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = spent() - spent_before;
    // Each question for the count is one of them.
    let ran = transactions(&mut db).await? - before - 1;
    um.close().await?;
    Ok(Idle { seconds: seconds as f64, transactions: ran, spent: used.as_secs_f64() * 1e3 })
}

/// Transactions that the server has counted; it does so once a second.
async fn transactions(db: &mut PgConnection) -> Result<i64> {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(count).fetch_one(db).await?)
}
