//! Whole operations on PostgreSQL over a network: round trips as they are counted, and as they are seen in time.

use std::{
    str::FromStr as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use rolekeep::{
    UserId, UserManagement,
    storage::PostgresOptions,
    users::{CreateUser, DeleteUser, GetUser, ListUsers, UpdateUser},
};
use rolekeep_postgres_tests::{
    Cluster,
    proxy::{Faults, Proxy},
};
use serde::{Deserialize, Serialize};
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{Extent, lists::figures};

/// So late the network gives an answer, in milliseconds.
pub const LATE: u64 = 2;

/// What an operation takes. Milliseconds are medians.
#[derive(Serialize, Deserialize)]
pub struct Travelled {
    pub operation: String,
    /// The round trips of one call, counted between the store and its server.
    pub trips: u64,
    pub near: f64,
    /// With the network between.
    pub far: f64,
}

/// One statement of bare sqlx first, which is one round trip.
pub async fn measure(extent: Extent) -> Result<Vec<Travelled>> {
    let cluster = Cluster::durable();
    cluster.connect().await;
    let proxy = Proxy::start(cluster.folder(), 0);
    let options = PostgresOptions::new(proxy.url()).listener_url(cluster.url()).writers(1).readers(1);
    let um = UserManagement::builder().postgres_with(options).open().await?;
    let bare = PgConnectOptions::from_str(&proxy.url())?.ssl_mode(PgSslMode::Disable);
    let mut bare = PgConnection::connect_with(&bare).await?;
    let calls = if extent == Extent::Whole { 100 } else { 5 };
    let users = prepared(&um, 4 * calls).await?;
    let all = ["SELECT 1", "users.get", "a check", "users.list", "users.create", "users.update", "users.delete"];
    let mut travelled = Vec::new();
    for operation in all {
        let mut medians = [0.0; 2];
        let mut trips = 0;
        for (at, late) in [0, LATE].into_iter().enumerate() {
            let mut took = Vec::new();
            for call in 0..=calls {
                proxy.set(Faults::default());
                let run = one(&um, &mut bare, operation, users[2 * call + at]);
                if late > 0 {
                    proxy.set(Faults { late: 1_000, late_by: Duration::from_millis(late), ..Faults::default() });
                }
                let (before, begin) = (proxy.trips(), Instant::now());
                run.await.with_context(|| operation.to_owned())?;
                let spent = begin.elapsed().as_secs_f64() * 1e3;
                // The first one prepares its statements.
                if call > 0 {
                    took.push(spent);
                    trips = proxy.trips() - before;
                }
                // What follows a commit is over.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            medians[at] = figures(took).1;
        }
        let [near, far] = medians;
        eprintln!("{operation}: {trips} round trips, {near:.2} and {far:.2} ms");
        travelled.push(Travelled { operation: operation.to_owned(), trips, near, far });
    }
    um.close().await?;
    Ok(travelled)
}

async fn prepared(um: &UserManagement, count: usize) -> Result<Vec<UserId>> {
    let mut users = Vec::new();
    for at in 0..count {
        users.push(um.system().users().create(CreateUser::new(format!("user{at}@example.org"))).await?.id);
    }
    Ok(users)
}

/// Runs it once.
fn one<'a>(
    um: &'a UserManagement,
    bare: &'a mut PgConnection,
    operation: &'a str,
    user: UserId,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let (system, now) = (um.system(), fastrand::u64(..));
        match operation {
            "SELECT 1" => drop(sqlx::query("SELECT 1").fetch_one(bare).await?),
            "users.get" => drop(system.users().get(GetUser::new(user)).await?),
            // Of somebody whose rights are not in memory.
            "a check" => drop(um.check(user, "user:read", None).await?),
            "users.list" => drop(system.users().list(ListUsers::new()).await?),
            "users.create" => drop(system.users().create(CreateUser::new(format!("{now}@example.org"))).await?),
            "users.update" => {
                drop(system.users().update(UpdateUser::new(user).last_name(format!("Name {now}"))).await?)
            }
            _ => system.users().delete(DeleteUser::new(user)).await?,
        }
        Ok(())
    })
}
