//! Somebody who asks, as a host without accounts describes them.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input};
use serde_json::Value as Json;
use uuid::Uuid;

use super::stored::{self, StoredAssignment, StoredPrincipal};

use crate::model::{
    check::{Checks, Invalid},
    decode::{self, Decoder, FieldCode, FromJson},
    error::Result,
    id::UserId,
    input::{Limits, read},
    predicate::Name,
    time::Time,
    value::Value,
};
use crate::rules::{Base, GivenValue, Principal, RuleSet, Scope, Symbols, USER, check_declared, shown};

/// A user, described by the application: an id, roles, and what conditions read.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct PrincipalData {
    /// Read as `principal.id`. A UUID, unless the policy declares another type for the attribute `id` of the type `user`.
    pub id: PrincipalId,
    /// `active` if not given. A user with any other status may do nothing; explanations name it.
    pub status: Option<String>,
    /// Read as `principal.verified`; true if not given.
    pub verified: Option<bool>,
    /// Whether the user has proved a second factor; false if not given. Otherwise roles that require one allow nothing.
    pub second_factor: Option<bool>,
    /// Read as `principal.NAME`; the policy declares them for the type `user`.
    pub attributes: BTreeMap<String, Value>,
    /// The user's own roles. The name alone stands for a role that is held everywhere and always.
    pub roles: Vec<AssignedRole>,
    /// The roles of the user's groups, by the group's name.
    pub groups: BTreeMap<String, Vec<AssignedRole>>,
}

/// A role that a user holds, in a scope, for a time.
#[derive(Clone, Debug, Input, Describe)]
#[input(alone = "role")]
#[non_exhaustive]
pub struct AssignedRole {
    /// The role's name.
    pub role: String,
    /// Where: `global` (the default), `region:ID`, `resource:TYPE:ID`, or `KIND:ID` of a kind that the policy declares.
    pub scope: Option<Scope>,
    /// From when, inclusive; always if not given.
    pub valid_from: Option<Time>,
    /// Until when, exclusive; for ever if not given.
    pub valid_until: Option<Time>,
}

/// A user's id in the application: a UUID, another text, or an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalId(Value);

impl From<&str> for PrincipalId {
    fn from(id: &str) -> Self {
        Self(Value::Text(id.to_owned()))
    }
}

impl From<String> for PrincipalId {
    fn from(id: String) -> Self {
        Self(Value::Text(id))
    }
}

impl From<i64> for PrincipalId {
    fn from(id: i64) -> Self {
        Self(Value::Int(id))
    }
}

impl From<Uuid> for PrincipalId {
    fn from(id: Uuid) -> Self {
        Self(Value::Id(id))
    }
}

impl From<UserId> for PrincipalId {
    fn from(id: UserId) -> Self {
        Self(Value::Id(id.0))
    }
}

impl FromJson for PrincipalId {
    fn from_json(value: Json, at: &mut Decoder) -> Option<Self> {
        match value {
            Json::Number(_) => i64::from_json(value, at).map(Self::from),
            text => String::from_json(text, at).map(Self::from),
        }
    }
}

#[cfg(feature = "describe")]
impl crate::describe::Describe for PrincipalId {
    fn describe(_: &mut crate::describe::Types) -> crate::describe::TypeRef {
        crate::describe::TypeRef::Key
    }
}

impl PrincipalData {
    /// Reads a description from JSON: `{"id": "…", "roles": ["reader", {"role": "pilot", "scope": "tenant:acme"}]}`.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`](crate::Reason::InvalidJson), [`Reason::InvalidInput`](crate::Reason::InvalidInput) with
    /// every wrong field.
    pub fn from_json(text: &str) -> Result<Self> {
        Ok(decode::decode_within(read(text, Limits::QUESTION)?, Limits::QUESTION)?)
    }

    /// Adds an attribute; null is the same as none.
    ///
    /// ```
    /// use rolekeep::rules::{AssignedRole, PrincipalData, Scope};
    ///
    /// let ada = PrincipalData::new("0190a0b0-0000-7000-8000-000000000001")
    ///     .roles([AssignedRole::new("reader"), AssignedRole::new("pilot").scope(Scope::of("tenant", "acme"))])
    ///     .attribute("department", "maps");
    /// # let _ = ada;
    /// ```
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Adds a group of the user, with its roles.
    pub fn group(mut self, name: impl Into<String>, roles: impl IntoIterator<Item = impl Into<AssignedRole>>) -> Self {
        self.groups.insert(name.into(), roles.into_iter().map(Into::into).collect());
        self
    }
}

impl RuleSet {
    /// The principal that the application describes. Unlike [`RuleSet::resolve_stored`], this refuses what the policy does
    /// not know.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`](crate::Reason::InvalidInput) with every wrong field: roles and kinds of scope that the
    /// policy does not have, attributes that it does not declare or that have another type, and missing attributes that
    /// its conditions read.
    pub fn resolve_principal(&self, data: &PrincipalData) -> Result<Principal> {
        let mut checks = Checks::default();
        let mut stored = StoredPrincipal::new(Uuid::nil());
        self.identify(&data.id, &mut stored, &mut checks);
        if let Some(status) = &data.status {
            stored.is_active = status == stored::ACTIVE;
            stored.status = Name::Owned(status.clone());
        }
        stored.is_verified = data.verified.unwrap_or(true);
        stored.has_two_factors = data.second_factor == Some(true);
        self.check_attributes(&data.attributes, &mut checks);
        stored
            .attributes
            .extend(data.attributes.iter().map(|(name, value)| (Name::Owned(name.clone()), value.clone())));
        self.assign("roles", &data.roles, None, &mut stored, &mut checks);
        for (group, roles) in &data.groups {
            self.assign(&format!("groups.{}", shown(group)), roles, Some(group), &mut stored, &mut checks);
        }
        checks.finish()?;
        Ok(self.resolve_stored(stored))
    }

    fn identify(&self, PrincipalId(given): &PrincipalId, stored: &mut StoredPrincipal, checks: &mut Checks) {
        let base = self.shared.symbols.principal_id();
        match base.id_of(given) {
            Some(Value::Id(id)) => stored.id = id,
            Some(other) => stored.attributes.push((Name::Borrowed("id"), other)),
            None => {
                let message = match base {
                    Base::Id => {
                        "must be a UUID, unless the policy declares `id` of the type `user` as string or int".to_owned()
                    }
                    other => format!("must be of the type {}", other.name()),
                };
                checks.error("id", Invalid::new(FieldCode::InvalidFormat, message));
            }
        }
    }

    fn check_attributes(&self, given: &BTreeMap<String, Value>, checks: &mut Checks) {
        let own = self.shared.symbols.principal.get(Symbols::ALWAYS_GIVEN as usize..).unwrap_or_default();
        for (name, value) in given {
            let field = || format!("attributes.{}", shown(name));
            if let Err(problem) = check_declared(own, name, |ty| GivenValue::from(value.clone()).is_of(ty)) {
                checks.error(&field(), problem.into_invalid("principal", name));
            } else if own.is_empty() {
                let message = "the policy declares no attributes for the type `user`";
                checks.error(&field(), Invalid::new(FieldCode::UnknownField, message));
            }
        }
        // As declared: that others ask who have not signed in makes nothing optional for those who have.
        let Some(user) = self.type_named(USER) else { return };
        for slot in self.reads.principal.iter().filter(|slot| **slot >= Symbols::ALWAYS_GIVEN) {
            let name = self.shared.symbols.principal.get(*slot as usize).map_or("", |one| one.name.as_str());
            let is_optional = user.attributes.iter().any(|one| one.name == name && one.is_optional);
            let is_given =
                given.get(name).is_some_and(|value| GivenValue::from(value.clone()) != GivenValue::One(Value::Null));
            if !is_given && !is_optional {
                let message = format!("is required: conditions of the policy read `principal.{}`", shown(name));
                checks.error(&format!("attributes.{name}"), Invalid::new(FieldCode::Required, message));
            }
        }
    }

    fn assign(
        &self,
        field: &str,
        roles: &[AssignedRole],
        group: Option<&str>,
        stored: &mut StoredPrincipal,
        checks: &mut Checks,
    ) {
        for (at, one) in roles.iter().enumerate() {
            if checks.is_full() {
                return;
            }
            let part = |name: &str| format!("{field}[{at}].{name}");
            if let Err(problem) = self.role(&one.role) {
                checks.unknown(&part("role"), FieldCode::NotFound, &problem);
            }
            let scope = one.scope.clone().unwrap_or(Scope::Global);
            if let Err(problem) = self.check_scope(&scope) {
                checks.error(&part("scope"), Invalid::new(FieldCode::NotFound, problem.message()));
            }
            if let (Some(from), Some(until)) = (one.valid_from, one.valid_until)
                && until <= from
            {
                let message = "must be later than valid_from";
                checks.error(&part("valid_until"), Invalid::new(FieldCode::OutOfRange, message));
            }
            stored.assignments.push(StoredAssignment {
                valid_from: one.valid_from,
                valid_until: one.valid_until,
                group: group.map(Into::into),
                ..StoredAssignment::new(one.role.as_str(), scope)
            });
        }
    }
}
