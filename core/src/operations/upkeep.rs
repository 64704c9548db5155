//! What a store does for itself now and then: it lets go of what nobody asks for any more.

use super::services::Services;
use crate::{
    model::{
        error::Result,
        id::ChangeSetId,
        predicate::{Comparison, Predicate},
        record::Record,
        registry::DoneRequest,
        session::{Session, SessionActivity},
        time::Time,
        value::Value,
    },
    storage::{ChangeSet, CommitError, Direction, Order, PRUNE_BATCH, Query, Retention, Storage, Window, Write},
};

/// So many rows of a table go in one commit.
const BATCH: usize = 500;

/// For so long it is known which requests with an idempotency key were done.
pub(crate) const KEEP_REQUESTS_SECONDS: i64 = 24 * 3600;

/// So much is done at a time: a store that was never tidied is done in several.
const ROUNDS: usize = 20;

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Lines of the change feed.
    pub lines: usize,
    /// Sessions, with what moved while they lasted.
    pub sessions: usize,
    /// Requests with an idempotency key.
    pub requests: usize,
    /// There is more to do: run it again soon.
    pub has_more: bool,
}

/// Lets go of old lines of the change feed and of sessions that ended long ago ([`Config`](crate::Config) says how
/// long each is kept). To be run now and then; several instances may do so at the same time.
///
/// # Errors
/// Those of the storage; what went before stays gone.
pub async fn run(services: &Services, now: Time) -> Result<Tidied> {
    let mut tidied = Tidied::default();
    let ended_before = now.plus_seconds(-services.config.keep_sessions_seconds);
    let retention = Retention { feed_before: now.plus_seconds(-services.config.keep_feed_seconds) };
    let done_before = now.plus_seconds(-KEEP_REQUESTS_SECONDS);
    let (mut has_sessions, mut has_lines, mut has_requests) = (true, true, true);
    // Sessions that end by themselves are looked for after those that were ended, so a short batch is not the last.
    for _ in 0..ROUNDS {
        if has_sessions {
            let gone = forget_sessions(services, ended_before, now).await?;
            tidied.sessions += gone;
            has_sessions = gone > 0;
        }
        if has_requests {
            let gone = forget_requests(services, done_before, now).await?;
            tidied.requests += gone;
            has_requests = gone > 0;
        }
        if has_lines {
            let gone = services.storage.prune(&retention).await?.lines;
            tidied.lines += gone;
            has_lines = gone == PRUNE_BATCH;
        }
        if !has_sessions && !has_lines && !has_requests {
            return Ok(tidied);
        }
    }
    Ok(Tidied { has_more: true, ..tidied })
}

/// Deletes a batch of the sessions that ended or ran out before this moment; how many.
async fn forget_sessions(services: &Services, before: Time, now: Time) -> Result<usize> {
    let storage = &*services.storage;
    let mut sessions: Vec<Session> = oldest(storage, "ended_at", before).await?;
    if sessions.is_empty() {
        sessions = oldest(storage, "expires_at", before).await?;
    }
    if sessions.is_empty() {
        return Ok(0);
    }
    let activities = services.reads().many::<SessionActivity>(sessions.iter().map(|session| (session.id,))).await?;
    let writes = sessions.iter().map(Write::delete).chain(activities.iter().map(Write::delete)).collect();
    forget(services, writes, now).await.map(|is_gone| if is_gone { sessions.len() } else { 0 })
}

/// Deletes a batch of what is known of requests that were done before this moment; how many.
async fn forget_requests(services: &Services, before: Time, now: Time) -> Result<usize> {
    let done: Vec<DoneRequest> = oldest(&*services.storage, "at", before).await?;
    if done.is_empty() {
        return Ok(0);
    }
    let writes = done.iter().map(Write::delete).collect();
    forget(services, writes, now).await.map(|is_gone| if is_gone { done.len() } else { 0 })
}

/// Deletes rows; whether they are known to be gone.
async fn forget(services: &Services, writes: Vec<Write>, now: Time) -> Result<bool> {
    let id: ChangeSetId = services.env.new_id()?;
    match services.storage.commit(&ChangeSet { id, at: now, checks: Vec::new(), writes, audit: Vec::new() }).await {
        Ok(_) => Ok(true),
        // Another instance was first, or is not known to have been; the next run sees what is left.
        Err(CommitError::Stale { .. } | CommitError::Unknown) => Ok(false),
        Err(CommitError::Failed(error)) => Err(error),
    }
}

/// Those whose column lies before a moment, the oldest first, by its index.
async fn oldest<R: Record>(storage: &dyn Storage, column: &'static str, before: Time) -> Result<Vec<R>> {
    let filter = Predicate::Compare(column.into(), Comparison::Less, Value::Time(before.as_microsecond()));
    let query = Query {
        order: vec![Order { column: column.into(), direction: Direction::Ascending }],
        window: Window { limit: Some(BATCH as u64), ..Window::default() },
        ..Query::of(R::TABLE, filter)
    };
    let rows = storage.query(&query).await?.rows;
    Ok(rows.into_iter().map(R::from_row).collect::<Result<_, _>>()?)
}
