//! Reading and verifying the audit log (AUD-1, AUD-2).

use rolekeep_macros::{Describe, Input, portable_async};
use serde::Serialize;

use super::{Access, Operation, Visible, listing, plan::Plan, services::Services};
use crate::{
    audit_chain::{AuditEntry, AuditHead, chain::Verifier},
    model::{
        check::Checks,
        error::Result,
        id::{AuditId, ChangeSetId, UserId},
        page::{Page, PageRequest},
        predicate::{Comparison, Predicate},
        record::Record,
        time::Time,
        value::Value,
    },
    storage::{Direction, Order, Query, Window},
};

pub use crate::audit_chain::ChainFault;

/// Entries verified with one query.
const CHUNK: u64 = 1000;

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
    /// The type of the target: `user`, `drone`, …
    pub target_type: Option<String>,
    /// The target's id.
    pub target_id: Option<String>,
    /// The changed fields before.
    pub before: Option<serde_json::Value>,
    /// The changed fields after.
    pub after: Option<serde_json::Value>,
    /// Why it failed, or other details.
    pub detail: Option<String>,
    /// The IP address of the request.
    pub ip: Option<String>,
    /// The user agent of the request.
    pub user_agent: Option<String>,
    /// The entry's hash; the next entry contains it.
    pub hash: String,
}

/// The result of verifying the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AuditReport {
    /// Whether nothing was altered, removed or moved.
    pub is_whole: bool,
    /// How many entries are intact.
    pub verified: i64,
    /// The first bad entry.
    pub fault: Option<ChainFault>,
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
    /// The page's number, from 1.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Verifies the whole chain and names the first entry that was altered, removed or moved.
///
/// Permission `audit:read` on the whole log. Reads every entry, 1,000 at a time.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct VerifyAudit {}

/// The outcome of a change whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct ChangeOutcome {
    /// Whether it took place. If not, it may still be on its way to the storage: ask again after a while.
    pub took_place: bool,
    /// The number of its commit.
    pub position: Option<i64>,
}

/// Gets the outcome of a change that ended with `UNAVAILABLE`, reason `outcome_unknown`, by the error's `change_id`.
///
/// Anybody who knows the id may ask: it cannot be guessed. Errors: `UNAVAILABLE`, reason `outcome_unknown`, for a change
/// so old that the change feed no longer has it.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetOutcome {
    /// The change's id, as the error names it.
    pub change_id: ChangeSetId,
}

#[portable_async]
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
        let position = committed.and_then(|committed| committed.position.try_into().ok());
        Ok(ChangeOutcome { took_place: committed.is_some(), position })
    }
}

#[portable_async]
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
        let order = vec![newest("lane"), newest("seq")];
        let rows: Page<AuditEntry> = listing::page(plan, page, "audit:read", filter.clone(), order).await?;
        let views = rows.items.iter().cloned().map(AuditView::from).collect();
        Ok(rows.with_items(views))
    }
}

#[portable_async]
impl Operation for VerifyAudit {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::Everywhere("audit:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<AuditReport> {
        let mut verified = 0;
        let heads: Vec<AuditHead> = plan.reads().all(Predicate::Always).await?;
        // A head that was removed with its whole lane leaves entries, which lane 0 at least would show.
        let lanes = if heads.is_empty() { vec![0] } else { heads.iter().map(|head| head.lane).collect() };
        for lane in lanes {
            let head = heads.iter().find(|head| head.lane == lane);
            match verify_lane(plan, lane, head).await? {
                Ok(count) => verified += count,
                Err(fault) => {
                    return Ok(AuditReport { is_whole: false, verified: verified + fault.seq - 1, fault: Some(fault) });
                }
            }
        }
        Ok(AuditReport { is_whole: true, verified, fault: None })
    }
}

async fn verify_lane(plan: &Plan<'_>, lane: i64, head: Option<&AuditHead>) -> Result<Result<i64, ChainFault>> {
    let mut verifier = Verifier::new(lane);
    let end = head.map_or(i64::MAX, |head| head.seq);
    let mut after = None;
    loop {
        let query = Query {
            // Entries that came after the head was read are the next run's.
            filter: Predicate::equals("lane", lane).and(Predicate::Compare(
                "seq".into(),
                Comparison::LessOrEqual,
                Value::Int(end),
            )),
            window: Window { after, skip: 0, limit: Some(CHUNK) },
            ..Query::of(AuditEntry::TABLE, Predicate::Always)
        };
        let rows = plan.services.storage.query(&query).await?.rows;
        after = rows.last().map(|row| AuditEntry::TABLE.key_of(row).0);
        let is_last = (rows.len() as u64) < CHUNK;
        for row in rows {
            if let Err(fault) = verifier.next(row) {
                return Ok(Err(fault));
            }
        }
        if is_last {
            return Ok(verifier.finish(head));
        }
    }
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let payload = entry.payload.map(|payload| payload.0).unwrap_or_default();
        Self {
            id: entry.id,
            lane: entry.lane,
            seq: entry.seq,
            at: entry.at,
            action: entry.action,
            actor: entry.actor,
            on_behalf_of: payload.on_behalf_of,
            target_type: entry.target_type,
            target_id: entry.target_id,
            before: payload.before,
            after: payload.after,
            detail: payload.detail,
            ip: payload.ip,
            user_agent: payload.user_agent,
            hash: entry.hash,
        }
    }
}
