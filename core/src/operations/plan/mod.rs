//! A plan: what an operation reads, decides and wants written, until the engine commits it.

mod memory;
mod owned;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    actor::{Actor, Identity},
    changes::{self, Change},
    policy::state::PolicyState,
    reads::Reads,
    services::Services,
    target::{ResourceRecord, Subject},
};
use crate::{
    audit::{AuditDraft, AuditPayload},
    model::{
        check::wrong,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::{ChangeSetId, UserId},
        noun::{Caches, Upkeep, Words},
        predicate::Predicate,
        record::{Column, Key, Record, Row, Table},
        registry::{Claim, Guard, StandsFor},
        session::Session,
        text,
        time::Time,
        value::Value,
    },
    rules::RuleSet,
    storage::{ChangeSet, Check, CommitError, Write},
};
pub(super) use memory::Memory;

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
    refusal: Option<Error>,
    pub(super) next_policy: Option<Arc<PolicyState>>,
}

/// The rows that a plan writes.
pub(super) type Writes = BTreeMap<(&'static str, Key), Planned>;

/// A row as it was and will be.
pub(super) struct Planned {
    pub(super) table: &'static Table,
    expected: Option<i64>,
    pub(super) before: Option<Row>,
    pub(super) after: Option<Row>,
    /// What the caller itself asked for, as opposed to what follows from it: its permission is for that.
    pub(super) asked: Option<&'static str>,
}

/// What the audit log is told beside the operation itself.
struct Event {
    action: String,
    target: Option<(String, String)>,
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
            refusal: None,
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

    /// Writes a new row that the caller asked for.
    pub fn insert<R: ResourceRecord>(&mut self, record: R) -> R {
        self.write(None::<&R>, record, Some(R::TYPE))
    }

    /// Writes a changed row that the caller asked for; an unchanged one is not written.
    pub fn update<R: ResourceRecord + PartialEq>(&mut self, before: &R, after: R) -> R {
        if *before == after { after } else { self.write(Some(before), after, Some(R::TYPE)) }
    }

    /// Deletes a row that the caller asked for.
    pub fn delete<R: ResourceRecord>(&mut self, record: &R) {
        self.remove(record, Some(R::TYPE));
    }

    /// Writes a row that follows from what was asked.
    pub fn follow<R: Record>(&mut self, before: Option<&R>, after: R) -> R {
        self.write(before, after, None)
    }

    /// Deletes a row, following from what was asked.
    pub fn follow_delete<R: Record>(&mut self, record: &R) {
        self.remove(record, None);
    }

    fn write<R: Record>(&mut self, before: Option<&R>, mut after: R, asked: Option<&'static str>) -> R {
        let version = self.write_row(R::TABLE, before.map(Record::to_row), after.to_row(), asked);
        after.set_version(version);
        after
    }

    /// Plans a row; the version that it will have.
    fn write_row(
        &mut self,
        table: &'static Table,
        before: Option<Row>,
        mut after: Row,
        asked: Option<&'static str>,
    ) -> i64 {
        let expected = before.as_ref().map(|before| table.version_of(before));
        let key = (table.name, table.key_of(&after));
        let slot = self.writes.entry(key).or_insert_with(|| Planned { table, expected, before, after: None, asked });
        // A row that one plan writes twice moves its version once.
        let version = slot.expected.map_or(1, |version| version + 1);
        after.0[table.version] = Value::Int(version);
        slot.after = Some(after);
        slot.asked = slot.asked.or(asked);
        version
    }

    fn remove<R: Record>(&mut self, record: &R, asked: Option<&'static str>) {
        self.remove_row(R::TABLE, record.to_row(), asked);
    }

    fn remove_row(&mut self, table: &'static Table, row: Row, asked: Option<&'static str>) {
        let expected = Some(table.version_of(&row));
        let key = (table.name, table.key_of(&row));
        let slot = self.writes.entry(key);
        let slot = slot.or_insert_with(|| Planned { table, expected, before: Some(row), after: None, asked });
        slot.after = None;
        slot.asked = slot.asked.or(asked);
    }

    /// A row that was read must be unchanged when the plan is committed.
    pub fn check<R: Record>(&mut self, record: &R) {
        self.check_key::<R>(record.key(), Some(record.version()));
    }

    fn check_key<R: Record>(&mut self, key: Key, expected: Option<i64>) {
        self.must_be(Check { table: R::TABLE, key, expected });
    }

    /// Two versions of one row that were both relied on: the row moved while this was planned.
    fn must_be(&mut self, check: Check) {
        let known = self.checks.entry((check.table.name, check.key.clone())).or_insert_with(|| check.clone());
        if known.expected != check.expected {
            self.torn.get_or_insert(check);
        }
    }

    /// A row that the plan relies on at one version and writes over another.
    fn overtaken(&self) -> Option<&Check> {
        self.checks.iter().find_map(|(row, check)| {
            let planned = self.writes.get(row)?;
            // What was read of the plan itself has the version that its write gives it.
            let written = planned.after.as_ref().map(|after| planned.table.version_of(after));
            (check.expected != planned.expected && check.expected != written).then_some(check)
        })
    }

    /// Relies on what a guard stands for: whoever changes it meanwhile makes this plan stale.
    pub async fn rely_on(&mut self, guard: &str) -> Result<()> {
        let version = self.reads().guard(guard).await?;
        self.check_key::<Guard>(Guard::key_of(&(guard.to_owned(),)), version);
        Ok(())
    }

    /// Changes what a guard stands for: plans that rely on it become stale.
    pub async fn move_guard(&mut self, guard: &str) -> Result<()> {
        self.move_guards(vec![guard.to_owned()]).await
    }

    /// The same of several, in one read.
    pub async fn move_guards(&mut self, guards: Vec<String>) -> Result<()> {
        self.read_ahead::<Guard>(guards.iter().map(|guard| (guard.clone(),)).collect()).await?;
        for name in guards {
            if !self.is_moved(&name) {
                let before = self.reads().get::<Guard>(&(name.clone(),)).await?;
                let after = before.clone().unwrap_or(Guard { name, version: 0 });
                self.write(before.as_ref(), after, None);
            }
        }
        Ok(())
    }

    /// Whether the plan moves a guard already.
    pub fn is_moved(&self, guard: &str) -> bool {
        self.writes.contains_key(&(Guard::TABLE.name, Guard::key_of(&(guard.to_owned(),))))
    }

    /// What a user may do changes.
    pub async fn move_authority(&mut self, user: UserId) -> Result<()> {
        self.move_guard(&Guard::of_user(user)).await
    }

    /// The same of several users, in one read.
    pub async fn move_authority_of(&mut self, users: Vec<UserId>) -> Result<()> {
        self.move_guards(users.into_iter().map(Guard::of_user).collect()).await
    }

    /// Reads rows that will be needed one by one, in one call.
    pub async fn read_ahead<R: Record>(&self, keys: Vec<R::Key>) -> Result<()> {
        let keys: Vec<Key> = keys.iter().map(R::key_of).collect();
        self.memory.get(R::TABLE, &keys).await.map(|_| ())
    }

    /// Reads who has unique names that will be claimed or let go, in one call.
    pub async fn look_up(&self, names: &[(&'static str, Option<&str>)]) -> Result<()> {
        let names = names.iter().filter_map(|(kind, name)| Some(((*kind).to_owned(), text::canonical((*name)?))));
        self.read_ahead::<Claim>(names.collect()).await
    }

    /// Takes a unique name, or says which field names a taken one.
    pub async fn claim(&mut self, kind: &'static str, name: &str, owner: impl ToString) -> Result<()> {
        let owner = owner.to_string();
        let claim = Claim { kind: kind.to_owned(), name: text::canonical(name), owner, version: 0 };
        match self.reads().get::<Claim>(&(claim.kind.clone(), claim.name.clone())).await? {
            Some(existing) if existing.owner == claim.owner => Ok(()),
            Some(_) => Err(Error::taken(kind)),
            None => {
                self.write(None, claim, None);
                Ok(())
            }
        }
    }

    /// Lets a unique name go.
    pub async fn release(&mut self, kind: &'static str, name: &str, owner: impl ToString) -> Result<()> {
        let key = (kind.to_owned(), text::canonical(name));
        if let Some(claim) = self.reads().get::<Claim>(&key).await?
            && claim.owner == owner.to_string()
        {
            self.remove(&claim, None);
        }
        Ok(())
    }

    /// Exchanges a unique name, if it changed.
    pub async fn rename(
        &mut self,
        kind: &'static str,
        before: Option<&str>,
        after: Option<&str>,
        owner: impl ToString,
    ) -> Result<()> {
        let owner = owner.to_string();
        if before.map(text::canonical) == after.map(text::canonical) {
            return Ok(());
        }
        self.look_up(&[(kind, before), (kind, after)]).await?;
        if let Some(after) = after {
            self.claim(kind, after, &owner).await?;
        }
        match before {
            Some(before) => self.release(kind, before, &owner).await,
            None => Ok(()),
        }
    }

    /// Tells the audit log of something beside the operation itself.
    pub fn audit(&mut self, action: &str, target: Option<(&str, String)>, detail: Option<String>) {
        self.events.push(Event {
            action: action.to_owned(),
            target: target.map(|(kind, id)| (kind.to_owned(), id)),
            payload: AuditPayload { detail, ..AuditPayload::default() },
        });
    }

    /// Ends the operation with an error once the plan (its audit entries, an ended session) is committed.
    pub fn refuse(&mut self, error: Error) {
        self.refusal = Some(error);
    }

    /// The error of a refused operation.
    pub fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// Which rows of a type the caller may see by a permission.
    pub fn visible(&self, permission: &str) -> Result<Predicate> {
        let Some(principal) = self.actor.principal() else { return Ok(Predicate::Always) };
        let rules = self.rules();
        let filter = rules.filter(principal, rules.permission(permission)?, &self.actor.request.values, self.now)?;
        filter.into_predicate(self.now)
    }

    /// A row as the rules read it, as it is stored, with the relations that the policy reads.
    pub async fn resource<'s>(&self, subject: &'s Subject) -> Result<crate::rules::Resource<'s>> {
        subject.image(self.rules(), &self.memory, None).await
    }

    /// Whether the caller may do this to a row as it is stored.
    pub async fn may(&self, permission: &str, subject: &Subject) -> Result<bool> {
        self.may_to(permission, subject, None).await
    }

    /// Whether the caller may do this to a row as the plan leaves it, its relations included.
    pub async fn may_after(&self, permission: &str, subject: &Subject) -> Result<bool> {
        self.may_to(permission, subject, Some(&self.writes)).await
    }

    async fn may_to(&self, permission: &str, subject: &Subject, planned: Option<&Writes>) -> Result<bool> {
        let Some(principal) = self.actor.principal() else { return Ok(true) };
        let rules = self.rules();
        let resource = subject.image(rules, &self.memory, planned).await?;
        let question = crate::rules::Question {
            principal,
            permission: rules.permission(permission)?,
            fields: &[],
            resource: Some(&resource),
            context: &self.actor.request.values,
            now: self.now,
        };
        Ok(rules.decide(&question)?.is_allowed())
    }

    /// Only holders of `admin:all`, and the host.
    pub fn require_administrator(&self) -> Result<()> {
        let is_administrator =
            self.actor.principal().is_none_or(|principal| self.rules().holds_admin(principal, self.now));
        if is_administrator { Ok(()) } else { Err(Error::new(Reason::Denied, "only administrators may do this")) }
    }

    /// The policy that this plan makes, if it makes one.
    pub fn next_policy(&self) -> Option<Arc<PolicyState>> {
        self.next_policy.clone()
    }

    /// Whether nothing is to be written or said.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }

    /// What it changes of the rows that the rules are about, the relations among them.
    pub(crate) async fn changes(&mut self) -> Result<Vec<Change>> {
        let (changes, relied_on) = changes::of(self.rules(), &self.memory, &self.writes).await?;
        relied_on.into_iter().for_each(|check| self.must_be(check));
        Ok(changes)
    }

    /// The audit entries of the rows: those of the operation's own area under its name, what it takes along
    /// under the words that such a change has, and by which operation; the operation without a target
    /// where no row is its own.
    fn tell_of_writes(&mut self, operation: &str) {
        let own_area = operation.split('.').next().unwrap_or_default();
        let mut writes: Vec<&Planned> = self.writes.values().collect();
        writes.sort_by_key(|planned| planned.asked.is_none());
        let rows = writes.into_iter().filter_map(|planned| {
            let words = planned.table.noun.words()?;
            if planned.asked.is_none() && is_upkeep(planned) {
                return None;
            }
            let (before, after) = changed_fields(planned);
            let row = planned.after.as_ref().or(planned.before.as_ref())?.clone();
            let id = Subject { kind: words.kind, table: planned.table, row }.id();
            let is_own = match words.is_policy {
                true => action(words, planned) == operation,
                false => planned.asked.is_some() && words.area == own_area,
            };
            let action = if is_own { operation.to_owned() } else { action(words, planned) };
            let detail = (!is_own).then(|| format!("by {operation}"));
            let payload = AuditPayload { before, after, detail, ..AuditPayload::default() };
            Some(Event { action, target: Some((words.kind.to_owned(), id)), payload })
        });
        let mut own: Vec<Event> = rows.collect();
        if !own.iter().chain(&self.events).any(|event| event.action == operation) {
            own.insert(0, Event { action: operation.to_owned(), target: None, payload: AuditPayload::default() });
        }
        self.events.splice(0..0, own);
    }

    /// Whether it changes what somebody may do.
    fn touches_authority(&self) -> bool {
        self.writes.iter().any(|((_, key), planned)| {
            let name = key.0.first().and_then(Value::as_text).unwrap_or_default();
            let is_guard = planned.table.noun.caches.contains(&Caches::Guard);
            let is_of_a_region = || Guard::stands_for(name) == Some(StandsFor::Region);
            planned.table.noun.carries_authority() || is_guard && !is_of_a_region()
        })
    }

    /// The commit, with the operation's own audit entries.
    ///
    /// # Errors
    /// [`CommitError::Stale`] where a row moved between two reads of it, so that the plan is to be made anew.
    pub fn into_change_set(mut self, operation: &str, id: ChangeSetId) -> Result<ChangeSet, CommitError> {
        let actor = self.actor;
        if let Identity::User(user) = &actor.identity {
            // A caller who lost its rights since they were read does not write (RBAC.md, "Constraints").
            self.check_key::<Guard>(Guard::key_of(&(Guard::of_user(user.id),)), user.authority);
            if let Some(session) = user.session {
                self.check_key::<Session>(Session::key_of(&(session,)), user.session_version);
            }
        }
        if matches!(self.actor.identity, Identity::User(_)) || self.touches_authority() {
            // Decided by this policy: under another one it must be decided anew.
            let version = self.actor.policy.version;
            self.check_key::<Guard>(Guard::key_of(&(Guard::POLICY.to_owned(),)), (version > 0).then_some(version));
        }
        if let Some(planned) = self.unguarded() {
            let message = format!("{operation} writes {} without the guard of its user", planned.table.name);
            return Err(Error::new(Reason::Internal, message).into());
        }
        if let Some(Check { table, key, .. }) = self.torn.as_ref().or_else(|| self.overtaken()) {
            return Err(CommitError::Stale { table, key: key.clone() });
        }
        // A row that is written too is checked by its write; it may not even be stored yet.
        self.checks.retain(|row, _| !self.writes.contains_key(row));
        let env = &self.services.env;
        let mut audit = Vec::new();
        if !self.writes.is_empty() && self.refusal.is_none() {
            self.tell_of_writes(operation);
        }
        for event in std::mem::take(&mut self.events) {
            let (target_type, target_id) = event.target.unzip();
            audit.push(AuditDraft {
                id: env.new_id()?,
                at: self.now,
                action: event.action,
                actor: self.actor.name(),
                target_type,
                target_id,
                payload: AuditPayload {
                    ip: self.actor.request.ip.clone(),
                    user_agent: self.actor.request.user_agent.clone(),
                    ..event.payload
                },
                salt: env.random()?,
            });
        }
        let writes = self.writes.into_iter().map(|((_, key), planned)| Write {
            table: planned.table,
            key,
            expected: planned.expected,
            row: planned.after,
        });
        Ok(ChangeSet { id, at: self.now, writes: writes.collect(), checks: self.checks.into_values().collect(), audit })
    }
}

/// What the audit log calls a change of a row.
fn action(words: &Words, planned: &Planned) -> String {
    let [made, changed, gone] = words.verbs;
    let verb = match (&planned.before, &planned.after) {
        (None, _) => made,
        (Some(_), Some(_)) => changed,
        (Some(_), None) => gone,
    };
    format!("{}.{verb}", words.area)
}

/// Whether nothing changed but what the library keeps for itself: a sign-in's time is told by the sign-in.
fn is_upkeep(planned: &Planned) -> bool {
    let (Some(before), Some(after)) = (&planned.before, &planned.after) else { return false };
    let columns = planned.table.columns.iter().zip(before.0.iter().zip(&after.0));
    let mut changed = columns.filter(|(_, (before, after))| before != after);
    changed.all(|(column, _)| matches!(column.upkeep, Upkeep::Kept | Upkeep::SignIn))
}

/// The fields that differ, before and after; a created or deleted row whole.
fn changed_fields(planned: &Planned) -> (Option<serde_json::Value>, Option<serde_json::Value>) {
    let differs = |at: usize| match (&planned.before, &planned.after) {
        (Some(before), Some(after)) => before.0[at] != after.0[at],
        _ => true,
    };
    let fields = |row: &Option<Row>| {
        row.as_ref().map(|row| {
            let columns = planned.table.columns.iter().zip(&row.0).enumerate();
            let told = |at: usize, column: &Column| at != planned.table.version && !column.secret;
            let fields = columns.filter(|(at, (column, _))| differs(*at) && told(*at, column));
            fields.map(|(_, (column, value))| (column.name.to_owned(), value.to_json())).collect()
        })
    };
    (fields(&planned.before), fields(&planned.after))
}

/// The lost-update guard of every change: the version that the caller saw, if it says so.
pub(super) fn expect_version(expected: Option<i64>, current: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(Error::new(
            Reason::VersionStale,
            format!("it was changed meanwhile: version {expected} was expected, {current} is stored; read it again"),
        )),
        _ => Ok(()),
    }
}

/// A reference of the input that leads nowhere the caller may see.
pub fn no_such(field: &str, what: &str) -> Error {
    wrong(field, FieldCode::NotFound, format!("there is no such {what}"))
}
