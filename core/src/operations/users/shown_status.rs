//! Users as they are at a moment: a suspension that has run out counts no more, though its row says so until the next change. Rules and
//! lists read what is shown.

use crate::model::{
    predicate::{Comparison, Name, Predicate},
    record::{Column, Field, Record, Row},
    standing::Standing,
    time::Time,
    user::{User, UserStatus},
    value::Value,
};

/// Users of a status now.
pub(super) fn of_status(status: UserStatus, now: Time) -> Predicate {
    match status {
        UserStatus::Active => Predicate::any([is(status), ended(now).and(is_off().negate())]),
        UserStatus::Inactive => Predicate::any([is(status), ended(now).and(is_off())]),
        UserStatus::Suspended => is(status).and(has_ended(now).negate()),
        UserStatus::Banned | UserStatus::Deleted => is(status),
    }
}

/// A condition about users as they are shown, as one about their rows.
pub(in crate::operations) fn rewrite(condition: Predicate, now: Time) -> Predicate {
    let all = |parts: Vec<Predicate>| parts.into_iter().map(|part| rewrite(part, now)).collect::<Vec<_>>();
    match condition {
        Predicate::And(parts) => Predicate::all(all(parts)),
        Predicate::Or(parts) => Predicate::any(all(parts)),
        Predicate::Not(part) => rewrite(*part, now).negate(),
        part => leaf(part, now),
    }
}

fn leaf(part: Predicate, now: Time) -> Predicate {
    let mut columns = Vec::new();
    part.columns(&mut columns);
    let reads = |column: &str| columns.iter().any(|name| name.as_ref() == column);
    if reads("status") {
        let shown = |status: UserStatus| with_status(&part, status);
        let (active, inactive) = (shown(UserStatus::Active), shown(UserStatus::Inactive));
        let of_ended = Predicate::any([is_off().negate().and(active), is_off().and(inactive)]);
        return Predicate::any([part.and(ended(now).negate()), ended(now).and(of_ended)]);
    }
    if reads("suspended_until") {
        // Beneath a ban it is not shown.
        return part.and(Predicate::any([of_status(UserStatus::Suspended, now), is(UserStatus::Deleted)]));
    }
    if reads("status_reason") {
        return part.and(ended(now).negate());
    }
    part
}

/// What a condition that reads the status says where that is this one.
fn with_status(part: &Predicate, status: UserStatus) -> Predicate {
    let value = || Value::from(status.as_str());
    let is_status = |name: &Name| name.as_ref() == "status";
    let holds = |holds: bool| if holds { Predicate::Always } else { Predicate::Never };
    match part {
        Predicate::Present(_) => Predicate::Always,
        Predicate::Compare(_, comparison, with) => holds(comparison.holds(&value(), with)),
        Predicate::In(_, values) => holds(values.binary_search(&value()).is_ok()),
        Predicate::StartsWith(_, prefix) => holds(status.as_str().starts_with(prefix.as_str())),
        Predicate::CompareColumns(left, comparison, right, _) => match (is_status(left), is_status(right)) {
            (true, true) => holds(comparison.holds(&value(), &value())),
            (true, false) => Predicate::Compare(right.clone(), comparison.flipped(), value()),
            (false, _) => Predicate::Compare(left.clone(), *comparison, value()),
        },
        Predicate::ContainsColumn(set, element, _) if is_status(element) && !is_status(set) => {
            Predicate::Contains(set.clone(), value())
        }
        // It is no set, no address, and ties nothing.
        Predicate::Contains(..)
        | Predicate::ContainsColumn(..)
        | Predicate::InRanges(..)
        | Predicate::Linked(..)
        | Predicate::LinkedToColumn(..) => Predicate::Never,
        // They read no column, or are taken apart before.
        Predicate::Always
        | Predicate::Never
        | Predicate::And(_)
        | Predicate::Or(_)
        | Predicate::Not(_)
        | Predicate::Search(_) => part.clone(),
    }
}

/// The columns of a user's row that are shown as something else at a moment.
pub(in crate::operations) fn differing(row: &Row, now: Time) -> Vec<(&'static Column, Value)> {
    // Most have nothing that could have run out: then nothing is read.
    let until = User::TABLE.position("suspended_until").and_then(|at| row.0.get(at));
    if until.is_none_or(Value::is_null) {
        return Vec::new();
    }
    let Ok(stored) = User::from_row(row.clone()) else { return Vec::new() };
    let shown = stored.shown_at(now).to_row();
    let columns = User::TABLE.columns.iter().zip(shown.0).zip(&row.0);
    columns.filter(|((_, shown), stored)| shown != *stored).map(|(differing, _)| differing).collect()
}

fn is(status: UserStatus) -> Predicate {
    Predicate::equals("status", status.as_str())
}

fn is_off() -> Predicate {
    Predicate::equals("status_before", Standing::OFF.to_value())
}

fn has_ended(now: Time) -> Predicate {
    Predicate::Compare("suspended_until".into(), Comparison::LessOrEqual, Value::Time(now.as_microsecond()))
}

/// Suspensions that have run out.
pub(in crate::operations) fn ended(now: Time) -> Predicate {
    is(UserStatus::Suspended).and(has_ended(now))
}
