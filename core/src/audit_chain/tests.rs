//! What no storage shows: entries of the first format, and each kind of fault.

use serde_json::json;

use super::{chain::*, erased::*, verify::*, *};
use crate::model::{error::Reason, record::Row};

fn key(letter: u8, keeper: AuditKeeper) -> AuditKey {
    AuditKey::new(&[letter; 32], keeper).unwrap()
}

fn keys() -> AuditKeys {
    AuditKeys::new(key(b's', AuditKeeper::Store))
}

fn drafts(keys: &AuditKeys) -> Vec<AuditDraft> {
    let draft = |number: u8| AuditDraft {
        id: AuditId(uuid::Uuid::from_bytes([number; 16])),
        at: Time::UNIX_EPOCH,
        action: "users.create".into(),
        actor: "system".into(),
        on_behalf_of: None,
        session_id: None,
        target_type: Some("user".into()),
        target_id: Some(number.to_string()),
        facts: AuditFacts { after: Some(serde_json::json!({"status": "active"})), ..AuditFacts::default() },
        payload: AuditPayload::of_detail(format!("entry {number}")),
        origin: AuditOrigin { ip: Some("192.0.2.1".into()), ..AuditOrigin::default() },
        salts: AuditSalts { payload: [number; 16], origin: [0; 16] },
        keys: keys.clone(),
    };
    (1..=5).map(draft).collect()
}

fn sealed(head: Option<AuditHead>, keys: &AuditKeys) -> (Vec<AuditEntry>, AuditHead) {
    let (entries, head) = seal(0, head, &drafts(keys)).unwrap();
    (entries, head.unwrap())
}

/// Three entries as they were written before there were keys, and their head.
fn first_format() -> (Vec<AuditEntry>, AuditHead) {
    let (mut entries, head) = sealed(None, &keys());
    entries.truncate(3);
    let mut previous = START.to_owned();
    for entry in &mut entries {
        (entry.facts, entry.origin, entry.origin_salt, entry.origin_commitment) = (None, None, None, None);
        (entry.key_id, entry.mac) = (None, None);
        let payload = &mut entry.payload.as_mut().unwrap().0;
        payload["after"] = serde_json::json!({"status": "active"});
        payload["ip"] = "192.0.2.1".into();
        entry.commitment = hash::first_commitment(entry.payload.as_ref().unwrap(), entry.salt.as_deref().unwrap());
        entry.previous = previous;
        entry.hash = hash::entry(entry);
        previous = entry.hash.clone();
    }
    (entries, AuditHead { seq: 3, hash: previous, key_id: None, mac: None, version: 2, ..head })
}

fn verify(entries: &[AuditEntry], head: &AuditHead, keys: &AuditKeys) -> Result<i64, ChainFault> {
    verify_from(Verifier::new(0, keys), entries.iter().map(Record::to_row), head)
}

fn verify_from(mut verifier: Verifier, rows: impl Iterator<Item = Row>, head: &AuditHead) -> Result<i64, ChainFault> {
    for row in rows {
        verifier.next(row)?;
    }
    let (verified, gone) = verifier.finish(Some(head))?;
    gone.require_erased().map(|()| verified)
}

#[test]
fn aud_2_names_the_first_bad_entry_and_what_is_wrong() {
    let keys = keys();
    let (entries, head) = sealed(None, &keys);
    assert_eq!(verify(&entries, &head, &keys), Ok(5));

    type Tamper = fn(&mut Vec<AuditEntry>);
    use ChainFaultKind as Kind;
    let tampered: [(Tamper, i64, Kind); 13] = [
        (|entries| entries[2].actor = "someone else".into(), 3, Kind::Altered),
        (|entries| entries[1].payload.as_mut().unwrap().0["detail"] = Json::Null, 2, Kind::Altered),
        (|entries| entries[1].origin.as_mut().unwrap().0["ip"] = Json::Null, 2, Kind::Altered),
        (|entries| entries[1].facts = None, 2, Kind::Altered),
        (|entries| take(&mut entries[3], EntryPart::Payload), 4, Kind::Blanked),
        (|entries| take(&mut entries[3], EntryPart::Origin), 4, Kind::Blanked),
        (|entries| (entries[3].payload, entries[3].salt) = (None, None), 4, Kind::Blanked),
        (|entries| entries[3].salt = None, 4, Kind::Altered),
        (|entries| entries[4].mac = entries[3].mac.clone(), 5, Kind::Forged),
        (|entries| drop(entries.remove(3)), 4, Kind::Missing),
        (|entries| entries.swap(0, 1), 1, Kind::Missing),
        (|entries| drop(entries.pop()), 5, Kind::Cut),
        (|entries| entries.clear(), 1, Kind::Cut),
    ];
    for (at, (tamper, seq, kind)) in tampered.into_iter().enumerate() {
        let mut copy = entries.clone();
        tamper(&mut copy);
        let fault = verify(&copy, &head, &keys).unwrap_err();
        assert_eq!((fault.seq, fault.kind), (seq, kind), "{at}: {}", fault.problem);
    }
    // What cannot be read is told as well.
    let mut rows: Vec<Row> = entries.iter().map(Record::to_row).collect();
    rows[1].0[2] = crate::model::value::Value::Text("no id".into());
    let fault = verify_from(Verifier::new(0, &keys), rows.into_iter(), &head).unwrap_err();
    assert_eq!((fault.seq, fault.kind), (2, Kind::Damaged));
}

fn take(entry: &mut AuditEntry, part: EntryPart) {
    match part {
        EntryPart::Payload => (entry.payload, entry.salt) = (None, None),
        EntryPart::Origin => (entry.origin, entry.origin_salt) = (None, None),
    }
    entry.version += 1;
}

/// A log that an entry behind says was erased in these places.
fn erased(places: &[ErasedPart], keys: &AuditKeys) -> (Vec<AuditEntry>, AuditHead) {
    let (mut entries, head) = sealed(None, keys);
    let mut draft = drafts(keys).remove(0);
    (draft.action, draft.facts) = (ACTION.to_owned(), facts(places));
    let (said, head) = seal(0, Some(head), &[draft]).unwrap();
    entries.extend(said);
    (entries, head.unwrap())
}

#[test]
fn usr_13_what_an_entry_names_may_be_gone() {
    let keys = keys();
    let (mut entries, head) =
        erased(&[(0, 2, EntryPart::Payload), (0, 4, EntryPart::Payload), (0, 4, EntryPart::Origin)], &keys);
    assert_eq!(verify(&entries, &head, &keys), Ok(6), "not gone yet");
    take(&mut entries[1], EntryPart::Payload);
    take(&mut entries[3], EntryPart::Payload);
    assert_eq!(verify(&entries, &head, &keys), Ok(6));
    take(&mut entries[3], EntryPart::Origin);
    entries[3].version = 2;
    assert_eq!(verify(&entries, &head, &keys), Ok(6));
    entries[3].version = 3;
    assert_eq!(verify(&entries, &head, &keys).unwrap_err().kind, ChainFaultKind::Altered, "one entry names it");
    entries[3].version = 2;
    // Each part for itself.
    let mut more = entries.clone();
    take(&mut more[1], EntryPart::Origin);
    let fault = verify(&more, &head, &keys).unwrap_err();
    assert_eq!((fault.seq, fault.kind), (2, ChainFaultKind::Blanked));
    // What is back is what it was.
    let (whole, _) = erased(&[], &keys);
    let mut back = entries.clone();
    back[1] = whole[1].clone();
    assert_eq!(verify(&back, &head, &keys), Ok(6));
    back[1].payload.as_mut().unwrap().0["detail"] = "another".into();
    assert_eq!(verify(&back, &head, &keys).unwrap_err().kind, ChainFaultKind::Altered);
}

/// Persons are erased while the log is gone through: an entry may have been read before what a later one says of it.
#[test]
fn usr_13_a_log_is_whole_while_more_is_erased_from_it() {
    let keys = keys();
    let (mut entries, head) = erased(&[(0, 2, EntryPart::Payload)], &keys);
    let mut draft = drafts(&keys).remove(0);
    (draft.action, draft.facts) = (ACTION.to_owned(), facts(&[(0, 2, EntryPart::Origin), (0, 4, EntryPart::Payload)]));
    let (said, head) = seal(0, Some(head), &[draft]).unwrap();
    let head = head.unwrap();
    entries.extend(said);
    take(&mut entries[1], EntryPart::Payload);
    assert_eq!(verify(&entries, &head, &keys), Ok(7), "as it was read before");
    take(&mut entries[1], EntryPart::Origin);
    take(&mut entries[3], EntryPart::Payload);
    assert_eq!(verify(&entries, &head, &keys), Ok(7), "as it is");
    entries[1].version = 2;
    assert_eq!(verify(&entries, &head, &keys).unwrap_err().seq, 2);
}

#[test]
fn usr_13_an_entry_that_nothing_seals_erases_nothing() {
    let keys = keys();
    let (mut entries, head) = first_format();
    entries[2].action = ACTION.to_owned();
    entries[2].facts = Some(Document(json!({"after": {"payloads": [[0, 1]]}})));
    entries[2].hash = hash::entry(&entries[2]);
    take(&mut entries[0], EntryPart::Payload);
    let head = AuditHead { hash: entries[2].hash.clone(), ..head };
    let fault = verify(&entries, &head, &keys).unwrap_err();
    assert_eq!((fault.seq, fault.kind), (1, ChainFaultKind::Blanked));
    // Nor does a sealed one of another kind.
    let (mut entries, _) = sealed(None, &keys);
    let mut draft = drafts(&keys).remove(0);
    draft.facts = facts(&[(0, 1, EntryPart::Payload)]);
    let (_, head) = sealed(None, &keys);
    let (said, head) = seal(0, Some(head), &[draft]).unwrap();
    entries.extend(said);
    take(&mut entries[0], EntryPart::Payload);
    assert_eq!(verify(&entries, &head.unwrap(), &keys).unwrap_err().kind, ChainFaultKind::Blanked);
}

#[test]
fn aud_2_entries_of_the_first_format_stay_whole() {
    let keys = keys();
    let (mut entries, head) = first_format();
    assert_eq!(verify(&entries, &head, &keys), Ok(3));
    // By the definition of that format, worked out elsewhere: it does not change unseen.
    assert_eq!(entries[0].hash, "e35be12fe79a2f926173e06c6c71991c8e90fa8a255d685b025479a13f4f3a15");
    let mut altered = entries.clone();
    altered[1].payload.as_mut().unwrap().0["ip"] = Json::Null;
    assert_eq!(verify(&altered, &head, &keys).unwrap_err().seq, 2);

    // Nothing is written behind a head that nothing seals; it is sealed when the store is opened.
    assert_eq!(seal(0, Some(head.clone()), &drafts(&keys)).unwrap_err().reason(), Reason::Corrupt);
    let adopted_head = adopted(&head, &entries[2], &keys).unwrap();
    assert_eq!(adopted(&adopted_head, &entries[2], &keys), None, "once");
    assert_eq!(verify(&entries, &adopted_head, &keys), Ok(3));
    let (next, last) = sealed(Some(adopted_head), &keys);
    entries.extend(next);
    assert_eq!(verify(&entries, &last, &keys), Ok(8));
    // Behind a sealed entry there is none that is not.
    let (unsealed, _) = first_format();
    let mut mixed = entries.clone();
    mixed[4] = AuditEntry { seq: 5, previous: mixed[3].hash.clone(), ..unsealed[0].clone() };
    mixed[4].hash = hash::entry(&mixed[4]);
    let fault = verify(&mixed, &last, &keys).unwrap_err();
    assert_eq!((fault.seq, fault.kind), (5, ChainFaultKind::Forged));
}

/// Whoever has no key adds no chain of entries: the first format, which nothing seals, had one.
#[test]
fn sec_12_a_further_chain_is_sealed() {
    let keys = keys();
    let (mut entries, mut head) = first_format();
    (head.lane, head.hash) = (7, START.to_owned());
    for entry in &mut entries {
        entry.lane = 7;
        entry.previous = head.hash.clone();
        entry.hash = hash::entry(entry);
        head.hash = entry.hash.clone();
    }
    let fault = verify_from(Verifier::new(7, &keys), entries.iter().map(Record::to_row), &head).unwrap_err();
    assert_eq!((fault.lane, fault.seq, fault.kind), (7, 1, ChainFaultKind::Forged));
}

#[test]
fn sec_12_a_head_is_adopted_only_with_its_last_entry() {
    let own = keys();
    let (entries, head) = sealed(None, &own);
    let mut given = keys();
    given.seal_with(key(b'a', AuditKeeper::Application));
    assert!(adopted(&head, &entries[4], &given).is_some());
    assert_eq!(adopted(&head, &entries[3], &given), None, "another entry");
    let unsealed = AuditHead { key_id: None, mac: None, ..head.clone() };
    assert_eq!(adopted(&unsealed, &entries[4], &given), None, "the entry is sealed, the head no more");
    let moved = AuditHead { seq: 4, hash: entries[3].hash.clone(), ..head.clone() };
    assert_eq!(adopted(&moved, &entries[3], &given), None, "the head is not what was sealed");
    // An application's chain ends with nothing that the store's key sealed.
    let (_, sealed_head) = sealed(None, &given);
    let parts = hash::head(&sealed_head);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let stores = key(b's', AuditKeeper::Store);
    let weaker = AuditHead { key_id: Some(stores.id().into()), mac: Some(stores.mac(&parts)), ..sealed_head };
    assert_eq!(seal(0, Some(weaker), &drafts(&given)).unwrap_err().reason(), Reason::Corrupt);
}

#[test]
fn aud_2_nothing_shows_a_key() {
    let mut keys = keys();
    keys.seal_with(key(b'a', AuditKeeper::Application));
    let shown = format!("{keys:?} {:?}", drafts(&keys)[0]);
    assert!(shown.contains(key(b'a', AuditKeeper::Application).id()));
    assert!(!shown.contains("aaaa") && !shown.contains("97, 97"), "{shown}");
}
