//! Whether entries are what was written, pure.

use super::{
    AuditEntry, AuditHead, AuditKeeper, AuditKeys, ChainFault, ChainFaultKind, chain,
    erased::{EntryPart, Gone},
    hash,
    heads::End,
    keys::{Seal, goes_back},
};
use crate::model::record::{Record, Row};

/// Verifies entries of one lane in order of their place, chunk by chunk.
pub struct Verifier {
    keys: AuditKeys,
    lane: i64,
    /// The entry that was found whole last.
    seq: i64,
    hash: String,
    seal: Seal,
    /// From this place on the application's key seals, where it has one.
    sealed_from: i64,
    /// Ends that the chain once had.
    expected: Vec<End>,
    gone: Gone,
}

impl Verifier {
    /// Starts before the first entry of a lane. Where today's key is the application's, it must have sealed each entry.
    pub fn new(lane: i64, keys: &AuditKeys) -> Self {
        let (seq, hash) = (0, chain::START.to_owned());
        let (keys, gone) = (keys.clone(), Gone::default());
        Self { keys, lane, seq, hash, seal: None, sealed_from: 1, expected: Vec::new(), gone }
    }

    /// This was gone from other chains, or said there to be erased.
    pub fn beside(mut self, gone: Gone) -> Self {
        self.gone = gone;
        self
    }

    /// The application's key must have sealed the entries from this place on; those before it any key of the log, or none.
    pub fn sealed_from(mut self, seq: i64) -> Self {
        self.sealed_from = seq;
        self
    }

    /// The chain once ended so; what other lanes once were is left out.
    pub fn expecting<'e>(mut self, ends: impl IntoIterator<Item = &'e End>) -> Self {
        self.expected = ends.into_iter().filter(|end| end.lane == self.lane).cloned().collect();
        self
    }

    /// Goes on behind the entries so far, in another pass; what is gone from these is not noted again.
    pub(crate) fn later(&self) -> Self {
        let Self { keys, lane, seq, hash, seal, sealed_from, expected, gone: _ } = self;
        let (keys, hash, expected) = (keys.clone(), hash.clone(), expected.clone());
        let (lane, seq, seal, sealed_from, gone) = (*lane, *seq, *seal, *sealed_from, Gone::default());
        Self { keys, lane, seq, hash, seal, sealed_from, expected, gone }
    }

    /// How many entries were found whole.
    pub fn verified(&self) -> i64 {
        self.seq
    }

    /// The fault that there is at a place.
    pub fn fault(&self, seq: i64, kind: ChainFaultKind, problem: &str) -> ChainFault {
        ChainFault { lane: self.lane, seq, kind, problem: problem.to_owned() }
    }

    /// Checks the next entry as it is stored; the first that was altered, removed or moved is the answer. What is gone from it is noted:
    /// an entry behind it may say that it was erased.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next(&mut self, row: Row) -> Result<(), ChainFault> {
        let place = self.seq + 1;
        let fault = |kind, problem: &str| Err(self.fault(place, kind, problem));
        let entry = match AuditEntry::from_row(row) {
            Ok(entry) => entry,
            Err(corrupt) => return fault(ChainFaultKind::Damaged, &corrupt.to_string()),
        };
        if entry.lane != self.lane || entry.seq < place {
            return Err(self.fault(entry.seq, ChainFaultKind::Foreign, "the entry stands outside of the chain"));
        }
        if entry.seq > place {
            return fault(ChainFaultKind::Missing, "the entry is missing");
        }
        if entry.previous != self.hash {
            return fault(ChainFaultKind::Moved, "it does not follow the entry before it");
        }
        if entry.hash != hash::entry(&entry) {
            return fault(ChainFaultKind::Altered, "the entry was altered");
        }
        let seal = seal_of(&entry, &self.keys);
        if seal.is_none() && (entry.key_id.is_some() || entry.mac.is_some()) {
            return fault(ChainFaultKind::Forged, "no key of the log sealed it");
        }
        // The first format had one chain.
        if seal.is_none() && self.lane != 0 {
            return fault(ChainFaultKind::Forged, "nothing seals it");
        }
        if goes_back(self.seal, seal) {
            return fault(ChainFaultKind::Forged, "a key sealed it that no longer sealed entries at its time");
        }
        let is_of_application = self.keys.keeper() == AuditKeeper::Application && place >= self.sealed_from;
        if is_of_application && seal != Some(AuditKeeper::Application) {
            return fault(ChainFaultKind::Forged, "the application's key did not seal it");
        }
        let missing = match parts(&entry) {
            Ok(missing) => missing,
            Err(what) => return fault(ChainFaultKind::Altered, &format!("its {what} was altered")),
        };
        if self.expected.iter().any(|end| end.seq == place && end.hash != entry.hash) {
            return fault(ChainFaultKind::Behind, "the head that was handed out names another entry");
        }
        // What nothing seals names nothing.
        self.gone.note(&entry, missing, seal.is_some());
        (self.seq, self.hash, self.seal) = (place, entry.hash, seal);
        Ok(())
    }

    /// Checks that the chain ends where its head says, so that a cut end is seen, and ended where the heads say that were handed out. How many
    /// entries it has, and what is gone from them: an entry of another chain may say that it was erased.
    ///
    /// # Errors
    /// What is wrong with its end.
    pub fn finish(self, head: Option<&AuditHead>) -> Result<(i64, Gone), ChainFault> {
        let next = self.seq + 1;
        let (end, hash) = head.map_or((0, chain::START), |head| (head.seq, head.hash.as_str()));
        if end > self.seq {
            return Err(self.fault(next, ChainFaultKind::Cut, "the end of the chain was cut off"));
        }
        if end < self.seq {
            let problem = "the entry stands behind the end of the chain";
            return Err(self.fault(end.max(0) + 1, ChainFaultKind::Foreign, problem));
        }
        if hash != self.hash {
            return Err(self.fault(end, ChainFaultKind::Altered, "the end of the chain is another entry"));
        }
        if let Some(head) = head {
            let seal = chain::seal_of(head, &self.keys);
            let is_unsealed = head.key_id.is_none() && head.mac.is_none();
            if seal.is_none() && !is_unsealed || goes_back(self.seal, seal) {
                return Err(self.fault(end, ChainFaultKind::Forged, "no key of the log sealed the end of the chain"));
            }
        }
        if self.expected.iter().any(|expected| expected.seq > self.seq) {
            return Err(self.fault(next, ChainFaultKind::Behind, "the head that was handed out names a later entry"));
        }
        Ok((self.seq, self.gone))
    }
}

/// By whose key an entry is sealed; its hash is not looked at.
pub(super) fn seal_of(entry: &AuditEntry, keys: &AuditKeys) -> Seal {
    keys.seal(entry.key_id.as_deref()?, &[hash::ENTRY, entry.hash.as_bytes()], entry.mac.as_deref()?)
}

/// Whether an entry is what was written, as far as it shows by itself: what changed it keeps out of a seal.
pub fn is_as_written(entry: &AuditEntry, keys: &AuditKeys) -> bool {
    let is_sealed = || entry.key_id.is_none() || seal_of(entry, keys).is_some();
    entry.hash == hash::entry(entry) && is_sealed() && parts(entry).is_ok()
}

/// The parts that are gone of those that may be erased; the others are what the entry commits to.
///
/// # Errors
/// What is not.
fn parts(entry: &AuditEntry) -> Result<Vec<EntryPart>, &'static str> {
    let mut missing = Vec::new();
    match (&entry.payload, &entry.salt) {
        (None, None) => missing.push(EntryPart::Payload),
        (Some(payload), Some(salt)) => {
            let found = match entry.key_id {
                Some(_) => hash::commitment(payload, salt),
                None => hash::first_commitment(payload, salt),
            };
            if found != entry.commitment {
                return Err("payload");
            }
        }
        _ => return Err("payload"),
    }
    match (&entry.origin, &entry.origin_salt, &entry.origin_commitment) {
        (Some(origin), Some(salt), Some(commitment)) if hash::commitment(origin, salt) == *commitment => {}
        (None, None, Some(_)) => missing.push(EntryPart::Origin),
        (None, None, None) => {}
        _ => return Err("origin"),
    }
    // Of others it is known at the end how often they were changed.
    if missing.is_empty() && entry.version != 1 {
        return Err("version");
    }
    Ok(missing)
}
