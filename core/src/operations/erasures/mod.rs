//! The audit log forgets a person: in pieces, as it may be long, and so that it still shows that nothing else was changed (USR-13,
//! decision 043).
//!
//! | file | holds |
//! |---|---|
//! | `about` | what of an entry is about the person |
//! | `rows` | what is kept beside the log |

mod about;
mod rows;

use about::Person;
use serde_json::{Value as Json, json};

use super::{audit, heard::HeardCommits, plan::Plan, reads::Reads, services::Services};
use crate::{
    audit_chain::{
        AuditDraft, AuditEntry, AuditFacts,
        erased::{self, EntryPart, ErasedPart},
        verify::is_as_written,
    },
    model::{
        erasure::Erasure,
        error::{Error, Reason, Result},
        predicate::Predicate,
        record::{Document, Record},
        value::Value,
    },
    storage::{ChangeSet, CommitError, Write},
};

/// What the log says when it is to forget somebody: the operation.
pub(super) const BEGUN: &str = "users.erase";
/// What it says when it has.
const DONE: &str = "users.erased";

/// So many entries are read at a time, and at most as many change in one commit.
const BATCH: u64 = 500;

/// So many batches without anything to erase in them are gone through before that is noted.
const BATCHES: usize = 20;

/// What is erased at a time, of each person.
const PIECES: usize = 20;

/// Whether somebody is being erased.
pub(crate) async fn are_due(services: &Services) -> Result<bool> {
    Ok(!due(services.reads(), services).await?.is_empty())
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forgotten {
    /// There is more to do: run it again soon.
    pub(crate) has_more: bool,
    /// Something is in the way: run it again later.
    pub(crate) is_waiting: bool,
}

/// Goes on with what is being erased; several instances may do so at the same time.
///
/// # Errors
/// Those of the storage; what went before stays gone.
pub(crate) async fn run(services: &Services, commits: &dyn HeardCommits) -> Result<Forgotten> {
    let mut forgotten = Forgotten::default();
    for mut erasure in due(services.reads(), services).await? {
        for piece in 0.. {
            if piece == PIECES {
                forgotten.has_more = true;
                break;
            }
            let Some(step) = step(services, &erasure).await? else {
                forgotten.is_waiting = true;
                break;
            };
            let next = step.next.clone();
            if !step.commit(services, commits, &erasure).await? {
                // Another instance is on it.
                forgotten.is_waiting = true;
                break;
            }
            match next {
                Some(next) => erasure = Erasure { version: erasure.version + 1, ..next },
                None => break,
            }
            // A store in memory is never waited for.
            services.env.sleep(0).await;
        }
    }
    Ok(forgotten)
}

/// Entries without what they say of persons whom the log is still to forget: nobody is shown that meanwhile. None: there is nobody.
pub(super) async fn hidden(plan: &Plan<'_>, entries: &[AuditEntry]) -> Result<Option<Vec<AuditEntry>>> {
    let due = due(plan.reads(), plan.services).await?;
    if due.is_empty() {
        return Ok(None);
    }
    let mut entries = entries.to_vec();
    for person in due.iter().map(Person::of) {
        entries.iter_mut().for_each(|entry| drop(person.take_from(entry, &plan.services.audit_keys)));
    }
    Ok(Some(entries))
}

/// What is being erased. Whoever writes a row alone erases nothing: the log has to say that the user was erased, and not that it is done.
async fn due(reads: Reads<'_>, services: &Services) -> Result<Vec<Erasure>> {
    let mut due = Vec::new();
    for erasure in reads.all::<Erasure>(Predicate::Always).await? {
        let is_of_these = Predicate::set([BEGUN, DONE].map(|action| Value::Text(action.to_owned())));
        let of_user = Predicate::equals("target_id", erasure.user_id.to_string());
        let said: Vec<AuditEntry> = reads.all(of_user.and(Predicate::In("action".into(), is_of_these))).await?;
        let is_said =
            |action| said.iter().any(|entry| entry.action == action && is_as_written(entry, &services.audit_keys));
        if is_said(BEGUN) && !is_said(DONE) {
            due.push(erasure);
        }
    }
    Ok(due)
}

/// What is done in one commit.
#[derive(Default)]
struct Step {
    /// The entries without what was erased of them, and their versions before.
    entries: Vec<(AuditEntry, i64)>,
    /// What was erased.
    places: Vec<ErasedPart>,
    /// Other rows that change or go.
    rows: Vec<Write>,
    /// The invitations among them.
    invitations: Vec<String>,
    /// How far it is then; none: it is done.
    next: Option<Erasure>,
}

/// What is to be done next; none: the storage is in use, so that it has to wait.
async fn step(services: &Services, erasure: &Erasure) -> Result<Option<Step>> {
    let mut person = Person::of(erasure);
    let (mut step, mut next) = (Step::default(), erasure.clone());
    let mut is_end = false;
    for _ in 0..BATCHES {
        is_end = step.read_on(services, &mut person, &mut next).await?;
        if is_end || !step.places.is_empty() {
            break;
        }
    }
    let known = person.known();
    if !is_end || !step.places.is_empty() {
        next.known = next.known.map(|_| Document(known));
    } else if erasure.known.is_none() {
        return Ok(services.storage.scrub().await?.then_some(step));
    } else if known.count() > erasure.known_before {
        // What came before it was learnt may name the person by it, such as an invitation.
        (next.known_before, next.lane, next.seq) = (known.count(), 0, 0);
        next.known = Some(Document(known));
    } else {
        rows::of(services, &person, erasure.user_id, &mut step).await?;
        if step.rows.is_empty() {
            next.known = None;
        }
    }
    step.next = Some(next);
    Ok(Some(step))
}

impl Step {
    /// Goes through the next entries; whether they are the last.
    async fn read_on(&mut self, services: &Services, person: &mut Person, next: &mut Erasure) -> Result<bool> {
        let keys = &services.audit_keys;
        let mut limit = BATCH;
        let after = |next: &Erasure| Some(vec![Value::Int(next.lane), Value::Int(next.seq)]);
        let rows = loop {
            match audit::entries(services, Predicate::Always, after(next), limit).await {
                // One by one, to leave out the one that cannot be read: whoever verifies the log is told of it.
                Err(error) if error.reason() == Reason::Corrupt && limit > 1 => limit = 1,
                Err(error) if error.reason() == Reason::Corrupt => next.seq += 1,
                rows => break rows?,
            }
        };
        let is_end = (rows.len() as u64) < limit;
        for row in rows {
            let place = AuditEntry::TABLE.key_of(&row).0;
            let number = |at: usize| place.get(at).and_then(Value::as_int).unwrap_or_default();
            (next.lane, next.seq) = (number(0), number(1));
            let Ok(mut entry) = AuditEntry::from_row(row) else { continue };
            person.learn(&entry, keys);
            let before = entry.version;
            for part in person.take_from(&mut entry, keys) {
                match part {
                    EntryPart::Payload => next.payloads += 1,
                    EntryPart::Origin => next.origins += 1,
                }
                self.places.push((entry.lane, entry.seq, part));
            }
            if entry.version > before {
                self.entries.push((entry, before));
            }
        }
        Ok(is_end)
    }

    /// Whether it took place.
    async fn commit(self, services: &Services, commits: &dyn HeardCommits, before: &Erasure) -> Result<bool> {
        let now = services.now();
        let said = match &self.next {
            Some(_) => {
                let erased = (!self.places.is_empty()).then(|| (erased::ACTION, erased::facts(&self.places)));
                let ended = (!self.invitations.is_empty()).then(|| ("invitations.erased", named(&self.invitations)));
                erased.into_iter().chain(ended).collect()
            }
            None => vec![(DONE, counted(before))],
        };
        let draft = |(action, facts): (&str, AuditFacts)| {
            let (target_type, target_id) = (Some("user".to_owned()), Some(before.user_id.to_string()));
            let draft = services.audit_draft(action, "system".to_owned(), now)?;
            Ok::<_, Error>(AuditDraft { target_type, target_id, facts, ..draft })
        };
        let audit = said.into_iter().map(draft).collect::<Result<_>>()?;
        let next = self.next.as_ref().map(|next| Erasure { version: before.version + 1, ..next.clone() });
        let (key, expected) = (before.key(), Some(before.version));
        let mut writes =
            vec![Write { table: Erasure::TABLE, key, expected, row: next.as_ref().map(Record::to_row), before: None }];
        writes.extend(self.entries.iter().map(|(entry, before)| {
            let (key, row) = (entry.key(), Some(entry.to_row()));
            Write { table: AuditEntry::TABLE, key, expected: Some(*before), row, before: None }
        }));
        writes.extend(self.rows);
        let change_set =
            ChangeSet { id: services.env.new_id()?, at: now, checks: Vec::new(), writes, audit, events: Vec::new() };
        match commits.commit_heard(change_set).await {
            Ok(_) => Ok(true),
            // Another instance was first, or is not known to have been; the next run sees what is left.
            Err(CommitError::Stale { .. } | CommitError::Unknown) => Ok(false),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

/// What an entry says of invitations that went.
fn named(invitations: &[String]) -> AuditFacts {
    AuditFacts { before: None, after: Some(json!({ "invitations": invitations })) }
}

/// What an entry says when all is done.
fn counted(erasure: &Erasure) -> AuditFacts {
    let counts = [("payloads", erasure.payloads), ("origins", erasure.origins)];
    let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), Json::from(count)));
    AuditFacts { before: None, after: Some(counts.collect()) }
}
