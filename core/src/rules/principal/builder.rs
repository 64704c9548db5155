//! How principals come to be.

use std::sync::Arc;

use smallvec::SmallVec;
use uuid::Uuid;

use super::{
    ColdFields, Detail, FIRST, Proved,
    assignments::{Assignment, AssignmentNote},
    key::PermissionSet,
    stored::{self, StoredAssignment, StoredPrincipal},
};

use crate::model::{
    error::{Error, Reason, Result},
    predicate::Name,
    value::Value,
};
use crate::rules::{
    Base, GivenValue, NONE, Principal, RoleId, RuleSet, RuleSetVersion, ScopeTree, Symbols, check_declared,
    compile::bits,
};

impl Principal {
    /// Without an account, and without roles.
    pub(in crate::rules) fn nobody(rules_version: RuleSetVersion) -> Self {
        Self {
            id: Uuid::nil(),
            version: 0,
            detail: None,
            first: [NONE; FIRST],
            rules_version,
            is_signed_in: false,
            is_active: true,
            proved: Proved::NOTHING,
        }
    }

    pub(super) fn detail_mut(&mut self) -> &mut Detail {
        Arc::make_mut(self.detail.get_or_insert_default())
    }

    pub(super) fn cold_mut(&mut self) -> &mut ColdFields {
        self.detail_mut().cold.get_or_insert_default()
    }

    fn set_plain(&mut self, roles: &[u32]) {
        let (first, more) = roles.split_at(roles.len().min(FIRST));
        self.first = [NONE; FIRST];
        self.first.iter_mut().zip(first).for_each(|(place, role)| *place = *role);
        if !more.is_empty() {
            self.detail_mut().more = more.into();
        }
    }

    /// It is an API key that reaches these permissions.
    pub(super) fn limit_to(&mut self, permissions: PermissionSet) {
        self.with_more();
        self.cold_mut().key = Some(permissions);
    }

    /// More counts than its plain roles: the fast path does not answer for it.
    fn with_more(&mut self) {
        self.rules_version = self.rules_version.with_more();
    }
}

/// Assignments as they are bound, and as stored.
type Bound = SmallVec<[(Assignment, StoredAssignment); FIRST]>;

impl RuleSet {
    /// The principal of a stored record. A role that the policy does not know has no effect. If an attribute does not have the type that
    /// the policy declares, or is not declared, all checks of the principal fail with [`Reason::PrincipalInvalid`].
    pub fn resolve_stored(&self, stored: StoredPrincipal) -> Principal {
        self.resolve_stored_in(stored, None)
    }

    /// The same, with the rows of nested kinds of scope.
    pub fn resolve_stored_in(&self, stored: StoredPrincipal, tree: Option<&Arc<ScopeTree>>) -> Principal {
        let StoredPrincipal { id, is_active, is_verified, has_two_factors, version, good_from, good_until, .. } =
            stored;
        let nobody = Principal::nobody(self.rules_version);
        let proved = Proved::NOTHING.set(Proved::ADDRESS, is_verified).set(Proved::TWO_FACTORS, has_two_factors);
        let mut principal = Principal { id, version, is_signed_in: true, is_active, proved, ..nobody };
        if self.bind_roles(stored.assignments, tree, &mut principal) {
            principal.cold_mut().has_unknown_roles = true;
        }
        if good_from.is_some() || good_until.is_some() {
            let cold = principal.cold_mut();
            (cold.good_from, cold.good_until) = (good_from, good_until);
            principal.with_more();
        }
        let attributes = self.attributes_read(&stored.attributes);
        if !attributes.is_empty() {
            principal.detail_mut().attributes = attributes;
        }
        if let Some(problem) = self.problem_of(&stored.attributes) {
            principal.cold_mut().problem = Some(problem.into());
            principal.with_more();
        }
        if stored.status != stored::ACTIVE {
            principal.cold_mut().status = Some(stored.status.into());
        }
        if !is_active {
            principal.with_more();
        }
        principal
    }

    /// Gives the principal its roles; true where one is unknown here.
    fn bind_roles(
        &self,
        stored: Vec<StoredAssignment>,
        tree: Option<&Arc<ScopeTree>>,
        principal: &mut Principal,
    ) -> bool {
        let (kinds, count) = (&self.shared.symbols.kinds, stored.len());
        let known = stored.into_iter().filter_map(|one| {
            let role = *self.role_ids.get(&*one.role)?;
            Some((Assignment::new(role, &one, kinds), one))
        });
        let (plain, limited): (Bound, Bound) = known.partition(|(bound, _)| bound.is_plain());
        let has_unknown = plain.len() + limited.len() < count;
        let roles: SmallVec<[u32; FIRST]> = plain.iter().map(|(bound, _)| bound.role).collect();
        principal.set_plain(&roles);
        if !limited.is_empty() {
            principal.with_more();
            principal.detail_mut().assignments = limited.iter().map(|(bound, _)| bound.clone()).collect();
        }
        if let Some(tree) = tree.filter(|_| limited.iter().any(|(bound, _)| bound.lies_above(kinds))) {
            principal.cold_mut().tree = Some(tree.clone());
        }
        let notes = (0..).zip(plain.into_iter().chain(limited));
        let notes: Box<[_]> =
            notes.filter_map(|(at, (bound, one))| Some((at, AssignmentNote::of(&bound, one, kinds)?))).collect();
        if !notes.is_empty() {
            principal.cold_mut().notes = notes;
        }
        has_unknown
    }

    /// By slot, the attributes that conditions read.
    fn attributes_read(&self, given: &[(Name, Value)]) -> SmallVec<[(u32, GivenValue); 1]> {
        // A UUID stands in the principal itself; another id is kept for explanations, too, whether it is read or not.
        let own = (self.shared.symbols.principal_id() != Base::Id).then_some(0);
        let read = self.reads.principal.iter().copied().filter(|slot| *slot >= Symbols::ALWAYS_GIVEN);
        let slots = own.into_iter().chain(read);
        let read = slots.filter_map(|slot| {
            let attribute = self.shared.symbols.principal.get(slot as usize)?;
            let is_it = |(name, _): &&(Name, Value)| **name == *attribute.name || attribute.member() == Some(&**name);
            let (_, value) = given.iter().rfind(is_it)?;
            (!value.is_null()).then(|| (slot, GivenValue::from(value.clone())))
        });
        read.collect()
    }

    /// What is wrong with the first attribute that is not as declared.
    fn problem_of(&self, given: &[(Name, Value)]) -> Option<String> {
        let declared = &self.shared.symbols.principal;
        if declared.len() <= Symbols::ALWAYS_GIVEN as usize {
            return None;
        }
        given.iter().filter(|(name, _)| !name.contains(':')).find_map(|(name, value)| {
            let problem = check_declared(declared, name, |ty| GivenValue::from(value.clone()).is_of(ty)).err()?;
            Some(problem.of("principal", name))
        })
    }

    /// The principal of somebody who is not signed in: the policy's anonymous role, and no attributes.
    pub fn anonymous(&self) -> Principal {
        let mut principal = Principal::nobody(self.rules_version);
        if let Some(role) = self.anonymous {
            principal.set_plain(&[role.0]);
        }
        principal
    }

    /// The same principal with only these roles, and what they inherit, active: the allows of its other roles do not count, their denies
    /// do (the active roles of a session in ANSI INCITS 359).
    ///
    /// Roles that it does not hold have no effect.
    pub fn with_active_roles(&self, principal: &Principal, roles: &[RoleId]) -> Principal {
        let mut active: Vec<u32> = roles.iter().map(|role| role.0).collect();
        active.sort_unstable();
        let mut narrowed = principal.clone();
        narrowed.with_more();
        narrowed.cold_mut().active = Some(active.into());
        narrowed
    }

    /// An API key of an account: it may do what these roles of its owner allow and one of these patterns matches. All of the owner's
    /// denies count, and a key is never an administrator.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`]; [`Reason::UnknownPermission`] for a pattern that is not valid, names fields or matches
    /// nothing.
    pub fn api_key(&self, owner: &Principal, roles: &[&str], patterns: &[&str]) -> Result<Principal> {
        let roles = roles.iter().map(|role| self.role(role)).collect::<Result<Vec<_>>>()?;
        let mut words = bits::empty(self.all_permissions().len());
        patterns.iter().try_for_each(|text| self.add_pattern(text, &mut words))?;
        let mut key = self.with_active_roles(owner, &roles);
        key.limit_to(words.into());
        Ok(key)
    }

    /// A principal that acts on behalf of another: it may do what both may do, each with their own roles and attributes. The other may in
    /// turn act on behalf of somebody.
    ///
    /// # Errors
    /// [`Reason::Internal`] if one of them was made by another rule set.
    pub fn on_behalf_of(&self, actor: &Principal, other: &Principal) -> Result<Principal> {
        if !actor.is_of(self) || !other.is_of(self) {
            return Err(Error::new(Reason::Internal, "this principal was made by another rule set"));
        }
        let behind = match actor.on_behalf_of() {
            Some(next) => self.on_behalf_of(next, other)?,
            None => other.clone(),
        };
        let mut acting = actor.clone();
        acting.with_more();
        acting.cold_mut().on_behalf_of = Some(Arc::new(behind));
        Ok(acting)
    }
}
