//! Whoever has the file, but not the key, changes nothing of the audit log unseen (AUD-2, SEC-12).

use std::path::Path;

use proptest::{
    prelude::*,
    test_runner::{Config as Cases, TestRunner},
};
use rolekeep::{
    Builder, Code, Config, RequestContext, UserManagement,
    audit::{AuditKeeper, AuditReport, ChainFaultKind, ListAudit, VerifyAudit},
    users::{CreateUser, EraseUser, SuspendUser, UpdateUser},
};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::kit::policy;
use crate::{cheap, kit::scaled};

/// Each entry of the log has all that an entry may have, or nothing.
const USERS: usize = 8;

fn key(letter: &str) -> Config {
    cheap::config().audit_key(letter.repeat(32))
}

fn builder(config: Config, file: &Path) -> Builder {
    UserManagement::builder().config(config).policy(policy()).sqlite(file)
}

async fn verified(um: &UserManagement) -> AuditReport {
    um.system().audit().verify(VerifyAudit::new()).await.unwrap()
}

async fn fill(um: &UserManagement) {
    let system = um.system();
    let from = RequestContext::from_ip("192.0.2.7").user_agent("App/1");
    let boss = system.users().create(CreateUser::new("boss@example.org").roles(["admin"])).await.unwrap().id;
    let boss = um.acting_as(boss).await.unwrap().with_request(from);
    for number in 0..USERS {
        let new = CreateUser::new(format!("user{number}@example.org")).full_name("A user");
        let id = boss.users().create(new).await.unwrap().id;
        boss.users().suspend(SuspendUser::new(id).reason("lost its badge")).await.unwrap();
        system.users().update(UpdateUser::new(id).full_name("Another name")).await.unwrap();
        if number % 3 == 0 {
            system.users().erase(EraseUser::new(id)).await.unwrap();
        }
    }
    let done = ListAudit::new().action("users.erased");
    while system.audit().list(done.clone()).await.unwrap().total != Some(USERS as i64 / 2 - 1) {
        um.tidy().await.unwrap();
    }
}

/// Somebody with the file.
struct Thief {
    connection: SqliteConnection,
}

impl Thief {
    /// Comes to the file, and keeps the log as it is.
    async fn new(file: &Path) -> Self {
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        for text in ["ATTACH ':memory:' AS kept", "PRAGMA busy_timeout = 10000"] {
            sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
        }
        let mut thief = Self { connection };
        thief.keep().await;
        thief
    }

    /// Keeps the log as it is now.
    async fn keep(&mut self) {
        for table in ["audit_entries", "audit_heads"] {
            self.run(&format!("DROP TABLE IF EXISTS kept.{table}")).await;
            self.run(&format!("CREATE TABLE kept.{table} AS SELECT * FROM main.{table}")).await;
        }
    }

    /// Sets the log back to what was kept.
    async fn restore(&mut self) {
        for table in ["audit_entries", "audit_heads"] {
            self.run(&format!("DELETE FROM main.{table}")).await;
            self.run(&format!("INSERT INTO main.{table} SELECT * FROM kept.{table}")).await;
        }
    }

    /// Runs a statement; how many rows it changed.
    async fn run(&mut self, text: &str) -> u64 {
        sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut self.connection).await.unwrap().rows_affected()
    }

    async fn last(&mut self) -> i64 {
        sqlx::query_scalar("SELECT max(seq) FROM main.audit_entries").fetch_one(&mut self.connection).await.unwrap()
    }

    /// Hashes the entries from a place on anew, as anybody can, and has the head say so.
    async fn rehash(&mut self, from: i64) {
        let columns = "lane, seq, id, at, action, actor, on_behalf_of, session_id, target_type, target_id, facts, \
                       commitment, origin_commitment, key_id";
        let rows = format!("SELECT {columns} FROM main.audit_entries WHERE seq >= {from} ORDER BY seq");
        let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut self.connection).await.unwrap();
        let before = sqlx::query_scalar("SELECT hash FROM main.audit_entries WHERE seq < ? ORDER BY seq DESC LIMIT 1");
        let before: Option<String> = before.bind(from).fetch_optional(&mut self.connection).await.unwrap();
        let mut previous = before.unwrap_or_else(|| "0".repeat(64));
        for row in rows {
            let seq: i64 = row.get("seq");
            let mut hash = Sha256::new();
            let mut part = |text: &str| {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            };
            part("rolekeep-audit-2");
            part(&previous);
            for column in ["lane", "seq"] {
                part(&row.get::<i64, _>(column).to_string());
            }
            part(row.get("id"));
            part(&row.get::<i64, _>("at").to_string());
            part(row.get("action"));
            part(row.get("actor"));
            let mut optional = |column: &str| match row.get::<Option<&str>, _>(column) {
                Some(text) => ["1", text].into_iter().for_each(&mut part),
                None => part("0"),
            };
            ["on_behalf_of", "session_id", "target_type", "target_id", "facts"].into_iter().for_each(&mut optional);
            part(row.get("commitment"));
            let mut optional = |column: &str| match row.get::<Option<&str>, _>(column) {
                Some(text) => ["1", text].into_iter().for_each(&mut part),
                None => part("0"),
            };
            optional("origin_commitment");
            part(row.get("key_id"));
            let next: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            self.run(&format!(
                "UPDATE main.audit_entries SET previous = '{previous}', hash = '{next}' WHERE seq = {seq}"
            ))
            .await;
            previous = next;
        }
        let last = self.last().await;
        self.run(&format!("UPDATE main.audit_heads SET seq = {last}, hash = '{previous}'")).await;
    }
}

/// What a thief does to the log.
#[derive(Clone, Debug)]
enum Deed {
    /// Writes something else into a column.
    Change(usize),
    /// Empties a column.
    Blank(usize),
    /// The same, and hashes what follows anew.
    Rewrite(usize),
    /// Removes a part and what salts it, as an erasure does.
    Erase(&'static str),
    Drop,
    DropAndRehash,
    /// Exchanges it with another one.
    Swap(i64),
    /// Removes what follows, and has the head say so.
    Cut,
    /// Adds one like it behind the last.
    Add,
    /// The same, and has the head say so.
    AddAndRehash,
    /// Puts one like it into another chain.
    Lane(i64),
    /// Puts one like it before the first.
    Before,
    /// Changes the head.
    Head(usize),
}

const COLUMNS: &[&str] = &[
    "id",
    "at",
    "action",
    "actor",
    "on_behalf_of",
    "session_id",
    "target_type",
    "target_id",
    "facts",
    "payload",
    "salt",
    "commitment",
    "origin",
    "origin_salt",
    "origin_commitment",
    "previous",
    "hash",
    "key_id",
    "mac",
    "version",
];
const MAY_BE_NULL: &[&str] = &[
    "on_behalf_of",
    "session_id",
    "target_type",
    "target_id",
    "facts",
    "payload",
    "salt",
    "origin",
    "origin_salt",
    "origin_commitment",
    "key_id",
    "mac",
];
const OF_HEAD: &[&str] = &[
    "seq = seq + 1",
    "seq = seq - 1",
    "hash = replace(hash, 'a', 'b') || 'c'",
    "mac = NULL",
    "key_id = NULL, mac = NULL",
    "version = version + 1",
];

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..COLUMNS.len()).prop_map(Deed::Change),
        2 => (0..MAY_BE_NULL.len()).prop_map(Deed::Blank),
        3 => (0..COLUMNS.len()).prop_map(Deed::Rewrite),
        2 => prop_oneof![Just("payload = NULL, salt"), Just("origin = NULL, origin_salt")].prop_map(Deed::Erase),
        1 => Just(Deed::Drop),
        1 => Just(Deed::DropAndRehash),
        1 => (1..30_i64).prop_map(Deed::Swap),
        1 => Just(Deed::Cut),
        1 => Just(Deed::Add),
        1 => Just(Deed::AddAndRehash),
        1 => (1..4_i64).prop_map(Deed::Lane),
        1 => Just(Deed::Before),
        1 => (0..OF_HEAD.len()).prop_map(Deed::Head),
    ]
}

/// Another value of a column; what cannot be read as one at times.
fn other(column: &str) -> &'static str {
    match column {
        "at" => "at + 1",
        "version" => "version + 1",
        "id" => "'00000000-0000-4000-8000-000000000000'",
        "on_behalf_of" | "session_id" => "'00000000-0000-4000-8000-000000000001'",
        "facts" => r#"'{"after":{"status":"active"}}'"#,
        "payload" => r#"'{"detail":"nothing"}'"#,
        "origin" => r#"'{"ip":"203.0.113.1"}'"#,
        "target_type" => "'drone'",
        "target_id" => "'x' || coalesce(target_id, '')",
        "action" => "action || '!'",
        "actor" => "'system ' || actor",
        "mac" => "replace(mac, substr(mac, 1, 1), '-') || '_'",
        // All others are hexadecimal.
        _ => "'00000000000000000000000000000000000000000000000000000000deadbeef'",
    }
}

impl Thief {
    /// Does it to the entry at this place; the first place where something is wrong then, none where nothing was changed.
    async fn does(&mut self, deed: &Deed, seq: i64) -> Option<(i64, i64)> {
        let last = self.last().await;
        let names = "id, at, action, actor, on_behalf_of, session_id, target_type, target_id, facts, payload, salt, \
                     commitment, origin, origin_salt, origin_commitment, previous, hash, key_id, mac, version";
        let copy = |lane: i64, place: i64| {
            format!(
                "INSERT INTO main.audit_entries (lane, seq, {names}) SELECT {lane}, {place}, {names} \
                 FROM main.audit_entries WHERE lane = 0 AND seq = {seq}"
            )
        };
        match deed {
            Deed::Change(at) | Deed::Rewrite(at) => {
                let (column, value) = (COLUMNS[*at], other(COLUMNS[*at]));
                let changed = self
                    .run(&format!(
                        "UPDATE main.audit_entries SET {column} = {value} WHERE seq = {seq} AND {column} IS NOT ({value})"
                    ))
                    .await;
                // What it commits to is hashed anew, but what it commits to stays.
                if matches!(deed, Deed::Rewrite(_)) {
                    self.rehash(seq).await;
                    // Then it is as it was.
                    if ["previous", "hash"].contains(&column) {
                        return None;
                    }
                }
                (changed > 0).then_some((0, seq))
            }
            Deed::Blank(at) => {
                let column = MAY_BE_NULL[*at];
                let text =
                    format!("UPDATE main.audit_entries SET {column} = NULL WHERE seq = {seq} AND {column} IS NOT NULL");
                (self.run(&text).await > 0).then_some((0, seq))
            }
            Deed::Erase(columns) => {
                let (part, _) = columns.split_once(' ').unwrap();
                let text = format!(
                    "UPDATE main.audit_entries SET {columns} = NULL, version = version + 1 \
                     WHERE seq = {seq} AND {part} IS NOT NULL"
                );
                (self.run(&text).await > 0).then_some((0, seq))
            }
            Deed::Drop => {
                self.run(&format!("DELETE FROM main.audit_entries WHERE seq = {seq}")).await;
                Some((0, seq))
            }
            Deed::DropAndRehash => {
                self.run(&format!("DELETE FROM main.audit_entries WHERE seq = {seq}")).await;
                for place in seq + 1..=last {
                    self.run(&format!("UPDATE main.audit_entries SET seq = seq - 1 WHERE seq = {place}")).await;
                }
                self.rehash(seq).await;
                // The end alone: its place is that of the entry before.
                Some((0, seq.min(last - 1)))
            }
            Deed::Swap(with) => {
                let with = (*with).min(last);
                for (from, to) in [(seq, -1), (with, seq), (-1, with)] {
                    self.run(&format!("UPDATE main.audit_entries SET seq = {to} WHERE seq = {from}")).await;
                }
                (with != seq).then_some((0, with.min(seq)))
            }
            Deed::Cut => {
                self.run(&format!("DELETE FROM main.audit_entries WHERE seq > {seq}")).await;
                let hash = format!("(SELECT hash FROM main.audit_entries WHERE seq = {seq})");
                self.run(&format!("UPDATE main.audit_heads SET seq = {seq}, hash = {hash}")).await;
                (seq < last).then_some((0, seq))
            }
            Deed::Add | Deed::AddAndRehash => {
                self.run(&copy(0, last + 1)).await;
                if matches!(deed, Deed::AddAndRehash) {
                    self.rehash(last + 1).await;
                }
                Some((0, last + 1))
            }
            Deed::Lane(lane) => {
                self.run(&copy(*lane, seq)).await;
                Some((*lane, seq))
            }
            Deed::Before => {
                self.run(&copy(0, 0)).await;
                Some((0, 0))
            }
            Deed::Head(at) => {
                let text = OF_HEAD[*at];
                self.run(&format!("UPDATE main.audit_heads SET {text}")).await;
                let place = match text {
                    "seq = seq + 1" => last + 1,
                    _ => last,
                };
                Some((0, place))
            }
        }
    }
}

#[test]
fn sec_12_each_of_a_thousand_changes_is_found_where_it_is() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let (um, mut thief) = runtime.block_on(async {
        let um = builder(key("k"), &file).open().await.unwrap();
        fill(&um).await;
        let report = verified(&um).await;
        assert!(report.is_whole && report.verified > 25 && report.sealed_by == AuditKeeper::Application);
        (um, Thief::new(&file).await)
    });
    let last = runtime.block_on(thief.last());
    // Rehashing what nobody changed changes nothing: the thief knows the format.
    runtime.block_on(thief.rehash(1));
    assert!(runtime.block_on(verified(&um)).is_whole);

    let (um, thief) = (&um, std::sync::Mutex::new(thief));
    let cases = Cases { cases: scaled(1000), max_shrink_iters: 0, failure_persistence: None, ..Cases::default() };
    let run = TestRunner::new(cases).run(&(deed(), 1..=last), |(deed, seq)| {
        let mut thief = thief.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (expected, report) = runtime.block_on(async {
            let expected = thief.does(&deed, seq).await;
            let report = verified(um).await;
            thief.restore().await;
            (expected, report)
        });
        let found = report.fault.as_ref().map(|fault| (fault.lane, fault.seq));
        prop_assert_eq!(found, expected, "{:?} at {}: {:?}", deed, seq, report);
        prop_assert_eq!(report.is_whole, expected.is_none());
        Ok(())
    });
    run.unwrap();
    assert!(runtime.block_on(verified(um)).is_whole);
}

#[tokio::test]
async fn sec_12_a_log_that_was_set_back_is_seen_by_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let um = builder(key("k"), &file).open().await.unwrap();
    let empty = um.system().audit().head().await.unwrap();
    assert_eq!(empty.entries, 0);
    fill(&um).await;
    let mut thief = Thief::new(&file).await;
    let early = um.system().audit().head().await.unwrap();
    um.system().users().create(CreateUser::new("late@example.org")).await.unwrap();
    let late = um.system().audit().head().await.unwrap();
    assert!(late.entries > early.entries && late.head != early.head);
    let expecting = async |head: &str| um.system().audit().verify(VerifyAudit::new().expected(head)).await;
    for head in [&empty.head, &early.head, &late.head] {
        assert!(expecting(head).await.unwrap().is_whole);
    }

    thief.restore().await;
    assert!(verified(&um).await.is_whole, "nothing shows it but a head");
    assert!(expecting(&early.head).await.unwrap().is_whole);
    let fault = expecting(&late.head).await.unwrap().fault.unwrap();
    assert_eq!((fault.kind, fault.seq), (ChainFaultKind::Behind, early.entries + 1));
    // What is written from then on leads elsewhere.
    for number in 0..3 {
        um.system().users().create(CreateUser::new(format!("other{number}@example.org"))).await.unwrap();
    }
    assert!(verified(&um).await.is_whole);
    let fault = expecting(&late.head).await.unwrap().fault.unwrap();
    assert_eq!((fault.kind, fault.seq), (ChainFaultKind::Behind, late.entries));
    thief.run("DELETE FROM main.audit_entries").await;
    thief.run("DELETE FROM main.audit_heads").await;
    assert!(verified(&um).await.is_whole);
    assert_eq!(expecting(&early.head).await.unwrap().fault.unwrap().kind, ChainFaultKind::Behind);

    // Only what this log's keys sealed is a head.
    let (signed, _) = late.head.rsplit_once('.').unwrap();
    let changed = late.head.replacen(&format!(".0-{}-", late.entries), ".0-1-", 1);
    assert_ne!(changed, late.head);
    for text in ["", "rka1", "rka1..", "....", signed, &changed, &format!("{}x", late.head), &"rka1.".repeat(10_000)] {
        let error = expecting(text).await.unwrap_err();
        assert_eq!((error.code(), error.fields()[0].field.as_str()), (Code::Validation, "expected"), "{text}");
    }
    let error = um.system().audit().verify(VerifyAudit::new().sealed_from(0)).await.unwrap_err();
    assert_eq!(error.fields()[0].field, "sealed_from");
}

#[tokio::test]
async fn sec_12_nothing_is_written_behind_a_log_that_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let um = builder(key("k"), &file).open().await.unwrap();
    fill(&um).await;
    let mut thief = Thief::new(&file).await;
    let last = thief.last().await;
    // A cut end would be sealed with what comes behind it, and an entry that has the next place would never let go of it.
    for deed in [Deed::Cut, Deed::Add, Deed::Head(1), Deed::Head(3), Deed::Head(4)] {
        thief.does(&deed, last - 1).await;
        let place = thief.last().await;
        let error = um.system().users().create(CreateUser::new("new@example.org")).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{deed:?}: {error}");
        assert!(error.message().contains("audit.verify"), "{deed:?}: {error}");
        assert_eq!(thief.last().await, place, "{deed:?}");
        assert!(!verified(&um).await.is_whole, "{deed:?}");
        thief.restore().await;
    }
    um.system().users().create(CreateUser::new("new@example.org")).await.unwrap();
    assert!(verified(&um).await.is_whole);

    // One that was put behind the end, or into another chain, is not listed.
    let total = um.system().audit().list(ListAudit::new().limit(100)).await.unwrap().items.len();
    thief.keep().await;
    for deed in [Deed::Lane(1), Deed::Add] {
        thief.does(&deed, 3).await;
        assert_eq!(um.system().audit().list(ListAudit::new().limit(100)).await.unwrap().items.len(), total, "{deed:?}");
        thief.restore().await;
    }
}

#[tokio::test]
async fn aud_2_keys_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let own = builder(cheap::config(), &file).open().await.unwrap();
    fill(&own).await;
    let before = verified(&own).await;
    assert!(before.is_whole && before.sealed_by == AuditKeeper::Store);
    own.close().await.unwrap();

    // The application's key must have sealed all, or from where it is told.
    let first = builder(key("a"), &file).open().await.unwrap();
    first.system().users().create(CreateUser::new("first@example.org")).await.unwrap();
    let report = verified(&first).await;
    assert_eq!(report.fault.map(|fault| (fault.kind, fault.seq)), Some((ChainFaultKind::Forged, 1)));
    let since = VerifyAudit::new().sealed_from(before.verified + 1);
    assert!(first.system().audit().verify(since.clone()).await.unwrap().is_whole);
    first.close().await.unwrap();

    // A new key seals on behind the retired one.
    let retired = key("b").retired_audit_keys(["a".repeat(32)]);
    let second = builder(retired, &file).open().await.unwrap();
    second.system().users().create(CreateUser::new("second@example.org")).await.unwrap();
    assert!(second.system().audit().verify(since.clone()).await.unwrap().is_whole);
    second.close().await.unwrap();

    // Without a key that sealed what is there, nothing is written, and the log is not whole.
    for config in [key("c"), cheap::config()] {
        let other = builder(config, &file).open().await.unwrap();
        let error = other.system().users().create(CreateUser::new("third@example.org")).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{error}");
        let fault = other.system().audit().verify(since.clone()).await.unwrap().fault.unwrap();
        assert_eq!((fault.kind, fault.seq), (ChainFaultKind::Forged, before.verified + 1));
        other.close().await.unwrap();
    }
    let short = cheap::config().audit_key("short");
    let error = builder(short, &file).open().await.err().unwrap();
    assert_eq!(error.fields()[0].field, "audit_key");
}

#[tokio::test]
async fn aud_2_a_log_of_before_there_were_keys_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let um = builder(cheap::config(), &file).open().await.unwrap();
    for number in 0..3 {
        um.system().users().create(CreateUser::new(format!("user{number}@example.org"))).await.unwrap();
    }
    um.close().await.unwrap();
    let mut thief = Thief::new(&file).await;
    let columns =
        "facts = NULL, origin = NULL, origin_salt = NULL, origin_commitment = NULL, key_id = NULL, mac = NULL";
    thief.run(&format!("UPDATE main.audit_entries SET {columns}")).await;
    thief.run("UPDATE main.audit_heads SET key_id = NULL, mac = NULL").await;
    thief.run("DELETE FROM main.store_secrets WHERE name = 'audit'").await;
    let rows =
        "SELECT id, seq, at, action, actor, target_type, target_id, commitment FROM main.audit_entries ORDER BY seq";
    let rows = sqlx::query(rows).fetch_all(&mut thief.connection).await.unwrap();
    let mut previous = "0".repeat(64);
    for row in &rows {
        let (seq, at) = (row.get::<i64, _>("seq"), row.get::<i64, _>("at").to_string());
        let text = |column: &str| row.get::<Option<String>, _>(column).unwrap_or_default();
        let texts =
            [text("id"), at, text("action"), text("actor"), text("target_type"), text("target_id"), text("commitment")];
        let mut hash = Sha256::new();
        for part in ["rolekeep-audit-1".to_owned(), previous.clone(), "0".into(), seq.to_string()].iter().chain(&texts)
        {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let next: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let set = format!("UPDATE main.audit_entries SET previous = '{previous}', hash = '{next}' WHERE seq = {seq}");
        thief.run(&set).await;
        previous = next;
    }
    thief.run(&format!("UPDATE main.audit_heads SET hash = '{previous}'")).await;

    let um = builder(cheap::config(), &file).open().await.unwrap();
    let report = verified(&um).await;
    assert!(report.is_whole && report.verified == rows.len() as i64, "{report:?}");
    um.system().users().create(CreateUser::new("new@example.org")).await.unwrap();
    let report = verified(&um).await;
    assert!(report.is_whole && report.verified > rows.len() as i64, "{report:?}");
    um.close().await.unwrap();
    // A key of the application goes on behind it, too.
    let um = builder(key("k"), &file).open().await.unwrap();
    um.system().users().create(CreateUser::new("newer@example.org")).await.unwrap();
    let since = VerifyAudit::new().sealed_from(report.verified + 1);
    assert!(um.system().audit().verify(since).await.unwrap().is_whole);
}

#[tokio::test]
async fn aud_2_what_is_personal_stands_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let um = builder(key("k"), &file).open().await.unwrap();
    fill(&um).await;
    let mut thief = Thief::new(&file).await;
    let rows = sqlx::query("SELECT action, facts, payload, origin FROM main.audit_entries");
    let rows = rows.fetch_all(&mut thief.connection).await.unwrap();
    let text = |row: &sqlx::sqlite::SqliteRow, column: &str| -> String {
        row.get::<Option<String>, _>(column).unwrap_or_default()
    };
    for row in &rows {
        let (facts, payload, origin) = (text(row, "facts"), text(row, "payload"), text(row, "origin"));
        for personal in ["example.org", "A user", "Another name", "badge", "192.0.2.7", "App/1"] {
            assert!(!facts.contains(personal), "{facts}");
        }
        assert!(!payload.contains("status\"") && !payload.contains("\"id\""), "{payload}");
        assert!(!payload.contains("192.0.2.7") && !payload.contains("App/1"), "{payload}");
        assert!(origin.is_empty() || origin.contains("192.0.2.7") && origin.contains("App/1"), "{origin}");
    }
    let has = |action: &str, column: &str, word: &str| {
        rows.iter().any(|row| row.get::<&str, _>("action") == action && text(row, column).contains(word))
    };
    assert!(has("users.suspend", "facts", "suspended") && has("users.suspend", "payload", "badge"));
    assert!(has("users.create", "payload", "user1@example.org") && has("roles.assign", "facts", "admin"));
}
