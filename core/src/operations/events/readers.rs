//! Who hears of what.

use std::collections::HashMap;

use crate::{
    model::{
        error::{Reason, Result},
        event::{Readers, StoredEvent},
        id::parse_uuid,
        noun::{Events, Owner},
        record::{Key, Record, Row, Table},
        user::User,
        value::Value,
    },
    operations::{
        plan::Plan,
        target::{self, TargetRow},
    },
    storage,
};

/// So many rows are asked for at a time.
const ROWS: usize = 1_000;

/// What the caller may read of the rows that events are about: each is looked at once.
pub(super) struct Hearing {
    is_all: bool,
    is_policy: bool,
    /// Rows of the rules, by table and key, and whether it may read them.
    rows: HashMap<(&'static str, Key), bool>,
}

impl Hearing {
    pub(super) fn of(plan: &Plan<'_>) -> Result<Self> {
        let is_all = plan.actor.is_system() || plan.require_administrator().is_ok();
        let is_policy = is_all || plan.may_everywhere("policy:read")?;
        Ok(Self { is_all, is_policy, rows: HashMap::new() })
    }

    /// Whether the caller hears of everything.
    pub(super) fn is_all(&self) -> bool {
        self.is_all
    }

    /// Looks at the rows that these events are about.
    pub(super) async fn ask_about(
        &mut self,
        plan: &Plan<'_>,
        events: impl Iterator<Item = &StoredEvent>,
    ) -> Result<()> {
        if self.is_all {
            return Ok(());
        }
        let about = |event| {
            let asked = asked_about(event).into_iter().flatten();
            asked.chain(mentioned(event).map(|(_, user)| user)).map(move |(table, key)| (table, key, event))
        };
        let mut asked: Vec<(&'static Table, Key, &StoredEvent)> = events.flat_map(about).collect();
        asked.retain(|(table, key, _)| !self.rows.contains_key(&(table.name, key.clone())));
        asked.sort_by(|a, b| (a.0.name, &a.1).cmp(&(b.0.name, &b.1)));
        // The first event of each row stays.
        asked.dedup_by(|next, first| next.0.name == first.0.name && next.1 == first.1);
        for of_table in asked.chunk_by(|a, b| a.0.name == b.0.name) {
            for asked in of_table.chunks(ROWS) {
                let Some((table, ..)) = asked.first() else { continue };
                let rows = plan.reads().rows(table, asked.iter().map(|(_, key, _)| key.clone()).collect()).await?;
                for ((table, key, event), row) in asked.iter().zip(rows) {
                    let may = may_read(plan, table, row, event).await?;
                    self.rows.insert((table.name, key.clone()), may);
                }
            }
        }
        Ok(())
    }

    /// Whether the caller hears of an event.
    pub(super) fn hears(&self, plan: &Plan<'_>, event: &StoredEvent) -> Result<bool> {
        let Some(Events::Published(told)) = storage::table(&event.table).map(|table| &table.noun.events) else {
            return Ok(false);
        };
        if self.is_all {
            return Ok(true);
        }
        if let Some(permission) = told.asks
            && !plan.may_everywhere(permission)?
        {
            return Ok(false);
        }
        Ok(match told.readers {
            Readers::Policy => self.is_policy,
            Readers::Own => is_own(plan, event),
            Readers::Rows => asked_about(event)
                .is_some_and(|rows| !rows.is_empty() && rows.into_iter().all(|row| self.may_read(row))),
        })
    }

    /// What the caller is told of an event that it hears of: users whom it may not read are not named, as in what answers with the row.
    pub(super) fn told(&self, plan: &Plan<'_>, mut event: StoredEvent) -> StoredEvent {
        if self.is_all {
            return event;
        }
        let own = plan.actor.user_id().map(|user| Key(vec![Value::Id(user.0)]));
        let named: Vec<_> = mentioned(&event).collect();
        for (field, (table, user)) in named {
            if Some(&user) != own.as_ref() && !self.may_read((table, user)) {
                event.data.remove(field);
            }
        }
        event
    }

    fn may_read(&self, (table, key): (&'static Table, Key)) -> bool {
        self.rows.get(&(table.name, key)) == Some(&true)
    }
}

/// Whether the row belongs to the caller, who asks in person: no key and nobody who acts as its user hears of that.
fn is_own(plan: &Plan<'_>, event: &StoredEvent) -> bool {
    let Some((table, user)) = storage::table(&event.table).zip(plan.actor.in_person()) else { return false };
    let owners = table.noun.owners.iter().filter(|owner| owner.of == User::TABLE.name);
    let mut ids = owners.filter_map(|owner| event.data.get(table.columns[owner.column].name)?.as_str());
    ids.any(|id| parse_uuid(id) == Some(user.0))
}

/// The rows that whoever hears of it may read: itself, or those that it belongs to. None: no row says so.
fn asked_about(event: &StoredEvent) -> Option<Vec<(&'static Table, Key)>> {
    let table = storage::table(&event.table)?;
    let Events::Published(told) = &table.noun.events else { return None };
    if told.readers != Readers::Rows {
        return None;
    }
    if table.noun.resource.is_some() {
        return Some(vec![(table, event.key.clone())]);
    }
    table.noun.owners.iter().map(|owner| Some(named_by(owner, table, event)?.1)).collect()
}

/// The users whom an event names in a row that is read by a right of its own, and is not called by them: the operator of a drone. Each
/// with its field.
fn mentioned(event: &StoredEvent) -> impl Iterator<Item = (&'static str, (&'static Table, Key))> {
    let table = storage::table(&event.table).filter(|table| {
        matches!(&table.noun.events, Events::Published(told) if told.readers == Readers::Rows)
            && table.noun.resource.is_some()
    });
    let owners = table.into_iter().flat_map(|table| table.noun.owners.iter().map(move |owner| (table, owner)));
    owners
        .filter(|(table, owner)| owner.of == User::TABLE.name && !table.key.contains(&owner.column))
        .filter_map(|(table, owner)| named_by(owner, table, event))
}

/// The owner that an event names, and in which field.
fn named_by(
    owner: &Owner,
    table: &'static Table,
    event: &StoredEvent,
) -> Option<(&'static str, (&'static Table, Key))> {
    let field = table.columns[owner.column].name;
    let id = parse_uuid(event.data.get(field)?.as_str()?)?;
    Some((field, (storage::table(owner.of)?, Key(vec![Value::Id(id)]))))
}

/// Whether the caller may read a row, and where it is gone, all of its kind.
async fn may_read(plan: &Plan<'_>, table: &'static Table, row: Option<Row>, event: &StoredEvent) -> Result<bool> {
    let Some(resource) = table.noun.resource else { return Ok(false) };
    let may = match row.filter(|row| !target::is_deleted(table, row)) {
        Some(row) => {
            let target = TargetRow::of_row(resource.kind, table, row);
            plan.may(&format!("{}:read", target.kind), &target).await
        }
        None => {
            let kind = match resource.kinds {
                Some(at) => event.data.get(table.columns[at].name).and_then(|kind| kind.as_str()).unwrap_or_default(),
                None => resource.kind,
            };
            plan.may_everywhere(&format!("{kind}:read"))
        }
    };
    match may {
        // A kind that is no more.
        Err(error) if error.reason() == Reason::UnknownPermission => Ok(false),
        may => may,
    }
}
