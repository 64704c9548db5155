//! What would have to change for a denied question to be allowed.

use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use crate::rules::{
    condition::{
        code::{Condition, Source, Tree},
        parser::Root,
    },
    policy::Effect,
    rule_set::FieldId,
    scope_kind::BoundScope,
};

use super::{Candidate, GrantTrace, MAX_MISSES, Tracer};

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word, Describe)]
pub enum ChangeKind {
    /// The account becomes active.
    Activate,
    /// A role is assigned that allows it.
    AssignRole,
    /// An assignment is held where the resource is.
    MoveScope,
    /// An assignment is held at the time asked about.
    MoveWindow,
    /// A part of a condition turns out otherwise.
    MeetCondition,
    /// A deny is lifted.
    LiftDeny,
    /// The question names a resource.
    NameResource,
    /// The question names only fields that the grant is about.
    NameFields,
    /// The API key gets a pattern that matches.
    WidenKey,
}

/// One change; it takes all those of the set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Describe)]
pub struct Change {
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// In words: `held in region:…, but the drone's region_id is …`.
    pub text: String,
}

impl Change {
    fn new(kind: ChangeKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// Of conditions with more tests than this the smallest set is not searched for, only a minimal one.
const MAX_SEARCH: usize = 12;

impl Tracer<'_> {
    /// The nearest misses, and the changes that would turn the nearest into an allow.
    pub(super) fn misses_and_changes(&self) -> (Vec<GrantTrace>, Vec<Change>) {
        let fields: Vec<Option<FieldId>> = match self.question.fields {
            [] => vec![None],
            fields => fields.iter().copied().map(Some).collect(),
        };
        let mut changes = Vec::new();
        let principal = self.here.principal;
        if !principal.is_active {
            let text = format!("the account is {}; it must be active", principal.status());
            changes.push(Change::new(ChangeKind::Activate, text));
        }
        if !principal.is_within_key(self.question.permission.0) {
            changes.push(Change::new(ChangeKind::WidenKey, "no pattern of the API key matches it"));
        }
        let assignments = || principal.held();
        let candidates: Vec<Candidate<'_>> =
            assignments().flat_map(|one| self.candidates(one, Effect::Allow)).collect();
        let mut misses: Vec<(usize, &Candidate<'_>)> = Vec::new();
        let is_administrator = assignments().any(|one| self.rules.administers(principal, one, self.here.now));
        for field in fields.into_iter().filter(|_| !is_administrator) {
            if !candidates.iter().any(|one| self.holds(one, field)) {
                let needed: Vec<(Vec<Change>, &Candidate<'_>)> =
                    candidates.iter().filter_map(|one| Some((self.needed(one, field)?, one))).collect();
                misses.extend(needed.iter().map(|(needed, one)| (needed.len(), *one)));
                match needed.into_iter().min_by_key(|(needed, _)| needed.len()) {
                    Some((needed, _)) => changes.extend(needed),
                    None => changes.push(self.assign()),
                }
            }
            for deny in assignments().flat_map(|one| self.candidates(one, Effect::Deny)) {
                let counts = self.rules.counts(deny.held, self.here.now);
                if counts && self.rules.denies(&self.special(&deny), deny.held, field, &self.here) {
                    let role = self.role_name(deny.held);
                    let text = format!("{role} ({}) says: {}", deny.held.written(), deny.grant.text());
                    changes.push(Change::new(ChangeKind::LiftDeny, text));
                }
            }
        }
        changes.sort();
        changes.dedup();
        misses.sort_by_key(|(count, _)| *count);
        misses.dedup_by(|a, b| std::ptr::eq(a.1, b.1));
        (misses.into_iter().take(MAX_MISSES).map(|(_, one)| self.trace(one)).collect(), changes)
    }

    /// What one allow lacks; none where no change of values could make it hold.
    fn needed(&self, candidate: &Candidate<'_>, field: Option<FieldId>) -> Option<Vec<Change>> {
        let Candidate { held, grant, condition, fields } = *candidate;
        let mut changes = Vec::new();
        let role = self.role_name(held);
        if !held.is_valid(self.here.now) {
            let text = match held.window() {
                (Some(from), _) if held.edges()[0] > self.here.now => format!("{role} is held only from {from} on"),
                (_, Some(until)) => format!("{role} was held only until {until}"),
                _ => format!("{role} is not held now"),
            };
            changes.push(Change::new(ChangeKind::MoveWindow, text));
        }
        if self.rules.is_administrator(held.role) && *held.scope() != BoundScope::Global {
            let text =
                format!("{role} is held in {}, but `admin:all` is held everywhere or not at all", held.written());
            changes.push(Change::new(ChangeKind::MoveScope, text));
            return Some(changes);
        }
        if !self.rules.is_on(fields, field, false) {
            changes
                .push(Change::new(ChangeKind::NameFields, format!("{role} gives only {}", grant.written.pattern.text)));
        }
        let condition = self.rules.condition(condition);
        let is_open = self.here.resource.is_none()
            && (*held.scope() != BoundScope::Global || condition.is_some_and(|one| one.reads(Root::Resource)));
        if is_open {
            let text = format!("{role} gives it on some resources only; the question names none");
            changes.push(Change::new(ChangeKind::NameResource, text));
            return Some(changes);
        }
        if !self.here.covers(held.scope()) {
            changes.push(Change::new(ChangeKind::MoveScope, self.elsewhere(role, candidate)));
        }
        if let Some(condition) = condition {
            for test in self.flips(condition)? {
                changes.push(self.flip(condition, test));
            }
        }
        Some(changes)
    }

    fn elsewhere(&self, role: &str, candidate: &Candidate<'_>) -> String {
        let held = candidate.held.written();
        let BoundScope::Of(kind, _) = candidate.held.scope() else {
            return format!("{role} is held in {held}, which does not exist");
        };
        let ty = self.here.ty;
        // What is bound to the kind itself says most; else what lies within it.
        let bound = ty
            .bound
            .iter()
            .find(|(bound, _)| bound == kind)
            .or_else(|| ty.bound.iter().find(|(bound, _)| self.rules.lies_under(*bound, *kind)));
        let attribute = bound.and_then(|(_, slot)| ty.attributes.get(*slot as usize));
        match attribute.zip(self.here.resource) {
            Some((attribute, resource)) => {
                let value = resource.value(ty, attribute).map(|value| value.to_string()).unwrap_or_default();
                format!("{role} is held in {held}, but the {}'s {} is {value}", ty.name, attribute.name)
            }
            None => format!("{role} is held in {held}, and a {} has no such scope", ty.name),
        }
    }

    fn flip(&self, condition: &Condition, test: usize) -> Change {
        let Some(test) = condition.tests.get(test) else { return Change::new(ChangeKind::MeetCondition, "") };
        let values: Vec<String> =
            self.values(test).into_iter().map(|(path, value)| format!("{path} is {value}")).collect();
        let wanted = if test.kind.holds(&self.here) { "must not hold" } else { "must hold" };
        let text = format!("`{}` {wanted}: {}", condition.text_of(test), values.join(", "));
        Change::new(ChangeKind::MeetCondition, text)
    }

    fn assign(&self) -> Change {
        let permission = self.question.permission;
        let gives = |administrator: bool| {
            let roles = self.rules.live_roles().filter(move |role| role.is_administrator == administrator);
            roles.filter(move |role| {
                administrator
                    || self.rules.rows.get(role.id as usize).is_some_and(|row| row.has(permission.0))
                    || role.special_of(permission.0).iter().any(|one| one.effect == Effect::Allow)
            })
        };
        let mut names: Vec<&str> = gives(false).map(|role| role.name()).take(10).collect();
        if names.is_empty() {
            names = gives(true).map(|role| role.name()).take(10).collect();
        }
        let text = match names.is_empty() {
            true => "no role of this policy gives it".to_owned(),
            false => format!("no role that is held gives it; these do: {}", names.join(", ")),
        };
        Change::new(ChangeKind::AssignRole, text)
    }

    /// The tests of a condition that must turn out otherwise for it to hold; none where that cannot be.
    fn flips(&self, condition: &Condition) -> Option<Vec<usize>> {
        let values: Vec<bool> = condition.tests.iter().map(|test| test.kind.holds(&self.here)).collect();
        // The same test written twice turns out the same twice.
        let same: Vec<usize> = condition
            .tests
            .iter()
            .map(|test| {
                let text = condition.text_of(test);
                condition.tests.iter().position(|other| condition.text_of(other) == text).unwrap_or_default()
            })
            .collect();
        let can_flip = |at: usize| {
            condition.tests.get(at).is_some_and(|test| {
                let reads_now = test.kind.operands().any(|one| matches!(one.source, Source::Now));
                reads_now || test.kind.paths().next().is_some()
            })
        };
        let holds = |flipped: &[usize]| {
            let value = |at: usize| values.get(at).copied().unwrap_or_default() != flipped.contains(&same[at]);
            holds_with(&condition.tree, &value)
        };
        if holds(&[]) {
            return Some(Vec::new());
        }
        let mut found = cheapest(&condition.tree, true, &values, &can_flip)?;
        found.iter_mut().for_each(|at| *at = same[*at]);
        found.sort_unstable();
        found.dedup();
        if !holds(&found) {
            return None;
        }
        if found.len() <= MAX_SEARCH {
            let subsets = (0..1_u32 << found.len()).map(|mask| {
                let subset = found.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
                subset.map(|(_, test)| *test).collect::<Vec<_>>()
            });
            return subsets.filter(|subset| holds(subset)).min_by_key(Vec::len);
        }
        for test in found.clone() {
            let without: Vec<usize> = found.iter().copied().filter(|other| *other != test).collect();
            if holds(&without) {
                found = without;
            }
        }
        Some(found)
    }
}

fn holds_with(tree: &Tree, value: &dyn Fn(usize) -> bool) -> bool {
    match tree {
        Tree::Test(at) => value(*at as usize),
        Tree::Not(inner) => !holds_with(inner, value),
        Tree::All(parts) => parts.iter().all(|part| holds_with(part, value)),
        Tree::Any(parts) => parts.iter().any(|part| holds_with(part, value)),
    }
}

/// Few tests whose flipping makes the part as wanted.
fn cheapest(tree: &Tree, wanted: bool, values: &[bool], can_flip: &dyn Fn(usize) -> bool) -> Option<Vec<usize>> {
    match tree {
        Tree::Test(at) => {
            let at = *at as usize;
            match values.get(at) == Some(&wanted) {
                true => Some(Vec::new()),
                false => can_flip(at).then(|| vec![at]),
            }
        }
        Tree::Not(inner) => cheapest(inner, !wanted, values, can_flip),
        Tree::All(parts) | Tree::Any(parts) => {
            let mut each = parts.iter().map(|part| cheapest(part, wanted, values, can_flip));
            if matches!(tree, Tree::All(_)) == wanted {
                each.try_fold(Vec::new(), |mut all, part| {
                    all.extend(part?);
                    Some(all)
                })
            } else {
                each.flatten().min_by_key(Vec::len)
            }
        }
    }
}
