//! The audit log for somebody else to verify (AUD-2).

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use crate::{
    audit_chain::{AuditEntry, hash},
    model::{
        check::Checks,
        error::Result,
        page::{Page, PageRequest},
        predicate::Predicate,
        record::Document,
        time::Time,
    },
    operations::{Access, Operation, listing, plan::Plan, services::Services},
    storage::{Direction, Order},
};

/// An entry of the audit log with everything that is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AuditLine {
    /// The chain it belongs to.
    pub lane: i64,
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// The entry as a line of JSON, without a line break. The fields are those that are stored; `facts`, `payload` and `origin` are the
    /// texts that were hashed.
    pub line: String,
}

/// Exports the audit log, oldest entries first, as lines of JSON (JSON Lines) that an independent program can verify
/// (`examples/audit-verifier`).
///
/// Permission `audit:read` on the whole log.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ExportAudit {
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

#[boxed_async]
impl Operation for ExportAudit {
    type Target = ();
    type Valid = PageRequest;

    const ACCESS: Access = Access::Everywhere("audit:read");
    const IS_OF_SERVERS: bool = true;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<PageRequest> {
        let mut checks = Checks::default();
        let page = self.page_request();
        page.check(&mut checks);
        checks.finish()?;
        Ok(page)
    }

    async fn plan(page: &PageRequest, (): (), plan: &mut Plan<'_>) -> Result<Page<AuditLine>> {
        let oldest = |column: &'static str| Order { column: column.into(), direction: Direction::Ascending };
        let order = vec![oldest("lane"), oldest("seq")];
        let rows: Page<AuditEntry> = listing::page(plan, page, "audit:read", Predicate::Always, order).await?;
        let lines = rows.items.iter().map(AuditLine::of).collect();
        Ok(rows.with_items(lines))
    }
}

/// What is hashed of an entry, and its parts that may be erased.
#[derive(Serialize)]
struct Exported<'e> {
    lane: i64,
    seq: i64,
    id: String,
    /// In microseconds since 1970.
    at: i64,
    action: &'e str,
    actor: &'e str,
    on_behalf_of: Option<String>,
    session_id: Option<String>,
    target_type: Option<&'e str>,
    target_id: Option<&'e str>,
    facts: Option<String>,
    payload: Option<String>,
    salt: Option<&'e str>,
    commitment: &'e str,
    origin: Option<String>,
    origin_salt: Option<&'e str>,
    origin_commitment: Option<&'e str>,
    previous: &'e str,
    hash: &'e str,
    key_id: Option<&'e str>,
    mac: Option<&'e str>,
}

impl AuditLine {
    fn of(entry: &AuditEntry) -> Self {
        let exported = Exported {
            lane: entry.lane,
            seq: entry.seq,
            id: entry.id.to_string(),
            at: entry.at.as_microsecond(),
            action: &entry.action,
            actor: &entry.actor,
            on_behalf_of: entry.on_behalf_of.map(|user| user.to_string()),
            session_id: entry.session_id.map(|session| session.to_string()),
            target_type: entry.target_type.as_deref(),
            target_id: entry.target_id.as_deref(),
            facts: entry.facts.as_ref().map(Document::text),
            payload: entry.payload.as_ref().map(|payload| match entry.key_id {
                Some(_) => payload.text(),
                None => hash::first_text(payload),
            }),
            salt: entry.salt.as_deref(),
            commitment: &entry.commitment,
            origin: entry.origin.as_ref().map(Document::text),
            origin_salt: entry.origin_salt.as_deref(),
            origin_commitment: entry.origin_commitment.as_deref(),
            previous: &entry.previous,
            hash: &entry.hash,
            key_id: entry.key_id.as_deref(),
            mac: entry.mac.as_deref(),
        };
        let line = serde_json::to_string(&exported).unwrap_or_default();
        Self { lane: entry.lane, seq: entry.seq, line }
    }
}
