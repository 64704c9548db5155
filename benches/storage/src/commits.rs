//! Commits in PostgreSQL, beside bare sqlx that reads and writes the same rows: each client reads a row, changes it, adds a row and an
//! entry of a log. What ours does beside that is its work: to compare what was read, to seal the log, to tell of it in the feed.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rolekeep::{
    Value,
    internals::record::Record,
    storage::{
        ChangeSet, CommitError, Key, PostgresOptions, PostgresStorage, Storage, Write,
        conformance::{Item, Tie, audit, change_set, id},
    },
};
use rolekeep_postgres_tests::{Cluster, proxy::{Faults, Proxy}};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use uuid::Uuid;

/// Rows that clients meet on.
const ROWS: u128 = 20_000;
/// The same connections for both.
const WRITERS: usize = 16;
const READERS: usize = 16;
const SECONDS: u64 = 5;

/// Prints a table: clients, commits a second of both, and their ratio; as long as each commit may take over a network that is so slow.
pub async fn measure() -> Result<()> {
    println!("| clients | network | bare commits/s | ours | ratio | bare read | ours | ratio |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|");
    for late in [0, 2] {
        for clients in [1, 8, 32] {
            let cluster = Cluster::durable();
            cluster.connect().await;
            let proxy = (late > 0).then(|| Proxy::start(cluster.folder(), 0));
            let slow = Faults { late: 1_000, late_by: Duration::from_millis(late), ..Faults::default() };
            proxy.iter().for_each(|proxy| proxy.set(slow));
            let url = proxy.as_ref().map_or_else(|| cluster.url(), Proxy::url);
            let bare = bare(&url, clients).await?;
            let ours = ours(&url, clients).await?;
            println!(
                "| {clients} | {late} ms | {:.0} | {:.0} | {:.2} | {:.0} µs | {:.0} µs | {:.2} |",
                bare.commits,
                ours.commits,
                ours.commits / bare.commits,
                bare.read,
                ours.read,
                ours.read / bare.read
            );
        }
    }
    Ok(())
}

struct Rate {
    /// A second.
    commits: f64,
    /// The mean, microseconds.
    read: f64,
}

/// Runs clients for some seconds; each gives how long its read took.
async fn run<C, F>(clients: usize, client: C) -> Result<Rate>
where
    C: Fn(u64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Duration>> + Send,
{
    let (client, is_over) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
    let (commits, reading) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let number = Arc::new(AtomicU64::new(1));
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (client, is_over) = (client.clone(), is_over.clone());
            let (commits, reading, number) = (commits.clone(), reading.clone(), number.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let read = client(number.fetch_add(1, Ordering::Relaxed)).await?;
                    commits.fetch_add(1, Ordering::Relaxed);
                    reading.fetch_add(read.as_micros() as u64, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    // What is prepared the first time is not counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, read_before, start) =
        (commits.load(Ordering::Relaxed), reading.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let count = (commits.load(Ordering::Relaxed) - before) as f64;
    let read = (reading.load(Ordering::Relaxed) - read_before) as f64;
    let seconds = start.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    Ok(Rate { commits: count / seconds, read: read / count })
}

fn row_of(number: u64) -> u128 {
    u128::from(fastrand::Rng::with_seed(number).u64(..)) % ROWS
}

async fn ours(url: &str, clients: usize) -> Result<Rate> {
    let options = PostgresOptions::new(url).writers(WRITERS).readers(READERS);
    let storage = Arc::new(PostgresStorage::open_for_conformance(options).await?);
    for from in (0..ROWS).step_by(1_000) {
        let items = (from..from + 1_000).map(|number| Write::insert(&mut Item::new(number, "an item"))).collect();
        storage.commit(&change_set((from + 1) << 80, items)).await?;
    }
    run(clients, move |number| {
        let storage = storage.clone();
        async move {
            loop {
                let key = Key(vec![Value::Id(id(row_of(number)).0)]);
                let start = Instant::now();
                let row = storage.get(Item::TABLE, &[key]).await?.pop().flatten();
                let read = start.elapsed();
                let Some(row) = row else { bail!("a row is not there") };
                let mut item = Item::from_row(row)?;
                item.note = Some(format!("changed by {number}"));
                let mut tie = Tie { item: item.id, tag: number.to_string(), version: 0 };
                let writes = vec![Write::update(&mut item), Write::insert(&mut tie)];
                let number = u128::from(number);
                let change = ChangeSet { audit: vec![audit(number, "items.change")], ..change_set(number, writes) };
                match storage.commit(&change).await {
                    Ok(_) => return Ok(read),
                    Err(CommitError::Stale { .. }) => {}
                    Err(other) => bail!("{other:?}"),
                }
            }
        }
    })
    .await
}

async fn bare(url: &str, clients: usize) -> Result<Rate> {
    // The same tables with the same indexes.
    let options = PostgresOptions::new(url).schema("bare");
    PostgresStorage::open_for_conformance(options).await?.close().await?;
    let connection = PgConnectOptions::from_str(url)?
        .ssl_mode(PgSslMode::Disable)
        .options([("search_path", "bare"), ("jit", "off"), ("plan_cache_mode", "force_generic_plan")]);
    let pool = PgPoolOptions::new().max_connections((WRITERS + READERS) as u32).test_before_acquire(false);
    let pool = pool.acquire_timeout(Duration::from_secs(60)).connect_with(connection).await?;
    let rows = "INSERT INTO conformance_items (id, name, flag, at, version, search_text) \
                SELECT lpad(to_hex(n), 32, '0')::uuid, 'an item', false, 0, 1, 'an item' FROM generate_series(0, 19999) n";
    sqlx::query(rows).execute(&pool).await?;
    let rate = run(clients, {
        let pool = pool.clone();
        move |number| one(pool.clone(), number)
    })
    .await;
    pool.close().await;
    rate
}

type Read = (Uuid, String, Option<String>, Option<i64>, bool, i64, Option<Uuid>, i64);

async fn one(pool: PgPool, number: u64) -> Result<Duration> {
    loop {
        let id = Uuid::from_u128(row_of(number));
        let start = Instant::now();
        let read = "SELECT id, name, note, rank, flag, at, owner, version FROM conformance_items WHERE id = $1";
        let row: Read = sqlx::query_as(read).bind(id).fetch_one(&pool).await?;
        let read = start.elapsed();
        let mut transaction = pool.begin().await?;
        let change = "UPDATE conformance_items SET note = $1, search_text = $4, version = version + 1 WHERE id = $2 AND version = $3";
        let note = format!("changed by {number}");
        let changed = sqlx::query(change).bind(note.clone()).bind(id).bind(row.7).bind(note).execute(&mut *transaction).await?;
        if changed.rows_affected() == 0 {
            transaction.rollback().await?;
            continue;
        }
        let tie = "INSERT INTO conformance_ties (item, tag, version) VALUES ($1, $2, 1)";
        sqlx::query(tie).bind(id).bind(number.to_string()).execute(&mut *transaction).await?;
        // As long as ours, with hash, commitment and seal.
        let log = "INSERT INTO audit_entries (lane, seq, id, at, action, actor, target_type, payload, salt, commitment, previous, \
                   hash, key_id, mac, version) VALUES (0, $1, $2, 1, 'items.change', 'system', 'item', $3, $4, $5, $5, $5, $6, $6, 1)";
        sqlx::query(log)
            .bind(number as i64)
            .bind(Uuid::from_u128(u128::from(number)))
            .bind(format!("{{\"detail\":\"entry {number}\"}}"))
            .bind("0".repeat(32))
            .bind("0".repeat(64))
            .bind("0".repeat(43))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        return Ok(read);
    }
}
