//! Where a resource lies: bound to one kind of scope or to several, by ids in every form, within others.

use std::sync::Arc;

use rolekeep::{
    Error, Reason, Time, Value,
    rules::{
        Context, Policy, Principal, Question, Resource, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal,
    },
};
use uuid::Uuid;

const HERE: Uuid = Uuid::from_u128(7);
const THERE: Uuid = Uuid::from_u128(8);

/// Regions lie in countries. A parcel lies in a region, which is all that it is bound to; a depot in a region
/// and in a country; a pallet at a numbered gate.
fn rules() -> RuleSet {
    let policy = Policy::new()
        .resource_type("parcel", [("region_id", "id?")])
        .resource_type("depot", [("region_id", "id?"), ("country_id", "id?")])
        .resource_type("pallet", [("gate", "int?")])
        .scope_kind("country", "country_id")
        .nested_scope_kind("region", "region_id", "country_id")
        .scope_kind("gate", "gate")
        .permissions(["parcel:read", "depot:read", "pallet:read"])
        .role("reader", ["*:read"]);
    RuleSet::compile(&policy, &Schema::new()).unwrap()
}

fn holding(rules: &RuleSet, scope: Scope) -> Principal {
    let assignments = vec![StoredAssignment::new("reader", scope)];
    rules.resolve_stored(StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) })
}

/// By the short way and by the long one, which must agree.
fn ask(rules: &RuleSet, principal: &Principal, resource: &Resource<'_>, ty: &str) -> Result<bool, Error> {
    ask_to(rules, principal, resource, &format!("{ty}:read"))
}

fn ask_to(rules: &RuleSet, principal: &Principal, resource: &Resource<'_>, permission: &str) -> Result<bool, Error> {
    let (permission, context) = (rules.permission(permission)?, Context::new());
    let (resource, now) = (Some(resource), Time::UNIX_EPOCH);
    let question = Question { principal, permission, fields: &[], resource, context: &context, now };
    let allowed = rules.allows(&question)?;
    assert_eq!(rules.decide(&question)?.is_allowed(), allowed);
    Ok(allowed)
}

fn parcel(region: impl Into<Value>) -> Resource<'static> {
    Resource::of("parcel").with("region_id", region)
}

#[test]
fn an_id_covers_what_lies_there_in_whatever_form_it_is_given() {
    let rules = rules();
    let reader = holding(&rules, Scope::region(HERE));
    for (region, expected) in [
        (Value::Id(HERE), true),
        (Value::Id(THERE), false),
        (Value::Text(HERE.to_string()), true),
        (Value::Text(THERE.to_string()), false),
        (Value::Null, false),
    ] {
        assert_eq!(ask(&rules, &reader, &parcel(region.clone()), "parcel").unwrap(), expected, "{region:?}");
    }
    for wrong in [Value::Int(7), Value::Text("here".to_owned())] {
        let error = ask(&rules, &reader, &parcel(wrong), "parcel").unwrap_err();
        assert_eq!(error.reason(), Reason::ResourceInvalid);
    }
    let missing = ask(&rules, &reader, &Resource::of("parcel"), "parcel").unwrap_err();
    assert_eq!(missing.reason(), Reason::ResourceIncomplete);
}

#[test]
fn the_same_id_of_another_kind_covers_nothing() {
    let rules = rules();
    for kind in ["country", "resource:parcel", "galaxy"] {
        let reader = holding(&rules, Scope::of(kind, HERE));
        assert!(!ask(&rules, &reader, &parcel(HERE), "parcel").unwrap(), "{kind}");
    }
}

#[test]
fn of_several_kinds_each_covers() {
    let rules = rules();
    let depot = Resource::of("depot").with("region_id", HERE).with("country_id", THERE);
    for (kind, id, expected) in
        [("region", HERE, true), ("region", THERE, false), ("country", THERE, true), ("country", HERE, false)]
    {
        let reader = holding(&rules, Scope::of(kind, id));
        assert_eq!(ask(&rules, &reader, &depot, "depot").unwrap(), expected, "{kind} {id}");
    }
}

/// More kinds than a question has values at hand.
#[test]
fn of_many_kinds_each_covers_by_its_own_attribute() {
    let ways = || (0..9_u32).map(|way| (format!("kind{way}"), format!("attribute{way}"), Uuid::from_u128(way.into())));
    let policy = ways().fold(Policy::new(), |policy, (kind, attribute, _)| policy.scope_kind(kind, attribute));
    let policy = policy
        .resource_type("parcel", ways().map(|(_, attribute, _)| (attribute, "id?")))
        .permissions(["parcel:read"])
        .role("reader", ["*:read"]);
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let parcel = ways().fold(Resource::of("parcel"), |parcel, (_, attribute, id)| parcel.with(attribute, id));
    for (kind, own, _) in ways() {
        let reader = |id: Uuid| holding(&rules, Scope::of(kind.as_str(), id));
        for (_, attribute, id) in ways() {
            assert_eq!(ask(&rules, &reader(id), &parcel, "parcel").unwrap(), own == attribute, "{kind} {id}");
        }
        assert!(!ask(&rules, &reader(Uuid::from_u128(9)), &parcel, "parcel").unwrap(), "{kind}");
    }
}

#[test]
fn a_number_is_no_id() {
    let rules = rules();
    let reader = holding(&rules, Scope::of("gate", "12"));
    for (gate, expected) in [(Value::Int(12), true), (Value::Int(13), false), (Value::Null, false)] {
        let pallet = Resource::of("pallet").with("gate", gate.clone());
        assert_eq!(ask(&rules, &reader, &pallet, "pallet").unwrap(), expected, "{gate:?}");
    }
}

#[test]
fn a_country_covers_what_lies_in_its_regions() {
    let rules = rules();
    let tree = Arc::new(rules.scope_tree([("region", Value::Id(HERE), Value::Id(THERE))]));
    let assignments = vec![StoredAssignment::new("reader", Scope::of("country", THERE))];
    let facts = StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) };
    let reader = rules.resolve_stored_in(facts, Some(&tree));
    assert!(ask(&rules, &reader, &parcel(HERE), "parcel").unwrap());
    // The region that has the country's own id lies nowhere.
    assert!(!ask(&rules, &reader, &parcel(THERE), "parcel").unwrap());
}

/// What is held of one role, and whether that allows a parcel here to be moved: always, where it is open, never.
fn holdings() -> [(StoredAssignment, [bool; 2]); 9] {
    let of = StoredAssignment::new;
    let ended = StoredAssignment { valid_until: Some(Time::UNIX_EPOCH), ..of("mover", Scope::region(HERE)) };
    [
        (of("mover", Scope::Global), [false, true]),
        (of("mover", Scope::region(HERE)), [false, true]),
        (of("mover", Scope::region(THERE)), [false, false]),
        (of("mover", Scope::of("depot", HERE)), [false, false]),
        (of("admin", Scope::Global), [true, true]),
        (of("admin", Scope::region(HERE)), [false, false]),
        (of("helper", Scope::region(HERE)), [false, false]),
        (ended, [false, false]),
        // It covers what lies here where it is known to, as of [`COUNTRY`].
        (of("mover", Scope::of("country", THERE)), [false, false]),
    ]
}

/// The place among [`holdings`] of the one that needs a tree of scopes.
const COUNTRY: usize = 8;

/// In every order, with few roles and with more than a word has bits, before and after roles were added.
#[test]
fn whatever_else_is_held_one_role_that_allows_is_enough() {
    for others in [0, 100] {
        let policy = Policy::new()
            .resource_type("parcel", [("region_id", "id"), ("state", "string")])
            .resource_type("pallet", [("depot_id", "id")])
            .resource_type("town", [("country_id", "id")])
            .scope_kind("country", "country_id")
            .nested_scope_kind("region", "region_id", "country_id")
            .scope_kind("depot", "depot_id")
            .permissions(["parcel:read", "parcel:move", "parcel:lift", "parcel:weigh"])
            .add_role(Role::new("admin").allow("admin:all").allow_when("parcel:move", "resource.state == \"open\""))
            .add_role(
                Role::new("helper").allow("parcel:weigh").allow_when("parcel:lift", "resource.state == \"closed\""),
            );
        // More than a principal has places for.
        let readers: Vec<StoredAssignment> =
            (0..5).map(|at| StoredAssignment::new(format!("reader-{at}"), Scope::Global)).collect();
        let policy = readers.iter().fold(policy, |policy, reader| policy.role(&*reader.role, ["parcel:read"]));
        let policy = (0..others).fold(policy, |policy, at| policy.role(format!("other-{at}"), ["parcel:read"]));
        let mover = ["parcel:move", "parcel:lift", "parcel:weigh"]
            .into_iter()
            .fold(Role::new("mover"), |mover, what| mover.allow_when(what, "resource.state == \"open\""));
        let rules = RuleSet::compile(&policy.add_role(mover.clone()), &Schema::new()).unwrap();
        let mover_too = |at: u32| Role::new(format!("mover-{at}")).inherits("mover");
        let edited = (0..70).fold(rules.clone(), |rules, at| rules.with_role(mover_too(at)).unwrap());
        let tree = Arc::new(rules.scope_tree([("region", Value::Id(HERE), Value::Id(THERE))]));
        let all = holdings();
        let mut held: Vec<Vec<usize>> = vec![Vec::new()];
        for length in 0..3 {
            let longer = held.iter().filter(|one| one.len() == length);
            let longer = longer.flat_map(|one| (0..all.len()).map(|next| [&one[..], &[next]].concat()));
            held.extend(longer.collect::<Vec<_>>());
        }
        for held in held {
            let assignments: Vec<_> = held.iter().map(|at| all[*at].0.clone()).collect();
            let facts = StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) };
            for (at, state) in ["closed", "open"].into_iter().enumerate() {
                let parcel = parcel(HERE).with("state", state);
                let expected = held.iter().any(|one| all[*one].1[at]);
                // Nothing of an account that is to be read again later counts as held for ever.
                let passing = StoredPrincipal { good_until: Some(Time::MAX), ..facts.clone() };
                let since = StoredPrincipal { good_from: Some(Time::MIN), ..facts.clone() };
                let [mut before, mut after] = [facts.clone(), facts.clone()];
                before.assignments.splice(..0, readers.clone());
                after.assignments.extend(readers.clone());
                let suspended = StoredPrincipal { is_active: false, ..facts.clone() };
                let in_tree = expected || at == 1 && held.contains(&COUNTRY);
                let askers = [
                    (&rules, rules.resolve_stored(facts.clone()), expected),
                    (&edited, rules.resolve_stored(facts.clone()), expected),
                    (&rules, edited.resolve_stored(passing), expected),
                    (&rules, rules.resolve_stored(since), expected),
                    (&rules, rules.resolve_stored(before), expected),
                    (&rules, rules.resolve_stored(after), expected),
                    (&rules, rules.resolve_stored(suspended), false),
                    (&rules, rules.resolve_stored_in(facts.clone(), Some(&tree)), in_tree),
                ];
                for (rules, principal, expected) in askers {
                    let allowed = ask_to(rules, &principal, &parcel, "parcel:move").unwrap();
                    assert_eq!(allowed, expected, "{held:?} {state} {others}");
                    // Of these, roles say different things.
                    ask_to(rules, &principal, &parcel, "parcel:lift").unwrap();
                    ask_to(rules, &principal, &parcel, "parcel:weigh").unwrap();
                }
            }
        }
        // Of roles that these rules do not know yet none of their words has a bit, whatever their numbers.
        let parcel = parcel(HERE).with("state", "open");
        for at in 0..70 {
            let mut facts = StoredPrincipal::new(Uuid::from_u128(1));
            facts.assignments = vec![StoredAssignment::new(format!("mover-{at}"), Scope::region(HERE))];
            let principal = edited.resolve_stored(facts);
            assert!(ask_to(&edited, &principal, &parcel, "parcel:move").unwrap());
            assert!(!ask_to(&rules, &principal, &parcel, "parcel:move").unwrap(), "{at}");
        }
    }
}

#[test]
fn rows_of_a_kind_need_an_id_to_lie_in_it() {
    let policy = Policy::new().resource_type("depot", [("depot_id", "id")]).scope_kind("depot", "depot_id");
    let error = RuleSet::compile(&policy, &Schema::new()).unwrap_err();
    assert!(
        error.to_string().contains("it has no `id`, by which rows of `depot` lie in scopes of that kind"),
        "{error}"
    );
    let policy = Policy::new().resource_type("depot", [("id", "id")]).scope_kind("depot", "depot_id");
    assert!(RuleSet::compile(&policy, &Schema::new()).is_ok());
}
