//! What an explanation names would turn the decision, and no part of it would: each change is applied to
//! the case, as a program would, and the reference asked again.

use std::{cell::RefCell, collections::BTreeMap};

use crate::kit::{Engine, FIELDS, cases, config, scaled};
use proptest::{prelude::*, test_runner::TestRunner};
use rolekeep::{
    Time, Value,
    rules::{
        AssignmentTrace, ChangeKind, Context, Effect, Policy, ProposedChange, Question, Resource, Role, RuleSet,
        Schema, Scope, StoredAssignment, StoredPrincipal,
    },
};
use rolekeep_test_cases::{Asker, Case, GeneratedGrant, GeneratedRole, Query, Reference, ThingRow};
use uuid::Uuid;

/// Of larger sets not all parts are tried, but all that lack one change.
const MAX_PARTS: usize = 9;

/// A question, and the world it is asked in.
#[derive(Clone)]
struct World<'a> {
    case: Case,
    permission: &'static str,
    fields: Vec<String>,
    thing: Option<&'a ThingRow>,
    named: Option<Vec<Scope>>,
}

impl World<'_> {
    fn decide(&self) -> bool {
        let fields: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        let (permission, thing) = (self.permission, self.thing);
        Reference(&self.case).decide(Query { permission, fields: &fields, thing, named: self.named.as_deref() })
    }

    /// The world with these changes; assignments are found where they were before all of them.
    fn with<'c>(&self, changes: impl Iterator<Item = &'c ProposedChange>) -> Self {
        let mut world = self.clone();
        for change in changes {
            let at = usize::try_from(change.asker).unwrap();
            let role = change.role.clone().unwrap_or_default();
            let assignment = change.assignment.as_ref().map(|moved| place(&self.case.askers[at], moved));
            // What changes of an account changes wherever it stands.
            for twin in self.case.twins(at) {
                let facts = &mut world.case.askers[twin].facts;
                match change.kind {
                    ChangeKind::Activate => facts.is_active = true,
                    ChangeKind::AssignRole => {
                        let scope = change.scopes[0].parse().unwrap();
                        facts.assignments.push(StoredAssignment::new(role.clone(), scope));
                    }
                    ChangeKind::MoveWindow => {
                        let moved = &mut facts.assignments[assignment.unwrap()];
                        (moved.valid_from, moved.valid_until) = (None, None);
                    }
                    ChangeKind::MoveScope => {
                        facts.assignments[assignment.unwrap()].scope = change.scopes[0].parse().unwrap();
                    }
                    ChangeKind::AddGrant => {
                        facts.assignments.push(StoredAssignment::new("added", Scope::Global));
                        let asker = &mut world.case.askers[twin];
                        if asker.key.is_some() || asker.session.is_some() {
                            activate(asker, "added".to_owned());
                        }
                    }
                    _ => {}
                }
            }
            let asker = &mut world.case.askers[at];
            match change.kind {
                ChangeKind::Activate | ChangeKind::AssignRole | ChangeKind::MoveWindow | ChangeKind::MoveScope => {}
                ChangeKind::WidenKey => asker.key.as_mut().unwrap().patterns.push(change.permission.clone().unwrap()),
                ChangeKind::DropKey => (asker.key, asker.session) = (None, None),
                ChangeKind::ProveFactor => asker.facts.has_two_factors = true,
                ChangeKind::NameResource => {
                    world.named = Some(change.scopes.iter().map(|scope| scope.parse().unwrap()).collect());
                    world.force(change);
                }
                ChangeKind::NameFields => world.fields.clone_from(&change.fields),
                ChangeKind::ActivateRole => activate(asker, role),
                ChangeKind::MeetCondition => world.force(change),
                ChangeKind::LiftDeny => {
                    let role = world.case.roles.iter_mut().find(|one| one.name == role).unwrap();
                    let before = role.grants.len();
                    role.grants.retain(|grant| Some(text(grant)) != change.grant);
                    assert!(role.grants.len() < before, "{:?}", change.grant);
                }
                ChangeKind::AddGrant => {
                    let grant = GeneratedGrant {
                        effect: Effect::Allow,
                        pattern: self.permission,
                        fields: Vec::new(),
                        when: None,
                    };
                    assert_eq!(change.permission.as_deref(), Some(self.permission));
                    let (name, inherits) = ("added".to_owned(), Vec::new());
                    let added = GeneratedRole { name, inherits, grants: vec![grant], needs_second_factor: false };
                    world.case.roles.push(added);
                }
                kind => unreachable!("{kind:?}: this test does not make it"),
            }
        }
        world
    }

    fn force(&mut self, change: &ProposedChange) {
        for test in &change.tests {
            let twins: Vec<usize> = self.case.twins(usize::try_from(test.asker).unwrap()).collect();
            self.case.forced.extend(twins.into_iter().map(|twin| ((twin, test.text.clone()), test.holds)));
        }
    }
}

fn activate(asker: &mut Asker, role: String) {
    match (&mut asker.key, &mut asker.session) {
        (Some(key), _) => key.roles.push(role),
        (None, session) => session.as_mut().unwrap().push(role),
    }
}

fn place(asker: &Asker, moved: &AssignmentTrace) -> usize {
    let is_it = |one: &StoredAssignment| {
        let group = one.group.as_deref().map(str::to_owned);
        (one.role.clone(), group, one.scope.to_string(), one.valid_from, one.valid_until)
            == (
                moved.role.as_str().into(),
                moved.group.clone(),
                moved.scope.clone(),
                moved.valid_from,
                moved.valid_until,
            )
    };
    asker.facts.assignments.iter().position(is_it).unwrap()
}

fn text(grant: &GeneratedGrant) -> String {
    let effect = if grant.effect == Effect::Deny { "deny " } else { "" };
    let when = grant.when.as_ref().map(|when| format!(" when {when}")).unwrap_or_default();
    format!("{effect}{}{when}", grant.pattern())
}

#[test]
fn what_is_named_turns_a_denial_and_no_part_of_it_does() {
    let seen: RefCell<(u32, usize, BTreeMap<String, u32>)> = RefCell::default();
    let run = |(case, pick): (Case, usize)| {
        let engine = Engine::of(&case);
        let things: Vec<Option<&ThingRow>> = case.things.iter().take(2).map(Some).chain([None]).collect();
        for (at, thing) in things.into_iter().enumerate() {
            for permission in ["thing:read", "thing:list", "admin:all"].into_iter().take(if pick == 0 { 3 } else { 2 })
            {
                let fields = if permission == "admin:all" { &[] } else { FIELDS[(pick + at) % FIELDS.len()] };
                let thing = thing.filter(|_| permission != "admin:all");
                let query = Query { permission, fields, thing, named: None };
                let explanation = engine.explain(query);
                let names = fields.iter().map(|field| (*field).to_owned()).collect();
                let world = World { case: case.clone(), permission, fields: names, thing, named: None };
                prop_assert_eq!(explanation.allowed, world.decide());
                let changes = &explanation.changes;
                prop_assert_eq!(changes.is_empty(), explanation.allowed, "{}", explanation.text);
                if explanation.allowed {
                    continue;
                }
                prop_assert!(world.with(changes.iter()).decide(), "all of it: {}\n{:?}", explanation.text, changes);
                let all = (1_usize << changes.len().min(20)) - 1;
                let parts: Vec<usize> = match changes.len() <= MAX_PARTS {
                    true => (0..all).collect(),
                    false => (0..changes.len()).map(|one| all & !(1 << one)).collect(),
                };
                for part in parts {
                    let some = changes.iter().enumerate().filter(|(at, _)| part >> at & 1 == 1).map(|(_, one)| one);
                    prop_assert!(!world.with(some).decide(), "part {:b} of: {}\n{:?}", part, explanation.text, changes);
                }
                let mut seen = seen.borrow_mut();
                seen.0 += 1;
                seen.1 = seen.1.max(changes.len());
                for change in changes {
                    prop_assert!(!change.text.is_empty() && explanation.text.contains(&change.text));
                    *seen.2.entry(format!("{:?}", change.kind)).or_default() += 1;
                }
            }
        }
        Ok(())
    };
    let strategy = (cases(), 0..FIELDS.len());
    TestRunner::new(config(2_600)).run(&strategy, run).unwrap_or_else(|failure| panic!("{failure}"));
    let (denials, largest, kinds) = seen.into_inner();
    println!("{denials} denials, the largest set has {largest} changes: {kinds:?}");
    assert!(denials > scaled(10_000) && largest > 4, "{denials} {largest}");
    assert!(kinds.len() == 13 && kinds.values().all(|count| *count >= scaled(30)), "{kinds:?}");
}

/// A key that asks on behalf of its own owner: what is changed of the account is changed once.
#[test]
fn an_account_that_stands_twice_in_a_chain_changes_once() {
    let policy = Policy::new()
        .resource_type("doc", [("region_id", "id")])
        .resource_type("user", [("level", "int")])
        .permissions(["doc:read", "doc:write", "doc:list"])
        .add_role(Role::new("reader").allow("doc:read").allow_when("doc:write", "principal.level > 3"))
        .role("lister", ["doc:list"]);
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let here = Uuid::from_u128(7);
    let held = |scope: Scope, until| StoredAssignment { valid_until: until, ..StoredAssignment::new("reader", scope) };
    let at = Time::UNIX_EPOCH;
    for (name, permission, is_active, scope, until) in [
        ("suspended", "doc:read", false, Scope::Global, None),
        ("elsewhere", "doc:read", true, Scope::region(Uuid::from_u128(8)), None),
        ("over", "doc:read", true, Scope::Global, Some(at)),
        ("too low", "doc:write", true, Scope::Global, None),
        ("not held", "doc:list", true, Scope::Global, None),
    ] {
        let owner = rules.resolve_stored(StoredPrincipal {
            is_active,
            status: if is_active { "active".into() } else { "suspended".into() },
            attributes: vec![("level".into(), Value::Int(1))],
            assignments: vec![held(scope, until)],
            ..StoredPrincipal::new(Uuid::from_u128(1))
        });
        let key = rules.api_key(&owner, &["reader", "lister"], &["doc:*"]).unwrap();
        let asker = rules.on_behalf_of(&key, &owner).unwrap();
        let doc = Resource::of("doc").with("region_id", here);
        let (permission, context) = (rules.permission(permission).unwrap(), Context::new());
        let question =
            Question { principal: &asker, permission, fields: &[], resource: Some(&doc), context: &context, now: at };
        let explanation = rules.decide(&question).unwrap().explain();
        let kinds: Vec<_> = explanation.changes.iter().map(|change| (change.kind, change.asker)).collect();
        assert_eq!(kinds.len(), 1, "{name}: {kinds:?}\n{}", explanation.text);
    }
}
