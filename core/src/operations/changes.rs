//! What a plan changes of the rows that the rules are about, whoever asked for it: found in what it
//! writes, so that no operation can forget to say it.

use super::{
    plan::{Memory, PlannedWrite, Writes},
    target::{self, TargetRow, Tied},
};
use crate::{
    model::{
        error::Result,
        predicate::Predicate,
        record::{Key, Row},
        value::Value,
    },
    rules::RuleSet,
    storage::Check,
};

/// A row that is made, changed or taken away, or whose relations change.
pub(crate) struct TargetChange {
    /// Before; none where it is made.
    pub(crate) before: Option<TargetRow>,
    /// After; none where it goes.
    pub(crate) after: Option<TargetRow>,
    /// The relations that carry authority and change.
    pub(crate) relations: Vec<&'static str>,
    /// What the library itself fills in was found out by the operation.
    pub(crate) is_established: bool,
}

/// The changes of a plan, and the unwritten rows whose relations change: what is decided about them
/// holds only while they stay as they are.
pub(super) async fn of(
    rules: &RuleSet,
    memory: &Memory<'_>,
    writes: &Writes,
) -> Result<(Vec<TargetChange>, Vec<Check>)> {
    let mut changes: Vec<TargetChange> = writes.values().filter_map(change).collect();
    let mut checks = Vec::new();
    for Tied { of: owner, name, link, table } in target::relations() {
        let Some(resource) = owner.noun.resource else { continue };
        // Of rows that each say what they are it is known once they are there.
        if resource.kinds.is_none() && !rules.carries_authority(resource.kind, name) {
            continue;
        }
        for tie in writes.values().filter(|tie| tie.table.name == table.name) {
            // A tie that stays is none that comes or goes.
            let row = match (&tie.before, &tie.after) {
                (Some(row), None) | (None, Some(row)) => row,
                _ => continue,
            };
            let own = table.position(&link.from).map_or(Value::Null, |at| row.0[at].clone());
            let is_of = |target: &TargetRow| {
                target.table.name == owner.name && owner.position(&link.own).is_some_and(|at| target.row.0[at] == own)
            };
            let known = changes.iter_mut().find(|one| [&one.before, &one.after].into_iter().flatten().any(is_of));
            if let Some(known) = known {
                let image = [&known.before, &known.after].into_iter().flatten().next();
                if image.is_some_and(|image| rules.carries_authority(&image.kind, name)) {
                    known.relations.push(name);
                }
                continue;
            }
            // By key where that is what ties refer to, so that a row that was read is not read again.
            let rows = match owner.position(&link.own) {
                Some(at) if owner.key == [at] => {
                    memory.get(owner, &[Key(vec![own])]).await?.into_iter().flatten().collect()
                }
                _ => memory.all(owner, &Predicate::equals(link.own.clone(), own)).await?,
            };
            for row in rows {
                let check = Check { table: owner, key: owner.key_of(&row), expected: Some(owner.version_of(&row)) };
                let target = TargetRow::of_row(resource.kind, owner, row);
                if !rules.carries_authority(&target.kind, name) {
                    continue;
                }
                checks.push(check);
                let (before, after) = (Some(target.clone()), Some(target));
                changes.push(TargetChange { before, after, relations: vec![name], is_established: false });
            }
        }
    }
    Ok((changes, checks))
}

fn change(planned: &PlannedWrite) -> Option<TargetChange> {
    if planned.is_judged {
        return None;
    }
    let kind = planned.asked.or_else(|| target::kind_moved_along(planned.table))?;
    let target = |row: &Option<Row>| {
        let row = row.as_ref().filter(|row| !target::is_deleted(planned.table, row))?.clone();
        Some(TargetRow::of_row(kind, planned.table, row))
    };
    let (before, after) = (target(&planned.before), target(&planned.after));
    Some(TargetChange { before, after, relations: Vec::new(), is_established: planned.is_established })
}
