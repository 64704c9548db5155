//! Times: UTC, microseconds, RFC 3339 on every boundary.

/// A moment (UTC). Stored and compared in microseconds.
pub type Time = jiff::Timestamp;

/// A time cut to whole microseconds, the finest that every backend and language keeps.
pub fn to_micros(time: Time) -> Time {
    Time::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// `time` moved by seconds, or the far end of time where that would overflow.
pub fn plus_seconds(time: Time, seconds: i64) -> Time {
    time.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(if seconds < 0 {
        Time::MIN
    } else {
        Time::MAX
    })
}
