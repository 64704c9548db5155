//! Opening a store, and the callers it gives out.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use rolekeep::{Asking, UserId, rules::Context};

use crate::{
    Result,
    caller::{Caller, RequestContext, Resource, attributes},
    direct,
    error::RolekeepError,
    face::{Explanation, LoginResult, Settings},
    persister::{Host, Persister},
    runtime::run,
    types::{JsonText, Uuid, mirror},
};

/// An open store: users, roles, sessions, and the rules that decide.
///
/// In Kotlin and Java it is `AutoCloseable`: `close` ends the store for all its callers, as `shutdown` does without
/// blocking the thread; in Swift that is `close`. A store that is only let go of stays open while it has callers.
#[derive(uniffi::Object)]
pub struct UserManagement {
    store: rolekeep::UserManagement,
    number: OnceLock<direct::Number<rolekeep::UserManagement>>,
}

/// What a host knows when it asks about a user.
#[derive(uniffi::Record)]
pub struct Circumstances {
    /// What the policy's conditions read as `context.…`.
    #[uniffi(default)]
    pub context: HashMap<String, JsonText>,
    /// A `position` up to which all that was written must count.
    #[uniffi(default)]
    pub at_least: Option<u64>,
}

impl Circumstances {
    fn under(self, store: &rolekeep::UserManagement) -> Asking<'_> {
        store.asking().context(Context::from_json(&attributes(self.context))).at_least(self.at_least.unwrap_or(0))
    }
}

/// One of many checks about users.
#[derive(uniffi::Record)]
pub struct UserCheck {
    /// The user.
    pub user_id: Uuid,
    /// `document:edit`
    pub permission: String,
    /// What it would be done to.
    #[uniffi(default)]
    pub resource: Option<Resource>,
}

#[uniffi::export]
impl UserManagement {
    /// Opens a store: in memory, in the SQLite file of the settings, or where the persister keeps it.
    ///
    /// Throws `VALIDATION_ERROR` (`CONFIG_INVALID`, `POLICY_INVALID` with every problem of the policy)
    /// and `UNAVAILABLE` where the storage cannot be used.
    #[uniffi::constructor(default(persister = None, settings))]
    pub async fn open(settings: Settings, persister: Option<Arc<dyn Persister>>) -> Result<Arc<Self>> {
        let json = serde_json::to_string(&settings).map_err(|_| RolekeepError::fault("settings cannot be written"))?;
        run(async move {
            let has_file = settings.sqlite.is_some();
            let mut builder = rolekeep::settings::Settings::from_json(&json)?.builder()?;
            if let Some(persister) = persister {
                if has_file {
                    let message = "give either an SQLite file or a persister";
                    return Err(rolekeep::Error::new(rolekeep::Reason::ConfigInvalid, message).into());
                }
                builder = builder.persister(Host::new(persister));
            }
            Ok(Arc::new(Self { store: builder.open().await?, number: OnceLock::new() }))
        })
        .await
    }

    /// The host itself: no rule holds it back, every invariant does. Not for requests of others.
    pub fn system(&self) -> Arc<Caller> {
        Caller::new(self.store.system())
    }

    /// Somebody who has not signed in.
    #[uniffi::method(default(request))]
    pub fn anonymous(&self, request: RequestContext) -> Arc<Caller> {
        Caller::new(self.store.anonymous(request.into()))
    }

    /// Signs in with an e-mail address or username and the password; then `authenticate` with the access token.
    ///
    /// Throws `UNAUTHORIZED` (`INVALID_CREDENTIALS`), whatever was wrong.
    #[uniffi::method(default(request))]
    pub async fn login(&self, identifier: String, password: String, request: RequestContext) -> Result<LoginResult> {
        let store = self.store.clone();
        run(async move { mirror(&store.login(&identifier, &password, request.into()).await?) }).await
    }

    /// The user whom an access token was made for.
    ///
    /// Throws `UNAUTHORIZED` (`INVALID_TOKEN`, `TOKEN_EXPIRED`, `SESSION_ENDED`).
    #[uniffi::method(default(request))]
    pub async fn authenticate(&self, access_token: String, request: RequestContext) -> Result<Arc<Caller>> {
        let store = self.store.clone();
        run(async move { Ok(Caller::new(store.authenticate(&access_token, request.into()).await?)) }).await
    }

    /// A user for whom the host vouches itself, without a session.
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

    /// Whether a user may do this, to a resource or at all. A user that may not sign in may do nothing.
    ///
    /// It answers from memory, and reads the user's rights where they are not there. Where others write to the same
    /// storage, rights may be as old as the setting `rights_max_age_millis` says; `at_least` asks for newer ones.
    ///
    /// Throws `RESOURCE_NOT_FOUND` for no such user, and as a caller's `can`.
    #[uniffi::method(default(resource = None, circumstances))]
    pub async fn check(
        &self,
        user_id: Uuid,
        permission: String,
        resource: Option<Resource>,
        circumstances: Circumstances,
    ) -> Result<bool> {
        let (store, resource) = (self.store.clone(), resource.map(Into::into));
        run(async move {
            Ok(circumstances.under(&store).check(UserId(user_id), &permission, resource.as_ref()).await?)
        })
        .await
    }

    /// `check` that never waits: synchronous, by the rights in memory, without I/O.
    ///
    /// Throws `UNAVAILABLE` (`NOT_LOADED`) where the rights are not in memory, which `check` reads, and as a caller's `can`.
    #[uniffi::method(default(resource = None, circumstances))]
    pub fn check_cached(
        &self,
        user_id: Uuid,
        permission: String,
        resource: Option<Resource>,
        circumstances: Circumstances,
    ) -> Result<bool> {
        let resource = resource.map(Into::into);
        Ok(circumstances.under(&self.store).check_cached(UserId(user_id), &permission, resource.as_ref())?)
    }

    /// Many checks of one moment, about one user or several.
    #[uniffi::method(default(circumstances))]
    pub async fn check_many(&self, checks: Vec<UserCheck>, circumstances: Circumstances) -> Result<Vec<bool>> {
        let store = self.store.clone();
        run(async move {
            let checks =
                checks.into_iter().map(|one| (UserId(one.user_id), one.permission, one.resource.map(Into::into)));
            let checks: Vec<_> = checks.collect();
            let checks: Vec<_> =
                checks.iter().map(|(user, name, resource)| (*user, name.as_str(), resource.as_ref())).collect();
            Ok(circumstances.under(&store).check_many(&checks).await?)
        })
        .await
    }

    /// Why any user may or may not do this.
    #[uniffi::method(default(resource = None, circumstances))]
    pub async fn explain(
        &self,
        user_id: Uuid,
        permission: String,
        resource: Option<Resource>,
        circumstances: Circumstances,
    ) -> Result<Explanation> {
        let (store, resource) = (self.store.clone(), resource.map(Into::into));
        run(async move {
            let asking = circumstances.under(&store);
            mirror(&asking.explain(UserId(user_id), &permission, resource.as_ref()).await?)
        })
        .await
    }

    /// The newest commit that this instance has made or heard of; commits of one storage are counted from 1. As
    /// `at_least` it makes another instance answer by what was written up to here.
    pub fn position(&self) -> u64 {
        self.store.position()
    }

    /// What Kotlin's `checkCached` asks by: the numbers of this store and of a permission.
    ///
    /// Throws as `check_cached` does for an unknown permission.
    pub fn numbers(&self, permission: String) -> Result<Vec<i64>> {
        self.store.rules().permission(&permission)?;
        let store = self.number.get_or_init(|| direct::Number::of(&self.store));
        Ok(vec![store.0, direct::permission(&permission)])
    }

    /// Finishes running commits and closes the storage; whatever is asked later throws `UNAVAILABLE` (`CLOSED`).
    /// Closing again does nothing.
    pub async fn shutdown(&self) -> Result<()> {
        let store = self.store.clone();
        run(async move { Ok(store.close().await?) }).await
    }
}
