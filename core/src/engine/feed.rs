//! Following the change feed: what others wrote leaves the caches.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::future::Either;
use uuid::Uuid;

use super::{
    Engine, Live, Who, api_keys::Found, cache, confirmed::NEVER, foreign_tokens::Standing, rights::WhoKind,
    together::Turn,
};
use crate::{
    environment::{Clock, Task, runtime_ended},
    model::{
        deferred::{IS_PAGE, unless_page},
        erasure::Erasure,
        error::{Error, Reason, Result},
        id::{ApiKeyId, SessionId, UserId},
        noun::Caches,
        record::{Key, Record},
        registry::{Guard, StandsFor},
    },
    operations::{policy::state::PolicyState, services::History, signing_keys, target::TargetRow},
    rules,
    storage::{self, Changes, Committed, FEED_PAGE, FeedPart, Gap, LanePosition, Position, Touched},
};

/// How often others' changes are looked for when no operation does, in milliseconds.
pub(super) const POLL_MILLIS: u64 = 200;
/// The same where the storage tells of them, in case it does not.
const BEAT_MILLIS: u64 = 500;
/// How long ago it may be that operations knew of all commits that they were not told of, in milliseconds: a right that was taken elsewhere is
/// gone after a second.
const MAX_AGE_MILLIS: i64 = 1_000;
/// How often they are looked for at most for tokens that may be anybody's, in microseconds.
const STRANGERS_MICROS: i64 = 100_000;
/// So much is heard at a time: what rows were touched, and nothing of what is told of them.
const TOUCHED: FeedPart = FeedPart { commits: FEED_PAGE, bytes: 4 << 20, has_events: false };
/// So long after it found nothing a subscription reads again at the soonest, in milliseconds.
const GATHER_MILLIS: u64 = 200;
/// Nobody waits longer for events at a time; whoever wants to waits again.
const LONGEST_WAIT_MILLIS: u64 = 5 * 60 * 1_000;
/// So long others' look is waited for, in milliseconds: a storage may not answer at all.
const SHARED_MILLIS: u64 = 500;
/// How often who waits for a position looks for it, in milliseconds.
const WAIT_MILLIS: u64 = 25;

/// Never held while anything is waited for, and whole whatever happens to who holds it.
pub(super) fn locked(position: &Mutex<Position>) -> MutexGuard<'_, Position> {
    position.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn micros_of(elapsed: Duration) -> i64 {
    elapsed.as_micros().try_into().unwrap_or(i64::MAX)
}

impl Engine {
    /// Catches up with the feed, unless the storage would have told of news, and it is not long ago that there were none.
    pub(crate) async fn keep_up(self: &Arc<Self>) -> Result<()> {
        self.stir();
        let max_age = self.services.config.rights_max_age_millis.min(MAX_AGE_MILLIS);
        if self.services.storage.hears() && self.confirmed.is_within(max_age, &self.services.env.clock()) {
            return self.settle_doubts().await;
        }
        self.catch_up().await
    }

    /// Catches up with the feed; costs next to nothing where nobody else wrote.
    pub(crate) async fn catch_up(self: &Arc<Self>) -> Result<()> {
        self.stir();
        self.look().await
    }

    /// The same, though nobody asks for it.
    pub(super) async fn look(self: &Arc<Self>) -> Result<()> {
        self.settle_doubts().await?;
        if !self.services.storage.is_shared() {
            return Ok(());
        }
        match self.looking.turn(|| self.services.env.sleep_in_background(SHARED_MILLIS)).await {
            Turn::Answered(answer) => answer,
            Turn::First(first) => {
                let engine = self.clone();
                // A caller that does not go on holds nobody up.
                let whole = async move { first.answer(engine.look_alone().await) };
                self.to_its_end(whole).await.unwrap_or_else(|| Err(runtime_ended()))
            }
            Turn::Alone => self.look_alone().await,
        }
    }

    async fn look_alone(self: &Arc<Self>) -> Result<()> {
        let asked_at = self.moment();
        let heard = self.heard();
        // Commits whose rows are not in the feed count, too: somebody may ask for their position.
        let changes = self.services.storage.changes(&heard, TOUCHED).await?;
        if changes.position != heard {
            self.apply_changes(heard, changes).await?;
        }
        self.confirmed.confirm(asked_at);
        Ok(())
    }

    /// How far the caches have heard.
    pub(super) fn heard(&self) -> Position {
        locked(&self.position).clone()
    }

    /// The same for who may be anybody: not more often than it is done anyhow.
    pub(crate) async fn follow_now_and_then(self: &Arc<Self>) -> Result<()> {
        let now = micros_of(self.services.env.elapsed());
        let before = self.asked_for_strangers.load(Ordering::Acquire);
        if before != NEVER && now.saturating_sub(before) < STRANGERS_MICROS {
            return Ok(());
        }
        let first = self.asked_for_strangers.compare_exchange(before, now, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() { self.catch_up().await } else { Ok(()) }
    }

    /// Hears of all commits, one caller at a time, beginning with those that it has read already; to its end even if that caller goes away.
    async fn apply_changes(self: &Arc<Self>, since: Position, changes: Changes) -> Result<()> {
        let engine = self.clone();
        let whole = async move {
            let _turn = engine.catching_up.lock().await;
            let mut read = Some((since, changes));
            // The feed comes in pages.
            loop {
                let heard = engine.heard();
                let changes = match read.take().filter(|(since, _)| *since == heard) {
                    Some((_, changes)) => changes,
                    // Somebody else was first.
                    None => engine.services.storage.changes(&heard, TOUCHED).await?,
                };
                // Heard again where this fails: the position stays.
                match changes.gap {
                    Some(gap) => engine.hear_of_gap(gap).await?,
                    None => {
                        engine.hear(&changes.touched).await?;
                        // Others erase somebody, and may end in the middle.
                        if !IS_PAGE && changes.touched.iter().any(|row| row.table == Erasure::TABLE.name) {
                            engine.take_over_erasures();
                        }
                    }
                }
                let has_more = changes.has_more();
                engine.has_heard(changes);
                if !has_more {
                    return Ok(());
                }
            }
        };
        self.to_its_end(whole).await.unwrap_or_else(|| Err(runtime_ended()))
    }

    /// The caches have heard of these changes.
    fn has_heard(&self, changes: Changes) {
        if changes.gap == Some(Gap::Rewound) {
            // Commits of this instance may be among those that are lost.
            locked(&self.committed).clone_from(&changes.position);
        }
        // Own commits that came meanwhile may be heard once more.
        *locked(&self.position) = changes.position;
        self.tell_waiting();
    }

    /// Catches up with the feed to this position at least; waits for it as long as rights may be old.
    pub(crate) async fn follow_to(self: &Arc<Self>, at_least: &Position) -> Result<()> {
        self.require_open()?;
        let most = Duration::from_millis(self.services.config.rights_max_age_millis.unsigned_abs());
        let began = self.services.env.elapsed();
        self.keep_up().await?;
        if self.require_heard(at_least).is_ok() {
            return Ok(());
        }
        loop {
            self.catch_up().await?;
            if self.services.env.elapsed().saturating_sub(began) >= most || self.require_heard(at_least).is_ok() {
                return self.require_heard(at_least);
            }
            self.services.env.sleep(WAIT_MILLIS).await;
        }
    }

    /// Refuses where a position is asked for that the caches do not hold yet.
    pub(crate) fn require_heard(&self, at_least: &Position) -> Result<()> {
        // Most ask for none: no lock then.
        if *at_least == Position::START {
            return Ok(());
        }
        // Nobody else writes to a storage of our own, and each commit is heard of before it returns.
        let heard = if self.services.storage.is_shared() { &self.position } else { &self.committed };
        if locked(heard).includes(at_least) {
            return Ok(());
        }
        let message = "this instance has not reached that position yet; try again";
        Err(Error::new(Reason::RightsStale, message))
    }

    /// Up to the newest commits that this instance has made or heard of.
    pub(crate) fn newest(&self) -> Position {
        let mut newest = self.heard();
        newest.merge(&locked(&self.committed));
        newest
    }

    /// Something moved that [`Self::wait_for_events`] waits for.
    pub(super) fn tell_waiting(&self) {
        self.services.feed.outdate();
        self.moved.notify(usize::MAX);
    }

    /// Waits, for who has read all events up to a position, until this instance knows of a commit behind it, for so many milliseconds at most;
    /// whether it does. What a subscription reads after that is no request of its user's.
    ///
    /// Where others commit all the time, who found nothing at some moment is not told of the next commit before [`GATHER_MILLIS`] after it.
    pub(crate) async fn wait_for_events(
        &self,
        who: &Who,
        position: &Position,
        millis: u64,
        read_at: Duration,
    ) -> Result<bool> {
        if matches!(who.kind, WhoKind::Anonymous) {
            return Err(Error::not_signed_in());
        }
        let mut timeout = self.services.env.sleep(millis.min(LONGEST_WAIT_MILLIS));
        let _waiting = self.wait_for_commits();
        // Who asks without waiting reads as any other.
        let mut has_waited = millis >= GATHER_MILLIS;
        let is_beyond = loop {
            // Before it is looked: what moves in between is not missed.
            let moved = self.moved.listen();
            self.require_open()?;
            if !position.includes(&self.newest()) {
                let age = self.services.env.elapsed().saturating_sub(read_at);
                let left = GATHER_MILLIS.saturating_sub(age.as_millis().try_into().unwrap_or(u64::MAX));
                if left > 0 {
                    let slept = futures_util::future::select(self.services.env.sleep(left), timeout).await;
                    has_waited |= matches!(slept, Either::Left(_));
                    self.require_open()?;
                } else {
                    has_waited = true;
                }
                break true;
            }
            match futures_util::future::select(moved, timeout).await {
                Either::Left(((), left)) => timeout = left,
                Either::Right(_) => break false,
            }
        };
        if let Some(user) = who.kind.acting_user().filter(|_| has_waited) {
            self.rates.let_read_on(user, self.services.now());
        }
        Ok(is_beyond)
    }

    /// Starts at the end of the feed: nothing is cached yet.
    pub(crate) async fn start(&self) -> Result<()> {
        let asked_at = self.moment();
        let position = self.services.storage.position().await?;
        locked(&self.committed).clone_from(&position);
        *locked(&self.position) = position;
        // The policy was read before; what was edited in between is no news to the feed any more.
        self.renew_policy().await?;
        self.renew_eras().await?;
        if self.services.storage.is_shared() {
            self.renew_signing_keys().await?;
        }
        self.confirmed.confirm(asked_at);
        self.reread.confirm(asked_at);
        Ok(())
    }

    /// Follows the feed until the store is closed or nobody holds it any more.
    pub(crate) async fn poll(engine: Weak<Self>) {
        loop {
            let Some(next_look) = engine.upgrade().map(|engine| engine.next_look()) else { return };
            next_look.await;
            let Some(engine) = engine.upgrade() else { return };
            if engine.require_open().is_err() {
                return;
            }
            // What fails now is tried again; meanwhile checks turn `rights_stale` by themselves.
            let looked = engine.look().await;
            // Where the storage does not answer, what is in memory would be let go, and nothing be read.
            if !IS_PAGE && looked.is_ok() {
                engine.reread_now_and_then();
            }
            #[cfg(feature = "metrics")]
            engine.publish();
        }
    }

    /// When to look for others' changes again; without holding what belongs to the store longer than needed.
    fn next_look(&self) -> Task {
        let storage = &self.services.storage;
        if IS_PAGE || !storage.hears() {
            return self.sleep_until_look(POLL_MILLIS);
        }
        let (news, sleep) = (storage.news(), self.sleep_until_look(BEAT_MILLIS));
        Box::pin(async { drop(futures_util::future::select(news, sleep).await) })
    }

    /// Our own commit is no news, if nobody else's came between in its lane; `losses` were heard of before it.
    pub(super) fn advance(&self, Committed { place, follows }: Committed, losses: u64) {
        let mut committed = locked(&self.committed);
        // Else it may be lost: the feed tells of it if it is not.
        if self.services.policy().losses == losses {
            committed.advance(place);
        }
        drop(committed);
        let mut heard = locked(&self.position);
        // In a storage that went back it may follow another one than the caches have heard of.
        if follows == Some(heard.lane(place.lane).unwrap_or(LanePosition::nothing(place.lane))) {
            heard.advance(place);
        }
        drop(heard);
        self.tell_waiting();
    }

    /// Goes on with another policy: whoever holds rights under the one before gets them anew before this returns. A caller that
    /// goes away meanwhile leaves the one before in force everywhere.
    async fn go_on_with(&self, next: Arc<PolicyState>) {
        if !self.services.policy().is_before(&next) {
            return;
        }
        // Until all are read the policy of before is in force: nobody is without rights meanwhile.
        let held = self.principals.pinned_without(&next.rules);
        let read = self.read_held(held).await;
        // One step, in which nothing is waited for: rights of other rules than those of the policy would stay for good.
        if self.services.replace_policy(next) {
            let gone = self.principals.replace_rules_with(|| self.services.rules(), read);
            self.renew_users(self.principals.outdate(gone)).await;
        }
    }

    /// Reads the policy and which scopes lie within which, where they are not those that are known.
    pub(super) async fn renew_policy(&self) -> Result<()> {
        self.read_policy(History::Same).await
    }

    async fn read_policy(&self, history: History) -> Result<()> {
        let _renewing = self.renewing.lock().await;
        self.read_policy_alone(history).await
    }

    async fn read_policy_alone(&self, history: History) -> Result<()> {
        let storage = &*self.services.storage;
        let next = match history {
            History::Same => PolicyState::load_newer(storage, &self.services.policy()).await?,
            History::Other => PolicyState::load_after_loss(storage, &self.services.policy()).await?,
        };
        if let Some(next) = next {
            self.go_on_with(Arc::new(next)).await;
        }
        Ok(())
    }

    /// Reads the keys of tokens; in a page nobody changes them.
    pub(super) async fn renew_signing_keys(&self) -> Result<()> {
        unless_page(Ok(()), || Box::pin(self.read_signing_keys())).await
    }

    /// Reads how often the sessions and the API keys of everybody were ended; in a page nobody does that.
    pub(super) async fn renew_eras(&self) -> Result<()> {
        self.read_eras(History::Same).await
    }

    async fn read_eras(&self, history: History) -> Result<()> {
        if !IS_PAGE {
            // What was read first must not be entered last where it may be less.
            let _renewing = self.renewing.lock().await;
            // In one read.
            let both = [Guard::SESSIONS, Guard::API_KEYS].map(|name| (name.to_owned(),));
            let guards = self.services.reads().many::<Guard>(both).await?;
            let era = |name| guards.iter().find(|guard| guard.name == name).map(|guard| guard.version);
            self.services.enter_era(era(Guard::SESSIONS).unwrap_or_default(), history);
            self.services.enter_key_era(era(Guard::API_KEYS).unwrap_or_default(), history);
        }
        Ok(())
    }

    async fn read_signing_keys(&self) -> Result<()> {
        let _renewing = self.renewing.lock().await;
        self.services.replace_keys(signing_keys::load(&self.services).await?);
        Ok(())
    }

    /// Others wrote rows: after this nothing is decided by what was so before.
    ///
    /// # Errors
    /// Where a policy or keys that were changed cannot be read: this must be heard again.
    async fn hear(&self, touched: &[Touched]) -> Result<()> {
        self.deliveries.hear(touched);
        let outdated = self.outdate(touched);
        let renewed = match touched.iter().any(|row| is_policy(&row.table, &row.key)) {
            true => self.renew_policy().await,
            false => Ok(()),
        };
        let renewed = match touched.iter().any(is_key) {
            true => renewed.and(self.renew_signing_keys().await),
            false => renewed,
        };
        let renewed = match touched.iter().any(|row| is_of_everybody(&row.table, &row.key)) {
            true => renewed.and(self.renew_eras().await),
            false => renewed,
        };
        self.renew(outdated).await;
        renewed
    }

    /// Now, by both clocks.
    pub(super) fn moment(&self) -> (i64, i64) {
        (micros_of(self.services.env.elapsed()), self.services.now().as_microsecond())
    }

    /// A part of the feed is gone: anything may have been written.
    pub(super) async fn hear_of_gap(&self, gap: Gap) -> Result<()> {
        self.deliveries.wake();
        match gap {
            Gap::Pruned => self.read_all_anew(History::Same).await,
            Gap::Rewound => {
                self.services.look_for_old_keys();
                self.read_all_anew(History::Other).await
            }
        }
    }

    pub(super) async fn read_all_anew(&self, history: History) -> Result<()> {
        let outdated = Outdated {
            users: self.principals.outdate_all(),
            sessions: self.sessions.outdate_all(),
            keys: if IS_PAGE { Vec::new() } else { self.keys.outdate_all() },
            targets: if IS_PAGE { Vec::new() } else { self.targets.outdate_all() },
            standings: if IS_PAGE { Vec::new() } else { self.standings.outdate_all() },
        };
        let policy = self.read_policy(history).await;
        let renewed = policy.and(self.renew_signing_keys().await).and(self.read_eras(history).await);
        self.renew(outdated).await;
        renewed
    }

    /// This instance wrote rows, and with them perhaps the next policy.
    pub(super) async fn hear_own(&self, touched: &[Touched], next: Option<Arc<PolicyState>>) {
        let outdated = self.outdate(touched);
        if let Some(next) = next {
            // Who follows the feed meanwhile may have the policy first, but not yet everybody's rights under it.
            let _renewing = self.renewing.lock().await;
            // A loss was heard of since it was planned: it may rest on what was lost, or be lost itself, so what is stored is read.
            if next.losses == self.services.policy().losses {
                self.go_on_with(next).await;
            } else if self.read_policy_alone(History::Same).await.is_err() {
                self.doubt();
            }
        }
        if touched.iter().any(is_key) && self.renew_signing_keys().await.is_err() {
            self.doubt();
        }
        if touched.iter().any(|row| is_of_everybody(&row.table, &row.key)) && self.renew_eras().await.is_err() {
            self.doubt();
        }
        self.renew(outdated).await;
    }

    /// What depends on these rows is old.
    pub(super) fn outdate(&self, touched: &[Touched]) -> Outdated<'_> {
        Outdated {
            users: self.principals.outdate(touched.iter().filter_map(user_of).map(|user| user.0)),
            sessions: self.sessions.outdate(touched.iter().filter_map(session_of)),
            // Pages have none.
            keys: if IS_PAGE { Vec::new() } else { self.keys.outdate(touched.iter().filter_map(key_of)) },
            targets: if IS_PAGE { Vec::new() } else { self.targets.outdate(touched.iter().filter_map(user_of)) },
            standings: match IS_PAGE {
                true => Vec::new(),
                false => {
                    self.standings.outdate(touched.iter().filter_map(|row| user_of(row).or_else(|| credential_of(row))))
                }
            },
        }
    }

    async fn renew(&self, outdated: Outdated<'_>) {
        self.renew_users(outdated.users).await;
        self.renew_sessions(outdated.sessions).await;
        let (keys, targets, standings) = (outdated.keys, outdated.targets, outdated.standings);
        let of_servers = async || {
            self.renew_keys(keys).await;
            self.renew_targets(targets).await;
            self.renew_standings(standings).await;
        };
        unless_page((), || Box::pin(of_servers())).await;
    }

    /// A synchronous check must not use rights of which nobody knows whether they still hold.
    pub(crate) fn require_fresh(&self, clock: &Clock<'_>) -> Result<()> {
        if self.is_in_doubt() {
            return Err(Error::new(Reason::RightsStale, "it is not known whether a commit took place; try again"));
        }
        if !self.services.storage.is_shared()
            || self.confirmed.is_within(self.services.config.rights_max_age_millis, clock)
        {
            return Ok(());
        }
        Err(Error::new(Reason::RightsStale, "the change feed could not be read recently, so rights may be out of date"))
    }

    /// Starts following in the background.
    pub(crate) fn spawn_poll(self: &Arc<Self>) {
        if self.services.storage.is_shared() {
            self.services.env.spawn(Box::pin(Self::poll(Arc::downgrade(self))));
        }
    }
}

/// What callers hold that is old.
#[must_use = "dropped at once, it lets go of what is old"]
pub(super) struct Outdated<'e> {
    users: rules::Outdated<'e>,
    sessions: Vec<cache::Outdated<SessionId, Live>>,
    keys: Vec<cache::Outdated<ApiKeyId, Found>>,
    targets: Vec<cache::Outdated<UserId, TargetRow>>,
    standings: Vec<cache::Outdated<UserId, Standing>>,
}

/// Whether this is a row that every edit of the policy moves, or every change of which scopes lie within which.
pub(super) fn is_policy(table: &str, key: &Key) -> bool {
    matches!(stands_for(table, key), Some(StandsFor::Policy | StandsFor::ScopeTree))
}

/// Whether this stands for the keys that tokens are signed with.
pub(super) fn is_of_keys(table: &str, key: &Key) -> bool {
    stands_for(table, key) == Some(StandsFor::SigningKeys)
}

/// Whether this stands for the sessions or the API keys of everybody.
pub(super) fn is_of_everybody(table: &str, key: &Key) -> bool {
    matches!(stands_for(table, key), Some(StandsFor::Sessions | StandsFor::ApiKeys))
}

/// Whether this is a key that tokens are signed with.
pub(super) fn is_key(touched: &Touched) -> bool {
    storage::table(&touched.table).is_some_and(|table| table.noun.caches.contains(&Caches::SigningKeys))
}

/// What a guard stands for.
fn stands_for(table: &str, key: &Key) -> Option<StandsFor> {
    let is_guard = storage::table(table)?.noun.caches.contains(&Caches::Guard);
    is_guard.then(|| Guard::stands_for(key.0.first()?.as_text()?)).flatten()
}

fn user_of(touched: &Touched) -> Option<UserId> {
    if let Some(StandsFor::User(user)) = stands_for(&touched.table, &touched.key) {
        return Some(user);
    }
    let is_user = |cached: &Caches| if let Caches::User(column) = cached { Some(*column) } else { None };
    cached(touched, is_user).map(UserId)
}

fn session_of(touched: &Touched) -> Option<SessionId> {
    let is_session = |cached: &Caches| if let Caches::Session(column) = cached { Some(*column) } else { None };
    cached(touched, is_session).map(SessionId)
}

fn key_of(touched: &Touched) -> Option<ApiKeyId> {
    let is_key = |cached: &Caches| if let Caches::ApiKey(column) = cached { Some(*column) } else { None };
    cached(touched, is_key).map(ApiKeyId)
}

/// Whose credentials were changed.
fn credential_of(touched: &Touched) -> Option<UserId> {
    let is_one = |cached: &Caches| if let Caches::Credential(column) = cached { Some(*column) } else { None };
    cached(touched, is_one).map(UserId)
}

/// The id in the column of a key that says what is cached.
fn cached(touched: &Touched, column_of: impl Fn(&Caches) -> Option<usize>) -> Option<Uuid> {
    let table = storage::table(&touched.table)?;
    let column = table.noun.caches.iter().find_map(column_of)?;
    let at = table.key.iter().position(|at| *at == column)?;
    touched.key.0.get(at)?.as_id()
}
