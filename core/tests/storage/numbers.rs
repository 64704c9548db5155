//! Numbers and texts of JSON documents: what the rules read of one is what SQLite reads.

use rolekeep::{
    Time, Value,
    rules::{Context, Policy, Question, Resource, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    storage::sql::{ColumnMapping, SqlValue, TableMapping},
};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use uuid::Uuid;

/// The members of documents that `decide` allows under a condition, and those that are listed.
fn both(when: &str, ty: &str, members: &[String]) -> [Vec<String>; 2] {
    let documents = members.iter().map(|member| (format!("{{\"m\":{member}}}"), member.clone()));
    let documents: Vec<_> = documents.collect();
    let named = |(document, _): &(String, String)| document["{\"m\":".len()..document.len() - 1].to_owned();
    both_of(when, ty, &["m"], &documents).map(|found| found.iter().map(named).collect())
}

/// The same of whole documents, each with what a reader finds at the place that the keys name.
fn both_of(when: &str, ty: &str, keys: &[&str], documents: &[(String, String)]) -> [Vec<(String, String)>; 2] {
    let policy = Policy::new()
        .resource_type("doc", [("m", format!("{ty}?").as_str())])
        .permissions(["doc:read"])
        .add_role(Role::new("reader").allow_when("doc:read", when));
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let assignments = vec![StoredAssignment::new("reader", Scope::Global)];
    let principal = rules.resolve_stored(StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) });
    let (permission, context, now) = (rules.permission("doc:read").unwrap(), Context::new(), Time::UNIX_EPOCH);
    let allowed = documents.iter().filter(|(_, member)| {
        let resource = Resource::of("doc").stored("m", Value::Json(member.as_str().into()));
        let resource = Some(&resource);
        let question = Question { principal: &principal, permission, fields: &[], resource, context: &context, now };
        rules.allows(&question).unwrap()
    });
    let allowed = allowed.cloned().collect();
    let filter = rules.filter(&principal, permission, &context, now).unwrap();
    let mapping = TableMapping::sqlite("d").column("m", ColumnMapping::json("doc", keys.iter().copied()));
    let condition = filter.to_sql(&mapping, now).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listed = runtime.block_on(async {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("CREATE TABLE docs (member TEXT, doc TEXT)").execute(&mut connection).await.unwrap();
        for (document, member) in documents {
            let insert = sqlx::query("INSERT INTO docs VALUES (?, ?)").bind(member).bind(document);
            insert.execute(&mut connection).await.unwrap();
        }
        let text = format!("SELECT doc, member FROM docs AS d WHERE {} ORDER BY rowid", condition.text);
        let mut query = sqlx::query(AssertSqlSafe(text));
        for parameter in &condition.parameters {
            query = match parameter {
                SqlValue::Int(int) => query.bind(*int),
                SqlValue::Text(text) => query.bind(text.clone()),
                other => panic!("{other:?}"),
            };
        }
        let rows = query.fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    });
    [allowed, listed]
}

#[test]
fn integers_written_with_fraction_or_exponent_count_up_to_two_to_the_53() {
    let yes = ["8573272084638969.0", "8573272084638969", "0.8573272084638969e16", "8573272084638969e0"];
    let no = ["8573272084638970.0", "8573272084638968.0", "8573272084638969.5", "9007199254740992.0", "1e400", "1e18"];
    let members: Vec<String> = yes.iter().chain(&no).map(|text| (*text).to_owned()).collect();
    let [allowed, listed] = both("resource.m == 8573272084638969", "int", &members);
    assert_eq!(allowed, yes);
    assert_eq!(listed, yes);
    let [allowed, listed] = both("has resource.m", "int", &members);
    assert_eq!(allowed, listed);
    assert!(!allowed.contains(&"9007199254740992.0".to_owned()) && !allowed.contains(&"1e18".to_owned()));
}

#[test]
fn halves_of_letters_are_no_text() {
    let members = |halves: &[&str]| halves.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let texts = members(&[
        r#""\ud800""#,
        r#""a\udc00""#,
        r#""\ude00\ud83d""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d\ude00\ud83d""#,
        r#""\ufffd""#,
        "\"\u{fffd}\"",
        r#""\uffff""#,
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""a""#,
    ]);
    for when in ["has resource.m", "has resource.m and resource.m != \"b\"", "resource.m == \"a\"", "resource.m > \"\""]
    {
        let [allowed, listed] = both(when, "string", &texts);
        assert_eq!(allowed, listed, "{when}");
    }
    let sets = members(&[r#"["\ud800","a"]"#, r#"["\ufffd","a"]"#, r#"["a"]"#, r#"["\ud83d\ude00","a\u0000"]"#]);
    for when in ["has resource.m", "resource.m contains \"a\""] {
        let [allowed, listed] = both(when, "set<string>", &sets);
        assert_eq!(allowed, listed, "{when}");
    }
}

/// Readers of JSON and PostgreSQL keep the last; SQLite's own functions find the first.
#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let documents = [
        r#"{"a":{"m":1}}"#,
        r#"{"a":{"m":1,"m":2}}"#,
        r#"{"a":{"m":2,"m":1}}"#,
        r#"{"a":{"m":2,"\u006d":1}}"#,
        r#"{"a":{"m":1,"m":null}}"#,
        r#"{"a":{"m":1,"m":"1"}}"#,
        r#"{"a":{"m":1},"a":{"m":2}}"#,
        r#"{"a":{"m":2},"a":{"m":1}}"#,
        r#"{"a":{"m":1},"a":{}}"#,
        r#"{"a":{"m":1},"a":"{\"m\":1}"}"#,
        r#"{"a":"{\"m\":1}"}"#,
        r#"{"a":[{"m":1}]}"#,
        r#"{"a":{"m":[1,2],"m":[1]}}"#,
        r#"{"a":{"m":[2]},"a":{"m":[1,2]}}"#,
        r#"{"a":{"m":[1]},"a":{"m":"[1]"}}"#,
        r#"[{"a":{"m":1}}]"#,
        r#""{\"a\":{\"m\":1}}""#,
        r#"{"a":{"m":1}"#,
        "1",
        "",
    ];
    let read = |document: &&str| {
        let json: serde_json::Value = serde_json::from_str(document).unwrap_or_default();
        ((*document).to_owned(), json["a"]["m"].to_string())
    };
    let documents: Vec<_> = documents.iter().map(read).collect();
    for (ty, conditions) in [
        ("int", ["has resource.m", "resource.m == 1", "has resource.m and resource.m != 1", "not has resource.m"]),
        (
            "string",
            ["has resource.m", "resource.m == '1'", "has resource.m and resource.m != '1'", "not has resource.m"],
        ),
        ("set<int>", ["has resource.m", "resource.m contains 1", "resource.m contains 2", "not has resource.m"]),
    ] {
        for when in conditions {
            let [allowed, listed] = both_of(when, ty, &["a", "m"], &documents);
            assert_eq!(allowed, listed, "{ty}: {when}");
        }
    }
}
