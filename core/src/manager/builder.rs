//! Where a store is kept and how it behaves, and its opening.

use std::sync::Arc;

use super::UserManagement;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::engine::joined::Database;
use crate::{
    config::Config,
    engine::{Engine, Hooks, around::Observer, limit::Limiter},
    environment::{Env, Environment},
    fetch::Fetch,
    model::{
        deferred::{IS_PAGE, unless_page},
        error::{Error, Reason, Result},
        registry::StoreSecret,
        secret::Secret,
    },
    operations::{
        audit,
        hasher::Hasher,
        issuers::Issuers,
        notices::Notifier,
        passwords::{BreachedPasswords, Breaches},
        policy::{self, open::Given},
        services::Services,
        signing_keys, store_secrets, upkeep,
    },
    rules::Policy,
    storage::{MemoryStorage, PersistedStorage, Persister, Storage},
};

/// Where a store is kept and how it behaves. Made by [`UserManagement::builder`].
#[must_use]
pub struct Builder {
    /// Where it was said to be kept; only one may be.
    places: Vec<StorageChoice>,
    policy: Option<Policy>,
    config: Config,
    environment: Option<Env>,
    /// What fetches key sets.
    fetch: Option<Arc<dyn Fetch>>,
    hooks: Hooks,
}

enum StorageChoice {
    Memory,
    Storage(Arc<dyn Storage>),
    Persister(Arc<dyn Persister>),
    #[cfg(feature = "sqlite")]
    Sqlite(crate::storage::SqliteOptions),
    #[cfg(feature = "postgres")]
    Postgres(crate::storage::PostgresOptions),
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            policy: None,
            config: Config::default(),
            environment: None,
            fetch: own_client(),
            hooks: Hooks::default(),
        }
    }

    /// Keeps everything in memory, until it is closed. The default.
    pub fn memory(self) -> Self {
        self.kept(StorageChoice::Memory)
    }

    /// Keeps everything in an SQLite file, which is created if it does not exist; its folder must exist. It takes a file path only:
    /// `:memory:`, URIs and an empty path are refused when the store is opened.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(self, path: impl Into<std::path::PathBuf>) -> Self {
        self.sqlite_with(crate::storage::SqliteOptions::new(path))
    }

    /// Keeps everything in an SQLite file, opened with the given options.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_with(self, options: crate::storage::SqliteOptions) -> Self {
        self.kept(StorageChoice::Sqlite(options))
    }

    /// Keeps everything in the schema `rolekeep` of a PostgreSQL database, by a URL such as `postgres://user:password@host/database`
    /// ([`PostgresOptions::new`](crate::storage::PostgresOptions::new)).
    #[cfg(feature = "postgres")]
    pub fn postgres(self, url: impl Into<String>) -> Self {
        self.postgres_with(crate::storage::PostgresOptions::new(url))
    }

    /// Keeps everything in a PostgreSQL database, used with the given options.
    #[cfg(feature = "postgres")]
    pub fn postgres_with(self, options: crate::storage::PostgresOptions) -> Self {
        self.kept(StorageChoice::Postgres(options))
    }

    /// Keeps everything in memory, and makes it durable with a persister of the application.
    pub fn persister(self, persister: impl Persister) -> Self {
        self.kept(StorageChoice::Persister(Arc::new(persister)))
    }

    /// Keeps everything in a storage of the application.
    pub fn storage(self, storage: Arc<dyn Storage>) -> Self {
        self.kept(StorageChoice::Storage(storage))
    }

    fn kept(mut self, place: StorageChoice) -> Self {
        self.places.push(place);
        self
    }

    /// Who may do what. A store keeps its policy: the one given here is imported at the first opening. At later openings it is compared
    /// with the one given before, by permission, role and the rest: what changed in it is applied; everything else keeps the edits that
    /// operations made in the meantime.
    ///
    /// Without one, a new store gets the preset `standard`, and an existing store keeps its policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Everything that is plain data: where the store is kept, its policy, and how it behaves. What the configuration leaves out may be
    /// given with the other methods, but nothing may be given twice.
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

    /// Refuses callers who send too many requests, before the limits of the configuration do.
    pub fn limiter(mut self, limiter: impl Limiter) -> Self {
        self.hooks.limiter = Some(Arc::new(limiter));
        self
    }

    /// Sends notices by mail; without one, operations that need it are refused with [`Reason::NotOffered`], and users are not notified of
    /// what happens to their accounts.
    pub fn notifier(mut self, notifier: impl Notifier) -> Self {
        self.hooks.notifier = Some(Arc::new(notifier));
        self
    }

    /// Refuses passwords that are known from breaches; without one, only common ones and those built from the account's names are
    /// refused.
    pub fn breached_passwords(mut self, list: impl BreachedPasswords) -> Self {
        self.hooks.breached_passwords = Some(Arc::new(list));
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] naming every bad setting, including those that need a notifier if there is none, and two storages or
    /// policies; [`Reason::PolicyInvalid`] with every problem of the policy, [`Reason::LastAdministrator`] if it would leave no
    /// administrator, [`Reason::StorageMissing`], [`Reason::StorageReadOnly`], [`Reason::SchemaNewer`].
    pub async fn open(self) -> Result<UserManagement> {
        let (place, mut prepared) = self.prepare()?;
        let is_ours = place.is_ours();
        let storage = place.open(&mut prepared).await?;
        closed_unless(prepared.open(storage.clone()).await, &*storage, is_ours).await
    }

    /// Restores a backup that [`UserManagement::backup`] wrote, of a store on any storage, into an empty store, and opens it. Everything
    /// is restored once the backup is verified to its last line, or nothing. If it is interrupted, the store is as empty as before. The
    /// backup is read on the thread that polls this. The same commit adds an entry `store.restored` to the audit log.
    ///
    /// # Errors
    /// Those of [`backup::verify`](crate::backup::verify) and of [`Builder::open`]; [`Reason::StoreNotEmpty`]; [`Reason::Corrupt`] if the
    /// keys of the configuration did not seal the end of the backup's audit log; [`Reason::OutcomeUnknown`] if the storage does not
    /// report whether it was done: open the store to see.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    pub async fn restore(
        self,
        backup: impl std::io::Read + crate::environment::MaybeSend,
        options: &crate::backup::RestoreOptions,
    ) -> Result<UserManagement> {
        let (place, mut prepared) = self.prepare()?;
        let is_ours = place.is_ours();
        let storage = place.open(&mut prepared).await?;
        let opened = match prepared.restore(&*storage, backup, options).await {
            Ok(()) => {
                let opened = prepared.open(storage.clone()).await;
                opened.map_err(|error| error.after("the backup is restored, but the store could not be opened"))
            }
            Err(error) => Err(error),
        };
        closed_unless(opened, &*storage, is_ours).await
    }

    /// What a store is opened with. All that is wrong is told, and before a file is made.
    fn prepare(self) -> Result<(StorageChoice, Prepared)> {
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

/// What came of opening a store. Where that failed, the storage is closed if it was opened for it; one of the host's is the host's to
/// close, or to try again with.
async fn closed_unless<T>(opened: Result<T>, storage: &dyn Storage, is_ours: bool) -> Result<T> {
    if opened.is_err() && is_ours {
        // What comes of that says nothing beside the error.
        let _ = storage.close().await;
    }
    opened
}

impl StorageChoice {
    /// Whether the storage is opened by the builder.
    fn is_ours(&self) -> bool {
        !matches!(self, Self::Storage(_))
    }

    #[cfg_attr(
        all(feature = "deferred", target_arch = "wasm32"),
        expect(unused_variables, reason = "there is no database to be joined, and nothing is encrypted")
    )]
    async fn open(self, prepared: &mut Prepared) -> Result<Arc<dyn Storage>> {
        Ok(match self {
            StorageChoice::Memory => Arc::new(MemoryStorage::new()),
            StorageChoice::Storage(storage) => storage,
            #[cfg(all(feature = "deferred", target_arch = "wasm32"))]
            StorageChoice::Persister(persister) => Arc::new(PersistedStorage::open(persister).await?),
            #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
            StorageChoice::Persister(persister) => {
                let (keys, env) = (prepared.config.encryption_keys()?, prepared.env.clone());
                Arc::new(PersistedStorage::open_encrypted(persister, keys, env).await?)
            }
            #[cfg(feature = "sqlite")]
            StorageChoice::Sqlite(options) => {
                let storage = Arc::new(crate::storage::SqliteStorage::open(options).await?);
                if storage.is_shared() {
                    prepared.hooks.database = Database::Sqlite(storage.clone());
                }
                storage
            }
            #[cfg(feature = "postgres")]
            StorageChoice::Postgres(options) => {
                let storage = Arc::new(crate::storage::PostgresStorage::open(options).await?);
                prepared.hooks.database = Database::Postgres(storage.clone());
                storage
            }
        })
    }
}

/// A database that a configuration names, without opening the store that is in it: that has policies and hooks of its application.
#[cfg(all(feature = "bindings", any(feature = "sqlite", feature = "postgres")))]
impl Builder {
    /// [`UserManagement::backup`].
    pub(crate) async fn back_up(
        config: Config,
        mut sink: impl std::io::Write + crate::environment::MaybeSend,
        options: &crate::backup::BackupOptions,
    ) -> Result<crate::backup::BackupSummary> {
        // What is to be copied is not to be made.
        let (storage, prepared) = Self::database(config.migrates(false)).await?;
        let at_least = crate::storage::Position::START;
        let written = crate::backup::write(&*storage, prepared.env.now(), &mut sink, (options, &at_least)).await;
        let closed = storage.close().await;
        written.and_then(|summary| closed.map(|()| summary))
    }

    /// [`Builder::restore`].
    pub(crate) async fn restore_alone(
        config: Config,
        backup: impl std::io::Read + crate::environment::MaybeSend,
        options: &crate::backup::RestoreOptions,
    ) -> Result<()> {
        let (storage, prepared) = Self::database(config).await?;
        let restored = prepared.restore(&*storage, backup, options).await;
        // What is restored stays so, however this ends.
        let _ = storage.close().await;
        restored
    }

    async fn database(config: Config) -> Result<(Arc<dyn Storage>, Prepared)> {
        if config.sqlite.is_none() && config.postgres.is_none() {
            return Err(Error::new(Reason::ConfigInvalid, "no database is given: give `sqlite` or `postgres`"));
        }
        config.check()?;
        let (place, env) = (place_of(Vec::new(), &config)?, environment_or_current(None)?);
        let mut prepared = Prepared { env, given: None, config, fetch: None, hooks: Hooks::default() };
        Ok((place.open(&mut prepared).await?, prepared))
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
    /// Restores a backup, and tells the audit log in the same commit.
    #[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
    async fn restore(
        &self,
        storage: &dyn Storage,
        backup: impl std::io::Read + crate::environment::MaybeSend,
        options: &crate::backup::RestoreOptions,
    ) -> Result<()> {
        let Self { env, config, .. } = self;
        let restoring = crate::backup::restore(storage, env, backup, options).await?;
        let log = encrypted(restoring.log.clone(), config, env)?;
        audit::tell_of_restore(&*log, config, env, restoring.facts.clone()).await?;
        restoring.finish().await
    }

    async fn open(self, storage: Arc<dyn Storage>) -> Result<UserManagement> {
        let Self { env, given, config, fetch, hooks } = self;
        let breaches = Breaches::new(env.clone(), hooks.breached_passwords.clone());
        let passwords = (Hasher::new(env.clone(), &config)?, breaches);
        let issuers = Issuers::new(&env, &config, fetch)?;
        let storage = encrypted(storage, &config, &env)?;
        let secrets = store_secrets::open(&*storage, &env).await?;
        // From then on who has not the key is refused, before anything else is read.
        unless_page(Ok(()), || Box::pin(upkeep::encrypt::<StoreSecret>(&*storage, &config, &env))).await?;
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
        engine.tidy_by_time();
        Ok(UserManagement { engine })
    }
}

/// The storage, with what is secret in it encrypted. What pages keep is encrypted by TypeScript.
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
fn encrypted(storage: Arc<dyn Storage>, config: &Config, env: &Env) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(crate::storage::encrypted::Encrypted::new(storage, config.encryption_keys()?, env.clone())))
}

#[cfg(all(feature = "deferred", target_arch = "wasm32"))]
fn encrypted(storage: Arc<dyn Storage>, _: &Config, _: &Env) -> Result<Arc<dyn Storage>> {
    Ok(storage)
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
fn place_of(mut places: Vec<StorageChoice>, config: &Config) -> Result<StorageChoice> {
    if let Some(path) = &config.sqlite {
        places.push(sqlite(path, config)?);
    }
    if let Some(url) = &config.postgres {
        places.push(postgres(url, config)?);
    }
    match (places.pop(), places.is_empty()) {
        (None, _) => Ok(StorageChoice::Memory),
        (Some(place), true) => Ok(place),
        (Some(_), false) => Err(Error::new(Reason::ConfigInvalid, "two storages are given; a store has one")),
    }
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &str, config: &Config) -> Result<StorageChoice> {
    let options = crate::storage::SqliteOptions::new(path).exclusive(config.exclusive);
    config.check_place(|checks| options.check_place(checks))?;
    Ok(StorageChoice::Sqlite(options.migrates(config.migrates)))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str, _: &Config) -> Result<StorageChoice> {
    Err(Error::new(Reason::ConfigInvalid, "there is no SQLite here; give a persister"))
}

#[cfg(feature = "postgres")]
fn postgres(url: &Secret, config: &Config) -> Result<StorageChoice> {
    let mut options = crate::storage::PostgresOptions::new(url.expose()).schema(&config.postgres_schema);
    options = options.migrates(config.migrates);
    if let Some(listener) = &config.postgres_listener {
        options = options.listener_url(listener.expose());
    }
    if let Some(replica) = &config.postgres_replica {
        options = options.replica_url(replica.expose());
    }
    config.check_place(|checks| options.check_place(checks))?;
    Ok(StorageChoice::Postgres(options))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Secret, _: &Config) -> Result<StorageChoice> {
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
