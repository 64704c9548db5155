//! The fast path before the evaluator: the principal holds its roles everywhere and always, and roles only allow the
//! permission, without conditions.

use crate::rules::{
    DecisionFlags, PermissionId, Principal, RuleSet,
    compile::bits::{self, Bits},
};

impl RuleSet {
    /// What [`RuleSet::decide`] answers to a question without resource and fields, where a few roles settle it.
    // Calls nothing but where it ends, so it needs no frame: inlined, its caller would need a larger one.
    #[inline(never)]
    pub(crate) fn fast_path(&self, principal: &Principal, permission: PermissionId) -> Option<bool> {
        let flags = self.decision_flags.get(permission.0 as usize)?;
        // No branch depends on the answer: half of all answers are yes, which no processor can predict.
        let may_be_held_back = !principal.has_two_factors() && self.has_second_factors();
        if *flags != DecisionFlags::default() || !principal.is_plain_of(self) || may_be_held_back {
            return None;
        }
        match self.permission_index.roles(permission.0)? {
            Bits::Many(roles) if !principal.has_more() => Some(bits::has_any(roles, principal.first())),
            roles => any_has(roles, principal),
        }
    }
}

/// The same for more roles than the principal holds in place, and for a permission that few roles have.
#[inline(never)]
fn any_has(roles: &Bits, principal: &Principal) -> Option<bool> {
    Some(roles.has_any(principal.first()) || principal.more().iter().any(|role| roles.has(*role)))
}
