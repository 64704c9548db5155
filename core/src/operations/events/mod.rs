//! What happened in a store, as events: read from the change feed, behind any position of it (decision 057).
//!
//! | file | holds |
//! |---|---|
//! | `cursor` | where a reader is |
//! | `feed` | the commits behind a position, in an order in which each row's versions follow one another |
//! | `readers` | which of them the caller may hear of |
//! | `shared` | parts of the feed that many read at once |

mod cursor;
mod feed;
mod order;
mod readers;
mod shared;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::{Map, Value as Json};

pub use crate::model::event::EventType;
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Reason, Result},
        event::StoredEvent,
        noun::Events,
        time::Time,
    },
    operations::{Access, Operation, actor::ActorKind, plan::Plan, services::Services},
    storage::{self, Gap, Line},
};
#[doc(hidden)]
pub use cursor::Cursor;
use feed::Feed;
pub(super) use feed::{FIRST, earliest};
use readers::Hearing;
pub(crate) use shared::SharedParts;

/// So many events are read at a time, unless one commit has more.
const MOST: u32 = 1_000;

/// Something that happened, after it was committed. It has ids, states and times; read the object that it is about for anything else.
#[derive(Clone, Debug, PartialEq, Serialize, Describe)]
#[non_exhaustive]
pub struct Event {
    /// Its id, the same however often it is read: the change's, a point, and a number.
    pub id: String,
    /// What happened.
    pub event_type: EventType,
    /// When the change was planned, by the clock of the instance that did it.
    pub at: Time,
    /// The position after it, for `from` and for `consumers.acknowledge`.
    pub position: String,
    /// What it happened to.
    pub aggregate: Aggregate,
    /// The operation that did it: `users.update`.
    pub cause: String,
    /// Who asked for it: a user's id, or `system`. Only for the application itself.
    pub actor: Option<String>,
    /// The fields that were changed, without their values.
    pub changed: Vec<String>,
    /// Ids, states and times of what it happened to, and what the type says beside them.
    pub data: Json,
}

/// What an event happened to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct Aggregate {
    /// `user`, `drone`, `role_assignment`.
    pub kind: String,
    /// Its id; a row that links two objects has both ids, with `/` between them.
    pub id: String,
    /// Its version after the change. For a row that links two objects it begins again when the row is created again.
    pub version: i64,
}

/// Events after a position.
#[derive(Clone, Debug, PartialEq, Serialize, Describe)]
#[non_exhaustive]
pub struct EventBatch {
    /// The events that the caller may get. Those of one object are in order.
    pub events: Vec<Event>,
    /// The position after all of them, and after those that the caller may not get: where to continue.
    pub position: String,
    /// Whether there may already be more.
    pub has_more: bool,
}

/// Reads the events after a position of the change feed, without waiting for new ones. To get events as they happen, use `subscribe`.
///
/// The application itself and administrators get all events. Users get those about objects that they may read now, about their own
/// sessions and credentials, and about deleted objects if they may read all of that kind. No permission is needed. The operator of an
/// asset is in `data` only if the caller may read that user.
///
/// Errors: `UNAUTHORIZED` for a caller who is not signed in; `CONFLICT`, reason `position_gone`, if the feed no longer reaches back to
/// the position, and reason `position_foreign` for a position of another store, or of this one before it was restored or went back to an
/// earlier state. In both cases read your data again, and continue from `now`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ReadEvents {
    /// A position of events, `now` or `earliest`; `now` if not given, which returns only the position.
    pub from: Option<String>,
    /// How many events at most, 1 to 1,000; 100 if not given. All events of one commit are returned together, even if that exceeds it.
    pub limit: Option<u32>,
}

/// Where to begin.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum Start {
    /// At what happens from now on.
    Now,
    /// At the oldest that is there.
    Earliest,
    /// Behind this.
    Behind(Cursor),
}

#[doc(hidden)]
pub struct ValidRead {
    from: Start,
    limit: usize,
}

#[boxed_async]
impl Operation for ReadEvents {
    type Target = ();
    type Valid = ValidRead;

    const ACCESS: Access = Access::Public;
    const IS_DEFERRED: bool = true;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ValidRead> {
        let mut checks = Checks::default();
        let limit = self.limit.unwrap_or(100);
        if !(1..=MOST).contains(&limit) {
            checks.error("limit", Invalid::new(FieldCode::OutOfRange, format!("must be 1 to {MOST}")));
        }
        checks.finish()?;
        Ok(ValidRead { from: start(self.from.as_deref())?, limit: limit as usize })
    }

    async fn plan(valid: &ValidRead, (): (), plan: &mut Plan<'_>) -> Result<EventBatch> {
        if matches!(plan.actor.kind, ActorKind::Anonymous(_)) {
            return Err(Error::not_signed_in());
        }
        let storage = &*plan.services.storage;
        let (since, is_earliest) = match &valid.from {
            Start::Now => {
                let position = storage.position().await?.to_string();
                return Ok(EventBatch { events: Vec::new(), position, has_more: false });
            }
            Start::Earliest => (earliest(storage).await?, true),
            Start::Behind(cursor) => (cursor.clone(), false),
        };
        let mut hearing = Hearing::of(plan)?;
        let mut feed = Feed::behind(since, valid.limit, hearing.is_all());
        while let commits @ 1.. = feed.next_slice(plan.services, is_earliest).await? {
            hearing.ask_about(plan, feed.slice(commits)).await?;
            feed.take(commits, |event| hearing.hears(plan, event), |event| hearing.told(plan, event))?;
        }
        let mut batch = feed.into_batch();
        if !plan.actor.is_system() {
            batch.events.iter_mut().for_each(|event| event.actor = None);
        }
        Ok(batch)
    }
}

/// Where an input says to begin.
pub(super) fn start(from: Option<&str>) -> Result<Start> {
    match from {
        None | Some("now") => Ok(Start::Now),
        Some("earliest") => Ok(Start::Earliest),
        Some(text) => text.parse().map(Start::Behind).map_err(|error: Error| {
            let message = format!("{}; or `now`, or `earliest`", error.message());
            wrong("from", FieldCode::InvalidFormat, message)
        }),
    }
}

/// The error of a position behind which not all is there.
fn missed(gap: Gap) -> Error {
    match gap {
        Gap::Pruned => Error::new(
            Reason::PositionGone,
            "the change feed no longer reaches back to this position: read anew what you keep, and go on from `now`",
        ),
        Gap::Rewound => Error::new(
            Reason::PositionForeign,
            "this store never was at this position, or went back to before it: read anew what you keep, and go on from `now`",
        ),
    }
}

impl Event {
    /// One of a commit; none, if only a newer version of this library knows what it is.
    fn of(line: &Line, number: usize, stored: StoredEvent, position: &Cursor) -> Option<Self> {
        let Events::Published(told) = &storage::table(&stored.table)?.noun.events else { return None };
        let aggregate = Aggregate { kind: told.kind.to_owned(), id: stored.key.named(), version: stored.version };
        Some(Self {
            id: format!("{}.{number}", line.id),
            event_type: stored.event_type.parse().ok()?,
            at: line.at,
            position: position.to_string(),
            aggregate,
            cause: stored.cause,
            actor: Some(stored.actor),
            changed: stored.changed,
            data: Json::Object(stored.data),
        })
    }

    /// What it says beside its type and what it happened to.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.data.as_object().and_then(|data: &Map<String, Json>| data.get(name))
    }
}
