//! Answers that need no more than a few bits. Each is what [`RuleSet::decide`] answers, or none.

use crate::model::time::Time;

use super::super::{
    principal::Principal,
    rule_set::{Mark, PermissionId, RuleSet},
    scope_kind::BoundScope,
};

impl RuleSet {
    /// The answer to a question without resource and fields, where roles that are held everywhere and
    /// always settle it.
    // Calls nothing, so it needs no frame: inlined into what calls it would cost more.
    #[inline(never)]
    pub(crate) fn at_a_glance(&self, principal: &Principal, permission: PermissionId) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        if principal.stamp != self.stamp || mark.has(Mark::DENIED.or(Mark::DEMANDING)) {
            return None;
        }
        let is_allowed = self.columns.any_has(principal.first_places(), permission.0)?;
        // What was allowed is asked last: half of all answers are yes, which no processor can guess.
        (principal.is_simple() && !mark.has(Mark::SPECIAL) || is_allowed).then_some(is_allowed)
    }

    /// The answer, where windows have a say too, but neither conditions, nor fields, nor denies.
    pub(super) fn at_a_second_glance(
        &self,
        principal: &Principal,
        permission: PermissionId,
        now: Time,
    ) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        if principal.stamp != self.stamp || mark.has(Mark::DEMANDING) || principal.is_rare() {
            return None;
        }
        if !principal.is_active() {
            return Some(false);
        }
        let (now, is_marked) = (now.as_microsecond(), mark.has(Mark::SPECIAL));
        let is_special = |role: u32| is_marked && !self.specials(role, permission.0).is_empty();
        let mut is_allowed = false;
        let [first, more] = principal.plain();
        for role in first.iter().chain(more) {
            if is_special(*role) {
                return None;
            }
            is_allowed |= self.columns.has(*role, permission.0);
        }
        for held in principal.limited().iter().filter(|held| held.is_valid(now)) {
            if is_special(held.role) {
                return None;
            }
            // Without a resource, no other scope covers anything.
            is_allowed |= held.scope == BoundScope::Global && self.columns.has(held.role, permission.0);
        }
        Some(is_allowed)
    }
}
