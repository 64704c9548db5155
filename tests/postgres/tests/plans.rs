//! PostgreSQL finds the rows of common filters by index, takes any number of scopes as one parameter,
//! and tells at start what a mapping gets wrong.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use rolekeep::{
    Policy, Time,
    rules::{Context, Question, Resource, Role, RowFilter, RuleSet, Scope, StoredAssignment, StoredPrincipal},
    storage::sql::{ColumnMapping, TableMapping, TimeStorage},
};
use rolekeep_postgres_tests::{Cluster, bound, rows};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

const ME: Uuid = Uuid::from_u128(7);

/// 50,000 documents of 500 regions and 5,000 owners.
const TABLES: &str = "
    CREATE TABLE documents (id uuid PRIMARY KEY, title text NOT NULL, code text COLLATE \"C\" NOT NULL, region_id uuid NOT NULL,
        owner_id uuid, made_at timestamptz NOT NULL, tags text[]);
    INSERT INTO documents SELECT lpad(to_hex(n), 32, '0')::uuid, 'title ' || n, 'code ' || n,
        lpad(to_hex(n % 500), 32, '0')::uuid, lpad(to_hex(n % 5000), 32, '0')::uuid,
        '2026-01-01Z'::timestamptz + n * interval '1 minute', ARRAY['t' || n % 1000] FROM generate_series(1, 50000) AS n;
    CREATE INDEX by_region ON documents (region_id);
    CREATE INDEX by_owner ON documents (owner_id);
    CREATE INDEX by_title ON documents (title);
    CREATE INDEX by_title_bytes ON documents (title COLLATE \"C\");
    CREATE INDEX by_code ON documents (code);
    CREATE INDEX by_made_at ON documents (made_at);
    CREATE INDEX by_tags ON documents USING gin (tags);
    CREATE TABLE readers (document_id uuid NOT NULL, user_id uuid NOT NULL);
    INSERT INTO readers SELECT id, owner_id FROM documents;
    CREATE INDEX readers_by_user ON readers (user_id);
    ANALYZE;";

fn now() -> Time {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn policy(when: &str) -> Policy {
    let attributes = [
        ("id", "id"),
        ("title", "string"),
        ("code", "string"),
        ("region_id", "id"),
        ("owner_id", "id?"),
        ("made_at", "time"),
        ("tags", "set<string>?"),
        ("readers", "set<id>"),
    ];
    let policy = Policy::new().resource_type("document", attributes).permissions(["document:list"]);
    policy.add_role(match when {
        "" => Role::new("reader").allow("document:list"),
        when => Role::new("reader").allow_when("document:list", when),
    })
}

fn reader(scopes: impl IntoIterator<Item = Scope>) -> StoredPrincipal {
    let held = |scope| StoredAssignment::new("reader", scope);
    StoredPrincipal {
        attributes: Vec::new(),
        assignments: scopes.into_iter().map(held).collect(),
        ..StoredPrincipal::new(ME)
    }
}

fn filter_of(when: &str, scopes: impl IntoIterator<Item = Scope>) -> RowFilter {
    let rules =
        RuleSet::compile(&policy(when), &rolekeep_test_cases::schema()).unwrap_or_else(|error| panic!("{error}"));
    let list = rules.permission("document:list").unwrap();
    let mut facts = reader(scopes);
    facts.attributes.extend([
        ("username".into(), "ada".into()),
        ("email".into(), "ada@example.org".into()),
        ("status".into(), "active".into()),
    ]);
    rules.filter(&rules.resolve_stored(facts), list, &Context::new(), now()).unwrap()
}

fn mapping() -> TableMapping {
    TableMapping::postgres("documents")
        .times(TimeStorage::Timestamptz)
        .column("readers", ColumnMapping::link("readers", "document_id", "id", "user_id"))
}

async fn filled(cluster: &Cluster) -> PgConnection {
    let mut connection = cluster.connect().await;
    sqlx::raw_sql(TABLES).execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test]
async fn common_filters_use_indexes() {
    let cluster = Cluster::start();
    let mut connection = filled(&cluster).await;
    let regions = || (1..=3).map(|id| Scope::region(Uuid::from_u128(id)));
    let owned = "resource.owner_id == principal.id";
    let both = format!("{owned} or resource.region_id in [\"{}\", \"{}\"]", Uuid::from_u128(1), Uuid::from_u128(2));
    let global = || [Scope::Global];
    let filters = [
        (filter_of("", regions()), vec!["by_region"]),
        (filter_of(owned, global()), vec!["by_owner"]),
        (filter_of(&both, global()), vec!["by_owner", "by_region"]),
        (filter_of("resource.title == \"title 5\"", global()), vec!["by_title"]),
        (filter_of("resource.title in [\"title 5\", \"title 6\"]", global()), vec!["by_title"]),
        (filter_of("resource.title starts_with \"title 55\"", global()), vec!["by_title_bytes"]),
        (filter_of("resource.code starts_with \"code 55\"", global()), vec!["by_code"]),
        (filter_of("resource.made_at > \"2026-02-04T00:00:00Z\"", global()), vec!["by_made_at"]),
        (filter_of("resource.tags contains \"t5\"", global()), vec!["by_tags"]),
        (filter_of("resource.readers contains principal.id", global()), vec!["readers_by_user", "documents_pkey"]),
    ];
    for (filter, indexes) in filters {
        let condition = filter.to_sql(&mapping(), now()).unwrap();
        let plan = rows(&mut connection, "EXPLAIN SELECT * FROM documents", &condition).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(indexes.iter().all(|index| plan.contains(index)), "{}\n{plan}", condition.text);
        assert!(!plan.contains("Seq Scan"), "{}\n{plan}", condition.text);
    }
}

#[tokio::test]
async fn a_hundred_thousand_scopes_are_one_parameter() {
    let cluster = Cluster::start();
    let mut connection = filled(&cluster).await;
    let rules = RuleSet::compile(&policy(""), &rolekeep_test_cases::schema()).unwrap();
    let list = rules.permission("document:list").unwrap();
    let scopes = (0..100_000).map(|id| Scope::region(Uuid::from_u128(if id < 50 { id * 3 } else { 1_000 + id })));
    let principal = rules.resolve_stored(reader(scopes));
    let filter = rules.filter(&principal, list, &Context::new(), now()).unwrap();
    let condition = filter.to_sql(&mapping(), now()).unwrap();
    assert_eq!(condition.parameters.len(), 1);
    let listed = rows(&mut connection, "SELECT DISTINCT region_id FROM documents", &condition).await.unwrap();
    let mut listed: Vec<Uuid> = listed.iter().map(|row| row.get(0)).collect();
    listed.sort_unstable();
    let is_allowed = |region: &Uuid| {
        let resource = Resource::of("document").with("region_id", *region).with("id", ME);
        let (resource, context) = (Some(&resource), Context::new());
        let question =
            Question { principal: &principal, permission: list, fields: &[], resource, context: &context, now: now() };
        rules.decide(&question).unwrap().is_allowed()
    };
    let allowed: Vec<Uuid> = (0..500).map(Uuid::from_u128).filter(is_allowed).collect();
    assert_eq!((listed.len(), listed), (50, allowed));
}

#[tokio::test]
async fn the_check_at_start_finds_what_the_mapping_gets_wrong() {
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    let tables = "
        CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE DOMAIN code AS varchar(40);
        CREATE TABLE good (id uuid PRIMARY KEY, title text NOT NULL, code code NOT NULL, region_id uuid NOT NULL, owner_id uuid,
            made_at timestamptz NOT NULL, tags text[]);
        CREATE TABLE bad (id uuid PRIMARY KEY, title text COLLATE blind NOT NULL, code char(40) NOT NULL, region_id uuid,
            owner_id text, made_at timestamp NOT NULL);";
    sqlx::raw_sql(tables).execute(&mut connection).await.unwrap();
    let when = "resource.title == \"a\" or resource.code == \"b\" or resource.owner_id == principal.id \
                or resource.made_at < now or resource.tags contains \"x\" or resource.readers contains principal.id";
    let rules = RuleSet::compile(&policy(when), &rolekeep_test_cases::schema()).unwrap();
    let mut problems_of = async |table: &str| {
        let check = mapping().check_sql(&rules, "document", table).unwrap();
        let found = bound(check.text, &check.parameters).fetch_all(&mut connection).await.unwrap();
        found.iter().map(|row| format!("{}: {}", row.get::<&str, _>(0), row.get::<&str, _>(1))).collect::<Vec<_>>()
    };
    assert_eq!(problems_of("public.good").await, [""; 0]);
    assert_eq!(
        problems_of("bad").await,
        [
            "code: has the type bpchar, not text varchar",
            "made_at: has the type timestamp, not timestamptz",
            "owner_id: has the type text, not uuid",
            "region_id: may be null: declare the attribute optional, or the column NOT NULL",
            "tags: there is no such column",
            "title: has a collation by which different texts are equal",
        ]
    );
    assert_eq!(problems_of("nowhere").await.len(), 7);
}
