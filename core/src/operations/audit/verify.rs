//! Whether the audit log is what was written, and the heads that show it later (AUD-2, SEC-12).

use std::collections::{BTreeMap, BTreeSet};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::entries;
use crate::{
    audit_chain::{
        AuditEntry, AuditHead, AuditKeeper, ChainFault, ChainFaultKind,
        erased::Gone,
        heads::{self, End},
        verify::Verifier,
    },
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Reason, Result},
        predicate::{Comparison, Predicate},
        record::Record,
        time::Time,
        value::Value,
    },
    operations::{Access, Operation, plan::Plan, reads::Reads, services::Services},
};

/// Entries that are verified with one query.
const CHUNK: u64 = 1000;

/// So often it is gone on with what others wrote meanwhile, before a fault is one: the entry that would explain it came with it.
const ROUNDS: u32 = 16;

/// Where the audit log ends now, to be kept apart from the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AuditHeads {
    /// The ends of all chains as one text, sealed: pass it to `audit.verify` as `expected`, now or in years. It reveals nothing of the
    /// log's contents.
    pub head: String,
    /// The same for others, who do not have `audit_key`, if there is an `audit_signing_key`: a JWS (RFC 7515) whose payload names the end
    /// of each chain (`heads`: `lane`, `seq`, `hash`) and the time (`iat`, in seconds since 1970).
    pub signed: Option<String>,
    /// How many entries there are.
    pub entries: i64,
    /// Who keeps the key that the log is sealed with.
    pub sealed_by: AuditKeeper,
}

/// The result of verifying the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[non_exhaustive]
pub struct AuditReport {
    /// Whether nothing was altered, removed, moved or added.
    pub is_whole: bool,
    /// How many entries are intact.
    pub verified: i64,
    /// The first bad entry.
    pub fault: Option<ChainFault>,
    /// Who keeps the key that the log is sealed with. With `store`, whoever controls the storage can write another log that passes.
    pub sealed_by: AuditKeeper,
}

/// Gets the end of the audit log.
///
/// A log that was rolled back to an earlier state is consistent in itself, and so is one without any entry: only a later head reveals
/// that. Keep heads where those who control the storage have no access. Permission `audit:read` on the whole log.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct GetAuditHeads {}

/// Verifies the whole audit log and names the first entry that was altered, removed, moved or added.
///
/// Permission `audit:read` on the whole log. Reads every entry, 1,000 at a time. Errors: `VALIDATION_ERROR` for a head that no key of
/// this log sealed.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct VerifyAudit {
    /// A head that `audit.head` returned earlier: the log must have that state in its history.
    pub expected: Option<String>,
    /// If `audit_key` was given to a store that already had entries: the number of the first entry that it sealed. Without this, the key
    /// must have sealed every entry.
    pub sealed_from: Option<i64>,
}

#[boxed_async]
impl Operation for GetAuditHeads {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::Everywhere("audit:read");
    const IS_OF_SERVERS: bool = true;
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<AuditHeads> {
        let heads: Vec<AuditHead> = plan.reads().all(Predicate::Always).await?;
        let keys = &plan.services.audit_keys;
        let signed = plan.services.audit_signer.as_ref().map(|signer| signer.sign(&Signed::of(&heads, plan.now)));
        Ok(AuditHeads {
            signed: signed.transpose()?.map(|signed| signed.expose().to_owned()),
            head: heads::write(&heads, plan.now, keys),
            entries: heads.iter().map(|head| head.seq).sum(),
            sealed_by: keys.keeper(),
        })
    }
}

/// What is signed for others.
#[derive(Serialize)]
struct Signed<'h> {
    iat: i64,
    heads: Vec<SignedHead<'h>>,
}

#[derive(Serialize)]
struct SignedHead<'h> {
    lane: i64,
    seq: i64,
    hash: &'h str,
}

impl<'h> Signed<'h> {
    fn of(heads: &'h [AuditHead], now: Time) -> Self {
        let heads = heads.iter().map(|head| SignedHead { lane: head.lane, seq: head.seq, hash: &head.hash });
        Self { iat: now.as_second(), heads: heads.collect() }
    }
}

#[boxed_async]
impl Operation for VerifyAudit {
    type Target = ();
    type Valid = (Vec<End>, i64);

    const ACCESS: Access = Access::Everywhere("audit:read");
    const IS_READ: bool = true;

    async fn validate(self, services: &Services, _: Time) -> Result<(Vec<End>, i64)> {
        let mut checks = Checks::default();
        let read = |text: &str| match IS_PAGE {
            // Pages hand out none.
            true => Err(Invalid::new(FieldCode::InvalidFormat, "is not a head of this store")),
            false => heads::parse(text, &services.audit_keys),
        };
        let ends = self.expected.as_deref().map(read).transpose();
        let ends = checks.field("expected", ends).flatten().unwrap_or_default();
        let sealed_from = self.sealed_from.unwrap_or(1);
        if sealed_from < 1 {
            checks.error("sealed_from", Invalid::new(FieldCode::OutOfRange, "must be 1 or more"));
        }
        checks.finish()?;
        Ok((ends, sealed_from))
    }

    async fn plan((ends, sealed_from): &(Vec<End>, i64), (): (), plan: &mut Plan<'_>) -> Result<AuditReport> {
        let mut heads: Vec<AuditHead> = plan.reads().all(Predicate::Always).await?;
        let (mut log, mut rounds) = (Log::new(plan.services, ends, *sealed_from), 0);
        let (verified, fault) = loop {
            if let Some(found) = log.go_on(&heads).await? {
                break (log.verified_before(found.fault.lane) + found.verified, Some(found.fault));
            }
            let Some((verified, fault)) = log.suspicion().await? else { break (log.verified_before(i64::MAX), None) };
            // Others may have begun a chain meanwhile, or erased somebody: what says so came behind what was gone through. One that
            // is there for long stays after these rounds, however busy the log is.
            rounds += 1;
            heads = Reads::stored(&*plan.services.storage).all(Predicate::Always).await?;
            if rounds == ROUNDS || !log.has_grown(&heads) {
                break (verified, Some(fault));
            }
        };
        let sealed_by = plan.services.audit_keys.keeper();
        Ok(AuditReport { is_whole: fault.is_none(), verified, fault, sealed_by })
    }
}

/// Where a chain is not whole.
struct Found {
    verified: i64,
    fault: ChainFault,
}

/// All chains, as far as they were gone through.
struct Log<'l> {
    services: &'l Services,
    ends: &'l [End],
    sealed_from: i64,
    chains: BTreeMap<i64, Verifier>,
    gone: Gone,
}

impl<'l> Log<'l> {
    fn new(services: &'l Services, ends: &'l [End], sealed_from: i64) -> Self {
        Self { services, ends, sealed_from, chains: BTreeMap::new(), gone: Gone::default() }
    }

    /// Verifies what is behind the entries so far; the first fault.
    async fn go_on(&mut self, heads: &[AuditHead]) -> Result<Option<Found>> {
        // Entries without any head are of a lane all the same.
        let known = heads.iter().map(|head| head.lane).chain(self.ends.iter().map(|end| end.lane));
        let lanes: BTreeSet<i64> = known.chain(self.chains.keys().copied()).chain([0]).collect();
        for lane in lanes {
            let new =
                || Verifier::new(lane, &self.services.audit_keys).sealed_from(self.sealed_from).expecting(self.ends);
            let verifier = self.chains.remove(&lane).unwrap_or_else(new).beside(std::mem::take(&mut self.gone));
            let head = heads.iter().find(|head| head.lane == lane).cloned();
            match walk(self.services, lane, head, verifier).await? {
                Ok((chain, gone)) => {
                    self.chains.insert(lane, chain);
                    self.gone = gone;
                }
                Err(found) => return Ok(Some(found)),
            }
        }
        Ok(None)
    }

    /// What is wrong unless others were writing, and how many entries are intact then.
    async fn suspicion(&self) -> Result<Option<(i64, ChainFault)>> {
        let lanes = self.chains.keys().copied().collect();
        if let Some(fault) = foreign(self.services, &lanes).await? {
            return Ok(Some((self.verified_before(i64::MAX), fault)));
        }
        // Known at the end, as the entry that says so comes later, maybe in another chain.
        let unsaid = self.gone.clone().require_erased().err();
        Ok(unsaid.map(|fault| (self.verified_before(fault.lane) + fault.seq - 1, fault)))
    }

    /// Whether there are entries behind those that were gone through.
    fn has_grown(&self, heads: &[AuditHead]) -> bool {
        heads.iter().any(|head| self.chains.get(&head.lane).map_or(0, Verifier::verified) < head.seq)
    }

    /// How many entries of the chains before this one are intact.
    fn verified_before(&self, lane: i64) -> i64 {
        self.chains.range(..lane).map(|(_, chain)| chain.verified()).sum()
    }
}

/// Verifies a chain as it is stored, from where the verifier is; its head was read before. It may grow meanwhile.
async fn walk(
    services: &Services,
    lane: i64,
    mut head: Option<AuditHead>,
    mut verifier: Verifier,
) -> Result<Result<(Verifier, Gone), Found>> {
    let begin = (verifier.verified() > 0).then(|| vec![Value::Int(lane), Value::Int(verifier.verified())]);
    let (mut after, mut limit) = (begin, CHUNK);
    loop {
        let rows = match entries(services, Predicate::equals("lane", lane), after.clone(), limit).await {
            Ok(rows) => rows,
            // One by one, to know which of them it is.
            Err(error) if error.reason() == Reason::Corrupt && limit > 1 => {
                limit = 1;
                continue;
            }
            Err(error) if error.reason() == Reason::Corrupt => {
                let fault = verifier.fault(verifier.verified() + 1, ChainFaultKind::Damaged, error.message());
                return Ok(Err(Found { verified: verifier.verified(), fault }));
            }
            Err(error) => return Err(error),
        };
        let count = rows.len() as u64;
        for row in rows {
            after = Some(AuditEntry::TABLE.key_of(&row).0);
            if let Err(fault) = verifier.next(row) {
                return Ok(Err(Found { verified: verifier.verified(), fault }));
            }
        }
        if count == limit {
            continue;
        }
        let end = |head: &Option<AuditHead>| head.as_ref().map_or(0, |head| head.seq);
        if end(&head) < verifier.verified() {
            head = Reads::stored(&*services.storage).get(&(lane,)).await?;
            if end(&head) > verifier.verified() {
                continue;
            }
        }
        let (verified, later) = (verifier.verified(), verifier.later());
        let gone = verifier.finish(head.as_ref()).map(|(_, gone)| (later, gone));
        return Ok(gone.map_err(|fault| Found { verified, fault }));
    }
}

/// The first entry that is of none of these lanes: looked for between them by the key, as the log is long.
async fn foreign(services: &Services, lanes: &BTreeSet<i64>) -> Result<Option<ChainFault>> {
    let (mut gaps, mut last) = (Vec::new(), None);
    for lane in lanes {
        // Between lanes that follow each other there is none.
        if last.is_none_or(|last: i64| last.checked_add(1) != Some(*lane)) {
            gaps.push((last, Some(*lane)));
        }
        last = Some(*lane);
    }
    gaps.push((last, None));
    for (after, before) in gaps {
        let is_before = |lane| Predicate::Compare("lane".into(), Comparison::Less, Value::Int(lane));
        let after = after.map(|lane| vec![Value::Int(lane), Value::Int(i64::MAX)]);
        let rows = entries(services, before.map_or(Predicate::Always, is_before), after, 1).await?;
        if let Some(row) = rows.into_iter().next() {
            let place = AuditEntry::TABLE.key_of(&row).0;
            let number = |at: usize| place.get(at).and_then(Value::as_int).unwrap_or_default();
            let problem = "the entry is of no chain of this log".to_owned();
            return Ok(Some(ChainFault { lane: number(0), seq: number(1), kind: ChainFaultKind::Foreign, problem }));
        }
    }
    Ok(None)
}
