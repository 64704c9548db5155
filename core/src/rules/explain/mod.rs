//! Why: assignment → role path → grant → tests with their values; on a denial a minimal set of
//! changes that would allow it. Made only when asked.

mod changes;
mod text;

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use crate::model::time::Time;

pub use changes::{Change, ChangeKind};

use super::{
    condition::{
        code::{Test, Values},
        parser::Root,
    },
    decide::{Decision, Here, Question, Verdict},
    policy::Effect,
    principal::HeldRole,
    role::{GrantId, GrantKind, HeldGrant, NONE, Special},
    rule_set::{FieldId, RuleSet},
};

/// The most grants that an explanation lists.
const MAX_MISSES: usize = 20;

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word, Describe)]
pub enum Cause {
    /// The account is not active.
    Inactive,
    /// A role that holds `admin:all`.
    Administrator,
    /// A grant allows it and none denies it.
    Allowed,
    /// A grant denies it.
    Denied,
    /// Nothing grants it.
    NothingGrants,
    /// No pattern of the API key matches it.
    BeyondKey,
}

/// Why a decision is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct Explanation {
    /// The decision.
    pub allowed: bool,
    /// What was asked, fields included.
    pub permission: String,
    /// What decided.
    pub cause: Cause,
    /// All of it for people, in lines.
    pub text: String,
    /// The grant that decided; none where there is none.
    pub decided_by: Option<GrantTrace>,
    /// On a denial, grants that would have allowed it but for something; the nearest first, 20 at most.
    pub misses: Vec<GrantTrace>,
    /// On a denial, a minimal set of changes that together would allow it.
    pub changes: Vec<Change>,
}

/// A grant somebody holds, and how far it matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct GrantTrace {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// The assignment that it is held by.
    pub assignment: AssignmentTrace,
    /// From the role that is held to the role that says so.
    pub role_path: Vec<String>,
    /// The grant's permission or pattern.
    pub permission: String,
    /// Its condition.
    pub condition: Option<String>,
    /// Whether its condition holds; true without one.
    pub condition_holds: bool,
    /// The parts of its condition, with the values that they read.
    pub tests: Vec<TestTrace>,
}

/// An assignment, and whether it counts here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct AssignmentTrace {
    /// The role that is held.
    pub role: String,
    /// The group that holds it; none: the account itself.
    pub group: Option<String>,
    /// Where.
    pub scope: String,
    /// From when on.
    pub from: Option<Time>,
    /// Until before when.
    pub until: Option<Time>,
    /// Whether it is held at the time asked about.
    pub is_valid: bool,
    /// Whether its scope covers the resource asked about.
    pub covers: bool,
}

/// One comparison of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct TestTrace {
    /// As written: `resource.region_id == principal.region_id`.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it read, by path; "nothing" where a value is absent.
    pub values: BTreeMap<String, String>,
}

impl Explanation {
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        let Decision { rules, question, verdict } = *decision;
        let Ok(here) = rules.here(&question) else { return Self::broken(rules, &question) };
        let mut explanation = Self::broken(rules, &question);
        (explanation.allowed, explanation.text) = (verdict.is_allowed(), String::new());
        let (mut first, mut candidate) = (true, Some(question.principal));
        while let Some(principal) = candidate {
            let tracer = Tracer { rules, question, here: Here { principal, ..here } };
            let verdict = rules.verdict(&question, &tracer.here);
            // What is allowed is told of who asks; what is denied of everybody who may not.
            if first || !verdict.is_allowed() {
                explanation.add(&tracer, verdict, first);
            }
            first = false;
            candidate = principal.on_behalf_of();
        }
        explanation.changes.sort();
        explanation.changes.dedup();
        text::close(&mut explanation);
        explanation
    }

    /// What one of those has to do with it who ask together.
    fn add(&mut self, tracer: &Tracer<'_>, verdict: Verdict, is_first: bool) {
        let (cause, decided_by) = match verdict {
            Verdict::Inactive => (Cause::Inactive, None),
            Verdict::Admin { assignment } => (Cause::Administrator, tracer.admin(assignment)),
            Verdict::Allowed { assignment } => (Cause::Allowed, tracer.allow(assignment)),
            Verdict::Denied { assignment, grant, field } => (Cause::Denied, tracer.deny(assignment, grant, field)),
            Verdict::NothingGrants { .. } => (Cause::NothingGrants, None),
            Verdict::BeyondKey => (Cause::BeyondKey, None),
        };
        let (misses, changes) = if verdict.is_allowed() { Default::default() } else { tracer.misses_and_changes() };
        text::add(self, tracer, cause, decided_by.as_ref(), &misses, is_first);
        // Who asks may; another of those together may not.
        if is_first || matches!(self.cause, Cause::Allowed | Cause::Administrator) {
            (self.cause, self.decided_by) = (cause, decided_by);
        }
        self.permission = tracer.asked();
        self.misses.extend(misses);
        self.misses.truncate(MAX_MISSES);
        self.changes.extend(changes);
    }

    /// A decision exists only for a complete question.
    fn broken(rules: &RuleSet, question: &Question<'_>) -> Self {
        Self {
            allowed: false,
            permission: rules.permission_name(question.permission).to_owned(),
            cause: Cause::NothingGrants,
            text: "denied".to_owned(),
            decided_by: None,
            misses: Vec::new(),
            changes: Vec::new(),
        }
    }
}

/// A grant that matches the permission, held through an assignment.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    held: HeldRole<'a>,
    grant: HeldGrant<'a>,
    condition: u32,
    fields: u32,
}

struct Tracer<'a> {
    rules: &'a RuleSet,
    question: Question<'a>,
    here: Here<'a>,
}

impl<'a> Tracer<'a> {
    fn asked(&self) -> String {
        let name = self.rules.permission_name(self.question.permission);
        let fields: Vec<&str> = self.question.fields.iter().map(|field| self.field_name(*field)).collect();
        if fields.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", fields.join(",")) }
    }

    fn field_name(&self, field: FieldId) -> &str {
        self.here.ty.attributes.get(field.0 as usize).map_or("", |one| one.name.as_str())
    }

    fn assignment(&self, at: usize) -> Option<HeldRole<'a>> {
        self.here.principal.held().nth(at)
    }

    fn admin(&self, assignment: usize) -> Option<GrantTrace> {
        let held = self.assignment(assignment)?;
        let role = self.rules.roles.get(held.role as usize)?;
        let juniors = role.closure.iter().filter_map(|junior| self.rules.roles.get(*junior as usize));
        let grant = juniors.flat_map(|junior| junior.own_grants()).find(|grant| grant.kind == GrantKind::Admin)?;
        Some(self.trace(&Candidate { held, grant, condition: NONE, fields: NONE }))
    }

    fn allow(&self, assignment: usize) -> Option<GrantTrace> {
        let field = self.question.fields.last().copied();
        let held = self.assignment(assignment)?;
        let found = self.candidates(held, Effect::Allow).into_iter().find(|one| self.holds(one, field))?;
        Some(self.trace(&found))
    }

    fn deny(&self, assignment: usize, grant: GrantId, field: Option<FieldId>) -> Option<GrantTrace> {
        let held = self.assignment(assignment)?;
        let candidates = self.candidates(held, Effect::Deny).into_iter();
        let mut same = candidates.filter(|one| one.grant.at == grant.at && one.grant.role.id == grant.role);
        same.find(|one| self.rules.is_on(one.fields, field, true)).map(|one| self.trace(&one))
    }

    /// Whether an allow gives it here.
    fn holds(&self, candidate: &Candidate<'_>, field: Option<FieldId>) -> bool {
        let special = self.special(candidate);
        self.rules.counts(candidate.held, self.here.now)
            && self.rules.grants(&special, candidate.held, field, &self.here)
    }

    fn special(&self, candidate: &Candidate<'_>) -> Special {
        Special {
            permission: self.question.permission.0,
            effect: candidate.grant.written.effect,
            condition: candidate.condition,
            fields: candidate.fields,
            grant: GrantId { role: 0, at: 0 },
        }
    }

    /// The grants of an assignment's role and its juniors that match the permission; of those that
    /// allow, the ones of active roles.
    fn candidates(&self, held: HeldRole<'a>, effect: Effect) -> Vec<Candidate<'a>> {
        let parts: Vec<u32> = match effect {
            Effect::Allow => self.rules.parts(self.here.principal, held.role).collect(),
            Effect::Deny => vec![held.role],
        };
        let permission = self.question.permission;
        let name = self.rules.permission_name(permission);
        let mut candidates = Vec::new();
        for role in parts.iter().filter_map(|part| self.rules.roles.get(*part as usize)) {
            let juniors = role.closure.iter().filter_map(|junior| self.rules.roles.get(*junior as usize));
            let own = juniors.flat_map(|junior| junior.own_grants());
            let plain =
                own.filter(|grant| effect == Effect::Allow && grant.kind == GrantKind::Plain && grant.matches(name));
            candidates.extend(plain.map(|grant| Candidate { held, grant, condition: NONE, fields: NONE }));
            let special = role.special_of(permission.0).iter().filter(|special| special.effect == effect);
            candidates.extend(special.filter_map(|special| {
                let grant = self.rules.roles.get(special.grant.role as usize)?.own_grant(special.grant.at)?;
                Some(Candidate { held, grant, condition: special.condition, fields: special.fields })
            }));
        }
        candidates
    }

    fn trace(&self, candidate: &Candidate<'_>) -> GrantTrace {
        let Candidate { held, grant, condition, .. } = *candidate;
        let condition = self.rules.condition(condition);
        let (from, until) = held.window();
        let tests = condition.iter().flat_map(|condition| {
            condition.tests.iter().map(|test| TestTrace {
                text: condition.text_of(test).to_owned(),
                holds: test.kind.holds(&self.here),
                values: self.values(test),
            })
        });
        GrantTrace {
            effect: grant.written.effect,
            assignment: AssignmentTrace {
                role: self.role_name(held).to_owned(),
                group: held.group().map(str::to_owned),
                scope: held.written().to_string(),
                from,
                until,
                is_valid: held.is_valid(self.here.now),
                covers: self.here.covers(held.scope()),
            },
            role_path: self.role_path(held.role, grant.role.id),
            permission: grant.written.pattern.text.clone(),
            condition: grant.written.when.as_ref().map(|when| when.text.clone()),
            condition_holds: condition.is_none_or(|condition| condition.holds(&self.here)),
            tests: tests.collect(),
        }
    }

    fn role_name(&self, held: HeldRole<'_>) -> &'a str {
        self.rules.roles.get(held.role as usize).map_or("", |role| role.name())
    }

    fn values(&self, test: &Test) -> BTreeMap<String, String> {
        let named = test.kind.paths().map(|path| {
            let attributes = match path.root {
                Root::Principal => &self.rules.shared.words.principal,
                Root::Resource => &self.here.ty.attributes,
                Root::Context => &self.rules.shared.words.context,
            };
            let name = attributes.get(path.slot as usize).map_or("", |one| one.name.as_str());
            (format!("{}.{name}", path.root.word()), self.here.at(path).to_string())
        });
        named.collect()
    }

    /// The shortest way down the hierarchy.
    fn role_path(&self, from: u32, to: u32) -> Vec<String> {
        let mut came_from: BTreeMap<u32, u32> = BTreeMap::from([(from, from)]);
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                break;
            }
            for junior in self.rules.roles.get(at as usize).iter().flat_map(|role| role.inherits.iter()) {
                if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(junior.0) {
                    entry.insert(at);
                    queue.push_back(junior.0);
                }
            }
        }
        let mut path = vec![to];
        let mut at = to;
        while let Some(before) = came_from.get(&at).filter(|before| **before != at) {
            at = *before;
            path.push(at);
        }
        path.iter()
            .rev()
            .filter_map(|role| self.rules.roles.get(*role as usize))
            .map(|role| role.name().to_owned())
            .collect()
    }
}
