//! Giving notices to the application's notifier: in the background, after the commit of what they tell of.
//!
//! A notice is leased by a commit, so that one instance at a time gives it out; one that ends without a word leaves it to
//! the next when the lease runs out. Nothing is looked for while nothing waits. A store that nobody holds any more gives out
//! what is due, and ends then.

use std::{
    collections::{BTreeSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_channel::mpsc;
use futures_util::{FutureExt, StreamExt, future};

use super::Engine;
use crate::{
    environment::{Task, before},
    model::{deferred::IS_PAGE, error::Result, id::NoticeId, notice::PendingNotice, record::Record},
    operations::{
        Access,
        actor::{Actor, ActorKind},
        notices::{self, Delivery, Leased, Notice, Notifier},
        plan::Plan,
    },
    storage::{CommitError, Touched},
};

/// So many are given out at a time.
const AT_ONCE: usize = 4;
/// A notifier that does not answer for so long has failed.
const TIMEOUT_MILLIS: u64 = 30_000;
/// A storage that failed is asked again after so long.
const FAILED_MILLIS: u64 = 10_000;
/// Nobody sleeps for longer while something waits: the clock may be set back and forth, so that what was not due is.
const LONGEST_MILLIS: u64 = 60_000;
/// So many answers of a notifier are known.
const RECENT: usize = 32;
/// While none is, a notice to nobody takes so many milliseconds at least, and half a second more at most.
const AT_FIRST_MILLIS: u64 = 20;
const MORE_MILLIS: u64 = 500;

/// Wakes who gives notices out.
#[derive(Default)]
pub(super) struct Deliveries {
    wakes: Mutex<Option<mpsc::Sender<()>>>,
    pub(super) notifier: NotifierFailures,
}

/// What became of notices that this instance gave to the notifier.
#[derive(Default)]
pub(super) struct NotifierFailures {
    /// How often in a row it failed, or asked to be told later.
    failed_in_a_row: AtomicU64,
    /// What it answered of late, and how long that took; the newest last.
    recent: Mutex<VecDeque<(Option<Delivery>, Duration)>>,
}

impl NotifierFailures {
    pub(super) fn failed_in_a_row(&self) -> u64 {
        self.failed_in_a_row.load(Ordering::Relaxed)
    }

    /// The notifier has answered, or has not, after so long.
    fn count(&self, delivery: Option<Delivery>, took: Duration) {
        let mut recent = self.recent();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((delivery, took));
        drop(recent);
        #[cfg(feature = "metrics")]
        crate::metrics::notice(matches!(delivery, Some(Delivery::Sent | Delivery::Refused)));
        match delivery {
            Some(Delivery::Sent | Delivery::Refused) => self.failed_in_a_row.store(0, Ordering::Relaxed),
            Some(Delivery::RetryAfter(_)) | None => {
                self.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<(Option<Delivery>, Duration)>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it answered last, and how long one of those took that it answered so.
    fn one_like_the_last(&self, random: u64) -> Option<(Option<Delivery>, Duration)> {
        let recent = self.recent();
        let (delivery, _) = *recent.back()?;
        let alike: Vec<Duration> = recent.iter().filter(|one| one.0 == delivery).map(|one| one.1).collect();
        let at = random % alike.len().max(1) as u64;
        Some((delivery, *alike.get(usize::try_from(at).ok()?)?))
    }
}

impl Deliveries {
    /// Rows were written, here or elsewhere.
    pub(super) fn hear(&self, touched: &[Touched]) {
        if touched.iter().any(|row| row.table == PendingNotice::TABLE.name) {
            self.wake();
        }
    }

    /// There may be something to give out.
    pub(super) fn wake(&self) {
        if IS_PAGE {
            return;
        }
        if let Some(sender) = &mut *self.wakes.lock().unwrap_or_else(PoisonError::into_inner) {
            // Where it is full, who gives out is awake already.
            let _ = sender.try_send(());
        }
    }

    fn wakes(&self) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel(1);
        *self.wakes.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }
}

impl Engine {
    /// Starts giving notices out, where there is a notifier.
    pub(crate) fn spawn_deliveries(self: &Arc<Self>) {
        if IS_PAGE {
            return;
        }
        if let Some(notifier) = self.hooks.notifier.clone() {
            let wakes = self.deliveries.wakes();
            self.services.env.spawn(Box::pin(deliver(Arc::downgrade(self), notifier, wakes)));
        }
    }

    /// Notices that are due, beside those under way, which may not be leased yet.
    async fn due(&self, under_way: &BTreeSet<NoticeId>, most: usize) -> Result<Vec<PendingNotice>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let due = notices::due(self.services.reads(), self.services.now(), 2 * AT_ONCE as u64).await?;
        Ok(due.into_iter().filter(|row| !under_way.contains(&row.id)).take(most).collect())
    }

    /// How many milliseconds it is until a notice is due; none: none waits.
    async fn until_next(&self) -> Result<Option<u64>> {
        let Some(next) = notices::next_due(self.services.reads()).await? else { return Ok(None) };
        let micros = next.as_microsecond().saturating_sub(self.services.now().as_microsecond()).max(0);
        // Not too early, or it would not be due.
        Ok(Some(micros.unsigned_abs() / 1000 + 1))
    }

    async fn deliver(self: &Arc<Self>, notifier: &dyn Notifier, row: PendingNotice) -> Result<()> {
        let Some(leased) = self.lease(&row).await? else { return Ok(()) };
        let delivery = match &leased.notice {
            Some(notice) => self.send(notifier, notice).await,
            None => self.send_to_nobody().await,
        };
        self.settle(&leased, delivery).await
    }

    /// What a notifier answers to a notice; none: it failed.
    async fn send(&self, notifier: &dyn Notifier, notice: &Notice) -> Option<Delivery> {
        let (env, failures) = (&self.services.env, &self.deliveries.notifier);
        let began = env.elapsed();
        // Asked within, since it may panic before there is anything to wait for.
        let sent = AssertUnwindSafe(async { notifier.send(notice).await }).catch_unwind();
        let delivery = match before(env.sleep_in_background(TIMEOUT_MILLIS), sent).await {
            Some(Ok(Ok(delivery))) => Some(delivery),
            Some(_) | None => None,
        };
        failures.count(delivery, env.elapsed().saturating_sub(began));
        delivery
    }

    /// Does as if a notice was sent, and answered like the last one: whoever counts the commits, by the positions of events, must not learn
    /// from when the notice that somebody asked for is settled whether there is anybody to whom it could be sent. Not exactly as
    /// long as the last one took, which may have been the same caller's.
    async fn send_to_nobody(&self) -> Option<Delivery> {
        let random = self.services.env.random().map_or(0, u64::from_le_bytes);
        let like = self.deliveries.notifier.one_like_the_last(random);
        let at_first = || (Some(Delivery::Sent), Duration::from_millis(AT_FIRST_MILLIS + random % MORE_MILLIS));
        let (delivery, took) = like.unwrap_or_else(at_first);
        let millis = took.as_millis().try_into().unwrap_or(TIMEOUT_MILLIS);
        self.services.env.sleep_in_background(millis).await;
        delivery
    }

    /// The notice, if it is this instance that gives it out.
    async fn lease(self: &Arc<Self>, row: &PendingNotice) -> Result<Option<Leased>> {
        let actor = self.nobody();
        let mut plan = Plan::new(&self.services, &actor, self.services.now());
        let leased = notices::lease(&mut plan, row).await?;
        // Where it is not known whether it is leased, it is given out when the lease is over, if there is one.
        Ok(if self.commit_plan(plan).await? { leased } else { None })
    }

    async fn settle(self: &Arc<Self>, leased: &Leased, delivery: Option<Delivery>) -> Result<()> {
        let actor = self.nobody();
        let mut plan = Plan::new(&self.services, &actor, self.services.now());
        notices::settle(&mut plan, leased, delivery)?;
        // Where that fails it comes again: once more rather than never.
        self.commit_plan(plan).await.map(drop)
    }

    /// The library, on behalf of nobody.
    pub(super) fn nobody(&self) -> Actor {
        Actor { kind: ActorKind::System, request: Arc::default(), policy: self.services.policy() }
    }

    /// Whether it is committed for sure.
    pub(super) async fn commit_plan(self: &Arc<Self>, plan: Plan<'_>) -> Result<bool> {
        let id = self.services.env.new_id()?;
        let committed = match plan.into_change_set(None, Access::System, id) {
            Ok(change_set) => self.commit(change_set, None).await,
            Err(error) => Err(error),
        };
        match committed {
            Ok(_) => Ok(true),
            Err(CommitError::Stale { .. } | CommitError::Unknown) => Ok(false),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

/// Gives notices out until the store is closed or nobody holds it any more; those that are given out then come to their end.
async fn deliver(engine: Weak<Engine>, notifier: Arc<dyn Notifier>, mut wakes: mpsc::Receiver<()>) {
    let (done, mut ended) = mpsc::unbounded();
    let mut under_way = BTreeSet::new();
    let mut has_failed = false;
    loop {
        let Some(here) = engine.upgrade() else { return };
        if here.require_open().is_err() {
            return;
        }
        // After a failure what is under way ends first.
        let due = match has_failed {
            true => Ok(Vec::new()),
            false => here.due(&under_way, AT_ONCE - under_way.len()).await,
        };
        has_failed |= due.is_err();
        for row in due.unwrap_or_default() {
            under_way.insert(row.id);
            let (engine, notifier, done) = (here.clone(), notifier.clone(), done.clone());
            // A task for each, so that what one of them holds of the storage is not waited for by who lets it go on.
            here.services.env.spawn(Box::pin(async move {
                let mut under_way = UnderWay { id: row.id, has_failed: true, done };
                under_way.has_failed = engine.deliver(&*notifier, row).await.is_err();
                // What waits may be the last that holds the store.
                drop(engine);
            }));
        }
        if under_way.is_empty() {
            let pause = if has_failed { Ok(Some(FAILED_MILLIS)) } else { here.until_next().await };
            let pause = pause.unwrap_or(Some(FAILED_MILLIS));
            let slept = pause.map(|millis| here.services.env.sleep_in_background(millis.min(LONGEST_MILLIS)));
            drop(here);
            has_failed = false;
            if !woken(&mut wakes, slept).await {
                return;
            }
            continue;
        }
        drop(here);
        // What comes while there is room does not wait for those that are slow.
        let has_room = under_way.len() < AT_ONCE && !has_failed;
        let one = match future::select(ended.next(), wakes.next()).await {
            future::Either::Left((one, _)) => one,
            future::Either::Right(_) if has_room => None,
            future::Either::Right((_, ended)) => ended.await,
        };
        if let Some((id, is_failure)) = one {
            under_way.remove(&id);
            has_failed |= is_failure;
        }
    }
}

/// A notice that is under way; that it ended is told whatever ends it, a panic of the application's own code, too.
struct UnderWay {
    id: NoticeId,
    has_failed: bool,
    done: mpsc::UnboundedSender<(NoticeId, bool)>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Nobody may be waiting any more.
        let _ = self.done.unbounded_send((self.id, self.has_failed));
    }
}

/// Waits until there may be something to do; false: nobody is left to wake.
async fn woken(wakes: &mut mpsc::Receiver<()>, slept: Option<Task>) -> bool {
    let woken = wakes.next();
    match slept {
        None => woken.await.is_some(),
        Some(slept) => match future::select(woken, slept).await {
            future::Either::Left((woken, _)) => woken.is_some(),
            future::Either::Right(_) => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_1_nobody_takes_as_long_as_somebody_not_as_the_last() {
        let answers = NotifierFailures::default();
        assert!(answers.one_like_the_last(0).is_none());
        for millis in 0..40 {
            answers.count(Some(Delivery::Sent), Duration::from_millis(millis));
        }
        let drawn: BTreeSet<u128> =
            (0..100).filter_map(|random| answers.one_like_the_last(random)).map(|(_, took)| took.as_millis()).collect();
        assert_eq!(drawn, (8..40).collect(), "the newest 32");
        answers.count(None, Duration::from_millis(99));
        let like = answers.one_like_the_last(7);
        assert_eq!(like, Some((None, Duration::from_millis(99))), "mail fails now");
    }
}
