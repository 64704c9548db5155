//! The connections to a database: some write, others read.

use std::time::Duration;

use sqlx::{
    Postgres,
    pool::PoolConnection,
    postgres::{PgConnection, PgPool, PgRow},
};
use tokio::time::{error::Elapsed, timeout};

use super::{PostgresOptions, error, rows};
use crate::{
    model::error::{Error, Reason, Result},
    storage::{memory, sql::dialect::Statement},
};

/// So much longer than the server is waited for than the server itself waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// All connections of one storage. They belong to the process that made them: of a forked child, which inherits the sockets and the
/// runtime's list of them, whatever it read, wrote or let go of would be its parent's.
pub(super) struct Connections {
    process: u32,
    writers: PgPool,
    readers: PgPool,
    longest: Duration,
}

impl Connections {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self> {
        let (writers, for_writing) = options.for_writing()?;
        let (readers, for_reading) = options.for_reading()?;
        Ok(Self {
            process: std::process::id(),
            writers: writers.connect_lazy_with(for_writing),
            readers: readers.connect_lazy_with(for_reading),
            longest: options.statement_timeout + PATIENCE,
        })
    }

    fn is_inherited(&self) -> bool {
        self.process != std::process::id()
    }

    /// A connection that writes.
    pub(super) async fn writer(&self) -> Result<Connection> {
        self.take(&self.writers).await
    }

    async fn take(&self, pool: &PgPool) -> Result<Connection> {
        if self.is_inherited() {
            let message = "the connections are those of the process that this one was forked from: open the store anew";
            return Err(Error::new(Reason::Closed, message));
        }
        if pool.is_closed() {
            return Err(memory::closed());
        }
        let held = pool.acquire().await.map_err(error::error)?;
        Ok(Connection { held: Some(held), longest: self.longest })
    }

    /// Reads, once more where the connection turns out to be gone, or the server has forgotten what was prepared.
    pub(super) async fn read(&self, statement: &Statement) -> Result<Vec<PgRow>> {
        // As many as there are may all be gone, after a server was restarted.
        let mut left = self.readers.size();
        loop {
            let mut connection = self.take(&self.readers).await?;
            let answer = connection.fetch(statement.clone()).await;
            match answer {
                Err(Fault::Sql(problem)) if left > 0 && error::is_gone(&problem) => connection.give_up(),
                Err(Fault::Sql(problem)) if left > 0 && error::is_forgotten(&problem) => connection.forget().await,
                Err(fault) => return Err(fault.into()),
                Ok(rows) => return Ok(rows),
            }
            left -= 1;
        }
    }

    /// Waits for callers in the middle of something, then closes. Can be repeated.
    pub(super) async fn close(&self) {
        if self.is_inherited() {
            return;
        }
        futures_util::future::join(self.writers.close(), self.readers.close()).await;
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if self.is_inherited() {
            // Kept for good, as closing a socket would have the parent's runtime forget it.
            std::mem::forget((self.writers.clone(), self.readers.clone()));
        }
    }
}

/// A connection in use; given back when it is dropped.
pub(super) struct Connection {
    /// None once it was given up.
    held: Option<PoolConnection<Postgres>>,
    longest: Duration,
}

/// Why there is no answer.
pub(super) enum Fault {
    Sql(sqlx::Error),
    /// Nobody has answered in time.
    Silence,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(problem) => error::error(problem),
            Fault::Silence => Error::new(Reason::StorageUnavailable, "the database does not answer"),
        }
    }
}

impl Connection {
    pub(super) fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.held.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// How long an answer is waited for.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// What has come of something in its time; where nothing has, nobody waits for it any more.
    pub(super) fn settle<T>(&mut self, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, Fault> {
        answer.map_or_else(
            |_| {
                self.give_up();
                Err(Fault::Silence)
            },
            |answer| answer.map_err(Fault::Sql),
        )
    }

    /// All rows of a statement.
    pub(super) async fn fetch(&mut self, statement: Statement) -> Result<Vec<PgRow>, Fault> {
        let longest = self.longest;
        let answer = timeout(longest, rows::fetch(self.get().map_err(Fault::Sql)?, statement)).await;
        self.settle(answer)
    }

    /// Closes it: what it waits for is not waited for any more.
    pub(super) fn give_up(&mut self) {
        drop(self.held.take().map(PoolConnection::detach));
    }

    /// Prepares all statements anew.
    pub(super) async fn forget(&mut self) {
        use sqlx::Connection as _;
        if let Some(held) = &mut self.held
            && held.clear_cached_statements().await.is_err()
        {
            self.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn connections() -> Connections {
        Connections::new(&PostgresOptions::new("postgres://app@%2Fnowhere/app")).unwrap()
    }

    #[tokio::test]
    async fn what_is_inherited_is_left_alone() {
        let mut inherited = connections();
        inherited.process = 0;
        assert!(matches!(inherited.writer().await, Err(error) if error.reason() == Reason::Closed));
        let read = inherited.read(&("SELECT 1".to_owned(), sea_query::Values(Vec::new()))).await;
        assert!(matches!(read, Err(error) if error.reason() == Reason::Closed));
        let mut end = inherited.writers.close_event();
        inherited.close().await;
        drop(inherited);
        assert!((&mut end).now_or_never().is_none(), "it was closed");

        let own = connections();
        let end = own.writers.close_event();
        drop(own);
        assert!(end.now_or_never().is_some());
    }
}
