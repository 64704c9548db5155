//! One record as fields by name, whatever it was written in; and taking them out, so that what is left is known.

use std::collections::BTreeSet;

use csv_core::{ReadRecordResult, Reader};
use serde_json::{Map, Value as Json};

use super::hashes;
use crate::model::{
    check::Invalid,
    decode::FieldCode,
    input::{self, Limits},
    time::Time,
};

/// A record has so many fields at most.
const MOST_FIELDS: usize = 1_000;

/// The fields of a record.
#[derive(Debug)]
pub(super) struct Fields {
    left: Map<String, Json>,
    /// Fields of which nothing was made.
    pub(super) ignored: BTreeSet<String>,
}

/// Reads a JSON object.
pub(super) fn of_json(record: &[u8]) -> Result<Map<String, Json>, Invalid> {
    let wrong = |message| Invalid::new(FieldCode::InvalidFormat, message);
    let text = std::str::from_utf8(record).map_err(|_| wrong("is not UTF-8".to_owned()))?;
    // Its message names line and column of the record, and none of its text but a key that stands twice.
    match input::parse(text, Limits::SMALL).map_err(wrong)? {
        Json::Object(fields) if fields.len() <= MOST_FIELDS => Ok(fields),
        Json::Object(_) => Err(Invalid::new(FieldCode::TooLong, format!("must have at most {MOST_FIELDS} fields"))),
        _ => Err(Invalid::new(FieldCode::InvalidFormat, "must be a JSON object")),
    }
}

/// Reads the columns of one line of a CSV.
pub(super) fn columns(record: &[u8]) -> Result<Vec<String>, Invalid> {
    if std::str::from_utf8(record).is_err() {
        return Err(Invalid::new(FieldCode::InvalidFormat, "is not UTF-8"));
    }
    let mut reader = Reader::new();
    // What is unquoted is never longer than it was.
    let mut text = vec![0; record.len() + 1];
    let mut ends = vec![0; record.iter().filter(|byte| **byte == b',').count() + 2];
    let (read, _, _, first) = reader.read_record(record, &mut text, &mut ends);
    // That the record ends is told by an empty input.
    let fields = match read {
        ReadRecordResult::Record => first,
        _ => first + reader.read_record(&[], &mut [0; 1], &mut ends[first..]).3,
    };
    if fields > MOST_FIELDS {
        return Err(Invalid::new(FieldCode::TooLong, format!("must have at most {MOST_FIELDS} fields")));
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let spans = starts.zip(&ends[..fields]);
    let column =
        |(start, end): (usize, &usize)| String::from_utf8_lossy(text.get(start..*end).unwrap_or_default()).into_owned();
    Ok(spans.map(column).collect())
}

/// The fields of a line of a CSV, by its header. An empty one is not there.
pub(super) fn of_columns(header: &[String], columns: Vec<String>) -> Result<Map<String, Json>, Invalid> {
    if columns.len() != header.len() {
        let message = format!("has {} columns, the header has {}", columns.len(), header.len());
        return Err(Invalid::new(FieldCode::Disagrees, message));
    }
    let given = header.iter().zip(columns).filter(|(_, column)| !column.is_empty());
    Ok(given.map(|(name, column)| (name.clone(), Json::String(unescaped(column)))).collect())
}

/// A spreadsheet that reads what we write would take these for the beginning of a formula; what we write puts `'` before them
/// (CWE-1236), which is taken off here, and before nothing else.
fn unescaped(column: String) -> String {
    match column.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\'', '\t', '\r']) => rest.to_owned(),
        _ => column,
    }
}

impl Fields {
    pub(super) fn of(left: Map<String, Json>) -> Self {
        Self { left, ignored: BTreeSet::new() }
    }

    /// Takes a field out; null and an empty text are none.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        self.left.remove(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// The same, the first of several names.
    pub(super) fn any(&mut self, names: &[&str]) -> Option<Json> {
        let found: Vec<Json> = names.iter().filter_map(|name| self.take(name)).collect();
        found.into_iter().next()
    }

    /// A text; a number is one, too.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, into_text)
    }

    /// A moment.
    pub(super) fn time(&mut self, name: &str) -> Option<Time> {
        self.read(name, into_time)
    }

    /// An object, also as text.
    pub(super) fn object(&mut self, name: &str) -> Map<String, Json> {
        self.read(name, try_object).unwrap_or_default()
    }

    /// Whether a field is true, also as text; what cannot be read is not.
    pub(super) fn is_set(&mut self, name: &str) -> Option<bool> {
        self.read(name, |value| into_flag(&value))
    }

    /// The hash of a password; one that is no text is of an unknown form.
    pub(super) fn hash(&mut self, name: &str) -> Option<String> {
        self.take(name).map(hashes::of_text)
    }

    /// Takes a field out; of what is there and cannot be read nothing is made.
    fn read<T>(&mut self, name: &str, read: impl FnOnce(Json) -> Option<T>) -> Option<T> {
        let read = read(self.take(name)?);
        if read.is_none() {
            self.ignored.insert(name.to_owned());
        }
        read
    }

    /// What nothing was made of.
    pub(super) fn rest(self) -> (Map<String, Json>, BTreeSet<String>) {
        (self.left, self.ignored)
    }
}

pub(super) fn into_text(value: Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        // MongoDB's ids, in exports of Auth0.
        Json::Object(mut id) if id.len() == 1 => id.remove("$oid").and_then(into_text),
        _ => None,
    }
}

/// An id of the source: a text or a whole number. Numbers that JSON readers round would be one id of several people.
pub(super) fn into_id(value: Json) -> Option<String> {
    match value {
        Json::Number(number) if number.is_f64() => None,
        Json::Object(mut id) if id.len() == 1 => id.remove("$oid").and_then(into_id),
        value => into_text(value),
    }
}

pub(super) fn into_object(value: Json) -> Map<String, Json> {
    try_object(value).unwrap_or_default()
}

/// An object, also as text.
pub(super) fn try_object(value: Json) -> Option<Map<String, Json>> {
    match value {
        Json::Object(fields) => Some(fields),
        Json::String(text) => input::read_object(&text, Limits::SMALL.bytes),
        _ => None,
    }
}

/// As JSON, PostgreSQL and Python write them.
pub(super) fn into_flag(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(flag) => Some(*flag),
        Json::Number(number) => number.as_i64().map(|number| number != 0),
        Json::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" => Some(true),
            "false" | "f" | "0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A moment as RFC 3339 and PostgreSQL write it, or in milliseconds since 1970.
pub(super) fn into_time(value: Json) -> Option<Time> {
    let text = into_text(value)?;
    if let Ok(millis) = text.parse::<i64>() {
        return Time::from_microsecond(millis.checked_mul(1_000)?).ok();
    }
    // `2024-01-31 10:20:30.5+00`: a blank for the T, an offset without minutes.
    let mut text = text.trim().replacen(' ', "T", 1);
    let is_short = |sign: char| text.rfind(sign).is_some_and(|at| at > 10 && text.len() - at == 3);
    if is_short('+') || is_short('-') {
        text.push_str(":00");
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_line() {
        let of = |line: &str| columns(line.as_bytes()).unwrap();
        assert_eq!(of("a,b,c"), ["a", "b", "c"]);
        assert_eq!(of("a,,"), ["a", "", ""]);
        assert_eq!(of("\"a,\"\"b\"\"\n\",c"), ["a,\"b\"\n", "c"]);
        assert_eq!(of("5\" pipe,x"), ["5\" pipe", "x"]);
        assert_eq!(of("\"a\"b,c"), ["ab", "c"]);
        assert_eq!(columns(b"a,\xff").unwrap_err().code, FieldCode::InvalidFormat);
        assert_eq!(columns(",".repeat(1_000).as_bytes()).unwrap_err().code, FieldCode::TooLong);
    }

    #[test]
    fn a_record_says_each_thing_once() {
        assert_eq!(of_json(br#"{"email":"a@b.org","bio":null}"#).unwrap().len(), 2);
        for record in [
            &br#"{"email":"a@b.org","email":"c@d.org"}"#[..],
            br#"{"attributes":{"a":1,"\u0061":2}}"#,
            br#"{"email":"\ud800"}"#,
            b"{\"email\":\"\xff\"}",
            b"[]",
        ] {
            assert_eq!(of_json(record).unwrap_err().code, FieldCode::InvalidFormat);
        }
        assert_eq!(try_object(r#"{"a":1,"a":2}"#.into()), None);
    }

    #[test]
    fn formulas_lose_what_guards_them_and_names_lose_nothing() {
        let of = |column: &str| unescaped(column.to_owned());
        assert_eq!(of("'=1+1"), "=1+1");
        assert_eq!(of("'+49 30"), "+49 30");
        assert_eq!(of("''quoted"), "'quoted");
        assert_eq!(of("'t Hooft"), "'t Hooft");
        assert_eq!(of("=1+1"), "=1+1");
    }

    #[test]
    fn moments() {
        let of = |text: &str| into_time(text.into()).map(|time| time.to_string());
        for (given, read) in [
            ("2024-01-31T10:20:30Z", "2024-01-31T10:20:30Z"),
            ("2024-01-31 10:20:30.5+00", "2024-01-31T10:20:30.5Z"),
            ("2024-01-31 10:20:30+02", "2024-01-31T08:20:30Z"),
            ("1706696430000", "2024-01-31T10:20:30Z"),
        ] {
            assert_eq!(of(given).as_deref(), Some(read), "{given}");
        }
        for given in ["", "yesterday", "2024-01-31", "99999999999999999999"] {
            assert_eq!(of(given), None, "{given}");
        }
    }
}
