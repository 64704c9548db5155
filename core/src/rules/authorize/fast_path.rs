//! The fast path before the evaluator: roles that are held everywhere and always, and a permission of which no role says
//! more than that it allows it.

use crate::rules::{
    compile::rule_set::{Mark, PermissionId, RuleSet},
    principal::Principal,
};

impl RuleSet {
    /// What [`RuleSet::decide`] answers to a question without resource and fields, where a few roles settle it.
    #[inline]
    pub(crate) fn fast_path(&self, principal: &Principal, permission: PermissionId) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        // What was allowed is no part of it: half of all answers are yes, which no processor can guess.
        if *mark != Mark::default() || !principal.is_plain_of(self) {
            return None;
        }
        let index = &self.permission_index;
        let is_allowed = index.any_of(principal.first(), permission.0);
        Some(is_allowed || principal.more().iter().any(|role| index.has(*role, permission.0)))
    }
}
