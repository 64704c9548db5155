//! Opening a store, and the callers it gives out.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use rolekeep::{UserChecks, UserId, rules::Context};

use crate::{
    Result,
    backup::Restore,
    breached::{self, BreachedPasswords},
    caller::{Caller, RequestContext, Resource, attributes},
    direct,
    error::RolekeepError,
    face::{Config, Explanation, Health, SignInResult, Tidied},
    notifier::{self, Notifier},
    persister::{self, Persister},
    runtime::{run, run_while_wanted},
    types::{JsonText, Uuid, mirror},
};

/// An open store: users, roles, sessions, and the rules that decide.
///
/// In Kotlin and Java it is `AutoCloseable`: `close` closes the store for all its callers; `shutdown` does the same
/// without blocking the thread, and is called `close` in Swift. A store that is not closed stays open while it has
/// callers.
#[derive(uniffi::Object)]
pub struct UserManagement {
    store: rolekeep::UserManagement,
    number: OnceLock<direct::Number<rolekeep::UserManagement>>,
}

/// Options of a check about a user.
#[derive(uniffi::Record)]
pub struct Circumstances {
    /// The values that conditions read as `context.NAME`.
    #[uniffi(default)]
    pub context: HashMap<String, JsonText>,
    /// A `position`: everything committed up to it counts.
    #[uniffi(default)]
    pub at_least: Option<String>,
}

impl Circumstances {
    fn under(self, store: &rolekeep::UserManagement) -> rolekeep::Result<UserChecks<'_>> {
        let at_least = rolekeep::ffi::at_least(self.at_least.as_deref())?;
        Ok(store.checks().context(Context::from_json(&attributes(self.context))).at_least(at_least))
    }
}

async fn ask_about(
    store: rolekeep::UserManagement,
    user: Uuid,
    permission: String,
    resource: Option<Resource>,
    circumstances: Circumstances,
) -> Result<bool> {
    let resource = resource.map(Into::into);
    run(async move { Ok(circumstances.under(&store)?.check(UserId(user), &permission, resource.as_ref()).await?) })
        .await
}

async fn explain_about(
    store: rolekeep::UserManagement,
    user: Uuid,
    permission: String,
    resource: Option<Resource>,
    circumstances: Circumstances,
) -> Result<Explanation> {
    let resource = resource.map(Into::into);
    run(async move {
        mirror(&circumstances.under(&store)?.explain(UserId(user), &permission, resource.as_ref()).await?)
    })
    .await
}

/// One of many checks about users.
#[derive(uniffi::Record)]
pub struct UserCheck {
    /// The user.
    pub user_id: Uuid,
    /// `document:edit`
    pub permission: String,
    /// The resource; null: all resources there could be, so never one that was not found.
    #[uniffi(default)]
    pub resource: Option<Resource>,
}

#[uniffi::export]
impl UserManagement {
    /// Opens a store: in memory, in the SQLite file of the config, or where the persister keeps it.
    ///
    /// The notifier sends mail. Without one, what is done by mail, such as `passwords.forgot`, throws `UNAVAILABLE`
    /// (`NOT_OFFERED`), and users are not notified of what happens to their accounts. `breached_passwords` refuses passwords that are
    /// known from breaches. With `restore` the store, which has to be empty, begins with what a backup holds.
    ///
    /// Throws `VALIDATION_ERROR` (`CONFIG_INVALID`, `POLICY_INVALID` with every problem of the policy)
    /// and `UNAVAILABLE` where the storage cannot be used.
    #[uniffi::constructor(default(persister = None, notifier = None, breached_passwords = None, restore = None, config))]
    pub async fn open(
        config: Config,
        persister: Option<Arc<dyn Persister>>,
        notifier: Option<Arc<dyn Notifier>>,
        breached_passwords: Option<Arc<dyn BreachedPasswords>>,
        restore: Option<Restore>,
    ) -> Result<Arc<Self>> {
        let settings = rolekeep::Config::from_json(&json(&config)?)?;
        open(settings, (persister, notifier, breached_passwords), restore).await
    }

    /// The same, where settings that `config` does not give are taken from variables of the process, and those that neither gives from a
    /// file, in TOML (where its name ends so) or JSON.
    ///
    /// A variable is `ROLEKEEP_SESSION_SECONDS`, a part has two underscores before it (`ROLEKEEP_ROLES__EDITOR`), lists are in JSON.
    /// With `_FILE` at its end it names a file that has the value. One that is no setting is an error. Throws `VALIDATION_ERROR`
    /// (`CONFIG_INVALID`) naming every wrong one.
    #[uniffi::constructor(default(
        config_file = None, persister = None, notifier = None, breached_passwords = None, restore = None, config
    ))]
    pub async fn open_from_env(
        config: Config,
        config_file: Option<String>,
        persister: Option<Arc<dyn Persister>>,
        notifier: Option<Arc<dyn Notifier>>,
        breached_passwords: Option<Arc<dyn BreachedPasswords>>,
        restore: Option<Restore>,
    ) -> Result<Arc<Self>> {
        let layers = rolekeep::Layers::of_process();
        let layers = config_file.into_iter().fold(layers, rolekeep::Layers::file);
        let settings = rolekeep::ffi::of_layers(&layers, &json(&config)?)?;
        open(settings, (persister, notifier, breached_passwords), restore).await
    }

    /// The application itself. Rules do not restrict it, invariants do. Never use it to serve somebody else's request.
    pub fn system(&self) -> Arc<Caller> {
        Caller::new(self.store.system())
    }

    /// A caller who is not signed in.
    #[uniffi::method(default(request))]
    pub fn anonymous(&self, request: RequestContext) -> Arc<Caller> {
        Caller::new(self.store.anonymous(request.into()))
    }

    /// Signs in with an e-mail address or username and the password; then `authenticate` with the access token.
    ///
    /// It is short for `anonymous(request).sessions.login`. Give the device token of an earlier sign-in on this device, if there was
    /// one: strangers who guess at the account do not use up this device's tries. The answer has the tokens, or names the step that
    /// is owed. Throws `UNAUTHORIZED` (`INVALID_CREDENTIALS`), whatever was wrong, and
    /// `RATE_LIMIT_EXCEEDED` after too many that failed.
    #[uniffi::method(default(device_token = None, request))]
    pub async fn login(
        &self,
        identifier: String,
        password: String,
        request: RequestContext,
        device_token: Option<String>,
    ) -> Result<SignInResult> {
        let mut login = rolekeep::sessions::Login::new(identifier, password);
        login.device_token = device_token.map(Into::into);
        let caller = self.store.anonymous(request.into());
        run(async move { mirror(&caller.sessions().login(login).await?) }).await
    }

    /// The caller of an access token or an API key: of what a request's header says after `Bearer `.
    ///
    /// Throws `UNAUTHORIZED` (`INVALID_TOKEN`, `TOKEN_EXPIRED`, `SESSION_ENDED`).
    #[uniffi::method(default(request))]
    pub async fn authenticate(&self, access_token: String, request: RequestContext) -> Result<Arc<Caller>> {
        let store = self.store.clone();
        run(async move { Ok(Caller::new(store.authenticate(&access_token, request.into()).await?)) }).await
    }

    /// A caller for a user that the application vouches for, without a session.
    ///
    /// Throws `RESOURCE_NOT_FOUND`, and `UNAUTHORIZED` for a user who is not active.
    pub async fn acting_as(&self, user_id: Uuid) -> Result<Arc<Caller>> {
        let store = self.store.clone();
        run(async move { Ok(Caller::new(store.acting_as(user_id.into()).await?)) }).await
    }

    /// The user who stands for a subject of another issuer, for whom the host vouches: it has verified a token of that
    /// issuer, or knows the subject from a table of its own. The library verifies neither.
    ///
    /// Throws `RESOURCE_NOT_FOUND` where no account stands for it, `UNAUTHORIZED` for a user who is not active, and
    /// `VALIDATION_ERROR` for what cannot be an `ExternalIdentity`.
    pub async fn acting_as_identity(&self, issuer: String, subject: String) -> Result<Arc<Caller>> {
        let store = self.store.clone();
        run(async move { Ok(Caller::new(store.acting_as_identity(&issuer, &subject).await?)) }).await
    }

    /// Whether a user may do this to all resources there could be. A user who is not active may do nothing.
    ///
    /// Answers from memory, and reads the user's rights first if they are not there. If other processes write to the
    /// same storage, rights may be as old as the setting `rights_max_age_millis`; `at_least` asks for newer ones.
    ///
    /// Throws `RESOURCE_NOT_FOUND` if there is no such user, and as `can` of a caller.
    #[uniffi::method(default(circumstances))]
    pub async fn check(&self, user_id: Uuid, permission: String, circumstances: Circumstances) -> Result<bool> {
        ask_about(self.store.clone(), user_id, permission, None, circumstances).await
    }

    /// `check` with a resource: whether a user may do this to it.
    #[uniffi::method(default(circumstances))]
    pub async fn check_on(
        &self,
        user_id: Uuid,
        permission: String,
        resource: Resource,
        circumstances: Circumstances,
    ) -> Result<bool> {
        ask_about(self.store.clone(), user_id, permission, Some(resource), circumstances).await
    }

    /// Like `check`, but synchronous: it uses the rights in memory and never waits.
    ///
    /// Throws `UNAVAILABLE` (`NOT_LOADED`) if the rights are not in memory, and as `can` of a caller.
    #[uniffi::method(default(circumstances))]
    pub fn check_cached(&self, user_id: Uuid, permission: String, circumstances: Circumstances) -> Result<bool> {
        Ok(circumstances.under(&self.store)?.check_cached(UserId(user_id), &permission, None)?)
    }

    /// `check_cached` with a resource.
    #[uniffi::method(default(circumstances))]
    pub fn check_cached_on(
        &self,
        user_id: Uuid,
        permission: String,
        resource: Resource,
        circumstances: Circumstances,
    ) -> Result<bool> {
        let resource = rolekeep::Resource::from(resource);
        Ok(circumstances.under(&self.store)?.check_cached(UserId(user_id), &permission, &resource)?)
    }

    /// Many checks at one moment, about one user or several.
    #[uniffi::method(default(circumstances))]
    pub async fn check_many(&self, checks: Vec<UserCheck>, circumstances: Circumstances) -> Result<Vec<bool>> {
        let store = self.store.clone();
        run(async move {
            let checks =
                checks.into_iter().map(|one| (UserId(one.user_id), one.permission, one.resource.map(Into::into)));
            let checks: Vec<_> = checks.collect();
            let checks: Vec<_> =
                checks.iter().map(|(user, name, resource)| (*user, name.as_str(), resource.as_ref())).collect();
            Ok(circumstances.under(&store)?.check_many(&checks).await?)
        })
        .await
    }

    /// Explains why a user may or may not do this.
    #[uniffi::method(default(circumstances))]
    pub async fn explain(
        &self,
        user_id: Uuid,
        permission: String,
        circumstances: Circumstances,
    ) -> Result<Explanation> {
        explain_about(self.store.clone(), user_id, permission, None, circumstances).await
    }

    /// `explain` with a resource.
    #[uniffi::method(default(circumstances))]
    pub async fn explain_on(
        &self,
        user_id: Uuid,
        permission: String,
        resource: Resource,
        circumstances: Circumstances,
    ) -> Result<Explanation> {
        explain_about(self.store.clone(), user_id, permission, Some(resource), circumstances).await
    }

    /// How far the commits of the storage are known here, as an opaque text: up to the newest ones that this instance has made
    /// or read. As `at_least` it makes another instance count everything up to it.
    pub fn position(&self) -> String {
        self.store.position().to_string()
    }

    /// Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, and up to five seconds where nobody has asked anything for a minute.
    ///
    /// Throws `UNAVAILABLE` if the storage does not answer.
    pub async fn refresh(&self) -> Result<()> {
        let store = self.store.clone();
        run(async move { Ok(store.refresh().await?) }).await
    }

    /// How well the store works, with everything that it depends on: for a page that says so, and for whoever restarts it.
    ///
    /// It is answered within two seconds, whatever the storage does, and the storage's answer is kept for a second, however
    /// often this is called. Nothing in it is secret or names anybody. Of a store that was closed it says so.
    pub async fn health(&self) -> Result<Health> {
        let store = self.store.clone();
        run(async move { mirror(&store.health().await) }).await
    }

    /// Whether requests should be sent to this process: `is_ready` of its health.
    pub async fn ready(&self) -> Result<bool> {
        let store = self.store.clone();
        run(async move { Ok(store.ready().await) }).await
    }

    /// Lets go of old lines of the change feed, of sessions that ended long ago and the like, purges users who were deleted long ago, and
    /// encrypts values that are plain or under a retired key. A store does all of it by itself, every hour (the setting
    /// `tidy_every_seconds`) and every thousand commits; call this to end a change of the setting `encryption_key`, or where processes
    /// live for less than two minutes.
    ///
    /// A call does a part: call it until `has_more` is false. The old key may be taken out of `retired_encryption_keys` once every instance
    /// has the new key as its `encryption_key` and `has_more` was false after that.
    ///
    /// Throws `UNAVAILABLE` if the storage fails, and (`ENCRYPTION_KEY_WRONG`) for what is under a key that is not given; what was done
    /// until then stays done.
    pub async fn tidy(&self) -> Result<Tidied> {
        let store = self.store.clone();
        run(async move { mirror(&store.tidy().await?) }).await
    }

    /// What Kotlin's `checkCached` asks by: the numbers of this store and of a permission.
    ///
    /// Throws as `check_cached` does for an unknown permission.
    pub fn numbers(&self, permission: String) -> Result<Vec<i64>> {
        self.store.rules().permission(&permission)?;
        let store = self.number.get_or_init(|| direct::Number::of(&self.store));
        Ok(vec![store.0, direct::permission(&permission)])
    }

    /// Finishes running commits and closes the storage; later calls throw `UNAVAILABLE` (`CLOSED`).
    /// Closing again does nothing.
    pub async fn shutdown(&self) -> Result<()> {
        let store = self.store.clone();
        run(async move { Ok(store.close().await?) }).await
    }
}

impl UserManagement {
    pub(crate) const fn store(&self) -> &rolekeep::UserManagement {
        &self.store
    }
}

type Objects = (Option<Arc<dyn Persister>>, Option<Arc<dyn Notifier>>, Option<Arc<dyn BreachedPasswords>>);

pub(crate) fn json(config: &Config) -> Result<String> {
    serde_json::to_string(config).map_err(|_| RolekeepError::fault("config cannot be written"))
}

async fn open(
    config: rolekeep::Config,
    (persister, notifier, list): Objects,
    restore: Option<Restore>,
) -> Result<Arc<UserManagement>> {
    let mut builder = rolekeep::UserManagement::builder().config(config);
    if let Some(persister) = persister {
        builder = builder.persister(persister::Host::new(persister));
    }
    if let Some(notifier) = notifier {
        builder = builder.notifier(notifier::Host(notifier));
    }
    if let Some(list) = list {
        builder = builder.breached_passwords(breached::Host(list));
    }
    let store = match restore {
        Some(restore) => run_while_wanted(restore.into(builder)).await?,
        None => run(async move { Ok(builder.open().await?) }).await?,
    };
    Ok(Arc::new(UserManagement { store, number: OnceLock::new() }))
}
