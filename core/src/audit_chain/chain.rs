//! Sealing and verifying, pure.

use sha2::{Digest, Sha256};

use super::{AuditDraft, AuditEntry, AuditHead, ChainFault};
use crate::model::{
    record::{Document, Record, Row},
    text::hex,
};

/// What the first entry names as its predecessor.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Chains drafts to the head of a lane; gives the entries and the new head, versions set.
pub fn seal(lane: i64, head: Option<AuditHead>, drafts: &[AuditDraft]) -> (Vec<AuditEntry>, AuditHead) {
    let mut head = head.unwrap_or_else(|| AuditHead { lane, seq: 0, hash: START.to_owned(), version: 0 });
    let entries = drafts
        .iter()
        .map(|draft| {
            let mut entry = AuditEntry {
                lane,
                seq: head.seq + 1,
                id: draft.id,
                at: draft.at,
                action: draft.action.clone(),
                actor: draft.actor.clone(),
                target_type: draft.target_type.clone(),
                target_id: draft.target_id.clone(),
                payload: Some(Document(draft.payload.clone())),
                salt: Some(hex(&draft.salt)),
                commitment: String::new(),
                previous: head.hash.clone(),
                hash: String::new(),
                version: 1,
            };
            entry.commitment = commitment(&entry).unwrap_or_default();
            entry.hash = hash(&entry);
            head.seq = entry.seq;
            head.hash = entry.hash.clone();
            entry
        })
        .collect();
    head.version += 1;
    (entries, head)
}

/// Verifies entries of one lane in order of their place, chunk by chunk.
pub struct Verifier {
    lane: i64,
    seq: i64,
    hash: String,
}

impl Verifier {
    /// Starts before the first entry of a lane.
    pub fn new(lane: i64) -> Self {
        Self { lane, seq: 0, hash: START.to_owned() }
    }

    /// How many entries were found whole.
    pub fn verified(&self) -> i64 {
        self.seq
    }

    /// Checks the next entry as it is stored; the first that was altered, removed or moved is the answer.
    pub fn next(&mut self, row: Row) -> Result<(), ChainFault> {
        let expected = self.seq + 1;
        let fault = |problem: &str| ChainFault { lane: self.lane, seq: expected, problem: problem.to_owned() };
        let entry = AuditEntry::from_row(row).map_err(|corrupt| fault(&corrupt.to_string()))?;
        if entry.seq != expected || entry.lane != self.lane {
            return Err(fault("the entry is missing"));
        }
        if entry.previous != self.hash {
            return Err(fault("it does not follow the entry before it"));
        }
        if entry.hash != hash(&entry) {
            return Err(fault("the entry was altered"));
        }
        if entry.payload.is_some() && commitment(&entry).as_deref() != Some(entry.commitment.as_str()) {
            return Err(fault("the payload was altered"));
        }
        self.seq = expected;
        self.hash = entry.hash;
        Ok(())
    }

    /// Checks that the chain ends where its head says, so that a cut tail is seen.
    pub fn finish(self, head: Option<&AuditHead>) -> Result<i64, ChainFault> {
        let (seq, hash) = head.map_or((0, START), |head| (head.seq, head.hash.as_str()));
        if seq == self.seq && hash == self.hash {
            return Ok(self.seq);
        }
        Err(ChainFault { lane: self.lane, seq: self.seq + 1, problem: "the end of the chain was cut off".to_owned() })
    }
}

/// Hashes salt and payload; none once they were erased.
fn commitment(entry: &AuditEntry) -> Option<String> {
    let payload = serde_json::to_string(&entry.payload.as_ref()?.0).ok()?;
    let salt = entry.salt.as_ref()?;
    let mut hasher = Sha256::new();
    part(&mut hasher, salt);
    part(&mut hasher, &payload);
    Some(hex(&hasher.finalize()))
}

fn hash(entry: &AuditEntry) -> String {
    let mut hasher = Sha256::new();
    part(&mut hasher, "rolekeep-audit-1");
    part(&mut hasher, &entry.previous);
    part(&mut hasher, &entry.lane.to_string());
    part(&mut hasher, &entry.seq.to_string());
    part(&mut hasher, &entry.id.to_string());
    part(&mut hasher, &entry.at.as_microsecond().to_string());
    part(&mut hasher, &entry.action);
    part(&mut hasher, &entry.actor);
    part(&mut hasher, entry.target_type.as_deref().unwrap_or_default());
    part(&mut hasher, entry.target_id.as_deref().unwrap_or_default());
    part(&mut hasher, &entry.commitment);
    hex(&hasher.finalize())
}

/// Length first, so that no two lists of parts hash the same bytes.
fn part(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit_chain::AuditPayload,
        model::{id::AuditId, time::Time},
    };

    fn drafts() -> Vec<AuditDraft> {
        let draft = |number: u8| AuditDraft {
            id: AuditId(uuid::Uuid::from_bytes([number; 16])),
            at: Time::UNIX_EPOCH,
            action: "users.create".into(),
            actor: "system".into(),
            target_type: Some("user".into()),
            target_id: Some(number.to_string()),
            payload: AuditPayload { detail: Some(format!("entry {number}")), ..AuditPayload::default() },
            salt: [number; 16],
        };
        (1..=5).map(draft).collect()
    }

    fn verify(entries: &[AuditEntry], head: &AuditHead) -> Result<i64, ChainFault> {
        let mut verifier = Verifier::new(0);
        for entry in entries {
            verifier.next(entry.to_row())?;
        }
        verifier.finish(Some(head))
    }

    #[test]
    fn aud_2_names_the_first_bad_entry() {
        let (entries, head) = seal(0, None, &drafts());
        assert_eq!(verify(&entries, &head), Ok(5));

        type Tamper = fn(&mut Vec<AuditEntry>);
        let tampered: [(Tamper, i64); 6] = [
            (|entries| entries[2].actor = "someone else".into(), 3),
            (|entries| entries[1].payload.as_mut().unwrap().0.detail = None, 2),
            (|entries| drop(entries.remove(3)), 4),
            (|entries| entries.swap(0, 1), 1),
            (|entries| drop(entries.pop()), 5),
            (|entries| entries.clear(), 1),
        ];
        for (tamper, seq) in tampered {
            let mut copy = entries.clone();
            tamper(&mut copy);
            assert_eq!(verify(&copy, &head).unwrap_err().seq, seq);
        }
    }

    #[test]
    fn aud_2_an_erased_payload_keeps_the_chain_whole() {
        let (mut entries, head) = seal(0, None, &drafts());
        entries[2].payload = None;
        entries[2].salt = None;
        assert_eq!(verify(&entries, &head), Ok(5));
    }
}
