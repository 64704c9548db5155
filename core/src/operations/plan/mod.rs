//! A plan: what an operation reads, decides and wants written, until the engine commits it.
//!
//! | file | holds |
//! |---|---|
//! | `memory` | what was read: nothing is read twice |
//! | `writes` | the write set, and rows that must stay as they are |
//! | `claims` | unique names and guards |
//! | `owned` | what a deletion takes along |
//! | `questions` | what the rules are asked |
//! | `savepoint` | one of many things that leaves nothing where it fails, and what is only to be found out |
//! | `trail` | what the audit log is told |

mod claims;
mod memory;
mod owned;
mod questions;
mod savepoint;
mod trail;
mod writes;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    Access,
    actor::{Actor, ActorKind},
    changes::{self, TargetChange},
    policy::state::PolicyState,
    reads::Reads,
    services::Services,
    target::TargetRow,
};
use crate::{
    audit_chain::{AuditDraft, AuditFacts, AuditPayload},
    model::{
        api_key::ApiKey,
        check::wrong,
        credential::Credential,
        decode::FieldCode,
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        event::EventType,
        id::ChangeSetId,
        noun::Caches,
        record::{Key, Record, Row, Table},
        registry::{Guard, StandsFor},
        session::Session,
        time::Time,
        user::User,
        value::Value,
    },
    rules::RuleSet,
    storage::{ChangeSet, Check, CommitError, Write},
};
pub(super) use {
    memory::Memory,
    owned::{gone_with, owned_by},
    savepoint::{Rehearsal, Savepoint, Supposed},
};

/// One operation being planned.
pub struct Plan<'a> {
    /// What operations need of the store they run in.
    pub services: &'a Services,
    /// Who asks.
    pub actor: &'a Actor,
    /// When; the same moment throughout the plan.
    pub now: Time,
    memory: Memory<'a>,
    writes: Writes,
    checks: BTreeMap<(&'static str, Key), Check>,
    /// A row that was relied on at two versions.
    torn: Option<Check>,
    events: Vec<Event>,
    /// What happened to rows that are not written.
    told: Vec<RowEvent>,
    /// Whether the failed try that was counted last is the first within its minute.
    pub(super) is_first_failure: bool,
    /// What was written over since a savepoint, if there is one.
    undo: Option<Vec<Undo>>,
    refusal: Option<Error>,
    /// Nothing that is personal data is told.
    is_discreet: bool,
    /// The rows are not worth an entry of the audit log.
    is_untold: bool,
    /// What was refused of many things that were to be done.
    refused: Vec<(TargetRow, Error)>,
    /// The caller hears that something is not there which it may not see.
    has_hidden: bool,
    relies_on_policy: bool,
    relies_on_scopes: bool,
    /// Whether there is room for costs of hashes that nothing stored has; what was planned of one account is undone, this is not.
    pub(super) room: BTreeMap<String, Result<()>>,
    /// How often the sessions of everybody had been ended when the plan was begun.
    era: i64,
    /// The same of API keys.
    key_era: i64,
    pub(super) next_policy: Option<Arc<PolicyState>>,
}

/// The rows that a plan writes.
pub(super) type Writes = BTreeMap<(&'static str, Key), PlannedWrite>;

/// A row of the plan as it was before; none: there was none.
type Undo = ((&'static str, Key), Option<PlannedWrite>);

/// A row as it was and will be.
#[derive(Clone)]
pub(super) struct PlannedWrite {
    pub(super) table: &'static Table,
    expected: Option<i64>,
    pub(super) before: Option<Row>,
    pub(super) after: Option<Row>,
    /// What the caller itself asked for, as opposed to what follows from it: its permission is for that.
    pub(super) asked: Option<&'static str>,
    /// What the library itself fills in was found out by the operation: it is no caller's choice.
    pub(super) is_established: bool,
    /// The operation asked the rules itself, about who stands for the row instead of the caller.
    pub(super) is_judged: bool,
}

/// An event of a row that stays as it is.
struct RowEvent {
    event: EventType,
    table: &'static Table,
    row: Row,
    data: Map<String, Json>,
}

/// What the audit log is told beside the operation itself.
struct Event {
    action: String,
    target: Option<(String, String)>,
    facts: AuditFacts,
    payload: AuditPayload,
}

impl<'a> Plan<'a> {
    /// An empty plan.
    pub fn new(services: &'a Services, actor: &'a Actor, now: Time) -> Self {
        Self {
            services,
            actor,
            now,
            memory: Memory::of(&*services.storage),
            writes: BTreeMap::new(),
            checks: BTreeMap::new(),
            torn: None,
            events: Vec::new(),
            told: Vec::new(),
            is_first_failure: true,
            undo: None,
            refusal: None,
            is_discreet: false,
            is_untold: false,
            refused: Vec::new(),
            has_hidden: false,
            relies_on_policy: false,
            relies_on_scopes: false,
            room: BTreeMap::new(),
            era: services.era(),
            key_era: services.key_era(),
            next_policy: None,
        }
    }

    /// The rules by which all of this operation is decided.
    pub fn rules(&self) -> &'a RuleSet {
        &self.actor.policy.rules
    }

    /// Typed reads.
    pub fn reads(&self) -> Reads<'_> {
        Reads::planned(&self.memory, &self.writes)
    }

    /// Ends the operation with an error once the plan (its audit entries, an ended session) is committed.
    pub fn refuse(&mut self, error: Error) {
        self.refusal = Some(error);
    }

    /// The error of a refused operation.
    pub fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// Tells the audit log nothing that is personal data, as it would have to forget it at once.
    pub fn tell_nothing_personal(&mut self) {
        self.is_discreet = true;
    }

    /// Tells the audit log nothing of the rows that are written: of what is done every few seconds, and is nobody's data.
    pub fn tell_of_nothing(&mut self) {
        self.is_untold = true;
    }

    /// Goes on without one of many things, which the rules refuse to do to this target.
    pub fn refuse_one(&mut self, target: TargetRow, error: Error) {
        self.refused.push((target, error));
    }

    /// What was refused of many, for the audit log.
    pub(crate) fn take_refused(&mut self) -> Vec<(TargetRow, Error)> {
        std::mem::take(&mut self.refused)
    }

    /// Relies on what the policy says, whoever asks: under another one it is planned again.
    pub fn rely_on_policy(&mut self) {
        self.relies_on_policy = true;
    }

    /// Relies on which scopes lie within which, whoever asks.
    pub fn rely_on_scopes(&mut self) {
        self.relies_on_scopes = true;
    }

    /// The answer about something that the caller may not see: as if it were not there. The audit log knows better.
    pub fn hide(&mut self, what: &str) -> Error {
        self.has_hidden = true;
        Error::not_found(what)
    }

    /// The same of something that an input refers to.
    pub fn hide_reference(&mut self, field: &str, what: &str) -> Error {
        self.has_hidden = true;
        no_such(field, what)
    }

    /// Whether something was hidden from the caller.
    pub(crate) fn has_hidden(&self) -> bool {
        self.has_hidden
    }

    /// The policy that this plan makes, if it makes one.
    pub fn next_policy(&self) -> Option<Arc<PolicyState>> {
        self.next_policy.clone()
    }

    /// Whether nothing is to be written or said.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty() && self.told.is_empty()
    }

    /// What it changes of the rows that the rules are about, the relations among them.
    pub(crate) async fn changes(&mut self) -> Result<Vec<TargetChange>> {
        let (changes, relied_on) = changes::of(self.rules(), &self.memory, &self.writes).await?;
        relied_on.into_iter().for_each(|check| self.must_be(check));
        Ok(changes)
    }

    /// Whether it changes what somebody may do.
    fn touches_authority(&self) -> bool {
        self.writes.iter().any(|((_, key), planned)| {
            let name = key.0.first().and_then(Value::as_text).unwrap_or_default();
            let is_guard = planned.table.noun.caches.contains(&Caches::Guard);
            let is_of_members = || Guard::stands_for(name) == Some(StandsFor::Members);
            planned.table.noun.carries_authority() || is_guard && !is_of_members()
        })
    }

    /// Whether it was decided by which scopes lie within which, as who asks holds a role in an outer one, or as it changes what somebody
    /// may do or the policy itself. Where nothing can lie within anything, nobody has to look.
    fn rests_on_scopes(&self, is_asked: bool) -> bool {
        let (policy, rules) = (&self.actor.policy, self.rules());
        if IS_PAGE || policy.nesting.version == 0 && !rules.has_nested_kinds() {
            return false;
        }
        let holds_outer = || self.actor.principal().is_some_and(|principal| rules.rests_on_scopes(principal));
        self.relies_on_scopes || self.next_policy.is_some() || self.touches_authority() || is_asked && holds_outer()
    }

    /// The commit, with the audit entries of the operation, where it is one, and what else the log is told.
    ///
    /// # Errors
    /// [`CommitError::Stale`] where a row moved between two reads of it, so that the plan is to be made again.
    pub fn into_change_set(
        mut self,
        operation: Option<&str>,
        access: Access,
        id: ChangeSetId,
    ) -> Result<ChangeSet, CommitError> {
        let actor = self.actor;
        if let ActorKind::User(user) = &actor.kind {
            // A caller who lost its rights since they were read does not write (docs/rules.md, "Giving and
            // administering").
            self.check_key::<Guard>(Guard::key_of(&(Guard::of_user(user.id),)), user.authority);
            if let Some(session) = user.session {
                self.check_key::<Session>(Session::key_of(&(session,)), user.session_version);
                self.rely_on_era_of(user.era);
            }
            if let Some(other) = &user.impersonator {
                self.check_key::<Guard>(Guard::key_of(&(Guard::of_user(other.id),)), other.authority);
                self.check_key::<Session>(Session::key_of(&(other.session,)), Some(other.session_version));
                self.check_key::<User>(User::key_of(&(user.id,)), Some(other.target_version));
            }
            if let Some(relied) = user.foreign {
                self.check_key::<Credential>(Credential::key_of(&(user.id,)), relied.credential);
            }
            if let Some((key, version, era)) = user.key {
                self.check_key::<ApiKey>(ApiKey::key_of(&(key,)), Some(version));
                self.rely_on_key_era_of(era);
            }
        }
        let is_asked = match access {
            Access::Permission(_) | Access::OfKind(_) | Access::Everywhere(_) => !self.actor.is_system(),
            Access::Public | Access::SignedIn | Access::System => matches!(self.actor.kind, ActorKind::User(_)),
        };
        if is_asked || self.relies_on_policy || self.touches_authority() {
            // Decided by this policy: under another one it must be decided anew.
            let version = self.actor.policy.version;
            self.check_key::<Guard>(Guard::key_of(&(Guard::POLICY.to_owned(),)), (version > 0).then_some(version));
        }
        if self.rests_on_scopes(is_asked) {
            let version = self.actor.policy.nesting.version;
            self.check_key::<Guard>(Guard::key_of(&(Guard::SCOPE_TREE.to_owned(),)), (version > 0).then_some(version));
        }
        if let Some(planned) = self.unguarded() {
            let message = format!("{} is written without the guard of its user", planned.table.name);
            return Err(Error::new(Reason::Internal, message).into());
        }
        if let Some(planned) = self.unjoined() {
            let message = format!("{} is written without joining what it belongs to", planned.table.name);
            return Err(Error::new(Reason::Internal, message).into());
        }
        if let Some(Check { table, key, .. }) = self.torn.as_ref().or_else(|| self.overtaken()) {
            return Err(CommitError::Stale { table, key: key.clone() });
        }
        // A row that is written too is checked by its write; it may not even be stored yet.
        self.checks.retain(|row, _| !self.writes.contains_key(row));
        let events = self.events_of_writes(operation.unwrap_or("upkeep"));
        let mut audit = Vec::new();
        if let Some(operation) =
            operation.filter(|_| !self.writes.is_empty() && self.refusal.is_none() && !self.is_untold)
        {
            self.tell_of_writes(operation);
        }
        for event in std::mem::take(&mut self.events) {
            let (target_type, target_id) = event.target.unzip();
            audit.push(AuditDraft {
                on_behalf_of: self.actor.on_behalf_of(),
                session_id: self.actor.session(),
                target_type,
                target_id,
                facts: event.facts,
                payload: if self.is_discreet { AuditPayload::default() } else { event.payload },
                origin: self.actor.request.audited(),
                ..self.services.audit_draft(event.action, self.actor.name(), self.now)?
            });
        }
        let writes = self.writes.into_iter().map(|((_, key), planned)| Write {
            table: planned.table,
            key,
            expected: planned.expected,
            before: planned.before.filter(|_| planned.after.is_some()),
            row: planned.after,
        });
        let checks = self.checks.into_values().collect();
        Ok(ChangeSet { id, at: self.now, writes: writes.collect(), checks, audit, events })
    }
}

/// The lost-update guard of every change: the version that the caller saw, if it says so.
pub(super) fn expect_version(expected: Option<i64>, current: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(Error::new(
            Reason::VersionStale,
            format!("it has changed: version {expected} was expected, {current} is stored; read it again"),
        )),
        _ => Ok(()),
    }
}

/// A reference of the input that leads nowhere the caller may see.
pub fn no_such(field: &str, what: &str) -> Error {
    wrong(field, FieldCode::NotFound, format!("there is no such {what}"))
}
