//! Answers that need no more than a few bits. Each is what [`RuleSet::decide`] answers, or none.

use crate::model::time::Time;

use super::super::{
    principal::Principal,
    role::Says,
    rule_set::{Mark, PermissionId, RoleMark, RuleSet},
    scope_kind::BoundScope,
};
use super::Here;

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

    /// The answer to a question without resource and fields, where windows have a say too.
    pub(super) fn at_a_second_glance(
        &self,
        principal: &Principal,
        permission: PermissionId,
        now: Time,
    ) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        if principal.stamp != self.stamp || mark.has(Mark::DEMANDING) {
            return None;
        }
        // Without a resource, no other scope covers anything.
        let covers = |scope: &BoundScope| *scope == BoundScope::Global;
        self.sum(principal, permission.0, *mark, now, covers, |_| None)
    }

    /// The answer to a question about a resource without fields, where scopes and conditions have a say too.
    #[inline]
    pub(super) fn at_a_closer_glance(&self, permission: PermissionId, here: &Here<'_>) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        let holds = |condition| Some(self.condition_allows(condition, here));
        self.sum(here.principal, permission.0, *mark, here.when, |scope| here.covers(scope), holds)
    }

    /// What the assignments of one principal allow together, where neither denies, nor fields, nor sessions,
    /// keys and chains have a say. `holds` may leave a condition to a closer look.
    #[inline]
    fn sum(
        &self,
        principal: &Principal,
        permission: u32,
        mark: Mark,
        now: Time,
        covers: impl Fn(&BoundScope) -> bool,
        holds: impl Fn(u32) -> Option<bool>,
    ) -> Option<bool> {
        if principal.is_rare() || mark.has(Mark::DENIED) && self.may_deny(principal, permission, now) {
            return None;
        }
        let gives = |own: &RoleMark, role: u32| {
            if own.has_plain && self.columns.has(role, permission) {
                return Some(true);
            }
            match mark.has(Mark::SPECIAL).then(|| own.index.says(permission)) {
                None | Some(Says::Nothing) => Some(false),
                Some(Says::AllowsIf(condition)) => holds(condition),
                Some(Says::More(_)) => None,
            }
        };
        if !principal.is_active() {
            return Some(false);
        }
        for roles in principal.plain() {
            for role in roles {
                let Some(own) = self.role_marks.get(*role as usize) else { continue };
                if gives(own, *role)? {
                    return Some(true);
                }
            }
        }
        for (held, window) in principal.limited() {
            if !window.is_none_or(|window| window.holds(now.as_microsecond())) || !covers(&held.scope) {
                continue;
            }
            let Some(own) = self.role_marks.get(held.role as usize) else { continue };
            // `admin:all` is held everywhere or not at all.
            let counts = !own.is_administrator || held.scope == BoundScope::Global;
            if counts && gives(own, held.role)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether a role says so much of a permission that it may deny it.
    fn may_deny(&self, principal: &Principal, permission: u32, now: Time) -> bool {
        let now = now.as_microsecond();
        let says_more = |role| matches!(self.says(role, permission), Says::More(_));
        principal.held().any(|held| says_more(held.role) && held.is_valid(now))
    }
}
