//! What somebody holds, whatever it is for.

use crate::model::time::Time;
use crate::rules::{BoundScope, Principal, RoleAssignment, RoleId, RuleSet, Scope, bind};

impl RuleSet {
    /// Whether a principal holds `admin:all` now.
    pub(crate) fn holds_admin(&self, principal: &Principal, now: Time) -> bool {
        let now = now.as_microsecond();
        principal.chain().all(|one| {
            let is_administrator = one.assignments().any(|held| self.administers(one, held, now));
            one.is_active() && one.is_of(self) && !one.is_key() && is_administrator
        })
    }

    /// Whether a principal holds a role now, itself or as the junior of one that it holds: everywhere, or, where a
    /// scope is given, everywhere or just there. An API key holds none. Roles say what somebody is, not what it may do: ask
    /// for permissions where there is a choice.
    pub fn holds_role(&self, principal: &Principal, role: RoleId, scope: Option<&Scope>, now: Time) -> bool {
        let now = now.as_microsecond();
        let scope = scope.map(|scope| bind(&self.shared.symbols.kinds, scope));
        let is_here = |held: &BoundScope| *held == BoundScope::Global || scope.as_ref() == Some(held);
        principal.chain().all(|one| {
            let counts = |held: RoleAssignment<'_>| {
                let is_somewhere = *held.scope() != BoundScope::Nowhere && is_here(held.scope());
                is_somewhere && self.is_in_force(held, now) && self.has_active_junior(one, held.role, role.0)
            };
            one.is_active() && one.is_of(self) && !one.is_key() && one.assignments().any(counts)
        })
    }
}
