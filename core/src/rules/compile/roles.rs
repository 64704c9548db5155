//! The hierarchy: names, juniors, cycles.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::rule_set::{RoleId, RoleIds};
use crate::rules::{
    diagnostics::{Diagnostics, Span, Text, shown},
    policy::{Policy, Role, name::is_word},
};

use super::Budget;

/// The most roles of a policy.
const MAX_ROLES: usize = 100_000;

#[derive(Default)]
pub(super) struct Hierarchy {
    pub(super) ids: RoleIds,
    /// Sorted by name.
    pub(super) roles: Vec<Declared>,
    /// Of each role, itself and all juniors, sorted.
    pub(super) closures: Vec<Box<[u32]>>,
    /// Juniors before their seniors.
    pub(super) order: Vec<u32>,
    pub(super) anonymous: Option<RoleId>,
}

pub(super) struct Declared {
    pub(super) name: String,
    pub(super) inherits: Vec<RoleId>,
    /// Its place in the policy.
    pub(super) at: usize,
}

impl Hierarchy {
    /// A role as the policy has it.
    pub(super) fn declared<'p>(&self, policy: &'p Policy, role: u32) -> Option<&'p Role> {
        policy.roles.get(self.roles.get(role as usize)?.at).map(AsRef::as_ref)
    }

    fn span(&self, policy: &Policy, role: u32) -> Span {
        self.declared(policy, role).map_or(Span::CODE, |role| role.name.span)
    }

    /// The role of those who are not signed in, and all its juniors.
    pub(super) fn anonymous_closure(&self) -> &[u32] {
        let role = self.anonymous.and_then(|role| self.closures.get(role.0 as usize));
        role.map(AsRef::as_ref).unwrap_or_default()
    }
}

pub(super) fn hierarchy(policy: &Policy, budget: &mut Budget, diagnostics: &mut Diagnostics) -> Hierarchy {
    let mut hierarchy = Hierarchy::default();
    if let Some(role) = policy.roles.get(MAX_ROLES) {
        diagnostics.add(role.name.span, format!("a policy has at most {MAX_ROLES} roles"));
        return hierarchy;
    }
    let mut sorted: Vec<usize> = (0..policy.roles.len()).collect();
    sorted.sort_by(|a, b| policy.roles[*a].name.text.cmp(&policy.roles[*b].name.text));
    for at in sorted {
        let role = &policy.roles[at];
        let name = &role.name.text;
        check_name(&role.name, diagnostics);
        let id = u32::try_from(hierarchy.roles.len()).unwrap_or(u32::MAX);
        if let Some(first) = hierarchy.ids.insert(name.as_str().into(), id) {
            let twice = diagnostics.add(role.name.span, format!("role `{}` is declared twice", shown(name)));
            twice.label("declared again").first(hierarchy.span(policy, first), "first declared");
        }
        hierarchy.roles.push(Declared { name: name.clone(), inherits: Vec::new(), at });
    }
    resolve(policy, &mut hierarchy, diagnostics);
    close(policy, &mut hierarchy, budget, diagnostics);
    hierarchy
}

fn resolve(policy: &Policy, hierarchy: &mut Hierarchy, diagnostics: &mut Diagnostics) {
    let ids = &hierarchy.ids;
    let find = |name: &str| ids.get(name).copied().map(RoleId);
    let known = || ids.keys().map(SmolStr::as_str);
    for declared in &mut hierarchy.roles {
        declared.inherits = juniors(&policy.roles[declared.at], policy.limited_hierarchy, &find, known, diagnostics);
    }
    hierarchy.anonymous = policy.anonymous.as_ref().and_then(|name| named(name, &find, known, diagnostics));
}

/// A role's direct juniors, once each; what else it says that cannot be is a problem.
pub(super) fn juniors<'n, N: Iterator<Item = &'n str>>(
    role: &Role,
    is_limited: bool,
    find: &impl Fn(&str) -> Option<RoleId>,
    known: impl Fn() -> N,
    diagnostics: &mut Diagnostics,
) -> Vec<RoleId> {
    let inherits = role.inherits.iter().filter_map(|junior| named(junior, find, &known, diagnostics));
    let inherits: BTreeSet<RoleId> = inherits.collect();
    for holder in &role.grantable_by {
        named(holder, find, &known, diagnostics);
    }
    let (name, span) = (shown(&role.name.text), role.name.span);
    if is_limited && let Some(second) = role.inherits.get(1) {
        let help = "in a `limited` hierarchy a role inherits from one other at most";
        diagnostics.add(second.span, format!("role `{name}` inherits from several roles")).help(help);
    }
    if role.max_holders == Some(0) {
        diagnostics.add(span, format!("`max_holders` of role `{name}` is 0, so nobody could hold it"));
    }
    // What a policy says must hold, or be refused: assigning a role does not look at these yet.
    let is_limiting = role.max_holders.is_some_and(|max| max > 0);
    for (key, is_given) in [("max_holders", is_limiting), ("grantable_by", !role.grantable_by.is_empty())] {
        if is_given {
            diagnostics.add(span, format!("`{key}` of role `{name}` is not enforced yet, so it is refused"));
        }
    }
    inherits.into_iter().collect()
}

fn named<'n, N: Iterator<Item = &'n str>>(
    Text { text, span }: &Text,
    find: &impl Fn(&str) -> Option<RoleId>,
    known: impl Fn() -> N,
    diagnostics: &mut Diagnostics,
) -> Option<RoleId> {
    let found = find(text);
    if found.is_none() {
        let help = diagnostics.suggest(text, known());
        diagnostics.add(*span, format!("there is no role `{}`", shown(text))).help_if(help).label("not declared");
    }
    found
}

/// Whether this names a role.
pub(super) fn check_name(Text { text, span }: &Text, diagnostics: &mut Diagnostics) {
    if !is_word(text) {
        let help =
            "names of roles are letters, digits, `_` and `-`, begin with a letter, and have at most 64 characters";
        diagnostics.add(*span, format!("`{}` cannot name a role", shown(text))).help(help);
    }
}

/// Orders juniors before seniors, and gathers every role's juniors. What cannot be ordered is in a cycle.
fn close(policy: &Policy, hierarchy: &mut Hierarchy, budget: &mut Budget, diagnostics: &mut Diagnostics) {
    let count = hierarchy.roles.len();
    let mut seniors: Vec<Vec<u32>> = vec![Vec::new(); count];
    let mut waits: Vec<usize> = Vec::with_capacity(count);
    for (senior, role) in (0_u32..).zip(&hierarchy.roles) {
        waits.push(role.inherits.len());
        role.inherits.iter().for_each(|junior| seniors[junior.0 as usize].push(senior));
    }
    let mut ready: Vec<u32> = (0_u32..).zip(&waits).filter(|(_, waits)| **waits == 0).map(|(role, _)| role).collect();
    hierarchy.closures = vec![Box::default(); count];
    while let Some(role) = ready.pop() {
        let mut closure = vec![role];
        for junior in &hierarchy.roles[role as usize].inherits {
            closure.extend_from_slice(&hierarchy.closures[junior.0 as usize]);
        }
        closure.sort_unstable();
        closure.dedup();
        if !budget.takes_bytes(closure.len() * 4) || !budget.takes_steps(closure.len()) {
            diagnostics.add(hierarchy.span(policy, role), "the hierarchy of this policy is too large");
            return;
        }
        hierarchy.closures[role as usize] = closure.into();
        hierarchy.order.push(role);
        for senior in &seniors[role as usize] {
            waits[*senior as usize] -= 1;
            if waits[*senior as usize] == 0 {
                ready.push(*senior);
            }
        }
    }
    if hierarchy.order.len() < count {
        report_cycle(policy, hierarchy, &waits, diagnostics);
    }
}

/// Follows juniors that wait, from any role that waits: the walk must come back to itself.
fn report_cycle(policy: &Policy, hierarchy: &Hierarchy, waits: &[usize], diagnostics: &mut Diagnostics) {
    let mut path: Vec<usize> = Vec::new();
    let mut place = vec![usize::MAX; waits.len()];
    let mut next = waits.iter().position(|waits| *waits > 0);
    while let Some(at) = next {
        if place[at] != usize::MAX {
            let cycle = path[place[at]..].iter().chain([&at]).take(10);
            let names: Vec<String> = cycle.map(|role| shown(&hierarchy.roles[*role].name)).collect();
            let message = format!("roles inherit from each other in a circle: {}", names.join(" → "));
            let span = policy.roles[hierarchy.roles[at].at].name.span;
            diagnostics.add(span, message).label("inherits from itself");
            return;
        }
        place[at] = path.len();
        path.push(at);
        let mut juniors = hierarchy.roles[at].inherits.iter().map(|junior| junior.0 as usize);
        next = juniors.find(|junior| waits[*junior] > 0);
    }
}
