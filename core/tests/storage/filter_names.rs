//! No name of a filter's SQL can mean anything but the column that the mapping says.

use rolekeep::{
    Policy, Reason, Time,
    rules::{Context, Role, RowFilter, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    storage::sql::{SqlValue, TableMapping},
};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use uuid::Uuid;

fn now() -> Time {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn filter(attributes: &[(&str, &str)], when: &str, scopes: &[Scope]) -> RowFilter {
    let policy = Policy::new().resource_type("document", attributes.iter().copied()).permissions(["document:list"]);
    let role = match when {
        "" => Role::new("reader").allow("document:list"),
        when => Role::new("reader").allow_when("document:list", when),
    };
    let rules = RuleSet::compile(&policy.add_role(role), &Schema::new()).unwrap_or_else(|error| panic!("{error}"));
    let assignments = scopes.iter().map(|scope| StoredAssignment::new("reader", scope.clone())).collect();
    let facts = StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(7)) };
    let list = rules.permission("document:list").unwrap();
    rules.filter(&rules.resolve_stored(facts), list, &Context::new(), now()).unwrap()
}

async fn count(table: &str, filter: &RowFilter, mapping: &TableMapping) -> Result<i64, Box<dyn std::error::Error>> {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(table.to_owned())).execute(&mut connection).await.unwrap();
    let condition = filter.to_sql(mapping, now())?;
    let text = format!("SELECT count(*) FROM documents AS d WHERE {}", condition.text);
    let mut query = sqlx::query(AssertSqlSafe(text));
    for parameter in &condition.parameters {
        query = match parameter {
            SqlValue::Int(int) => query.bind(*int),
            SqlValue::Text(text) => query.bind(text.clone()),
            other => panic!("SQLite binds no {other:?}"),
        };
    }
    Ok(query.fetch_one(&mut connection).await?.get(0))
}

#[tokio::test]
async fn columns_named_true_and_false_do_not_stand_for_truth() {
    let table = "CREATE TABLE documents (\"true\" INTEGER, \"false\" INTEGER, size INTEGER); INSERT INTO documents VALUES (0, 1, NULL), (0, 1, 5);";
    let mapping = TableMapping::sqlite("d");
    let nobody = filter(&[("size", "int")], "", &[]);
    assert_eq!(count(table, &nobody, &mapping).await.unwrap(), 0);
    let everybody = filter(&[("size", "int")], "", &[Scope::Global]);
    assert_eq!(count(table, &everybody, &mapping).await.unwrap(), 2);
    let others = filter(&[("size", "int?")], "not (has resource.size and resource.size == 5)", &[Scope::Global]);
    assert_eq!(count(table, &others, &mapping).await.unwrap(), 1);
}

#[tokio::test]
async fn columns_named_as_those_of_json_each_are_the_tables_own() {
    for name in ["json", "key", "value", "path", "atom", "id", "parent", "fullkey", "root"] {
        let table =
            format!("CREATE TABLE documents (\"{name}\" TEXT); INSERT INTO documents VALUES ('[\"x\"]'), ('[]');");
        let found = filter(&[(name, "set<string>?")], &format!("resource.{name} contains \"x\""), &[Scope::Global]);
        assert_eq!(count(&table, &found, &TableMapping::sqlite("d")).await.unwrap(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_column_that_is_not_there_is_an_error() {
    let table = "CREATE TABLE documents (owner TEXT); INSERT INTO documents VALUES ('a');";
    for name in ["ovner", "true", "rowid", "OID", "_rowid_"] {
        let found = filter(&[("owner", "string")], "resource.owner != \"a\"", &[Scope::Global]);
        let mapping = TableMapping::sqlite("d").column("owner", name);
        assert!(count(table, &found, &mapping).await.is_err(), "{name}");
    }
}

#[test]
fn more_parameters_than_a_statement_takes_are_refused() {
    let many: Vec<String> = (0..33_000).map(|at| format!("resource.size == {at}")).collect();
    for mapping in [TableMapping::sqlite("d"), TableMapping::postgres("d").first_parameter(32_600)] {
        let mut roles = Policy::new().resource_type("document", [("size", "int")]).permissions(["document:list"]);
        for (at, when) in many.iter().enumerate() {
            roles = roles.add_role(Role::new(format!("r{at}")).allow_when("document:list", when));
        }
        let rules = RuleSet::compile(&roles, &Schema::new()).unwrap_or_else(|error| panic!("{error}"));
        let assignments = (0..many.len()).map(|at| StoredAssignment::new(format!("r{at}"), Scope::Global)).collect();
        let facts = StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(7)) };
        let list = rules.permission("document:list").unwrap();
        let filter = rules.filter(&rules.resolve_stored(facts), list, &Context::new(), now()).unwrap();
        assert_eq!(filter.to_sql(&mapping, now()).unwrap_err().reason(), Reason::InvalidInput);
    }
}
