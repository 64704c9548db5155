//! Callers: every operation and every check has one.

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod events;
mod filter;
mod import;
mod pages;

use std::{cell::Cell, sync::Arc};

use crate::{
    engine::{Engine, Subject, Who, WhoKind},
    environment::Clock,
    model::error::{Error, Reason, Result},
    operations::{Operation, actor::RequestContext},
    rules::{Check, Context, Explanation, PermissionName, Principal, Question, Resource, RuleSet, Scope},
};

#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use events::{Consumption, Subscription};
pub use filter::CallerFilter;
pub use import::Importer;
pub use pages::All;

/// Runs operations and checks for the application itself, a user, or somebody who is not signed in.
///
/// Made by [`UserManagement`](crate::UserManagement). Cheap to clone. Each call uses the current rights, not those of the moment when the
/// caller was made.
#[derive(Clone)]
pub struct Caller {
    pub(crate) engine: Arc<Engine>,
    pub(crate) who: Who,
}

macro_rules! caller_areas {
    ($($(#[$about:meta])* $area:ident: $face:ident {
        $(fn $method:ident($($input:ident)?) $(-> $output:ty)? $(= $unit:ident)?;)*
    })*) => {
        impl Caller {
            $($(#[$about])*
            pub fn $area(&self) -> areas::$face<'_> {
                areas::$face(self)
            }
            )*
        }

        /// The operations of a [`Caller`], by area: `me.users().create(…)`.
        pub mod areas {
            use super::Caller;
            use crate::{model::{error::Result, page::Page}, operations};
            $(
            $(#[$about])*
            #[derive(Clone, Copy)]
            pub struct $face<'a>(pub(super) &'a Caller);

            const _: () = {
                use operations::$area::*;
                impl $face<'_> {
                    $(caller_areas!(@method $method ($($input)?) ($($output)?) $($unit)?);)*
                }
            };
            )*
        }
    };
    (@method $method:ident $input:tt ()$($unit:ident)?) => {
        caller_areas!(@method $method $input (()) $($unit)?);
    };
    (@method $method:ident ($input:ident) ($output:ty)) => {
        #[doc = concat!("Runs [`", stringify!($input), "`].\n\n# Errors\nThose of the operation.")]
        pub async fn $method(&self, input: impl Into<$input>) -> Result<$output> {
            self.0.run(input.into()).await
        }
    };
    (@method $method:ident () ($output:ty) $input:ident) => {
        #[doc = concat!("Runs [`", stringify!($input), "`].\n\n# Errors\nThose of the operation.")]
        pub async fn $method(&self) -> Result<$output> {
            self.0.run($input::new()).await
        }
    };
}
crate::operations::operation_list!(caller_areas);

impl Caller {
    /// Runs an operation; the methods of the areas do the same: `me.users().create(…)`.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.engine.run::<O>(&self.who, operation).await
    }

    /// The same caller with this request context; fields that are not given keep their values.
    pub fn with_request(&self, request: RequestContext) -> Self {
        let request = Arc::new(self.engine.kept(request).over(&self.who.request));
        Self { engine: self.engine.clone(), who: Who { request, ..self.who.clone() } }
    }

    /// Whether the caller may do this to a resource. Synchronous, without I/O.
    ///
    /// With `None` the check is about all resources there could be: roles in a scope and conditions that read the resource do not allow
    /// it, but they may deny it. [`Caller::can_somewhere`] checks whether there could be any.
    ///
    /// A permission may name fields (`user:update{bio,avatar}`): each is decided separately and all must be allowed. If the same
    /// permission is checked often, pass a [`PermissionHandle`](crate::PermissionHandle).
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`] with the nearest name; [`Reason::ResourceIncomplete`] and
    /// [`Reason::ContextIncomplete`] if the policy reads more than was given; [`Reason::ResourceInvalid`] and
    /// [`Reason::ContextInvalid`] if a value is not as the policy declares it; [`Reason::SessionEnded`],
    /// [`Reason::TokenExpired`] and, without a session, [`Reason::AccountInactive`]; [`Reason::NotLoaded`] if the caller's
    /// rights could not be read again after a change; [`Reason::RightsStale`] if other processes may write to the storage and the change feed
    /// could not be read for [`Config::rights_max_age_millis`](crate::Config::rights_max_age_millis).
    ///
    /// ```
    /// # use rolekeep::{Policy, UserManagement};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    /// # let um = UserManagement::builder().policy(policy).open().await?;
    /// use rolekeep::users::CreateUser;
    ///
    /// let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await?;
    /// let me = um.acting_as(ada.id).await?;
    /// assert!(me.can("document:edit", None)?);
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    pub fn can<'a: 'r, 'r>(
        &self,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        let resource = resource.into();
        let answer = self.ask(
            exists(permission),
            || true,
            |rules, principal, clock| {
                let (permission, fields) = permission.resolve(rules)?;
                if resource.is_none() && fields.is_empty() {
                    return rules.allows_at_all(principal, permission, self.context(), || clock.now());
                }
                let (context, now) = (self.context(), clock.now());
                rules.allows(&Question { principal, permission, fields: &fields, resource, context, now })
            },
        )?;
        if self.engine.tells_of_decisions() {
            self.engine.tell_of_decision(&Subject::Caller(&self.who), permission.text(), resource, answer);
        }
        Ok(answer)
    }

    /// Fails with `FORBIDDEN` unless [`Caller::can`] allows it, and with `UNAUTHORIZED` if nobody is signed in. The error reveals nothing
    /// else to the client; [`Error::permission`] has the permission for your log.
    ///
    /// # Errors
    /// [`Reason::Denied`], [`Reason::NotSignedIn`], and as [`Caller::can`].
    pub fn require<'a: 'r, 'r>(
        &self,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<()> {
        self.required(self.can(permission, resource)?, || Error::denied(permission.text()))
    }

    /// Several checks as of one moment, each as [`Caller::can`].
    ///
    /// # Errors
    /// The error of the first check that fails.
    pub fn can_many<P: PermissionName>(&self, checks: &[(P, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        let answers = self.can_each(checks.len(), &|at, rules| {
            let (permission, resource) = checks.get(at)?;
            Some((permission.resolve(rules), *resource))
        })?;
        if self.engine.tells_of_decisions() {
            for ((permission, resource), answer) in checks.iter().zip(&answers) {
                self.engine.tell_of_decision(&Subject::Caller(&self.who), permission.text(), *resource, *answer);
            }
        }
        Ok(answers)
    }

    fn can_each<'r>(&self, count: usize, check: &dyn Fn(usize, &RuleSet) -> Option<Check<'r>>) -> Result<Vec<bool>> {
        let is_asked = Cell::new(false);
        self.ask(
            |rules| match is_asked.get() {
                true => Ok(()),
                false => (0..).map_while(|at| check(at, rules)).try_for_each(|(permission, _)| permission.map(drop)),
            },
            || vec![true; count],
            |rules, principal, clock| {
                is_asked.set(true);
                let mut checks = (0..).map_while(|at| check(at, rules));
                rules.check_each(principal, self.context(), clock.now(), &mut checks)
            },
        )
    }

    /// Whether there could be a resource to which the caller may do this: for menus. It may be wrongly true, but never wrongly false.
    ///
    /// # Errors
    /// As [`Caller::can`].
    pub fn can_somewhere(&self, permission: &str) -> Result<bool> {
        self.ask(
            |rules| rules.permission(permission).map(drop),
            || true,
            |rules, principal, clock| {
                rules.can_somewhere(principal, rules.permission(permission)?, self.context(), clock.now())
            },
        )
    }

    /// Whether the caller holds a role now, directly or by a role that inherits it: everywhere or, if a scope is given,
    /// everywhere or in exactly this scope. The application itself holds all roles.
    ///
    /// An API key holds none: a role may allow more than the key reaches. Prefer [`Caller::can`]: which role allows something is up to
    /// the policy.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`] with the nearest name, [`Reason::InvalidInput`] for a scope of an unknown kind, and those of
    /// [`Caller::can`] about the caller.
    pub fn has_role<'s>(&self, role: &str, scope: impl Into<Option<&'s Scope>>) -> Result<bool> {
        let scope = scope.into();
        let known = |rules: &RuleSet| {
            scope.map_or(Ok(()), |scope| rules.check_scope(scope))?;
            rules.role(role)
        };
        self.ask(
            |rules| known(rules).map(drop),
            || true,
            |rules, principal, clock| Ok(rules.holds_role(principal, known(rules)?, scope, clock.now())),
        )
    }

    /// Fails with `FORBIDDEN` unless [`Caller::has_role`] is true, and with `UNAUTHORIZED` if nobody is signed in.
    ///
    /// # Errors
    /// [`Reason::Denied`], [`Reason::NotSignedIn`], and as [`Caller::has_role`].
    pub fn require_role<'s>(&self, role: &str, scope: impl Into<Option<&'s Scope>>) -> Result<()> {
        self.required(self.has_role(role, scope)?, || Error::new(Reason::Denied, "you may not do this"))
    }

    /// Whether the caller holds `admin:all` now, or is the application itself.
    ///
    /// # Errors
    /// Those of [`Caller::can`] about the caller.
    pub fn is_administrator(&self) -> Result<bool> {
        self.ask(|_| Ok(()), || true, |rules, principal, clock| Ok(rules.holds_admin(principal, clock.now())))
    }

    /// Fails with `FORBIDDEN` unless [`Caller::is_administrator`] is true, and with `UNAUTHORIZED` if nobody is signed in.
    ///
    /// # Errors
    /// [`Reason::Denied`], [`Reason::NotSignedIn`], and as [`Caller::is_administrator`].
    pub fn require_admin(&self) -> Result<()> {
        self.required(self.is_administrator()?, || Error::denied("admin:all"))
    }

    /// Whether the caller is a user or the application itself.
    pub fn is_signed_in(&self) -> bool {
        !matches!(self.who.kind, WhoKind::Anonymous)
    }

    /// Explains why the caller may or may not do this. The explanation is for operators: it reveals more about the policy and the
    /// resource than the caller may know.
    ///
    /// # Errors
    /// As [`Caller::can`].
    pub fn explain<'a: 'r, 'r>(
        &self,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<Explanation> {
        let resource = resource.into();
        self.ask(
            exists(permission),
            || Explanation::of_host(permission),
            |rules, principal, clock| {
                let (permission, fields) = rules.permission_and_fields(permission)?;
                let (context, now) = (self.context(), clock.now());
                let question = Question { principal, permission, fields: &fields, resource, context, now };
                Ok(rules.decide(&question)?.explain())
            },
        )
    }

    /// Asks the rules about the caller, from memory alone.
    fn ask<T>(
        &self,
        exists: impl FnOnce(&RuleSet) -> Result<()>,
        of_host: impl FnOnce() -> T,
        ask: impl FnOnce(&RuleSet, &Principal, &Clock<'_>) -> Result<T>,
    ) -> Result<T> {
        let clock = self.engine.services.env.clock();
        match self.engine.with_caller(&self.who, &clock, |rules, principal| ask(rules, principal, &clock)) {
            Ok(Some(answer)) => Ok(answer),
            other => {
                // What does not exist is told first, whoever asks.
                let answer = exists(&self.engine.services.rules()).and(other);
                let request_id = self.who.request.request_id.as_deref();
                answer.map(|_| of_host()).map_err(|error| error.in_request(request_id))
            }
        }
    }

    fn context(&self) -> &Context {
        &self.who.request.context
    }

    fn required(&self, is_allowed: bool, denied: impl FnOnce() -> Error) -> Result<()> {
        if is_allowed {
            return Ok(());
        }
        // As the library's own operations answer.
        let error = if self.is_signed_in() { denied() } else { Error::not_signed_in() };
        Err(self.engine.stamped(error, &self.who.request))
    }
}

/// Whether there is such a permission, with such fields.
fn exists(permission: impl PermissionName) -> impl FnOnce(&RuleSet) -> Result<()> {
    move |rules| permission.resolve(rules).map(drop)
}
