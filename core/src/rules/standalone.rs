//! Rules without accounts: a policy, and principals that the host describes.

use std::sync::Arc;

use crate::model::{
    error::{Error, Reason, Result},
    time::Time,
};

use crate::rules::{
    Context, Explanation, PermissionId, Principal, PrincipalData, Question, Resource, RowFilter, RuleSet, Scope,
    resource::NO_CONTEXT,
};
#[cfg(not(target_arch = "wasm32"))]
use crate::rules::{Policy, Schema};

/// A policy that decides for a host with users of its own: no store, no accounts, nothing asynchronous.
///
/// Cheap to clone, and shared between threads without locks.
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
/// let ada = rules.principal(&PrincipalData::new("ada").roles(["author"]))?;
/// assert!(rules.check(&ada, "document:edit", &Resource::of("document").with("owner", "ada"))?);
/// assert!(!rules.check(&ada, "document:edit", &Resource::of("document").with("owner", "bob"))?);
/// # Ok::<(), rolekeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Arc<RuleSet>,
    clock: fn() -> Time,
}

/// Questions under circumstances that the host knows. Made by [`Rules::asking`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Asking<'r> {
    rules: &'r Rules,
    context: &'r Context,
    now: Option<Time>,
}

impl Rules {
    /// Compiles a policy by itself: there is what it declares, and nothing of the library's own but `admin:all`.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] with every problem of the policy.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn compile(policy: &Policy) -> Result<Self> {
        #[allow(clippy::disallowed_methods, reason = "these rules have no environment to ask")]
        Ok(Self::new(RuleSet::compile(policy, &Schema::new())?, Time::now))
    }

    /// Rules that are compiled already, and a clock. So are those with the library's own resource types and permissions,
    /// which decide by the policy of a store as the store does:
    /// `RuleSet::compile(&policy, &rolekeep::library_schema())`.
    pub fn new(rules: RuleSet, clock: fn() -> Time) -> Self {
        Self { rules: Arc::new(rules), clock }
    }

    /// The compiled policy: its permissions, its roles, what it reads of a resource type.
    pub fn rule_set(&self) -> &RuleSet {
        &self.rules
    }

    /// Somebody who asks, checked against the policy; to be kept as long as what describes them stays the same.
    ///
    /// # Errors
    /// As [`RuleSet::described`].
    pub fn principal(&self, data: &PrincipalData) -> Result<Principal> {
        self.rules.described(data)
    }

    /// Somebody who is not signed in: holds the role that the policy calls `anonymous`, if any.
    pub fn anonymous(&self) -> Principal {
        self.rules.anonymous()
    }

    /// Questions with a context, or as of a time.
    pub fn asking(&self) -> Asking<'_> {
        Asking { rules: self, context: &NO_CONTEXT, now: None }
    }

    /// Whether the principal may do this, to a resource or (`None`) at all.
    ///
    /// A permission may name fields (`user:update{bio,avatar}`): each is decided alone and all must be allowed.
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`] naming the nearest; [`Reason::ResourceIncomplete`] and
    /// [`Reason::ContextIncomplete`] where the policy reads more than was given; [`Reason::ResourceInvalid`] and
    /// [`Reason::ContextInvalid`] where a value is not as the policy declares it; [`Reason::InvalidInput`] where the
    /// resource is not of the permission's type; [`Reason::PrincipalInvalid`] where other rules made the principal.
    pub fn check<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        self.asking().check(principal, permission, resource)
    }

    /// [`Rules::check`], or the error [`Reason::Denied`], which says no more than that.
    ///
    /// # Errors
    /// That, and as [`Rules::check`].
    pub fn require<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<()> {
        self.asking().require(principal, permission, resource)
    }

    /// Several checks of one moment, each as [`Rules::check`].
    ///
    /// # Errors
    /// That of the first that has one.
    pub fn check_many(&self, principal: &Principal, checks: &[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        self.asking().check_many(principal, checks)
    }

    /// Whether the principal may do this to anything at all: a menu's question. It may say yes too often, never no.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn can_somewhere(&self, principal: &Principal, permission: &str) -> Result<bool> {
        self.asking().can_somewhere(principal, permission)
    }

    /// Which rows the principal may do this to, for lists: [`RowFilter::to_sql`] gives the condition for the host's own
    /// query. Good for a few seconds, as it is made for this moment and these rights.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn filter(&self, principal: &Principal, permission: &str) -> Result<RowFilter> {
        self.asking().filter(principal, permission)
    }

    /// Why the principal may or may not do this: for the host, not for the principal's eyes.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn explain<'a: 'r, 'r>(
        &self,
        principal: &Principal,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<Explanation> {
        self.asking().explain(principal, permission, resource)
    }

    /// Whether the principal holds a role now, itself or through a senior one: everywhere, or, where a scope is given,
    /// everywhere or just there.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`] naming the nearest, [`Reason::InvalidInput`] for a scope of no known kind.
    pub fn has_role<'s>(&self, principal: &Principal, role: &str, scope: impl Into<Option<&'s Scope>>) -> Result<bool> {
        self.asking().has_role(principal, role, scope)
    }
}

impl<'c> Asking<'c> {
    /// What the policy's conditions read as `context.…`.
    pub fn context(mut self, context: &'c Context) -> Self {
        self.context = context;
        self
    }

    /// As of another time than now.
    pub fn at(mut self, now: Time) -> Self {
        self.now = Some(now);
        self
    }

    /// The time that these questions are asked for.
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
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        self.allows(principal, permission, resource.into(), self.now())
    }

    /// [`Rules::check`] at all, by the number of a permission.
    ///
    /// # Errors
    /// The same.
    pub fn check_by(&self, principal: &Principal, permission: PermissionId) -> Result<bool> {
        let (rules, context, now) = (self.of(principal)?, self.context, self.now());
        rules.allows(&Question { principal, permission, fields: &[], resource: None, context, now })
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
    pub fn check_many(&self, principal: &Principal, checks: &[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        let rules = self.of(principal)?;
        rules.check_each(principal, self.context, self.now(), checks)
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

    fn allows(
        &self,
        principal: &Principal,
        permission: &str,
        resource: Option<&Resource<'_>>,
        now: Time,
    ) -> Result<bool> {
        let rules = self.of(principal)?;
        let (permission, fields) = rules.permission_and_fields(permission)?;
        rules.allows(&Question { principal, permission, fields: &fields, resource, context: self.context, now })
    }
}
