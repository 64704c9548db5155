//! The audit log forgets a person: in pieces, as it may be long, and so that it still shows that nothing else was changed (USR-13,
//! decision 043).
//!
//! | file | holds |
//! |---|---|
//! | `about` | what of an entry is about the person |

mod about;

use about::Person;
use serde_json::Value as Json;

use super::{audit, reads::Reads, services::Services};
use crate::{
    audit_chain::{
        AuditDraft, AuditEntry, AuditFacts, AuditOrigin, AuditPayload, AuditSalts,
        erased::{self, Part, Place},
    },
    model::{
        erasure::Erasure,
        error::{Error, Result},
        invitation::Invitation,
        predicate::Predicate,
        record::{Document, Record},
        registration::PendingRegistration,
        registry::Claim,
        value::Value,
    },
    storage::{ChangeSet, CommitError, Query, Window, Write},
};

/// So many entries are read at a time, and at most as many change in one commit.
const BATCH: u64 = 500;

/// So many batches without anything to erase in them are gone through before that is noted.
const BATCHES: usize = 20;

/// What is erased at a time, of each person.
const PIECES: usize = 20;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forgotten {
    /// In so many entries something was erased.
    pub(crate) entries: usize,
    /// There is more to do: run it again soon.
    pub(crate) has_more: bool,
}

/// Whether somebody is being erased.
pub(crate) async fn are_due(services: &Services) -> Result<bool> {
    let window = Window { limit: Some(1), ..Window::default() };
    let query = Query { window, ..Query::of(Erasure::TABLE, Predicate::Always) };
    Ok(!services.storage.query(&query).await?.rows.is_empty())
}

/// Goes on with what is being erased; several instances may do so at the same time.
///
/// # Errors
/// Those of the storage; what went before stays gone.
pub(crate) async fn run(services: &Services) -> Result<Forgotten> {
    let mut forgotten = Forgotten::default();
    let due: Vec<Erasure> = services.reads().all(Predicate::Always).await?;
    for mut erasure in due {
        for _ in 0..PIECES {
            let Some(step) = step(services, &erasure).await? else { break };
            let entries = step.entries.len();
            let next = step.next.clone();
            // Otherwise another instance is on it.
            if !step.commit(services, &erasure).await? {
                break;
            }
            forgotten.entries += entries;
            forgotten.has_more = true;
            match next {
                Some(next) => erasure = next,
                None => break,
            }
        }
    }
    if forgotten.has_more {
        forgotten.has_more = are_due(services).await?;
    }
    Ok(forgotten)
}

/// Those whom the log is still to forget: until it has, nobody is shown what it says of them.
pub(super) async fn being_erased(reads: Reads<'_>) -> Result<Vec<Person>> {
    let due: Vec<Erasure> = reads.all(Predicate::Always).await?;
    Ok(due.iter().map(Person::of).collect())
}

/// What is done in one commit.
struct Step {
    /// The entries without what was erased of them, and their versions before.
    entries: Vec<(AuditEntry, i64)>,
    /// What was erased.
    places: Vec<Place>,
    /// Other rows that change or go.
    rows: Vec<Write>,
    /// How far it is then; none: it is done.
    next: Option<Erasure>,
}

/// What is to be done next; none: the storage is in use, so that it has to wait.
async fn step(services: &Services, erasure: &Erasure) -> Result<Option<Step>> {
    let step = Step { entries: Vec::new(), places: Vec::new(), rows: Vec::new(), next: None };
    if erasure.emails.is_none() {
        return Ok(services.storage.scrub().await?.then_some(step));
    }
    let (mut person, mut next) = (Person::of(erasure), erasure.clone());
    let (mut entries, mut places) = (Vec::new(), Vec::new());
    let mut is_end = false;
    for _ in 0..BATCHES {
        let after = vec![Value::Int(next.lane), Value::Int(next.seq)];
        let rows = audit::entries(services, Predicate::Always, Some(after), BATCH).await?;
        is_end = (rows.len() as u64) < BATCH;
        for row in rows {
            let mut entry = AuditEntry::from_row(row)?;
            (next.lane, next.seq) = (entry.lane, entry.seq);
            person.learn(&entry);
            let before = entry.version;
            let parts = person.take_from(&mut entry);
            if !parts.is_empty() {
                places.extend(parts.into_iter().map(|part| (entry.lane, entry.seq, part)));
                entries.push((entry, before));
            }
        }
        if is_end || !places.is_empty() {
            break;
        }
    }
    let count = |part: Part| places.iter().filter(|(.., of)| *of == part).count() as i64;
    next.payloads += count(Part::Payload);
    next.origins += count(Part::Origin);
    next.emails = Some(Document(person.emails()));
    let mut rows = Vec::new();
    let known = person.emails().len() as i64;
    if is_end && places.is_empty() && known > erasure.known {
        // What came before they were learnt may name them, such as an invitation.
        (next.known, next.lane, next.seq) = (known, 0, 0);
    } else if is_end && places.is_empty() {
        rows = rows_of(services, &person).await?;
        if rows.is_empty() {
            next.emails = None;
        }
    }
    Ok(Some(Step { entries, places, rows, next: Some(next) }))
}

/// What is still kept under the addresses, beside the log: at most so many rows as go in one commit.
async fn rows_of(services: &Services, person: &Person) -> Result<Vec<Write>> {
    let registrations: Vec<PendingRegistration> =
        kept(services, |pending: &PendingRegistration| person.has(&pending.email)).await?;
    let mut rows: Vec<Write> = registrations.iter().map(deleted).collect();
    for invitation in kept(services, |invitation: &Invitation| person.was_invited(invitation)).await? {
        let keys = Claim::keys(Claim::INVITATION, &invitation.email);
        let claims: Vec<Claim> = services.reads().many(keys).await?;
        rows.extend(claims.iter().filter(|claim| claim.owner == invitation.id.to_string()).map(deleted));
        rows.push(deleted(&invitation));
    }
    Ok(rows)
}

/// The rows of a table that pass, at most a batch.
async fn kept<R: Record>(services: &Services, is_of: impl Fn(&R) -> bool) -> Result<Vec<R>> {
    let (mut found, mut after) = (Vec::new(), None);
    while found.len() < BATCH as usize {
        let window = Window { after, skip: 0, limit: Some(BATCH) };
        let query = Query { window, ..Query::of(R::TABLE, Predicate::Always) };
        let rows: Vec<R> = services.reads().query(&query).await?;
        let is_end = (rows.len() as u64) < BATCH;
        after = rows.last().map(|row| row.key().0);
        found.extend(rows.into_iter().filter(|row| is_of(row)));
        if is_end {
            break;
        }
    }
    Ok(found)
}

fn deleted<R: Record>(record: &R) -> Write {
    Write { table: R::TABLE, key: record.key(), expected: Some(record.version()), row: None }
}

impl Step {
    /// Whether it took place.
    async fn commit(self, services: &Services, before: &Erasure) -> Result<bool> {
        let env = &services.env;
        let now = services.now();
        let said = match &self.next {
            Some(_) => (!self.places.is_empty()).then(|| (erased::ACTION, erased::facts(&self.places))),
            None => Some(("users.erased", counted(before))),
        };
        let draft = |(action, facts): (&str, AuditFacts)| {
            let salts = AuditSalts { payload: env.random()?, origin: env.random()? };
            Ok::<_, Error>(AuditDraft {
                id: env.new_id()?,
                at: now,
                action: action.to_owned(),
                actor: "system".to_owned(),
                on_behalf_of: None,
                session_id: None,
                target_type: Some("user".to_owned()),
                target_id: Some(before.user_id.to_string()),
                facts,
                payload: AuditPayload::default(),
                origin: AuditOrigin::default(),
                salts,
                keys: services.audit_keys.clone(),
            })
        };
        let audit = said.map(draft).transpose()?.into_iter().collect();
        let next = self.next.as_ref().map(|next| Erasure { version: before.version + 1, ..next.clone() });
        let (key, expected) = (before.key(), Some(before.version));
        let mut writes = vec![Write { table: Erasure::TABLE, key, expected, row: next.as_ref().map(Record::to_row) }];
        writes.extend(self.entries.iter().map(|(entry, before)| {
            let (key, row) = (entry.key(), Some(entry.to_row()));
            Write { table: AuditEntry::TABLE, key, expected: Some(*before), row }
        }));
        writes.extend(self.rows);
        let change_set = ChangeSet { id: env.new_id()?, at: now, checks: Vec::new(), writes, audit };
        match services.storage.commit(&change_set).await {
            Ok(_) => Ok(true),
            // Another instance was first, or is not known to have been; the next run sees what is left.
            Err(CommitError::Stale { .. } | CommitError::Unknown) => Ok(false),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

/// What an entry says when all is done.
fn counted(erasure: &Erasure) -> AuditFacts {
    let counts = [("payloads", erasure.payloads), ("origins", erasure.origins)];
    let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), Json::from(count)));
    AuditFacts { before: None, after: Some(counts.collect()) }
}
