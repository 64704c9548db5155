//! Reading and verifying the audit log (AUD-1, AUD-2).
//!
//! | file | holds |
//! |---|---|
//! | `export` | the log for somebody else to verify |
//! | `keys` | what seals the log of a store |
//! | `restored` | the entry of a store that came from a backup |
//! | `verify` | whether it is what was written, and the heads that show it later |

mod export;
mod keys;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod restored;
mod verify;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;
use serde_json::Value as Json;

use super::{Access, Operation, Visible, erasures, listing, plan::Plan, services::Services};
use crate::{
    audit_chain::{AuditEntry, AuditHead},
    model::{
        check::Checks,
        deferred::unless_page,
        error::Result,
        id::{AuditId, ChangeSetId, SessionId, UserId},
        page::{Page, PageRequest},
        predicate::{Comparison, Predicate},
        record::{Record, Row},
        time::Time,
        value::Value,
    },
    storage::{Direction, Order, Query, Window},
};

pub(crate) use keys::{draft, open};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(crate) use restored::tell_of_restore;
pub use {
    crate::audit_chain::{AuditKeeper, ChainFault, ChainFaultKind},
    export::{AuditLine, ExportAudit},
    verify::{AuditHeads, AuditReport, GetAuditHeads, VerifyAudit},
};

/// What the log calls a refused operation.
pub(crate) const DENIED: &str = "access.denied";

impl Visible for AuditEntry {
    const READ: &'static str = "audit:read";
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "AuditEntry")]
#[non_exhaustive]
pub struct AuditView {
    /// The entry's id.
    pub id: AuditId,
    /// The chain it belongs to.
    pub lane: i64,
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// When it happened.
    pub at: Time,
    /// What was done: an operation's name, or an event such as `sessions.login_failed`.
    pub action: String,
    /// Who did it: a user's id, `system`, `anonymous`.
    pub actor: String,
    /// The user as whom the actor acted (`sessions.impersonate`).
    pub on_behalf_of: Option<UserId>,
    /// The actor's session; null if there was none.
    pub session_id: Option<SessionId>,
    /// The type of the target: `user`, `drone`, …
    pub target_type: Option<String>,
    /// The target's id.
    pub target_id: Option<String>,
    /// The changed fields before the change; for a deletion, all that had a value.
    pub before: Option<Json>,
    /// The changed fields after the change; for a creation, all that have a value.
    pub after: Option<Json>,
    /// Why it failed, or other details.
    pub detail: Option<String>,
    /// The IP address of the request.
    pub ip: Option<String>,
    /// The user agent of the request.
    pub user_agent: Option<String>,
    /// The id of the request in the application's own log.
    pub request_id: Option<String>,
    /// Whether part of it was erased together with a person's data (`users.erase`).
    pub is_erased: bool,
    /// The entry's hash; the next entry contains it.
    pub hash: String,
}

/// Lists audit entries, newest first.
///
/// Permission `audit:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListAudit {
    /// Only entries of this actor: a user's id, `system`, `anonymous`.
    pub actor: Option<String>,
    /// Only entries about the target with this id.
    pub target_id: Option<String>,
    /// Only entries of this action.
    pub action: Option<String>,
    /// Only entries from this time on.
    pub from: Option<Time>,
    /// Only entries before this time.
    pub until: Option<Time>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// The outcome of a change whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangeOutcome {
    /// Whether it took place. If not, it may still be on its way to the storage: ask again after a while.
    pub took_place: bool,
    /// A position that includes its commit, for `at_least`.
    pub position: Option<String>,
}

/// Gets the outcome of a change that failed with `UNAVAILABLE`, reason `outcome_unknown`, by the error's `change_id`.
///
/// Anybody who knows the id may call it: the id cannot be guessed. Errors: `UNAVAILABLE`, reason `outcome_unknown`, for a change so old
/// that the change feed no longer has it.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetOutcome {
    /// The change's id, as the error names it.
    pub change_id: ChangeSetId,
}

#[boxed_async]
impl Operation for GetOutcome {
    type Target = ();
    type Valid = ChangeSetId;

    const ACCESS: Access = Access::Public;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<ChangeSetId> {
        Ok(self.change_id)
    }

    async fn plan(change: &ChangeSetId, (): (), plan: &mut Plan<'_>) -> Result<ChangeOutcome> {
        let committed = plan.services.storage.outcome(*change).await?;
        let position = committed.map(|committed| committed.place.position().to_string());
        Ok(ChangeOutcome { took_place: position.is_some(), position })
    }
}

#[boxed_async]
impl Operation for ListAudit {
    type Target = ();
    type Valid = (PageRequest, Predicate);

    const ACCESS: Access = Access::Permission("audit:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<(PageRequest, Predicate)> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        let text = |column: &'static str, text: Option<String>| {
            text.map_or(Predicate::Always, |text| Predicate::equals(column, text))
        };
        let time = |comparison, time: Option<Time>| {
            time.map_or(Predicate::Always, |time| {
                Predicate::Compare("at".into(), comparison, Value::Time(time.as_microsecond()))
            })
        };
        let filter = Predicate::all([
            text("actor", self.actor),
            text("target_id", self.target_id),
            text("action", self.action),
            time(Comparison::GreaterOrEqual, self.from),
            time(Comparison::Less, self.until),
        ]);
        Ok((page, filter))
    }

    async fn plan((page, filter): &(PageRequest, Predicate), (): (), plan: &mut Plan<'_>) -> Result<Page<AuditView>> {
        let newest = |column: &'static str| Order { column: column.into(), direction: Direction::Descending };
        // Those of different lanes follow by their times.
        let order = vec![newest("at"), newest("lane"), newest("seq")];
        let mut rows: Page<AuditEntry> = listing::page(plan, page, "audit:read", filter.clone(), order).await?;
        let views = shown(plan, std::mem::take(&mut rows.items)).await?;
        Ok(rows.with_items(views))
    }
}

/// Entries as they are shown. What stands behind the end of its chain was not written by this library, and is not; neither is what is
/// being erased.
pub(super) async fn shown(plan: &Plan<'_>, mut entries: Vec<AuditEntry>) -> Result<Vec<AuditView>> {
    // In a page nobody is erased.
    if let Some(left) = unless_page(Ok(None), || Box::pin(erasures::hidden(plan, &entries))).await? {
        entries = left;
    }
    let heads: Vec<AuditHead> = plan.reads().all(Predicate::Always).await?;
    let is_written = |entry: &AuditEntry| heads.iter().any(|head| head.lane == entry.lane && head.seq >= entry.seq);
    Ok(entries.into_iter().filter(is_written).map(AuditView::from).collect())
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let is_erased = entry.payload.is_none() || entry.origin.is_none() && entry.origin_commitment.is_some();
        let [mut facts, mut payload, mut origin] =
            [entry.facts, entry.payload, entry.origin].map(|part| part.map_or(Json::Null, |part| part.0));
        // The first format had all in the payload.
        let on_behalf_of = taken(&mut payload, "on_behalf_of").and_then(|user| user.as_str()?.parse().ok());
        let mut text = |name: &str| match taken(&mut origin, name).or_else(|| taken(&mut payload, name)) {
            Some(Json::String(text)) => Some(text),
            _ => None,
        };
        let (ip, user_agent, detail) = (text("ip"), text("user_agent"), text("detail"));
        let request_id = text("request_id");
        let mut fields = |name: &str| together(taken(&mut facts, name), taken(&mut payload, name));
        Self {
            id: entry.id,
            lane: entry.lane,
            seq: entry.seq,
            at: entry.at,
            action: entry.action,
            actor: entry.actor,
            on_behalf_of: entry.on_behalf_of.or(on_behalf_of),
            session_id: entry.session_id,
            target_type: entry.target_type,
            target_id: entry.target_id,
            before: fields("before"),
            after: fields("after"),
            detail,
            ip,
            user_agent,
            request_id,
            is_erased,
            hash: entry.hash,
        }
    }
}

/// Entries as they are stored, in the order of their places.
pub(super) async fn entries(
    services: &Services,
    filter: Predicate,
    after: Option<Vec<Value>>,
    limit: u64,
) -> Result<Vec<Row>> {
    let window = Window { after, skip: 0, limit: Some(limit) };
    let query = Query { window, ..Query::of(AuditEntry::TABLE, filter) };
    Ok(services.storage.query(&query).await?.rows)
}

/// A field of a part; null where that has none.
fn taken(part: &mut Json, name: &str) -> Option<Json> {
    part.as_object_mut()?.remove(name)
}

/// The fields of both.
fn together(facts: Option<Json>, personal: Option<Json>) -> Option<Json> {
    match (facts, personal) {
        (Some(Json::Object(mut facts)), Some(Json::Object(personal))) => {
            facts.extend(personal);
            Some(Json::Object(facts))
        }
        (facts, personal) => facts.or(personal),
    }
}
