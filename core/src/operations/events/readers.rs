//! Who hears of what.

use std::collections::HashMap;

use crate::{
    model::{
        error::{Reason, Result},
        event::{Readers, StoredEvent},
        id::parse_uuid,
        noun::Events,
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

/// A row that whoever hears of an event may read, and what else it may do to it.
type Asked = (&'static Table, Key, Option<&'static str>);

/// What the caller may read of the rows that events are about: each is looked at once.
pub(super) struct Hearing {
    is_all: bool,
    is_policy: bool,
    /// Rows of the rules, by table and key, with what else is asked, and whether it may read them.
    rows: HashMap<(&'static str, Key, Option<&'static str>), bool>,
}

impl Hearing {
    pub(super) fn of(plan: &Plan<'_>) -> Result<Self> {
        let is_all = plan.actor.is_system() || plan.require_administrator().is_ok();
        let is_policy = is_all || plan.may_everywhere("policy:read")?;
        Ok(Self { is_all, is_policy, rows: HashMap::new() })
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
        let about = |event| asked_about(event).into_iter().flatten().map(move |asked| (asked, event));
        let mut asked: Vec<(Asked, &StoredEvent)> = events.flat_map(about).collect();
        asked.retain(|((table, key, more), _)| !self.rows.contains_key(&(table.name, key.clone(), *more)));
        asked.sort_by(|(a, _), (b, _)| (a.0.name, &a.1, a.2).cmp(&(b.0.name, &b.1, b.2)));
        // The first event of each row stays.
        asked.dedup_by(|(next, _), (first, _)| (next.0.name, &next.1, next.2) == (first.0.name, &first.1, first.2));
        for of_table in asked.chunk_by(|(a, _), (b, _)| a.0.name == b.0.name) {
            for asked in of_table.chunks(ROWS) {
                let Some(((table, ..), _)) = asked.first() else { continue };
                let keys = asked.iter().map(|((_, key, _), _)| key.clone()).collect();
                let rows = plan.reads().rows(table, keys).await?;
                for (((table, key, more), event), row) in asked.iter().zip(rows) {
                    let may = may_read(plan, (table, *more), row, event).await?;
                    self.rows.insert((table.name, key.clone(), *more), may);
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
        Ok(self.is_all
            || match told.readers {
                Readers::Policy => self.is_policy,
                Readers::Own => is_own(plan, event),
                Readers::Rows => asked_about(event).is_some_and(|rows| {
                    let may = |(table, key, more): Asked| self.rows.get(&(table.name, key, more)) == Some(&true);
                    !rows.is_empty() && rows.into_iter().all(may)
                }),
            })
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
fn asked_about(event: &StoredEvent) -> Option<Vec<Asked>> {
    let table = storage::table(&event.table)?;
    let Events::Published(told) = &table.noun.events else { return None };
    if told.readers != Readers::Rows {
        return None;
    }
    if table.noun.resource.is_some() {
        return Some(vec![(table, event.key.clone(), told.asks)]);
    }
    let owner = |owner: &crate::model::noun::Owner| {
        let id = event.data.get(table.columns[owner.column].name)?.as_str()?;
        Some((storage::table(owner.of)?, Key(vec![Value::Id(parse_uuid(id)?)]), told.asks))
    };
    table.noun.owners.iter().map(owner).collect()
}

/// Whether the caller may read a row, and do what else is asked, and where it is gone, to all of its kind.
async fn may_read(
    plan: &Plan<'_>,
    (table, more): (&'static Table, Option<&'static str>),
    row: Option<Row>,
    event: &StoredEvent,
) -> Result<bool> {
    let Some(resource) = table.noun.resource else { return Ok(false) };
    let may = match row.filter(|row| !target::is_deleted(table, row)) {
        Some(row) => {
            let target = TargetRow::of_row(resource.kind, table, row);
            match plan.may(&format!("{}:read", target.kind), &target).await {
                Ok(true) => match more {
                    Some(more) => plan.may(more, &target).await,
                    None => Ok(true),
                },
                may => may,
            }
        }
        None => {
            let kind = match resource.kinds {
                Some(at) => event.data.get(table.columns[at].name).and_then(|kind| kind.as_str()).unwrap_or_default(),
                None => resource.kind,
            };
            match plan.may_everywhere(&format!("{kind}:read")) {
                Ok(true) => more.map_or(Ok(true), |more| plan.may_everywhere(more)),
                may => may,
            }
        }
    };
    match may {
        // A kind that is no more.
        Err(error) if error.reason() == Reason::UnknownPermission => Ok(false),
        may => may,
    }
}
