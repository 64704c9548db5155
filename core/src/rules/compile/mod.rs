//! Policy and schema to a rule set, or every problem at once.
//!
//! | file | holds |
//! |---|---|
//! | `words` | types, attributes, permissions, kinds of scope |
//! | `roles` | the hierarchy |
//! | `grants` | patterns and conditions, permission by permission |

mod grants;
mod roles;
mod words;

use crate::model::error::{Error, Reason, Result};

use super::{
    faults::Faults,
    policy::Policy,
    rule_set::{CompiledRole, RuleSet, stamp},
    schema::Schema,
};

/// What the compiled form may take, in bytes, and entries to make it: a policy that multiplies
/// beyond is refused, not served slowly.
const MAX_BYTES: usize = 256 * 1024 * 1024;
const MAX_STEPS: usize = 30_000_000;

pub(super) fn compile(policy: &Policy, schema: &Schema) -> Result<RuleSet> {
    let mut faults = policy.origin.as_ref().map_or_else(Faults::default, |origin| origin.faults.clone());
    let mut budget = Budget { steps: MAX_STEPS, bytes: MAX_BYTES };
    let mut words = words::words(policy, schema, &mut faults);
    let hierarchy = roles::hierarchy(policy, &mut budget, &mut faults);
    words.anonymous_reads_little(policy, &hierarchy);
    let granted = grants::grants(policy, &mut words, &hierarchy, &mut budget, &mut faults);
    if !faults.is_empty() {
        return Err(faults.into_error("the policy has errors"));
    }
    let flat = grants::flatten(&hierarchy, &granted, words.permissions.len(), &mut budget);
    let Some(flat) = flat else {
        return Err(Error::new(Reason::PolicyInvalid, "the policy is too large: its hierarchy multiplies its grants"));
    };
    let mut rules = RuleSet {
        stamp: stamp(),
        permissions: words.permissions,
        types: words.types,
        type_ids: words.type_ids,
        principal: words.principal,
        context: words.context,
        kinds: words.kinds,
        roles: Vec::with_capacity(hierarchy.roles.len()),
        role_ids: hierarchy.ids.clone(),
        grants: granted.grants,
        conditions: granted.conditions,
        field_sets: granted.field_sets,
        anonymous: hierarchy.anonymous,
        principal_reads: words.principal_reads,
    };
    for ((index, flat), declared) in flat.into_iter().enumerate().zip(&hierarchy.roles) {
        for special in &flat.special {
            if special.effect == super::policy::Effect::Deny
                && let Some(permission) = rules.permissions.get_mut(special.permission as usize)
            {
                permission.is_denied = true;
            }
        }
        rules.roles.push(CompiledRole {
            name: declared.name.clone(),
            description: declared.description.clone(),
            inherits: declared.inherits.clone(),
            is_default: declared.is_default,
            is_administrator: flat.is_administrator,
            closure: hierarchy.closures.get(index).cloned().unwrap_or_default(),
            grants: granted.ranges.get(index).cloned().unwrap_or_default(),
            plain: flat.plain,
            special: flat.special.into(),
        });
    }
    Ok(rules)
}

/// What is left of the work and space that a policy may cost.
pub(super) struct Budget {
    steps: usize,
    bytes: usize,
}

impl Budget {
    fn takes_steps(&mut self, steps: usize) -> bool {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    fn takes_bytes(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(0);
        left.is_some()
    }
}
