//! What a session says of who asks by it.

use std::borrow::Cow;

use super::Proved;

use crate::model::{error::Result, proof::Proofs, time::Time, value::Value};
use crate::rules::{GivenValue, Principal, RuleSet};

/// What a session says of who asks by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionProperties {
    /// When it was last proved who it is: `principal.authenticated_at`; none: by the clock that is yet to come.
    pub(crate) authenticated_at: Option<Time>,
    /// By what: `principal.factors`.
    pub(crate) proofs: Proofs,
    /// Whether everybody has to prove two factors to be allowed anything.
    pub(crate) needs_two_factors: bool,
}

impl RuleSet {
    /// The principal as it asks in a session: with what conditions read of that, and without what roles allow that need a second
    /// factor where none was proved.
    pub(crate) fn in_session<'p>(&self, principal: &'p Principal, session: SessionProperties) -> Cow<'p, Principal> {
        let mut asking = self.at_level(principal, session.proofs.are_two_factors(), session.needs_two_factors);
        let session_reads = |first: &u32| self.reads.principal.last() >= Some(first);
        if let Some(first) = self.shared.symbols.session.filter(session_reads) {
            let attributes = &mut asking.to_mut().detail_mut().attributes;
            if let Some(at) = session.authenticated_at {
                attributes.push((first, GivenValue::One(Value::Time(at.as_microsecond()))));
            }
            let proofs = session.proofs.iter().map(|proof| Value::from(proof.as_str())).collect();
            attributes.push((first + 1, GivenValue::Set(proofs)));
        }
        asking
    }

    /// Somebody as it asks in a session of its own and acts as another user: what both may do. Of the user nothing was proved, so that
    /// what conditions read of its session is absent; roles that need a second factor count as they do for who acts, as with a key.
    ///
    /// # Errors
    /// [`Reason::Internal`](crate::Reason::Internal) if one of them was made by another rule set.
    pub(crate) fn acting_as(
        &self,
        asking: &Principal,
        user: &Principal,
        session: SessionProperties,
    ) -> Result<Principal> {
        let user = self.at_level(user, session.proofs.are_two_factors(), session.needs_two_factors);
        self.on_behalf_of(asking, &user)
    }

    /// The principal without what roles allow that need a second factor, where none was proved; without what any allows, where
    /// everybody has to.
    pub(super) fn at_level<'p>(
        &self,
        principal: &'p Principal,
        has_two_factors: bool,
        needs_two_factors: bool,
    ) -> Cow<'p, Principal> {
        let mut asking = Cow::Borrowed(principal);
        if !has_two_factors && needs_two_factors {
            // What its roles deny, they deny.
            asking = Cow::Owned(self.with_active_roles(principal, &[]));
        } else if !has_two_factors && self.has_second_factors() {
            let held_back = asking.to_mut();
            held_back.proved = held_back.proved.set(Proved::TWO_FACTORS, false);
        }
        asking
    }

    /// Whether what a role allows does not count: it needs a second factor, and none was proved.
    #[inline]
    pub(in crate::rules) fn is_held_back(&self, principal: &Principal, role: u32) -> bool {
        !principal.has_two_factors() && self.needs_second_factor(role)
    }

    /// Whether a role allows nothing until a second factor is proved, by its own setting or through a role that it inherits.
    pub(crate) fn second_factor_demanded_by(&self, role: &str) -> bool {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use uuid::Uuid;

    use super::SessionProperties;
    use crate::{
        model::{
            proof::{Proof, Proofs},
            time::Time,
        },
        rules::{Policy, PrincipalData, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal},
    };

    /// `strong` needs a second factor; `senior` inherits it and `plain`; `plain` denies.
    fn rules() -> RuleSet {
        let policy = Policy::new()
            .permissions(["a:one", "a:two", "a:three", "a:four"])
            .add_role(Role::new("strong").second_factor().allow("a:one").deny("a:four"))
            .add_role(Role::new("plain").allow("a:two"))
            .add_role(Role::new("senior").inherits("strong").inherits("plain").allow("a:three"))
            .add_role(Role::new("other").allow("a:four"));
        RuleSet::compile(&policy, &Schema::new()).unwrap()
    }

    /// Which of the permissions a holder of these roles has, by so much proved.
    fn has(rules: &RuleSet, roles: &[&str], proofs: Proofs) -> Vec<String> {
        let mut stored = StoredPrincipal::new(Uuid::from_u128(1));
        stored.has_two_factors = true;
        stored.assignments = roles.iter().map(|role| StoredAssignment::new(*role, Scope::Global)).collect();
        let principal = rules.resolve_stored(stored);
        let now = Time::from_second(1_800_000_000).unwrap();
        let asking = rules.in_session(
            &principal,
            SessionProperties { authenticated_at: Some(now), proofs, needs_two_factors: false },
        );
        let may = |name: &String| {
            let permission = rules.permission(name).unwrap();
            rules.check(&asking, permission, now).unwrap()
        };
        let names = ["a:one", "a:two", "a:three", "a:four"].map(str::to_owned);
        names.into_iter().filter(may).collect()
    }

    #[test]
    fn aut_10_a_role_that_needs_a_second_factor_allows_nothing_without_and_denies_all_the_same() {
        let rules = rules();
        let (one, two) = (Proofs::from(Proof::Password), Proofs::from(Proof::Password).with(Proof::Totp));
        assert_eq!(has(&rules, &["senior", "other"], two), ["a:one", "a:two", "a:three"]);
        assert!(has(&rules, &["senior", "other"], one).is_empty(), "nor what it inherits of others");
        assert_eq!(has(&rules, &["plain", "other"], one), ["a:two", "a:four"]);
        assert_eq!(has(&rules, &["strong", "plain"], one), ["a:two"]);
        assert!(has(&rules, &["senior"], Proof::Totp.into()).is_empty(), "an app alone is one factor");
        assert_eq!(has(&rules, &["senior", "plain"], one), ["a:two"], "by the role that does not need it");
    }

    #[test]
    fn aut_10_edits_of_roles_change_who_needs_one() {
        let rules = rules();
        let one = Proofs::from(Proof::Password);
        let all = |rules: &RuleSet| rules.roles().filter(|role| role.needs_second_factor).count();
        assert_eq!(all(&rules), 2);
        let edited = rules.with_role(Role::new("plain").second_factor().allow("a:two")).unwrap();
        assert!(has(&edited, &["senior"], one).is_empty() && all(&edited) == 3);
        let edited = edited.with_role(Role::new("strong").allow("a:one")).unwrap();
        let edited = edited.with_role(Role::new("senior").inherits("strong")).unwrap();
        assert_eq!(has(&edited, &["senior"], one), ["a:one"]);
        let edited = edited.without_role("plain").unwrap();
        assert!(!edited.has_second_factors());
    }

    /// Who describes principals itself says so, or what needs it is not allowed.
    #[test]
    fn rbc_19_a_principal_that_is_described_has_proved_one_factor_unless_it_says_so() {
        let rules = rules();
        let data = PrincipalData::new(Uuid::from_u128(1)).roles(["senior"]);
        let now = Time::from_second(1_800_000_000).unwrap();
        let permission = rules.permission("a:one").unwrap();
        let may = |data: &PrincipalData| {
            let principal = rules.resolve_principal(data).unwrap();
            rules.check(&principal, permission, now).unwrap()
        };
        assert!(!may(&data) && !may(&data.clone().second_factor(false)) && may(&data.second_factor(true)));
    }
}
