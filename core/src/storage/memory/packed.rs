//! A row as it is kept: its values one after the other, in as few bytes as they need. Ids and hashes that are written as
//! text are the larger part of most rows, and take half.

use std::{cmp::Ordering, str};

use uuid::Uuid;

use crate::model::{record::Row, value::Value};

/// A row's values.
#[derive(Clone)]
pub(super) struct Packed(Box<[u8]>);

/// A value of a packed row, in the order of [`Value`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PackedValue<'p> {
    Null,
    Bool(bool),
    Int(i64),
    Time(i64),
    Id(Uuid),
    Text(Text<'p>),
    Json(&'p str),
}

/// A text, perhaps by what it was written from.
#[derive(Clone, Copy)]
pub(super) enum Text<'p> {
    Plain(&'p str),
    /// A canonical id.
    Id(Uuid),
    /// Small hexadecimal digits, an even number of them.
    Hex(&'p [u8]),
}

/// The longest hash that is kept as bytes.
const MAX_HEX: usize = 32;

// What stands before each value.
const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const TIME: u8 = 4;
const ID: u8 = 5;
const TEXT: u8 = 6;
const TEXT_ID: u8 = 7;
const TEXT_HEX: u8 = 8;
const JSON: u8 = 9;

impl Packed {
    pub(super) fn new(row: &Row) -> Self {
        let mut bytes = Vec::new();
        row.0.iter().for_each(|value| put(&mut bytes, value));
        Self(bytes.into())
    }

    pub(super) fn parts(&self) -> PackedValues<'_> {
        PackedValues(&self.0)
    }

    /// The value of a column; null where there is no such column.
    pub(super) fn part(&self, column: usize) -> PackedValue<'_> {
        self.parts().nth(column).unwrap_or(PackedValue::Null)
    }

    /// The values of the first columns.
    pub(super) fn row(&self, columns: usize) -> Row {
        Row(self.parts().take(columns).map(PackedValue::value).collect())
    }
}

fn put(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => bytes.push(NULL),
        Value::Bool(bool) => bytes.push(if *bool { TRUE } else { FALSE }),
        Value::Int(int) => put_number(bytes, INT, *int),
        Value::Time(micros) => put_number(bytes, TIME, *micros),
        Value::Id(id) => put_id(bytes, ID, *id),
        Value::Text(text) => match (id_of(text), hex_of(text)) {
            (Some(id), _) => put_id(bytes, TEXT_ID, id),
            (None, Some(hex)) => put_text(bytes, TEXT_HEX, &hex),
            (None, None) => put_text(bytes, TEXT, text.as_bytes()),
        },
        Value::Json(text) => put_text(bytes, JSON, text.as_bytes()),
    }
}

fn put_number(bytes: &mut Vec<u8>, tag: u8, number: i64) {
    bytes.push(tag);
    bytes.extend(number.to_le_bytes());
}

fn put_id(bytes: &mut Vec<u8>, tag: u8, id: Uuid) {
    bytes.push(tag);
    bytes.extend(id.as_bytes());
}

fn put_text(bytes: &mut Vec<u8>, tag: u8, text: &[u8]) {
    bytes.push(tag);
    // Seven bits a byte, as lengths are mostly small.
    let mut length = text.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(text);
}

/// The id that is written just so.
fn id_of(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    let id = Uuid::try_parse(text).ok()?;
    (*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text).then_some(id)
}

fn hex_of(text: &str) -> Option<Vec<u8>> {
    if text.len() < 16 || text.len() > 2 * MAX_HEX || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// The values of a row, in the order of its columns.
pub(super) struct PackedValues<'p>(&'p [u8]);

impl<'p> PackedValues<'p> {
    fn take(&mut self, count: usize) -> &'p [u8] {
        let (taken, rest) = self.0.split_at_checked(count).unwrap_or((&[], &[]));
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> &'p [u8] {
        let (mut length, mut shift) = (0, 0);
        while let [byte, rest @ ..] = self.0 {
            self.0 = rest;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.take(length)
    }

    fn number(&mut self) -> i64 {
        self.take(8).try_into().map_or(0, i64::from_le_bytes)
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_slice(self.take(16)).unwrap_or_default()
    }
}

impl<'p> Iterator for PackedValues<'p> {
    type Item = PackedValue<'p>;

    fn next(&mut self) -> Option<PackedValue<'p>> {
        // What was put in as text is text.
        let plain = |bytes: &'p [u8]| str::from_utf8(bytes).unwrap_or_default();
        Some(match *self.take(1).first()? {
            FALSE => PackedValue::Bool(false),
            TRUE => PackedValue::Bool(true),
            INT => PackedValue::Int(self.number()),
            TIME => PackedValue::Time(self.number()),
            ID => PackedValue::Id(self.id()),
            TEXT => PackedValue::Text(Text::Plain(plain(self.text()))),
            TEXT_ID => PackedValue::Text(Text::Id(self.id())),
            TEXT_HEX => PackedValue::Text(Text::Hex(self.text())),
            JSON => PackedValue::Json(plain(self.text())),
            _ => PackedValue::Null,
        })
    }

    /// Passes over the others without reading them.
    fn nth(&mut self, count: usize) -> Option<PackedValue<'p>> {
        for _ in 0..count {
            match *self.take(1).first()? {
                INT | TIME => drop(self.take(8)),
                ID | TEXT_ID => drop(self.take(16)),
                TEXT | TEXT_HEX | JSON => drop(self.text()),
                _ => {}
            }
        }
        self.next()
    }
}

impl<'p> PackedValue<'p> {
    pub(super) fn of(value: &'p Value) -> Self {
        match value {
            Value::Null => PackedValue::Null,
            Value::Bool(bool) => PackedValue::Bool(*bool),
            Value::Int(int) => PackedValue::Int(*int),
            Value::Time(micros) => PackedValue::Time(*micros),
            Value::Id(id) => PackedValue::Id(*id),
            Value::Text(text) => PackedValue::Text(Text::Plain(text)),
            Value::Json(text) => PackedValue::Json(text),
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            PackedValue::Null => Value::Null,
            PackedValue::Bool(bool) => Value::Bool(bool),
            PackedValue::Int(int) => Value::Int(int),
            PackedValue::Time(micros) => Value::Time(micros),
            PackedValue::Id(id) => Value::Id(id),
            PackedValue::Text(text) => Value::Text(text.read(str::to_owned)),
            PackedValue::Json(text) => Value::Json(text.into()),
        }
    }
}

impl Text<'_> {
    /// Looks at the text, which stands on the stack where it is not kept as such.
    fn read<T>(&self, look: impl FnOnce(&str) -> T) -> T {
        match self {
            Text::Plain(text) => look(text),
            Text::Id(id) => look(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            Text::Hex(bytes) => {
                let mut digits = [0; 2 * MAX_HEX];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(*bytes) {
                    pair.copy_from_slice(&[byte >> 4, byte & 15].map(|half| b"0123456789abcdef"[usize::from(half)]));
                }
                look(str::from_utf8(&digits[..2 * bytes.len().min(MAX_HEX)]).unwrap_or_default())
            }
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Text::Plain(one), Text::Plain(other)) => one.cmp(other),
            // Digits stand in the order of what they say, at the same places.
            (Text::Id(one), Text::Id(other)) => one.cmp(other),
            (Text::Hex(one), Text::Hex(other)) => one.cmp(other),
            _ => self.read(|one| other.read(|other| one.cmp(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Packed, PackedValue};
    use crate::model::{record::Row, value::Value};

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            ".{0,6}",
            "[0-9a-f]{0,70}",
            "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "x{100,20000}"
        ];
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<i64>().prop_map(Value::Time),
            any::<u128>().prop_map(|id| Value::Id(uuid::Uuid::from_u128(id))),
            text.prop_map(Value::Text),
            ".{0,6}".prop_map(|text| Value::Json(text.into())),
        ]
    }

    proptest! {
        /// Packed values are what was packed, and stand in the same order.
        #[test]
        fn nothing_is_lost(row in prop::collection::vec(values(), 0..8)) {
            let packed = Packed::new(&Row(row.clone()));
            prop_assert_eq!(&packed.row(row.len()).0, &row);
            prop_assert_eq!(&packed.row(1).0, &row[..row.len().min(1)]);
            for (at, one) in row.iter().enumerate() {
                prop_assert_eq!(packed.part(at).value(), one.clone());
                for (other_at, other) in row.iter().enumerate() {
                    prop_assert_eq!(packed.part(at).cmp(&packed.part(other_at)), one.cmp(other));
                    prop_assert_eq!(packed.part(at).cmp(&PackedValue::of(other)), one.cmp(other));
                }
            }
            prop_assert!(packed.part(row.len()) == PackedValue::Null);
        }
    }
}
