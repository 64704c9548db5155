//! The law of list filters (RBC-8) on a real PostgreSQL: a row passes the SQL if and only if `decide`
//! allows it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{cell::RefCell, collections::BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestCaseError, TestRunner},
};
use rolekeep::{
    rules::{Question, Resource, RowFilter},
    storage::sql::{ColumnMapping, IdStorage, SqlCondition, TableMapping, TimeStorage},
};
use rolekeep_postgres_tests::{Cluster, rows};
use rolekeep_test_cases::{Choices, DOCUMENT, DocumentCase, DocumentRow};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// So many at random; more with each kind of member of a document.
const ROWS: usize = 80;

const TABLES: &str = "
    CREATE TABLE documents (id uuid PRIMARY KEY, title text NOT NULL, label text COLLATE \"C\", region_id uuid, owner_id uuid,
        writer text, size bigint, flag boolean, made_at bigint NOT NULL, seen_at timestamptz, due_at bigint,
        age bigint, address inet, tags text[], codes bigint[], teams uuid[], meta jsonb);
    CREATE TABLE document_reviewers (document uuid, \"user\" uuid);";

const INSERT: &str = "INSERT INTO documents VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,
    '2000-01-01Z'::timestamptz + make_interval(days => ($10::bigint / 86400000000)::int - 10957) +
    ($10::bigint % 86400000000) * interval '1 microsecond', $11, $12, $13::inet, $14, $15, $16, $17::jsonb)";

fn mapping() -> TableMapping {
    let mapping = TableMapping::postgres("d")
        .column("editor_id", ColumnMapping::named("writer").ids(IdStorage::Text))
        .column("seen_at", ColumnMapping::named("seen_at").times(TimeStorage::Timestamptz))
        .column("reviewers", ColumnMapping::link("public.document_reviewers", "document", "id", "user"));
    let members = DOCUMENT.iter().map(|(name, _)| *name).filter(|name| name.starts_with("m_"));
    members.fold(mapping, |mapping, name| mapping.column(name, ColumnMapping::json("meta", [name])))
}

struct Fixture {
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
    documents: Vec<DocumentRow>,
    /// As the rules see them.
    resources: Vec<(Uuid, Resource<'static>)>,
    _cluster: Cluster,
}

impl Fixture {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cluster = Cluster::start();
        let mut documents = documents();
        let connection = runtime.block_on(async {
            let mut connection = cluster.connect().await;
            fill(&mut connection, &mut documents).await;
            connection
        });
        let resources = documents.iter().map(|row| (row.id, row.resource())).collect();
        Self { runtime, connection, documents, resources, _cluster: cluster }
    }

    /// The ids that a condition lists.
    fn listed(&mut self, condition: &SqlCondition) -> Result<BTreeSet<Uuid>, String> {
        let rows = rows(&mut self.connection, "SELECT d.id FROM documents AS d", condition);
        Ok(self.runtime.block_on(rows)?.iter().map(|row| row.get(0)).collect())
    }
}

fn documents() -> Vec<DocumentRow> {
    let numbers = (0..40_000_u32).map(|at| at.wrapping_mul(2_654_435_761).rotate_left(at % 31));
    Choices::new(numbers.collect()).documents(ROWS)
}

async fn fill(connection: &mut PgConnection, documents: &mut [DocumentRow]) {
    sqlx::raw_sql(TABLES).execute(&mut *connection).await.unwrap();
    for (at, row) in documents.iter_mut().enumerate() {
        let insert = sqlx::query(INSERT).bind(row.id).bind(&row.title).bind(&row.label).bind(row.region_id);
        let insert =
            insert.bind(row.owner_id).bind(row.editor_id.map(|id| id.to_string())).bind(row.size).bind(row.flag);
        let insert = insert.bind(row.made_at).bind(row.seen_at).bind(row.due_at).bind(row.age).bind(&row.address);
        let insert = insert.bind(&row.tags).bind(&row.codes).bind(&row.teams).bind(&row.meta);
        insert.execute(&mut *connection).await.unwrap();
        for user in &row.reviewers {
            let insert = sqlx::query("INSERT INTO document_reviewers VALUES ($1, $2)").bind(row.id).bind(user);
            insert.execute(&mut *connection).await.unwrap();
        }
        // Nobody's reviewer, and no document's.
        sqlx::query("INSERT INTO document_reviewers VALUES (NULL, $1), ($1, NULL)")
            .bind(row.id)
            .execute(&mut *connection)
            .await
            .unwrap();
        if at % 13 == 0 {
            row.seen_at = None;
            let infinite = if at % 2 == 0 { "infinity" } else { "-infinity" };
            let update = sqlx::query("UPDATE documents SET seen_at = $2::text::timestamptz WHERE id = $1");
            update.bind(row.id).bind(infinite).execute(&mut *connection).await.unwrap();
        }
        // What the host reads is what the database made of it: `1e2` has become `100`.
        let meta = sqlx::query(
            "SELECT meta::text, (extract(epoch FROM seen_at) * 1000000)::text FROM documents WHERE id = $1",
        );
        let meta = meta.bind(row.id).fetch_one(&mut *connection).await.unwrap();
        row.meta = meta.get(0);
        if let Some(seen_at) = row.seen_at {
            assert_eq!(meta.get::<&str, _>(1).split('.').next(), Some(seen_at.to_string().as_str()));
        }
    }
}

fn cases() -> impl Strategy<Value = DocumentCase> {
    proptest::collection::vec(any::<u32>(), 0..900)
        .prop_map(|numbers| DocumentCase::draw(&mut Choices::new(numbers), true))
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
fn rbc_8_a_row_passes_the_sql_of_postgresql_if_and_only_if_decide_allows_it() {
    let fixture = RefCell::new(Fixture::new());
    let mut runner = TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
    let result = runner.run(&cases(), |case| {
        let fixture = &mut *fixture.borrow_mut();
        let (allowed, filter) = decided(&case, &fixture.resources);
        let condition = filter.to_sql(&mapping(), case.now).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let listed = fixture.listed(&condition).map_err(TestCaseError::fail)?;
        let mut wrong = fixture.documents.iter().filter(|row| listed.contains(&row.id) != allowed.contains(&row.id));
        prop_assert_eq!(wrong.next(), None, "{:?}", condition);
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
}

#[test]
fn cases_are_not_trivial() {
    let mut fixture = Fixture::new();
    let count = fixture.documents.len();
    let mut runner = TestRunner::deterministic();
    let (mut none, mut some, mut all) = (0, 0, 0);
    for _ in 0..500 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let (_, filter) = decided(&case, &fixture.resources);
        match fixture.listed(&filter.to_sql(&mapping(), case.now).unwrap()).unwrap().len() {
            0 => none += 1,
            listed if listed == count => all += 1,
            _ => some += 1,
        }
    }
    assert!(some > 100 && none > 0 && all > 0, "none {none}, some {some}, all {all}");
}
