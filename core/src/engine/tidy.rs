//! Letting go of what nobody asks for any more, and of deleted users whose time is over.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::future;

use super::{Engine, Who, WhoKind};
use crate::{
    environment::Env,
    model::{
        consumer::Consumer,
        deferred::{IS_PAGE, unless_page},
        erasure::Erasure,
        error::{Code, Error, Reason, Result},
        predicate::{Comparison, Predicate},
        record::Record,
        user::User,
        value::Value,
    },
    operations::{
        consumers,
        erasures::{self, Forgotten},
        limits::{Quota, Rate, take_some},
        look_alikes,
        plan::Plan,
        upkeep::{self, Faults, LooksForOldKeys, Tidied},
        users::PurgeUser,
    },
    storage::{ChangeSet, Committed, Direction, Order, Query, Window, Write},
};

/// Once in so many commits of anybody.
const TIDY_EVERY: u64 = 1_000;

/// An instance looks whether it is time to tidy up to so long after that, at random, so that those that were opened together don't look
/// together. For the first time it looks so long after it was opened, and at random again: who only looks something up does not tidy.
const SPREAD_MILLIS: u64 = 60_000;

/// What is in the way of an erasure is waited for so long at first, and then twice as long each time, up to the second.
const FIRST_PAUSE_MILLIS: u64 = 100;
const LONGEST_PAUSE_MILLIS: u64 = 300_000;
/// So often it is looked meanwhile whether another one was begun.
const PAUSE_PART_MILLIS: u64 = 1_000;

/// Another instance that has begun to erase somebody may have ended in the middle: so long after it is gone on with.
const TAKE_OVER_MILLIS: u64 = 60_000;

/// So many users are purged at a time.
const USERS: u64 = 100;

impl Engine {
    /// Lets go of all that in the background, once in so many commits of anybody: a busy store does not wait until it is time.
    pub(super) fn tidy_now_and_then(self: &Arc<Self>, committed: Committed) {
        // Two at a time would be in each other's way: where much is left over, that takes as many commits.
        if self.main.is_some()
            || !committed.place.number.is_multiple_of(TIDY_EVERY)
            || self.is_tidying.swap(true, Ordering::AcqRel)
        {
            return;
        }
        // What fails now is tried again after as many commits.
        self.services.env.spawn(Box::pin(Tidying(self.clone()).run()));
    }

    /// The same by time ([`Config::tidy_every_seconds`](crate::Config::tidy_every_seconds)), by one of the instances that share a store.
    pub(crate) fn tidy_by_time(self: &Arc<Self>) {
        let seconds = self.services.config.tidy_every_seconds;
        if !IS_PAGE && self.main.is_none() && seconds > 0 {
            let (held, ended) = oneshot::channel();
            self.tidied_by_time.hold(held);
            let (engine, env) = (Arc::downgrade(self), self.services.env.clone());
            // Not when the task begins: what chance gives is then the same each time where it is the application's.
            let first = SPREAD_MILLIS + spread(&env);
            self.services.env.spawn(Box::pin(tidy_by_time(engine, env, (seconds, first), ended)));
        }
    }

    /// Whether it is time to tidy, and nobody else has begun to: who says so first, for all instances.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` where it is not time yet, and those of the storage.
    async fn is_time_to_tidy(self: &Arc<Self>, seconds: i64) -> Result<bool> {
        self.require_open()?;
        let actor = self.nobody();
        let mut plan = Plan::new(&self.services, &actor, self.services.now());
        let quota = Quota { count: 1, period: seconds.saturating_mul(1_000_000) };
        take_some(&mut plan, &Rate { of: "upkeep".into(), quota }, 1).await?;
        self.commit_plan(plan).await
    }

    /// Goes on with what is being erased, in the background, until nothing is left to be done.
    pub(crate) fn erase(self: &Arc<Self>) {
        if self.main.is_some() {
            return;
        }
        self.erasing.asked.fetch_add(1, Ordering::AcqRel);
        if !self.erasing.is_under_way.swap(true, Ordering::AcqRel) {
            self.services.env.spawn(Box::pin(erase(Arc::downgrade(self), self.services.env.clone())));
        }
    }

    /// The same where somebody is being erased.
    pub(crate) async fn go_on_erasing(self: &Arc<Self>) -> Result<()> {
        if erasures::are_due(&self.services).await? {
            self.erase();
        }
        Ok(())
    }

    /// The same after a while: another instance does it, which may end in the middle.
    pub(super) fn take_over_erasures(self: &Arc<Self>) {
        if self.main.is_some() || self.erasing.is_watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let (engine, slept) = (Arc::downgrade(self), self.services.env.sleep_in_background(TAKE_OVER_MILLIS));
        self.services.env.spawn(Box::pin(async move {
            slept.await;
            let Some(engine) = engine.upgrade() else { return };
            engine.erasing.is_watched.store(false, Ordering::Release);
            engine.erase();
        }));
    }

    /// Goes through the usernames that are there, for what they look like, where names beyond ASCII may be chosen: a store of
    /// ten thousand accounts at once, a larger one in the background.
    pub(crate) async fn go_through_names(self: &Arc<Self>) -> Result<()> {
        if !look_alikes::are_wanted(&self.services.config) {
            return Ok(());
        }
        let is_left = match look_alikes::run(&self.services, self).await {
            Ok(is_left) => is_left,
            // Another instance has to.
            Err(error) if error.reason() == Reason::StorageReadOnly => return Ok(()),
            // A store opens without it: names beyond ASCII wait.
            Err(_) => true,
        };
        if is_left {
            self.services.env.spawn(Box::pin(go_through_names(Arc::downgrade(self), self.services.env.clone())));
        }
        Ok(())
    }

    /// Whether a commit begins to erase somebody.
    pub(super) fn is_erasure(change_set: &ChangeSet) -> bool {
        let begins = |write: &Write| write.table.name == Erasure::TABLE.name && write.expected.is_none();
        !IS_PAGE && change_set.writes.iter().any(begins)
    }

    /// Lets go of a part of it; several instances may do so at the same time.
    ///
    /// # Errors
    /// The first there was; everything else is done nevertheless. In a transaction of the application it is refused, as it would hold rows
    /// of everybody until that ends.
    pub(crate) async fn tidy(self: &Arc<Self>, looks: LooksForOldKeys) -> Result<Tidied> {
        if self.main.is_some() {
            let message =
                "a store is not tidied in a transaction of the application: call `tidy` on the store that was opened";
            return Err(Error::new(Reason::NotOffered, message));
        }
        let mut faults = Faults::default();
        let tidied = self.tidy_some(looks, &mut faults).await?;
        faults.first().map(|()| tidied)
    }

    async fn tidy_some(self: &Arc<Self>, looks: LooksForOldKeys, faults: &mut Faults) -> Result<Tidied> {
        self.require_open()?;
        let tidied = upkeep::run(&self.services, self, self.services.now(), looks, faults).await;
        if !IS_PAGE && !faults.is_out_of_reach() {
            let told = Box::pin(self.tell_of_lagging()).await;
            faults.note(Consumer::TABLE.name, told);
        }
        // In a page there may be a part of a store alone.
        let users = match faults.is_out_of_reach() {
            true => 0,
            false => unless_page(0, || Box::pin(self.purge_due(faults))).await,
        };
        Ok(Tidied { users, has_more: tidied.has_more || users > 0, ..tidied })
    }

    /// Whoever reads events hears of consumers that lag.
    async fn tell_of_lagging(self: &Arc<Self>) -> Result<()> {
        let actor = self.nobody();
        let mut plan = Plan::new(&self.services, &actor, self.services.now());
        consumers::tell_of_lagging(&mut plan).await?;
        if plan.is_empty() { Ok(()) } else { self.commit_plan(plan).await.map(drop) }
    }

    /// Purges users who were deleted so long ago that they are not restored any more; how many. One that cannot be purged keeps nobody else.
    async fn purge_due(self: &Arc<Self>, faults: &mut Faults) -> i64 {
        let mut purged = 0;
        let done = self.purge_until(&mut purged, faults).await;
        faults.note(User::TABLE.name, done);
        purged
    }

    async fn purge_until(self: &Arc<Self>, purged: &mut i64, faults: &mut Faults) -> Result<()> {
        let keep = self.services.config.keep_deleted_users_seconds;
        let before = Value::Time(self.services.now().plus_seconds(-keep).as_microsecond());
        let host = Who { kind: WhoKind::System, request: Arc::default() };
        let mut left = 0;
        loop {
            let query = Query {
                order: vec![Order { column: "deleted_at".into(), direction: Direction::Ascending }],
                window: Window { limit: Some(USERS), skip: left, ..Window::default() },
                ..Query::of(User::TABLE, Predicate::Compare("deleted_at".into(), Comparison::Less, before.clone()))
            };
            let users = self.services.reads().query::<User>(&query).await?;
            for user in &users {
                let purge = PurgeUser { id: user.id, expected_version: Some(user.version) };
                match self.run(&host, purge).await {
                    Ok(()) => *purged += 1,
                    // Another instance was first, or somebody restored it.
                    Err(error)
                        if matches!(error.reason(), Reason::NotFound | Reason::VersionStale | Reason::WrongStatus) => {}
                    // What of one user cannot be read is of no other.
                    Err(error) if error.code() == Code::Unavailable && error.reason() != Reason::EncryptionKeyWrong => {
                        return Err(error);
                    }
                    Err(error) => {
                        #[cfg(feature = "tracing")]
                        tracing::warn!(user = %user.id, reason = %error.reason(), "a deleted user could not be purged");
                        faults.tell(error);
                        left += 1;
                    }
                }
            }
            if *purged > 0 || (users.len() as u64) < USERS {
                return Ok(());
            }
        }
    }
}

/// What this instance does about persons who are erased.
#[derive(Default)]
pub(super) struct Erasing {
    is_under_way: AtomicBool,
    /// Moves with whoever wants it to be gone on with.
    asked: AtomicU64,
    /// Others do it, and it is looked later whether they have.
    is_watched: AtomicBool,
}

/// See [`Engine::erase`].
async fn erase(engine: Weak<Engine>, env: Env) {
    let mut pause = 0;
    loop {
        let Some(open) = engine.upgrade().filter(|engine| engine.require_open().is_ok()) else { return };
        let asked = open.erasing.asked.load(Ordering::Acquire);
        pause = match erasures::run(&open.services, &open).await {
            Ok(Forgotten { has_more: true, .. }) => 0,
            Ok(Forgotten { is_waiting: false, .. }) => {
                open.erasing.is_under_way.store(false, Ordering::Release);
                // What was begun meanwhile found somebody at it.
                let is_done = open.erasing.asked.load(Ordering::Acquire) == asked;
                if is_done || open.erasing.is_under_way.swap(true, Ordering::AcqRel) {
                    return;
                }
                0
            }
            // Others are at it, or read what is to be overwritten; what fails now is tried again, too.
            Ok(_) | Err(_) => (pause * 2).clamp(FIRST_PAUSE_MILLIS, LONGEST_PAUSE_MILLIS),
        };
        drop(open);
        let is_asked = || engine.upgrade().is_none_or(|engine| engine.erasing.asked.load(Ordering::Acquire) != asked);
        let mut left = pause;
        while left > 0 && !is_asked() {
            let part = left.min(PAUSE_PART_MILLIS);
            env.sleep_in_background(part).await;
            left -= part;
        }
    }
}

/// See [`Engine::go_through_names`].
async fn go_through_names(engine: Weak<Engine>, env: Env) {
    let mut pause = 0;
    loop {
        // It may be that the store is closed meanwhile: the next one that is opened goes on.
        let Some(open) = engine.upgrade().filter(|engine| engine.require_open().is_ok()) else { return };
        pause = match look_alikes::run(&open.services, &open).await {
            Ok(true) => 0,
            Ok(false) => return,
            // What fails now is tried again.
            Err(_) => (pause * 2).clamp(FIRST_PAUSE_MILLIS, LONGEST_PAUSE_MILLIS),
        };
        drop(open);
        env.sleep_in_background(pause).await;
    }
}

/// Held while an instance tidies by time, which ends with the store, or when that is closed.
#[derive(Default)]
pub(super) struct TidiedByTime(Mutex<Option<oneshot::Sender<()>>>);

impl TidiedByTime {
    fn hold(&self, held: oneshot::Sender<()>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    pub(super) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// See [`Engine::tidy_by_time`].
async fn tidy_by_time(engine: Weak<Engine>, env: Env, (seconds, first): (i64, u64), mut ended: oneshot::Receiver<()>) {
    let mut millis = first;
    loop {
        let one = async {
            env.sleep_in_background(millis).await;
            let every = Duration::from_secs(seconds.unsigned_abs());
            let open = engine.upgrade()?;
            Some(match open.is_time_to_tidy(seconds).await {
                Ok(true) => {
                    if !open.is_tidying.swap(true, Ordering::AcqRel) {
                        Tidying(open).run().await;
                    }
                    every
                }
                // Others have begun to. What fails now is tried again when it is time once more.
                Ok(false) => every,
                Err(error) => error.retry_after().map_or(every, |seconds| Duration::from_secs(seconds.into())),
            })
        };
        // What is closed does not tidy to its end, either.
        let future::Either::Right((Some(pause), still)) = future::select(ended, pin!(one)).await else { return };
        ended = still;
        millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).saturating_add(spread(&env));
    }
}

fn spread(env: &Env) -> u64 {
    env.random().map_or(0, u64::from_le_bytes) % SPREAD_MILLIS
}

/// That this instance tidies, until it is dropped.
struct Tidying(Arc<Engine>);

impl Tidying {
    async fn run(self) {
        let (looks, mut faults) = (LooksForOldKeys::UntilNoneWasFound, Faults::default());
        while self.0.tidy_some(looks, &mut faults).await.is_ok_and(|tidied| tidied.has_more) {}
        #[cfg(feature = "metrics")]
        crate::metrics::upkeep(faults.first().err().map_or("OK", |error| error.code().as_str()));
    }
}

impl Drop for Tidying {
    fn drop(&mut self) {
        self.0.is_tidying.store(false, Ordering::Release);
    }
}
