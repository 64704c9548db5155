//! What a list filter says, form by form: the predicate of each condition, scope and window. That it lists
//! what `decide` allows is the law of `filter_law` and of `rules_decide`.

use std::sync::Arc;

use rolekeep::{
    Reason, Result, Time, Value,
    rules::{Context, Policy, Question, Role, RowFilter, RuleSet, Scope, StoredAssignment, StoredPrincipal},
    storage::{
        Comparison, IpRange, Predicate,
        sql::{SqlValue, TableMapping},
    },
};
use uuid::Uuid;

const HOUR: i64 = 3_600_000_000;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn now() -> Time {
    time("2026-06-01T12:00:00Z")
}

/// So many hours after now, as a column holds it.
fn hours(count: i64) -> Value {
    Value::Time(now().as_microsecond() + count * HOUR)
}

fn policy(role: Role) -> Policy {
    let attributes = [
        ("id", "id"),
        ("name", "string?"),
        ("size", "int?"),
        ("made_at", "time"),
        ("until", "time?"),
        ("region_id", "id?"),
        ("times", "set<time>?"),
        ("teams", "set<id>?"),
        ("tags", "set<string>?"),
        ("address", "ip?"),
    ];
    Policy::new()
        .resource_type("doc", attributes)
        .resource_type("drone", [("grade", "int?")])
        .resource_type("user", [("shifts", "set<time>?"), ("words", "set<string>?"), ("team_id", "id?")])
        .permissions(["doc:list"])
        .scope_kind("team", "team_id")
        .add_role(role)
}

fn filter_of(role: Role, permission: &str, assignments: Vec<StoredAssignment>) -> Result<RowFilter> {
    let rules = RuleSet::compile(&policy(role), &rolekeep_test_cases::schema()).unwrap();
    let json = |text: &str| Value::Json(text.into());
    let principal = rules.resolve_stored(StoredPrincipal {
        attributes: vec![
            ("username".into(), "ada".into()),
            ("shifts".into(), json(r#"["2026-06-01T12:00:00Z"]"#)),
            ("words".into(), json(r#"["a"]"#)),
        ],
        assignments,
        ..StoredPrincipal::new(Uuid::from_u128(7))
    });
    rules.filter(&principal, rules.permission(permission).unwrap(), &Context::new(), now())
}

fn held(scope: Scope) -> StoredAssignment {
    StoredAssignment::new("r", scope)
}

#[test]
fn each_form_becomes_its_predicate() {
    let compare = |column: &'static str, comparison, value| Predicate::Compare(column.into(), comparison, value);
    let columns = |comparison, by| Predicate::CompareColumns("made_at".into(), comparison, "until".into(), by);
    let one_of = |column: &'static str, values: Vec<Value>| Predicate::In(column.into(), values.into());
    for (when, expected) in [
        ("has resource.made_at", Predicate::Always),
        ("has resource.until", Predicate::Present("until".into())),
        ("resource.size == 1", compare("size", Comparison::Equal, Value::Int(1))),
        ("has resource.size and resource.size != 1", {
            let differs = compare("size", Comparison::NotEqual, Value::Int(1));
            Predicate::And(vec![Predicate::Present("size".into()), differs])
        }),
        // What is added to one side is taken from the other.
        ("resource.until + 1h < now", compare("until", Comparison::Less, hours(-1))),
        ("resource.until - 1h <= now", compare("until", Comparison::LessOrEqual, hours(1))),
        ("now < resource.until + 1h", compare("until", Comparison::Greater, hours(-1))),
        ("now <= resource.until", compare("until", Comparison::GreaterOrEqual, hours(0))),
        ("now > resource.until", compare("until", Comparison::Less, hours(0))),
        ("now >= resource.until - 2h", compare("until", Comparison::LessOrEqual, hours(2))),
        ("now == resource.until", compare("until", Comparison::Equal, hours(0))),
        ("resource.made_at + 1h < resource.until + 3h", columns(Comparison::Less, 2 * HOUR)),
        ("resource.made_at + 1h >= resource.until - 3h", columns(Comparison::GreaterOrEqual, -4 * HOUR)),
        ("resource.until + 1h in ['2026-06-01T12:00:00Z']", one_of("until", vec![hours(-1)])),
        ("resource.until - 1h in principal.shifts", one_of("until", vec![hours(1)])),
        ("resource.name in principal.words", one_of("name", vec!["a".into()])),
        ("resource.times contains resource.until + 1h", {
            Predicate::ContainsColumn("times".into(), "until".into(), HOUR)
        }),
        ("resource.times contains now", Predicate::Contains("times".into(), hours(0))),
        ("resource.tags contains principal.username", Predicate::Contains("tags".into(), "ada".into())),
        ("resource.name starts_with 'a'", Predicate::StartsWith("name".into(), "a".to_owned())),
        ("resource.address in '10.0.0.0/8'", {
            Predicate::InRanges("address".into(), vec![IpRange::parse("10.0.0.0/8").unwrap()])
        }),
        // An account without a team.
        ("resource.id == principal.team_id", Predicate::Never),
        ("principal.team_id in resource.teams", Predicate::Never),
        ("resource.id in []", Predicate::Never),
        ("principal.username == 'ada'", Predicate::Always),
        ("principal.username == 'bob'", Predicate::Never),
    ] {
        let filter = filter_of(Role::new("r").allow_when("doc:list", when), "doc:list", vec![held(Scope::Global)]);
        assert_eq!(filter.unwrap().into_predicate(now()).unwrap(), expected, "{when}");
    }
}

#[test]
fn a_scope_that_is_held_twice_is_asked_for_once() {
    let region = |id: u128| held(Scope::region(Uuid::from_u128(id)));
    let of = |scopes: &[u128]| {
        let held = scopes.iter().map(|id| region(*id)).collect();
        filter_of(Role::new("r").allow("doc:list"), "doc:list", held).unwrap().into_predicate(now()).unwrap()
    };
    let ids = [1, 2].map(|id| Value::Id(Uuid::from_u128(id)));
    assert_eq!(of(&[2, 1, 2]), Predicate::In("region_id".into(), ids.to_vec().into()));
    assert_eq!(of(&[2, 1, 2]), of(&[1, 2]));
}

#[test]
fn a_filter_ends_when_a_window_opens_or_closes_next() {
    let expires = |from: Option<&str>, until: Option<&str>| {
        let limited =
            StoredAssignment { valid_from: from.map(time), valid_until: until.map(time), ..held(Scope::Global) };
        filter_of(Role::new("r").allow("doc:list"), "doc:list", vec![limited]).unwrap().expires()
    };
    let latest = time("2026-06-01T12:00:05Z");
    assert_eq!(expires(None, None), latest);
    assert_eq!(expires(None, Some("2026-06-01T12:00:01Z")), time("2026-06-01T12:00:01Z"));
    assert_eq!(expires(Some("2026-06-01T12:00:02Z"), None), time("2026-06-01T12:00:02Z"));
    assert_eq!(expires(Some("2026-06-01T12:00:02Z"), Some("2026-06-01T12:00:04Z")), time("2026-06-01T12:00:02Z"));
    assert_eq!(expires(None, Some("2026-06-01T13:00:00Z")), latest);
    // What has happened does not happen again.
    assert_eq!(expires(Some("2026-06-01T12:00:00Z"), None), latest);
    assert_eq!(expires(None, Some("2026-06-01T12:00:00Z")), latest);
    let filter = filter_of(Role::new("r").allow("doc:list"), "doc:list", vec![held(Scope::Global)]).unwrap();
    assert_eq!(filter.made_at(), now());
    for (at, is_fresh) in [
        ("2026-06-01T11:59:59.999999Z", false),
        ("2026-06-01T12:00:00Z", true),
        ("2026-06-01T12:00:04.999999Z", true),
        ("2026-06-01T12:00:05Z", false),
    ] {
        assert_eq!(filter.predicate_at(time(at)).is_ok(), is_fresh, "{at}");
    }
}

#[test]
fn what_is_held_nowhere_is_not_read() {
    // Drones are of no team, so it does not matter that no column holds a grade.
    let graded = || Role::new("r").allow_when("drone:list", "resource.grade == 3");
    let filter = filter_of(graded(), "drone:list", vec![held(Scope::of("team", Uuid::nil()))]);
    assert_eq!(filter.unwrap().into_predicate(now()).unwrap(), Predicate::Never);
    let filter = filter_of(graded(), "drone:list", vec![held(Scope::region(Uuid::nil()))]);
    assert_eq!(filter.unwrap_err().reason(), Reason::InvalidInput);
}

/// The host's columns are asked for by the names that rules read, and by no other.
#[test]
fn a_filter_and_the_check_of_its_table_name_what_rules_read() {
    let when = "(resource.size == 1 or resource.size == 2) and has resource.until";
    let role = || Role::new("r").allow_when("doc:list", when);
    let mapping = TableMapping::postgres("d").column("size", "bytes");
    let filter = filter_of(role(), "doc:list", vec![held(Scope::Global)]).unwrap();
    let condition = filter.to_sql(&mapping, now()).unwrap();
    assert_eq!(
        condition.text,
        r#"(("d"."bytes" = $1::bigint OR "d"."bytes" = $2::bigint) AND "d"."until" IS NOT NULL)"#
    );
    let rules = RuleSet::compile(&policy(role()), &rolekeep_test_cases::schema()).unwrap();
    let check = mapping.check_sql(&rules, "doc", "docs").unwrap();
    // Conditions read two; scopes are of ids and regions.
    let names = ["id", "bytes", "until", "region_id"].map(str::to_owned).to_vec();
    assert!(check.parameters.contains(&SqlValue::Texts(names)), "{:?}", check.parameters);
    assert_eq!(mapping.check_sql(&rules, "docs", "docs").unwrap_err().reason(), Reason::InvalidInput);
}

/// A relation is there, be it empty.
#[test]
fn a_relation_is_never_absent() {
    let related = Role::new("r").allow_when("drone:list", "has resource.assigned_users");
    let filter = filter_of(related, "drone:list", vec![held(Scope::Global)]);
    assert_eq!(filter.unwrap().into_predicate(now()).unwrap(), Predicate::Always);
}

#[test]
fn each_role_lists_where_it_is_held() {
    let policy = Policy::new()
        .resource_type("region", [("country_id", "id?")])
        .scope_kind("country", "country_id")
        .nested_scope_kind("region", "region_id", "country_id")
        .role("r", ["drone:list"])
        .add_role(Role::new("active").allow_when("drone:list", "resource.status == 'ACTIVE'"))
        .add_role(Role::new("stopped").deny_when("drone:list", "resource.status == 'STOPPED'"));
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let [north, south, far, country, island] = [1, 2, 3, 4, 5].map(Uuid::from_u128);
    let rows = [north, south].map(|region| ("region", Value::Id(region), Value::Id(country)));
    let tree = Arc::new(rules.scope_tree(rows));
    let listed = |assignments: &[(&str, Scope)]| {
        let assignments = assignments.iter().map(|(role, scope)| StoredAssignment::new(*role, scope.clone())).collect();
        let facts = StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(7)) };
        let list = rules.permission("drone:list").unwrap();
        rules
            .filter(&rules.resolve_stored_in(facts, Some(&tree)), list, &Context::new(), now())
            .unwrap()
            .into_predicate(now())
            .unwrap()
    };
    let within = |regions: &[Uuid]| {
        let values: Vec<Value> = regions.iter().copied().map(Value::Id).collect();
        Predicate::In("region_id".into(), values.into())
    };
    let status = |text: &str| Predicate::Compare("status".into(), Comparison::Equal, text.into());
    let in_country = |id: Uuid| Scope::of("country", id);
    assert_eq!(listed(&[("r", in_country(country))]), within(&[north, south]));
    assert_eq!(listed(&[("r", in_country(country)), ("r", Scope::region(far))]), within(&[north, south, far]));
    // A country without regions.
    assert_eq!(listed(&[("r", in_country(island))]), Predicate::Never);
    // In whatever order they are held.
    let [here, there] = [("r", Scope::region(north)), ("active", Scope::region(far))];
    let either = listed(&[here.clone(), there.clone()]);
    let Predicate::Or(parts) = &either else { panic!("{either:?}") };
    let active = Predicate::And(vec![within(&[far]), status("ACTIVE")]);
    assert!(parts.len() == 2 && parts.contains(&within(&[north])) && parts.contains(&active), "{either:?}");
    assert_eq!(listed(&[there, here.clone()]), either);
    let stopped = Predicate::And(vec![within(&[far]), status("STOPPED")]);
    assert_eq!(
        listed(&[here, ("stopped", Scope::region(far))]),
        Predicate::And(vec![within(&[north]), Predicate::Not(Box::new(stopped))])
    );
}

/// Every pair of assignments that differ in role, scope and window: without a resource, what is held
/// everywhere and now counts, however it is asked.
#[test]
fn without_a_resource_what_is_held_everywhere_and_now_counts() {
    let policy = Policy::new()
        .role("reader", ["drone:read"])
        .role("lister", ["drone:list"])
        .add_role(Role::new("proven").allow_when("drone:list", "principal.verified == true"));
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let (past, future) = (Some(time("2026-06-01T11:00:00Z")), Some(time("2026-06-01T13:00:00Z")));
    let windows = [(None, None, true), (past, future, true), (None, past, false), (future, None, false)];
    let mut all = Vec::new();
    for role in ["reader", "lister", "proven"] {
        for scope in [Scope::Global, Scope::region(Uuid::nil())] {
            for (from, until, is_now) in windows {
                let counts = is_now && scope == Scope::Global;
                all.push((
                    StoredAssignment {
                        valid_from: from,
                        valid_until: until,
                        ..StoredAssignment::new(role, scope.clone())
                    },
                    counts,
                ));
            }
        }
    }
    let accounts = [(true, true), (true, false), (false, true)];
    for (is_active, is_verified) in accounts {
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let assignments = vec![one.0.clone(), other.0.clone()];
            let facts = StoredPrincipal { is_active, is_verified, assignments, ..StoredPrincipal::new(Uuid::nil()) };
            let principal = rules.resolve_stored(facts);
            for (name, roles) in [("drone:read", &["reader"][..]), ("drone:list", &["lister", "proven"])] {
                let expected = is_active
                    && [one, other].iter().any(|(held, counts)| {
                        *counts && roles.contains(&&*held.role) && (*held.role != *"proven" || is_verified)
                    });
                let (permission, context) = (rules.permission(name).unwrap(), Context::new());
                let (fields, resource, now) = (&[][..], None, now());
                let question = Question { principal: &principal, permission, fields, resource, context: &context, now };
                let answers = [
                    rules.check(&principal, permission, now).unwrap(),
                    rules.allows(&question).unwrap(),
                    rules.decide(&question).unwrap().is_allowed(),
                ];
                assert_eq!(answers, [expected; 3], "{name}, {is_active}, {is_verified}: {one:?}, {other:?}");
            }
        }
    }
}
