//! The decision against a reference written straight from RBAC.md's pseudo-code, on random policies.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::collections::BTreeSet;

use proptest::{prelude::*, strategy::ValueTree};
use rolekeep::{
    model::{
        predicate::{Link, Links, Predicate},
        value::Value,
    },
    rules::{
        AssignmentFacts, Context, Effect, Policy, Principal, Question, RuleSet, Scope,
        testing::{Case, Choices, Condition, GeneratedGrant, Operand, THINGS, ThingRow},
    },
};
use uuid::Uuid;

/// One question of the reference.
struct Asked<'a> {
    case: &'a Case,
    action: &'a str,
    field: Option<&'a str>,
    thing: Option<&'a ThingRow>,
}

impl Asked<'_> {
    fn decide(&self) -> bool {
        let principal = &self.case.principal;
        if !principal.is_active {
            return false;
        }
        // R = { (r, a) | a valid, r in juniors*(a.role) incl. itself }
        let mut held: Vec<(usize, &AssignmentFacts)> = Vec::new();
        for assignment in &principal.assignments {
            let now = self.case.now;
            let is_valid =
                assignment.from.is_none_or(|from| from <= now) && assignment.until.is_none_or(|until| now < until);
            let Some(role) = self.case.roles.iter().position(|role| role.name == assignment.role) else { continue };
            let juniors = self.juniors(role);
            let is_administrator = juniors
                .iter()
                .any(|junior| self.case.roles[*junior].grants.iter().any(|grant| grant.pattern == "admin:all"));
            if !is_valid || is_administrator && assignment.scope != Scope::Global {
                continue;
            }
            if is_administrator {
                return true;
            }
            held.extend(juniors.into_iter().map(|junior| (junior, assignment)));
        }
        let any = |effect: Effect| {
            held.iter().any(|(role, assignment)| {
                self.case.roles[*role]
                    .grants
                    .iter()
                    .any(|grant| grant.effect == effect && self.counts(grant, assignment))
            })
        };
        !any(Effect::Deny) && any(Effect::Allow)
    }

    fn juniors(&self, role: usize) -> BTreeSet<usize> {
        let own = self.case.roles[role].inherits.iter().flat_map(|junior| self.juniors(*junior));
        own.chain([role]).collect()
    }

    fn counts(&self, grant: &GeneratedGrant, assignment: &AssignmentFacts) -> bool {
        let is_deny = grant.effect == Effect::Deny;
        let (resource, action) = grant.pattern.split_once(':').unwrap();
        let matches = ["*", "thing"].contains(&resource) && ["*", self.action].contains(&action);
        // Asked without fields, a narrowed allow does not count, a narrowed deny does.
        let is_on = grant.fields.is_empty() || self.field.map_or(is_deny, |field| grant.fields.contains(&field));
        if !matches || !is_on {
            return false;
        }
        let reads_resource = grant.when.as_ref().is_some_and(|when| when.to_string().contains("resource."));
        match self.thing {
            Some(_) => self.covers(&assignment.scope) && grant.when.as_ref().is_none_or(|when| self.holds(when)),
            None if is_deny => reads_resource || grant.when.as_ref().is_none_or(|when| self.holds(when)),
            None => {
                let is_global = assignment.scope == Scope::Global;
                is_global && !reads_resource && grant.when.as_ref().is_none_or(|when| self.holds(when))
            }
        }
    }

    fn covers(&self, scope: &Scope) -> bool {
        let (column, id) = match scope {
            Scope::Global => return true,
            Scope::Of { kind, id } => match kind.as_str() {
                "region" => ("region_id", id),
                "owner" => ("owner_id", id),
                "resource:thing" => ("id", id),
                _ => return false,
            },
        };
        self.thing.is_some_and(|thing| thing.row.0[THINGS.position(column).unwrap()] == *id)
    }

    fn holds(&self, when: &Condition) -> bool {
        match when {
            Condition::All(parts) => parts.iter().all(|part| self.holds(part)),
            Condition::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Condition::Not(inner) => !self.holds(inner),
            Condition::Has(Operand::Path("resource", "assigned_users", ..)) => true,
            Condition::Has(Operand::Path("principal", "teams", ..)) => self.case.teams.is_some(),
            Condition::Has(path) => !self.value(path).is_null(),
            Condition::Compare(left, operator, right) => {
                let (left, right) = (self.value(left), self.value(right));
                // A comparison with an absent value is false.
                !left.is_null()
                    && !right.is_null()
                    && match *operator {
                        "==" => left == right,
                        "!=" => left != right,
                        "<" => left < right,
                        "<=" => left <= right,
                        ">" => left > right,
                        _ => left >= right,
                    }
            }
            Condition::In(one, literals) => literals.iter().any(|literal| self.value(literal) == self.value(one)),
            Condition::Contains(Operand::Path("principal", ..), one) => {
                self.case.teams.as_ref().is_some_and(|teams| teams.iter().any(|id| Value::Id(*id) == self.value(one)))
            }
            Condition::Contains(_, one) => self.thing.unwrap().users.iter().any(|id| Value::Id(*id) == self.value(one)),
            Condition::StartsWith(one, prefix) => {
                self.value(one).as_text().is_some_and(|text| text.starts_with(prefix.as_str()))
            }
        }
    }

    fn value(&self, operand: &Operand) -> Value {
        let (value, by) = match operand {
            Operand::Literal(value) => return value.clone(),
            Operand::Now(by) => (Value::Time(self.case.now.as_microsecond()), *by),
            Operand::Path("resource", name, _, by) => {
                (self.thing.unwrap().row.0[THINGS.position(name).unwrap()].clone(), *by)
            }
            Operand::Path("context", "hour", ..) => return Value::Int(self.case.context.0),
            Operand::Path("context", ..) => {
                return self.case.context.1.as_deref().map_or(Value::Null, Value::from);
            }
            Operand::Path(_, "id", ..) => return Value::Id(self.case.principal.id),
            Operand::Path(_, "verified", ..) => return Value::Bool(self.case.principal.is_verified),
            Operand::Path(_, name, _, by) => {
                let found = self.case.principal.attributes.iter().find(|(known, _)| known == name);
                (found.map_or(Value::Null, |(_, value)| value.clone()), *by)
            }
        };
        match value {
            Value::Time(micros) => Value::Time(micros + by),
            other => other,
        }
    }
}

/// The engine, on one case.
struct Engine<'a> {
    case: &'a Case,
    rules: RuleSet,
    principal: Principal,
    context: Context,
}

impl<'a> Engine<'a> {
    fn of(case: &'a Case) -> Self {
        let rules = case.rules().unwrap();
        let principal = rules.principal(case.principal.clone());
        Self { case, rules, principal, context: case.context() }
    }

    fn decide(&self, action: &str, field: Option<&str>, thing: Option<&ThingRow>) -> bool {
        let permission = self.rules.permission(&format!("thing:{action}")).unwrap();
        let fields: Vec<_> = field.iter().map(|field| self.rules.field("thing", field).unwrap()).collect();
        let resource = thing.map(ThingRow::resource);
        let decision = self
            .rules
            .decide(&Question {
                principal: &self.principal,
                permission,
                fields: &fields,
                resource: resource.as_ref(),
                context: &self.context,
                now: self.case.now,
            })
            .unwrap();
        // Every decision explains itself.
        let explanation = decision.explain();
        assert_eq!(explanation.allowed, decision.is_allowed());
        assert_eq!(explanation.changes.is_empty(), decision.is_allowed(), "{}", explanation.text);
        decision.is_allowed()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    proptest::collection::vec(any::<u32>(), 0..900).prop_map(|numbers| Case::draw(&mut Choices::new(numbers)))
}

/// The links of one thing.
struct Tied<'a>(&'a ThingRow);

impl Links for Tied<'_> {
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool {
        let users: &[Uuid] = &self.0.users;
        link.table == "thing_users" && *own == self.0.row.0[0] && users.iter().any(|id| Value::Id(*id) == *other)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2500))]

    #[test]
    fn decides_as_the_reference_does(case in cases()) {
        let engine = Engine::of(&case);
        for action in ["read", "list", "update"] {
            for field in [None, Some("code"), Some("label")] {
                for thing in case.things.iter().map(Some).chain([None]) {
                    let expected = Asked { case: &case, action, field, thing }.decide();
                    prop_assert_eq!(engine.decide(action, field, thing), expected, "{} {:?} {:?}", action, field, thing);
                }
            }
        }
    }

    #[test]
    fn a_row_passes_the_filter_if_and_only_if_decide_allows_it(case in cases()) {
        let engine = Engine::of(&case);
        let (rules, principal) = (&engine.rules, &engine.principal);
        let permission = rules.permission("thing:read").unwrap();
        let filter = rules.filter(principal, permission, &engine.context, case.now).unwrap();
        let somewhere = rules.can_somewhere(principal, permission, &engine.context, case.now).unwrap();
        for thing in &case.things {
            let passes = filter.predicate.matches(&THINGS, &thing.row, &Tied(thing));
            prop_assert_eq!(passes, engine.decide("read", None, Some(thing)), "{:?}", filter.predicate);
            prop_assert!(somewhere || !passes);
        }
        prop_assert_eq!(somewhere, filter.predicate != Predicate::Never);
    }

    #[test]
    fn order_never_matters(case in cases(), turn in 0_usize..6) {
        let mut other = case.clone();
        let length = other.principal.assignments.len().max(1);
        other.principal.assignments.rotate_left(turn % length);
        for role in &mut other.roles {
            let length = role.grants.len().max(1);
            role.grants.rotate_left(turn % length);
            role.grants.reverse();
        }
        let (one, other) = (Engine::of(&case), Engine::of(&other));
        for thing in case.things.iter().map(Some).chain([None]) {
            prop_assert_eq!(one.decide("read", None, thing), other.decide("read", None, thing));
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
            let mut more = case.clone();
            more.roles[at].grants.push(GeneratedGrant { effect, pattern: "thing:*", fields: Vec::new(), when });
            let (before, after) = (Engine::of(&case), Engine::of(&more));
            for thing in case.things.iter().map(Some).chain([None]) {
                let (before, after) = (before.decide("read", None, thing), after.decide("read", None, thing));
                let is_right = if effect == Effect::Allow { !before || after } else { before || !after };
                prop_assert!(is_right);
            }
        }
    }

    #[test]
    fn files_say_what_code_says(case in cases()) {
        let policy = case.policy();
        prop_assert_eq!(&Policy::from_toml(&policy.to_toml().unwrap()).unwrap(), &policy);
        prop_assert_eq!(&Policy::from_json(&policy.to_json().unwrap()).unwrap(), &policy);
    }
}

/// Were most cases trivial, the properties above would say little.
#[test]
fn cases_are_of_every_kind() {
    let (mut allowed, mut denied, mut conditional) = (0, 0, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..500 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let engine = Engine::of(&case);
        let asked: Vec<bool> = case.things.iter().map(|thing| engine.decide("read", None, Some(thing))).collect();
        allowed += usize::from(asked.contains(&true));
        denied += usize::from(asked.contains(&false));
        conditional += usize::from(asked.contains(&true) && asked.contains(&false));
    }
    assert!(allowed > 100 && denied > 200 && conditional > 50, "{allowed} {denied} {conditional}");
}
