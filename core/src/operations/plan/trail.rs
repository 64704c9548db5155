//! What the audit log is told: of the rows, in the words of their declarations, and of what else happened. And the events of the rows.

use std::fmt::Display;

use serde_json::Value as Json;

use super::{Event, Plan, PlannedWrite, RowEvent};
use crate::{
    audit_chain::{AuditFacts, AuditPayload},
    model::{
        attributes,
        credential::Credential,
        event::{EventType, RowChange, StoredEvent},
        id::UserId,
        noun::{Upkeep, Words},
        proof::Proof,
        record::{Column, Record, Row},
        value::Value,
    },
    operations::target::TargetRow,
};

impl Plan<'_> {
    /// Tells the audit log of something beside the operation itself.
    pub fn audit(&mut self, action: &str, target: Option<(&str, String)>, detail: Option<String>) {
        self.events.push(Event {
            action: action.to_owned(),
            target: target.map(|(kind, id)| (kind.to_owned(), id)),
            facts: AuditFacts::default(),
            payload: AuditPayload::of_detail(detail),
        });
    }

    /// Tells the audit log of something whose target is a user's from now on.
    pub fn audit_of(&mut self, action: &str, (kind, id): (&str, String), user: UserId) {
        let after = [("user_id".to_owned(), Json::from(user.to_string()))];
        self.events.push(Event {
            action: action.to_owned(),
            target: Some((kind.to_owned(), id)),
            facts: AuditFacts { before: None, after: Some(after.into_iter().collect()) },
            payload: AuditPayload::default(),
        });
    }

    /// Tells the audit log which sessions or keys of a user ended, and why, as something else was done to the account.
    pub fn audit_ended(&mut self, area: &str, user: UserId, why: String, ids: Vec<impl Display>) {
        let ids: Json = ids.iter().map(ToString::to_string).collect();
        let after = [("reason", why.into()), (area, ids)].map(|(name, value)| (name.to_owned(), value));
        self.events.push(Event {
            action: format!("{area}.ended"),
            target: Some(("user".to_owned(), user.to_string())),
            facts: AuditFacts { before: None, after: Some(after.into_iter().collect()) },
            payload: AuditPayload::default(),
        });
    }

    /// Tells others of something that happened to a row without changing it.
    pub fn tell<R: Record>(&mut self, event: EventType, row: &R, data: &[(&str, &str)]) {
        let data = data.iter().map(|(name, value)| ((*name).to_owned(), Json::from(*value))).collect();
        self.told.push(RowEvent { event, table: R::TABLE, row: row.to_row(), data });
    }

    /// Tells the audit log that nobody was signed in, and why; and others once a minute that somebody tried, of an account that there is.
    pub fn login_failed(
        &mut self,
        action: &str,
        user: Option<UserId>,
        credential: Option<&Credential>,
        (by, why): (Proof, &str),
    ) {
        self.audit(action, user.map(|user| ("user", user.to_string())), Some(why.to_owned()));
        if let Some(credential) = credential.filter(|one| Some(one.user_id) == user && self.is_first_failure) {
            self.tell(EventType::LoginFailed, credential, &[("by", by.as_str())]);
        }
    }

    /// What others are told of the rows, as their records declare it: first of those that were asked for.
    pub(super) fn events_of_writes(&self, cause: &str) -> Vec<StoredEvent> {
        let actor = self.actor.name();
        let mut writes: Vec<&PlannedWrite> = self.writes.values().collect();
        writes.sort_by_key(|planned| planned.asked.is_none());
        let changes = writes.into_iter().map(|planned| {
            let (before, after) = (planned.before.as_ref(), planned.after.as_ref());
            RowChange { table: planned.table, before, after }.events(cause, &actor)
        });
        let told = self.told.iter().filter_map(|told| {
            let change = RowChange { table: told.table, before: None, after: Some(&told.row) };
            change.event_of_unchanged(told.event, told.data.clone(), cause, &actor)
        });
        changes.flatten().chain(told).collect()
    }

    /// The audit entries of the rows: those of the operation's own area under its name, what it takes along
    /// under the words that such a change has, and by which operation; the operation without a target
    /// where no row is its own.
    pub(super) fn tell_of_writes(&mut self, operation: &str) {
        let own_area = operation.split('.').next().unwrap_or_default();
        let mut writes: Vec<&PlannedWrite> = self.writes.values().collect();
        writes.sort_by_key(|planned| planned.asked.is_none());
        let rows = writes.into_iter().filter_map(|planned| {
            let words = planned.table.noun.words()?;
            if planned.asked.is_none() && is_upkeep(planned) {
                return None;
            }
            let (facts, personal) = changed_fields(planned);
            let row = planned.after.as_ref().or(planned.before.as_ref())?.clone();
            let id = TargetRow { kind: words.kind.into(), table: planned.table, row }.id();
            let is_own = match words.is_policy {
                true => action(words, planned) == operation,
                false => planned.asked.is_some() && words.area == own_area,
            };
            let action = if is_own { operation.to_owned() } else { action(words, planned) };
            let detail = (!is_own).then(|| format!("by {operation}"));
            let payload = AuditPayload { detail, ..personal };
            Some(Event { action, target: Some((words.kind.to_owned(), id)), facts, payload })
        });
        let mut own: Vec<Event> = rows.collect();
        if !own.iter().chain(&self.events).any(|event| event.action == operation) {
            let (facts, payload) = (AuditFacts::default(), AuditPayload::default());
            own.insert(0, Event { action: operation.to_owned(), target: None, facts, payload });
        }
        self.events.splice(0..0, own);
    }
}

/// What the audit log calls a change of a row.
fn action(words: &Words, planned: &PlannedWrite) -> String {
    let [made, changed, gone] = words.verbs;
    let verb = match (&planned.before, &planned.after) {
        (None, _) => made,
        (Some(_), Some(_)) => changed,
        (Some(_), None) => gone,
    };
    format!("{}.{verb}", words.area)
}

/// Whether nothing changed but what the library keeps for itself: nobody is told of that.
fn is_upkeep(planned: &PlannedWrite) -> bool {
    let (Some(before), Some(after)) = (&planned.before, &planned.after) else { return false };
    let columns = planned.table.columns.iter().zip(before.0.iter().zip(&after.0));
    let mut changed = columns.filter(|(_, (before, after))| before != after);
    changed.all(|(column, _)| column.upkeep == Upkeep::Kept)
}

/// The fields that differ, before and after, of a created or deleted row all that have a value: what is no personal data, and the rest.
fn changed_fields(planned: &PlannedWrite) -> (AuditFacts, AuditPayload) {
    let differs = |at: usize| match (&planned.before, &planned.after) {
        (Some(before), Some(after)) => before.0[at] != after.0[at],
        (Some(row), None) | (None, Some(row)) => !row.0[at].is_null(),
        (None, None) => false,
    };
    let fields = |row: &Option<Row>, of_facts: bool| {
        row.as_ref().map(|row| {
            let columns = planned.table.columns.iter().zip(&row.0).enumerate();
            let is_told = |at: usize, column: &Column| {
                at != planned.table.version && !column.secret && column.is_fact() == of_facts
            };
            let fields = columns.filter(|(at, (column, _))| differs(*at) && is_told(*at, column));
            fields
                .map(|(at, (column, value))| (column.name.to_owned(), audited_value(planned, at, column, value)))
                .collect::<Json>()
        })
    };
    let [before, after] = [&planned.before, &planned.after];
    let some =
        |fields: Option<Json>| fields.filter(|fields| fields.as_object().is_some_and(|fields| !fields.is_empty()));
    let facts = AuditFacts { before: some(fields(before, true)), after: some(fields(after, true)) };
    let personal =
        AuditPayload { before: fields(before, false), after: fields(after, false), ..AuditPayload::default() };
    (facts, personal)
}

/// A value as the log tells it: of attributes those that differ.
fn audited_value(planned: &PlannedWrite, at: usize, column: &Column, value: &Value) -> Json {
    let (Some(before), Some(after)) = (&planned.before, &planned.after) else { return value.to_json() };
    if column.name != attributes::COLUMN {
        return value.to_json();
    }
    let [before, after] = [before, after].map(|row| attributes::of_value(&row.0[at]));
    let differs = |member: &String| before.get(member) != after.get(member);
    attributes::of_value(value).into_iter().filter(|(member, _)| differs(member)).collect()
}
