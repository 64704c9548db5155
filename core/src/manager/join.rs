//! Joining a transaction of the application's own.

use std::sync::Arc;

use super::UserManagement;
#[cfg(feature = "postgres")]
use crate::storage::postgres;
#[cfg(feature = "sqlite")]
use crate::storage::sqlite;
use crate::{
    engine::{Engine, joined::Database},
    model::error::{Error, Reason, Result},
    storage::{
        Storage,
        lent::{Lent, lend, lent},
    },
};

/// A connection of the application, in whose transaction a store can take part: `sqlx::PgConnection` or `sqlx::SqliteConnection`.
pub trait HostConnection: sealed::Joins {}

impl<C: sealed::Joins> HostConnection for C {}

mod sealed {
    use super::{Arc, Database, Lent, Result, Storage};

    /// A connection on which a store can read and write.
    pub trait Joins: Send + Sized + 'static {
        /// What it was set to before.
        type Before: Send;

        /// Sets a savepoint, and has the connection find the store's tables.
        #[expect(private_interfaces, reason = "nobody else calls it")]
        fn enter(&mut self, database: &Database) -> impl Future<Output = Result<Self::Before>> + Send;

        /// The store on it.
        #[expect(private_interfaces, reason = "nobody else calls it")]
        fn storage(database: &Database, lent: Lent<Self>) -> Result<Arc<dyn Storage>>;

        /// Leaves it as it was, with all that was written, or nothing of it.
        fn leave(&mut self, before: Self::Before, keeps: bool) -> impl Future<Output = Result<()>> + Send;
    }
}

/// What was written in a transaction of the application, until it is committed or rolled back.
///
/// If it is dropped, the store finds out the next time it looks for commits of others: within half a second while it is used, and within
/// five seconds while it is not.
#[must_use = "the store should hear when the transaction was committed"]
pub struct Pending {
    um: UserManagement,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Pending {
    /// Reports that the transaction was committed: when this returns the store knows of it, and others are notified.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the storage does not respond. What was committed is there in any case.
    pub async fn committed(self) -> Result<()> {
        self.um.engine().hear_joined().await
    }

    /// Reports that the transaction was rolled back. Nobody was notified of it, so there is nothing to do.
    pub fn rolled_back(self) {}
}

impl UserManagement {
    /// Lets this store take part in a transaction of the application, so that its rows and yours are written together or not at all.
    ///
    /// The closure gets a store that reads and writes on this connection. Its callers work like those of any store, and see what the
    /// transaction has written so far. If the closure fails, everything that it wrote is undone, to a savepoint, and the transaction can
    /// continue. What it wrote takes effect when you commit; until then nobody else sees it, no mail is sent, and the joined store does
    /// not know of it. Call [`Pending::committed`] after the commit, so that the store sees it at once.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use rolekeep::{UserManagement, users::CreateUser};
    /// use sqlx::Connection as _;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.db");
    /// let um = UserManagement::builder().sqlite(&path).open().await?;
    /// let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    /// let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    /// sqlx::query("CREATE TABLE customers (user_id TEXT NOT NULL)").execute(&mut *transaction).await.unwrap();
    ///
    /// let work = async |store: UserManagement| store.system().users().create(CreateUser::new("ada@example.org")).await;
    /// let (ada, pending) = um.join(&mut *transaction, work).await?;
    /// let insert = sqlx::query("INSERT INTO customers VALUES (?)").bind(ada.id.to_string());
    /// insert.execute(&mut *transaction).await.unwrap();
    /// transaction.commit().await.unwrap();
    /// // The rows are committed, whatever this answers: others only hear of them sooner.
    /// let _ = pending.committed().await;
    /// assert_eq!(um.system().users().get(ada.id).await?.email.as_deref(), Some("ada@example.org"));
    /// # rolekeep::Result::<()>::Ok(()) }).unwrap();
    /// ```
    ///
    /// - The connection must lead to this store's database: another store is refused, a copy of this one is not noticed. In PostgreSQL it
    ///   must be in a transaction, preferably at the default isolation level; in SQLite in one begun with `BEGIN IMMEDIATE`, because a
    ///   transaction that has read before often cannot write. An `exclusive` file cannot be joined, nor one that was given as a storage.
    /// - In the closure use only the store that it gets: this one may wait for locks of the transaction.
    /// - Written rows stay locked until you commit, and in SQLite the whole file: write late, and do not wait for anything in between. In
    ///   PostgreSQL that goes for names, too: those of all accounts share 1,024 locks, of which a new account holds a few, so that others who
    ///   add accounts may wait for a transaction that lasts.
    /// - Operations that check passwords, codes and links are refused in it, because a rollback would undo the count of failed attempts;
    ///   so are changes of what all other commits rely on: the policy, signing keys, everybody's sessions; and [`UserManagement::tidy`].
    /// - [`Caller::can`](crate::Caller::can) fails with `rights_stale` if the joined store has run no operation for
    ///   [`Config::rights_max_age_millis`](crate::Config::rights_max_age_millis); use [`UserManagement::check`].
    /// - Each operation is a savepoint; more than some 60 in a transaction make PostgreSQL slow for everybody.
    /// - If the future is dropped before it is done, roll the transaction back.
    ///
    /// # Errors
    /// Those of the closure, and before it `UNAVAILABLE` (`not_offered`) for a store that is not in SQLite or PostgreSQL, and
    /// `VALIDATION_ERROR` for a connection that leads to another store or is in no transaction, or in SQLite has a temporary table that is
    /// called as one of the store's. If the closure ignores an error of the database, also `VALIDATION_ERROR` in PostgreSQL, where what the
    /// store wrote is undone, and `UNAVAILABLE` in SQLite if it has rolled back the whole transaction.
    pub async fn join<C: HostConnection, T: Send, E: From<Error> + Send, F: Future<Output = Result<T, E>> + Send>(
        &self,
        connection: &mut C,
        work: impl FnOnce(Self) -> F + Send,
    ) -> Result<(T, Pending), E> {
        let main: Arc<Engine> = self.engine().clone();
        main.require_open()?;
        let before = connection.enter(main.database()).await?;
        let (lent, handed) = lent();
        let storage = C::storage(main.database(), lent)?;
        let work = async move { work(Self::of(main.joined(storage).await?)).await };
        let done = lend(connection, handed, work).await;
        let left = connection.leave(before, done.is_ok()).await;
        // What the work failed by says more.
        let done = done?;
        left?;
        Ok((done, Pending { um: self.clone() }))
    }
}

fn kept_elsewhere() -> Error {
    Error::new(
        Reason::NotOffered,
        "a store joins transactions of the database that it is kept in: this one is not kept there, was opened exclusively, or was given as a storage",
    )
}

#[cfg(feature = "postgres")]
impl sealed::Joins for sqlx::PgConnection {
    type Before = postgres::joined::Before;

    #[expect(private_interfaces, reason = "nobody else calls it")]
    async fn enter(&mut self, database: &Database) -> Result<Self::Before> {
        match database {
            Database::Postgres(storage) => postgres::joined::enter(self, storage).await,
            _ => Err(kept_elsewhere()),
        }
    }

    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn storage(database: &Database, lent: Lent<Self>) -> Result<Arc<dyn Storage>> {
        match database {
            Database::Postgres(storage) => Ok(Arc::new(storage.joined(lent))),
            _ => Err(kept_elsewhere()),
        }
    }

    async fn leave(&mut self, before: Self::Before, keeps: bool) -> Result<()> {
        postgres::joined::leave(self, before, keeps).await
    }
}

#[cfg(feature = "sqlite")]
impl sealed::Joins for sqlx::SqliteConnection {
    type Before = sqlite::joined::Before;

    #[expect(private_interfaces, reason = "nobody else calls it")]
    async fn enter(&mut self, database: &Database) -> Result<Self::Before> {
        match database {
            Database::Sqlite(_) => sqlite::joined::enter(self).await,
            _ => Err(kept_elsewhere()),
        }
    }

    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn storage(database: &Database, lent: Lent<Self>) -> Result<Arc<dyn Storage>> {
        match database {
            Database::Sqlite(storage) => Ok(Arc::new(storage.joined(lent))),
            _ => Err(kept_elsewhere()),
        }
    }

    async fn leave(&mut self, before: Self::Before, keeps: bool) -> Result<()> {
        sqlite::joined::leave(self, before, keeps).await
    }
}
