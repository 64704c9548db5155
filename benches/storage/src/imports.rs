//! An import of users with hashes into SQLite, beside a program that inserts the same rows by prepared statements in commits of the same
//! size; and how much memory it takes.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use rolekeep::{
    UserManagement,
    imports::{BeginImport, ImportFormat},
    storage::{SqliteOptions, SqliteStorage, Storage, sqlite::Durability},
};
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, TypeInfo, ValueRef,
    sqlite::{SqliteConnectOptions, SqliteRow, SqliteSynchronous},
};

/// So many users in one commit, as the product has them.
const BATCH: usize = 500;
/// A piece of the source, as it comes from a file.
const PIECE: usize = 64 * 1024;

/// What an import writes, in the order in which it does: table, order.
const TABLES: [(&str, &str); 8] = [
    ("users", "id"),
    ("user_activity", "user_id"),
    ("credentials", "user_id"),
    ("role_assignments", "user_id"),
    ("guards", "name"),
    ("claims", "owner"),
    ("audit_entries", "lane, seq"),
    ("commits", "position"),
];

/// A record of the source: 250 bytes, with a hash of bcrypt.
fn record(at: usize) -> String {
    let record = serde_json::json!({
        "foreign_id": format!("auth0|{at:016x}"),
        "email": format!("first{at}.last{at}@example.org"),
        "username": format!("user_{at}"),
        "full_name": format!("First{at} Last{at}"),
        "password_hash": "$2b$10$uqQYj/Cwvs9SVlVsE2z1IOpjXluj4qa1D2PFf9ngrgwE9nrvRKFqa",
        "email_verified": true,
        "created_at": "2024-01-31T10:20:30Z",
    });
    format!("{record}\n")
}

/// KiB that the process has, and had at most since it was last asked.
fn memory() -> Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        Ok::<u64, anyhow::Error>(line.trim_matches(|letter: char| !letter.is_ascii_digit()).parse()?)
    };
    let told = (of("VmRSS:")?, of("VmHWM:")?);
    std::fs::write("/proc/self/clear_refs", "5")?;
    Ok(told)
}

/// What an import came to.
#[derive(Serialize, Deserialize)]
pub struct Imported {
    pub users: usize,
    pub rows: usize,
    pub seconds: f64,
    /// Of the same rows by hand.
    pub by_hand: f64,
    /// What the process took over an open store, in MiB.
    pub memory: f64,
}

/// Imports users, and inserts the same rows by hand.
pub async fn measure(folder: &Path, users: usize) -> Result<Imported> {
    std::fs::create_dir_all(folder)?;
    let (ours, bare) = (folder.join("imported.db"), folder.join("bare.db"));
    let (seconds, memory) = import(&ours, users).await?;
    let (by_hand, rows) = insert(&ours, &bare, users).await?;
    eprintln!("{users} users, {rows} rows: {seconds:.1} s, by hand {by_hand:.1} s");
    std::fs::remove_file(ours)?;
    std::fs::remove_file(bare)?;
    Ok(Imported { users, rows, seconds, by_hand, memory: memory as f64 / 1024.0 })
}

async fn import(file: &Path, users: usize) -> Result<(f64, u64)> {
    let options = SqliteOptions::new(file).durability(Durability::Normal);
    let um = UserManagement::builder().sqlite_with(options).open().await?;
    let begin = BeginImport::new("auth0", ImportFormat::JsonLines).trust_verified_emails(true);
    let before = memory()?.0;
    let start = Instant::now();
    let mut import = um.system().import_users(begin).await?;
    let mut piece = String::with_capacity(2 * PIECE);
    for at in 0..users {
        piece.push_str(&record(at));
        if piece.len() >= PIECE {
            import.push(piece.as_bytes()).await?;
            piece.clear();
        }
    }
    import.push(piece.as_bytes()).await?;
    let done = import.finish().await?.import;
    let seconds = start.elapsed().as_secs_f64();
    let most = memory()?.1;
    ensure!(done.counts.created == i64::try_from(users)?, "{:?}", done.counts);
    um.close().await?;
    Ok((seconds, most.saturating_sub(before)))
}

/// A stored value.
enum Stored {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

fn stored(row: &SqliteRow) -> Result<Vec<Stored>> {
    let value = |at: usize| {
        let raw = row.try_get_raw(at)?;
        Ok(match raw.type_info().name() {
            _ if raw.is_null() => Stored::Null,
            "INTEGER" => Stored::Integer(row.try_get(at)?),
            "BLOB" => Stored::Bytes(row.try_get(at)?),
            _ => Stored::Text(row.try_get(at)?),
        })
    };
    (0..row.len()).map(value).collect()
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).synchronous(SqliteSynchronous::Normal).disable_statement_logging()
}

/// Inserts what an import has written into an empty store; the seconds, and how many rows.
async fn insert(from: &Path, into: &Path, users: usize) -> Result<(f64, usize)> {
    SqliteStorage::open(SqliteOptions::new(into)).await?.close().await?;
    let mut source: SqliteConnection = options(from).connect().await?;
    let mut tables = Vec::new();
    for (table, order) in TABLES {
        let found = sqlx::query(AssertSqlSafe(format!("SELECT * FROM \"{table}\" ORDER BY {order}")));
        let rows: Vec<Vec<Stored>> = found.fetch_all(&mut source).await?.iter().map(stored).collect::<Result<_>>()?;
        let places = vec!["?"; rows.first().map_or(0, Vec::len)].join(", ");
        tables.push((format!("INSERT OR IGNORE INTO \"{table}\" VALUES ({places})"), rows));
    }
    source.close().await?;
    let mut db: SqliteConnection = options(into).connect().await?;
    let commits = users.div_ceil(BATCH);
    let start = Instant::now();
    for commit in 0..commits {
        let mut transaction = db.begin().await?;
        for (sql, rows) in &tables {
            let slice = rows.len() * commit / commits..rows.len() * (commit + 1) / commits;
            for row in &rows[slice] {
                let mut insert = sqlx::query(AssertSqlSafe(sql.as_str()));
                for value in row {
                    insert = match value {
                        Stored::Null => insert.bind(None::<i64>),
                        Stored::Integer(number) => insert.bind(number),
                        Stored::Text(text) => insert.bind(text.as_str()),
                        Stored::Bytes(bytes) => insert.bind(bytes.as_slice()),
                    };
                }
                insert.execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    db.close().await?;
    Ok((seconds, tables.iter().map(|(_, rows)| rows.len()).sum()))
}
