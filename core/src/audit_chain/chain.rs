//! Drafts become entries, pure.

use super::{AuditDraft, AuditEntry, AuditHead, AuditKeys, hash, keys::Seal, verify};
use crate::model::{
    error::{Error, Reason, Result},
    text::hex,
};

/// What the first entry names as its predecessor.
pub(super) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Chains drafts to the head of a lane; gives the entries and the new head, versions set.
///
/// # Errors
/// [`Reason::Corrupt`] for a head that none of the drafts' keys sealed: what was done to the log would be sealed with what comes.
pub fn seal(lane: i64, head: Option<AuditHead>, drafts: &[AuditDraft]) -> Result<(Vec<AuditEntry>, Option<AuditHead>)> {
    let Some(keys) = drafts.last().map(|draft| &draft.keys) else { return Ok((Vec::new(), head)) };
    let mut head = match head {
        Some(head) => sealed(head, keys)?,
        None => AuditHead { lane, seq: 0, hash: START.to_owned(), key_id: None, mac: None, version: 0 },
    };
    let entries = drafts.iter().map(|draft| {
        let entry = entry(&head, draft);
        head.seq = entry.seq;
        head.hash = entry.hash.clone();
        entry
    });
    let entries = entries.collect();
    head.version += 1;
    Ok((entries, Some(reseal(head, keys))))
}

/// The head, which the keeper of today's key sealed or one who has as much to say.
fn sealed(head: AuditHead, keys: &AuditKeys) -> Result<AuditHead> {
    if seal_of(&head, keys).is_some_and(|keeper| keeper >= keys.keeper()) {
        return Ok(head);
    }
    let message = "the end of the audit log was not written with one of its keys: verify the log (audit.verify), and see \
                   that every instance has the settings audit_key and retired_audit_keys";
    Err(Error::new(Reason::Corrupt, message))
}

/// By whose key a head is sealed.
pub(super) fn seal_of(head: &AuditHead, keys: &AuditKeys) -> Seal {
    let parts = hash::head(head);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    keys.seal(head.key_id.as_deref()?, &parts, head.mac.as_deref()?)
}

/// The head, sealed with the key of today; its version is the one it is written with.
pub(super) fn reseal(mut head: AuditHead, keys: &AuditKeys) -> AuditHead {
    let key = keys.sealing();
    let parts = hash::head(&head);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    (head.key_id, head.mac) = (Some(key.id().to_owned()), Some(key.mac(&parts)));
    head
}

/// The head of a chain whose last entry this is, sealed with the key of today: of stores of before there were keys, and of those that an
/// application gives its key later. None where it is sealed well enough, or where the entry is another one or sealed by somebody else
/// than the head, which is for `audit.verify` to tell.
pub fn adopted(head: &AuditHead, last: &AuditEntry, keys: &AuditKeys) -> Option<AuditHead> {
    let seal = seal_of(head, keys);
    let is_untouched = match (&head.key_id, seal) {
        (None, None) => last.key_id.is_none(),
        (Some(_), Some(_)) => verify::seal_of(last, keys) == seal,
        _ => false,
    };
    let is_last = (last.lane, last.seq, &last.hash) == (head.lane, head.seq, &head.hash);
    let is_due = seal < Some(keys.keeper());
    (is_untouched && is_last && is_due).then(|| reseal(AuditHead { version: head.version + 1, ..head.clone() }, keys))
}

fn entry(head: &AuditHead, draft: &AuditDraft) -> AuditEntry {
    let key = draft.keys.sealing();
    let (payload, salt) = (draft.payload.document(), hex(&draft.salts.payload));
    let origin = draft.origin.document().map(|origin| (origin, hex(&draft.salts.origin)));
    let origin_commitment = origin.as_ref().map(|(origin, salt)| hash::commitment(origin, salt));
    let (origin, origin_salt) = origin.unzip();
    let mut entry = AuditEntry {
        lane: head.lane,
        seq: head.seq + 1,
        id: draft.id,
        at: draft.at,
        action: draft.action.clone(),
        actor: draft.actor.clone(),
        on_behalf_of: draft.on_behalf_of,
        session_id: draft.session_id,
        target_type: draft.target_type.clone(),
        target_id: draft.target_id.clone(),
        facts: draft.facts.document(),
        commitment: hash::commitment(&payload, &salt),
        payload: Some(payload),
        salt: Some(salt),
        origin,
        origin_salt,
        origin_commitment,
        previous: head.hash.clone(),
        hash: String::new(),
        key_id: Some(key.id().to_owned()),
        mac: None,
        version: 1,
    };
    entry.hash = hash::entry(&entry);
    entry.mac = Some(key.mac(&[hash::ENTRY, entry.hash.as_bytes()]));
    entry
}
