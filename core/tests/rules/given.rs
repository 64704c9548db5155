//! What is handed in with a question is what the policy declares, or the question is an error: never absent, which
//! would shed a deny.

use rolekeep::{
    Error, Time, Value,
    rules::{
        Context, Policy, Principal, Question, Resource, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal,
    },
};
use serde_json::json;
use uuid::Uuid;

/// Every type there is, a deny on each.
fn rules() -> RuleSet {
    let policy = Policy::new()
        .resource_type(
            "doc",
            [
                ("level", "int?"),
                ("title", "string"),
                ("owner", "id?"),
                ("flag", "bool?"),
                ("due", "time?"),
                ("wait", "duration?"),
                ("address", "ip?"),
                ("tags", "set<string>?"),
                ("unread", "int?"),
            ],
        )
        .resource_type("user", [("clearance", "int?"), ("teams", "set<id>?"), ("unread", "string?")])
        .context("risk", "int?")
        .context("unread", "bool?")
        .permissions(["doc:read", "task:read", "doc:list"])
        .add_role(
            Role::new("reader")
                .allow("doc:read")
                .allow("doc:list")
                .allow("task:read")
                .deny_when("doc:read", "has resource.level and resource.level > 3")
                .deny_when("doc:read", "has resource.owner and resource.owner == principal.id")
                .deny_when("doc:read", "has resource.flag and resource.flag == true")
                .deny_when("doc:read", "has resource.due and resource.due < now")
                .deny_when("doc:read", "has resource.wait and resource.wait > 1h")
                .deny_when("doc:read", "has resource.address and resource.address in [\"10.0.0.0/8\"]")
                .deny_when("doc:read", "has resource.tags and resource.tags contains \"secret\"")
                .deny_when("doc:read", "resource.title == \"secret\"")
                .deny_when("doc:read", "has principal.clearance and principal.clearance < 0")
                .deny_when("doc:read", "has principal.teams and principal.id in principal.teams")
                .deny_when("doc:read", "has context.risk and context.risk > 7"),
        );
    RuleSet::compile(&policy, &Schema::new()).unwrap()
}

fn reader(rules: &RuleSet, attributes: &[(&'static str, Value)]) -> Principal {
    let attributes = attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    let assignments = vec![StoredAssignment::new("reader", Scope::Global)];
    rules.resolve_stored(StoredPrincipal { attributes, assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) })
}

/// By every way to ask, which must agree; asked again, the answer is the same.
fn ask(
    rules: &RuleSet,
    principal: &Principal,
    permission: &str,
    resource: Option<&Resource<'_>>,
    context: &Context,
) -> Result<bool, String> {
    let (permission, now) = (rules.permission(permission).unwrap(), Time::UNIX_EPOCH);
    let question = Question { principal, permission, fields: &[], resource, context, now };
    let word = |error: Error| error.reason().to_string();
    let first = rules.allows(&question).map_err(word);
    assert_eq!(rules.allows(&question).map_err(word), first);
    assert_eq!(rules.decide(&question).map(|decision| decision.is_allowed()).map_err(word), first);
    assert_eq!(rules.decide(&question).map(|decision| decision.explain().allowed).map_err(word), first);
    if resource.is_none() {
        let is_error = first.as_ref().err();
        assert_eq!(rules.filter(principal, permission, context, now).map_err(word).err().as_ref(), is_error);
        assert_eq!(rules.can_somewhere(principal, permission, context, now).map_err(word).err().as_ref(), is_error);
    }
    first
}

const ALL: [&str; 9] = ["level", "title", "owner", "flag", "due", "wait", "address", "tags", "unread"];

fn plain(name: &str) -> Value {
    if name == "title" { Value::from("plain") } else { Value::Null }
}

/// A document with one value that is not plain: named one by one, in any order, and as JSON.
fn with_one(rules: &RuleSet, name: &str, value: &Value) -> Result<bool, String> {
    let nobody = reader(rules, &[]);
    let value_of = |one: &str| if one == name { value.clone() } else { plain(one) };
    let named = |names: &[&'static str]| {
        names.iter().fold(Resource::of("doc"), |resource, one| resource.with(*one, value_of(one)))
    };
    let backwards: Vec<&str> = ALL.iter().rev().copied().collect();
    let json = ALL.iter().map(|one| ((*one).to_owned(), value_of(one).to_json())).collect();
    // An id is a text in JSON, and what is no JSON is null.
    let is_json = match value {
        Value::Json(text) => serde_json::from_str::<serde_json::Value>(text).is_ok(),
        Value::Id(_) => name != "title",
        _ => true,
    };
    let forms = [Some(named(&ALL)), Some(named(&backwards)), is_json.then(|| Resource::from_json("doc", &json))];
    let context = Context::new();
    let answers: Vec<_> =
        forms.iter().flatten().map(|form| ask(rules, &nobody, "doc:read", Some(form), &context)).collect();
    assert!(answers.iter().all(|one| *one == answers[0]), "{name} {value:?}: {answers:?}");
    answers.into_iter().next().unwrap()
}

fn json(text: &str) -> Value {
    Value::Json(text.into())
}

#[test]
fn a_value_of_another_type_is_an_error_wherever_it_stands() {
    let rules = rules();
    for (name, value, expected) in [
        ("level", Value::Int(3), Ok(true)),
        ("level", Value::Int(4), Ok(false)),
        ("level", json("4.0"), Ok(false)),
        ("level", Value::from("4"), Err(())),
        ("level", json("\"4\""), Err(())),
        ("level", json("4.5"), Err(())),
        ("level", json("1e18"), Err(())),
        ("level", json("[4]"), Err(())),
        ("level", json("{}"), Err(())),
        ("title", Value::from("secret"), Ok(false)),
        ("title", Value::Int(1), Err(())),
        ("title", Value::Id(Uuid::nil()), Err(())),
        ("owner", Value::Id(Uuid::from_u128(1)), Ok(false)),
        ("owner", Value::from(Uuid::from_u128(1).simple().to_string()), Ok(false)),
        ("owner", Value::from("somebody"), Err(())),
        ("flag", Value::Bool(true), Ok(false)),
        ("flag", Value::Int(1), Err(())),
        ("flag", Value::from("true"), Err(())),
        ("due", Value::Time(-1), Ok(false)),
        ("due", Value::from("1969-12-31T23:59:59Z"), Ok(false)),
        ("due", Value::from("19691231T235959Z"), Err(())),
        ("due", Value::Int(-1), Err(())),
        ("wait", Value::from("2h"), Ok(false)),
        ("wait", Value::from("2 hours"), Err(())),
        ("address", Value::from("10.0.0.1"), Ok(false)),
        ("address", Value::from("10.0.0.0/8"), Err(())),
        ("tags", json("[\"secret\"]"), Ok(false)),
        ("tags", json("[]"), Ok(true)),
        ("tags", json("[\"secret\",1]"), Err(())),
        ("tags", json("[\"secret\",null]"), Err(())),
        ("tags", json("[[\"secret\"]]"), Err(())),
        ("tags", Value::from("secret"), Err(())),
        ("unread", Value::Int(1), Ok(true)),
        ("unread", Value::from("1"), Err(())),
        ("unread", Value::Null, Ok(true)),
    ] {
        let expected = expected.map_err(|()| "resource_invalid".to_owned());
        assert_eq!(with_one(&rules, name, &value), expected, "{name} {value:?}");
    }
    // What is no JSON at all.
    assert_eq!(with_one(&rules, "level", &json("{")), Err("resource_invalid".to_owned()));
}

#[test]
fn an_attribute_that_nobody_declared_is_an_error_where_the_type_declares_any() {
    let rules = rules();
    let (nobody, context) = (reader(&rules, &[]), Context::new());
    let whole = ALL.iter().fold(Resource::of("doc"), |resource, one| resource.with(*one, plain(one)));
    let with = |name: &'static str| whole.clone().with(name, 1);
    assert_eq!(ask(&rules, &nobody, "doc:read", Some(&whole), &context), Ok(true));
    assert_eq!(ask(&rules, &nobody, "doc:read", Some(&with("levl")), &context), Err("resource_invalid".to_owned()));
    // No condition and no scope reads anything for it, and still.
    assert_eq!(ask(&rules, &nobody, "doc:list", Some(&with("levl")), &context), Err("resource_invalid".to_owned()));
    // Mended, the same resource is asked about again.
    let mended = whole.clone().with("unread", "a").with("unread", 1);
    assert_eq!(ask(&rules, &nobody, "doc:read", Some(&mended), &context), Ok(true));
    let spoilt = mended.with("unread", "a");
    assert_eq!(ask(&rules, &nobody, "doc:read", Some(&spoilt), &context), Err("resource_invalid".to_owned()));
    // A type may be named that declares nothing.
    let task = Resource::of("task").with("title", "anything").with("level", json("{}"));
    assert_eq!(ask(&rules, &nobody, "task:read", Some(&task), &context), Ok(true));
    let error = {
        let (permission, now) = (rules.permission("doc:read").unwrap(), Time::UNIX_EPOCH);
        let resource = with("levl");
        let resource = Some(&resource);
        rules.allows(&Question { principal: &nobody, permission, fields: &[], resource, context: &context, now })
    };
    let text = error.unwrap_err().to_string();
    assert!(text.contains("levl") && text.contains("did you mean `level`?"), "{text}");
}

#[test]
fn what_is_said_of_who_asks_is_of_the_declared_type() {
    let rules = rules();
    let (whole, context) =
        (ALL.iter().fold(Resource::of("doc"), |resource, one| resource.with(*one, plain(one))), Context::new());
    let one = Uuid::from_u128(1);
    for (name, value, expected) in [
        ("clearance", Value::Int(-1), Ok(false)),
        ("clearance", Value::Int(1), Ok(true)),
        ("clearance", Value::Null, Ok(true)),
        ("clearance", Value::from("-1"), Err(())),
        ("teams", json(&json!([one]).to_string()), Ok(false)),
        ("teams", json("[7]"), Err(())),
        ("unread", Value::Int(1), Err(())),
        ("claerance", Value::Int(1), Err(())),
    ] {
        let asker = reader(&rules, &[(name, value.clone())]);
        let expected = expected.map_err(|()| "principal_invalid".to_owned());
        assert_eq!(ask(&rules, &asker, "doc:read", Some(&whole), &context), expected, "{name} {value:?}");
        // Of no permission anything is decided for somebody of whom something wrong was said.
        let wrong = expected.err();
        assert_eq!(ask(&rules, &asker, "task:read", None, &context).err(), wrong, "{name}");
        let task = rules.permission("task:read").unwrap();
        let checked = rules.check(&asker, task, Time::UNIX_EPOCH);
        assert_eq!(checked.err().map(|error| error.reason().to_string()), wrong, "{name}");
        let behind = rules.on_behalf_of(&reader(&rules, &[]), &asker).unwrap();
        assert_eq!(ask(&rules, &behind, "task:read", None, &context).err(), wrong, "{name}");
    }
}

#[test]
fn the_context_is_of_the_declared_types() {
    let rules = rules();
    let nobody = reader(&rules, &[]);
    let whole = ALL.iter().fold(Resource::of("doc"), |resource, one| resource.with(*one, plain(one)));
    for (name, value, expected) in [
        ("risk", Value::Int(7), Ok(true)),
        ("risk", Value::Int(8), Ok(false)),
        ("risk", Value::Null, Ok(true)),
        ("risk", Value::from("8"), Err(())),
        ("unread", Value::Int(1), Err(())),
        ("rsik", Value::Int(8), Err(())),
    ] {
        let context = Context::new().with(name, value.clone());
        let expected = expected.map_err(|()| "context_invalid".to_owned());
        assert_eq!(ask(&rules, &nobody, "doc:read", Some(&whole), &context), expected, "{name} {value:?}");
        assert_eq!(ask(&rules, &nobody, "task:read", None, &context).err(), expected.err(), "{name}");
    }
    // A policy that declares none lets the host say what it likes.
    let none = Policy::new().permissions(["task:read"]).role("reader", ["task:read"]);
    let none = RuleSet::compile(&none, &Schema::new()).unwrap();
    let context = Context::new().with("anything", 1);
    assert_eq!(ask(&none, &reader(&none, &[]), "task:read", None, &context), Ok(true));
}
