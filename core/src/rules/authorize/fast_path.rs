//! The fast path before the evaluator: roles that are held everywhere and always, and a permission of which no role says
//! more than that it allows it.

use crate::rules::{
    compile::rule_set::{Mark, PermissionId, RuleSet},
    principal::Principal,
};

impl RuleSet {
    /// What [`RuleSet::decide`] answers to a question without resource and fields, where a few roles settle it.
    // Calls nothing but where it ends, so it needs no frame: inlined, its caller would need a larger one.
    #[inline(never)]
    pub(crate) fn fast_path(&self, principal: &Principal, permission: PermissionId) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        // What was allowed is no part of it: half of all answers are yes, which no processor can guess.
        if *mark != Mark::default() || !principal.is_plain_of(self) {
            return None;
        }
        let is_allowed = self.permission_index.any_of(principal.first(), permission.0);
        if principal.has_more() {
            Some(is_allowed || self.allows_more(principal, permission))
        } else {
            Some(is_allowed)
        }
    }

    #[inline(never)]
    fn allows_more(&self, principal: &Principal, permission: PermissionId) -> bool {
        principal.more().iter().any(|role| self.permission_index.has(*role, permission.0))
    }
}
