//! The grants that are about a question, and how far each matches.

use std::collections::BTreeMap;

use super::{
    AssignmentTrace, Cause, GrantTrace, MAX_MISSES, TestTrace,
    what_if::{Hypothesis, Inquiry, Step},
};

use crate::rules::{
    Effect, FieldId, GrantId, NONE, OwnGrant, QualifiedGrant, RoleAssignment, RoleId, Root, Test, Values, Verdict,
};

/// A grant that matches the permission: of a role that is held, with the assignment, or of one that nobody gave.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) held: Option<RoleAssignment<'a>>,
    pub(super) role: u32,
    pub(super) grant: OwnGrant<'a>,
    pub(super) qualified: QualifiedGrant,
}

impl<'a> Inquiry<'a> {
    /// What is asked, fields included.
    pub(super) fn asked(&self) -> String {
        let name = self.rules.permission_name(self.question.permission);
        let fields: Vec<&str> = self.question.fields.iter().map(|field| self.field_name(*field)).collect();
        if fields.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", fields.join(",")) }
    }

    pub(super) fn field_name(&self, field: FieldId) -> &str {
        self.cx(0).ty.attributes.get(field.0 as usize).map_or("", |one| one.name.as_str())
    }

    pub(super) fn role_name(&self, role: u32) -> &'a str {
        self.rules.role_name(RoleId(role))
    }

    /// What decided about one of those who ask, and the grant, where there is one.
    pub(super) fn cause(&self, who: usize, verdict: Verdict) -> (Cause, Option<GrantTrace>) {
        let held = |at: usize| self.principal(who).assignments().nth(at);
        let (cause, candidate) = match verdict {
            Verdict::Inactive => (Cause::Inactive, None),
            Verdict::BeyondKey => (Cause::BeyondKey, None),
            Verdict::NothingGrants { .. } => (Cause::NothingGrants, None),
            Verdict::Admin { assignment: at } => {
                (Cause::Administrator, held(at).and_then(|held| self.administrator(Some(held), held.role)))
            }
            Verdict::Allowed { assignment: at } => (Cause::Allowed, held(at).and_then(|held| self.allow(who, held))),
            Verdict::Denied { assignment: at, field } => {
                (Cause::Denied, held(at).and_then(|held| self.deny(who, held, field)))
            }
        };
        (cause, candidate.map(|candidate| self.trace(who, &candidate)))
    }

    /// The grant by which a role administers, if it does.
    pub(super) fn administrator(&self, held: Option<RoleAssignment<'a>>, role: u32) -> Option<Candidate<'a>> {
        let grants = self.grants(role).filter(|grant| grant.written.is_admin());
        Some(self.plain(held, role, grants.min_by_key(|grant| (grant.role.name(), grant.at))?))
    }

    fn allow(&self, who: usize, held: RoleAssignment<'a>) -> Option<Candidate<'a>> {
        let (field, none) = (self.question.fields.last().copied(), Hypothesis::default());
        let allows =
            |one: &Candidate<'a>| self.needed(who, one, field, &none).is_some_and(|needed| needed.count() == 0);
        self.candidates(Some(held), held.role, Effect::Allow).into_iter().find(allows)
    }

    fn deny(&self, who: usize, held: RoleAssignment<'a>, field: Option<FieldId>) -> Option<Candidate<'a>> {
        let permission = self.question.permission.0;
        let denies = |one: &Candidate<'a>| {
            self.rules.denials(held, permission, field, self.cx(who)).any(|deny| *deny == one.qualified)
        };
        self.candidates(Some(held), held.role, Effect::Deny).into_iter().find(denies)
    }

    /// Grants that would have allowed it but for something, the nearest first.
    pub(super) fn misses(&self, who: usize) -> Vec<GrantTrace> {
        let mut changes = Hypothesis::default();
        let as_it_is = self.what_if(who, &changes);
        let Some(field) = as_it_is.fields().into_iter().find(|field| !as_it_is.is_granted(*field)) else {
            return Vec::new();
        };
        if self.question.resource.is_none() {
            changes.add(0, Step::NameResource);
        }
        let mut misses = self.held_candidates(who);
        // What is narrowed to other fields, or cannot be met, comes last.
        misses.sort_by_cached_key(|one| {
            self.needed(who, one, field, &changes).map_or(usize::MAX, |needed| needed.count())
        });
        misses.iter().take(MAX_MISSES).map(|one| self.trace(who, one)).collect()
    }

    /// The grants of a role and its juniors that match the permission: the role's own first, then by
    /// name, an order that edits do not change.
    pub(super) fn candidates(&self, held: Option<RoleAssignment<'a>>, of: u32, effect: Effect) -> Vec<Candidate<'a>> {
        let permission = self.question.permission;
        let name = self.rules.permission_name(permission);
        let is_plain = |grant: &OwnGrant<'_>| grant.written.is_plain() && grant.matches(name);
        let plain = self.grants(of).filter(|grant| effect == Effect::Allow && is_plain(grant));
        let qualified = self.rules.qualified_grants(of, permission.0).filter(|qualified| qualified.effect == effect);
        let qualified = qualified.filter_map(|qualified| {
            let grant = self.rules.roles.get(qualified.grant.role as usize)?.own_grant(qualified.grant.at)?;
            Some(Candidate { held, role: of, grant, qualified: *qualified })
        });
        let mut candidates: Vec<_> = plain.map(|grant| self.plain(held, of, grant)).chain(qualified).collect();
        candidates.sort_by_key(|one| (one.grant.role.id != of, one.grant.role.name(), one.grant.at));
        candidates
    }

    /// Every grant of a role and its juniors.
    fn grants(&self, role: u32) -> impl Iterator<Item = OwnGrant<'a>> {
        let rules = self.rules;
        let juniors = rules.roles.get(role as usize).into_iter().flat_map(|role| role.closure.iter());
        juniors.filter_map(|junior| rules.roles.get(*junior as usize)).flat_map(|junior| junior.own_grants())
    }

    /// A grant without condition and fields.
    fn plain(&self, held: Option<RoleAssignment<'a>>, role: u32, grant: OwnGrant<'a>) -> Candidate<'a> {
        let (permission, effect) = (self.question.permission.0, grant.written.effect);
        let id = GrantId { role: grant.role.id, at: grant.at };
        let qualified = QualifiedGrant { permission, effect, condition: NONE, fields: NONE, grant: id };
        Candidate { held, role, grant, qualified }
    }

    fn trace(&self, who: usize, candidate: &Candidate<'a>) -> GrantTrace {
        let Candidate { held, role, grant, qualified } = *candidate;
        let condition = self.rules.condition(qualified.condition);
        let cx = self.cx(who);
        let tests = condition.into_iter().flat_map(|condition| condition.tree.tests());
        let tests = tests.map(|test| TestTrace {
            text: test.text.to_string(),
            holds: test.kind.holds(cx),
            values: self.values(who, test),
        });
        GrantTrace {
            effect: qualified.effect,
            assignment: held.map_or_else(AssignmentTrace::default, |held| AssignmentTrace {
                covers: match qualified.effect {
                    Effect::Allow => cx.covers(held.scope()),
                    Effect::Deny => cx.covers(cx.scope_of_deny(held.scope())),
                },
                ..self.assignment_trace(who, held)
            }),
            is_active: self.rules.is_active(cx.principal, role, grant.role.id),
            lacks_second_factor: self.rules.is_held_back(cx.principal, role),
            role_path: self.role_path(role, grant.role.id),
            permission: grant.written.pattern.text.clone(),
            condition: grant.written.when.as_ref().map(|when| when.text.clone()),
            condition_holds: condition.is_none_or(|condition| condition.holds(cx)),
            tests: tests.collect(),
        }
    }

    pub(super) fn assignment_trace(&self, who: usize, held: RoleAssignment<'_>) -> AssignmentTrace {
        let (valid_from, valid_until) = held.window();
        AssignmentTrace {
            role: self.role_name(held.role).to_owned(),
            group: held.group().map(str::to_owned),
            scope: held.written(self.rules.kinds()).to_string(),
            valid_from,
            valid_until,
            is_valid: held.is_valid(self.cx(who).now()),
            covers: self.cx(who).covers(held.scope()),
        }
    }

    /// What a test reads, by path.
    pub(super) fn values(&self, who: usize, test: &Test) -> BTreeMap<String, String> {
        let cx = self.cx(who);
        let named = test.kind.paths().map(|path| {
            let is_unknown = path.root == Root::Resource && cx.resource.is_none();
            let value = if is_unknown { "unknown".to_owned() } else { cx.at(path).to_string() };
            (format!("{}.{}", path.root.word(), self.attribute(path).map_or("", |one| &one.name)), value)
        });
        let mut values: BTreeMap<String, String> = named.collect();
        if test.kind.reads_now() {
            values.insert("now".to_owned(), self.question.now.to_string());
        }
        values
    }

    /// The shortest way down the hierarchy; of several the first by name.
    fn role_path(&self, from: u32, to: u32) -> Vec<String> {
        // Each with the place of the one that it was reached from.
        let mut reached = vec![(from, 0)];
        let mut at = 0;
        while let Some((role, _)) = reached.get(at).filter(|(role, _)| *role != to) {
            let inherits = self.rules.roles.get(*role as usize).map(|role| &*role.inherits).unwrap_or_default();
            let is_new = |junior: &RoleId| !reached.iter().any(|(known, _)| *known == junior.0);
            let mut juniors: Vec<RoleId> = inherits.iter().copied().filter(is_new).collect();
            juniors.sort_by_key(|junior| self.rules.role_name(*junior));
            reached.extend(juniors.into_iter().map(|junior| (junior.0, at)));
            at += 1;
        }
        let from = |at: &usize| reached.get(*at).filter(|_| *at > 0).map(|(_, from)| *from);
        let path = std::iter::successors(Some(at), from).filter_map(|at| reached.get(at));
        let mut names: Vec<String> = path.map(|(role, _)| self.role_name(*role).to_owned()).collect();
        names.reverse();
        names
    }
}
