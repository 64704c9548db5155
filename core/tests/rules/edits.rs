//! Edits of single roles: after any of them the rule set answers as one compiled from scratch, and
//! principals that outlive an edit are answered about as new ones are.

use std::{cell::Cell, collections::BTreeMap};

use crate::kit::{FIELDS, Tied, config, scaled};
use proptest::{prelude::*, test_runner::TestRunner};
use rolekeep::rules::{
    Context, Explanation, FieldId, Policy, Principal, Question, Role, RuleSet, Schema, Scope, StoredAssignment,
    StoredPrincipal,
};
use rolekeep_test_cases::{Case, Choices, THINGS, ThingRow, schema};

const ROLES: usize = 6;

/// A rule set that came of edits, the policy that it should have, and somebody made by it.
struct Version {
    rules: RuleSet,
    model: BTreeMap<String, Role>,
    principal: Principal,
}

struct Ask<'a> {
    case: &'a Case,
    context: Context,
}

impl Ask<'_> {
    /// Answers to all questions: whether, and why.
    fn answers(&self, rules: &RuleSet, principal: &Principal, is_brief: bool) -> Vec<Result<bool, Explanation>> {
        let mut answers = Vec::new();
        for permission in ["thing:read", "thing:update"] {
            let permission = rules.permission(permission).unwrap();
            for fields in &FIELDS[..if is_brief { 1 } else { 3 }] {
                let fields: Vec<FieldId> = fields.iter().map(|field| rules.field("thing", field).unwrap()).collect();
                for thing in self.case.things.iter().take(4).map(Some).chain([None]) {
                    let resource = thing.map(ThingRow::resource);
                    let question = Question {
                        principal,
                        permission,
                        fields: &fields,
                        resource: resource.as_ref(),
                        context: &self.context,
                        now: self.case.now,
                    };
                    let decision = rules.decide(&question).unwrap();
                    answers.push(Ok(decision.is_allowed()));
                    // It has shorter ways, which edits must keep up, too.
                    answers.push(Ok(rules.allows(&question).unwrap()));
                    if !is_brief {
                        answers.push(Err(decision.explain()));
                    }
                }
            }
        }
        for permission in rules.permissions() {
            let id = rules.permission(&permission.name).unwrap();
            answers.push(Ok(rules.check(principal, id, self.case.now).unwrap_or_default()));
        }
        answers
    }

    fn listed(&self, rules: &RuleSet, principal: &Principal) -> Vec<bool> {
        let permission = rules.permission("thing:read").unwrap();
        let filter = rules.filter(principal, permission, &self.context, self.case.now).unwrap();
        let filter = filter.into_predicate(self.case.now).unwrap();
        let somewhere = rules.can_somewhere(principal, permission, &self.context, self.case.now).unwrap();
        let rows = self.case.things.iter().map(|thing| filter.matches(&THINGS, &thing.row, &Tied(thing)));
        rows.chain([somewhere]).collect()
    }
}

/// All that the rule set says of itself.
fn says(rules: &RuleSet) -> impl PartialEq + std::fmt::Debug + use<> {
    let types = ["thing", "user", "region", "drone"];
    let names = ["region_id", "level", "teams", "owner_id", "flag", "assigned_users", "country_id", "username"];
    let guarded: Vec<bool> = types
        .iter()
        .flat_map(|ty| names.map(|name| (*ty, name)))
        .map(|(ty, name)| rules.carries_authority(ty, name))
        .collect();
    let reads: Vec<Vec<String>> = types.iter().map(|ty| rules.reads(ty).to_vec()).collect();
    let relations: Vec<Vec<String>> = types.iter().map(|ty| rules.relations_read(ty).to_vec()).collect();
    let mut roles: Vec<_> = rules
        .roles()
        .map(|mut role| {
            role.inherits.sort();
            role
        })
        .collect();
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    let mut administrators: Vec<String> = rules.administrator_roles().iter().map(|name| (*name).to_owned()).collect();
    administrators.sort();
    let denying: Vec<bool> = roles.iter().map(|role| rules.has_denies(&role.name)).collect();
    (guarded, reads, relations, roles, administrators, denying)
}

fn policy_of(base: &Policy, model: &BTreeMap<String, Role>) -> Policy {
    model.values().fold(base.clone(), |policy, role| policy.add_role(role.clone()))
}

#[test]
fn an_edited_rule_set_answers_as_one_compiled_from_scratch() {
    let (edits, refused, akin) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let run = |numbers: Vec<u32>| {
        let mut choices = Choices::new(numbers);
        let case = Case::draw(&mut choices);
        let mut bare = Case { roles: Vec::new(), anonymous: None, ..case.clone() };
        let mut base = bare.policy();
        if let Some(role) = case.anonymous {
            base = base.anonymous(&case.roles[role].name);
        }
        // So that every junior has its name.
        bare.roles = (0..ROLES).map(|at| choices.role(at)).collect();
        let model: BTreeMap<String, Role> =
            case.roles.iter().map(|role| (role.name.clone(), case.role(role))).collect();
        let ask = Ask { case: &case, context: case.context() };
        let rules = RuleSet::compile(&policy_of(&base, &model), &schema()).unwrap();
        let principal = case.principal(&rules).unwrap();
        let mut versions = vec![Version { rules, model, principal }];
        for _ in 0..1 + choices.below(5) {
            // Mostly the newest; at times another edit of an older one, as a dry run makes.
            let from = if choices.once_in(2) { choices.below(versions.len()) } else { versions.len() - 1 };
            let before = &versions[from];
            let mut model = before.model.clone();
            let at = choices.below(ROLES);
            let name = format!("role{at}");
            let edited = if choices.once_in(3) {
                model.remove(&name);
                before.rules.without_role(&name)
            } else {
                let mut drawn = choices.role(at);
                if !choices.once_in(6) {
                    drawn.inherits.retain(|junior| model.contains_key(&format!("role{junior}")));
                }
                let role = bare.role(&drawn);
                model.insert(name.clone(), role.clone());
                before.rules.with_role(role)
            };
            let policy = policy_of(&base, &model);
            let fresh = RuleSet::compile(&policy, &schema());
            let is_known = before.model.contains_key(&name) || model.contains_key(&name);
            prop_assert_eq!(edited.is_ok(), fresh.is_ok() && is_known, "{:?} {:?}", edited.err(), fresh.err());
            let (Ok(edited), Ok(fresh)) = (edited, fresh) else {
                refused.set(refused.get() + 1);
                continue;
            };
            prop_assert_eq!(&edited.policy(), &policy);
            prop_assert_eq!(says(&edited), says(&fresh));
            let (old, new) = (case.principal(&edited).unwrap(), case.principal(&fresh).unwrap());
            for (one, other) in ask.answers(&edited, &old, false).iter().zip(&ask.answers(&fresh, &new, false)) {
                prop_assert_eq!(one, other);
            }
            prop_assert_eq!(ask.listed(&edited, &old), ask.listed(&fresh, &new));
            versions.push(Version { rules: edited, model, principal: old });
            edits.set(edits.get() + 1);
        }
        // Whoever was made by one of them is answered about by all that are akin to it.
        for one in &versions {
            for other in &versions {
                let mut chain = std::iter::successors(Some(&other.principal), |one| one.on_behalf_of());
                let is_limited = case.askers.iter().any(|asker| asker.session.is_some() || asker.key.is_some());
                if !one.rules.is_compatible_with(&other.rules) || is_limited || chain.any(Principal::has_unknown_roles)
                {
                    continue;
                }
                let own = case.principal(&one.rules).unwrap();
                prop_assert_eq!(ask.answers(&one.rules, &other.principal, true), ask.answers(&one.rules, &own, true));
                akin.set(akin.get() + 1);
            }
        }
        Ok(())
    };
    let numbers = proptest::collection::vec(any::<u32>(), 200..1600);
    TestRunner::new(ProptestConfig { max_shrink_iters: 200, ..config(600) })
        .run(&numbers, run)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let seen = (edits.get(), refused.get(), akin.get());
    assert!(seen.0 > scaled(600) && seen.1 > scaled(80) && seen.2 > scaled(800), "{seen:?}");
}

/// Else who holds one would have the other.
#[test]
fn two_edits_of_one_rule_set_give_two_roles_two_numbers() {
    let policy = Policy::new().permissions(["document:read", "document:edit"]).role("guest", ["document:read"]);
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let one = rules.with_role(Role::new("reader").allow("document:read")).unwrap();
    let other = rules.with_role(Role::new("editor").allow("document:edit")).unwrap();
    assert!(one.is_compatible_with(&other));
    let facts = StoredPrincipal {
        assignments: vec![StoredAssignment::new("reader", Scope::Global)],
        ..StoredPrincipal::new(uuid::Uuid::from_u128(1))
    };
    let reader = one.resolve_stored(facts);
    let (now, edit) = ("2026-06-01T12:00:00Z".parse().unwrap(), other.permission("document:edit").unwrap());
    assert!(!other.check(&reader, edit, now).unwrap());
    assert!(one.check(&reader, one.permission("document:read").unwrap(), now).unwrap());
    // Where both are, each has its own.
    let both = other.with_role(Role::new("reader").allow("document:read")).unwrap();
    assert!(both.check(&reader, both.permission("document:read").unwrap(), now).unwrap());
    assert!(!both.check(&reader, edit, now).unwrap());
    let names: Vec<String> = both.roles().map(|role| role.name).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(other.role("reader").is_err() && other.policy() != both.policy());
}
