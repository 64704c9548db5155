//! Opening a store, and the callers it gives out.

use std::sync::Arc;

#[cfg(feature = "sql")]
use crate::engine::joined::Database;
use crate::{
    caller::Caller,
    config::Config,
    credentials::api_key,
    engine::{
        By, Engine, Hooks, UsersInMemory, Who, WhoKind, WhoSession, around::Observer, health::Health, limit::Limiter,
    },
    environment::{Env, Environment},
    fetch::Fetch,
    model::{
        deferred::{IS_PAGE, unless_page},
        error::{Error, Reason, Result},
        id::UserId,
        secret::Secret,
        time::Time,
    },
    operations::{
        actor::RequestContext,
        audit,
        hasher::Hasher,
        issuers::Issuers,
        notices::Notifier,
        passwords::{BreachedPasswords, Breaches},
        policy::{self, open::Given},
        services::Services,
        sessions::Login,
        sign_in::SignInResult,
        signing_keys, store_secrets,
        users::ExternalIdentity,
    },
    rules::{Pin, Policy, RuleSet},
    storage::{MemoryStorage, PersistedStorage, Persister, Storage},
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

/// Where a store is kept and how it behaves. Made by [`UserManagement::builder`].
#[must_use]
pub struct Builder {
    /// Where it was said to be kept; only one may be.
    places: Vec<Place>,
    policy: Option<Policy>,
    config: Config,
    environment: Option<Env>,
    /// What fetches key sets.
    fetch: Option<Arc<dyn Fetch>>,
    hooks: Hooks,
}

enum Place {
    Memory,
    Storage(Arc<dyn Storage>),
    Persister(Arc<dyn Persister>),
    #[cfg(feature = "sqlite")]
    Sqlite(crate::storage::SqliteOptions),
    #[cfg(feature = "postgres")]
    Postgres(crate::storage::PostgresOptions),
}

impl Builder {
    /// Keeps everything in memory, until it is closed. The default.
    pub fn memory(self) -> Self {
        self.kept(Place::Memory)
    }

    /// Keeps everything in an SQLite file, which is made if it is not there; its folder must be. The path is one:
    /// `:memory:`, URIs and an empty path are refused when the store is opened.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(self, path: impl Into<std::path::PathBuf>) -> Self {
        self.sqlite_with(crate::storage::SqliteOptions::new(path))
    }

    /// Keeps everything in an SQLite file, opened in a way of the host's choice.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_with(self, options: crate::storage::SqliteOptions) -> Self {
        self.kept(Place::Sqlite(options))
    }

    /// Keeps everything in the schema `rolekeep` of a PostgreSQL database, by a URL such as `postgres://user:password@host/database`
    /// ([`PostgresOptions::new`](crate::storage::PostgresOptions::new)).
    #[cfg(feature = "postgres")]
    pub fn postgres(self, url: impl Into<String>) -> Self {
        self.postgres_with(crate::storage::PostgresOptions::new(url))
    }

    /// Keeps everything in a PostgreSQL database, used in a way of the host's choice.
    #[cfg(feature = "postgres")]
    pub fn postgres_with(self, options: crate::storage::PostgresOptions) -> Self {
        self.kept(Place::Postgres(options))
    }

    /// Keeps everything where the host says, below the memory storage.
    pub fn persister(self, persister: impl Persister) -> Self {
        self.kept(Place::Persister(Arc::new(persister)))
    }

    /// Keeps everything in a storage of the host's own.
    pub fn storage(self, storage: Arc<dyn Storage>) -> Self {
        self.kept(Place::Storage(storage))
    }

    fn kept(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// Who may do what. A store keeps its policy: the one given here is imported at the first opening. At later
    /// ones it is compared with the one given before, by permission, role and the rest, and what differs is
    /// taken; what it left alone keeps the edits made meanwhile by operations.
    ///
    /// Without one, a new store begins with the preset `standard`, and another keeps what it has.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Everything that is plain data: where the store is kept, its policy, and how it behaves. What the configuration
    /// leaves out may be given by the other methods; what it holds may not be given twice.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Time, randomness and tasks; the current Tokio runtime if not given.
    pub fn environment(mut self, environment: impl Environment) -> Self {
        self.environment = Some(Env::new(environment));
        self
    }

    /// Fetches key sets by what the host has for that. No part of the public API.
    #[cfg(feature = "bindings")]
    #[doc(hidden)]
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Hears of every operation, and may turn requests away.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.hooks.observer = Some(Arc::new(observer));
        self
    }

    /// Turns away who asks too often, before the limits of the configuration do.
    pub fn limiter(mut self, limiter: impl Limiter) -> Self {
        self.hooks.limiter = Some(Arc::new(limiter));
        self
    }

    /// Sends notices by mail; without one, operations that need it are refused with [`Reason::NotOffered`], and nobody is
    /// told of what happens to an account.
    pub fn notifier(mut self, notifier: impl Notifier) -> Self {
        self.hooks.notifier = Some(Arc::new(notifier));
        self
    }

    /// Refuses passwords that are known from breaches; without one, those that are common and those built from the account's
    /// names.
    pub fn breached_passwords(mut self, list: impl BreachedPasswords) -> Self {
        self.hooks.breached_passwords = Some(Arc::new(list));
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] naming every bad setting, and those that need a notifier where there is none, and where two storages or
    /// two policies are given;
    /// [`Reason::PolicyInvalid`] with every problem of the policy, [`Reason::LastAdministrator`] where it would leave
    /// no administrator, [`Reason::StorageMissing`], [`Reason::StorageReadOnly`], [`Reason::SchemaNewer`].
    pub async fn open(self) -> Result<UserManagement> {
        let (place, mut prepared) = self.prepare()?;
        let storage = place.open(&mut prepared).await?;
        prepared.open(storage).await
    }

    /// Restores a backup that [`UserManagement::backup`] has written, of a store of any kind, into the empty store that this one is to be,
    /// and opens it: all of it, once it is verified to its last line, or nothing. If it is interrupted, the store is as empty as before.
    /// The backup is read on the thread that polls this.
    ///
    /// # Errors
    /// Those of [`backup::verify`](crate::backup::verify) and of [`Builder::open`]; [`Reason::StoreNotEmpty`];
    /// [`Reason::OutcomeUnknown`] where the storage does not say whether it is done: open the store to see.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub async fn restore(
        self,
        backup: impl std::io::Read + crate::environment::MaybeSend,
        options: &crate::backup::RestoreOptions,
    ) -> Result<UserManagement> {
        let (place, mut prepared) = self.prepare()?;
        let storage = place.open(&mut prepared).await?;
        match crate::backup::restore(&*storage, &prepared.env, backup, options).await {
            Ok(_) => prepared.open(storage).await,
            Err(error) => {
                // What comes of that says nothing beside this error.
                let _ = storage.close().await;
                Err(error)
            }
        }
    }

    /// What a store is opened with. All that is wrong is told, and before a file is made.
    fn prepare(self) -> Result<(Place, Prepared)> {
        let Self { places, policy, config, environment, fetch, hooks } = self;
        let checked = config.check_beside(hooks.notifier.is_some());
        let (env, place, given) =
            (environment_or_current(environment), place_of(places, &config), given(policy, &config));
        if !IS_PAGE {
            let wrong = [checked.as_ref().err(), env.as_ref().err(), place.as_ref().err(), given.as_ref().err()];
            Error::together(wrong.into_iter().flatten())?;
        }
        checked?;
        let (env, place, given) = (env?, place?, given?);
        Ok((place, Prepared { env, given, config, fetch, hooks }))
    }
}

impl Place {
    #[cfg_attr(not(feature = "sql"), expect(unused_variables, reason = "there is no database to be joined"))]
    async fn open(self, prepared: &mut Prepared) -> Result<Arc<dyn Storage>> {
        Ok(match self {
            Place::Memory => Arc::new(MemoryStorage::new()),
            Place::Storage(storage) => storage,
            Place::Persister(persister) => Arc::new(PersistedStorage::open(persister).await?),
            #[cfg(feature = "sqlite")]
            Place::Sqlite(options) => {
                let storage = Arc::new(crate::storage::SqliteStorage::open(options).await?);
                if storage.is_shared() {
                    prepared.hooks.database = Database::Sqlite(storage.clone());
                }
                storage
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(options) => {
                let storage = Arc::new(crate::storage::PostgresStorage::open(options).await?);
                prepared.hooks.database = Database::Postgres(storage.clone());
                storage
            }
        })
    }
}

/// What a store is opened with beside its storage, checked.
struct Prepared {
    env: Env,
    given: Option<Given>,
    config: Config,
    fetch: Option<Arc<dyn Fetch>>,
    hooks: Hooks,
}

impl Prepared {
    async fn open(self, storage: Arc<dyn Storage>) -> Result<UserManagement> {
        let Self { env, given, config, fetch, hooks } = self;
        let breaches = Breaches::new(env.clone(), hooks.breached_passwords.clone());
        let passwords = (Hasher::new(env.clone(), &config)?, breaches);
        let issuers = Issuers::new(&env, &config, fetch)?;
        let secrets = store_secrets::open(&*storage, &env).await?;
        let audit_keys = audit::open(&config, &secrets, &*storage, &env).await?;
        let keys = (signing_keys::open(&config, &*storage, &env).await?, secrets.names, audit_keys);
        let services = Services::new(storage, env, config, passwords, keys, issuers, hooks.notifier.is_some())?;
        policy::open::open(&services, given).await?;
        #[cfg(feature = "metrics")]
        crate::metrics::describe();
        let engine = Arc::new(Engine::new(services, hooks));
        engine.start().await?;
        engine.spawn_poll();
        // In a page nobody is erased.
        unless_page(Ok(()), || Box::pin(engine.go_on_erasing())).await?;
        unless_page(Ok(()), || Box::pin(engine.go_through_names())).await?;
        engine.spawn_deliveries();
        Ok(UserManagement { engine })
    }
}

/// The one policy that was given, if any was.
fn given(policy: Option<Policy>, config: &Config) -> Result<Option<Given>> {
    let policy = match (policy, config.policy()?) {
        (Some(_), Some(_)) => return Err(Error::new(Reason::ConfigInvalid, "two policies are given")),
        (given, named) => given.or(named),
    };
    policy.map(Given::new).transpose()
}

/// The one place that was given, by the builder or its configuration; memory where none was.
fn place_of(mut places: Vec<Place>, config: &Config) -> Result<Place> {
    if let Some(path) = &config.sqlite {
        places.push(sqlite(path, config.exclusive)?);
    }
    if let Some(url) = &config.postgres {
        places.push(postgres(url, &config.postgres_schema, config.postgres_listener.as_ref())?);
    }
    match (places.pop(), places.is_empty()) {
        (None, _) => Ok(Place::Memory),
        (Some(place), true) => Ok(place),
        (Some(_), false) => Err(Error::new(Reason::ConfigInvalid, "two storages are given; a store has one")),
    }
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &str, is_exclusive: bool) -> Result<Place> {
    Ok(Place::Sqlite(crate::storage::SqliteOptions::new(path).exclusive(is_exclusive)))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str, _: bool) -> Result<Place> {
    Err(Error::new(Reason::ConfigInvalid, "there is no SQLite here; give a persister"))
}

#[cfg(feature = "postgres")]
fn postgres(url: &Secret, schema: &str, listener: Option<&Secret>) -> Result<Place> {
    let options = crate::storage::PostgresOptions::new(url.expose()).schema(schema);
    Ok(Place::Postgres(match listener {
        Some(listener) => options.listener_url(listener.expose()),
        None => options,
    }))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Secret, _: &str, _: Option<&Secret>) -> Result<Place> {
    Err(Error::new(Reason::ConfigInvalid, "there is no PostgreSQL here; give another storage"))
}

/// What fetches key sets where the host has nothing for it.
fn own_client() -> Option<Arc<dyn Fetch>> {
    #[cfg(all(feature = "fetch", not(target_arch = "wasm32")))]
    return Some(Arc::new(crate::fetch::Client));
    #[cfg(not(all(feature = "fetch", not(target_arch = "wasm32"))))]
    None
}

#[cfg(feature = "tokio")]
fn environment_or_current(given: Option<Env>) -> Result<Env> {
    match given {
        Some(env) => Ok(env),
        None => crate::environment::TokioEnvironment::current().map(Env::new),
    }
}

#[cfg(not(feature = "tokio"))]
fn environment_or_current(given: Option<Env>) -> Result<Env> {
    given.ok_or_else(|| {
        Error::new(
            Reason::ConfigInvalid,
            "a store runs on tokio where the feature `tokio` is on; without it, give `Builder::environment`",
        )
    })
}

impl UserManagement {
    /// Opens a store as a configuration says; [`builder`](Self::builder) takes what is not plain data, too.
    ///
    /// # Errors
    /// Those of [`Builder::open`].
    pub async fn open(config: Config) -> Result<Self> {
        Self::builder().config(config).open().await
    }

    /// Starts a builder: in memory, with the preset `standard`, unless told otherwise.
    pub fn builder() -> Builder {
        Builder {
            places: Vec::new(),
            policy: None,
            config: Config::default(),
            environment: None,
            fetch: own_client(),
            hooks: Hooks::default(),
        }
    }

    /// The host itself: no rule holds it back, every invariant does. Not for requests of others.
    pub fn system(&self) -> Caller {
        self.caller(WhoKind::System, RequestContext::default())
    }

    /// Somebody who has not signed in.
    pub fn anonymous(&self, request: RequestContext) -> Caller {
        self.caller(WhoKind::Anonymous, self.engine.kept(request))
    }

    /// The user whom an access token was made for, or whose API key it is.
    ///
    /// # Errors
    /// `UNAUTHORIZED`: [`Reason::InvalidToken`], also for an API key that is not good, whatever the reason, [`Reason::TokenExpired`],
    /// [`Reason::SessionEnded`].
    pub async fn authenticate(&self, access_token: &str, request: RequestContext) -> Result<Caller> {
        let stamp = |error: Error| error.at(self.engine.services.now());
        self.signed_in(access_token, request).await.map_err(stamp)
    }

    async fn signed_in(&self, access_token: &str, request: RequestContext) -> Result<Caller> {
        let services = &self.engine.services;
        self.engine.require_open()?;
        if !IS_PAGE && api_key::is_claimed(access_token) {
            let request = self.engine.kept(request);
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
            let request = self.engine.kept(request);
            let work = || Box::pin(self.engine.by_token(access_token, request)) as _;
            let who = unless_page(Err(api_key::refused()), work).await?;
            return Ok(Caller { engine: self.engine.clone(), who });
        }
        let (claims, key) = match verified {
            Ok(verified) => verified,
            Err(error) => {
                self.engine.tell_of_token(&Arc::new(self.engine.kept(request)), &error);
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
        let caller = self.caller(WhoKind::User { id: user, pin, by: By::Session(session) }, self.engine.kept(request));
        self.engine.actor(&caller.who).await?;
        Ok(caller)
    }

    /// A user for whom the host vouches itself, without a session.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` for no such user, `UNAUTHORIZED` for one that is not active.
    pub async fn acting_as(&self, user: UserId) -> Result<Caller> {
        let caller = async {
            self.engine.require_open()?;
            let pin = self.engine.principals.pin(user.0);
            self.engine.keep_up().await?;
            self.vouched_for(user, pin).await
        };
        caller.await.map_err(|error| error.at(self.engine.services.now()))
    }

    /// The user who stands for a subject of another issuer, for whom the host vouches: it has verified a token of that
    /// issuer, or knows the subject from a table of its own. The library verifies nothing of either.
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
    /// `RESOURCE_NOT_FOUND` where no account stands for it, `UNAUTHORIZED` for one that is not active,
    /// `VALIDATION_ERROR` for what cannot be an [`ExternalIdentity`].
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

    /// Signs in with an e-mail address or username and the password; short for `anonymous(request).sessions().login(…)`, which takes the
    /// `device_token` of an earlier sign-in, too: `Login::new(identifier, password).device_token(token)`.
    pub async fn login(&self, identifier: &str, password: &str, request: RequestContext) -> Result<SignInResult> {
        self.anonymous(request).sessions().login(Login::new(identifier, password)).await
    }

    /// The policy of now, compiled. It stays as it is: after an edit of the policy ask for it again.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.engine.services.rules()
    }

    /// Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, or some milliseconds where the storage tells
    /// of it, as PostgreSQL does.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the storage does not answer.
    pub async fn refresh(&self) -> Result<()> {
        self.engine.require_open()?;
        self.engine.follow().await
    }

    /// How well the store works, with everything that it depends on: for a page that says so, and for whoever restarts it.
    ///
    /// It is answered within two seconds, whatever the storage does: that is asked for its position alone, for a second at most, and its
    /// answer is kept for a second, however often this is called. Nothing in it is secret or names anybody. Of a store that was
    /// closed it says so.
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

    /// Whether requests should be sent to this instance ([`Health::is_ready`]): not while its storage does not answer, its rights are too
    /// old to decide by, or it is closing or closed.
    pub async fn ready(&self) -> bool {
        self.health().await.is_ready
    }

    /// Writes a backup of the whole store, as it is when this is called, for [`Builder::restore`]; whatever is committed meanwhile is not
    /// in it. Memory is that of some hundred rows. It is written on the thread that polls this. While it is being written, an SQLite file
    /// that is used exclusively takes no commits, and PostgreSQL keeps every old version of every row: see the
    /// [guide](crate::guide::operating).
    ///
    /// It holds everything, such as hashes of passwords and keys that sign tokens: keep it as you keep the storage.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the storage fails, or the sink; what has been written until then is no backup, and is refused as one.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub async fn backup(
        &self,
        mut sink: impl std::io::Write + crate::environment::MaybeSend,
        options: &crate::backup::BackupOptions,
    ) -> Result<crate::backup::BackupSummary> {
        self.engine.require_open()?;
        let services = &self.engine.services;
        crate::backup::write(&*services.storage, services.now(), &mut sink, options).await
    }

    /// The users whose rights are in memory, and how often they were: for metrics.
    pub fn users_in_memory(&self) -> UsersInMemory {
        self.engine.users_in_memory()
    }

    /// Lets go of old lines of the change feed, of sessions that ended long ago and the like, and purges users who were deleted long ago,
    /// as a store does by itself now and then, for tests.
    #[cfg(feature = "testing")]
    pub async fn tidy(&self) -> Result<crate::operations::upkeep::Tidied> {
        self.engine.tidy().await
    }

    /// How often passwords were hashed or verified, for tests.
    #[cfg(feature = "testing")]
    pub fn hashed(&self) -> usize {
        self.engine.services.hasher.hashed()
    }

    /// Finishes running commits, refuses further operations and lets go of the storage.
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
