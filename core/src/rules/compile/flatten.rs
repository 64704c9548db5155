//! A role with all that it inherits.

use std::sync::Arc;

use crate::{
    model::error::{Error, Reason, Result},
    rules::{
        bits::{self, Bits},
        policy::{Policy, Role},
        role::{CompiledRole, Own, Special},
        rule_set::{RoleId, RuleSet},
    },
};

use super::{Budget, roles::Hierarchy};

/// While the rows of all roles fit into so many bytes, each is kept as bits, which answer fastest.
const MAX_DENSE_BYTES: usize = 128 * 1024 * 1024;

/// Every role of a policy, juniors before seniors.
pub(super) fn all(
    rules: &mut RuleSet,
    policy: &Policy,
    hierarchy: Hierarchy,
    own: Vec<Arc<Own>>,
    budget: &mut Budget,
) -> Result<()> {
    let mut flat: Vec<Option<(CompiledRole, Bits)>> = Vec::new();
    flat.resize_with(hierarchy.roles.len(), || None);
    let mut words = scratch(rules);
    let is_short = is_space_short(rules, hierarchy.roles.len());
    let mut closures = hierarchy.closures;
    for role in &hierarchy.order {
        let at = *role as usize;
        let declared = &hierarchy.roles[at];
        let one = Flat {
            id: *role,
            source: policy.roles[declared.at].clone(),
            inherits: declared.inherits.clone().into(),
            closure: std::mem::take(&mut closures[at]),
            own: own[at].clone(),
        };
        let junior = |role: &RoleId| flat.get(role.0 as usize)?.as_ref().map(|(role, row)| (role, row));
        let flattened = one.flatten(junior, &mut words, is_short, budget).ok_or_else(too_large)?;
        flat[at] = Some(flattened);
    }
    // Every role has its turn in the order, or the hierarchy was refused before.
    for (role, row) in flat.into_iter().flatten() {
        rules.roles.push(Arc::new(role));
        rules.rows.push(row);
    }
    rules.role_ids = Arc::new(hierarchy.ids);
    Ok(())
}

pub(super) fn too_large() -> Error {
    Error::new(Reason::PolicyInvalid, "the policy is too large: its hierarchy multiplies its grants")
}

/// One bit for each permission.
pub(super) fn scratch(rules: &RuleSet) -> Vec<u64> {
    vec![0; rules.shared.words.permissions.len().div_ceil(64)]
}

pub(super) fn is_space_short(rules: &RuleSet, roles: usize) -> bool {
    scratch(rules).len().saturating_mul(8).saturating_mul(roles) > MAX_DENSE_BYTES
}

/// A role being flattened.
pub(super) struct Flat {
    pub(super) id: u32,
    pub(super) source: Arc<Role>,
    pub(super) inherits: Box<[RoleId]>,
    pub(super) closure: Box<[u32]>,
    pub(super) own: Arc<Own>,
}

impl Flat {
    /// None where the policy is too large.
    pub(super) fn flatten<'j>(
        self,
        junior: impl Fn(&RoleId) -> Option<(&'j CompiledRole, &'j Bits)>,
        words: &mut [u64],
        is_space_short: bool,
        budget: &mut Budget,
    ) -> Option<(CompiledRole, Bits)> {
        let Self { id, source, inherits, closure, own } = self;
        words.fill(0);
        own.plain.iter().for_each(|permission| bits::set(words, *permission));
        let mut special = own.special.to_vec();
        let mut is_administrator = own.is_administrator;
        for (junior, row) in inherits.iter().filter_map(junior) {
            row.add_to(words);
            special.extend_from_slice(&junior.special);
            is_administrator |= junior.is_administrator;
            // A word holds 64 permissions and costs next to nothing.
            if !budget.takes_steps(words.len() / 8 + junior.special.len()) {
                return None;
            }
        }
        special.sort_unstable();
        special.dedup();
        // It matches every permission, and nothing narrows it.
        let row = if is_administrator { Bits::All } else { Bits::of(words, is_space_short) };
        let bytes = row.bytes() + special.len() * size_of::<Special>();
        let special = special.into();
        budget.takes_bytes(bytes).then_some((
            CompiledRole { id, source, is_gone: false, inherits, closure, own, is_administrator, special },
            row,
        ))
    }
}
