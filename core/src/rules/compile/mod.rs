//! Policy and schema to a rule set, or every problem at once.
//!
//! | file | holds |
//! |---|---|
//! | `symbols` | types, attributes, permissions, kinds of scope |
//! | `roles` | the hierarchy |
//! | `grants` | a role's own grants: patterns and conditions, permission by permission |
//! | `flatten` | a role with all that it inherits |
//! | `edit` | one role changed, without compiling the others again |

pub(in crate::rules) mod attribute;
pub(in crate::rules) mod bits;
mod edit;
mod flatten;
mod grants;
pub(in crate::rules) mod interner;
pub(in crate::rules) mod lint;
pub(in crate::rules) mod permission_index;
pub(in crate::rules) mod reads;
pub(in crate::rules) mod role;
mod roles;
pub(in crate::rules) mod rule_set;
pub(in crate::rules) mod schema;
pub(in crate::rules) mod symbols;

use std::{collections::BTreeSet, sync::Arc};

use crate::model::error::Result;

use crate::rules::{
    diagnostics::{Diagnostics, shown},
    policy::Policy,
};
use {
    interner::Interner,
    permission_index::PermissionIndex,
    reads::Reads,
    role::Own,
    roles::Hierarchy,
    rule_set::{RuleSet, Shared, Stamp},
    schema::Schema,
    symbols::Symbols,
};

/// What the compiled form may take, in bytes, and entries to make it: a policy that multiplies
/// beyond is refused, not served slowly.
const MAX_BYTES: usize = 256 * 1024 * 1024;
const MAX_STEPS: usize = 30_000_000;

pub(super) fn compile(policy: &Policy, schema: &Schema) -> Result<RuleSet> {
    match check(policy, schema) {
        Ok(checked) => checked.flatten(policy, schema),
        Err(diagnostics) => Err(diagnostics.into_error("the policy has errors")),
    }
}

/// A policy in which nothing is wrong, its roles not flattened yet.
pub(in crate::rules) struct Checked {
    symbols: Symbols,
    hierarchy: Hierarchy,
    interner: Interner,
    own: Vec<Arc<Own>>,
    budget: Budget,
}

/// Every problem, if there are any.
pub(in crate::rules) fn check(policy: &Policy, schema: &Schema) -> std::result::Result<Checked, Diagnostics> {
    let mut diagnostics = policy.origin.as_deref().cloned().unwrap_or_default();
    let mut budget = Budget::new();
    let mut symbols = symbols::symbols(policy, schema, &mut diagnostics);
    let hierarchy = roles::hierarchy(policy, &mut budget, &mut diagnostics);
    symbols.anonymous_reads_little(policy, &hierarchy);
    let mut interner = Interner::default();
    let mut own: Vec<Arc<Own>> = Vec::with_capacity(hierarchy.roles.len());
    for (id, declared) in (0_u32..).zip(&hierarchy.roles) {
        let role = &policy.roles[declared.at];
        let Some(one) = grants::own(id, role, &symbols, &mut interner, &mut budget, &mut diagnostics) else { break };
        own.push(Arc::new(one));
    }
    let is_administrator = |role: &u32| own.get(*role as usize).is_some_and(|own| own.is_administrator);
    if let Some(name) = policy.anonymous.as_ref().filter(|_| hierarchy.anonymous_closure().iter().any(is_administrator))
    {
        let help = format!("role `{}` gives it, itself or by what it inherits", shown(&name.text));
        diagnostics.add(name.span, "those who are not signed in cannot hold `admin:all`").help(help);
    }
    if diagnostics.is_empty() { Ok(Checked { symbols, hierarchy, interner, own, budget }) } else { Err(diagnostics) }
}

impl Checked {
    pub(in crate::rules) fn flatten(self, policy: &Policy, schema: &Schema) -> Result<RuleSet> {
        let Self { symbols, hierarchy, interner, own, mut budget } = self;
        let conditions = own.iter().flat_map(|own| own.conditions.iter().copied()).collect();
        let reads = Reads::of(&symbols, &interner, &conditions);
        let types = symbols.permissions.iter().map(|permission| permission.ty).collect();
        let mut rules = RuleSet {
            stamp: Stamp::new(),
            shared: Arc::new(Shared { base: policy.without_roles(), schema: schema.clone(), symbols }),
            interner: Arc::new(interner),
            reads: Arc::new(reads),
            types,
            roles: Vec::new(),
            permission_index: PermissionIndex::new(0, [].iter()),
            role_ids: Arc::default(),
            numbers: Arc::default(),
            marks: Box::default(),
            administrators: Box::default(),
            anonymous: hierarchy.anonymous,
        };
        flatten::all(&mut rules, policy, hierarchy, own, &mut budget)?;
        rules.mark();
        Ok(rules)
    }
}

/// Conditions that apply to a type, over all roles.
fn conditions(rules: &RuleSet) -> BTreeSet<(u32, u32)> {
    rules.roles.iter().flat_map(|role| role.own.conditions.iter().copied()).collect()
}

/// What is left of the work and space that a policy may cost.
pub(super) struct Budget {
    steps: usize,
    bytes: usize,
}

impl Budget {
    fn new() -> Self {
        Self { steps: MAX_STEPS, bytes: MAX_BYTES }
    }

    fn takes_steps(&mut self, steps: usize) -> bool {
        take(&mut self.steps, steps)
    }

    fn takes_bytes(&mut self, bytes: usize) -> bool {
        take(&mut self.bytes, bytes)
    }
}

fn take(left: &mut usize, wanted: usize) -> bool {
    let after = left.checked_sub(wanted);
    *left = after.unwrap_or(0);
    after.is_some()
}
