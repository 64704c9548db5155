//! What each operation costs its storage: `docs/costs.md`, counted while every scenario is played on an SQLite file, and in a PostgreSQL
//! database behind a proxy (`docs/round-trips.json`), so that nobody makes one dearer unseen. `UPDATE_SNAPSHOTS=1` writes both anew.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use rolekeep::{
    ChangeSetId, Result, ffi,
    internals::{drone::DroneAssignment, erasure::Erasure, group::GroupMember, record::Record, registry::Limit},
    storage::{
        BatchRead, ChangeSet, Changes, CommitError, Committed, FeedPart, Key, Position, Pruned, Query, Retention, Row,
        Rows, SqliteOptions, Storage, Table, sqlite::SqliteStorage,
    },
};

#[cfg(feature = "postgres")]
use super::proxy::Proxy;
use super::{
    AT_ONCE,
    backend::Backend,
    plans,
    player::{Outcome, play},
    scenario, statements,
};

tokio::task_local! {
    /// The operation that this task runs.
    static RUNNING: Arc<Mutex<Cost>>;
}

/// What one run of an operation asked of its storage.
#[derive(Clone, Default)]
pub struct Cost {
    reads: usize,
    twice: Vec<String>,
    checks: usize,
    writes: usize,
    entries: usize,
    statements: usize,
    seen: HashSet<(&'static str, Key)>,
    /// What follows fills caches.
    is_committed: bool,
}

impl Cost {
    fn read(&mut self, table: &'static Table, keys: impl IntoIterator<Item = Key>, statements: usize) {
        self.read_all(keys.into_iter().map(|key| (table, key)), statements);
    }

    fn read_all(&mut self, rows: impl IntoIterator<Item = (&'static Table, Key)>, statements: usize) {
        if self.is_committed {
            return;
        }
        self.reads += 1;
        self.statements += statements;
        for (table, key) in rows {
            if !self.seen.insert((table.name, key)) {
                self.twice.push(table.name.to_owned());
            }
        }
    }
}

/// The highest costs of every operation.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<String, Cost>>);

impl Tally {
    /// Counts what an operation asks of a [`Counted`] storage.
    pub async fn count<T, E>(&self, operation: &str, run: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let cost = Arc::new(Mutex::new(Cost::default()));
        let answer = RUNNING.scope(cost.clone(), run).await;
        let cost = cost.lock().unwrap().clone();
        if answer.is_ok() {
            let mut all = self.0.lock().unwrap();
            let most = all.entry(operation.to_owned()).or_default();
            most.reads = most.reads.max(cost.reads);
            most.checks = most.checks.max(cost.checks);
            most.writes = most.writes.max(cost.writes);
            most.entries = most.entries.max(cost.entries);
            most.statements = most.statements.max(cost.statements);
            if most.twice.len() < cost.twice.len() {
                most.twice = cost.twice;
            }
        }
        answer
    }
}

/// A storage whose calls are counted for the operation that makes them. As no other process writes to
/// it, nobody looks for news in between.
pub struct Counted {
    storage: Box<dyn Storage>,
    counter: Counter,
    /// One call at a time, so that what is given out in the background is not counted with it.
    turn: tokio::sync::Mutex<()>,
}

/// What counts what a call costs the database.
enum Counter {
    /// The statements that SQLite ran on this file.
    Statements(PathBuf),
    /// The round trips over connections that know their statements.
    #[cfg(feature = "postgres")]
    Trips(Proxy),
}

impl Counted {
    pub async fn sqlite(file: PathBuf) -> Result<Self> {
        statements::watch();
        let storage = SqliteStorage::open(SqliteOptions::new(&file)).await?;
        statements::keep_texts(&file);
        Ok(Self { storage: Box::new(storage), counter: Counter::Statements(file), turn: tokio::sync::Mutex::default() })
    }

    /// In a schema of a server whose socket is in a folder.
    #[cfg(feature = "postgres")]
    pub async fn postgres(socket: &std::path::Path, schema: String) -> Result<Self> {
        use rolekeep::storage::{PostgresOptions, PostgresStorage};
        let proxy = Proxy::start(socket, 0);
        let options = PostgresOptions::new(proxy.url()).schema(schema).listens(false).readers(2).writers(1);
        let storage = PostgresStorage::open(options).await?;
        Ok(Self { storage: Box::new(storage), counter: Counter::Trips(proxy), turn: tokio::sync::Mutex::default() })
    }

    /// An answer, and what it has cost the database.
    async fn run<T>(&self, call: impl Future<Output = T>) -> (T, usize) {
        let _turn = self.turn.lock().await;
        let before = self.counter.now();
        let answer = call.await;
        (answer, self.counter.now() - before)
    }
}

impl Counter {
    fn now(&self) -> usize {
        match self {
            Counter::Statements(file) => statements::count(file),
            #[cfg(feature = "postgres")]
            Counter::Trips(proxy) => proxy.trips().try_into().unwrap(),
        }
    }
}

/// What is counted for the operation that calls: asked for at once, as the call may go on in a task of its own.
fn running() -> Option<Arc<Mutex<Cost>>> {
    RUNNING.try_with(Clone::clone).ok()
}

fn count(running: Option<Arc<Mutex<Cost>>>, what: impl FnOnce(&mut Cost)) {
    if let Some(cost) = running {
        what(&mut cost.lock().unwrap());
    }
}

#[async_trait]
impl Storage for Counted {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        let running = running();
        let (committed, statements) = self.run(self.storage.commit(change_set)).await;
        if let Some(cost) = running {
            let mut cost = cost.lock().unwrap();
            // Another attempt is counted for itself.
            *cost = match committed {
                Ok(_) => Cost {
                    checks: change_set.checks.len(),
                    writes: change_set.writes.len(),
                    entries: change_set.audit.len(),
                    statements: cost.statements + statements,
                    is_committed: true,
                    ..cost.clone()
                },
                Err(_) => Cost::default(),
            };
        }
        committed
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        let running = running();
        let (found, statements) = self.run(self.storage.get(table, keys)).await;
        count(running, |cost| cost.read(table, keys.iter().cloned(), statements));
        found
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        // Whether somebody is still being erased, which is then looked up, is a matter of moments.
        let running = running();
        if query.table.name == Erasure::TABLE.name && running.is_some() {
            while !self.storage.query(query).await?.rows.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        let (found, statements) = self.run(self.storage.query(query)).await;
        let found = found?;
        count(running, |cost| cost.read(query.table, found.rows.iter().map(|row| query.table.key_of(row)), statements));
        Ok(found)
    }

    async fn read_batch(&self, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        let running = running();
        let (found, statements) = self.run(self.storage.read_batch(batch)).await;
        let found = found?;
        let keys = batch.iter().zip(&found).map(|(part, rows)| match part {
            BatchRead::Keys(table, keys) => (*table, keys.clone()),
            BatchRead::Filter(table, _) => (*table, rows.iter().map(|row| table.key_of(row)).collect()),
        });
        count(running, |cost| {
            cost.read_all(keys.flat_map(|(table, keys)| keys.into_iter().map(move |key| (table, key))), statements)
        });
        Ok(found)
    }

    async fn position(&self) -> Result<Position> {
        self.run(self.storage.position()).await.0
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.run(self.storage.changes(since, part)).await.0
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        self.run(self.storage.outcome(id)).await.0
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.run(self.storage.prune(retention)).await.0
    }

    async fn scrub(&self) -> Result<bool> {
        self.run(self.storage.scrub()).await.0
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn close(&self) -> Result<()> {
        self.storage.close().await
    }
}

const HEAD: &str = "\
<!-- @generated by core/tests/store/conformance/costs.rs: UPDATE_SNAPSHOTS=1 cargo test -p rolekeep --all-features --test store costs -->
# What each operation costs its storage

The most that any scenario of `tests/conformance` needed on an SQLite file, with the caller's rights in memory.

| column | counts |
|---|---|
| reads | calls that read rows; one row or many |
| read twice | rows that one attempt read more than once: limits, before a password is hashed and with the answer |
| checks | rows that must be unchanged when it is committed |
| writes | rows written, beside its audit entries and its line in the change feed |
| audit | its audit entries |
| statements | what SQLite itself says that it ran for all of that, `BEGIN` and `COMMIT` too, but not the `ROLLBACK` after reads, for which nobody waits |
| trips | round trips to PostgreSQL for the same, over connections that know their statements (`docs/round-trips.json`; run `scripts/areas/postgres`) |
| wasm | bytes of the wasm for browsers that are its own, before the last optimiser (`docs/wasm-bytes.json`, by `scripts/wasm-bytes`) |

`catch_up`, which looks for news before each operation, costs one more SQLite query if others can write, and one more
round trip to PostgreSQL while nothing listens to it.

| operation | reads | read twice | checks | writes | audit | statements | trips | wasm |
|---|---|---|---|---|---|---|---|---|
";

/// What each operation costs, of all scenarios.
async fn played(backend: impl Fn(Arc<Tally>) -> Backend) -> BTreeMap<String, Cost> {
    let tally = Arc::new(Tally::default());
    let scenarios = scenario::all();
    let plays = scenarios.iter().map(|scenario| play(scenario, backend(tally.clone())));
    let outcomes: Vec<Outcome> = futures_util::stream::iter(plays).buffered(AT_ONCE).collect().await;
    for (scenario, outcome) in scenarios.iter().zip(outcomes) {
        if let Outcome::Failed(why) = outcome {
            panic!("{}: {why}", scenario.name);
        }
    }
    std::mem::take(&mut *tally.0.lock().unwrap())
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// A count for each operation, as a file of `docs` has them.
fn counts(file: &str) -> BTreeMap<String, usize> {
    serde_json::from_str(&fs::read_to_string(docs().join(file)).unwrap()).unwrap()
}

/// `scripts/areas/postgres` starts the server that it needs.
#[cfg(feature = "postgres")]
#[ignore = "needs a server, by ROLEKEEP_POSTGRES_SOCKET"]
#[tokio::test(flavor = "multi_thread")]
async fn round_trips_are_as_written() {
    let socket = PathBuf::from(std::env::var_os("ROLEKEEP_POSTGRES_SOCKET").unwrap());
    let costs = played(|tally| Backend::CountedTrips(socket.clone(), tally)).await;
    let trips: BTreeMap<_, _> = costs.into_iter().map(|(name, cost)| (name, cost.statements)).collect();
    let (file, text) = ("round-trips.json", serde_json::to_string_pretty(&trips).unwrap() + "\n");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(docs().join(file), &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(docs().join(file)).unwrap_or_default(),
        text,
        "docs/{file} is stale: UPDATE_SNAPSHOTS=1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_are_as_written() {
    let costs = played(Backend::Counted).await;
    let (wasm, trips) = (counts("wasm-bytes.json"), counts("round-trips.json"));
    let mut page = HEAD.to_owned();
    for name in ffi::OPERATIONS {
        let Cost { reads, twice, checks, writes, entries, statements, .. } =
            costs.get(*name).unwrap_or_else(|| panic!("{name}"));
        let twice = twice.len();
        // Measured where there is a wasm: a new operation may have none yet.
        let of = |all: &BTreeMap<String, usize>| all.get(*name).map_or_else(|| "-".to_owned(), usize::to_string);
        let (trips, wasm) = (of(&trips), of(&wasm));
        writeln!(
            page,
            "| `{name}` | {reads} | {twice} | {checks} | {writes} | {entries} | {statements} | {trips} | {wasm} |"
        )
        .unwrap();
    }
    let path = docs().join("costs.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    // Limits are looked at before a password is hashed, which takes long, and again for the answer.
    // An account that is in groups and is invited into more: what it holds decides what it has to prove, and is looked at once more for
    // room, once the guard is read behind which nobody else puts it into another. So it is with who is to have a drone: whether it has that
    // one already, and then how many it has.
    let is_known = |name: &str, table: &str| {
        table == Limit::TABLE.name
            || (name, table) == ("invitations.accept", GroupMember::TABLE.name)
            || (["drones.assign", "drones.reassign"].contains(&name) && table == DroneAssignment::TABLE.name)
    };
    let is_fault = |name: &str, cost: &Cost| cost.twice.iter().any(|table| !is_known(name, table));
    let twice: Vec<_> = costs.iter().filter(|(name, cost)| is_fault(name, cost)).collect();
    let twice: Vec<_> = twice.into_iter().map(|(name, cost)| format!("{name}: {}", cost.twice.join(", "))).collect();
    assert!(twice.is_empty(), "rows are read twice:\n{}", twice.join("\n"));
    // Of overviews two more where a list is of a role's holders, themselves and by groups, and three more where the policy declares kinds
    // of assets. Who is in no group costs one.
    let most = [
        ("drones.assign", 4),
        ("regions.list", 3),
        ("users.overview", 10),
        ("users.overviews", 12),
        ("users.statistics", 3),
    ];
    for (name, most) in most {
        assert!(costs[name].reads <= most, "{name}: {} reads", costs[name].reads);
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page, "docs/costs.md is stale: UPDATE_SNAPSHOTS=1");
    plans::each_finds_its_rows_by_an_index().await;
}
