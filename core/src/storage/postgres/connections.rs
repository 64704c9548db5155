//! The connections to a database: some write, others read. Each is used by one caller at a time, and the one that was used last is
//! used next, so that as few are open as are needed.
//!
//! Pools that others have made ask a server whether a connection is alive before or after each use, which here would be as
//! many round trips again.

use std::{
    io::ErrorKind,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    postgres::{PgConnectOptions, PgConnection, PgRow},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, error::Elapsed, sleep, timeout},
};

use super::{
    PostgresOptions, error,
    reads::Reader,
    replica,
    rows::{self, QueryPlan, Renames},
    session,
};
use crate::{
    model::error::{Error, Reason, Result},
    storage::{PoolUse, memory, sql::dialect::Statement},
};

/// So much longer than the server is waited for than the server itself waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may take to be made, or to become free.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// What takes as long as it takes is waited for no longer: whoever has not answered by then does not know of the connection any more.
pub(super) const LONG: Duration = Duration::from_secs(6 * 3_600);
/// So long it is waited before a server is asked again that lets nobody wait any more.
const PAUSE: Duration = Duration::from_millis(20);
/// A connection that nobody has used for longer may have been forgotten by what stands between.
const IDLE: Duration = Duration::from_secs(60);

/// All connections of one storage to the database that it writes to.
pub(super) struct Connections {
    writers: Pool,
    readers: Pool,
}

/// Connections that are alike.
#[derive(Clone)]
pub(super) struct Pool(Arc<Alike>);

/// Which servers a connection may lead to.
#[derive(Clone, Copy)]
pub(super) enum Servers {
    /// Not one that follows another: nobody there knows how far behind it is.
    Primary,
    /// Those, too.
    All,
    /// Those for lists alone.
    Replica,
}

/// What they share. They belong to the process that made them: of a forked child, which inherits the sockets and the
/// runtime's list of them, whatever it read, wrote or let go of would be its parent's.
struct Alike {
    process: u32,
    options: PgConnectOptions,
    servers: Servers,
    schema: String,
    /// Those that nobody uses, the newest last.
    idle: Mutex<Vec<Idle>>,
    /// Of what is planned by its values.
    renames: Renames,
    /// How often connections turned out to lead nowhere, or elsewhere: those that were not used since are not used again.
    losses: Arc<AtomicU64>,
    /// Those that wait for the end of what nobody else waits for any more.
    left: Mutex<JoinSet<()>>,
    /// One for each that may be used.
    permits: Arc<Semaphore>,
    count: usize,
    longest: Duration,
    /// How long one may take to be made, or to become free.
    connect: Duration,
    is_closed: AtomicBool,
}

/// A connection that nobody uses.
struct Idle {
    connection: PgConnection,
    since: Instant,
    /// How many losses there were when it was used last.
    losses: u64,
}

impl Connections {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self> {
        let (longest, schema) = (options.statement_timeout + PATIENCE, options.schema.as_str());
        // What one of the two loses the other has lost, too.
        let (losses, waits) = (Arc::<AtomicU64>::default(), (longest, CONNECT));
        Ok(Self {
            writers: Pool::new(
                (options.for_writing()?, Servers::Primary, schema),
                options.writers,
                waits,
                losses.clone(),
            ),
            readers: Pool::new((options.for_reading()?, Servers::Primary, schema), options.readers, waits, losses),
        })
    }

    /// Those to a replica, if there is one.
    pub(super) fn to_replica(options: &PostgresOptions) -> Result<Option<Pool>> {
        let waits = (options.statement_timeout + PATIENCE, replica::CONNECT);
        let pool = |made| Pool::new((made, Servers::Replica, &options.schema), options.readers, waits, Arc::default());
        Ok(options.for_lists()?.map(pool))
    }

    /// A connection that writes.
    pub(super) async fn writer(&self) -> Result<Connection> {
        self.writers.take(self.writers.0.servers).await
    }

    /// The same, but it may only look: at the schema of a standby as well, which gives backups.
    pub(super) async fn looking(&self) -> Result<Connection> {
        self.writers.take(Servers::All).await
    }

    /// A connection that writes, apart from the others, for what takes as long as it takes.
    pub(super) async fn apart(&self) -> Result<PgConnection> {
        self.writers.apart([("statement_timeout", "0")]).await
    }

    /// A connection that reads, apart from the others.
    pub(super) async fn reading_apart(&self) -> Result<PgConnection> {
        self.readers.apart([]).await
    }

    /// Uses those connections that nobody uses now no more.
    pub(super) fn forget_idle(&self) {
        self.writers.forget_idle();
    }

    pub(super) fn uses(&self) -> Vec<PoolUse> {
        vec![self.writers.uses("writers"), self.readers.uses("readers")]
    }

    /// Waits for callers in the middle of something, then closes. Can be repeated.
    pub(super) async fn close(&self) {
        futures_util::future::join(self.writers.close(), self.readers.close()).await;
    }
}

impl Reader for Connections {
    async fn read_by(&self, statement: &Statement, plan: QueryPlan) -> Result<Vec<PgRow>> {
        self.readers.read_by(statement, plan).await
    }

    /// Connections of before may lead there, too.
    fn meet_standby(&self) -> Result<()> {
        self.forget_idle();
        Err(standby())
    }
}

impl Reader for Pool {
    /// Once more where the connection turns out to be gone, or the server has forgotten what was prepared.
    async fn read_by(&self, statement: &Statement, plan: QueryPlan) -> Result<Vec<PgRow>> {
        // As many as there are may all be gone, after a server was restarted.
        let mut left = self.0.count;
        loop {
            let mut connection = self.take(self.0.servers).await?;
            match connection.fetch(statement.clone(), plan).await {
                Err(Fault::Sql(problem)) if left > 0 && error::is_gone(&problem) => connection.give_up(),
                Err(Fault::Sql(problem)) if left > 0 && error::is_forgotten(&problem) => connection.give_up(),
                Err(fault) => return Err(fault.into()),
                Ok(rows) => return Ok(rows),
            }
            left -= 1;
        }
    }

    fn meet_standby(&self) -> Result<()> {
        match self.0.servers {
            Servers::All | Servers::Replica => Ok(()),
            Servers::Primary => Err(standby()),
        }
    }
}

impl Pool {
    pub(super) fn new(
        (options, servers, schema): (PgConnectOptions, Servers, &str),
        count: usize,
        (longest, connect): (Duration, Duration),
        losses: Arc<AtomicU64>,
    ) -> Self {
        Self(Arc::new(Alike {
            process: std::process::id(),
            options,
            servers,
            schema: schema.to_owned(),
            idle: Mutex::default(),
            renames: Renames::new(),
            losses,
            left: Mutex::default(),
            permits: Arc::new(Semaphore::new(count)),
            count,
            longest,
            connect,
            is_closed: AtomicBool::new(false),
        }))
    }

    /// How they are used: whoever has or waits for one holds the permits.
    pub(super) fn uses(&self, name: &'static str) -> PoolUse {
        PoolUse::new(name, Arc::strong_count(&self.0.permits) - 1, self.0.count)
    }

    /// Uses those that nobody uses now no more.
    pub(super) fn forget_idle(&self) {
        self.0.forget_idle();
    }

    /// Whether there can be one.
    pub(super) async fn try_one(&self) -> Result<()> {
        self.take(self.0.servers).await.map(drop)
    }

    async fn apart<const COUNT: usize>(&self, options: [(&str, &str); COUNT]) -> Result<PgConnection> {
        if self.0.is_inherited() || self.0.is_closed.load(Ordering::Acquire) {
            return Err(memory::closed());
        }
        let made = timeout(self.0.connect, connect(&self.0.options.clone().options(options))).await;
        made.map_err(|_| unanswered())?.map_err(error::error)
    }

    async fn take(&self, servers: Servers) -> Result<Connection> {
        let pool = &self.0;
        if pool.is_inherited() {
            let message = "the connections are those of the process that this one was forked from: open the store anew";
            return Err(Error::new(Reason::Closed, message));
        }
        let permit = timeout(pool.connect, pool.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| none_free())?.map_err(|_| memory::closed())?;
        if pool.is_closed.load(Ordering::Acquire) {
            return Err(memory::closed());
        }
        let losses = pool.losses.load(Ordering::Acquire);
        let held = match pool.newest_idle(losses) {
            Some(held) => held,
            None => timeout(pool.connect, pool.make(servers)).await.map_err(|_| unanswered())??,
        };
        Ok(Connection { held: Some(held), is_running: false, losses, pool: pool.clone(), permit: Some(permit) })
    }

    /// Waits for callers in the middle of something, then closes. Can be repeated.
    pub(super) async fn close(&self) {
        let pool = &self.0;
        if pool.is_inherited() {
            return;
        }
        pool.is_closed.store(true, Ordering::Release);
        pool.left().abort_all();
        let mut permits = Vec::new();
        for _ in 0..pool.count {
            permits.push(pool.permits.clone().acquire_owned().await);
        }
        let idle = std::mem::take(&mut *pool.idle());
        let losses = pool.losses.load(Ordering::Acquire);
        for one in idle.into_iter().filter(|one| one.losses == losses) {
            // Whoever does not answer any more is as good as closed.
            let _ = timeout(CONNECT, one.connection.close()).await;
        }
    }
}

impl Alike {
    fn is_inherited(&self) -> bool {
        self.process != std::process::id()
    }

    /// A new connection, to one of these servers.
    async fn make(&self, servers: Servers) -> Result<PgConnection> {
        let mut made = connect(&self.options).await.map_err(error::error)?;
        match servers {
            Servers::All => Ok(made),
            Servers::Replica => {
                let other = async { connect(&self.options).await.map_err(error::error) };
                session::require_fit_for_lists(&mut made, &self.schema, other).await?;
                Ok(made)
            }
            Servers::Primary => {
                // Not prepared, so that it is one round trip.
                let asked = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut made).await;
                let follows = asked.and_then(|row| row.try_get::<bool, _>(0)).map_err(error::error)?;
                if follows { Err(standby()) } else { Ok(made) }
            }
        }
    }

    fn newest_idle(&self, losses: u64) -> Option<PgConnection> {
        let mut idle = self.idle();
        idle.retain(|one| one.losses == losses && one.since.elapsed() < IDLE);
        idle.pop().map(|one| one.connection)
    }

    fn forget_idle(&self) {
        self.losses.fetch_add(1, Ordering::AcqRel);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one as in use until the server has ended what it runs: else it would run any number of them at a time.
    fn leave(&self, mut held: PgConnection, permit: Option<OwnedSemaphorePermit>) {
        let mut left = self.left();
        // Without a runtime nobody can wait for it.
        let Some(runtime) = Handle::try_current().ok().filter(|_| !self.is_closed.load(Ordering::Acquire)) else {
            return;
        };
        while left.try_join_next().is_some() {}
        let (longest, losses) = (self.longest, self.losses.clone());
        let ends = async move {
            let _permit = permit;
            if timeout(longest, held.ping()).await.is_err() {
                losses.fetch_add(1, Ordering::AcqRel);
            }
        };
        left.spawn_on(ends, &runtime);
    }
}

/// A new connection. Over a Unix socket the server refuses at once while as many wait for it as may; then it is tried again.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    loop {
        match options.connect().await {
            Err(sqlx::Error::Io(problem)) if problem.kind() == ErrorKind::WouldBlock => sleep(PAUSE).await,
            made => return made,
        }
    }
}

impl Drop for Alike {
    fn drop(&mut self) {
        if self.is_inherited() {
            // Kept for good, as closing a socket would have the parent's runtime forget it.
            let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(idle));
            let left = self.left.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(left));
        }
    }
}

/// A connection in use; given back when it is dropped, unless a statement may be running on it: that is waited for first, and it is closed.
pub(super) struct Connection {
    /// None once it was given up.
    held: Option<PgConnection>,
    is_running: bool,
    /// How many losses there were before it was asked last.
    losses: u64,
    pool: Arc<Alike>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        match self.held.take() {
            Some(connection) if !self.is_running => {
                self.pool.idle().push(Idle { connection, since: Instant::now(), losses: self.losses });
            }
            Some(held) if !self.pool.is_inherited() => self.pool.leave(held, self.permit.take()),
            Some(_) | None => {}
        }
    }
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
            Fault::Silence => unanswered(),
        }
    }
}

/// What has come of something on a connection apart from the others.
pub(super) async fn in_time<T>(longest: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
    timeout(longest, work).await.map_err(|_| unanswered())?.map_err(error::error)
}

/// Nobody has answered in time.
pub(super) fn unanswered() -> Error {
    unavailable("the database does not answer")
}

/// All are in use, and none was given back in time: nothing was sent.
pub(super) fn none_free() -> Error {
    unavailable("no connection to the database became free in time")
}

fn unavailable(message: &'static str) -> Error {
    Error::new(Reason::StorageUnavailable, message)
}

/// The server follows another one.
pub(super) fn standby() -> Error {
    Error::new(Reason::StorageReadOnly, "the database follows another one, and is only read: connect to that one")
}

impl Connection {
    /// The connection, on which a statement may be running until [`Self::settle`] says otherwise.
    pub(super) fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.is_running = true;
        self.losses = self.pool.losses.load(Ordering::Acquire);
        self.held.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// How long an answer is waited for.
    pub(super) fn longest(&self) -> Duration {
        self.pool.longest
    }

    /// What has come of something in its time; where nothing has, nobody waits for it any more.
    pub(super) fn settle<T>(&mut self, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, Fault> {
        let answer = answer.map_err(|_| Fault::Silence).and_then(|answer| answer.map_err(Fault::Sql));
        match &answer {
            Ok(_) => self.is_running = false,
            // The name that it was made by may lead to another server by now; those that nobody uses lead to this one.
            Err(Fault::Sql(problem)) if error::is_read_only(problem) => {
                self.pool.forget_idle();
                self.give_up();
            }
            Err(Fault::Sql(problem)) if !error::is_lost(problem) => self.is_running = false,
            Err(Fault::Sql(_)) => self.give_up(),
            // What stands between may have forgotten all of them: each would cost as long a wait.
            Err(Fault::Silence) => {
                self.pool.forget_idle();
                self.give_up();
            }
        }
        answer
    }

    /// All rows of a statement.
    pub(super) async fn fetch(&mut self, (sql, values): Statement, plan: QueryPlan) -> Result<Vec<PgRow>, Fault> {
        let longest = self.longest();
        let sql = match plan {
            QueryPlan::Generic => sql,
            QueryPlan::Custom => self.pool.renames.rename(&sql),
        };
        let answer =
            timeout(longest, rows::fetch(self.get().map_err(Fault::Sql)?, (sql, values), QueryPlan::Generic)).await;
        self.settle(answer)
    }

    /// Closes it: what it waits for is not waited for any more.
    pub(super) fn give_up(&mut self) {
        self.held = None;
    }

    /// Prepares all statements anew.
    pub(super) async fn forget(&mut self) {
        let cleared = match &mut self.held {
            Some(held) => matches!(timeout(self.pool.longest, held.clear_cached_statements()).await, Ok(Ok(()))),
            None => true,
        };
        if !cleared {
            self.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_inherited_is_left_alone() {
        let mut inherited = Connections::new(&PostgresOptions::new("postgres://app@%2Fnowhere/app")).unwrap();
        for pool in [&mut inherited.writers, &mut inherited.readers] {
            Arc::get_mut(&mut pool.0).unwrap().process = 0;
        }
        assert!(matches!(inherited.writer().await, Err(error) if error.reason() == Reason::Closed));
        let read = inherited.read(&("SELECT 1".to_owned(), sea_query::Values(Vec::new()))).await;
        assert!(matches!(read, Err(error) if error.reason() == Reason::Closed));
        inherited.close().await;
        assert!(!inherited.writers.0.is_closed.load(Ordering::Acquire), "it was closed");
    }
}
