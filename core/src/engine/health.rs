//! How well a store works: what it depends on, one by one, for whoever restarts it or sends it requests. Nothing in it names
//! anybody, or says where the storage is.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures_util::future;
use rolekeep_macros::{Describe, Word};
use serde::Serialize;

use super::Engine;
use crate::{
    model::{
        error::{Code, Reason},
        time::Time,
    },
    operations::notices,
    rules::Rights,
    storage::{CommitError, Committed, PoolUse},
};

/// How long the storage may take to answer.
const DEADLINE_MILLIS: u64 = 1_000;
/// A storage that takes longer is slow.
const SLOW_MILLIS: i64 = 500;
/// For so long its answer is kept.
const KEPT: Duration = Duration::from_secs(1);
/// So many notices are counted.
const MAX_NOTICES: u64 = 1_000;
/// A notice that should have been sent so long ago waits for somebody who does not come.
const OVERDUE_SECONDS: i64 = 60;
/// After so many commits in a row that the storage did not permit this instance is left out: others may have another account.
const MOST_DENIED: u32 = 3;
/// For so long; nobody sends it any meanwhile that could succeed.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word, Describe)]
#[non_exhaustive]
pub enum HealthStatus {
    /// As it should.
    Healthy,
    /// With delays, or not completely; requests are still served.
    Degraded,
    /// Not at all.
    Unhealthy,
}

/// How well a store works, as far as this instance knows. Made by [`UserManagement::health`](crate::UserManagement::health). It has no
/// secrets and no names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Health {
    /// The worst status of any part.
    pub status: HealthStatus,
    /// Whether requests should be sent here: the store is open, its storage responds and permits commits, and rights in memory are not too
    /// old.
    pub is_ready: bool,
    /// When it was determined.
    pub at: Time,
    /// The storage.
    pub storage: StorageHealth,
    /// The change feed: what others wrote to the same storage.
    pub feed: FeedHealth,
    /// Hashing of passwords.
    pub hashing: HashingHealth,
    /// Notices, and the notifier that sends them.
    pub notices: NoticesHealth,
    /// The caches in memory.
    pub caches: Vec<CacheHealth>,
    /// The version of the policy that this instance decides by: how often it was changed.
    pub policy_version: i64,
}

/// The storage's part in a [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct StorageHealth {
    /// `unhealthy` if it did not respond within a second, `degraded` if that took half a second, or if it failed to make this instance's last
    /// commit, and none has succeeded since.
    pub status: HealthStatus,
    /// Why it is unhealthy, or why that commit failed; `closed` if this store was closed.
    pub reason: Option<Reason>,
    /// How long it took to respond, in milliseconds; none: it did not.
    pub millis: Option<i64>,
    /// The version of its schema; none if it has none, as in memory.
    pub schema_version: Option<i64>,
    /// How many of its calls took longer than the setting `slow_statement_millis` since the store was opened.
    pub slow_calls: i64,
    /// Its connections, if it is a database.
    pub pools: Vec<PoolUse>,
}

/// The change feed's part in a [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct FeedHealth {
    /// `unhealthy` while checks are refused because rights in memory may be out of date.
    pub status: HealthStatus,
    /// Why it is unhealthy.
    pub reason: Option<Reason>,
    /// Whether others may write to the same storage.
    pub is_shared: bool,
    /// How long ago this instance last knew that it had seen all of their commits, in milliseconds. None if nobody else writes.
    pub age_millis: Option<i64>,
    /// Whether the storage notifies at once of others' commits: PostgreSQL does, while its listening connection is alive. If it does not,
    /// each operation asks for their commits.
    pub is_told: bool,
}

/// The part of password hashing in a [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct HashingHealth {
    /// `degraded` while the queue is more than half full.
    pub status: HealthStatus,
    /// How many passwords are being hashed or waiting for it.
    pub waiting: i64,
    /// The limit of that; further ones fail with `RATE_LIMIT_EXCEEDED`.
    pub most: i64,
}

/// The part of notices in a [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct NoticesHealth {
    /// `degraded` while the notifier fails, or if a notice is overdue by a minute.
    pub status: HealthStatus,
    /// Whether there is a notifier.
    pub is_offered: bool,
    /// How many notices wait to be sent, counted up to 1,000. None if there is no notifier, or the storage did not respond.
    pub waiting: Option<i64>,
    /// For how many seconds the first of them has been due; 0 if none is.
    pub overdue_seconds: i64,
    /// How often in a row this instance's notifier failed, or asked to be called again later.
    pub failed_in_a_row: i64,
}

/// What a [`CacheHealth`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum CacheKind {
    /// Rights of users.
    Users,
    /// Sessions.
    Sessions,
    /// API keys.
    ApiKeys,
    /// Identities at other issuers.
    Standings,
    /// Sessions in which somebody acts as another user.
    Targets,
}

/// One cache's part in a [`Health`]. Synchronous checks are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct CacheHealth {
    /// What it holds.
    pub kind: CacheKind,
    /// How many entries it has.
    pub count: i64,
    /// How often a lookup found its entry, since the store was opened.
    pub hits: i64,
    /// How often the entry had to be read from the storage.
    pub misses: i64,
}

/// What the storage said, and when.
pub(super) struct Probe {
    at: Duration,
    answer: Result<i64, Reason>,
    notices: Option<(i64, i64)>,
}

/// The commits of this instance that the storage failed to make since it last made one.
#[derive(Default)]
pub(super) struct FailedCommits(Mutex<Option<FailedCommit>>);

/// The last of them.
#[derive(Clone, Copy)]
struct FailedCommit {
    reason: Reason,
    at: Duration,
    in_a_row: u32,
}

impl FailedCommits {
    fn last(&self) -> Option<FailedCommit> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reason: Option<Reason>, at: Duration) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.filter(|last| reason == Some(last.reason)).map_or(0, |last| last.in_a_row);
        *last = reason.map(|reason| FailedCommit { reason, at, in_a_row: before.saturating_add(1) });
    }
}

/// Whether a commit failed by the storage, and not by what it was to write.
fn is_of_storage(reason: Reason) -> bool {
    match reason.code() {
        Code::Unavailable => true,
        Code::Internal => reason == Reason::Corrupt,
        Code::Validation
        | Code::Unauthorized
        | Code::Forbidden
        | Code::NotFound
        | Code::Duplicate
        | Code::Conflict
        | Code::RateLimited => false,
    }
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

impl Engine {
    /// How well the store works. One at a time asks the storage, and its answer is everybody's for a second.
    pub(crate) async fn health(self: &Arc<Self>) -> Health {
        // While it is quiet, others' commits are looked for less often than rights in memory may be old: there are none.
        let look = async {
            if self.is_quiet() {
                self.services.env.within(DEADLINE_MILLIS, self.look()).await;
            }
        };
        let probe = async {
            match self.require_open() {
                // Others wait for it, whether or not this caller goes on.
                Ok(()) => {
                    let engine = self.clone();
                    let probed = self.services.env.driven(async move { engine.probe().await }).await;
                    probed.unwrap_or_else(|error| (Err(error.reason()), None))
                }
                Err(error) => (Err(error.reason()), None),
            }
        };
        // Both at once, so that a storage that does not answer is waited for once.
        let ((), (storage, notices)) = future::join(look, probe).await;
        let is_permitted = storage.is_ok() && !self.is_left_out();
        let storage = self.storage_health(storage);
        let (feed, hashing, notices) = (self.feed_health(), self.hashing_health(), self.notices_health(notices));
        let statuses = [storage.status, feed.status, hashing.status, notices.status];
        #[cfg(feature = "metrics")]
        crate::metrics::health(
            [
                ("storage", storage.reason.is_none()),
                ("feed", feed.reason.is_none()),
                ("hashing", hashing.status == HealthStatus::Healthy),
                ("notices", notices.status == HealthStatus::Healthy),
            ],
            notices.waiting,
        );
        let is_ready = is_permitted && feed.reason.is_none();
        Health {
            status: statuses.into_iter().max().unwrap_or(HealthStatus::Unhealthy),
            is_ready,
            at: self.services.now(),
            storage,
            feed,
            hashing,
            notices,
            caches: self.caches(),
            policy_version: self.services.policy().version,
        }
    }

    /// What the storage says, in milliseconds or by its error; how many notices wait, and for how many seconds the first is due.
    async fn probe(&self) -> (Result<i64, Reason>, Option<(i64, i64)>) {
        let mut probe = self.probe.lock().await;
        let env = &self.services.env;
        let known = probe.as_ref().filter(|probe| env.elapsed().saturating_sub(probe.at) < KEPT);
        if let Some(Probe { answer, notices, .. }) = known {
            return (*answer, *notices);
        }
        let began = env.elapsed();
        let answer = match env.within(DEADLINE_MILLIS, self.services.storage.position()).await {
            Some(Ok(_)) => Ok(number(env.elapsed().saturating_sub(began).as_millis())),
            Some(Err(error)) => Err(error.reason()),
            None => Err(Reason::StorageUnavailable),
        };
        let notices = match answer {
            Ok(millis) if self.services.has_notifier() => {
                let left = DEADLINE_MILLIS.saturating_sub(millis.unsigned_abs());
                let waiting = notices::waiting(self.services.reads(), MAX_NOTICES);
                env.within(left, waiting).await.and_then(Result::ok)
            }
            _ => None,
        };
        let notices = notices.map(|(waiting, due)| {
            let micros = due.map_or(0, |due| self.services.now().as_microsecond().saturating_sub(due.as_microsecond()));
            (number(waiting), micros.max(0) / 1_000_000)
        });
        *probe = Some(Probe { at: env.elapsed(), answer, notices });
        (answer, notices)
    }

    /// What has become of a commit of this instance.
    pub(super) fn note_commit(&self, committed: &Result<Committed, CommitError>) {
        let reason = match committed {
            Ok(_) => None,
            Err(CommitError::Unknown) => Some(Reason::OutcomeUnknown),
            Err(CommitError::Failed(error)) if is_of_storage(error.reason()) => Some(error.reason()),
            // Nothing would have been written either way.
            Err(CommitError::Failed(_) | CommitError::Stale { .. }) => return,
        };
        self.failed_commits.note(reason, self.services.env.elapsed());
    }

    /// Whether commits may succeed elsewhere that fail here.
    fn is_left_out(&self) -> bool {
        self.failed_commits.last().is_some_and(|last| {
            last.reason == Reason::StorageDenied
                && last.in_a_row >= MOST_DENIED
                && self.services.env.elapsed().saturating_sub(last.at) < LEFT_OUT
        })
    }

    fn storage_health(&self, answer: Result<i64, Reason>) -> StorageHealth {
        let condition = self.services.storage.condition();
        let failed = self.failed_commits.last().map(|last| last.reason);
        let status = match answer {
            Err(_) => HealthStatus::Unhealthy,
            Ok(millis) if millis >= SLOW_MILLIS || failed.is_some() => HealthStatus::Degraded,
            Ok(_) => HealthStatus::Healthy,
        };
        StorageHealth {
            status,
            reason: answer.err().or(failed),
            millis: answer.ok(),
            schema_version: condition.schema_version,
            slow_calls: number(self.services.slow_calls.load(Ordering::Relaxed)),
            pools: condition.pools,
        }
    }

    fn feed_health(&self) -> FeedHealth {
        let clock = self.services.env.clock();
        let is_shared = self.services.storage.is_shared();
        let reason = self.require_fresh(&clock).err().map(|error| error.reason());
        FeedHealth {
            status: if reason.is_some() { HealthStatus::Unhealthy } else { HealthStatus::Healthy },
            reason,
            is_shared,
            age_millis: if is_shared { self.confirmed.age_millis(&clock) } else { None },
            is_told: self.services.storage.hears(),
        }
    }

    fn hashing_health(&self) -> HashingHealth {
        let (taken, places) = self.services.hasher.depth();
        let is_crowded = taken > places / 2 && taken > self.services.config.hashing_parallel as usize;
        HashingHealth {
            status: if is_crowded { HealthStatus::Degraded } else { HealthStatus::Healthy },
            waiting: number(taken),
            most: number(places),
        }
    }

    fn notices_health(&self, probe: Option<(i64, i64)>) -> NoticesHealth {
        let (waiting, overdue_seconds) = probe.unzip();
        let overdue_seconds = overdue_seconds.unwrap_or_default();
        let failed_in_a_row = number(self.deliveries.notifier.failed_in_a_row());
        let fails = failed_in_a_row > 0 || overdue_seconds >= OVERDUE_SECONDS;
        NoticesHealth {
            status: if fails { HealthStatus::Degraded } else { HealthStatus::Healthy },
            is_offered: self.services.has_notifier(),
            waiting,
            overdue_seconds,
            failed_in_a_row,
        }
    }

    fn caches(&self) -> Vec<CacheHealth> {
        let of = |kind, (count, (hits, misses)): (usize, (u64, u64))| CacheHealth {
            kind,
            count: number(count),
            hits: number(hits),
            misses: number(misses),
        };
        vec![
            of(CacheKind::Users, (self.principals.with_rights(Rights::count), self.looks.so_far())),
            of(CacheKind::Sessions, self.sessions.looks()),
            of(CacheKind::ApiKeys, self.keys.looks()),
            of(CacheKind::Standings, self.standings.looks()),
            of(CacheKind::Targets, self.targets.looks()),
        ]
    }
}
