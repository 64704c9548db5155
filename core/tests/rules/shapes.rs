//! Resources whose attributes are named once.

use rolekeep::{
    Reason,
    model::{error::Error, time::Time, value::Value},
    rules::{
        Context, Policy, Question, Resource, ResourceLayout, Role, RuleSet, Schema, Scope, StoredAssignment,
        StoredPrincipal,
    },
};
use uuid::Uuid;

const REGION: Uuid = Uuid::from_u128(7);

/// A reader of things of one region, under a condition.
fn rules(condition: &str) -> RuleSet {
    let attributes = [("region_id", "id"), ("tags", "set<string>?"), ("level", "int"), ("status", "string?")];
    let policy = Policy::new()
        .permissions(["thing:read", "other:read"])
        .resource_type("thing", attributes)
        .resource_type("other", attributes)
        .add_role(Role::new("reader").allow_when("thing:read", condition));
    RuleSet::compile(&policy, &Schema::new()).unwrap()
}

fn ask(rules: &RuleSet, permission: &str, resource: &Resource<'_>) -> Result<bool, Error> {
    let assignments = vec![StoredAssignment::new("reader", Scope::region(REGION))];
    let principal = rules.principal(StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) });
    let (permission, context, now) = (rules.permission(permission)?, Context::new(), Time::UNIX_EPOCH);
    let question =
        Question { principal: &principal, permission, fields: &[], resource: Some(resource), context: &context, now };
    let allowed = rules.allows(&question)?;
    assert_eq!(rules.decide(&question)?.is_allowed(), allowed);
    Ok(allowed)
}

fn tags(text: &str) -> Value {
    Value::Json(text.into())
}

#[test]
fn one_shape_serves_rules_that_read_other_things() {
    let shape = ResourceLayout::new("thing", ["status", "level", "tags", "region_id"]);
    let by_level = rules("resource.level > 3");
    let by_tag = rules("\"red\" in resource.tags and has resource.status");
    for (status, level, tag, region, expected) in [
        (Value::from("on"), 4, "[\"red\"]", REGION, [true, true]),
        (Value::Null, 4, "[\"red\"]", REGION, [true, false]),
        (Value::from("on"), 3, "[\"red\"]", REGION, [false, true]),
        (Value::from("on"), 4, "[\"blue\", \"green\"]", REGION, [true, false]),
        (Value::from("on"), 4, "[\"red\"]", Uuid::from_u128(8), [false, false]),
    ] {
        let thing = shape.resource([status, Value::Int(level), tags(tag), Value::Id(region)]);
        // In turns, so that what was remembered is of the other rules each time.
        for _ in 0..2 {
            let answers = [&by_level, &by_tag].map(|rules| ask(rules, "thing:read", &thing).unwrap());
            assert_eq!(answers, expected, "{thing:?}");
        }
    }
}

#[test]
fn what_is_missing_or_of_another_type_is_an_error() {
    let rules = rules("resource.level > 3 and (not has resource.status or resource.status == \"on\")");
    let shape = ResourceLayout::new("thing", ["region_id", "status", "level"]);
    let reason = |resource: &Resource<'_>, permission: &str| {
        let error = ask(&rules, permission, resource).unwrap_err();
        (error.reason(), error.to_string())
    };
    let region = Value::Id(REGION);
    for values in [vec![region.clone(), Value::Null], vec![region.clone(), Value::Null, Value::Null]] {
        let (reason, message) = reason(&shape.resource(values), "thing:read");
        assert_eq!((reason, message.contains("`level`")), (Reason::ResourceIncomplete, true), "{message}");
    }
    let (wrong, message) = reason(&shape.resource([region.clone(), Value::Null, Value::from("4")]), "thing:read");
    assert_eq!((wrong, message.contains("`level`")), (Reason::ResourceInvalid, true), "{message}");
    let (missing, message) = reason(&ResourceLayout::new("thing", ["region_id", "level"]).resource([]), "thing:read");
    assert_eq!((missing, message.contains("`region_id`")), (Reason::ResourceIncomplete, true), "{message}");
    // Absent where it may be, and not even that.
    assert!(ask(&rules, "thing:read", &shape.resource([region.clone(), Value::Null, Value::Int(4)])).unwrap());
    let short = ResourceLayout::new("thing", ["region_id", "level"]);
    let (missing, message) = reason(&short.resource([region.clone(), Value::Int(4)]), "thing:read");
    assert_eq!((missing, message.contains("`status`")), (Reason::ResourceIncomplete, true), "{message}");
    let whole = shape.resource([region, Value::Null, Value::Int(4), Value::from("one too many")]);
    assert!(ask(&rules, "thing:read", &whole).unwrap());
    let (other, message) = reason(&whole, "other:read");
    assert_eq!(
        (other, message.as_str()),
        (Reason::InvalidInput, "a thing is no other, which this permission is about")
    );
}

#[test]
fn attributes_can_be_given_afterwards() {
    let rules = rules("\"red\" in resource.tags and resource.level > 3");
    let shape = ResourceLayout::new("thing", ["region_id", "level", "level"]);
    let thing = || shape.resource([Value::Id(REGION), Value::Int(3)]);
    let may = |resource: Resource<'_>| ask(&rules, "thing:read", &resource.clone()).unwrap();
    // Of a name that stands twice the first counts, then too.
    let twice = shape.resource([Value::Id(REGION), Value::Int(3), Value::Int(4)]);
    assert!(!may(twice.clone().with("tags", tags("[\"red\"]"))));
    assert!(may(twice.with("tags", tags("[\"red\"]")).with("level", 4_i64)));
    // Of a type that only names what it is given, and one that has a place for it.
    assert!(may(thing().with("level", 4_i64).with("tags", tags("[\"red\"]"))));
    assert!(may(thing().with("tags", tags("[\"red\"]")).with("level", 4_i64)));
    assert!(!may(thing().with("tags", tags("[\"red\"]"))));
    assert!(!may(thing().with("level", 4_i64).with("tags", tags("[]"))));
    assert!(!may(thing().with("level", 4_i64).with("tags", tags("[\"red\"]")).with("region_id", Uuid::nil())));
}

#[test]
fn values_are_told_by_their_names_in_whatever_order_they_are_given() {
    let policy = Policy::new()
        .permissions(["thing:read"])
        .resource_type("thing", [("low", "int"), ("high", "int"), ("note", "int?")])
        .add_role(Role::new("reader").allow_when("thing:read", "resource.low < resource.high"));
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let reader = vec![StoredAssignment::new("reader", Scope::Global)];
    let principal =
        rules.principal(StoredPrincipal { assignments: reader, ..StoredPrincipal::new(Uuid::from_u128(1)) });
    let (permission, context) = (rules.permission("thing:read").unwrap(), Context::new());
    for names in [["low", "high", "note"], ["high", "low", "note"], ["note", "high", "low"], ["high", "note", "low"]] {
        let shape = ResourceLayout::new("thing", names);
        for (low, high) in [(1, 2), (2, 1)] {
            let values = names.map(|name| Value::Int(if name == "low" { low } else { high }));
            let named = names
                .iter()
                .zip(&values)
                .fold(Resource::of("thing"), |thing, (name, value)| thing.with(*name, value.clone()));
            for thing in [named, shape.resource(values)] {
                let question = Question {
                    principal: &principal,
                    permission,
                    fields: &[],
                    resource: Some(&thing),
                    context: &context,
                    now: Time::UNIX_EPOCH,
                };
                assert_eq!(rules.allows(&question).unwrap(), low < high, "{thing:?}");
                assert_eq!(rules.decide(&question).unwrap().is_allowed(), low < high, "{thing:?}");
            }
        }
    }
}

/// With fewer attributes than a question has at hand, as many, and more.
#[test]
fn what_must_be_there_is_missed_wherever_it_stands() {
    for count in [1, 2, 5, 6, 7, 8, 12] {
        let names: Vec<String> = (0..count).map(|at| format!("level{at}")).collect();
        let condition = names.iter().map(|name| format!("resource.{name} > 3")).collect::<Vec<_>>().join(" or ");
        let policy = Policy::new()
            .permissions(["thing:read"])
            .resource_type("thing", [("region_id", "id?")].into_iter().chain(names.iter().map(|name| (&**name, "int"))))
            .add_role(Role::new("reader").allow("thing:read").deny_when("thing:read", condition));
        let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
        let all = || std::iter::once("region_id").chain(names.iter().map(String::as_str));
        let resource = |given: &dyn Fn(&str) -> Option<Value>| {
            let given: Vec<(&str, Value)> = all().filter_map(|name| Some((name, given(name)?))).collect();
            let shape = ResourceLayout::new("thing", given.iter().map(|(name, _)| (*name).to_owned()));
            let shaped = shape.resource(given.iter().map(|(_, value)| value.clone()));
            let named = given
                .iter()
                .fold(Resource::of("thing"), |named, (name, value)| named.with((*name).to_owned(), value.clone()));
            [shaped, named].map(|resource| ask(&rules, "thing:read", &resource).map_err(|error| error.reason()))
        };
        let value = |name: &str| if name == "region_id" { Value::Id(REGION) } else { Value::Int(3) };
        assert_eq!(resource(&|name| Some(value(name))), [Ok(true), Ok(true)], "{count}");
        let missing = [Err(Reason::ResourceIncomplete), Err(Reason::ResourceIncomplete)];
        assert_eq!(resource(&|_| Some(Value::Null)), missing, "{count}");
        for one in &names {
            let is_it = |name: &str| name == one;
            assert_eq!(resource(&|name| (!is_it(name)).then(|| value(name))), missing, "{count} {one}");
            let null = |name: &str| Some(if is_it(name) { Value::Null } else { value(name) });
            assert_eq!(resource(&null), missing, "{count} {one}");
            let high = |name: &str| Some(if is_it(name) { Value::Int(4) } else { value(name) });
            assert_eq!(resource(&high), [Ok(false), Ok(false)], "{count} {one}");
        }
    }
}
