//! A role with all that it inherits.

use std::sync::Arc;

use super::{
    bits::{self, Bits},
    permission_index::PermissionIndex,
    role::{CompiledRole, Own, Specials},
    rule_set::{RoleId, RuleSet},
};
use crate::{
    model::error::{Error, Reason, Result},
    rules::policy::{Policy, Role},
};

use super::{Budget, roles::Hierarchy};

/// Every role of a policy, juniors before seniors.
pub(super) fn all(
    rules: &mut RuleSet,
    policy: &Policy,
    hierarchy: Hierarchy,
    own: Vec<Arc<Own>>,
    budget: &mut Budget,
) -> Result<()> {
    let mut flat: Vec<Option<Arc<CompiledRole>>> = vec![None; hierarchy.roles.len()];
    let mut words = bits::empty(rules.all_permissions().len());
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
        let junior = |role: &RoleId| flat.get(role.0 as usize)?.as_deref();
        let flattened = one.flatten(junior, &mut words, budget).ok_or_else(too_large)?;
        flat[at] = Some(Arc::new(flattened));
    }
    // Every role has its turn in the order, or the hierarchy was refused before.
    rules.roles = flat.into_iter().flatten().collect();
    let permissions = rules.all_permissions().len();
    rules.permission_index = PermissionIndex::new(permissions, rules.roles.iter().map(|role| &role.plain));
    rules.role_ids = Arc::new(hierarchy.ids);
    Ok(())
}

pub(super) fn too_large() -> Error {
    Error::new(Reason::PolicyInvalid, "the policy is too large: its hierarchy multiplies its grants")
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
    /// None where the policy is too large. Needs room for one bit for each permission.
    pub(super) fn flatten<'j>(
        self,
        junior: impl Fn(&RoleId) -> Option<&'j CompiledRole>,
        words: &mut [u64],
        budget: &mut Budget,
    ) -> Option<CompiledRole> {
        let Self { id, source, inherits, closure, own } = self;
        words.fill(0);
        own.plain.iter().for_each(|permission| bits::set(words, *permission));
        let mut special = own.special.to_vec();
        let mut is_administrator = own.is_administrator;
        for junior in inherits.iter().filter_map(junior) {
            junior.plain.add_to(words);
            special.extend_from_slice(junior.special.all());
            is_administrator |= junior.is_administrator;
            // A word holds 64 permissions and costs next to nothing.
            if !budget.takes_steps(words.len() / 8 + junior.special.all().len()) {
                return None;
            }
        }
        let special = Specials::new(special);
        // It matches every permission, and nothing narrows it.
        let plain = if is_administrator { Bits::All } else { Bits::of(words) };
        let bytes = plain.bytes() + special.bytes();
        budget.takes_bytes(bytes).then_some(CompiledRole {
            id,
            source,
            is_gone: false,
            inherits,
            closure,
            own,
            is_administrator,
            plain,
            special,
        })
    }
}
