//! Checks about any user: whether a user may do something, and why.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    engine::{Engine, Loaded, Subject},
    manager::UserManagement,
    model::{
        error::{Error, Reason, Result},
        id::UserId,
        time::Time,
    },
    rules::{
        Context, Decision, Explanation, PermissionName, Principal, Question, Resource, Rights, RuleSet, UserHandle,
    },
    storage::Position,
};

/// Checks about users with a context, or with rights of at least a certain position. Made by [`UserManagement::checks`].
///
/// ```
/// # use rolekeep::{Policy, UserManagement, rules::Context, users::CreateUser};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
/// # let um = UserManagement::builder().policy(policy).open().await?;
/// # let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await?.id;
/// // Counts everything that was committed up to here, also by another process.
/// let seen = um.position();
/// let checks = um.checks().context(Context::new().with("on_site", true)).at_least(seen);
/// assert!(checks.check(ada, "document:edit", None).await?);
/// // The rights are in memory now.
/// assert!(checks.check_cached(ada, "document:edit", None)?);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use]
pub struct UserChecks<'u> {
    engine: &'u Arc<Engine>,
    context: Context,
    at_least: Position,
}

/// A handle that caches a user's slot in memory, for frequent checks about the same user: it saves looking up the id.
///
/// It does not keep the user in memory, and works with any store.
///
/// ```
/// # use rolekeep::{KnownUser, PermissionHandle, Policy, UserManagement, users::CreateUser};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
/// # let um = UserManagement::builder().policy(policy).open().await?;
/// # let id = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await?.id;
/// # um.check(id, "document:edit", None).await?;
/// let (mut ada, edit) = (KnownUser::new(id), PermissionHandle::new("document:edit"));
/// assert!(um.check_cached(&mut ada, &edit, None)?);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct KnownUser {
    id: UserId,
    last: Option<UserHandle>,
}

impl KnownUser {
    /// A handle for the user with this id, which need not exist.
    pub fn new(id: UserId) -> Self {
        Self { id, last: None }
    }

    fn principal<'r>(&mut self, rights: &'r Rights) -> Option<&'r Principal> {
        let stands = |handle: UserHandle| rights.principal(handle);
        // In another store the same handle is somebody else.
        let still = self.last.and_then(stands).filter(|one| one.id() == Some(self.id.0));
        still.or_else(|| {
            self.last = rights.user(self.id.0);
            self.last.and_then(stands)
        })
    }
}

/// The user of a [`UserManagement::check_cached`]: an id, or a `&mut` [`KnownUser`]. The trait is sealed.
pub trait UserRef: sealed::Find {}

impl<U: sealed::Find> UserRef for U {}

mod sealed {
    use super::{KnownUser, Principal, Rights, UserId};

    pub trait Find {
        /// Whom it stands for.
        fn id(&self) -> UserId;
        /// Its principal, where it is in memory.
        fn find(self, rights: &Rights) -> Option<&Principal>;
    }

    impl Find for UserId {
        fn id(&self) -> UserId {
            *self
        }

        fn find(self, rights: &Rights) -> Option<&Principal> {
            rights.principal_of(self.0)
        }
    }

    impl Find for &mut KnownUser {
        fn id(&self) -> UserId {
            self.id
        }

        fn find(self, rights: &Rights) -> Option<&Principal> {
            self.principal(rights)
        }
    }
}

impl UserManagement {
    /// Checks with a context, or with rights of at least a certain position.
    pub fn checks(&self) -> UserChecks<'_> {
        UserChecks { engine: self.engine(), context: Context::new(), at_least: Position::START }
    }

    /// The position of the newest commits that this instance has made or read from the change feed.
    ///
    /// To make sure that a check in another process sees a change made here, pass it this position, as text, for
    /// [`UserChecks::at_least`].
    pub fn position(&self) -> Position {
        self.engine().newest()
    }

    /// Whether a user may do this, to a resource or (`None`) to all there could be, as [`Caller::can`](crate::Caller::can).
    /// A user who is not active may do nothing.
    ///
    /// Decides from memory, and reads the user's rights first if they are not there. If other processes write to the same storage, rights
    /// may be as old as [`Config::rights_max_age_millis`](crate::Config::rights_max_age_millis); [`UserChecks::at_least`] asks for newer
    /// ones.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` if there is no such user, and as [`Caller::can`](crate::Caller::can).
    pub async fn check<'a: 'r, 'r>(
        &self,
        user: UserId,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        self.checks().check(user, permission, resource).await
    }

    /// Like [`UserManagement::check`], but synchronous: it uses the rights in memory and never waits.
    ///
    /// # Errors
    /// [`Reason::NotLoaded`](crate::Reason::NotLoaded) if the user's rights are not in memory, also if there is no such
    /// user; and as [`Caller::can`](crate::Caller::can).
    pub fn check_cached<'a: 'r, 'r>(
        &self,
        user: impl UserRef,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        self.checks().check_cached(user, permission, resource)
    }

    /// Many checks as of one moment, about one user or several; see [`UserChecks::check_many`].
    ///
    /// # Errors
    /// As [`UserManagement::check`]: the error of the first check that fails; `UNAVAILABLE` if these users keep changing.
    pub async fn check_many(&self, checks: &[(UserId, &str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        self.checks().check_many(checks).await
    }

    /// Explains why a user may or may not do this.
    ///
    /// # Errors
    /// As [`UserManagement::check`].
    pub async fn explain<'a: 'r, 'r>(
        &self,
        user: UserId,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<Explanation> {
        self.checks().explain(user, permission, resource).await
    }
}

impl UserChecks<'_> {
    /// The values that conditions read as `context.NAME`.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Requires that the check sees everything committed up to this position. Otherwise the error is
    /// [`Reason::RightsStale`](crate::Reason::RightsStale): at once for synchronous checks, for others after waiting
    /// [`Config::rights_max_age_millis`](crate::Config::rights_max_age_millis).
    pub fn at_least(mut self, position: Position) -> Self {
        self.at_least = position;
        self
    }

    /// [`UserManagement::check`].
    ///
    /// # Errors
    /// The same.
    pub async fn check<'a: 'r, 'r>(
        &self,
        user: UserId,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        let resource = resource.into();
        match self.check_cached(user, permission, resource) {
            Err(error) if matches!(error.reason(), Reason::NotLoaded | Reason::RightsStale) => {
                let answer = self.ask(user, permission, resource, |decision| decision.is_allowed()).await?;
                self.tell(user, permission.text(), resource, answer);
                Ok(answer)
            }
            answer => {
                self.engine.count_found();
                answer.map_err(|error| error.at(self.engine.services.now()))
            }
        }
    }

    /// [`UserManagement::check_cached`].
    ///
    /// # Errors
    /// The same.
    pub fn check_cached<'a: 'r, 'r>(
        &self,
        user: impl UserRef,
        permission: impl PermissionName,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<bool> {
        let clock = self.engine.services.env.clock();
        let (resource, id) = (resource.into(), user.id());
        let answer = self.engine.with_user(
            |rights| user.find(rights),
            &self.at_least,
            &clock,
            |rules, principal| {
                let (permission, fields) = permission.resolve(rules)?;
                if resource.is_none() && fields.is_empty() {
                    return rules.allows_at_all(principal, permission, &self.context, || clock.now());
                }
                let (context, now) = (&self.context, clock.now());
                rules.allows(&Question { principal, permission, fields: &fields, resource, context, now })
            },
        )?;
        self.tell(id, permission.text(), resource, answer);
        Ok(answer)
    }

    /// Tells the audit log of an answer, if the host wants that.
    fn tell(&self, user: UserId, permission: &str, resource: Option<&Resource<'_>>, answer: bool) {
        if self.engine.tells_of_decisions() {
            self.engine.tell_of_decision(&Subject::User(user), permission, resource, answer);
        }
    }

    /// Many checks as of one moment, about one user or several. The rights of users who are not in memory are read together.
    ///
    /// # Errors
    /// As [`UserManagement::check`]: the error of the first check that fails;
    /// [`Reason::RightsStale`](crate::Reason::RightsStale) if these users keep changing.
    pub async fn check_many(&self, checks: &[(UserId, &str, Option<&Resource<'_>>)]) -> Result<Vec<bool>> {
        let ask = async {
            self.engine.follow_to(&self.at_least).await?;
            let users: BTreeSet<UserId> = checks.iter().map(|(user, ..)| *user).collect();
            let answers = self.engine.with_users(&users, |rights, now| {
                let answer = |(user, permission, resource): &(UserId, &str, Option<&Resource<'_>>)| {
                    let principal = rights.principal_of(user.0).ok_or_else(|| Error::not_found("user"))?;
                    self.decide(rights.rules(), principal, *permission, *resource, now, |one| one.is_allowed())
                };
                checks.iter().map(answer).collect()
            });
            answers.await
        };
        let answers: Vec<bool> = ask.await.map_err(|error| error.at(self.engine.services.now()))?;
        for ((user, permission, resource), answer) in checks.iter().zip(&answers) {
            self.tell(*user, permission, *resource, *answer);
        }
        Ok(answers)
    }

    /// [`UserManagement::explain`].
    ///
    /// # Errors
    /// As [`UserManagement::check`].
    pub async fn explain<'a: 'r, 'r>(
        &self,
        user: UserId,
        permission: &str,
        resource: impl Into<Option<&'r Resource<'a>>>,
    ) -> Result<Explanation> {
        self.ask(user, permission, resource.into(), |decision| decision.explain()).await
    }

    /// Asks about a user who need not be there: one that may not sign in is a decision, not an error.
    async fn ask<T>(
        &self,
        user: UserId,
        permission: impl PermissionName,
        resource: Option<&Resource<'_>>,
        answer: impl FnOnce(Decision<'_>) -> T,
    ) -> Result<T> {
        let ask = async {
            self.engine.follow_to(&self.at_least).await?;
            let loaded = self.load(user).await?;
            let Loaded { principal, policy } = &loaded;
            self.decide(&policy.rules, principal, permission, resource, self.engine.services.now(), answer)
        };
        ask.await.map_err(|error| error.at(self.engine.services.now()))
    }

    async fn load(&self, user: UserId) -> Result<Loaded> {
        self.engine.rights(user).await?.ok_or_else(|| Error::not_found("user"))
    }

    fn decide<T>(
        &self,
        rules: &RuleSet,
        principal: &Principal,
        permission: impl PermissionName,
        resource: Option<&Resource<'_>>,
        now: Time,
        answer: impl FnOnce(Decision<'_>) -> T,
    ) -> Result<T> {
        let (permission, fields) = permission.resolve(rules)?;
        let question = Question { principal, permission, fields: &fields, resource, context: &self.context, now };
        rules.decide(&question).map(answer)
    }
}
