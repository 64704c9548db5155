//! The SQL of row filters is what one would write by hand, uses indexes, and is refused where it
//! could not be exact.

use rolekeep::{
    Policy, Reason, Time,
    rules::{Context, Question, Resource, Role, RowFilter, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    storage::sql::{ColumnMapping, IdStorage, SqlCondition, SqlValue, TableMapping, TimeStorage},
};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use uuid::Uuid;

const ME: Uuid = Uuid::from_u128(7);

fn now() -> Time {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn schema() -> Schema {
    rolekeep_test_cases::schema()
}

/// A policy with one role that allows listing documents under this condition.
fn policy(when: &str) -> Policy {
    let attributes = [
        ("id", "id"),
        ("title", "string"),
        ("label", "string?"),
        ("region_id", "id"),
        ("owner_id", "id?"),
        ("size", "int"),
        ("level", "int?"),
        ("made_at", "time"),
        ("until", "time?"),
        ("wait", "duration?"),
        ("address", "ip?"),
        ("tags", "set<string>?"),
        ("readers", "set<id>"),
        ("public", "bool"),
    ];
    let policy = Policy::new().resource_type("document", attributes).permissions(["document:list"]);
    policy.add_role(match when {
        "" => Role::new("reader").allow("document:list"),
        when => Role::new("reader").allow_when("document:list", when),
    })
}

fn filter_of(policy: &Policy, scopes: impl IntoIterator<Item = Scope>) -> RowFilter {
    let rules = RuleSet::compile(policy, &schema()).unwrap_or_else(|error| panic!("{error}"));
    let permission = rules.permission("document:list").unwrap();
    rules.filter(&rules.resolve_stored(reader(scopes)), permission, &Context::new(), now()).unwrap()
}

fn reader(scopes: impl IntoIterator<Item = Scope>) -> StoredPrincipal {
    let held = |scope| StoredAssignment::new("reader", scope);
    StoredPrincipal {
        attributes: vec![
            ("username".into(), "ada".into()),
            ("email".into(), "ada@example.org".into()),
            ("status".into(), "active".into()),
        ],
        assignments: scopes.into_iter().map(held).collect(),
        ..StoredPrincipal::new(ME)
    }
}

fn sql(when: &str, mapping: &TableMapping) -> SqlCondition {
    filter_of(&policy(when), [Scope::Global]).to_sql(mapping, now()).unwrap()
}

#[test]
fn the_text_is_what_one_would_write() {
    let (postgres, sqlite) = (TableMapping::postgres("d"), TableMapping::sqlite("d").strict());
    let cases = [
        ("", "TRUE", "1"),
        ("resource.owner_id == principal.id", r#""d"."owner_id" = $1::uuid"#, r#""d"."owner_id" = ?1"#),
        (
            "has resource.owner_id and resource.owner_id != principal.id",
            r#""d"."owner_id" <> $1::uuid"#,
            r#""d"."owner_id" <> ?1"#,
        ),
        ("not has resource.owner_id", r#""d"."owner_id" IS NULL"#, r#""d"."owner_id" IS NULL"#),
        ("resource.public == true", r#""d"."public" = $1::boolean"#, r#""d"."public" = ?1"#),
        (
            "resource.size in [1, 2, 3]",
            r#""d"."size" = ANY($1::bigint[])"#,
            r#""d"."size" IN (SELECT value FROM json_each(?1))"#,
        ),
        ("resource.size in [1]", r#""d"."size" = $1::bigint"#, r#""d"."size" = ?1"#),
        ("resource.size in []", "FALSE", "0"),
        ("resource.title == \"a\"", r#""d"."title" = $1::text"#, r#""d"."title" COLLATE BINARY = ?1"#),
        ("resource.title < \"a\"", r#""d"."title" COLLATE "C" < $1::text"#, r#""d"."title" COLLATE BINARY < ?1"#),
        (
            "resource.title starts_with \"a_%\"",
            r#"("d"."title" COLLATE "C" >= $1::text AND "d"."title" COLLATE "C" < $2::text)"#,
            r#"("d"."title" COLLATE BINARY >= ?1 AND "d"."title" COLLATE BINARY < ?2)"#,
        ),
        (
            "has resource.owner_id and not (resource.owner_id == principal.id) or resource.size > 5",
            r#"("d"."owner_id" IS NOT NULL AND ("d"."owner_id" = $1::uuid) IS NOT TRUE OR "d"."size" > $2::bigint)"#,
            r#"("d"."owner_id" IS NOT NULL AND ("d"."owner_id" = ?1) IS NOT 1 OR "d"."size" > ?2)"#,
        ),
        ("resource.until > now", r#""d"."until" > $1::bigint"#, r#""d"."until" > ?1"#),
        (
            "resource.made_at + 1h < resource.until",
            r#""d"."made_at" < "d"."until" + $1::bigint"#,
            r#""d"."made_at" < "d"."until" + ?1"#,
        ),
        (
            "(resource.size == 1 or resource.size == 2) and resource.public == true",
            r#"(("d"."size" = $1::bigint OR "d"."size" = $2::bigint) AND "d"."public" = $3::boolean)"#,
            r#"(("d"."size" = ?1 OR "d"."size" = ?2) AND "d"."public" = ?3)"#,
        ),
        (
            "resource.tags contains \"x\"",
            r#"("d"."tags" @> ARRAY[$1::text] AND array_position("d"."tags", NULL) IS NULL)"#,
            "",
        ),
    ];
    for (when, in_postgres, in_sqlite) in cases {
        for (mapping, wanted) in [(&postgres, in_postgres), (&sqlite, in_sqlite)] {
            if !wanted.is_empty() {
                assert_eq!(sql(when, mapping).text, wanted, "{when}");
            }
        }
    }
    let nobody = filter_of(&policy(""), []);
    assert_eq!(nobody.to_sql(&postgres, now()).unwrap().text, "FALSE");
}

#[test]
fn scopes_fold_into_one_parameter_and_numbers_begin_where_the_host_says() {
    let regions: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    let policy =
        policy("").add_role(Role::new("owner").allow_when("document:list", "resource.owner_id == principal.id"));
    let mut facts = reader(regions.iter().map(|id| Scope::region(*id)));
    facts.assignments.push(StoredAssignment::new("owner", Scope::Global));
    let rules = RuleSet::compile(&policy, &schema()).unwrap();
    let list = rules.permission("document:list").unwrap();
    let filter = rules.filter(&rules.resolve_stored(facts), list, &Context::new(), now()).unwrap();
    let mapping = TableMapping::postgres("d").column("region_id", "area\"; --").first_parameter(4);
    let condition = filter.to_sql(&mapping, now()).unwrap();
    assert_eq!(condition.text, r#"("d"."owner_id" = $4::uuid OR "d"."area""; --" = ANY($5::uuid[]))"#);
    assert_eq!(condition.parameters, [SqlValue::Uuid(ME), SqlValue::Uuids(regions.clone())]);
    let blobs = filter.to_sql(&TableMapping::sqlite("documents").ids(IdStorage::Blob), now()).unwrap();
    assert_eq!(
        blobs.text,
        r#"("documents"."owner_id" = ?1 OR "documents"."region_id" IN (SELECT unhex(value) FROM json_each(?2)))"#
    );
    assert_eq!(blobs.parameters[0], SqlValue::Blob(ME.as_bytes().to_vec()));
}

#[test]
fn a_loose_table_of_sqlite_is_asked_for_types_where_order_would_mislead() {
    let loose = TableMapping::sqlite("documents");
    assert_eq!(
        sql("resource.size > 5", &loose).text,
        r#"("documents"."size" > ?1 AND typeof("documents"."size") = 'integer')"#
    );
    assert_eq!(sql("resource.size == 5", &loose).text, r#""documents"."size" = ?1"#);
    assert_eq!(sql("has resource.label", &loose).text, r#"(typeof("documents"."label") = 'text')"#);
}

#[test]
fn a_filter_is_refused_when_it_is_old() {
    let filter = filter_of(&policy(""), [Scope::Global]);
    let mapping = TableMapping::postgres("documents");
    assert!(filter.to_sql(&mapping, now()).is_ok());
    assert_eq!(filter.to_sql(&mapping, filter.expires()).unwrap_err().reason(), Reason::RightsStale);
}

#[test]
fn what_cannot_be_exact_is_refused_by_name() {
    let refused = |when: &str, mapping: &TableMapping| {
        let error = filter_of(&policy(when), [Scope::Global]).to_sql(mapping, now()).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidInput);
        error.fields().iter().map(|field| format!("{}: {}", field.field, field.message)).collect::<Vec<_>>()
    };
    let sqlite = TableMapping::sqlite("documents");
    let both = refused(
        "resource.address == \"10.0.0.1\" or resource.level > 1",
        &sqlite.clone().column("level", ColumnMapping::json("meta", ["a\"b"])),
    );
    assert!(both.len() == 2 && both[0].starts_with("address: ") && both[1].contains("cannot be written"), "{both:?}");
    let cases = [
        (
            "resource.size > 1",
            sqlite.clone().column("size", ColumnMapping::json("meta", ["size"])),
            "size: a document may lack it",
        ),
        ("resource.until > now", sqlite.clone().times(TimeStorage::Timestamptz), "until: SQLite has no type"),
        (
            "resource.until > now",
            TableMapping::postgres("documents").column("until", ColumnMapping::json("meta", ["until"])),
            "until: a time",
        ),
        (
            "resource.wait > 1h",
            sqlite.clone().column("wait", ColumnMapping::json("meta", ["wait"])),
            "wait: a duration",
        ),
        ("resource.owner_id == principal.id", sqlite.clone().ids(IdStorage::Uuid), "owner_id: Sqlite has no ids"),
        (
            "resource.owner_id == resource.region_id",
            sqlite.clone().column("owner_id", ColumnMapping::named("o").ids(IdStorage::Blob)),
            "owner_id: is compared",
        ),
        ("resource.size == 1", sqlite.clone().column("size", "a\0b"), "size: \"a\\0b\" names no"),
        (
            "resource.size == 1",
            sqlite.clone().column("size", ColumnMapping::link("r", "d", "id", "u")),
            "size: a link gives a set",
        ),
        ("resource.size == 1", TableMapping::sqlite("RK_link"), "size: the qualifiers"),
    ];
    for (when, mapping, wanted) in cases {
        let problems = refused(when, &mapping);
        assert!(problems.len() == 1 && problems[0].starts_with(wanted), "{wanted}: {problems:?}");
    }
}

#[test]
fn our_own_types_are_listed_by_the_hosts_sql_too() {
    let rules = RuleSet::compile(&Policy::preset("flyos").unwrap(), &schema()).unwrap();
    let mut facts = reader([Scope::Global]);
    facts.assignments[0].role = "OPERATOR".into();
    let list = rules.permission("drone:list").unwrap();
    let filter = rules.filter(&rules.resolve_stored(facts), list, &Context::new(), now()).unwrap();
    let condition = filter.to_sql(&TableMapping::postgres("drones"), now()).unwrap();
    assert_eq!(
        condition.text,
        "\"drones\".\"id\" IN (SELECT rk_link.\"drone_id\" FROM \"drone_assignments\" AS rk_link WHERE rk_link.\"user_id\" = $1::uuid)"
    );
}

async fn run(connection: &mut SqliteConnection, text: String, parameters: &[SqlValue]) -> Vec<sqlx::sqlite::SqliteRow> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for parameter in parameters {
        query = match parameter {
            SqlValue::Int(int) => query.bind(*int),
            SqlValue::Text(text) => query.bind(text.clone()),
            other => panic!("SQLite binds no {other:?}"),
        };
    }
    query.fetch_all(connection).await.unwrap()
}

const INDEXED: &str = "
    CREATE TABLE documents (id TEXT PRIMARY KEY, title TEXT NOT NULL, region_id TEXT NOT NULL, owner_id TEXT, size INTEGER NOT NULL,
        meta TEXT) STRICT;
    CREATE INDEX by_region ON documents (region_id);
    CREATE INDEX by_owner ON documents (owner_id);
    CREATE INDEX by_title ON documents (title);
    CREATE INDEX by_size ON documents (size);
    CREATE TABLE readers (document_id TEXT NOT NULL, user_id TEXT NOT NULL) STRICT;
    CREATE INDEX readers_by_user ON readers (user_id);";

#[tokio::test]
async fn common_filters_use_indexes() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(INDEXED).execute(&mut connection).await.unwrap();
    let regions = || (1..=3).map(|id| Scope::region(Uuid::from_u128(id)));
    let owned = "resource.owner_id == principal.id";
    let mapping = TableMapping::sqlite("documents")
        .column("readers", ColumnMapping::link("readers", "document_id", "id", "user_id"));
    let both = policy(&format!("{owned} or resource.region_id == \"{}\"", Uuid::from_u128(1)));
    let filters = [
        (filter_of(&policy(""), regions()), vec!["by_region"]),
        (filter_of(&policy(owned), [Scope::Global]), vec!["by_owner"]),
        (filter_of(&both, [Scope::Global]), vec!["by_owner", "by_region"]),
        (filter_of(&policy("resource.title == \"a\""), [Scope::Global]), vec!["by_title"]),
        (filter_of(&policy("resource.title in [\"a\", \"b\"]"), [Scope::Global]), vec!["by_title"]),
        (filter_of(&policy("resource.title starts_with \"a\""), [Scope::Global]), vec!["by_title"]),
        (filter_of(&policy("resource.size > 5"), [Scope::Global]), vec!["by_size"]),
        (
            filter_of(&policy("resource.readers contains principal.id"), [Scope::Global]),
            vec!["readers_by_user", "sqlite_autoindex_documents_1"],
        ),
    ];
    for (filter, indexes) in filters {
        let condition = filter.to_sql(&mapping, now()).unwrap();
        let text = format!("EXPLAIN QUERY PLAN SELECT * FROM documents WHERE {}", condition.text);
        let plan = run(&mut connection, text, &condition.parameters).await;
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("\n");
        assert!(indexes.iter().all(|index| plan.contains(index)), "{}\n{plan}", condition.text);
        assert!(!plan.contains("SCAN documents"), "{}\n{plan}", condition.text);
    }
}

#[tokio::test]
async fn a_hundred_thousand_scopes_are_one_parameter() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(INDEXED).execute(&mut connection).await.unwrap();
    for at in 0..60_u128 {
        let row = sqlx::query("INSERT INTO documents VALUES (?, 't', ?, NULL, 0, NULL)");
        let region = Uuid::from_u128(at * 5_000);
        row.bind(Uuid::from_u128(at).to_string()).bind(region.to_string()).execute(&mut connection).await.unwrap();
    }
    let rules = RuleSet::compile(&policy(""), &schema()).unwrap();
    let principal = rules.resolve_stored(reader((0..100_000).map(|id| Scope::region(Uuid::from_u128(id)))));
    let permission = rules.permission("document:list").unwrap();
    let filter = rules.filter(&principal, permission, &Context::new(), now()).unwrap();
    let condition = filter.to_sql(&TableMapping::sqlite("documents"), now()).unwrap();
    assert_eq!(condition.parameters.len(), 1);
    let text = format!("SELECT id FROM documents WHERE {}", condition.text);
    let listed: Vec<String> =
        run(&mut connection, text, &condition.parameters).await.iter().map(|row| row.get(0)).collect();
    let is_allowed = |at: &u128| {
        let resource =
            Resource::of("document").with("region_id", Uuid::from_u128(at * 5_000)).with("id", Uuid::from_u128(*at));
        let context = Context::new();
        let question = Question {
            principal: &principal,
            permission,
            fields: &[],
            resource: Some(&resource),
            context: &context,
            now: now(),
        };
        rules.decide(&question).unwrap().is_allowed()
    };
    let allowed: Vec<String> = (0..60).filter(is_allowed).map(|at| Uuid::from_u128(at).to_string()).collect();
    assert_eq!(listed, allowed);
    assert_eq!(allowed.len(), 20);
}

#[tokio::test]
async fn the_check_at_start_finds_what_the_mapping_gets_wrong() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let loose = "CREATE TABLE documents (id TEXT PRIMARY KEY, title TEXT, owner_id TEXT, region_id TEXT NOT NULL);";
    sqlx::raw_sql(loose).execute(&mut connection).await.unwrap();
    let rules = RuleSet::compile(
        &policy("resource.title == \"a\" or resource.owner_id == principal.id or resource.size > 1"),
        &schema(),
    )
    .unwrap();
    let check = TableMapping::sqlite("documents").strict().check_sql(&rules, "document", "documents").unwrap();
    let problems = run(&mut connection, check.text, &check.parameters).await;
    let problems: Vec<(String, String)> = problems.iter().map(|row| (row.get(0), row.get(1))).collect();
    let names: Vec<&str> = problems.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["size", "table", "title"], "{problems:?}");
    assert!(problems[0].1.contains("no such column") && problems[2].1.contains("may be null"), "{problems:?}");
    let error = TableMapping::sqlite("documents").check_sql(&rules, "documnet", "documents").unwrap_err();
    assert!(error.message().contains("no type"), "{error}");
}
