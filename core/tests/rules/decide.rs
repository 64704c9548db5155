//! The decision against a reference written straight from the pseudo-code of docs/rules.md, on random policies;
//! and what follows from it: order, monotony, absence, keys, chains, filters.

use std::cell::Cell;

use crate::kit::{Engine, FIELDS, Tied, cases, config, scaled};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rolekeep::{
    Value,
    rules::{Context, Effect, Policy, Question, Scope},
    storage::Predicate,
};
use rolekeep_test_cases::{Asker, Case, Choices, Condition, GeneratedGrant, Operand, Query, Reference, THINGS};

/// The engine and the reference, on 100,000 questions at least.
#[test]
fn decides_as_the_reference_does() {
    let (questions, allowed) = (Cell::new(0_u32), Cell::new(0_u32));
    let ask = |case: Case| {
        let (engine, reference) = (Engine::of(&case), Reference(&case));
        for permission in ["thing:read", "thing:list", "thing:update"] {
            for fields in FIELDS {
                for thing in engine.things() {
                    let query = Query { permission, fields, thing, named: None };
                    let expected = reference.decide(query);
                    prop_assert_eq!(engine.decide(query), expected, "{:?}", query);
                    questions.set(questions.get() + 1);
                    allowed.set(allowed.get() + u32::from(expected));
                }
            }
        }
        // The way without a resource and fields is one of its own.
        for permission in engine.rules.permissions() {
            let id = engine.rules.permission(&permission.name).unwrap();
            let checked = engine.rules.check(&engine.principal, id, case.now).map_err(|error| error.reason());
            let context = Context::new();
            let principal = &engine.principal;
            let question =
                Question { principal, permission: id, fields: &[], resource: None, context: &context, now: case.now };
            let decided = engine.rules.decide(&question).map(|decision| decision.is_allowed());
            prop_assert_eq!(checked, decided.map_err(|error| error.reason()), "{}", permission.name);
            if let Ok(checked) = checked
                && (permission.name == "admin:all" || !permission.name.starts_with("thing:"))
            {
                let expected = reference.decide(Query { permission: &permission.name, ..Query::default() });
                prop_assert_eq!(checked, expected, "{}", permission.name);
                questions.set(questions.get() + 1);
            }
        }
        Ok(())
    };
    TestRunner::new(config(2_000)).run(&cases(), ask).unwrap_or_else(|failure| panic!("{failure}"));
    let (questions, allowed) = (questions.get(), allowed.get());
    assert!(questions > scaled(100_000) && allowed > questions / 12, "{allowed} of {questions}");
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn a_row_passes_the_filter_if_and_only_if_decide_allows_it(case in cases()) {
        let engine = Engine::of(&case);
        let (rules, principal) = (&engine.rules, &engine.principal);
        for name in ["thing:read", "thing:list"] {
            let permission = rules.permission(name).unwrap();
            let filter = rules.filter(principal, permission, &engine.context, case.now).unwrap();
            let filter = filter.into_predicate(case.now).unwrap();
            let somewhere = rules.can_somewhere(principal, permission, &engine.context, case.now).unwrap();
            for thing in &case.things {
                let passes = filter.matches(&THINGS, &thing.row, &Tied(thing));
                let query = Query { permission: name, thing: Some(thing), ..Query::default() };
                prop_assert_eq!(passes, engine.decide(query), "{:?}", filter);
                prop_assert!(somewhere || !passes);
            }
            prop_assert_eq!(somewhere, filter != Predicate::Never);
        }
    }

    #[test]
    fn order_never_matters(case in cases(), turn in 0_usize..6) {
        let mut other = case.clone();
        for asker in &mut other.askers {
            let length = asker.facts.assignments.len().max(1);
            asker.facts.assignments.rotate_left(turn % length);
            asker.facts.assignments.reverse();
            asker.session.iter_mut().for_each(|session| session.reverse());
            asker.key.iter_mut().for_each(|key| key.patterns.reverse());
        }
        // Who asks on whose behalf has no say in what both may do.
        other.askers.reverse();
        other.tree.reverse();
        for role in &mut other.roles {
            let length = role.grants.len().max(1);
            role.grants.rotate_left(turn % length);
            role.grants.reverse();
        }
        let (one, other) = (Engine::of(&case), Engine::of(&other));
        for fields in FIELDS {
            for thing in one.things() {
                let query = Query { permission: "thing:read", fields, thing, named: None };
                prop_assert_eq!(one.decide(query), other.decide(query));
            }
        }
    }

    #[test]
    fn allows_never_remove_and_denies_never_add(
        case in cases(),
        numbers in proptest::collection::vec(any::<u32>(), 40),
        role in any::<prop::sample::Index>(),
    ) {
        let mut choices = Choices::new(numbers);
        let at = role.index(case.roles.len());
        for effect in [Effect::Allow, Effect::Deny] {
            let when = choices.once_in(2).then(|| choices.condition(effect == Effect::Deny, 2));
            // What reads a principal may not be said of who is not signed in.
            let when = when.filter(|when| case.anonymous.is_none() || !when.to_string().contains("principal."));
            let mut more = case.clone();
            more.roles[at].grants.push(GeneratedGrant { effect, pattern: "thing:*", fields: Vec::new(), when });
            let (before, after) = (Engine::of(&case), Engine::of(&more));
            for thing in before.things() {
                let query = Query { permission: "thing:read", thing, ..Query::default() };
                let (before, after) = (before.decide(query), after.decide(query));
                let is_right = if effect == Effect::Allow { !before || after } else { before || !after };
                prop_assert!(is_right);
            }
        }
    }

    #[test]
    fn absence_never_allows(case in cases(), hidden in any::<u32>()) {
        // `has` may be used on purpose to allow or refuse what has no value: here it only covers what is read.
        let mut case = case;
        for role in &mut case.roles {
            role.grants.retain(|grant| grant.when.as_ref().is_none_or(|when| {
                has_is_only(when, grant.effect == Effect::Allow)
            }));
        }
        let before = Engine::of(&case);
        let mut less = case.clone();
        let hides = |bit: u32| hidden >> bit & 1 == 1;
        if hides(0) {
            less.context.1 = None;
        }
        for asker in &mut less.askers {
            for (bit, (name, value)) in (1..).zip(&mut asker.facts.attributes) {
                let may = ["region_id", "level", "joined_at", "teams"].contains(&&**name);
                if may && hides(bit) {
                    *value = Value::Null;
                    if *name == "teams" {
                        asker.teams = None;
                    }
                }
            }
        }
        for thing in &mut less.things {
            for (bit, column) in (10..).zip(["label", "region_id", "owner_id", "count", "flag", "seen_at"]) {
                if hides(bit) {
                    thing.row.0[THINGS.position(column).unwrap()] = Value::Null;
                }
            }
        }
        // A deny held in a scope does not reach what lies in no scope: scopes are no conditions.
        let is_scoped_deny = |case: &Case| {
            let denies = |name: &str| {
                let role = case.roles.iter().position(|role| role.name == *name);
                let juniors = role.map(|role| case.juniors(role)).unwrap_or_default();
                juniors.iter().any(|role| case.roles[*role].grants.iter().any(|grant| grant.effect == Effect::Deny))
            };
            let held = case.askers.iter().flat_map(|asker| &asker.facts.assignments);
            held.into_iter().any(|held| held.scope != Scope::Global && denies(&held.role))
        };
        prop_assume!(!is_scoped_deny(&case));
        let after = Engine::of(&less);
        for (thing, less) in case.things.iter().zip(&less.things) {
            for fields in FIELDS {
                let query = Query { permission: "thing:read", fields, thing: Some(thing), named: None };
                let was = before.decide(query);
                let is = after.decide(Query { thing: Some(less), ..query });
                prop_assert!(was || !is, "{:?} {:?}", thing, less);
            }
        }
    }

    #[test]
    fn nobody_exceeds_those_it_acts_for(case in cases()) {
        let whole = Engine::of(&case);
        for asker in &case.askers {
            let alone = Case { askers: vec![asker.clone()], ..case.clone() };
            let owner = Asker { key: None, session: None, ..asker.clone() };
            let owner = Case { askers: vec![owner], ..case.clone() };
            let (alone, owner) = (Engine::of(&alone), Engine::of(&owner));
            for permission in ["thing:read", "user:read", "admin:all"] {
                for fields in if permission == "thing:read" { FIELDS } else { &FIELDS[..1] } {
                    let things = whole.things().filter(|thing| permission == "thing:read" || thing.is_none());
                    for thing in things {
                        let query = Query { permission, fields, thing, named: None };
                        let (together, one, owned) = (whole.decide(query), alone.decide(query), owner.decide(query));
                        prop_assert!(!together || one, "{:?}", query);
                        prop_assert!(!one || owned, "{:?}", query);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_effective_is_what_counts(case in cases()) {
        let engine = Engine::of(&case);
        let asker = &case.askers[0];
        let names: Vec<String> = engine.rules.permissions().map(|one| one.name).collect();
        let mut expected = Vec::new();
        for pair in Reference(&case).held(asker).into_iter().filter(|_| asker.facts.is_active) {
            let role = &case.roles[pair.role];
            for grant in role.grants.iter().filter(|grant| grant.effect == Effect::Deny || pair.is_active) {
                let fields = grant.pattern()[grant.pattern.len()..].to_owned();
                let is_about = |name: &&String| {
                    grant.pattern == "admin:all" || is_matched(grant.pattern, name)
                };
                let reached = |name: &&String| {
                    let patterns = asker.key.as_ref().map(|key| &key.patterns);
                    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| is_matched(pattern, name)))
                };
                let about: Vec<&String> = names.iter().filter(is_about).collect();
                let listed: Vec<String> = match grant.effect == Effect::Deny || about.iter().all(reached) {
                    true => vec![grant.pattern()],
                    false => about.into_iter().filter(reached).map(|name| format!("{name}{fields}")).collect(),
                };
                let condition = grant.when.as_ref().map(Condition::to_string);
                let (scope, held) = (pair.assignment.scope.to_string(), pair.assignment.role.to_string());
                let until = pair.assignment.valid_until;
                expected.extend(listed.into_iter().map(|permission| {
                    (grant.effect, permission, scope.clone(), condition.clone(), held.clone(), role.name.clone(), until)
                }));
            }
        }
        let effective = engine.rules.effective(&engine.principal, case.now).into_iter();
        let mut effective: Vec<_> = effective
            .map(|one| (one.effect, one.permission, one.scope, one.condition, one.role, one.granted_by, one.valid_until))
            .collect();
        effective.sort();
        expected.sort();
        prop_assert_eq!(effective, expected);
    }

    #[test]
    fn files_say_what_code_says(case in cases()) {
        let policy = case.policy();
        prop_assert_eq!(&Policy::from_toml(&policy.to_toml().unwrap()).unwrap(), &policy);
        prop_assert_eq!(&Policy::from_json(&policy.to_json().unwrap()).unwrap(), &policy);
    }
}

/// Whether `has` of an optional path stands under so many `not` that it can only close (true), or only
/// open (false).
fn has_is_only(when: &Condition, positive: bool) -> bool {
    match when {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().all(|part| has_is_only(part, positive)),
        Condition::Not(inner) => has_is_only(inner, !positive),
        Condition::Has(Operand::Path(_, _, is_optional, _)) => positive || !is_optional,
        _ => true,
    }
}

fn is_matched(pattern: &str, name: &str) -> bool {
    let (resource, action) = pattern.split_once(':').unwrap();
    let (of, to) = name.split_once(':').unwrap();
    name != "admin:all" && ["*", of].contains(&resource) && ["*", to].contains(&action)
}

/// Were most cases trivial, the properties above would say little.
#[test]
fn cases_are_of_every_kind() {
    let (mut allowed, mut denied, mut conditional) = (0, 0, 0);
    let mut runner = TestRunner::deterministic();
    for _ in 0..500 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let engine = Engine::of(&case);
        let query = |thing| Query { permission: "thing:read", thing: Some(thing), ..Query::default() };
        let asked: Vec<bool> = case.things.iter().map(|thing| engine.decide(query(thing))).collect();
        allowed += usize::from(asked.contains(&true));
        denied += usize::from(asked.contains(&false));
        conditional += usize::from(asked.contains(&true) && asked.contains(&false));
    }
    assert!(allowed > 100 && denied > 200 && conditional > 30, "{allowed} {denied} {conditional}");
}
