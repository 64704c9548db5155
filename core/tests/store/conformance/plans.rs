//! How SQLite finds the rows of each statement that signing in and what belongs to it runs: by an index, however many rows there are of
//! others. Lists of users, assets, groups, keys and the audit log have a test of their own (`common/lists.rs`).

use std::path::Path;

use rolekeep::storage::{SqliteOptions, SqliteStorage};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::statements;
use crate::cheap;

/// Tables that grow with accounts and their use.
const GROWING: [&str; 24] = [
    "api_key_uses",
    "api_keys",
    "asset_assignments",
    "challenges",
    "claims",
    "commits",
    "credentials",
    "done_requests",
    "factor_states",
    "factors",
    "former_factors",
    "guards",
    "identities",
    "invitations",
    "limits",
    "links",
    "notices",
    "passkeys",
    "preferences",
    "recovery_codes",
    "registrations",
    "session_activity",
    "sessions",
    "user_activity",
];

/// A statement, and the lines of its `EXPLAIN QUERY PLAN`.
struct Plan {
    text: String,
    lines: Vec<String>,
}

impl Plan {
    /// Whether it counts groups of rows that it does not find by an index.
    fn is_blind_count(&self) -> bool {
        let is_scan = |line: &&String| line.starts_with("SCAN users") || line.starts_with("SCAN drones");
        self.is_count() && self.lines.iter().filter(is_scan).any(|line| !line.contains(" INDEX "))
    }

    fn is_count(&self) -> bool {
        self.text.contains(" GROUP BY ")
    }

    /// Whether it reads more than it needs of a table.
    fn is_fault(&self, table: &str) -> bool {
        let is_of_one = self.text.contains(&format!(r#""{table}"."user_id" = ?"#));
        let is_page = self.text.contains(" LIMIT ");
        let mut of_table = self.lines.iter().filter(|line| line.split(' ').nth(1) == Some(table)).peekable();
        let is_sorted = of_table.peek().is_some() && self.lines.iter().any(|line| line.contains("TEMP B-TREE"));
        let finds_one = |line: &String| line.contains("user_id=?") || line.contains("PRIMARY KEY (");
        of_table.any(|line| {
            // A page may walk an index in its order, and what goes through all rows the table in that of its key.
            let is_walk = line.contains(" INDEX ") || !self.text.contains(" WHERE ");
            let is_scan = line.starts_with("SCAN") && !(is_page && is_walk);
            is_scan || (is_of_one || is_sorted) && !finds_one(line)
        })
    }
}

/// Runs what a store does by itself now and then, so that its statements are among those that are looked at.
async fn tidied(file: &Path) {
    let storage = SqliteStorage::open(SqliteOptions::new(file)).await.unwrap();
    statements::keep_texts(file);
    let um = cheap::builder().storage(std::sync::Arc::new(storage)).open().await.unwrap();
    um.tidy().await.unwrap();
    um.close().await.unwrap();
}

/// Looks at each statement that ran.
pub async fn each_finds_its_rows_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    tidied(&file).await;
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let (mut seen, mut faults, mut counted) = (Vec::new(), Vec::new(), 0);
    let texts = statements::texts().into_iter();
    for text in texts.filter(|text| ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| text.starts_with(verb)))
    {
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"))).fetch_all(&mut connection).await;
        let lines = rows.unwrap().iter().map(|row| row.get("detail")).collect();
        let plan = Plan { text, lines };
        counted += usize::from(plan.is_count());
        if plan.is_blind_count() {
            faults.push(format!("{}\n    {}", plan.text, plan.lines.join("\n    ")));
        }
        let tables = GROWING.into_iter().filter(|table| plan.text.contains(&format!(r#""{table}""#)));
        for table in tables {
            seen.push(table);
            if plan.is_fault(table) {
                faults.push(format!("{table}: {}\n    {}", plan.text, plan.lines.join("\n    ")));
            }
        }
    }
    connection.close().await.unwrap();
    assert!(GROWING.iter().all(|table| seen.contains(table)), "not played: {seen:?}");
    assert!(counted >= 4, "not played: counts by groups");
    assert!(faults.is_empty(), "not by an index:\n{}", faults.join("\n"));
}
