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
    let mut row = bits::empty(rules.all_permissions().len());
    let mut closures = hierarchy.closures;
    for role in &hierarchy.order {
        let at = *role as usize;
        let declared = &hierarchy.roles[at];
        let (source, inherits) = (policy.roles[declared.at].clone(), declared.inherits.clone().into());
        let one = CompiledRole::new(*role, source, inherits, std::mem::take(&mut closures[at]), own[at].clone());
        let junior = |role: &RoleId| flat.get(role.0 as usize)?.as_deref();
        let flattened = one.flattened(junior, &mut row, budget).ok_or_else(too_large)?;
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

impl CompiledRole {
    /// A role that has nothing yet, neither its own grants nor those that it inherits.
    pub(super) fn new(id: u32, source: Arc<Role>, inherits: Box<[RoleId]>, closure: Box<[u32]>, own: Arc<Own>) -> Self {
        let (plain, special) = (Bits::default(), Specials::default());
        Self { id, source, is_gone: false, inherits, closure, own, is_administrator: false, plain, special }
    }

    /// With all its grants; none where the policy is too large. Needs room for one bit for each permission.
    pub(super) fn flattened<'j>(
        mut self,
        junior: impl Fn(&RoleId) -> Option<&'j CompiledRole>,
        row: &mut [u64],
        budget: &mut Budget,
    ) -> Option<Self> {
        row.fill(0);
        self.own.plain.iter().for_each(|permission| bits::set(row, *permission));
        let mut special = self.own.special.to_vec();
        self.is_administrator = self.own.is_administrator;
        for junior in self.inherits.iter().filter_map(junior) {
            junior.plain.add_to(row);
            special.extend_from_slice(junior.special.all());
            self.is_administrator |= junior.is_administrator;
            // A word of it holds 64 permissions and costs next to nothing.
            if !budget.takes_steps(row.len() / 8 + junior.special.all().len()) {
                return None;
            }
        }
        self.special = Specials::new(special);
        // It matches every permission, and nothing narrows it.
        self.plain = if self.is_administrator { Bits::All } else { Bits::of(row) };
        budget.takes_bytes(self.plain.bytes() + self.special.bytes()).then_some(self)
    }
}
