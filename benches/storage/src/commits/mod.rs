//! Commits and reads beside bare sqlx that reads and writes the same rows: each client reads a row, changes it, adds a row and an entry of
//! a log. The feed's line, the place in its lane and the end of the log are rows too: bare sqlx writes them as well. What ours does beside
//! that is its work: to compare what was read, and to seal the log.

mod placed;
mod postgres;
mod sqlite;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use futures_util::future::BoxFuture;
use rolekeep::{
    Value,
    internals::record::Record,
    storage::{
        ChangeSet, CommitError, Key, Storage, Write,
        conformance::{Item, Tie, audit, change_set, id},
    },
};
use serde::{Deserialize, Serialize};

use crate::Extent;

/// Rows that clients meet on.
const ROWS: u128 = 20_000;
/// A store's connections to PostgreSQL by default; as many for both.
const WRITERS: usize = 4;
const READERS: usize = 6;
const CLIENTS: [usize; 3] = [1, 8, 32];
/// As many tasks as one writer at a time keeps waiting.
const CROWD: usize = 64;

/// What it came to, with so many clients on one storage.
#[derive(Serialize, Deserialize)]
pub struct Outcome {
    /// `SQLite` or `PostgreSQL`.
    pub storage: String,
    /// How late the network gives an answer, in milliseconds: once a round trip.
    pub late: u64,
    pub clients: usize,
    /// Medians of the rounds.
    pub bare: Rate,
    pub ours: Rate,
    /// Ours to bare: medians of the rounds' ratios.
    pub commits: f64,
    pub read: f64,
    pub slowest: f64,
    /// A read between commits that come at the same pace for both.
    pub paced: f64,
    /// A read where clients only read.
    pub alone: f64,
}

/// How quick it was.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Rate {
    /// A second.
    pub commits: f64,
    /// The mean, microseconds.
    pub read: f64,
    /// What 99 of 100 commits took at most, with their read, milliseconds.
    pub slowest: f64,
    /// The mean of a read between commits that come at a pace, microseconds.
    pub paced: f64,
    /// The mean of a read where clients only read, microseconds.
    pub alone: f64,
}

/// A row as bare sqlx reads it: all columns of its declaration, as ours does.
type Read<Id> = (
    Id,
    String,
    Option<String>,
    Option<i64>,
    bool,
    Option<bool>,
    i64,
    Option<i64>,
    Option<Id>,
    Option<String>,
    Option<String>,
    i64,
);

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// They read a row, change it, and commit.
    Commit,
    /// They read a row.
    Read,
}

/// What one client does again and again, by its number and that of its turn; gives how long its read took.
type Client = Arc<dyn Fn(u64, u64, Work) -> BoxFuture<'static, Result<Duration>> + Send + Sync>;

/// Measures both in turns, on servers and files of their own.
pub async fn measure(extent: Extent) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for clients in CLIENTS.into_iter().chain([CROWD]) {
        outcomes.push(compare("SQLite", 0, clients, extent, sqlite::clients().await?).await?);
    }
    let processors = placed::halves()?;
    for late in [0, 2] {
        for clients in CLIENTS {
            let server = postgres::Server::start(late, &processors).await?;
            outcomes.push(compare("PostgreSQL", late, clients, extent, server.clients(clients).await?).await?);
        }
    }
    Ok(outcomes)
}

async fn compare(
    storage: &str,
    late: u64,
    clients: usize,
    extent: Extent,
    (bare, ours): (Client, Client),
) -> Result<Outcome> {
    let mut rounds = Vec::new();
    for _ in 0..extent.rounds() {
        let (mut of_bare, mut of_ours) = (both(clients, &bare, extent).await?, both(clients, &ours, extent).await?);
        // Where all clients do as much as they can, something has a queue, and a read waits in it as long as any other statement: nine of bare
        // sqlx's turns share the wait that two of ours share. What a read costs beside commits shows where both do the same, and less.
        let pace = Some(of_bare.commits.min(of_ours.commits) / 2.0);
        of_bare.paced = run(clients, &bare, Work::Commit, pace, extent).await?.read;
        of_ours.paced = run(clients, &ours, Work::Commit, pace, extent).await?.read;
        rounds.push((of_bare, of_ours));
    }
    let median = |of: &dyn Fn(&(Rate, Rate)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let outcome = Outcome {
        storage: storage.to_owned(),
        late,
        clients,
        bare: Rate {
            commits: median(&|(bare, _)| bare.commits),
            read: median(&|(bare, _)| bare.read),
            slowest: median(&|(bare, _)| bare.slowest),
            paced: median(&|(bare, _)| bare.paced),
            alone: median(&|(bare, _)| bare.alone),
        },
        ours: Rate {
            commits: median(&|(_, ours)| ours.commits),
            read: median(&|(_, ours)| ours.read),
            slowest: median(&|(_, ours)| ours.slowest),
            paced: median(&|(_, ours)| ours.paced),
            alone: median(&|(_, ours)| ours.alone),
        },
        commits: median(&|(bare, ours)| ours.commits / bare.commits),
        read: median(&|(bare, ours)| ours.read / bare.read),
        slowest: median(&|(bare, ours)| ours.slowest / bare.slowest),
        paced: median(&|(bare, ours)| ours.paced / bare.paced),
        alone: median(&|(bare, ours)| ours.alone / bare.alone),
    };
    eprintln!(
        "{storage}, {late} ms, {clients} clients: {:.0} and {:.0} commits/s, {:.2}; reads {:.0} and {:.0} µs, {:.2}; p99 {:.1} and {:.1} ms, {:.2}; paced reads {:.0} and {:.0} µs, {:.2}; reads alone {:.0} and {:.0} µs, {:.2}",
        outcome.bare.commits,
        outcome.ours.commits,
        outcome.commits,
        outcome.bare.read,
        outcome.ours.read,
        outcome.read,
        outcome.bare.slowest,
        outcome.ours.slowest,
        outcome.slowest,
        outcome.bare.paced,
        outcome.ours.paced,
        outcome.paced,
        outcome.bare.alone,
        outcome.ours.alone,
        outcome.alone
    );
    Ok(outcome)
}

/// Runs clients that commit, and then ones that only read.
async fn both(clients: usize, client: &Client, extent: Extent) -> Result<Rate> {
    let committed = run(clients, client, Work::Commit, None, extent).await?;
    Ok(Rate { alone: run(clients, client, Work::Read, None, extent).await?.read, ..committed })
}

/// Runs clients for a while, together with so many turns a second where there is a pace; no number is given twice.
async fn run(clients: usize, client: &Client, work: Work, pace: Option<f64>, extent: Extent) -> Result<Rate> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let (is_counted, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..clients as u64)
        .map(|of| {
            let (client, is_counted, is_over) = (client.clone(), is_counted.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                let (mut random, mut due) = (fastrand::Rng::with_seed(of), tokio::time::Instant::now());
                while !is_over.load(Ordering::Relaxed) {
                    if let Some(pace) = pace {
                        // As independent users come: the gaps between them are distributed exponentially.
                        due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() * clients as f64 / pace);
                        tokio::time::sleep_until(due).await;
                    }
                    let start = Instant::now();
                    let read = client(of, NUMBER.fetch_add(1, Ordering::Relaxed), work).await?;
                    if is_counted.load(Ordering::Relaxed) {
                        took.push((start.elapsed(), read));
                    }
                }
                anyhow::Ok(took)
            })
        })
        .collect();
    // What is prepared the first time is not counted.
    tokio::time::sleep(Duration::from_millis(500)).await;
    is_counted.store(true, Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(extent.a_round()).await;
    is_counted.store(false, Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    ensure!(!took.is_empty(), "nothing was committed in {seconds} s");
    let read: f64 = took.iter().map(|(_, read)| read.as_secs_f64() * 1e6).sum();
    took.sort_unstable();
    let slowest = took.get(took.len() * 99 / 100).map_or(0.0, |(whole, _)| whole.as_secs_f64() * 1e3);
    Ok(Rate { commits: took.len() as f64 / seconds, read: read / took.len() as f64, slowest, paced: 0.0, alone: 0.0 })
}

fn row_of(number: u64) -> u128 {
    u128::from(fastrand::Rng::with_seed(number).u64(..)) % ROWS
}

/// Ours, over a storage that holds the rows from here on.
async fn ours(storage: Arc<dyn Storage>) -> Result<Client> {
    for from in (0..ROWS).step_by(1_000) {
        let items = (from..from + 1_000).map(|number| Write::insert(&mut Item::new(number, "an item"))).collect();
        storage.commit(&change_set((from + 1) << 80, items)).await?;
    }
    Ok(Arc::new(move |_, number, work| Box::pin(turn(storage.clone(), number, work))))
}

async fn turn(storage: Arc<dyn Storage>, number: u64, work: Work) -> Result<Duration> {
    loop {
        let key = Key(vec![Value::Id(id(row_of(number)).0)]);
        let start = Instant::now();
        let row = storage.get(Item::TABLE, &[key]).await?.pop().flatten();
        let read = start.elapsed();
        let Some(row) = row else { bail!("a row is not there") };
        if work == Work::Read {
            return Ok(read);
        }
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

/// What a feed says of such a commit.
const TOUCHED: &str = r#"[{"table":"conformance_items","key":["00000000-0000-0000-0000-000000000000"]},{"table":"conformance_ties","key":["00000000-0000-0000-0000-000000000000","1234567"]}]"#;

/// The texts of an entry of the log, as long as ours: payload, salt, commitment and seal.
fn entry(number: u64) -> [String; 4] {
    [format!("{{\"detail\":\"entry {number}\"}}"), "0".repeat(32), "0".repeat(64), "0".repeat(43)]
}
