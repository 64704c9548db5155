//! Runs ANY operation, the only place that does, in five steps: authorize, validate, read, plan,
//! commit. So no operation can forget one.

mod api_keys;
pub(crate) mod around;
mod authorize;
pub(crate) mod cache;
mod confirmed;
mod decisions;
mod deliveries;
mod denials;
mod doubts;
mod feed;
mod foreign_tokens;
#[cfg(feature = "metrics")]
mod gauges;
pub(crate) mod health;
mod impersonation;
#[cfg(feature = "sql")]
pub(crate) mod joined;
pub(crate) mod limit;
mod of_servers;
mod once;
mod quiet;
mod rates;
mod reread;
mod rights;
mod sampled;
mod steps;
mod tidy;
mod together;
mod turn;
mod uses;

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use rolekeep_macros::boxed_async;

use crate::{
    environment::{MaybeSend, runtime_ended},
    model::{
        deferred::{IS_PAGE, unless_page},
        error::{Error, Reason, Result},
        id::{ApiKeyId, ChangeSetId, SessionId, UserId},
    },
    operations::{
        Operation,
        actor::{Actor, RequestContext},
        consumers,
        heard::HeardCommits,
        notices::Notifier,
        passwords::BreachedPasswords,
        plan::Plan,
        policy::state::PolicyState,
        rights::{require_fresh, require_target},
        services::Services,
        target::TargetRow,
    },
    rules::PrincipalCache,
    storage::{ChangeSet, CommitError, Committed, Key, Position},
};
use cache::Cache;
use confirmed::Confirmed;
pub(crate) use decisions::Subject;
use deliveries::Deliveries;
use denials::Refusal;
use doubts::{Doubts, Unheard};
use once::Once;
use quiet::Quiet;
use rates::Rates;
pub use rights::UsersInMemory;
pub(crate) use rights::{By, Live, Loaded, Who, WhoKind, WhoSession};
use sampled::Sampled;
use steps::Entry;
pub(crate) use steps::{Running, Steps};
use tidy::{Erasing, TidiedByTime};
use together::Together;
use turn::Turns;

/// How often a plan is made anew when others were faster, before the caller hears of it.
const ATTEMPTS: u32 = 12;

/// The same where the policy moved. Who edits it again and again is ahead of everybody who has to hear
/// of that first, so that few attempts would be no chance.
const POLICY_ATTEMPTS: u32 = 200;

/// From so many vain attempts on, others of this instance wait until a plan is through: whoever changes a row
/// without a pause must not keep everybody else from it.
const PATIENCE: u32 = 3;

/// The same for who has not signed in. Others would wait for its password to be hashed, were this not over by the second
/// attempt, unless the hash changed meanwhile.
const PATIENCE_WITH_STRANGERS: u32 = 6;

/// After how long each time a lost answer is asked for.
const LOOK_UP_AFTER_MILLIS: [u64; 3] = [0, 20, 200];

/// How a plan ended.
enum Finish {
    Done,
    /// Others were faster.
    Stale,
    /// Others edited the policy.
    PolicyMoved,
}

/// An open store, running operations.
pub(crate) struct Engine {
    pub(crate) services: Services,
    /// The rights of users, as read last.
    pub(crate) principals: PrincipalCache,
    /// Sessions, as read last.
    pub(crate) sessions: Cache<SessionId, Live>,
    /// API keys, as read last.
    keys: Cache<ApiKeyId, api_keys::Found>,
    /// Whom accounts stand for whose callers came by tokens of other issuers, as read last.
    standings: Cache<UserId, foreign_tokens::Standing>,
    /// Accounts that somebody else acts as, as read last.
    targets: Cache<UserId, TargetRow>,
    /// Held while a policy of others is read and compiled: once is enough for all who hear of it.
    renewing: async_lock::Mutex<()>,
    /// Looks for what others wrote.
    looking: Together,
    /// Held by who hears what others wrote.
    catching_up: async_lock::Mutex<()>,
    turns: Turns,
    /// Held by who closes the store; whether it is closed.
    closing: async_lock::Mutex<bool>,
    /// The newest commit whose changes are in the caches.
    position: Mutex<Position>,
    /// The newest commit of our own.
    committed: Mutex<Position>,
    /// Tells who waits for it that either moved, or that the store was closed.
    moved: event_listener::Event,
    confirmed: Confirmed,
    quiet: Quiet,
    /// When all that is in memory was last read anew.
    reread: Confirmed,
    /// That is under way.
    is_rereading: AtomicBool,
    doubts: Doubts,
    /// When others' commits were last looked for on behalf of somebody who may be anybody, in microseconds.
    asked_for_strangers: AtomicI64,
    is_closed: AtomicBool,
    /// What nobody asks for any more is being let go of.
    is_tidying: AtomicBool,
    tidied_by_time: TidiedByTime,
    erasing: Erasing,
    /// The log was told of a proxy that is not known.
    #[cfg(feature = "tracing")]
    has_warned: AtomicBool,
    hooks: Hooks,
    /// The store that this one is of, where it reads and writes in a transaction of the application's.
    main: Option<Arc<Self>>,
    deliveries: Deliveries,
    #[cfg(feature = "metrics")]
    published: gauges::PublishedGauges,
    rates: Rates,
    sampled: Sampled,
    looks: cache::Looks,
    failed_commits: health::FailedCommits,
    /// What the storage said last of how it is.
    probe: async_lock::Mutex<Option<health::Probe>>,
}

/// What the host hangs around every operation.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) observer: Option<Arc<dyn around::Observer>>,
    pub(crate) limiter: Option<Arc<dyn limit::Limiter>>,
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    pub(crate) breached_passwords: Option<Arc<dyn BreachedPasswords>>,
    /// The storage, where an application's transaction can be joined.
    #[cfg(feature = "sql")]
    pub(crate) database: joined::Database,
}

impl Engine {
    pub(crate) fn new(services: Services, hooks: Hooks) -> Self {
        let principals = PrincipalCache::new(services.rules(), services.config.users_in_memory as usize);
        let quiet = Quiet::new(&services.env);
        Self {
            services,
            principals,
            sessions: Cache::default(),
            keys: Cache::default(),
            standings: Cache::default(),
            targets: Cache::default(),
            renewing: async_lock::Mutex::new(()),
            looking: Together::default(),
            catching_up: async_lock::Mutex::new(()),
            turns: Turns::default(),
            closing: async_lock::Mutex::new(false),
            position: Mutex::default(),
            committed: Mutex::default(),
            moved: event_listener::Event::new(),
            confirmed: Confirmed::default(),
            quiet,
            reread: Confirmed::default(),
            is_rereading: AtomicBool::new(false),
            doubts: Doubts::default(),
            asked_for_strangers: AtomicI64::new(i64::MIN),
            is_closed: AtomicBool::new(false),
            is_tidying: AtomicBool::new(false),
            tidied_by_time: TidiedByTime::default(),
            erasing: Erasing::default(),
            #[cfg(feature = "tracing")]
            has_warned: AtomicBool::new(false),
            hooks,
            main: None,
            deliveries: Deliveries::default(),
            #[cfg(feature = "metrics")]
            published: gauges::PublishedGauges::default(),
            rates: Rates::default(),
            sampled: Sampled::default(),
            looks: cache::Looks::default(),
            failed_commits: health::FailedCommits::default(),
            probe: async_lock::Mutex::new(None),
        }
    }

    /// Runs one operation for a caller.
    pub(crate) async fn run<O: Operation>(self: &Arc<Self>, who: &Who, input: O) -> Result<O::Output> {
        let mut running = Running::new(input);
        self.run_steps(who, &mut running).await?;
        running.into_output()
    }

    /// Takes an operation through its steps.
    pub(crate) async fn run_steps(self: &Arc<Self>, who: &Who, steps: &mut dyn Steps) -> Result<()> {
        let operation = steps.listed().name;
        let account = self.hooks.limiter.as_ref().and_then(|_| steps.account().map(str::to_owned));
        // Boxed, so that the future of each operation is small.
        Box::pin(self.around(operation, account.as_deref(), who, self.take_steps(who, steps))).await
    }

    /// An error with the time and the request in which it happened: every error of a call with a request gets them here.
    pub(crate) fn stamped(&self, error: Error, request: &RequestContext) -> Error {
        error.at(self.services.now()).in_request(request.request_id.as_deref())
    }

    async fn take_steps(self: &Arc<Self>, who: &Who, steps: &mut dyn Steps) -> Result<()> {
        let mut refusal = Refusal::default();
        let result = self.try_steps(who, steps, &mut refusal).await;
        if let Err(error) = &result {
            self.tell_of_try(who, steps.listed(), &refusal, error);
            self.tell_of_denial(who, steps.listed(), refusal, error);
        }
        result
    }

    async fn try_steps(self: &Arc<Self>, who: &Who, steps: &mut dyn Steps, refusal: &mut Refusal) -> Result<()> {
        self.require_open()?;
        let (listed, permission) = (steps.listed(), steps.permission());
        self.admit(who, listed).await?;
        let mut once = Once::of(who, steps)?;
        let patience = if matches!(who.kind, WhoKind::Anonymous) { PATIENCE_WITH_STRANGERS } else { PATIENCE };
        let (mut attempts, mut policies) = (0, 0);
        while attempts < ATTEMPTS && policies < POLICY_ATTEMPTS {
            let alone = if attempts < patience { None } else { self.turn_alone().await };
            // What made it start again is heard of.
            if attempts + policies == 0 {
                self.keep_up().await?
            } else {
                self.catch_up().await?
            }
            let actor = self.actor(who).await?;
            refusal.let_in();
            let now = self.services.now();
            let mut plan = Plan::new(&self.services, &actor, now);

            if let Some(once) = &mut once {
                once.require_new(plan.reads(), now).await?;
            }
            if let Err(error) = self.plan(steps, &mut plan, refusal).await {
                if let Some(once) = &mut once {
                    // What it failed on may be the same request, done meanwhile.
                    once.require_new(self.services.reads(), now).await?;
                }
                return Err(error);
            }
            let outcome = plan.refusal().cloned().map_or(Ok(()), Err);
            let refused = plan.take_refused();
            let asks = (listed, permission.as_deref());
            match self.finish(plan, asks, once.as_ref(), alone.is_some()).await? {
                Finish::Done => {
                    refusal.mark_logged();
                    self.tell_of_refused_ones(who, listed, refused);
                    return outcome;
                }
                Finish::Stale => attempts += 1,
                Finish::PolicyMoved => policies += 1,
            }
            drop(alone);
            self.services.env.sleep(u64::from(attempts)).await;
        }
        Err(Error::new(Reason::Contention, "other requests kept changing the same rows; try again"))
    }

    /// Asks the rules, and lets the operation plan; one that the plan itself refuses is committed with its refusal.
    async fn plan(&self, steps: &mut dyn Steps, plan: &mut Plan<'_>, refusal: &mut Refusal) -> Result<()> {
        let listed = steps.listed();
        authorize::somewhere(plan, listed, steps.permission().as_deref())?;
        if listed.needs_fresh {
            require_fresh(plan).await?;
        }
        steps.load(plan).await?;
        if let Some(check) = steps.permission_check(plan).filter(|_| !plan.actor.is_system()) {
            refusal.of(&check.target);
            let allowed = require_target(plan, &check.permission, &check.target, &check.read).await;
            allowed.map_err(|error| refusal.hidden(error))?;
        }
        steps.validate(&self.services, plan.now).await?;
        let planned = steps.plan(plan).await;
        if planned.is_err() && plan.refusal().is_some() {
            return Ok(());
        }
        planned.inspect_err(|_| refusal.of_plan(plan))
    }

    /// Asks the rules about the rows as they will be, and commits.
    async fn finish(
        self: &Arc<Self>,
        mut plan: Plan<'_>,
        (listed, permission): (Entry, Option<&str>),
        once: Option<&Once>,
        is_alone: bool,
    ) -> Result<Finish> {
        authorize::changes(&mut plan, permission).await?;
        // What is refused is not done, and may be asked for again.
        let once = once.filter(|_| plan.refusal().is_none());
        if plan.is_empty() && once.is_none() {
            return Ok(Finish::Done);
        }
        if listed.is_read {
            return Err(Error::new(
                Reason::Internal,
                format!("{} is declared to be read-only, but writes", listed.name),
            ));
        }
        let _turn = if is_alone { None } else { self.turn().await };
        let (next, now) = (plan.next_policy(), plan.now);
        let id = self.services.env.new_id()?;
        let committed = match plan.into_change_set(Some(listed.name), listed.access, id) {
            Ok(mut change_set) => {
                change_set.writes.extend(once.map(|once| once.write(id, now)));
                self.commit(change_set, next).await
            }
            Err(error) => Err(error),
        };
        self.note_end();
        match committed {
            Ok(_) => Ok(Finish::Done),
            Err(CommitError::Failed(error)) => Err(error),
            Err(CommitError::Unknown) => Err(Error::outcome_unknown(id)),
            Err(CommitError::Stale { table, key }) => self.hear_of_others(table.name, key).await,
        }
    }

    /// Others have changed this row: where all depend on it, it is read anew. To its end even if nobody goes on with the call meanwhile, as
    /// others wait for whoever reads it.
    async fn hear_of_others(self: &Arc<Self>, table: &'static str, key: Key) -> Result<Finish> {
        let engine = self.clone();
        let whole = async move {
            if feed::is_policy(table, &key) {
                return engine.renew_policy().await.map(|()| Finish::PolicyMoved);
            }
            if feed::is_of_keys(table, &key) {
                engine.renew_signing_keys().await?;
            } else if feed::is_of_everybody(table, &key) {
                engine.renew_eras().await?;
            }
            Ok(Finish::Stale)
        };
        self.to_its_end(whole).await.unwrap_or_else(|| Err(runtime_ended()))
    }

    /// Commits, to its end even if the caller goes away meanwhile. Before this returns the caches have
    /// heard of it, or, where nobody can tell what became of it, let go of all that depends on it.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        change_set: ChangeSet,
        next: Option<Arc<PolicyState>>,
    ) -> Result<Committed, CommitError> {
        let engine = self.clone();
        let is_erasure = Self::is_erasure(&change_set);
        let whole = async move {
            let unheard = Unheard::new(engine.clone(), &change_set);
            let losses = engine.services.policy().losses;
            let committed = match engine.services.storage.commit(&change_set).await {
                // The answer was lost, not necessarily the commit.
                Err(CommitError::Unknown) => engine.look_up(change_set.id).await.ok_or(CommitError::Unknown),
                answered => answered,
            };
            // Pages have no health.
            if !IS_PAGE {
                engine.note_commit(&committed);
            }
            let committed = match committed {
                Err(CommitError::Unknown) => {
                    drop(unheard);
                    engine.settle_in_background();
                    return Err(CommitError::Unknown);
                }
                Err(other) => {
                    unheard.settle();
                    return Err(other);
                }
                Ok(committed) => committed,
            };
            engine.hear_own(unheard.touched(), next).await;
            engine.deliveries.hear(unheard.touched());
            engine.advance(committed, losses);
            unheard.settle();
            engine.tidy_now_and_then(committed);
            if !IS_PAGE && is_erasure {
                engine.erase();
            }
            Ok(committed)
        };
        self.to_its_end(whole).await.unwrap_or(Err(CommitError::Unknown))
    }

    /// Where a commit stands whose answer was lost; none: nobody can tell now.
    async fn look_up(&self, id: ChangeSetId) -> Option<Committed> {
        for millis in LOOK_UP_AFTER_MILLIS {
            self.services.env.sleep(millis).await;
            if let Ok(Some(committed)) = self.services.storage.outcome(id).await {
                return Some(committed);
            }
        }
        None
    }

    /// See [`Env::to_its_end`](crate::environment::Env::to_its_end).
    pub(crate) fn to_its_end<T: MaybeSend + 'static>(
        &self,
        whole: impl Future<Output = T> + MaybeSend + 'static,
    ) -> impl Future<Output = Option<T>> {
        self.services.env.to_its_end(whole)
    }

    /// A request as it is kept, once a caller has it.
    pub(crate) fn kept(&self, request: RequestContext) -> RequestContext {
        let kept = request.kept(&self.services.networks);
        #[cfg(feature = "tracing")]
        if kept.origin.is_of_many && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come through a proxy that `trusted_proxies` does not name: the addresses of clients are not known, \
                 and tries to sign in are not limited by them"
            );
        }
        kept
    }

    /// Who asks, with the rights of this moment.
    pub(crate) async fn actor(self: &Arc<Self>, who: &Who) -> Result<Actor> {
        let (kind, policy) = self.actor_kind(who).await?;
        Ok(Actor { kind, request: who.request.clone(), policy })
    }

    pub(crate) fn require_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::new(Reason::Closed, "the store was closed"));
        }
        Ok(())
    }

    /// Refuses further operations and lets go of the storage once running commits are done; to its end even if the
    /// caller goes away. Whoever asks again waits for that.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        self.tell_waiting();
        self.tidied_by_time.end();
        let engine = self.clone();
        let whole = async move {
            let mut is_closed = engine.closing.lock().await;
            // What a store shares with those that join transactions it closes itself.
            if !*is_closed && engine.main.is_none() {
                engine.write_rest_of_sampled().await;
                unless_page((), || Box::pin(engine.give_leases_back())).await;
                engine.services.hasher.close();
                engine.services.storage.close().await?;
                *is_closed = true;
            }
            Ok(())
        };
        self.to_its_end(whole).await.unwrap_or_else(|| Err(runtime_ended()))
    }

    /// Lets other processes read for the consumers of this one at once. Where that fails, leases end by themselves, and nobody waits for others.
    async fn give_leases_back(self: &Arc<Self>) {
        for leased in self.services.leases.rest() {
            let actor = self.nobody();
            let mut plan = Plan::new(&self.services, &actor, self.services.now());
            if consumers::release(&leased, &mut plan).await.is_err() || self.commit_plan(plan).await.is_err() {
                return;
            }
        }
    }
}

#[boxed_async]
impl HeardCommits for Arc<Engine> {
    async fn commit_heard(&self, change_set: ChangeSet) -> Result<Committed, CommitError> {
        self.commit(change_set, None).await
    }
}
