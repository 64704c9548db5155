//! The law of list filters (RBC-8) for types that the host keeps: a row passes the SQL if and only if
//! `decide` allows it, in tables of SQLite that no migration of ours has made. PostgreSQL has a crate
//! of its own: tests/postgres.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{TestCaseError, TestRunner},
};
use rolekeep::{
    Value,
    rules::{Question, Resource, RowFilter},
    storage::sql::{ColumnMapping, IdStorage, SqlCondition, SqlValue, TableMapping},
};
use rolekeep_test_cases::{Choices, DOCUMENT, DocumentCase, DocumentRow, array};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use uuid::Uuid;

/// So many at random; more with each kind of member of a document.
const ROWS: usize = 120;

/// As hosts write tables: types are wishes, and titles do not know their case.
const LOOSE: &str = "
    CREATE TABLE documents (id TEXT PRIMARY KEY, title TEXT NOT NULL COLLATE NOCASE, label TEXT, region_id TEXT,
        owner_id TEXT, writer TEXT, size INTEGER, flag BOOLEAN, made_at INTEGER NOT NULL, seen_at INTEGER,
        due_at INTEGER, age INTEGER, tags TEXT, codes TEXT, teams TEXT, meta TEXT);
    CREATE TABLE document_reviewers (document TEXT, user TEXT);";

/// As careful hosts write them, ids as bytes.
const STRICT: &str = "
    CREATE TABLE documents_strict (id BLOB PRIMARY KEY, title TEXT NOT NULL, label TEXT, region_id BLOB, owner_id BLOB,
        writer TEXT, size INTEGER, flag INTEGER, made_at INTEGER NOT NULL, seen_at INTEGER, due_at INTEGER,
        age INTEGER, tags TEXT, codes TEXT, teams TEXT, meta TEXT) STRICT;
    CREATE TABLE document_reviewers_strict (document BLOB, user BLOB) STRICT;";

fn mapping(suffix: &str) -> TableMapping {
    let reviewers = ColumnMapping::link(format!("document_reviewers{suffix}"), "document", "id", "user");
    let mapping = TableMapping::sqlite("d")
        .column("editor_id", ColumnMapping::named("writer").ids(IdStorage::Text))
        .column("reviewers", reviewers);
    let members = DOCUMENT.iter().map(|(name, _)| *name).filter(|name| name.starts_with("m_"));
    members.fold(mapping, |mapping, name| mapping.column(name, ColumnMapping::json("meta", [name])))
}

struct Fixture {
    runtime: tokio::runtime::Runtime,
    connection: SqliteConnection,
    rows: Vec<DocumentRow>,
    /// As the rules see them.
    resources: Vec<(Uuid, Resource<'static>)>,
}

impl Fixture {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut connection = runtime.block_on(SqliteConnection::connect("sqlite::memory:")).unwrap();
        let mut rows = documents();
        runtime.block_on(async {
            sqlx::raw_sql(LOOSE).execute(&mut connection).await.unwrap();
            sqlx::raw_sql(STRICT).execute(&mut connection).await.unwrap();
            for row in &rows {
                insert(&mut connection, "", row).await;
                insert(&mut connection, "_strict", row).await;
            }
            spoil(&mut connection, &mut rows).await;
        });
        let resources = rows.iter().map(|row| (row.id, row.resource())).collect();
        Self { runtime, connection, rows, resources }
    }

    /// The ids that a condition lists.
    fn listed(&mut self, suffix: &str, condition: &SqlCondition) -> BTreeSet<Uuid> {
        let text = format!("SELECT d.id FROM documents{suffix} AS d WHERE {}", condition.text);
        let mut query = sqlx::query(AssertSqlSafe(text));
        for parameter in &condition.parameters {
            query = match parameter {
                SqlValue::Int(int) => query.bind(*int),
                SqlValue::Text(text) => query.bind(text.clone()),
                SqlValue::Blob(bytes) => query.bind(bytes.clone()),
                other => unreachable!("SQLite binds no {other:?}"),
            };
        }
        let rows = self.runtime.block_on(query.fetch_all(&mut self.connection)).unwrap();
        let id = |row: &sqlx::sqlite::SqliteRow| match suffix {
            "" => Uuid::parse_str(row.get(0)).unwrap(),
            _ => Uuid::from_slice(row.get(0)).unwrap(),
        };
        rows.iter().map(id).collect()
    }
}

fn documents() -> Vec<DocumentRow> {
    let numbers = (0..80_000_u32).map(|at| at.wrapping_mul(2_654_435_761).rotate_left(at % 31));
    Choices::new(numbers.collect()).broken_documents(ROWS)
}

async fn insert(connection: &mut SqliteConnection, suffix: &str, row: &DocumentRow) {
    let text = format!("INSERT INTO documents{suffix} VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    let json = |value: Value| match value {
        Value::Json(text) => Some(text),
        _ => None,
    };
    let is_text = suffix.is_empty();
    let mut query = sqlx::query(AssertSqlSafe(text));
    query = match is_text {
        true => query.bind(row.id.to_string()),
        false => query.bind(row.id.as_bytes().to_vec()),
    };
    query = query.bind(row.title.clone()).bind(row.label.clone());
    for id in [row.region_id, row.owner_id] {
        query = match is_text {
            true => query.bind(id.map(|id| id.to_string())),
            false => query.bind(id.map(|id| id.as_bytes().to_vec())),
        };
    }
    query = query.bind(row.editor_id.map(|id| id.to_string())).bind(row.size).bind(row.flag);
    query = query.bind(row.made_at).bind(row.seen_at).bind(row.due_at).bind(row.age);
    query = query.bind(json(array(&row.tags))).bind(json(array(&row.codes))).bind(json(array(&row.teams)));
    query.bind(row.meta.clone()).execute(&mut *connection).await.unwrap();
    for user in &row.reviewers {
        let text = format!("INSERT INTO document_reviewers{suffix} VALUES (?,?)");
        let query = sqlx::query(AssertSqlSafe(text));
        let query = match is_text {
            true => query.bind(row.id.to_string()).bind(user.to_string()),
            false => query.bind(row.id.as_bytes().to_vec()).bind(user.as_bytes().to_vec()),
        };
        query.execute(&mut *connection).await.unwrap();
    }
}

/// Values of other types where the loose table lets them in, which count as absent.
async fn spoil(connection: &mut SqliteConnection, rows: &mut [DocumentRow]) {
    for (at, row) in rows.iter_mut().enumerate() {
        let wrong = match at % 11 {
            0 => "size = 'a', due_at = 'b', flag = 'c', age = 'd'",
            1 => "size = 1.5, due_at = x'00', flag = 2, age = 0.5",
            2 => "label = x'61', size = x'01', due_at = 1e300, flag = 1.5, age = x''",
            _ => continue,
        };
        let both = |value: &str| format!("UPDATE documents SET {value} WHERE id = ?");
        sqlx::query(AssertSqlSafe(both(wrong))).bind(row.id.to_string()).execute(&mut *connection).await.unwrap();
        (row.size, row.due_at, row.flag, row.age) = (None, None, None, None);
        let strict = "UPDATE documents_strict SET size = NULL, due_at = NULL, flag = NULL, age = NULL WHERE id = ?";
        sqlx::query(strict).bind(row.id.as_bytes().to_vec()).execute(&mut *connection).await.unwrap();
        if at % 11 == 2 {
            row.label = None;
            let strict = "UPDATE documents_strict SET label = NULL WHERE id = ?";
            sqlx::query(strict).bind(row.id.as_bytes().to_vec()).execute(&mut *connection).await.unwrap();
        }
        if at % 11 == 0 {
            // What is no JSON is no document, and no query fails by it.
            row.meta = Some("{".to_owned());
            for table in ["documents", "documents_strict"] {
                let update = format!("UPDATE {table} SET meta = '{{' WHERE rowid = {}", at + 1);
                sqlx::query(AssertSqlSafe(update)).execute(&mut *connection).await.unwrap();
            }
        }
    }
}

fn cases() -> impl Strategy<Value = DocumentCase> {
    proptest::collection::vec(any::<u32>(), 0..900)
        .prop_map(|numbers| DocumentCase::draw(&mut Choices::new(numbers), false))
}

/// What the case allows, and its filter.
fn decided(case: &DocumentCase, documents: &[(Uuid, Resource<'static>)]) -> (BTreeSet<Uuid>, RowFilter) {
    let rules = case.rules().unwrap_or_else(|error| panic!("{error}\n{:?}", case.policy));
    let principal = rules.resolve_stored(case.principal.clone());
    let context = case.context();
    let permission = rules.permission("document:read").unwrap();
    let filter = rules.filter(&principal, permission, &context, case.now).unwrap();
    let allowed = documents.iter().filter(|(_, resource)| {
        let (resource, fields) = (Some(resource), &[][..]);
        let question =
            Question { principal: &principal, permission, fields, resource, context: &context, now: case.now };
        rules.decide(&question).unwrap().is_allowed()
    });
    (allowed.map(|(id, _)| *id).collect(), filter)
}

#[test]
fn rbc_8_a_row_of_the_host_passes_the_sql_if_and_only_if_decide_allows_it() {
    let mut fixture = Fixture::new();
    let tables = [("", mapping("")), ("_strict", mapping("_strict").ids(IdStorage::Blob).strict())];
    let config = crate::kit::config(10_000);
    let fixture = std::cell::RefCell::new(&mut fixture);
    let law = |case: DocumentCase| {
        let fixture = &mut **fixture.borrow_mut();
        let (allowed, filter) = decided(&case, &fixture.resources);
        for (suffix, mapping) in &tables {
            let condition = match filter.to_sql(mapping, case.now) {
                Ok(condition) => condition,
                // Ids that are stored in two ways cannot be compared in SQLite, and it says so.
                Err(error) if error.to_string().contains("stored in another way") => continue,
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            let listed = fixture.listed(suffix, &condition);
            let mut wrong = fixture.rows.iter().filter(|row| listed.contains(&row.id) != allowed.contains(&row.id));
            prop_assert_eq!(wrong.next(), None, "{:?}", condition);
        }
        Ok(())
    };
    let result = TestRunner::new(config).run(&cases(), law);
    assert!(result.is_ok(), "{}", result.unwrap_err());
}

#[test]
fn cases_of_the_host_are_not_trivial() {
    let mut fixture = Fixture::new();
    let count = fixture.rows.len();
    let mut runner = TestRunner::deterministic();
    let (mut none, mut some, mut all, mut refused) = (0, 0, 0, 0);
    for _ in 0..500 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let (_, filter) = decided(&case, &fixture.resources);
        let Ok(condition) = filter.to_sql(&mapping(""), case.now) else {
            refused += 1;
            continue;
        };
        match fixture.listed("", &condition).len() {
            0 => none += 1,
            listed if listed == count => all += 1,
            _ => some += 1,
        }
    }
    assert!(
        some > 100 && none > 0 && all > 0 && refused < 50,
        "none {none}, some {some}, all {all}, refused {refused}"
    );
}
