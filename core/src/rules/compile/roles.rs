//! The hierarchy: names, juniors, cycles.

use smol_str::SmolStr;

use super::rule_set::{RoleId, RoleIds};
use crate::rules::{
    diagnostics::{Diagnostics, Text, shown},
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
    /// A role's place in the policy.
    pub(super) fn declared(&self, role: u32) -> usize {
        self.roles.get(role as usize).map_or(usize::MAX, |role| role.at)
    }
}

pub(super) fn hierarchy(policy: &Policy, budget: &mut Budget, diagnostics: &mut Diagnostics) -> Hierarchy {
    let mut hierarchy = Hierarchy::default();
    if policy.roles.len() > MAX_ROLES {
        if let Some(role) = policy.roles.get(MAX_ROLES) {
            diagnostics.add(role.name.spot, format!("a policy has at most {MAX_ROLES} roles"), None);
        }
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
            let first = policy.roles[hierarchy.declared(first)].name.spot;
            let fault = diagnostics.add(role.name.spot, format!("role `{}` is declared twice", shown(name)), None);
            fault.label("declared again").first(first, "first declared");
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

/// A role's direct juniors, once each; what else it says that cannot be is a fault.
pub(super) fn juniors<'n, N: Iterator<Item = &'n str>>(
    role: &Role,
    is_limited: bool,
    find: &impl Fn(&str) -> Option<RoleId>,
    known: impl Fn() -> N,
    diagnostics: &mut Diagnostics,
) -> Vec<RoleId> {
    let mut inherits: Vec<RoleId> =
        role.inherits.iter().filter_map(|junior| named(junior, find, &known, diagnostics)).collect();
    inherits.sort_unstable();
    inherits.dedup();
    for holder in &role.grantable_by {
        named(holder, find, &known, diagnostics);
    }
    let name = shown(&role.name.text);
    if is_limited && let Some(second) = role.inherits.get(1) {
        let help = Some("in a `limited` hierarchy a role inherits from one other at most".to_owned());
        diagnostics.add(second.spot, format!("role `{name}` inherits from several roles"), help);
    }
    if role.max_holders == Some(0) {
        diagnostics.add(role.name.spot, format!("role `{name}` may have no holder at all"), None);
    }
    // What a policy says must hold, or be refused: assigning a role does not look at these yet.
    let unenforced =
        [("max_holders", role.max_holders.is_some_and(|max| max > 0)), ("grantable_by", !role.grantable_by.is_empty())];
    for (key, _) in unenforced.iter().filter(|(_, is_given)| *is_given) {
        diagnostics.add(
            role.name.spot,
            format!("`{key}` of role `{name}` is not enforced yet, so it is refused"),
            None,
        );
    }
    inherits
}

fn named<'n, N: Iterator<Item = &'n str>>(
    text: &Text,
    find: &impl Fn(&str) -> Option<RoleId>,
    known: impl Fn() -> N,
    diagnostics: &mut Diagnostics,
) -> Option<RoleId> {
    let found = find(&text.text);
    if found.is_none() {
        let help = diagnostics.suggest(&text.text, known());
        diagnostics.add(text.spot, format!("there is no role `{}`", shown(&text.text)), help).label("not declared");
    }
    found
}

/// Whether this names a role.
pub(super) fn check_name(name: &Text, diagnostics: &mut Diagnostics) {
    if !is_word(&name.text) {
        let help =
            "names of roles are letters, digits, `_` and `-`, begin with a letter, and have at most 64 characters";
        diagnostics.add(name.spot, format!("`{}` cannot name a role", shown(&name.text)), Some(help.to_owned()));
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
            let spot = policy.roles[hierarchy.declared(role)].name.spot;
            diagnostics.add(spot, "the hierarchy of this policy is too large", None);
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
    let Some(mut at) = waits.iter().position(|waits| *waits > 0) else { return };
    while place[at] == usize::MAX {
        place[at] = path.len();
        path.push(at);
        let next =
            hierarchy.roles[at].inherits.iter().map(|junior| junior.0 as usize).find(|junior| waits[*junior] > 0);
        let Some(next) = next else { return };
        at = next;
    }
    let cycle = &path[place[at]..];
    let names = cycle.iter().chain([&at]).take(10).map(|role| shown(&hierarchy.roles[*role].name)).collect::<Vec<_>>();
    let spot = policy.roles[hierarchy.roles[at].at].name.spot;
    diagnostics
        .add(spot, format!("roles inherit from each other in a circle: {}", names.join(" → ")), None)
        .label("inherits from itself");
}
