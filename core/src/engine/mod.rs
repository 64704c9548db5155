//! Runs ANY operation, the only place that does, in five steps: authorise, validate, read, plan,
//! commit. So no operation can forget one.

mod authorise;
pub(crate) mod cache;
mod feed;
mod rights;
mod steps;

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
};

use futures_channel::oneshot;

use crate::{
    model::{
        error::{Error, Reason, Result},
        id::SessionId,
    },
    operations::{Access, Operation, actor::Actor, plan::Plan, policy::state::PolicyState, services::Services},
    rules::Directory,
    storage::{ChangeSet, CommitError, Committed, Touched},
};
use cache::Cache;
pub(crate) use rights::{Live, Loaded, Who, WhoIdentity, WhoSession, allows_at_all};
pub(crate) use steps::{Running, Steps};

/// Users whose rights are kept in memory, beside those that callers hold: some 200 bytes each.
const MAX_PRINCIPALS: usize = 100_000;

/// How often a plan is made anew when others were faster, before the caller hears of it.
const ATTEMPTS: u32 = 12;

/// The same where the policy moved. Who edits it again and again is ahead of everybody who has to hear
/// of that first, so that few attempts would be no chance.
const POLICY_ATTEMPTS: u32 = 200;

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
    pub(crate) directory: Directory,
    /// Sessions, as read last.
    pub(crate) sessions: Cache<SessionId, Live>,
    /// Held while a policy of others is read and compiled: once is enough for all who hear of it.
    renewing: async_lock::Mutex<()>,
    /// The newest commit whose changes are in the caches.
    position: AtomicU64,
    /// The newest commit of our own.
    committed: AtomicU64,
    /// When `position` was found out, microseconds since 1970.
    confirmed_at: AtomicI64,
    is_closed: AtomicBool,
}

impl Engine {
    pub(crate) fn new(services: Services) -> Self {
        let directory = Directory::new(services.rules(), MAX_PRINCIPALS);
        Self {
            services,
            directory,
            sessions: Cache::default(),
            renewing: async_lock::Mutex::new(()),
            position: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            confirmed_at: AtomicI64::new(i64::MIN),
            is_closed: AtomicBool::new(false),
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
        // Boxed, so that the future of each operation is small.
        let result = Box::pin(self.take_steps(who, steps)).await;
        result.map_err(|error| error.at(self.services.now()))
    }

    async fn take_steps(self: &Arc<Self>, who: &Who, steps: &mut dyn Steps) -> Result<()> {
        self.require_open()?;
        let listed = steps.listed();
        let (mut attempts, mut policies) = (0, 0);
        while attempts < ATTEMPTS && policies < POLICY_ATTEMPTS {
            self.follow().await?;
            let actor = self.actor(who).await?;
            let now = self.services.now();
            let mut plan = Plan::new(&self.services, &actor, now);

            authorise::somewhere(&plan, listed.access, listed.may_be_own)?;
            let asked = steps.load(&plan).await?;
            if let Some(asked) = asked.filter(|_| !actor.is_system()) {
                authorise::target(&plan, asked.permission, &asked.subject, asked.read).await?;
            }
            steps.validate(&self.services, now).await?;
            let planned = steps.plan(&mut plan).await;
            let outcome = match (planned, plan.refusal()) {
                (Err(_), Some(refusal)) => Err(refusal.clone()),
                (Err(error), None) => return Err(error),
                (Ok(()), _) => Ok(()),
            };
            match self.finish(plan, listed.access, listed.name).await? {
                Finish::Done => return outcome,
                Finish::Stale => attempts += 1,
                Finish::PolicyMoved => policies += 1,
            }
            self.services.env.sleep(u64::from(attempts)).await;
        }
        Err(Error::new(Reason::Contention, "others changed the same rows again and again; try once more"))
    }

    /// Asks the rules about the rows as they will be, and commits.
    async fn finish(self: &Arc<Self>, mut plan: Plan<'_>, access: Access, operation: &'static str) -> Result<Finish> {
        authorise::changes(&mut plan, access).await?;
        if plan.is_empty() {
            return Ok(Finish::Done);
        }
        let next = plan.next_policy();
        let committed = match plan.into_change_set(operation) {
            Ok(change_set) => self.commit(change_set, next).await,
            Err(error) => Err(error),
        };
        match committed {
            Ok(_) => Ok(Finish::Done),
            Err(CommitError::Failed(error)) => Err(error),
            Err(CommitError::Unknown) => {
                let message = "the storage gave no answer; the change may have been made";
                Err(Error::new(Reason::OutcomeUnknown, message))
            }
            Err(CommitError::Stale { table, key }) if feed::is_policy(table.name, &key) => {
                self.renew_policy().await?;
                Ok(Finish::PolicyMoved)
            }
            Err(CommitError::Stale { .. }) => Ok(Finish::Stale),
        }
    }

    /// Commits, to its end even if the caller goes away meanwhile; then the caches hear of it.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        change_set: ChangeSet,
        next: Option<Arc<PolicyState>>,
    ) -> Result<Committed, CommitError> {
        let engine = self.clone();
        let mut whole = Box::pin(async move {
            let storage = &engine.services.storage;
            let committed = match storage.commit(&change_set).await {
                // The answer was lost, not necessarily the commit.
                Err(CommitError::Unknown) => storage.outcome(change_set.id).await?.ok_or(CommitError::Unknown),
                other => other,
            }?;
            if let Some(next) = next {
                engine.go_on_with(next).await;
            }
            let touched = change_set.writes.iter().map(|write| Touched::new(write.table, &write.key));
            // Only a policy of others could fail to be read, and the next operation reads it again.
            let _ = engine.hear(touched.collect::<Vec<_>>().iter()).await;
            engine.advance(committed.position);
            Ok(committed)
        });
        // In memory it is done at once, and no task is needed.
        let first = poll_fn(|context| Poll::Ready(whole.as_mut().poll(context))).await;
        if let Poll::Ready(result) = first {
            return result;
        }
        let (sender, receiver) = oneshot::channel();
        self.services.env.spawn(Box::pin(async move {
            // Nobody may be waiting any more.
            let _ = sender.send(whole.await);
        }));
        let ended = || Error::new(Reason::Closed, "the runtime ended during a commit");
        receiver.await.unwrap_or_else(|_| Err(ended().into()))
    }

    /// Who asks, with the rights of this moment.
    pub(crate) async fn actor(self: &Arc<Self>, who: &Who) -> Result<Actor> {
        let (identity, policy) = self.identity(who).await?;
        Ok(Actor { identity, request: who.request.clone(), policy })
    }

    pub(crate) fn require_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::new(Reason::Closed, "the store was closed"));
        }
        Ok(())
    }

    /// Refuses further operations and lets go of the storage once running commits are done.
    pub(crate) async fn close(&self) -> Result<()> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.services.storage.close().await
    }
}
