//! Telling other instances that something was committed, and hearing that they have committed, by `NOTIFY` and `LISTEN`.
//!
//! A notification says that there is news, not what: that is read from the change feed. It is sent after a commit, never with it, as the
//! server lets only one transaction at a time commit that notifies. Who should notify may die before it does, and one may be lost with a
//! connection, so an instance looks for news now and then all the same; what is notified makes it early.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{Either, select};
use sqlx::{
    Executor as _, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Others are told of this instance's commits once in so long at most.
const SPACING: Duration = Duration::from_millis(5);
/// Whoever waits for others' commits is told once in so long at most: it looks each time, whoever notifies.
const NEWS_SPACING: Duration = Duration::from_millis(20);
/// How often it is seen to that the connection is alive.
const BEAT: Duration = Duration::from_millis(500);
/// So long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it takes to be connected again: at first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A connection that hears and tells, in a task of its own.
pub(super) struct Listener {
    /// Whose task it is: a child that is forked inherits neither it nor the threads that would end it.
    process: u32,
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    begun: Instant,
    /// Until when notifications are taken to arrive, in milliseconds since `begun`. No lock: a child that is forked would inherit it.
    hears_until: AtomicU64,
    /// Others may have committed.
    news: Notify,
    /// This instance has.
    own: Notify,
    /// Nobody listens any more.
    closing: Notify,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = self.take_task() {
            task.abort();
        }
    }
}

impl Listener {
    /// Begins to listen; where the server cannot be reached, again and again.
    pub(super) fn start(options: PgConnectOptions, channel: String) -> Self {
        let (news, own, closing) = (Notify::new(), Notify::new(), Notify::new());
        let shared = Arc::new(Shared { begun: Instant::now(), hears_until: AtomicU64::new(0), news, own, closing });
        let task = tokio::spawn(keep_listening(shared.clone(), options, channel));
        Self { process: std::process::id(), shared, task: Mutex::new(Some(task)) }
    }

    /// Whether notifications arrive, as far as can be known.
    pub(super) fn hears(&self) -> bool {
        // A process that was forked inherits this, but not the task: to it the last beat grows old.
        self.shared.elapsed() < self.shared.hears_until.load(Ordering::Acquire)
    }

    /// Others may have committed, since this was last awaited or from now on. For one at a time.
    pub(super) fn news(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.shared.clone();
        async move { shared.news.notified().await }
    }

    /// Has others told that this instance has committed; nobody waits for it.
    pub(super) fn tell(&self) {
        self.shared.own.notify_one();
    }

    /// Hears and tells nothing any more, and has its connection closed.
    pub(super) async fn close(&self) {
        self.shared.deafen();
        if let Some(task) = self.take_task() {
            self.shared.closing.notify_one();
            // It ends in its time, whether or not the server answers.
            let _ = task.await;
        }
    }

    fn take_task(&self) -> Option<JoinHandle<()>> {
        if self.process != std::process::id() {
            return None;
        }
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Shared {
    fn elapsed(&self) -> u64 {
        self.begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    /// It is alive now: until it should have been seen again, notifications arrive.
    fn hear(&self) {
        let longest = (BEAT + PATIENCE).as_millis().try_into().unwrap_or(u64::MAX);
        self.hears_until.store(self.elapsed().saturating_add(longest), Ordering::Release);
    }

    fn deafen(&self) {
        self.hears_until.store(0, Ordering::Release);
    }
}

async fn keep_listening(shared: Arc<Shared>, options: PgConnectOptions, channel: String) {
    let mut pause = BACK_OFF.0;
    loop {
        // A pool of one connection that is never asked whether it is alive, as the driver listens by no other.
        let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).acquire_timeout(PATIENCE * 5);
        let pool = pool.max_lifetime(None).idle_timeout(None).connect_lazy_with(options.clone());
        let is_closing = {
            let listens = pin!(listen(&shared, &pool, &channel, &mut pause));
            matches!(select(listens, pin!(shared.closing.notified())).await, Either::Right(_))
        };
        shared.deafen();
        // Whoever waits looks for itself from now on.
        shared.news.notify_one();
        let _ = timeout(PATIENCE, pool.close()).await;
        if is_closing || matches!(select(pin!(sleep(pause)), pin!(shared.closing.notified())).await, Either::Right(_)) {
            return;
        }
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

/// Listens until the connection is lost.
async fn listen(shared: &Shared, pool: &PgPool, channel: &str, pause: &mut Duration) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    in_time(listener.listen(channel)).await?;
    *pause = BACK_OFF.0;
    let me: i32 = in_time(sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut listener)).await?;
    let me = me.cast_unsigned();
    shared.hear();
    // What was told before is heard of by nobody else.
    shared.news.notify_one();
    let mut next_beat = Instant::now() + BEAT;
    let (mut next_word, mut has_word) = (Instant::now(), false);
    let (mut next_news, mut has_news) = (Instant::now(), false);
    loop {
        let due = [(true, next_beat), (has_word, next_word), (has_news, next_news)];
        let wakes_at = due.into_iter().filter_map(|(is_due, at)| is_due.then_some(at)).min().unwrap_or(next_beat);
        match next_of(&mut listener, (!has_word).then_some(&shared.own), wakes_at).await? {
            Event::Notified(by) => {
                // Where much is told it may be long until the next beat.
                shared.hear();
                has_news |= by != me;
            }
            Event::Own => has_word = true,
            Event::Time => {
                if has_news && next_news <= Instant::now() {
                    shared.news.notify_one();
                    (has_news, next_news) = (false, Instant::now() + NEWS_SPACING);
                    continue;
                }
                if has_word && next_word <= Instant::now() {
                    in_time(listener.execute(sqlx::query("SELECT pg_notify($1, '')").bind(channel))).await?;
                    (has_word, next_word) = (false, Instant::now() + SPACING);
                } else {
                    in_time(listener.execute("SELECT 1")).await?;
                }
                // Either answer shows that it is alive.
                shared.hear();
                next_beat = Instant::now() + BEAT;
            }
        }
    }
}

enum Event {
    /// Somebody has committed, by the number of the server's process.
    Notified(u32),
    /// This instance has.
    Own,
    Time,
}

async fn next_of(listener: &mut PgListener, own: Option<&Notify>, wakes_at: Instant) -> Result<Event, sqlx::Error> {
    let own = async {
        match own {
            Some(own) => own.notified().await,
            None => std::future::pending().await,
        }
    };
    // All three may be dropped where they wait, and nothing is lost. What is told comes last: anybody may notify without a pause.
    match select(pin!(sleep_until(wakes_at)), select(pin!(own), pin!(listener.try_recv()))).await {
        Either::Left(_) => Ok(Event::Time),
        Either::Right((Either::Left(_), _)) => Ok(Event::Own),
        Either::Right((Either::Right((told, _)), _)) => {
            told?.map(|told| Event::Notified(told.process_id())).ok_or(sqlx::Error::WorkerCrashed)
        }
    }
}

/// What comes of something in time; whoever does not answer any more is lost.
async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(PATIENCE, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
