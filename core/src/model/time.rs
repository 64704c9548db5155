//! Times: UTC, microseconds, RFC 3339 on every boundary.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// A moment: UTC, whole microseconds, in the years 1 to 9999.
///
/// Written as in RFC 3339, and convertible from and to [`SystemTime`]. `9999-12-31T23:59:59Z`, often used for "for ever", is
/// in range.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The error for a text or number that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimeError {
    /// It does not have the form of RFC 3339.
    #[error("expected a time with a time zone as in RFC 3339, such as 2026-01-31T12:00:00Z")]
    Form,
    /// It has the right form, but is out of range.
    #[error("must be in the years 1 to 9999")]
    Range,
}

impl Time {
    /// The first, 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800 * MICROS);
    /// The last, 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_800 * MICROS - 1);
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// The current time of the system's clock. Stores use the clock of their
    /// [`Environment`](crate::environment::Environment).
    pub fn now() -> Self {
        #[allow(clippy::disallowed_methods, reason = "who calls this is asked instead")]
        let now = jiff::Timestamp::now();
        Self::nearest(now.as_microsecond())
    }

    /// The time this many seconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ParseTimeError::Range`]
    pub fn from_second(second: i64) -> Result<Self, ParseTimeError> {
        Self::from_microsecond(second.saturating_mul(MICROS))
    }

    /// The time this many milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ParseTimeError::Range`]
    pub fn from_millisecond(millisecond: i64) -> Result<Self, ParseTimeError> {
        Self::from_microsecond(millisecond.saturating_mul(1000))
    }

    /// The time this many microseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ParseTimeError::Range`]
    pub fn from_microsecond(microsecond: i64) -> Result<Self, ParseTimeError> {
        let time = Self(microsecond);
        if (Self::MIN..=Self::MAX).contains(&time) { Ok(time) } else { Err(ParseTimeError::Range) }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_second(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Whole milliseconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_millisecond(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_microsecond(self) -> i64 {
        self.0
    }

    /// The time this much later, truncated to whole microseconds; none if it is out of range.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let micros = i64::try_from(duration.as_micros()).ok()?;
        Self::from_microsecond(self.0.checked_add(micros)?).ok()
    }

    /// The time moved by seconds, clamped to the range.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::nearest(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }

    /// Date and time of day in UTC.
    pub fn date_time(self) -> DateTime {
        let Civil { year, month, day, hour, minute, second, micros } = self.civil();
        let nanos = i32::try_from(micros * 1000).unwrap_or_default();
        let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|part| part as i8);
        // Every moment of the years 1 to 9999 is one.
        DateTime::new(year as i16, month, day, hour, minute, second, nanos).unwrap_or_default()
    }

    fn civil(self) -> Civil {
        let (seconds, micros) = (self.as_second(), self.0.rem_euclid(MICROS));
        let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
        // Years that begin in March, so that a leap day is the last of its year; of 400 such years one is as long as
        // another. See https://howardhinnant.github.io/date_algorithms.html#civil_from_days
        let days = days + DAYS_BEFORE_1970;
        let (cycle, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = cycle * 400 + year + after;
        Civil { year, month, day, hour: second / 3_600, minute: second / 60 % 60, second: second % 60, micros }
    }

    fn nearest(micros: i64) -> Self {
        Self(micros).clamp(Self::MIN, Self::MAX)
    }
}

/// Date and time of day. The library for times does this as well, but for all that it can do otherwise a page pays 9 KB.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

const DAYS_OF_400_YEARS: i64 = 146_097;
/// Since 0000-03-01.
const DAYS_BEFORE_1970: i64 = 719_468;

impl Civil {
    /// None: there is no such day or time of day.
    fn checked(self) -> Option<Self> {
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let days = match self.month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let is_day = (1..=12).contains(&self.month) && (1..=days).contains(&self.day);
        // A leap second is the second before it.
        let is_time = self.hour < 24 && self.minute < 60 && self.second <= 60;
        (is_day && is_time).then_some(Self { second: self.second.min(59), ..self })
    }

    /// Since 1970, in UTC; see [`Time::civil`].
    fn as_microsecond(&self) -> i64 {
        let (year, month) = if self.month > 2 { (self.year, self.month - 3) } else { (self.year - 1, self.month + 9) };
        let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 + self.day - 1;
        let days = cycle * DAYS_OF_400_YEARS + day - DAYS_BEFORE_1970;
        (days * SECONDS_A_DAY + self.hour * 3_600 + self.minute * 60 + self.second) * MICROS + self.micros
    }
}

/// As in RFC 3339, in UTC: `2026-01-31T12:00:00.5Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, micros } = self.civil();
        let mut text = *b"0000-00-00T00:00:00.000000";
        for (part, end) in [(year, 4), (month, 7), (day, 10), (hour, 13), (minute, 16), (second, 19), (micros, 26)] {
            let (mut rest, mut at) = (part, end);
            while rest > 0 {
                at -= 1;
                text[at] += (rest % 10) as u8;
                rest /= 10;
            }
        }
        let text = std::str::from_utf8(&text).unwrap_or_default();
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))?;
        f.write_str("Z")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parse(&std::borrow::Cow::<'de, str>::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        let since = Duration::from_micros(time.0.unsigned_abs());
        // Every system holds the years 1 to 9999.
        let moved = if time.0 < 0 { Self::UNIX_EPOCH.checked_sub(since) } else { Self::UNIX_EPOCH.checked_add(since) };
        moved.unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Truncated to whole microseconds.
impl TryFrom<SystemTime> for Time {
    type Error = ParseTimeError;

    fn try_from(time: SystemTime) -> Result<Self, ParseTimeError> {
        let micros = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()),
            Err(before) => i64::try_from(before.duration().as_nanos().div_ceil(1000)).map(|micros| -micros),
        };
        Self::from_microsecond(micros.map_err(|_| ParseTimeError::Range)?)
    }
}

/// A time as in RFC 3339 and in no other form, cut to whole microseconds.
///
/// # Errors
/// [`ParseTimeError`]
pub fn parse(text: &str) -> Result<Time, ParseTimeError> {
    let (local, offset) = rfc_3339(text).ok_or(ParseTimeError::Form)?;
    Time::from_microsecond(local.as_microsecond() - offset * MICROS)
}

/// A date as in RFC 3339, `1990-12-31`, and in no other form.
pub fn parse_date(text: &str) -> Option<Date> {
    Some(parse(&format!("{text}T00:00:00Z")).ok()?.date_time().date())
}

/// `2026-01-31T12:00:00.5+01:00` as date and time there, and the offset in seconds.
fn rfc_3339(text: &str) -> Option<(Civil, i64)> {
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
    let (date_time, rest) = text.split_at_checked(DATE_TIME.len())?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len()),
        None => ("0", rest),
    };
    if !is_like(date_time, DATE_TIME) || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let number = |text: &str| text.bytes().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let part = |range| date_time.get(range).map(number);
    // Cut, not rounded.
    let micros = number(&format!("{fraction:0<6}")[..6]);
    let local = Civil {
        year: part(0..4)?,
        month: part(5..7)?,
        day: part(8..10)?,
        hour: part(11..13)?,
        minute: part(14..16)?,
        second: part(17..19)?,
        micros,
    };
    let local = local.checked()?;
    if zone.eq_ignore_ascii_case("z") {
        return Some((local, 0));
    }
    if !is_like(zone, "+00:00") {
        return None;
    }
    let (hours, minutes): (i64, i64) = (zone.get(1..3)?.parse().ok()?, zone.get(4..6)?.parse().ok()?);
    let seconds = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some((local, if zone.starts_with('-') { -seconds } else { seconds }))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{ParseTimeError, Time, parse, parse_date};
    use crate::model::value::Value;

    #[test]
    fn times_are_written_as_in_rfc_3339_alone() {
        for right in [
            "2026-01-01T00:00:00Z",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00.123456789Z",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00.5-23:59",
            "0001-01-01T00:00:00Z",
            "2024-02-29T23:59:60.999999999Z",
            "2000-02-29T00:00:00Z",
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
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.0000000000Z",
            "2026-01-01T24:00:00Z",
            "2026-W01-1T00:00:00Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-0\u{661}T00:00:00Z",
        ] {
            assert_eq!(parse(wrong), Err(ParseTimeError::Form), "{wrong}");
        }
        assert_eq!(parse("0000-12-31T23:59:59Z"), Err(ParseTimeError::Range));
    }

    #[test]
    fn dates_are_written_as_in_rfc_3339_alone() {
        assert_eq!(parse_date("1990-12-31"), Some(jiff::civil::date(1990, 12, 31)));
        for wrong in ["", "1990-2-1", "19901231", "1990-02-29", "1990-12-31T00:00:00", "1990-12-31Z", "-000001-01-01"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_years_1_to_9999_are_whole() {
        for (text, micros) in [
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("0001-01-01T00:00:00.000001Z", -62_135_596_799_999_999),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("1970-01-01T00:00:00Z", 0),
            ("9999-12-30T22:00:00Z", 253_402_207_200_000_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] {
            let time = parse(text).expect(text);
            assert_eq!((time.as_microsecond(), time.to_string().as_str()), (micros, text));
            assert_eq!(Time::from_microsecond(micros), Ok(time));
            assert_eq!(serde_json::to_value(time).unwrap(), text);
            assert_eq!(serde_json::from_value::<Time>(text.into()).unwrap(), time);
            assert_eq!(Time::try_from(SystemTime::from(time)), Ok(time), "{text}");
            assert_eq!(Value::from(time).to_json(), text);
        }
        assert_eq!(parse("0001-01-01T00:00:00Z"), Ok(Time::MIN));
        assert_eq!(parse("9999-12-31T23:59:59.999999999Z"), Ok(Time::MAX));
        assert_eq!(parse("9999-12-31T23:59:59.999999999+00:00"), Ok(Time::MAX));
    }

    #[test]
    fn offsets_may_lead_into_the_range_and_out_of_it() {
        for (text, utc) in [
            ("9999-12-31T23:59:59+14:00", Some("9999-12-31T09:59:59Z")),
            ("9999-12-31T09:59:59-14:00", Some("9999-12-31T23:59:59Z")),
            ("9999-12-31T10:00:00-14:00", None),
            ("9999-12-31T23:59:59-00:01", None),
            ("0001-01-01T00:00:00-14:00", Some("0001-01-01T14:00:00Z")),
            ("0001-01-01T14:00:00+14:00", Some("0001-01-01T00:00:00Z")),
            ("0001-01-01T13:59:59.999999999+14:00", None),
            ("0000-12-31T10:00:00-14:00", Some("0001-01-01T00:00:00Z")),
            ("0000-12-31T09:59:59-14:00", None),
        ] {
            let expected = utc.map_or(Err(ParseTimeError::Range), |utc| Ok(parse(utc).unwrap()));
            assert_eq!(parse(text), expected, "{text}");
        }
        for zone in ["+24:00", "-24:00", "+00:60", "-23:99"] {
            assert_eq!(parse(&format!("2026-01-01T00:00:00{zone}")), Err(ParseTimeError::Form), "{zone}");
        }
    }

    #[test]
    fn what_lies_beyond_is_no_time() {
        for micros in [Time::MIN.as_microsecond() - 1, Time::MAX.as_microsecond() + 1, i64::MIN, i64::MAX] {
            assert_eq!(Time::from_microsecond(micros), Err(ParseTimeError::Range));
        }
        for second in [i64::MIN, -62_135_596_801, 253_402_300_800, i64::MAX] {
            assert_eq!(Time::from_second(second), Err(ParseTimeError::Range));
            assert_eq!(Time::from_millisecond(second.saturating_mul(1000)), Err(ParseTimeError::Range));
        }
        let (first, last) = (SystemTime::from(Time::MIN), SystemTime::from(Time::MAX));
        assert_eq!(Time::try_from(first - Duration::from_micros(1)), Err(ParseTimeError::Range));
        assert_eq!(Time::try_from(last + Duration::from_micros(1)), Err(ParseTimeError::Range));
        assert_eq!(Time::MAX.checked_add(Duration::from_micros(1)), None);
        assert_eq!(Time::MIN.checked_add(Duration::MAX), None);
        assert_eq!((Time::MAX.plus_seconds(i64::MAX), Time::MIN.plus_seconds(i64::MIN)), (Time::MAX, Time::MIN));
        assert_eq!(Time::MAX.plus_seconds(-1).to_string(), "9999-12-31T23:59:58.999999Z");
    }

    proptest::proptest! {
        #[test]
        fn every_time_is_read_as_written(micros in Time::MIN.as_microsecond()..=Time::MAX.as_microsecond()) {
            let time = Time::from_microsecond(micros).unwrap();
            assert_eq!(parse(&time.to_string()), Ok(time));
            assert_eq!(Time::try_from(SystemTime::from(time)), Ok(time));
            assert_eq!(Time::from_second(time.as_second()).unwrap().as_second(), time.as_second());
        }

        // The library for times, which tells of every day and time of day what it is.
        #[test]
        fn there_are_the_times_that_there_are(
            year in 0..10_000_u32, month in 0..14_u32, day in 0..33_u32, hour in 0..26_u32, minute in 0..62_u32,
            second in 0..63_u32, nanos in 0..1_000_000_000_u32,
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}");
            let given: Result<jiff::civil::DateTime, _> = text.parse();
            let time = parse(&format!("{text}Z"));
            assert_eq!(time.is_ok() || time == Err(ParseTimeError::Range), given.is_ok(), "{text}");
            if let (Ok(time), Ok(given)) = (time, given) {
                let whole = given.with().subsec_nanosecond(given.subsec_nanosecond() / 1000 * 1000).build().unwrap();
                assert_eq!(time.date_time(), whole);
                assert_eq!(time.to_string(), format!("{whole}Z"));
            }
        }

        // The library for times knows all but the last hours.
        #[test]
        fn times_are_those_of_the_library(
            second in -62_135_500_000_i64..253_402_100_000, micros in 0..1_000_000_i64, minutes in -1439..1440_i64,
        ) {
            let stamp = jiff::Timestamp::from_microsecond(second * 1_000_000 + micros).unwrap();
            let time = Time::from_microsecond(stamp.as_microsecond()).unwrap();
            assert_eq!(time.to_string(), stamp.to_string());
            let zone = jiff::tz::Offset::from_seconds(i32::try_from(minutes * 60).unwrap()).unwrap();
            assert_eq!(parse(&stamp.display_with_offset(zone).to_string()), Ok(time));
        }
    }
}
