//! A store in a transaction of the application's: an engine of its own, which reads and writes on the application's connection. What it has
//! read goes with it; the store itself hears of what was written as of anybody else's commits.

use std::sync::Arc;

use super::{Engine, Hooks};
use crate::{
    model::error::{Error, Reason, Result},
    operations::store_secrets,
    storage::{Storage, encrypted::Encrypted},
};

/// A storage that an application's transaction can join.
#[derive(Clone, Default)]
pub(crate) enum Database {
    /// Another one.
    #[default]
    None,
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<crate::storage::SqliteStorage>),
    #[cfg(feature = "postgres")]
    Postgres(Arc<crate::storage::PostgresStorage>),
}

impl Engine {
    /// This store, on a connection that leads to the same database.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`] where it leads to another store.
    pub(crate) async fn joined(self: &Arc<Self>, storage: Arc<dyn Storage>) -> Result<Arc<Self>> {
        let hooks = Hooks {
            observer: self.hooks.observer.clone(),
            limiter: self.hooks.limiter.clone(),
            breached_passwords: self.hooks.breached_passwords.clone(),
            ..Hooks::default()
        };
        let (keys, env) = (self.services.config.encryption_keys()?, self.services.env.clone());
        let storage = Arc::new(Encrypted::new(storage, keys, env));
        let mut engine = Self::new(self.services.joined(storage), hooks);
        engine.main = Some(self.clone());
        // From there on it follows the feed on its own connection.
        *super::feed::locked(&engine.position) = self.heard();
        *super::feed::locked(&engine.committed) = self.newest();
        if self.is_in_doubt() {
            engine.doubt();
        }
        if !store_secrets::are_those_of(&engine.services).await? {
            let message = "the connection leads to another store than the one that is to join its transaction";
            return Err(Error::new(Reason::InvalidInput, message));
        }
        Ok(Arc::new(engine))
    }

    /// What was written in the application's transaction is there now.
    pub(crate) async fn hear_joined(self: &Arc<Self>) -> Result<()> {
        match &self.hooks.database {
            #[cfg(feature = "postgres")]
            Database::Postgres(storage) => storage.tell(),
            #[cfg(feature = "sqlite")]
            Database::Sqlite(_) => {}
            Database::None => {}
        }
        self.catch_up().await?;
        self.go_on_erasing().await
    }

    /// The storage, where an application's transaction can join it.
    pub(crate) fn database(&self) -> &Database {
        &self.hooks.database
    }
}
