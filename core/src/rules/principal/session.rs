//! What a session says of who asks by it.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::Principal;
use crate::{
    model::{proof::Proofs, time::Time, value::Value},
    rules::{
        compile::rule_set::{RoleId, RuleSet},
        condition::value::GivenValue,
    },
};

/// What a session says of who asks by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionFacts {
    /// When it was last proved who it is: `principal.authenticated_at`.
    pub(crate) authenticated_at: Time,
    /// By what: `principal.factors`.
    pub(crate) proofs: Proofs,
}

impl RuleSet {
    /// The principal as it asks in a session: with what conditions read of that, and without what roles allow that need a second
    /// factor where none was proved.
    pub(crate) fn in_session<'p>(&self, principal: &'p Principal, session: SessionFacts) -> Cow<'p, Principal> {
        let mut asking = match session.proofs.are_two_factors() {
            true => Cow::Borrowed(principal),
            false => self.by_one_factor(principal),
        };
        if self.reads_session
            && let Some([authenticated_at, factors]) = self.shared.symbols.session
        {
            let proofs = session.proofs.iter().map(|proof| Value::from(proof.as_str())).collect();
            let at = Value::Time(session.authenticated_at.as_microsecond());
            let attributes = &mut asking.to_mut().detail_mut().attributes;
            attributes.push((authenticated_at, GivenValue::One(at)));
            attributes.push((factors, GivenValue::Set(proofs)));
        }
        asking
    }

    /// The principal without what its roles allow that need a second factor; what they deny stays.
    pub(in crate::rules) fn by_one_factor<'p>(&self, principal: &'p Principal) -> Cow<'p, Principal> {
        let needs = |role: u32| self.second_factors.binary_search(&role).is_ok();
        // Most policies have no such role, and most users do not hold one.
        if self.second_factors.is_empty() || !principal.roles().any(needs) {
            return Cow::Borrowed(principal);
        }
        let held = principal.roles().filter_map(|role| self.roles.get(role as usize));
        let juniors = held.flat_map(|role| role.closure.iter().copied());
        let active: SmallVec<[RoleId; 8]> = juniors.filter(|role| !needs(*role)).map(RoleId).collect();
        Cow::Owned(self.with_active_roles(principal, &active))
    }

    /// Whether a role allows nothing to who has not proved a second factor: itself, or by a role that it inherits.
    pub fn second_factor_demanded_by(&self, role: &str) -> bool {
        self.role(role).is_ok_and(|role| self.needs_second_factor(role.0))
    }

    /// Whether there is such a role.
    pub(crate) fn has_second_factors(&self) -> bool {
        !self.second_factors.is_empty()
    }

    pub(in crate::rules) fn needs_second_factor(&self, role: u32) -> bool {
        self.second_factors.binary_search(&role).is_ok()
    }
}
