//! Opening a store, and the callers it gives out.

mod builder;
#[cfg(feature = "sql")]
mod join;

use std::sync::Arc;

pub use builder::Builder;
#[cfg(feature = "sql")]
pub use join::{HostConnection, Pending};

use crate::{
    caller::Caller,
    config::Config,
    credentials::api_key,
    engine::{By, Engine, UsersInMemory, Who, WhoKind, WhoSession, health::Health},
    model::{
        deferred::{IS_PAGE, unless_page},
        error::{Error, Reason, Result},
        id::UserId,
        time::Time,
    },
    operations::{
        actor::RequestContext,
        sessions::Login,
        sign_in::SignInResult,
        upkeep::{LooksForOldKeys, Tidied},
        users::ExternalIdentity,
    },
    rules::{Pin, RuleSet},
};

/// An open store: users, roles, sessions, and the rules that decide. Cheap to clone.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use rolekeep::{Policy, UserManagement, users::CreateUser};
///
/// let policy = Policy::new().permissions(["document:edit", "document:delete"]).role("editor", ["document:edit"]);
/// let um = UserManagement::builder().policy(policy).open().await?;
/// let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await?;
/// let me = um.acting_as(ada.id).await?;
/// assert!(me.can("document:edit", None)?);
/// assert!(!me.can("document:delete", None)?);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct UserManagement {
    engine: Arc<Engine>,
}

impl UserManagement {
    /// Opens a store with a configuration; [`builder`](Self::builder) also takes what is not plain data.
    ///
    /// # Errors
    /// Those of [`Builder::open`].
    pub async fn open(config: Config) -> Result<Self> {
        Self::builder().config(config).open().await
    }

    /// Starts a builder: in memory, with the preset `standard`, unless set otherwise.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The application itself: rules do not restrict it, invariants do. Do not use it for requests of others.
    pub fn system(&self) -> Caller {
        self.caller(WhoKind::System, RequestContext::default())
    }

    /// A caller who has not signed in.
    pub fn anonymous(&self, request: RequestContext) -> Caller {
        self.caller(WhoKind::Anonymous, self.engine.kept(request))
    }

    /// The user whom an access token was made for, or whose API key it is.
    ///
    /// # Errors
    /// `UNAUTHORIZED`: [`Reason::InvalidToken`], also for an invalid API key, whatever the reason, [`Reason::TokenExpired`],
    /// [`Reason::SessionEnded`].
    pub async fn authenticate(&self, access_token: &str, request: RequestContext) -> Result<Caller> {
        let request = Arc::new(self.engine.kept(request));
        let caller = self.signed_in(access_token, &request).await;
        caller.map_err(|error| self.engine.stamped(error, &request))
    }

    async fn signed_in(&self, access_token: &str, request: &Arc<RequestContext>) -> Result<Caller> {
        let services = &self.engine.services;
        self.engine.require_open()?;
        if !IS_PAGE && api_key::is_claimed(access_token) {
            let work = || Box::pin(self.engine.by_key(access_token, request)) as _;
            let who = unless_page(Err(api_key::refused()), work).await?;
            return Ok(Caller { engine: self.engine.clone(), who });
        }
        // Signed with a key of another instance, it may be of one that is not known here yet.
        if !IS_PAGE && services.keys().may_be_of_another(access_token) {
            self.engine.follow_now_and_then().await?;
        }
        let verified = services.keys().verify(access_token, &services.expected(services.now()));
        let is_of_others = |error: &Error| error.reason() == Reason::InvalidToken && services.issuers.are_for_access();
        if !IS_PAGE && verified.as_ref().err().is_some_and(is_of_others) {
            let work = || Box::pin(self.engine.by_token(access_token, request)) as _;
            let who = unless_page(Err(api_key::refused()), work).await?;
            return Ok(Caller { engine: self.engine.clone(), who });
        }
        let (claims, key) = match verified {
            Ok(verified) => verified,
            Err(error) => {
                self.engine.tell_of_token(request, &error);
                return Err(error);
            }
        };
        let (user, slot) = (claims.sub, self.engine.sessions.slot(claims.sid));
        let pin = self.engine.principals.pin(user.0);
        self.engine.keep_up().await?;
        let impersonator = || Box::pin(self.engine.impersonator_of(user, claims.sid, &slot)) as _;
        let impersonator = unless_page(Ok(None), impersonator).await?;
        let session = WhoSession {
            id: claims.sid,
            slot,
            token_expires: Time::from_second(claims.exp).unwrap_or(Time::MIN),
            token_key: key,
            impersonator,
        };
        let kind = WhoKind::User { id: user, pin, by: By::Session(session) };
        let caller = Caller { engine: self.engine.clone(), who: Who { kind, request: request.clone() } };
        let actor = self.engine.actor(&caller.who).await;
        actor.inspect_err(|error| self.engine.tell_of_refused_caller(&caller.who, error))?;
        Ok(caller)
    }

    /// A user for whom the application vouches, without a session.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` if there is no such user, `UNAUTHORIZED` for one who is not active.
    pub async fn acting_as(&self, user: UserId) -> Result<Caller> {
        let caller = async {
            self.engine.require_open()?;
            let pin = self.engine.principals.pin(user.0);
            self.engine.keep_up().await?;
            self.vouched_for(user, pin).await
        };
        caller.await.map_err(|error| error.at(self.engine.services.now()))
    }

    /// The user who stands for a subject of another issuer, for whom the application vouches: it has verified a token of that issuer, or
    /// knows the subject from a table of its own. The library verifies neither.
    ///
    /// Both are compared byte by byte, and are found with one read of the storage; the rest is as with
    /// [`UserManagement::acting_as`].
    ///
    /// ```
    /// # use rolekeep::{Caller, Code, Policy, UserManagement, users::CreateUser};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    /// # let um = UserManagement::builder().policy(policy).open().await?;
    /// let (issuer, subject) = ("https://login.example.org", "auth0|5f7c8ec7");
    /// let ada = um.system().users().create(CreateUser::external(issuer, subject).roles(["editor"])).await?;
    /// let me = um.acting_as_identity(issuer, subject).await?;
    /// assert!(me.can("document:edit", None)?);
    /// assert_eq!(me.users().me().await?.id, ada.id);
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` if no account stands for it, `UNAUTHORIZED` for one that is not active, `VALIDATION_ERROR` for what cannot be
    /// an [`ExternalIdentity`].
    pub async fn acting_as_identity(&self, issuer: &str, subject: &str) -> Result<Caller> {
        let identity = ExternalIdentity::new(issuer, subject);
        self.standing_for(&identity).await.map_err(|error| error.at(self.engine.services.now()))
    }

    async fn standing_for(&self, identity: &ExternalIdentity) -> Result<Caller> {
        self.engine.require_open()?;
        self.engine.keep_up().await?;
        let user = identity.user(self.engine.services.reads()).await?.ok_or_else(|| Error::not_found("user"))?;
        self.vouched_for(user, self.engine.principals.pin(user.0)).await
    }

    async fn vouched_for(&self, user: UserId, pin: Pin) -> Result<Caller> {
        if self.engine.rights(user).await?.is_none() {
            return Err(Error::not_found("user"));
        }
        let caller = self.caller(WhoKind::User { id: user, pin, by: By::Host }, RequestContext::default());
        self.engine.actor(&caller.who).await?;
        Ok(caller)
    }

    /// Signs in with an e-mail address or username and the password; short for `anonymous(request).sessions().login(…)`, which also takes
    /// the `device_token` of an earlier sign-in: `Login::new(identifier, password).device_token(token)`.
    ///
    /// # Errors
    /// Those of [`Login`].
    pub async fn login(&self, identifier: &str, password: &str, request: RequestContext) -> Result<SignInResult> {
        self.anonymous(request).sessions().login(Login::new(identifier, password)).await
    }

    /// The current policy, compiled. It does not change: after an edit of the policy call this again.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.engine.services.rules()
    }

    /// Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, or some milliseconds if the storage
    /// notifies of it, as PostgreSQL does. Where nobody has asked anything for a minute, it takes up to five seconds, or until somebody does.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the storage does not respond.
    pub async fn refresh(&self) -> Result<()> {
        self.engine.require_open()?;
        self.engine.catch_up().await
    }

    /// The health of the store and of everything that it depends on, for status pages and orchestrators.
    ///
    /// It returns within two seconds, whatever the storage does: the storage is only asked for its position, for a second at most, and
    /// the result is cached for a second. Whether it can be written is known by the commits of this instance. It has no secrets and no names. A
    /// closed store is reported as closed.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use rolekeep::{UserManagement, observe::HealthStatus};
    ///
    /// let um = UserManagement::builder().open().await?;
    /// let health = um.health().await;
    /// assert_eq!((health.status, health.is_ready), (HealthStatus::Healthy, true));
    /// um.close().await?;
    /// assert!(!um.ready().await);
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    pub async fn health(&self) -> Health {
        self.engine.health().await
    }

    /// Whether requests should be sent to this instance ([`Health::is_ready`]): not while its storage does not respond, while its rights
    /// are too old to decide by, for a minute after its account was not permitted to commit three times in a row, or while it is closing or
    /// closed.
    pub async fn ready(&self) -> bool {
        self.health().await.is_ready
    }

    /// Writes a backup of the whole store, as it is when this is called, for [`Builder::restore`]; whatever is committed meanwhile is not
    /// in it. It needs memory for some hundred rows, and is written on the thread that polls this. Meanwhile, an SQLite file that is
    /// opened with `exclusive` accepts no commits, and PostgreSQL keeps all old versions of rows: see the
    /// [guide](crate::guide::operating).
    ///
    /// It holds everything, including password hashes and keys that sign tokens: protect it like the storage.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the storage or the sink fails; what was written until then is not a valid backup, and is refused as one.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub async fn backup(
        &self,
        mut sink: impl std::io::Write + crate::environment::MaybeSend,
        options: &crate::backup::BackupOptions,
    ) -> Result<crate::backup::BackupSummary> {
        // A storage that does not know what this instance does is none to back up, such as a server that follows another one.
        self.refresh().await?;
        let services = &self.engine.services;
        let at_least = self.engine.newest();
        crate::backup::write(&*services.storage, services.now(), &mut sink, (options, &at_least)).await
    }

    /// The number of users whose rights are in memory, and how often rights were found there: for metrics.
    pub fn users_in_memory(&self) -> UsersInMemory {
        self.engine.users_in_memory()
    }

    /// Removes old lines of the change feed, sessions that ended long ago and the like, purges users who were deleted long ago
    /// ([`Config::keep_deleted_users_seconds`]), and encrypts values that are unencrypted or under a retired key. A store does all of
    /// that by itself, in the background, every hour ([`Config::tidy_every_seconds`]) and every thousand commits; call this to complete a
    /// change of [`Config::encryption_key`], or where processes live for less than two minutes.
    ///
    /// A call does a part: up to some ten thousand rows, 100 users, and a hundred encrypted rows of each table. Call it until
    /// [`Tidied::has_more`] is false. Several instances may do so at the same time. It is only for the application: no caller can ask for
    /// it.
    ///
    /// A change of the key is complete, and the old one may be removed from [`Config::retired_encryption_keys`], once every instance has
    /// the new key as its `encryption_key` and `has_more` was false after that:
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use rolekeep::{Config, UserManagement};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.db");
    /// # let (old_key, new_key) = ("a secret of 32 bytes or more, at random", "another secret of 32 bytes or more");
    /// # UserManagement::builder().config(Config::new().encryption_key(old_key)).sqlite(&path).open().await?.close().await?;
    /// let config = Config::new().encryption_key(new_key).retired_encryption_keys([old_key]);
    /// let um = UserManagement::builder().config(config).sqlite(&path).open().await?;
    /// while um.tidy().await?.has_more {}
    /// um.close().await?;
    ///
    /// let um = UserManagement::builder().config(Config::new().encryption_key(new_key)).sqlite(&path).open().await?;
    /// # um.close().await?;
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The first there was, while everything else was done: `UNAVAILABLE` if the storage fails, or the store was closed;
    /// [`Reason::EncryptionKeyWrong`](crate::Reason::EncryptionKeyWrong) for values under a key that is not given, and
    /// [`Reason::Corrupt`](crate::Reason::Corrupt) for some that were changed. Nothing is done in a store that takes part in a transaction of
    /// the application: [`Reason::NotOffered`](crate::Reason::NotOffered).
    pub async fn tidy(&self) -> Result<Tidied> {
        let engine = self.engine.clone();
        // One at a time encrypts: a caller that does not go on would keep the others from it.
        let tidied = async move { engine.tidy(LooksForOldKeys::Anew).await };
        self.engine.services.env.driven(tidied).await?
    }

    /// How often passwords were hashed or verified, for tests.
    #[cfg(feature = "testing")]
    pub fn hashed(&self) -> usize {
        self.engine.services.hasher.hashed()
    }

    /// Finishes running commits, refuses further operations, releases the consumers that this process reads for and closes the storage.
    /// Closing again does nothing.
    ///
    /// # Errors
    /// Those of the storage that is closed.
    pub async fn close(&self) -> Result<()> {
        self.engine.close().await
    }

    #[cfg(feature = "sql")]
    pub(crate) const fn of(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn caller(&self, kind: WhoKind, request: RequestContext) -> Caller {
        Caller { engine: self.engine.clone(), who: Who { kind, request: Arc::new(request) } }
    }
}
