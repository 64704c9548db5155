//! Policy and schema to a rule set, or every problem at once.
//!
//! | file | holds |
//! |---|---|
//! | `schema` | what the library brings itself: record types, their relations and permissions |
//! | `symbols` | types, attributes, permissions, kinds of scope |
//! | `asset_kinds` | kinds of assets: types that the policy declares and a store keeps |
//! | `attribute` | resource types and their attributes, resolved |
//! | `roles` | the hierarchy |
//! | `grants` | a role's own grants: patterns and conditions, permission by permission |
//! | `problems` | what takes many words to say is wrong |
//! | `lint` | what is valid, but may not do what it seems to |
//! | `interner` | conditions and sets of fields, each kept once |
//! | `reads` | what questions read, and which attributes carry authority |
//! | `role` | a role with all that it inherits |
//! | `permission_index` | which roles allow each permission under no condition |
//! | `qualified_grants` | the other grants of each permission |
//! | `bits` | sets of small numbers |
//! | `rule_set` | the compiled policy |
//! | `edit` | one role changed, without compiling the others again |

pub(in crate::rules) mod asset_kinds;
pub(in crate::rules) mod attribute;
pub(in crate::rules) mod bits;
mod edit;
mod grants;
pub(in crate::rules) mod interner;
pub(in crate::rules) mod lint;
pub(in crate::rules) mod permission_index;
pub(in crate::rules) mod problems;
pub(in crate::rules) mod qualified_grants;
pub(in crate::rules) mod reads;
pub(in crate::rules) mod role;
mod roles;
pub(in crate::rules) mod rule_set;
pub(in crate::rules) mod schema;
pub(in crate::rules) mod symbols;

use std::sync::Arc;

use {
    interner::Interner,
    permission_index::PermissionIndex,
    qualified_grants::QualifiedGrants,
    reads::Reads,
    role::CompiledRole,
    roles::Hierarchy,
    rule_set::{RuleSet, RuleSetVersion, Shared},
    schema::Schema,
    symbols::Symbols,
};

use crate::model::error::{Error, Reason, Result};
use crate::rules::{Diagnostics, Policy, shown};

/// What the compiled form may take, in bytes, and entries to make it: a policy that multiplies
/// beyond is refused, not served slowly.
const MAX_BYTES: usize = 256 * 1024 * 1024;
const MAX_STEPS: usize = 30_000_000;

/// A policy in which nothing is wrong, its roles not flattened yet.
pub(in crate::rules) struct Checked {
    symbols: Symbols,
    hierarchy: Hierarchy,
    interner: Interner,
    budget: Budget,
}

/// Every problem, if there are any.
pub(in crate::rules) fn check(policy: &Policy, schema: &Schema) -> std::result::Result<Checked, Diagnostics> {
    let mut diagnostics = policy.origin.as_deref().cloned().unwrap_or_default();
    let mut budget = Budget::new();
    let mut symbols = symbols::symbols(policy, schema, &mut diagnostics);
    let mut hierarchy = roles::hierarchy(policy, &mut budget, &mut diagnostics);
    symbols.anonymous_reads_little(&hierarchy);
    let mut interner = Interner::default();
    for role in &mut hierarchy.roles {
        match grants::own(role.id, &role.source, &symbols, &mut interner, &mut budget, &mut diagnostics) {
            Some(own) => role.own = Arc::new(own),
            None => break,
        }
    }
    let gives_all = hierarchy.anonymous_roles().any(|role| role.own.is_administrator);
    if let Some(name) = policy.anonymous.as_ref().filter(|_| gives_all) {
        let help = format!("role `{}` gives it, itself or by what it inherits", shown(&name.text));
        diagnostics.add(name.span, "those who are not signed in cannot hold `admin:all`").help(help);
    }
    if diagnostics.is_empty() { Ok(Checked { symbols, hierarchy, interner, budget }) } else { Err(diagnostics) }
}

impl Checked {
    pub(in crate::rules) fn flatten(self, policy: &Policy, schema: &Schema) -> Result<RuleSet> {
        let Self { symbols, hierarchy, interner, mut budget } = self;
        let mut roles: Vec<Arc<CompiledRole>> = hierarchy.roles.into_iter().map(Arc::new).collect();
        let mut row = bits::empty(symbols.permissions.len());
        for at in hierarchy.order {
            let role = CompiledRole::clone(&roles[at as usize]);
            let role = role.flattened(&roles, &mut row, &mut budget).ok_or_else(too_large)?;
            roles[at as usize] = Arc::new(role);
        }
        let mut rules = RuleSet {
            rules_version: RuleSetVersion::new(),
            reads: Arc::new(Reads::of(&symbols, &interner, &conditions(&roles))),
            permission_index: PermissionIndex::new(symbols.permissions.len(), roles.iter().map(|role| &role.plain)),
            qualified_grants: QualifiedGrants::new(
                symbols.permissions.len(),
                roles.iter().flat_map(|role| &role.own.qualified),
            ),
            shared: Arc::new(Shared { base: policy.without_roles(), schema: schema.clone(), symbols }),
            interner: Arc::new(interner),
            roles,
            role_ids: Arc::new(hierarchy.ids),
            numbers: Arc::default(),
            decision_flags: Box::default(),
            administrators: Box::default(),
            second_factors: Box::default(),
            tree: None,
            anonymous: hierarchy.anonymous,
            budget,
        };
        rules.derive_from_roles();
        Ok(rules)
    }
}

/// Conditions that apply to a type, over all roles.
fn conditions(roles: &[Arc<CompiledRole>]) -> Box<[(u32, u32)]> {
    sorted(roles.iter().flat_map(|role| role.own.conditions.iter().copied()).collect())
}

/// Each once.
fn sorted<T: Ord>(mut all: Vec<T>) -> Box<[T]> {
    all.sort_unstable();
    all.dedup();
    all.into()
}

/// What is left of the work and space that a policy may cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct Budget {
    steps: Left,
    bytes: Left,
}

impl Budget {
    fn new() -> Self {
        Self { steps: Left(MAX_STEPS), bytes: Left(MAX_BYTES) }
    }

    /// Takes what a role with so many juniors costs.
    fn takes_closure(&mut self, juniors: usize) -> bool {
        self.bytes.takes(juniors * 4) && self.steps.takes(juniors)
    }
}

#[derive(Clone, Copy, Debug)]
struct Left(usize);

impl Left {
    fn takes(&mut self, wanted: usize) -> bool {
        let after = self.0.checked_sub(wanted);
        self.0 = after.unwrap_or(0);
        after.is_some()
    }
}

fn too_large() -> Error {
    Error::new(Reason::PolicyInvalid, "the policy is too large: its hierarchy multiplies its grants")
}
