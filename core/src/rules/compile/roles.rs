//! The hierarchy: names, juniors, cycles.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Budget, problems::tell, role::Closure, sorted, symbols::Ids};

use crate::rules::{CompiledRole, Diagnostics, Policy, Role, RoleId, Span, Text, is_word, shown};

/// The most roles of a policy.
pub(super) const MAX_ROLES: usize = 100_000;

#[derive(Default)]
pub(super) struct Hierarchy {
    pub(super) ids: Ids,
    /// Sorted by name, with their juniors; what they grant is not known yet.
    pub(super) roles: Vec<CompiledRole>,
    /// Juniors before their seniors.
    pub(super) order: Vec<u32>,
    pub(super) anonymous: Option<RoleId>,
}

impl Hierarchy {
    fn span(&self, role: u32) -> Span {
        self.roles.get(role as usize).map_or(Span::CODE, |role| role.source.name.span)
    }

    /// The role of those who are not signed in, and all its juniors.
    pub(super) fn anonymous_roles(&self) -> impl Iterator<Item = &CompiledRole> {
        let role = self.anonymous.and_then(|role| self.roles.get(role.0 as usize));
        role.into_iter().flat_map(|role| &role.closure).filter_map(|junior| self.roles.get(*junior as usize))
    }
}

pub(super) fn hierarchy(policy: &Policy, budget: &mut Budget, diagnostics: &mut Diagnostics) -> Hierarchy {
    let mut hierarchy = Hierarchy::default();
    if let Some(role) = policy.roles.get(MAX_ROLES) {
        diagnostics.add(role.name.span, too_many());
        return hierarchy;
    }
    let mut sorted: Vec<&Arc<Role>> = policy.roles.iter().collect();
    sorted.sort_by(|a, b| a.name.text.cmp(&b.name.text));
    for (id, role) in (0..).zip(sorted) {
        let Text { text: name, span } = &role.name;
        check_name(&role.name, diagnostics);
        if let Some(first) = hierarchy.ids.insert(name.as_str().into(), id) {
            let twice = diagnostics.add(*span, format!("role `{}` is declared twice", shown(name)));
            twice.label("declared again").first(hierarchy.span(first), "first declared");
        }
        hierarchy.roles.push(CompiledRole::new(id, role.clone(), Box::default(), Closure::default(), Arc::default()));
    }
    resolve(policy, &mut hierarchy, diagnostics);
    close(&mut hierarchy, budget, diagnostics);
    hierarchy
}

fn resolve(policy: &Policy, hierarchy: &mut Hierarchy, diagnostics: &mut Diagnostics) {
    let ids = &hierarchy.ids;
    let find = |name: &str| ids.get(name).copied().map(RoleId);
    let known = || ids.keys().map(SmolStr::as_str);
    for role in &mut hierarchy.roles {
        role.inherits = juniors(&role.source, policy.limited_hierarchy, &find, known, diagnostics);
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
) -> Box<[RoleId]> {
    let inherits = role.inherits.iter().filter_map(|junior| named(junior, find, &known, diagnostics)).collect();
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
    sorted(inherits)
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

pub(super) fn too_many() -> String {
    format!("a policy has at most {MAX_ROLES} roles")
}

/// Orders juniors before seniors, and gathers every role's juniors. What cannot be ordered is in a cycle.
fn close(hierarchy: &mut Hierarchy, budget: &mut Budget, diagnostics: &mut Diagnostics) {
    let count = hierarchy.roles.len();
    let mut seniors: Vec<Vec<u32>> = vec![Vec::new(); count];
    let mut waits: Vec<usize> = Vec::with_capacity(count);
    for (senior, role) in (0_u32..).zip(&hierarchy.roles) {
        waits.push(role.inherits.len());
        role.inherits.iter().for_each(|junior| seniors[junior.0 as usize].push(senior));
    }
    let mut ready: Vec<u32> = (0_u32..).zip(&waits).filter(|(_, waits)| **waits == 0).map(|(role, _)| role).collect();
    while let Some(role) = ready.pop() {
        let mut closure = vec![role];
        for junior in &hierarchy.roles[role as usize].inherits {
            closure.extend_from_slice(&hierarchy.roles[junior.0 as usize].closure);
        }
        let closure = sorted(closure);
        if !budget.takes_closure(closure.len()) {
            diagnostics.add(hierarchy.span(role), "the hierarchy of this policy is too large");
            return;
        }
        hierarchy.roles[role as usize].closure = Closure::from_slice(&closure);
        hierarchy.order.push(role);
        for senior in &seniors[role as usize] {
            waits[*senior as usize] -= 1;
            if waits[*senior as usize] == 0 {
                ready.push(*senior);
            }
        }
    }
    if hierarchy.order.len() < count {
        tell(Span::CODE, diagnostics, |reporters, all| (reporters.cycle)(hierarchy, &waits, all));
    }
}
