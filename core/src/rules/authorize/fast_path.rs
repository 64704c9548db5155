//! Most answers: by a few bits, or in one pass over what is held. Each is what [`RuleSet::decide`] answers, or none.

use crate::model::time::Time;

use super::EvaluationContext;
use crate::rules::{
    compile::{
        permission_index::Column,
        role::Says,
        rule_set::{Mark, PermissionId, RuleSet},
    },
    condition::value::Halves,
    principal::{FastPath, Principal},
    scope::kind::BoundScope,
};

impl RuleSet {
    /// The answer to a question without resource and fields, where a few roles that are held everywhere and
    /// always settle it.
    // Calls nothing, so it needs no frame: inlined, its caller would need a larger one.
    #[inline(never)]
    pub(crate) fn fast_path(&self, fast_path: &FastPath, permission: PermissionId) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        // What was allowed is no part of it: half of all answers are yes, which no processor can guess.
        if *mark != Mark::default() || !fast_path.is_simple_of(self) {
            return None;
        }
        Some(self.permission_index.any_of(&fast_path.first, permission.0))
    }

    /// The answer to a question without resource and fields, where windows have a say too.
    pub(in crate::rules) fn at_a_second_glance(
        &self,
        principal: &Principal,
        permission: PermissionId,
        now: Time,
    ) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        if !principal.is_of(self) || mark.has(Mark::DEMANDING) {
            return None;
        }
        // Without a resource, no other scope covers anything.
        let covers = |scope: &BoundScope| matches!(scope, BoundScope::Global);
        self.sum(principal, permission.0, *mark, now, covers, |_| None)
    }

    /// The answer to a question about a resource without fields, where scopes and conditions have a say too.
    #[inline]
    pub(in crate::rules) fn at_a_closer_glance(
        &self,
        permission: PermissionId,
        cx: &EvaluationContext<'_>,
    ) -> Option<bool> {
        let mark = self.marks.get(permission.0 as usize)?;
        let holds = |condition| Some(self.condition_allows(condition, cx));
        if mark.is_conditional()
            && let Some(may_allow) = self.may_allow_here(permission.0, cx)
        {
            return if may_allow { holds(*self.lone.get(permission.0 as usize)?) } else { Some(false) };
        }
        self.sum(cx.principal, permission.0, *mark, cx.when, |scope| cx.covers(scope), holds)
    }

    /// Whether a role that is held where the resource is allows a permission under its lone condition, where
    /// nothing else can allow it and scopes alone limit what is held; none where it takes more to know.
    #[inline(never)]
    fn may_allow_here(&self, permission: u32, cx: &EvaluationContext<'_>) -> Option<bool> {
        let (first, limited) = cx.principal.scoped()?;
        let (kind, at) = cx.lies_at()?;
        let column = self.conditional.of(permission);
        if first.iter().any(|role| self.is_administrator(*role)) {
            return None;
        }
        if first.iter().any(|role| column.has(*role)) {
            return Some(true);
        }
        if let Column::Bits([word]) = column {
            // No processor can guess where somebody's roles are held: where all stand in one word, a look at each
            // costs less than a branch.
            let mut found = 0;
            for held in limited {
                let BoundScope::Id(own, id) = &held.scope else { return None };
                let is_here = (*own == kind) & (at == Halves::from(*id));
                found |= u64::from(is_here) & word.checked_shr(held.role).unwrap_or_default();
            }
            return Some(found == 1);
        }
        for held in limited {
            let BoundScope::Id(own, id) = &held.scope else { return None };
            if *own == kind && at == Halves::from(*id) && column.has(held.role) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// What the assignments of one principal allow together, where neither denies, nor fields, nor sessions,
    /// keys and chains have a say. `holds` may leave a condition to a closer look.
    #[inline(never)]
    fn sum(
        &self,
        principal: &Principal,
        permission: u32,
        mark: Mark,
        now: Time,
        covers: impl Fn(&BoundScope) -> bool,
        holds: impl Fn(u32) -> Option<bool>,
    ) -> Option<bool> {
        if principal.is_special() {
            return None;
        }
        if !principal.is_active() {
            return Some(false);
        }
        // Whoever says more may deny it, wherever that is.
        if mark.has(Mark::DENIED) && self.say_more(principal, permission) {
            return None;
        }
        if !mark.has(Mark::SPECIAL) {
            let plain = self.permission_index.of(permission);
            return self.any_role(principal, now, covers, |role| Some(plain.has(role)));
        }
        if mark.has(Mark::ALIKE) {
            let conditional = self.conditional.of(permission);
            let never_plain = mark.has(Mark::NEVER_PLAIN);
            // Asked about once, as it is the same for all.
            let mut is_conditional = false;
            let gives = |role: u32| {
                is_conditional |= conditional.has(role);
                Some((!never_plain || self.is_administrator(role)) && self.permission_index.has(role, permission))
            };
            let is_allowed = self.any_role(principal, now, covers, gives)?;
            return match is_conditional && !is_allowed {
                true => holds(*self.lone.get(permission as usize)?),
                false => Some(is_allowed),
            };
        }
        let plain = self.permission_index.of(permission);
        let gives = |role: u32| {
            let Some(own) = self.role_marks.get(role as usize) else { return Some(false) };
            if own.has_plain && plain.has(role) {
                return Some(true);
            }
            match own.index.says(permission) {
                Says::Nothing => Some(false),
                Says::AllowsIf(condition) => holds(condition),
                Says::More(_) => None,
            }
        };
        self.any_role(principal, now, covers, gives)
    }

    /// Whether one of the roles that count gives it; none where one leaves that to a closer look.
    #[inline]
    fn any_role(
        &self,
        principal: &Principal,
        now: Time,
        covers: impl Fn(&BoundScope) -> bool,
        mut gives: impl FnMut(u32) -> Option<bool>,
    ) -> Option<bool> {
        for roles in principal.plain() {
            for role in roles {
                if gives(*role)? {
                    return Some(true);
                }
            }
        }
        let (limited, windows) = principal.limited();
        let now = if windows.is_empty() { 0 } else { now.as_microsecond() };
        for (at, held) in limited.iter().enumerate() {
            let is_valid = windows.get(at).is_none_or(|window| window.holds(now));
            // `admin:all` is held everywhere or not at all.
            let counts = || matches!(held.scope, BoundScope::Global) || !self.is_administrator(held.role);
            if is_valid && covers(&held.scope) && counts() && gives(held.role)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether a role says more of a permission than that it allows it.
    fn say_more(&self, principal: &Principal, permission: u32) -> bool {
        let says_more = |role: u32| matches!(self.says(role, permission), Says::More(_));
        let (limited, _) = principal.limited();
        principal.plain().into_iter().flatten().any(|role| says_more(*role))
            || limited.iter().any(|held| says_more(held.role))
    }
}
