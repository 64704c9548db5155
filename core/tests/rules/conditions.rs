//! The language of conditions, case by case: what each form means, and what is refused with which words.
//! Random conditions are compared with a reference in `rules_decide`; here is what these do not reach.

use rolekeep::{
    Reason, Time, Value,
    rules::{Context, Policy, Question, Resource, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    storage::Predicate,
};
use uuid::Uuid;

const ID: &str = "0190a0b0-0000-7000-8000-000000000001";

fn now() -> Time {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn json(text: &str) -> Value {
    Value::Json(text.into())
}

fn policy() -> Policy {
    let attributes = [
        ("flag", "bool?"),
        ("count", "int?"),
        ("name", "string?"),
        ("other", "string?"),
        ("owner", "id?"),
        ("at", "time?"),
        ("wait", "duration?"),
        ("limit", "duration?"),
        ("from", "ip?"),
        ("tags", "set<string>?"),
        ("codes", "set<int>?"),
        ("owners", "set<id>?"),
        ("nothing", "string?"),
        ("none", "set<string>?"),
        ("nowhere", "ip?"),
        ("sure", "int"),
    ];
    Policy::new().resource_type("doc", attributes).permissions(["doc:read", "doc:list"]).context("hour", "int?")
}

fn rules(when: &str) -> rolekeep::Result<RuleSet> {
    RuleSet::compile(&policy().add_role(Role::new("r").allow_when("doc:read", when)), &Schema::new())
}

fn doc() -> Resource<'static> {
    Resource::of("doc")
        .with("flag", true)
        .with("count", 7)
        .with("name", "a\"b\\c\nd\te")
        .with("other", "abc")
        .with("owner", ID)
        .with("at", "2026-06-01T11:00:00Z")
        .with("wait", "1h")
        .with("limit", "90m")
        .with("from", "::ffff:10.1.2.3")
        .with("tags", json("[\"x\",\"y\"]"))
        .with("codes", json("[1,2.0]"))
        .with("owners", json(&format!("[\"{ID}\"]")))
        .with("nothing", Value::Null)
        .stored("none", json("[1,\"x\"]"))
        .with("nowhere", Value::Null)
        .with("sure", 1)
}

fn facts(role: &str) -> StoredPrincipal {
    StoredPrincipal {
        assignments: vec![StoredAssignment::new(role, Scope::Global)],
        ..StoredPrincipal::new(Uuid::try_parse(ID).unwrap())
    }
}

#[test]
fn each_form_means_what_it_says() {
    let true_ones = [
        "resource.flag == true",
        "has resource.flag and resource.flag != false",
        "resource.count == 7 and resource.count >= 7 and resource.count <= 7 and resource.count > 6 and resource.count < 8",
        "resource.count in [1, 7, 9]",
        "resource.count > -1",
        "resource.wait > -2h",
        "resource.name == \"a\\\"b\\\\c\\nd\\te\"",
        "resource.other starts_with \"ab\"",
        "resource.other starts_with 'abc'",
        "resource.other starts_with ''",
        "resource.other > \"abb\" and resource.other < 'abd'",
        "'abc' == resource.other",
        "\"b\" > 'a'",
        "'a' in ['a', 'b']",
        "resource.owner == principal.id",
        "resource.owner in [\"0190A0B0-0000-7000-8000-000000000001\"]",
        "resource.at + 1h == now",
        "resource.at == now - 60m",
        "resource.at in ['2026-06-01T13:00:00+02:00']",
        "resource.at < '2026-06-01T11:00:00.000001Z'",
        "resource.at < '9999-12-31T23:59:59.999999Z' and now < '9999-12-31T23:59:59Z'",
        "resource.wait < resource.limit",
        "resource.wait == 60m and resource.wait in [3600s] and resource.wait == '1h'",
        "resource.from == '10.1.2.3'",
        "resource.from in '10.0.0.0/8'",
        "resource.from in ['192.168.0.0/16', '10.0.0.0/8']",
        "resource.from in ['192.168.0.1', '10.1.2.3']",
        "resource.tags contains 'x'",
        "'y' in resource.tags",
        "resource.codes contains 2",
        "resource.owners contains principal.id",
        "has resource.tags and has resource.codes",
        "not has resource.nothing",
        // A set with one element of another type is absent.
        "not has resource.none",
        "not has context.hour",
        "has resource.sure",
        "not (resource.sure == 2) and resource.sure != 2",
        "principal.verified == true",
        // `and` binds closer than `or`, `not` closest.
        "resource.flag == true or resource.flag == false and resource.flag == false",
        "not resource.sure == 2 or resource.sure == 3",
        "has resource.flag and not resource.flag == false",
    ];
    let false_ones = [
        "resource.flag == false",
        "resource.count < 7",
        "resource.count > 7",
        "resource.count in []",
        "resource.count in [8]",
        "resource.name == 'a'",
        "resource.other starts_with 'bc'",
        "resource.nothing starts_with ''",
        "resource.nothing == ''",
        "resource.nothing in ['']",
        "resource.nothing < 'x'",
        "resource.tags contains resource.nothing",
        "resource.none contains 'x'",
        "has resource.nothing",
        "resource.at > now",
        "resource.at + 1h < now",
        "resource.wait > resource.limit",
        "resource.from in '11.0.0.0/8'",
        "resource.from in '::/0'",
        "resource.nowhere in '::/0'",
        "resource.nowhere in ['::/0', '0.0.0.0/0']",
        "resource.tags contains 'z'",
        "resource.codes contains 3",
        "context.hour == 7",
        "(resource.flag == true or resource.flag == false) and resource.flag == false",
        "not (resource.sure == 1)",
    ];
    let holds = |when: &str| {
        let rules = rules(when).unwrap_or_else(|error| panic!("{when}: {error}"));
        let principal = rules.resolve_stored(facts("r"));
        let (resource, context) = (doc(), Context::new());
        let permission = rules.permission("doc:read").unwrap();
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
    for when in true_ones {
        assert!(holds(when), "{when}");
    }
    for when in false_ones {
        assert!(!holds(when), "{when}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_in_words() {
    let mut wrong = Vec::new();
    for (when, words) in [
        ("resource.tags == resource.tags", "sets cannot be compared"),
        ("resource.tags == 'x'", "a set cannot be compared with one value"),
        ("resource.tags in ['x']", "a set cannot be in a set"),
        ("resource.name in [resource.other]", "a list holds literals only"),
        ("resource.count == 'x'", "not of type `int`"),
        ("resource.count == resource.name", "cannot be compared with"),
        ("resource.flag < true", "have no order"),
        ("resource.owner < principal.id", "have no order"),
        ("resource.count + 1h == 7", "a duration is added to a time"),
        ("resource.count contains 1", "expected a set"),
        ("resource.tags contains 1", "expected a value of type"),
        ("1 in resource.tags", "expected a value of type"),
        ("resource.count starts_with 'x'", "expected a value of type"),
        ("resource.name starts_with resource.other", "starts_with"),
        ("resource.from in '10.0.0.1/8'", "host bits"),
        ("resource.from in ['10.0.0.0/8', 7]", "a range is written after `in`"),
        ("resource.owner == 'x'", "not of type `id`"),
        ("resource.at == 'yesterday'", "not of type `time`"),
        ("resource.wait == '1 hour'", "not of type `duration`"),
        ("resource.from == '10.0.0.0/8'", "not of type `ip`"),
        ("resource.flag == 'true'", "not of type `bool`"),
        ("resource.colour == 'red'", "no attribute `colour`"),
        ("principal.levle == 1", "no attribute `levle`"),
        ("context.hours == 1", "declares no `hours`"),
        ("resource.count != 7", "may be absent"),
        ("not resource.count == 7", "may be absent"),
        ("not (has resource.name and resource.count == 7)", "may be absent"),
        ("has resource.count or resource.count != 7", "may be absent"),
        ("resource.name == \"a\0b\"", "NUL"),
        ("resource.name == \"a", "string"),
        ("resource.name == 'a\\q'", ""),
        ("resource.count == 99999999999999999999", ""),
        ("resource.count in [1 2]", "`,` or `]`"),
        ("resource.count in 7", "expected a set"),
        ("resource.count == -x", "integer or a duration"),
        ("has 7", "expected a path"),
        ("has now", "`now` is not a value"),
        ("resource.count", "expected a comparison"),
        ("resource.count [7]", "expected a comparison"),
        ("resource.7 == 7", "expected the name of an attribute"),
        ("resource.name starts_with", "expected a value"),
        ("resource.count = 7", ""),
        ("resource == 7", ""),
        ("'x' contains 'y'", "only an attribute or relation"),
        ("(resource.count == 7", ""),
        ("resource.count == 7)", ""),
        ("", ""),
    ] {
        let said = rules(when).map_or_else(|error| error.to_string(), |_| "it loads".to_owned());
        if said == "it loads" || !said.contains(words) {
            wrong.push(format!("{when}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `has` guards where it stands beside what it guards, in `and` or, turned, in `or`.
#[test]
fn guards_are_found_where_they_are() {
    for when in [
        "has resource.count and resource.count != 7",
        "resource.count != 7 and has resource.count",
        "not has resource.count or resource.count != 7",
        "not (not has resource.count or resource.count == 7)",
        "not (has resource.count and resource.count == 7)",
        "has resource.count and (resource.flag == true or resource.count != 7)",
        "not (has resource.count and has resource.name) or resource.count != 7",
        "(has resource.count and has resource.name) and (resource.count != 7 or resource.name != 'x')",
        "not (not (has resource.count and has resource.name)) and resource.count != 7",
        "not has resource.count or not has resource.name or resource.count != 7 and resource.name != 'x'",
        "(has resource.count and has resource.name or has resource.count and has resource.flag) and resource.count != 7",
        "not (not has resource.count and not has resource.name or not has resource.count) and resource.count != 7",
    ] {
        assert!(rules(when).is_ok(), "{when}: {:?}", rules(when).err());
    }
    for when in [
        "has resource.count or resource.count != 7",
        "not has resource.count and resource.count != 7",
        "has resource.name and resource.count != 7",
        "(has resource.count or has resource.name) and resource.count != 7",
        "(has resource.count or resource.flag == true) and resource.count != 7",
        "not (has resource.count or resource.count == 7)",
        "resource.count != 7",
        // No part guards itself.
        "(has resource.count and resource.flag == true) or resource.count != 7",
    ] {
        assert!(rules(when).is_err(), "{when}");
    }
    // In a deny every optional path is guarded.
    let deny = |when: &str| {
        RuleSet::compile(&policy().add_role(Role::new("r").deny_when("doc:read", when)), &Schema::new()).is_ok()
    };
    assert!(deny("has resource.count and resource.count == 7") && deny("resource.sure == 7"));
    assert!(!deny("resource.count == 7") && !deny("resource.sure == 7 or resource.count == 7"));
    assert!(
        !deny("resource.name starts_with 'x'") && !deny("resource.tags contains 'x'") && !deny("resource.count in [7]")
    );
    assert!(deny("has resource.tags and has resource.name and resource.tags contains resource.name"));
    assert!(!deny("has resource.tags and resource.tags contains resource.name"));
}

/// What no column of a stored type holds is decided, not listed; a menu hears "perhaps".
#[test]
fn free_attributes_are_perhaps() {
    let policy = |role: Role| {
        Policy::new()
            .resource_type(
                "drone",
                [
                    ("grade", "int?"),
                    ("city", "string?"),
                    ("home", "ip?"),
                    ("tags", "set<string>?"),
                    ("owner_id", "id?"),
                ],
            )
            .resource_type("user", [("teams", "set<id>?"), ("names", "set<string>?")])
            .scope_kind("owner", "owner_id")
            .add_role(role)
    };
    let ask = |role: Role, scope: Scope| {
        let rules = RuleSet::compile(&policy(role), &rolekeep_test_cases::schema()).unwrap();
        let mut facts = StoredPrincipal { assignments: vec![StoredAssignment::new("r", scope)], ..facts("r") };
        facts.attributes.push(("username".into(), Value::from("x")));
        facts.attributes.push(("names".into(), json("[\"x\"]")));
        let principal = rules.resolve_stored(facts);
        let list = rules.permission("drone:list").unwrap();
        let filter =
            rules.filter(&principal, list, &Context::new(), now()).and_then(|filter| filter.into_predicate(now()));
        (filter.map_err(|error| error.reason()), rules.can_somewhere(&principal, list, &Context::new(), now()).unwrap())
    };
    for when in [
        "resource.grade == 3",
        "3 == resource.grade",
        "resource.grade in [1, 2]",
        "resource.city starts_with 'x'",
        "resource.home in '10.0.0.0/8'",
        "has resource.grade",
        "resource.tags contains 'x'",
        "resource.tags contains resource.model",
        "resource.owner_id in resource.assigned_users",
        "resource.city in principal.names",
        "resource.city == resource.model",
        "resource.model == resource.city",
        "has resource.grade and not resource.grade == 3",
    ] {
        let (filter, is_possible) = ask(Role::new("r").allow_when("drone:list", when), Scope::Global);
        assert_eq!((filter, is_possible), (Err(Reason::InvalidInput), true), "{when}");
        // A deny that may apply does not take everything.
        let guarded =
            match when.split_whitespace().find(|word| word.starts_with("resource.") && !word.ends_with("model")) {
                Some(path) if !when.contains("names") => format!("has {path} and ({when})"),
                _ => continue,
            };
        let role = Role::new("r").allow("drone:list").deny_when("drone:list", guarded.clone());
        assert_eq!(ask(role, Scope::Global), (Err(Reason::InvalidInput), true), "{guarded}");
    }
    // A scope that is bound to one.
    let scoped = ask(Role::new("r").allow("drone:list"), Scope::of("owner", ID));
    assert_eq!(scoped, (Err(Reason::InvalidInput), true));
    // What does not depend on the row is settled before.
    assert_eq!(
        ask(Role::new("r").allow_when("drone:list", "'y' in principal.names"), Scope::Global),
        (Ok(Predicate::Never), false)
    );
    assert_eq!(
        ask(Role::new("r").allow_when("drone:list", "'x' in principal.names"), Scope::Global),
        (Ok(Predicate::Always), true)
    );
    let ended = "now > '2026-01-01T00:00:00Z'";
    assert_eq!(ask(Role::new("r").allow_when("drone:list", ended), Scope::Global), (Ok(Predicate::Always), true));
}

#[test]
fn numbers_of_other_rule_sets_and_incomplete_accounts_are_errors() {
    let large = policy().permissions(["zebra:ride"]).role("r", ["doc:read"]);
    let large = RuleSet::compile(&large, &rolekeep_test_cases::schema()).unwrap();
    let small = rules("resource.sure == 1").unwrap();
    let principal = small.resolve_stored(facts("r"));
    let context = Context::new();
    let ask = |permission: &str, field: Option<&str>| {
        let permission = large.permission(permission).unwrap();
        let fields: Vec<_> = field.iter().map(|field| large.field("user", field).unwrap()).collect();
        let question = Question {
            principal: &principal,
            permission,
            fields: &fields,
            resource: None,
            context: &context,
            now: now(),
        };
        let reasons = [
            small.decide(&question).map(|_| ()).map_err(|error| error.reason()),
            small.allows(&question).map(|_| ()).map_err(|error| error.reason()),
        ];
        assert_eq!(reasons[0], reasons[1]);
        if field.is_none() {
            let checked = small.check(&principal, permission, now()).map(|_| ()).map_err(|error| error.reason());
            assert_eq!(reasons[0], checked);
        }
        reasons[0]
    };
    assert_eq!(ask("zebra:ride", None), Err(Reason::UnknownPermission));
    // A field that the type does not have, though the permission is given without a condition.
    let plain =
        RuleSet::compile(&Policy::new().permissions(["doc:read"]).role("r", ["doc:read"]), &Schema::new()).unwrap();
    let (holder, field) = (plain.resolve_stored(facts("r")), large.field("user", "level").unwrap());
    let bare = Resource::of("cat");
    for (fields, resource, reason) in
        [(&[field][..], None, Reason::UnknownPermission), (&[][..], Some(&bare), Reason::InvalidInput)]
    {
        let permission = plain.permission("doc:read").unwrap();
        let question = Question { principal: &holder, permission, fields, resource, context: &context, now: now() };
        assert_eq!(plain.decide(&question).map(|_| ()).unwrap_err().reason(), reason);
        // The short way is not taken past what makes it no question.
        assert_eq!(plain.allows(&question).unwrap_err().reason(), reason);
    }
    assert_eq!(small.permission_name(large.permission("zebra:ride").unwrap()), "");
    // What a condition decides is not answered by the fast path, nor what is asked of somebody else's principal.
    let verified =
        policy().add_role(Role::new("r").allow_when("doc:read", "principal.verified == true").allow("doc:list"));
    let verified = RuleSet::compile(&verified, &Schema::new()).unwrap();
    let (read, list) = (verified.permission("doc:read").unwrap(), verified.permission("doc:list").unwrap());
    for is_verified in [true, false] {
        let one = verified.resolve_stored(StoredPrincipal { is_verified, ..facts("r") });
        assert_eq!(verified.check(&one, read, now()).unwrap(), is_verified);
        assert!(verified.check(&one, list, now()).unwrap());
    }
    let other = plain.resolve_stored(facts("r"));
    for permission in [read, list] {
        assert_eq!(verified.check(&other, permission, now()).unwrap_err().reason(), Reason::Internal);
    }
    let stranger = large.resolve_stored(facts("r"));
    let read = small.permission("doc:read").unwrap();
    assert_eq!(small.check(&stranger, read, now()).unwrap_err().reason(), Reason::Internal);
    assert!(small.effective(&stranger, now()).is_empty());
    // Nor does it ask on somebody's behalf, nor anybody on its.
    for (actor, other) in [(&stranger, &small.anonymous()), (&small.anonymous(), &stranger)] {
        assert_eq!(small.on_behalf_of(actor, other).unwrap_err().reason(), Reason::Internal);
    }

    // Every account has a username, says the schema: without it nothing is decided that may read it.
    let policy = Policy::new()
        .add_role(Role::new("r").allow_when("drone:read", "principal.username == 'ada'").allow("region:read"));
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let nameless = rules.resolve_stored(facts("r"));
    let (drone, region) = (rules.permission("drone:read").unwrap(), rules.permission("region:read").unwrap());
    assert_eq!(rules.check(&nameless, drone, now()).unwrap_err().reason(), Reason::ResourceIncomplete);
    assert!(rules.check(&nameless, region, now()).unwrap());
    let both = rules.on_behalf_of(&rules.anonymous(), &nameless).unwrap();
    assert_eq!(rules.check(&both, drone, now()).unwrap_err().reason(), Reason::ResourceIncomplete);
}
