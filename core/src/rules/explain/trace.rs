//! The grants that are about a question, and how far each matches.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use crate::rules::{
    compile::{
        role::{GrantId, GrantKind, NONE, Special},
        rule_set::FieldId,
    },
    condition::{
        code::{Test, Values},
        parser::Root,
    },
    policy::Effect,
    principal::RoleAssignment,
};

use super::{
    AssignmentTrace, Candidate, GrantTrace, MAX_MISSES, TestTrace,
    what_if::{Plan, Step, World},
};

impl<'a> World<'a> {
    pub(super) fn asked(&self) -> String {
        let name = self.rules.permission_name(self.question.permission);
        let fields: Vec<&str> = self.question.fields.iter().map(|field| self.field_name(*field)).collect();
        if fields.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", fields.join(",")) }
    }

    pub(super) fn field_name(&self, field: FieldId) -> &str {
        self.cx(0).ty.attributes.get(field.0 as usize).map_or("", |one| one.name.as_str())
    }

    fn assignment(&self, who: usize, at: usize) -> Option<(usize, RoleAssignment<'a>)> {
        self.principal(who).assignments().nth(at).map(|held| (at, held))
    }

    pub(super) fn admin(&self, who: usize, assignment: usize) -> Option<GrantTrace> {
        let held = self.assignment(who, assignment)?;
        let role = self.rules.roles.get(held.1.role as usize)?;
        let juniors = role.closure.iter().filter_map(|junior| self.rules.roles.get(*junior as usize));
        let grants = juniors.flat_map(|junior| junior.own_grants()).filter(|grant| grant.kind == GrantKind::Admin);
        let grant = grants.min_by_key(|grant| (grant.role.name(), grant.at))?;
        Some(self.trace(who, &Candidate { held: Some(held), role: role.id, grant, condition: NONE, fields: NONE }))
    }

    pub(super) fn allow(&self, who: usize, assignment: usize) -> Option<GrantTrace> {
        let field = self.question.fields.last().copied();
        let held = self.assignment(who, assignment)?;
        let mut candidates = self.candidates(Some(held), held.1.role, Effect::Allow).into_iter();
        candidates.find(|one| self.counts_now(who, one, field)).map(|one| self.trace(who, &one))
    }

    pub(super) fn deny(&self, who: usize, assignment: usize, field: Option<FieldId>) -> Option<GrantTrace> {
        let held = self.assignment(who, assignment)?;
        let mut candidates = self.candidates(Some(held), held.1.role, Effect::Deny).into_iter();
        let denies = |one: &Candidate<'_>| self.rules.denies(&self.special(one), held.1, field, self.cx(who));
        candidates.find(denies).map(|one| self.trace(who, &one))
    }

    /// Grants that would have allowed it but for something, the nearest first.
    pub(super) fn misses(&self, who: usize) -> Vec<GrantTrace> {
        let plan = Plan::default();
        let missing: Vec<Option<FieldId>> =
            self.fields(&plan).into_iter().filter(|field| !self.gives(who, *field, &plan)).collect();
        let Some(field) = missing.first() else { return Vec::new() };
        let mut named = Plan::default();
        if self.question.resource.is_none() {
            named.add(Step::NameResource);
        }
        let candidates = self.held_candidates(who);
        let mut misses: Vec<(usize, &Candidate<'_>)> = candidates
            .iter()
            .map(|one| {
                // What is narrowed to other fields, or cannot be met, comes last.
                let needed = self.needed(who, one, *field, &named);
                (needed.map_or(usize::MAX, |plan| plan.steps.len()), one)
            })
            .collect();
        misses.sort_by_key(|(steps, _)| *steps);
        misses.into_iter().take(MAX_MISSES).map(|(_, one)| self.trace(who, one)).collect()
    }

    /// Whether an allow gives it here.
    fn counts_now(&self, who: usize, candidate: &Candidate<'_>, field: Option<FieldId>) -> bool {
        let Some((_, held)) = candidate.held else { return false };
        self.rules.counts(held, self.cx(who).now())
            && self.is_active(who, candidate)
            && self.cx(who).covers(held.scope())
            && self.rules.grants(&self.special(candidate), field, self.cx(who))
    }

    fn is_active(&self, who: usize, candidate: &Candidate<'_>) -> bool {
        let says = |part: u32| {
            self.rules.roles.get(part as usize).is_some_and(|part| part.has_junior(candidate.grant.role.id))
        };
        self.rules.parts(self.principal(who), candidate.role).any(says)
    }

    fn special(&self, candidate: &Candidate<'_>) -> Special {
        Special {
            permission: self.question.permission.0,
            effect: candidate.grant.written.effect,
            condition: candidate.condition,
            fields: candidate.fields,
            grant: GrantId { role: candidate.grant.role.id, at: candidate.grant.at },
        }
    }

    /// The grants of a role and its juniors that match the permission: the role's own first, then by
    /// name, an order that edits do not change.
    pub(super) fn candidates(
        &self,
        held: Option<(usize, RoleAssignment<'a>)>,
        of: u32,
        effect: Effect,
    ) -> Vec<Candidate<'a>> {
        let permission = self.question.permission;
        let name = self.rules.permission_name(permission);
        let Some(role) = self.rules.roles.get(of as usize) else { return Vec::new() };
        let juniors = role.closure.iter().filter_map(|junior| self.rules.roles.get(*junior as usize));
        let plain = juniors
            .flat_map(|junior| junior.own_grants())
            .filter(|grant| effect == Effect::Allow && grant.kind == GrantKind::Plain && grant.matches(name));
        let plain = plain.map(|grant| Candidate { held, role: of, grant, condition: NONE, fields: NONE });
        let special = role.special_of(permission.0).iter().filter(|special| special.effect == effect);
        let special = special.filter_map(|special| {
            let grant = self.rules.roles.get(special.grant.role as usize)?.own_grant(special.grant.at)?;
            Some(Candidate { held, role: of, grant, condition: special.condition, fields: special.fields })
        });
        let mut candidates: Vec<Candidate<'a>> = plain.chain(special).collect();
        candidates.sort_by_key(|one| (one.grant.role.id != of, one.grant.role.name(), one.grant.at));
        candidates
    }

    fn trace(&self, who: usize, candidate: &Candidate<'_>) -> GrantTrace {
        let Candidate { held, role, grant, condition, .. } = *candidate;
        let condition = self.rules.condition(condition);
        let cx = self.cx(who);
        let tests = condition.iter().flat_map(|condition| {
            condition.tests.iter().map(|test| TestTrace {
                text: condition.text_of(test).to_owned(),
                holds: test.kind.holds(cx),
                values: self.values(who, test),
            })
        });
        GrantTrace {
            effect: grant.written.effect,
            assignment: held.map_or_else(AssignmentTrace::default, |(_, held)| self.assignment_trace(who, held)),
            is_active: self.is_active(who, candidate),
            role_path: self.role_path(role, grant.role.id),
            permission: grant.written.pattern.text.clone(),
            condition: grant.written.when.as_ref().map(|when| when.text.clone()),
            condition_holds: condition.is_none_or(|condition| condition.holds(cx)),
            tests: tests.collect(),
        }
    }

    pub(super) fn assignment_trace(&self, who: usize, held: RoleAssignment<'_>) -> AssignmentTrace {
        let (from, until) = held.window();
        AssignmentTrace {
            role: self.role_name(held.role).to_owned(),
            group: held.group().map(str::to_owned),
            scope: held.written(self.rules.kinds()).to_string(),
            from,
            until,
            is_valid: held.is_valid(self.cx(who).now()),
            covers: self.cx(who).covers(held.scope()),
        }
    }

    pub(super) fn role_name(&self, role: u32) -> &'a str {
        self.rules.roles.get(role as usize).map_or("", |role| role.name())
    }

    /// What a test reads, by path.
    pub(super) fn values(&self, who: usize, test: &Test) -> BTreeMap<String, String> {
        let cx = self.cx(who);
        let named = test.kind.paths().map(|path| {
            let is_unknown = path.root == Root::Resource && cx.resource.is_none();
            let value = if is_unknown { "unknown".to_owned() } else { cx.at(path).to_string() };
            (self.path_name(who, path), value)
        });
        let mut values: BTreeMap<String, String> = named.collect();
        if test.kind.reads_now() {
            values.insert("now".to_owned(), self.question.now.to_string());
        }
        values
    }

    /// The shortest way down the hierarchy; of several the first by name.
    fn role_path(&self, from: u32, to: u32) -> Vec<String> {
        let mut came_from: BTreeMap<u32, u32> = BTreeMap::from([(from, from)]);
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                break;
            }
            let role = self.rules.roles.get(at as usize);
            let mut juniors: Vec<u32> =
                role.into_iter().flat_map(|role| role.inherits.iter()).map(|junior| junior.0).collect();
            juniors.sort_by_key(|junior| self.role_name(*junior));
            for junior in juniors {
                if let Entry::Vacant(entry) = came_from.entry(junior) {
                    entry.insert(at);
                    queue.push_back(junior);
                }
            }
        }
        let mut path = vec![to];
        let mut at = to;
        while let Some(before) = came_from.get(&at).filter(|before| **before != at) {
            at = *before;
            path.push(at);
        }
        path.iter().rev().map(|role| self.role_name(*role).to_owned()).collect()
    }
}
