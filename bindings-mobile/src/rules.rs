//! Rules without accounts: a policy, and principals that the host describes.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use rolekeep::{
    Time,
    ffi::rules::{BoundPrincipal, compile},
};
use serde::Serialize;

use crate::{
    Result,
    caller::{Check, Resource, ask_many, read_filter, read_scope},
    direct,
    error::RolekeepError,
    face::{Explanation, PrincipalData, RulesConfig, SqlFilter, SqlTable},
    types::{JsonText, mirror},
};

/// A compiled policy that decides about users of the application's own: no store, no accounts, nothing to wait for.
#[derive(uniffi::Object)]
pub struct Rules(rolekeep::rules::Rules);

/// Somebody who asks, and the rules that decide; asked as a `Caller` is. Made by `Rules.principal`, to be kept as
/// long as what describes them stays the same.
#[derive(uniffi::Object)]
pub struct Principal(BoundPrincipal, OnceLock<direct::Number<BoundPrincipal>>);

impl Principal {
    fn new(bound: BoundPrincipal) -> Arc<Self> {
        Arc::new(Self(bound, OnceLock::new()))
    }
}

#[uniffi::export]
impl Rules {
    /// Compiles a policy: one of a preset, a file's text, or roles and permissions.
    ///
    /// Throws `VALIDATION_ERROR` with every problem of the policy, and where none is given, or several.
    #[uniffi::constructor]
    pub fn compile(config: RulesConfig) -> Result<Arc<Self>> {
        #[allow(clippy::disallowed_methods, reason = "these rules have no environment to ask")]
        Ok(Arc::new(Self(compile(&json(&config)?, Time::now)?)))
    }

    /// Somebody who asks.
    ///
    /// Throws `VALIDATION_ERROR` with every wrong field: roles and kinds of scope that the policy does not have,
    /// attributes that it does not declare or that have another type, and missing attributes that it reads.
    pub fn principal(&self, data: PrincipalData) -> Result<Arc<Principal>> {
        Ok(Principal::new(BoundPrincipal::described(&self.0, &json(&data)?)?))
    }

    /// The principal of somebody who is not signed in. It holds the policy's `anonymous` role, if there is one.
    pub fn anonymous(&self) -> Arc<Principal> {
        Principal::new(BoundPrincipal::anonymous(&self.0))
    }
}

#[uniffi::export]
impl Principal {
    /// Whether the principal may do this to all resources there could be. A permission may name fields,
    /// `document:edit{title,body}`: each must be allowed.
    ///
    /// Throws `VALIDATION_ERROR` for an unknown permission (naming the nearest).
    pub fn can(&self, permission: String) -> Result<bool> {
        Ok(self.0.checks().check(self.0.principal(), &permission, None)?)
    }

    /// `can` with a resource: whether the principal may do this to it.
    ///
    /// Throws `VALIDATION_ERROR` for a resource that lacks what the policy reads, too.
    pub fn can_on(&self, permission: String, resource: Resource) -> Result<bool> {
        Ok(self.0.checks().check(self.0.principal(), &permission, &rolekeep::Resource::from(resource))?)
    }

    /// Several checks at one moment, each as `can`; faster than one call for each.
    pub fn can_many(&self, checks: Vec<Check>) -> Result<Vec<bool>> {
        ask_many(checks, |checks| self.0.checks().check_many(self.0.principal(), checks))
    }

    /// Whether there could be a resource to which the principal may do this: for menus. The answer may be a wrong
    /// yes, never a wrong no.
    pub fn can_somewhere(&self, permission: String) -> Result<bool> {
        Ok(self.0.can_somewhere(&permission)?)
    }

    /// Throws `FORBIDDEN` unless `can` is true.
    pub fn require(&self, permission: String) -> Result<()> {
        Ok(self.0.checks().require(self.0.principal(), &permission, None)?)
    }

    /// `require` with a resource.
    pub fn require_on(&self, permission: String, resource: Resource) -> Result<()> {
        Ok(self.0.checks().require(self.0.principal(), &permission, &rolekeep::Resource::from(resource))?)
    }

    /// Whether the principal holds a role now, directly or by a role that inherits it: everywhere or, if a scope
    /// (`region:ID`) is given, everywhere or in exactly this one. An API key holds none. Prefer `can`: which role allows
    /// something is up to the policy.
    #[uniffi::method(default(scope = None))]
    pub fn has_role(&self, role: String, scope: Option<String>) -> Result<bool> {
        Ok(self.0.checks().has_role(self.0.principal(), &role, read_scope(scope)?.as_ref())?)
    }

    /// The rows of your own table to which the principal may do this, as a condition in SQL: the rows that pass are
    /// exactly those that `can` allows.
    ///
    /// Throws as `can` does, and `VALIDATION_ERROR` naming every attribute that cannot be expressed exactly in this
    /// SQL.
    pub fn filter(&self, permission: String, table: SqlTable) -> Result<SqlFilter> {
        read_filter(|asked| self.0.ask("filter", asked), &permission, &table)
    }

    /// Explains why the principal may or may not do this. For operators: it tells more than the user may know.
    pub fn explain(&self, permission: String) -> Result<Explanation> {
        mirror(&self.0.checks().explain(self.0.principal(), &permission, None)?)
    }

    /// `explain` with a resource.
    pub fn explain_on(&self, permission: String, resource: Resource) -> Result<Explanation> {
        mirror(&self.0.checks().explain(self.0.principal(), &permission, &rolekeep::Resource::from(resource))?)
    }

    /// What Kotlin's `can` asks by: the numbers of this principal and of a permission.
    ///
    /// Throws as `can` does.
    pub fn numbers(&self, permission: String) -> Result<Vec<i64>> {
        self.0.can(&permission, None)?;
        let principal = self.1.get_or_init(|| direct::Number::of(&self.0));
        Ok(vec![principal.0, direct::permission(&permission)])
    }

    /// The same principal with these values, which conditions read as `context.NAME`.
    pub fn with_context(&self, values: HashMap<String, JsonText>) -> Result<Arc<Self>> {
        Ok(Self::new(self.0.with_context(&json(&values)?)?))
    }
}

fn json(given: &impl Serialize) -> Result<String> {
    serde_json::to_string(given).map_err(|_| RolekeepError::fault("the input cannot be written"))
}
