//! Who is asking: nothing happens without a caller.

mod filter;
mod pages;

use std::{cell::Cell, sync::Arc};

use crate::{
    engine::{Engine, Who, WhoIdentity, allows_at_all},
    environment::Clock,
    model::error::{Error, Reason, Result},
    operations::{Operation, actor::RequestContext},
    rules::{Context, Explanation, PermissionName, Principal, Question, Resource, RuleSet, Scope},
};

pub use filter::CallerFilter;
pub use pages::All;

/// Somebody who asks: the host itself, a signed-in user, or nobody yet.
///
/// Cheap to clone. Its rights are those of the moment of each call, not of when it was made.
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
        #[doc = concat!("Runs [`", stringify!($input), "`].")]
        pub async fn $method(&self, input: impl Into<$input>) -> Result<$output> {
            self.0.run(input.into()).await
        }
    };
    (@method $method:ident () ($output:ty) $input:ident) => {
        #[doc = concat!("Runs [`", stringify!($input), "`].")]
        pub async fn $method(&self) -> Result<$output> {
            self.0.run($input::new()).await
        }
    };
}
crate::operations::operation_list!(caller_areas);

impl Caller {
    /// Runs an operation; the areas' methods are shorter to write.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.engine.run::<O>(&self.who, operation).await
    }

    /// The same caller, knowing this of the request, too: what is not given stays as it was known.
    pub fn with_request(&self, request: RequestContext) -> Self {
        let request = Arc::new(request.kept(&self.engine.services.proxies).over(&self.who.request));
        Self { engine: self.engine.clone(), who: Who { request, ..self.who.clone() } }
    }

    /// Whether the caller may do this, to a resource or (`None`) at all; synchronous, without I/O.
    ///
    /// A permission may name fields (`user:update{bio,avatar}`): each is decided alone and all must be allowed. Where the
    /// same permission is checked often, give a [`PermissionHandle`](crate::PermissionHandle).
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`] naming the nearest, [`Reason::ResourceIncomplete`] and
    /// [`Reason::ContextIncomplete`] where the policy reads more than was given,
    /// [`Reason::SessionEnded`] and [`Reason::TokenExpired`], [`Reason::RightsStale`] where others
    /// write to the storage and the change feed could not be read for a second.
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
        self.ask(
            exists(permission),
            || true,
            |rules, principal, clock| {
                let (permission, fields) = permission.resolve(rules)?;
                if resource.is_none() && fields.is_empty() {
                    return allows_at_all(rules, principal, permission, self.context(), clock);
                }
                let (context, now) = (self.context(), clock.now());
                rules.allows(&Question { principal, permission, fields: &fields, resource, context, now })
            },
        )
    }

    /// [`Caller::can`], or the error `FORBIDDEN`, which says no more than that; the host finds the permission in
    /// [`Error::permission`].
    pub fn require<'a: 'r, 'r>(
        &self,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<()> {
        self.required(self.can(permission, resource)?, || Error::denied(permission.text()))
    }

    /// Several checks of one moment, each as [`Caller::can`].
    ///
    /// # Errors
    /// That of the first that has one; a permission that does not exist is told first where the caller may not ask.
    pub fn can_many(&self, checks: &[(&str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        let is_asked = Cell::new(false);
        self.ask(
            |rules| match is_asked.get() {
                true => Ok(()),
                false => checks.iter().try_for_each(|(permission, _)| exists(permission)(rules)),
            },
            || vec![true; checks.len()],
            |rules, principal, clock| {
                is_asked.set(true);
                rules.check_each(principal, self.context(), clock.now(), checks)
            },
        )
    }

    /// Whether the caller may do this to anything at all: a menu's question. It may say yes too often, never no.
    pub fn can_somewhere(&self, permission: &str) -> Result<bool> {
        self.ask(
            exists(permission),
            || true,
            |rules, principal, clock| {
                rules.can_somewhere(principal, rules.permission(permission)?, self.context(), clock.now())
            },
        )
    }

    /// Whether the caller holds a role now, itself or through a senior one: everywhere, or, where a scope is given,
    /// everywhere or just there. The host holds them all.
    ///
    /// A role says what somebody is, not what it may do: [`Caller::can`] is the better question where there is a choice.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`] naming the nearest, [`Reason::InvalidInput`] for a scope of no known kind, and as
    /// [`Caller::can`] for who asks.
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

    /// [`Caller::has_role`], or the error `FORBIDDEN`.
    ///
    /// # Errors
    /// As [`Caller::has_role`].
    pub fn require_role<'s>(&self, role: &str, scope: impl Into<Option<&'s Scope>>) -> Result<()> {
        self.required(self.has_role(role, scope)?, || Error::new(Reason::Denied, "you may not do this"))
    }

    /// Whether the caller holds `admin:all` now, or is the host.
    ///
    /// # Errors
    /// As [`Caller::can`] for who asks.
    pub fn is_administrator(&self) -> Result<bool> {
        self.ask(|_| Ok(()), || true, |rules, principal, clock| Ok(rules.holds_admin(principal, clock.now())))
    }

    /// [`Caller::is_administrator`], or the error `FORBIDDEN`.
    ///
    /// # Errors
    /// As [`Caller::is_administrator`].
    pub fn require_admin(&self) -> Result<()> {
        self.required(self.is_administrator()?, || Error::denied("admin:all"))
    }

    /// Whether somebody has signed in, or the host itself asks: what an answer of 401 rather than 403 depends on.
    pub fn is_signed_in(&self) -> bool {
        !matches!(self.who.identity, WhoIdentity::Anonymous)
    }

    /// Why the caller may or may not do this: for the host, not for the caller's eyes.
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
                exists(&self.engine.services.rules())?;
                other.map(|_| of_host())
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
        Err(denied().at(self.engine.services.now()))
    }
}

/// Whether there is such a permission, with such fields.
fn exists(permission: impl PermissionName) -> impl FnOnce(&RuleSet) -> Result<()> {
    move |rules| permission.resolve(rules).map(drop)
}
