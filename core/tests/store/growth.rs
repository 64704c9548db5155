//! What signing in and what belongs to it costs does not grow with what others have done, nor with what is long over: counted in the steps
//! of SQLite's machine, which grow with the rows that it looks at.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rolekeep::{
    Caller, RequestContext, UserManagement,
    api_keys::{CreateApiKey, ListApiKeys},
    passwords::ChangePassword,
    sessions::ListSessions,
    storage::{SqliteOptions, SqliteStorage},
    users::CreateUser,
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::{cheap, conformance::statements, mails::Mails};

const PASSWORD: &str = "correct horse battery staple";
const NEW: &str = "another horse, another battery";
/// Microseconds.
const DAY: i64 = 24 * 3600 * 1_000_000;

/// A store, and a user who signs in once more than it may have sessions.
struct Stage {
    um: UserManagement,
    file: std::path::PathBuf,
    costs: BTreeMap<&'static str, usize>,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        statements::watch();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let storage = SqliteStorage::open(SqliteOptions::new(&file)).await.unwrap();
        // As many as an hour has minutes; whoever signs in by a program has as many that are over for each of 30 days.
        let config = cheap::config().max_sessions(60).session_seconds(3600);
        let um = cheap::builder().storage(Arc::new(storage)).config(config).notifier(Mails::default());
        let um = um.open().await.unwrap();
        um.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
        Self { um, file, costs: BTreeMap::new(), _folder: folder }
    }

    async fn login(&self) -> Caller {
        let nobody = RequestContext::default;
        let tokens = self.um.login("ada@example.org", PASSWORD, nobody()).await.unwrap().done().unwrap();
        self.um.authenticate(tokens.access_token.expose(), nobody()).await.unwrap()
    }

    async fn cost<T>(&mut self, name: &'static str, run: impl AsyncFnOnce(&Self) -> T) -> T {
        let before = statements::steps(&self.file);
        let answer = run(self).await;
        self.costs.insert(name, statements::steps(&self.file) - before);
        answer
    }

    /// What somebody does in the course of a few days.
    async fn play(mut self) -> BTreeMap<&'static str, usize> {
        // Each puts away some of what is over.
        for _ in 0..12 {
            self.login().await;
        }
        let me = self.cost("sessions.login", Self::login).await;
        self.cost("sessions.list", async |_| me.sessions().list(ListSessions::new()).await.unwrap()).await;
        let key = CreateApiKey::new("a program");
        let key = self.cost("api_keys.create", async |_| me.api_keys().create(key).await.unwrap()).await;
        self.cost("api_keys.list", async |_| me.api_keys().list(ListApiKeys::new()).await.unwrap()).await;
        self.cost("api_keys.revoke", async |_| me.api_keys().revoke(key.api_key.id).await.unwrap()).await;
        self.cost("sessions.revoke_others", async |_| me.sessions().revoke_others().await.unwrap()).await;
        let change = ChangePassword::new(PASSWORD, NEW);
        self.cost("passwords.change", async |_| me.passwords().change(change).await.unwrap()).await;
        self.cost("tidy", async |stage| stage.um.tidy().await.unwrap()).await;
        self.um.close().await.unwrap();
        self.costs
    }
}

/// Fills tables, those that are wanted, with rows of others, and of the user with what is over.
async fn fill(file: &Path, rows: usize, is_wanted: impl Fn(&str) -> bool) {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let counted = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})");
    let id = |kind: u32| format!("printf('{kind:08}-0000-7000-8000-%012x', i)");
    let ada = "(SELECT id FROM users WHERE email = 'ada@example.org')";
    // An hour each; of now.
    let now = "(SELECT max(created_at) FROM users)";
    let sessions =
        "INSERT INTO sessions (id, user_id, created_at, authenticated_at, expires_at, ended_at, version) SELECT";
    let keys = "INSERT INTO api_keys (id, user_id, name, hash, has_two_factors, created_at, expires_at, ended_at, version) SELECT";
    let limits = "INSERT INTO limits (lane, value, expires_at, version) SELECT";
    let (later, before) = (format!("{now} + {DAY}"), format!("{now} - {DAY}"));
    let (one, other, third, fourth) = (id(1), id(2), id(3), id(4));
    for text in [
        format!("{sessions} {one}, {other}, {now}, {now}, {later}, NULL, 1 FROM n"),
        format!("{sessions} {third}, {ada}, {before}, {before}, {before}, NULL, 1 FROM n"),
        format!("{sessions} {fourth}, {ada}, {before}, {before}, {later}, {before}, 1 FROM n"),
        format!("{keys} {one}, {other}, 'a', 'a', 0, {now}, {later}, NULL, 1 FROM n"),
        format!("{limits} {one}, 1, {later}, 1 FROM n"),
    ]
    .into_iter()
    .filter(|text| is_wanted(text))
    {
        sqlx::query(AssertSqlSafe(format!("{counted} {text}"))).execute(&mut connection).await.unwrap();
    }
    let of_activity = "SELECT id, created_at, 1, created_at, 'a', 1 FROM sessions WHERE id LIKE '0000000%'";
    let activity = "INSERT INTO session_activity (session_id, last_seen_at, generation, rotated_at, seed, version)";
    sqlx::query(AssertSqlSafe(format!("{activity} {of_activity}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn per_what_others_did_costs_nothing() {
    let mut both = Vec::new();
    for rows in [100, 5_000] {
        let stage = Stage::new().await;
        fill(&stage.file, rows, |_| true).await;
        both.push(stage.play().await);
    }
    let (few, many) = (&both[0], &both[1]);
    // Looking for what other processes wrote may fall into any of them.
    let grows = |(name, steps): (&&str, &usize)| {
        (many[*name] > 2 * steps + 1_000).then(|| format!("{name}: {steps}, {}", many[*name]))
    };
    let faults: Vec<_> = few.iter().filter_map(grows).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A batch of what is encrypted under another key passes over none of those that were done before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn per_a_change_of_the_encryption_key_costs_the_same_for_each_row() {
    let stage = Stage::new().await;
    stage.um.close().await.unwrap();
    fill(&stage.file, 3_000, |text| text.contains("INTO api_keys")).await;
    let storage = SqliteStorage::open(SqliteOptions::new(&stage.file)).await.unwrap();
    let config = cheap::config().encryption_key("k".repeat(32)).tidy_every_seconds(0);
    let um = cheap::builder().storage(Arc::new(storage)).config(config).open().await.unwrap();
    let (mut costs, mut has_more) = (Vec::new(), true);
    while has_more {
        let before = statements::steps(&stage.file);
        has_more = um.tidy().await.unwrap().has_more;
        costs.push(statements::steps(&stage.file) - before);
    }
    // The last call looks once more from the start.
    assert_eq!(costs.len(), 31, "{costs:?}");
    assert!(costs[29] <= 2 * costs[0] && costs[15] <= 2 * costs[0], "{costs:?}");
    um.close().await.unwrap();
}
