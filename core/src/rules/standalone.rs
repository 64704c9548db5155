//! Rules without accounts: a policy, and principals that the host describes.

use std::sync::Arc;

use crate::model::{
    error::{Error, Reason, Result},
    time::Time,
};
use crate::rules::{
    Context, Explanation, NO_CONTEXT, PermissionName, Principal, PrincipalData, Question, Resource, RowFilter, RuleSet,
    Scope,
};

#[cfg(not(target_arch = "wasm32"))]
use crate::rules::{Policy, Schema};

/// A compiled policy that decides about users of the application's own: no store, no accounts, nothing asynchronous.
///
/// Immutable, cheap to clone, and shared between threads without locks.
///
/// ```
/// use rolekeep::{Policy, Resource, rules::{PrincipalData, Rules}};
///
/// let policy = Policy::from_toml(r#"
///     [types.user]
///     attributes = { id = "string" }
///     [types.document]
///     attributes = { owner = "string" }
///     [permissions]
///     "document:edit" = "Change a document"
///     [roles.author]
///     allow = [{ permission = "document:edit", when = "resource.owner == principal.id" }]
/// "#)?;
/// let rules = Rules::compile(&policy)?;
/// let ada = rules.resolve_principal(&PrincipalData::new("ada").roles(["author"]))?;
/// assert!(rules.check(&ada, "document:edit", &Resource::of("document").with("owner", "ada"))?);
/// assert!(!rules.check(&ada, "document:edit", &Resource::of("document").with("owner", "bob"))?);
/// # Ok::<(), rolekeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Arc<RuleSet>,
    clock: fn() -> Time,
}

/// Checks with a context, or as of another time. Made by [`Rules::checks`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PrincipalChecks<'r> {
    rules: &'r Rules,
    context: &'r Context,
    now: Option<Time>,
}

impl Rules {
    /// Compiles a policy. It has the resource types and permissions that it declares, and `admin:all`.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] with every problem of the policy.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn compile(policy: &Policy) -> Result<Self> {
        #[allow(clippy::disallowed_methods, reason = "these rules have no environment to ask")]
        Ok(Self::new(RuleSet::compile(policy, &Schema::new())?, Time::now))
    }

    /// Uses a compiled policy and a clock. To decide by the policy of a store as the store does, compile it with the
    /// library's own resource types and permissions: `RuleSet::compile(&policy, &rolekeep::library_schema())`.
    pub fn new(rules: RuleSet, clock: fn() -> Time) -> Self {
        Self { rules: Arc::new(rules), clock }
    }

    /// The compiled policy: its permissions, its roles, the attributes that it reads.
    pub fn rule_set(&self) -> &RuleSet {
        &self.rules
    }

    /// The principal that the application describes, validated against the policy. Keep it for as long as the description
    /// stays the same.
    ///
    /// # Errors
    /// As [`RuleSet::resolve_principal`].
    pub fn resolve_principal(&self, data: &PrincipalData) -> Result<Principal> {
        self.rules.resolve_principal(data)
    }

    /// The principal of somebody who is not signed in. It holds the policy's `anonymous` role, if there is one.
    pub fn anonymous(&self) -> Principal {
        self.rules.anonymous()
    }

    /// Checks with a context, or as of another time.
    pub fn checks(&self) -> PrincipalChecks<'_> {
        PrincipalChecks { rules: self, context: &NO_CONTEXT, now: None }
    }

    /// Whether the principal may do this to a resource.
    ///
    /// With `None` the question is about all resources there could be: roles in a scope and conditions that read the
    /// resource do not allow it, but they may deny it.
    ///
    /// A permission may name fields (`user:update{bio,avatar}`): each is decided alone and all must be allowed.
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`] with the nearest name; [`Reason::ResourceIncomplete`] and
    /// [`Reason::ContextIncomplete`] if the policy reads more than was given; [`Reason::ResourceInvalid`] and
    /// [`Reason::ContextInvalid`] if a value is not as the policy declares it; [`Reason::InvalidInput`] if the
    /// resource does not have the permission's type; [`Reason::PrincipalInvalid`] if other rules made the principal.
    pub fn check<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        self.checks().check(principal, permission, resource)
    }

    /// Fails with [`Reason::Denied`] unless [`Rules::check`] allows it.
    ///
    /// # Errors
    /// [`Reason::Denied`], and as [`Rules::check`].
    pub fn require<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<()> {
        self.checks().require(principal, permission, resource)
    }

    /// Several checks at one moment, each as [`Rules::check`].
    ///
    /// # Errors
    /// The error of the first check that fails.
    pub fn check_many<P: PermissionName>(
        &self,
        principal: &Principal,
        checks: &[(P, Option<&Resource<'_>>)],
    ) -> Result<Vec<bool>> {
        self.checks().check_many(principal, checks)
    }

    /// Whether there could be a resource to which the principal may do this: for menus. The answer may be a wrong yes, never
    /// a wrong no.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn can_somewhere(&self, principal: &Principal, permission: &str) -> Result<bool> {
        self.checks().can_somewhere(principal, permission)
    }

    /// The rows to which the principal may do this, for lists: [`RowFilter::to_sql`] gives the condition for your own query.
    /// Valid for a few seconds.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn filter(&self, principal: &Principal, permission: &str) -> Result<RowFilter> {
        self.checks().filter(principal, permission)
    }

    /// Explains why the principal may or may not do this. The explanation is for operators: it tells more than the user may
    /// know.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn explain<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<Explanation> {
        self.checks().explain(principal, permission, resource)
    }

    /// Whether the principal holds a role now, directly or by a role that inherits it: everywhere or, if a scope is given,
    /// everywhere or in exactly this scope.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`] with the nearest name, [`Reason::InvalidInput`] for a scope of an unknown kind.
    pub fn has_role<'s>(&self, principal: &Principal, role: &str, scope: impl Into<Option<&'s Scope>>) -> Result<bool> {
        self.checks().has_role(principal, role, scope)
    }
}

impl<'c> PrincipalChecks<'c> {
    /// The values that conditions read as `context.NAME`.
    pub fn context(mut self, context: &'c Context) -> Self {
        self.context = context;
        self
    }

    /// Decides as of this time instead of now.
    pub fn at(mut self, now: Time) -> Self {
        self.now = Some(now);
        self
    }

    /// The time that these checks are about.
    pub fn now(&self) -> Time {
        self.now.unwrap_or_else(self.rules.clock)
    }

    /// [`Rules::check`].
    ///
    /// # Errors
    /// The same.
    pub fn check<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        let rules = self.of(principal)?;
        let (permission, fields) = permission.resolve(rules)?;
        match (&*fields, resource.into()) {
            ([], None) => rules.allows_at_all(principal, permission, self.context, || self.now()),
            (fields, resource) => {
                let (context, now) = (self.context, self.now());
                rules.allows(&Question { principal, permission, fields, resource, context, now })
            }
        }
    }

    /// [`Rules::require`].
    ///
    /// # Errors
    /// The same.
    pub fn require<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<()> {
        match self.check(principal, permission, resource)? {
            true => Ok(()),
            false => Err(Error::denied(permission).at(self.now())),
        }
    }

    /// [`Rules::check_many`].
    ///
    /// # Errors
    /// The same.
    pub fn check_many<P: PermissionName>(
        &self,
        principal: &Principal,
        checks: &[(P, Option<&Resource<'_>>)],
    ) -> Result<Vec<bool>> {
        let rules = self.of(principal)?;
        let mut checks = checks.iter().map(|(permission, resource)| (permission.resolve(rules), *resource));
        rules.check_each(principal, self.context, self.now(), &mut checks)
    }

    /// [`Rules::can_somewhere`].
    ///
    /// # Errors
    /// The same.
    pub fn can_somewhere(&self, principal: &Principal, permission: &str) -> Result<bool> {
        let rules = self.of(principal)?;
        rules.can_somewhere(principal, rules.permission(permission)?, self.context, self.now())
    }

    /// [`Rules::filter`].
    ///
    /// # Errors
    /// The same.
    pub fn filter(&self, principal: &Principal, permission: &str) -> Result<RowFilter> {
        let rules = self.of(principal)?;
        rules.filter(principal, rules.permission(permission)?, self.context, self.now())
    }

    /// [`Rules::explain`].
    ///
    /// # Errors
    /// The same.
    pub fn explain<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<Explanation> {
        let (rules, resource) = (self.of(principal)?, resource.into());
        let (permission, fields) = rules.permission_and_fields(permission)?;
        let (context, now) = (self.context, self.now());
        let question = Question { principal, permission, fields: &fields, resource, context, now };
        Ok(rules.decide(&question)?.explain())
    }

    /// [`Rules::has_role`].
    ///
    /// # Errors
    /// The same.
    pub fn has_role<'s>(&self, principal: &Principal, role: &str, scope: impl Into<Option<&'s Scope>>) -> Result<bool> {
        let (rules, scope) = (self.of(principal)?, scope.into());
        scope.map_or(Ok(()), |scope| rules.check_scope(scope))?;
        Ok(rules.holds_role(principal, rules.role(role)?, scope, self.now()))
    }

    /// The rules, which must be those that made the principal.
    fn of(&self, principal: &Principal) -> Result<&RuleSet> {
        let rules = self.rules.rule_set();
        match principal.is_of(rules) {
            true => Ok(rules),
            false => Err(Error::new(Reason::PrincipalInvalid, "this principal was made by other rules")),
        }
    }
}
