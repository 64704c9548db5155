//! Types of the core that have one of the host's own in Kotlin and Swift.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Result, error::RolekeepError};

/// An id: `UUID`.
pub use uuid::Uuid;
uniffi::custom_type!(Uuid, String, {
    remote,
    lower: |id| id.to_string(),
    try_lift: |text| Uuid::parse_str(&text).map_err(|_| RolekeepError::unfit("an id is a UUID").into()),
});

/// A moment: `java.time.Instant` and `Date`.
pub use rolekeep::Time as Timestamp;
uniffi::custom_type!(Timestamp, SystemTime, {
    remote,
    lower: |time| time.into(),
    // Swift's times are binary fractions: the nearest microsecond is the one that was meant.
    try_lift: |time: SystemTime| time
        .checked_add(Duration::from_nanos(500))
        .and_then(|rounded| Timestamp::try_from(rounded).ok())
        .map_or_else(|| Timestamp::try_from(time), Ok)
        .map_err(|_| RolekeepError::unfit("a time lies in the years 1 to 9999").into()),
});

/// A calendar date: `java.time.LocalDate`, and text such as `2026-01-31` in Swift.
pub use jiff::civil::Date as CalendarDate;
uniffi::custom_type!(CalendarDate, String, {
    remote,
    lower: |date| date.to_string(),
    try_lift: |text| text.parse::<CalendarDate>()
        .map_err(|_| RolekeepError::unfit("a date is written such as 2026-01-31").into()),
});

/// Any JSON, as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(pub serde_json::Value);
uniffi::custom_type!(JsonText, String, {
    lower: |json| json.0.to_string(),
    try_lift: |text| serde_json::from_str(&text).map(JsonText)
        .map_err(|problem| RolekeepError::unfit(&format!("not valid JSON: {problem}")).into()),
});

/// For a record that holds secrets: it prints as its name alone.
macro_rules! hidden {
    ($record:ident) => {
        impl std::fmt::Debug for $record {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($record), "(…)"))
            }
        }
        impl std::fmt::Display for $record {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }
    };
}
pub(crate) use hidden;

/// A record of the core as the record of the same fields here.
pub(crate) fn mirror<T: DeserializeOwned>(record: &impl Serialize) -> Result<T> {
    let read = serde_json::to_value(record).and_then(serde_json::from_value);
    read.map_err(|problem| RolekeepError::fault(&format!("an answer cannot be read: {problem}")))
}
