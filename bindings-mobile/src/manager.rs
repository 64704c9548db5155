//! Opening a store, and the callers it gives out.

use std::sync::Arc;

use crate::{
    Result,
    caller::{Caller, RequestContext},
    error::RolekeepError,
    face::{LoginResult, Settings},
    persister::{Host, Persister},
    runtime::run,
    types::{Uuid, mirror},
};

/// An open store: users, roles, sessions, and the rules that decide.
///
/// Letting go of it (`close` in Kotlin) leaves its callers working; `shutdown` ends it for all.
#[derive(uniffi::Object)]
pub struct UserManagement {
    store: rolekeep::UserManagement,
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
                builder = builder.persister(Host(persister));
            }
            Ok(Arc::new(Self { store: builder.open().await? }))
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

    /// Finishes running commits and lets go of the storage; all that is asked later throws `UNAVAILABLE` (`CLOSED`).
    pub async fn shutdown(&self) -> Result<()> {
        let store = self.store.clone();
        run(async move { Ok(store.close().await?) }).await
    }
}
