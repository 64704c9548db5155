//! Times: UTC, microseconds, RFC 3339 on every boundary.

/// A moment (UTC). Stored and compared in microseconds.
pub type Time = jiff::Timestamp;

/// A text that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTime {
    /// Of another form.
    #[error("expected a time as in RFC 3339, such as 2026-01-31T12:00:00Z")]
    Form,
    /// Of the right form, and too early or too late.
    #[error("must lie in the years 1 to 9999")]
    Range,
}

/// A time as in RFC 3339 and in no other form, cut to whole microseconds.
pub fn parse(text: &str) -> Result<Time, NoTime> {
    if !is_rfc_3339(text) {
        return Err(NoTime::Form);
    }
    let time = to_micros(text.parse::<Time>().map_err(|_| NoTime::Form)?);
    if is_in_range(time) { Ok(time) } else { Err(NoTime::Range) }
}

/// `2026-01-31T12:00:00.5+01:00`; whether there is such a day and hour, the library for times tells.
fn is_rfc_3339(text: &str) -> bool {
    const DATE_TIME: &str = "0000-00-00T00:00:00";
    let is_like = |text: &str, form: &str| {
        let fits = |(byte, form): (u8, u8)| match form {
            b'0' => byte.is_ascii_digit(),
            b'T' => byte.eq_ignore_ascii_case(&b'T'),
            b'+' => matches!(byte, b'+' | b'-'),
            other => byte == other,
        };
        text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
    };
    let Some((date_time, rest)) = text.split_at_checked(DATE_TIME.len()) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    is_like(date_time, DATE_TIME) && (zone.eq_ignore_ascii_case("z") || is_like(zone, "+00:00"))
}

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

fn is_in_range(time: Time) -> bool {
    // Years 1 to 9999.
    (-62_135_596_800..253_402_300_800).contains(&time.as_second())
}

#[cfg(test)]
mod tests {
    use super::{NoTime, parse};

    #[test]
    fn times_are_written_as_in_rfc_3339_alone() {
        for right in [
            "2026-01-01T00:00:00Z",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00.123456789Z",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00.5-23:59",
            "0001-01-01T00:00:00Z",
        ] {
            assert!(parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "20260101T000000Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+01",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00Z[UTC]",
            "2026-01-01T00:00:00+01:00[Europe/Vienna]",
            "+002026-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-W01-1T00:00:00Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-0\u{661}T00:00:00Z",
        ] {
            assert_eq!(parse(wrong), Err(NoTime::Form), "{wrong}");
        }
        assert_eq!(parse("0000-12-31T23:59:59Z"), Err(NoTime::Range));
    }
}
