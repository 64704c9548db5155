//! Which sessions and API keys are alive. Both are ended one by one, or with those of everybody at once: then the era moves, and
//! what was begun in an earlier one has ended.

use crate::model::{
    id::UserId,
    predicate::{Comparison, Predicate},
    time::Time,
    value::Value,
};

/// Those of a user that were not ended, also those whose time is over: the clock may be ahead.
pub(super) fn not_ended_of(user: UserId, era: i64) -> Predicate {
    let is_of_era = match era {
        0 => Predicate::Always,
        era => Predicate::Compare("era".into(), Comparison::GreaterOrEqual, Value::Int(era)),
    };
    Predicate::all([Predicate::equals("user_id", user.0), Predicate::equals("ended_at", Value::Null), is_of_era])
}

/// Those of a user that were not ended and have time left.
pub(super) fn alive_of(user: UserId, era: i64, now: Time) -> Predicate {
    let now = Value::Time(now.as_microsecond());
    not_ended_of(user, era).and(Predicate::Compare("expires_at".into(), Comparison::Greater, now))
}
