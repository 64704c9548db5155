//! Keys and rows as bytes.

use rolekeep::{
    Error, Reason, Result, Value,
    storage::{Corrupt, Row, Table},
};

/// Behind every key that begins with some values, and before every other: no value begins with it.
pub(crate) const END: u8 = 0xff;

/// Values as a key whose bytes stand in the order of the values, so that those that begin alike lie together.
pub(crate) fn key<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            Value::Null => bytes.push(0),
            Value::Bool(bool) => bytes.extend([1, u8::from(*bool)]),
            Value::Int(int) => number(&mut bytes, 2, *int),
            Value::Time(micros) => number(&mut bytes, 3, *micros),
            Value::Id(id) => {
                bytes.push(4);
                bytes.extend(id.as_bytes());
            }
            Value::Text(content) => text(&mut bytes, 5, content),
            Value::Json(content) => text(&mut bytes, 6, content),
        }
    }
    bytes
}

fn number(bytes: &mut Vec<u8>, tag: u8, number: i64) {
    bytes.push(tag);
    // Negative numbers come first.
    bytes.extend((number ^ i64::MIN).to_be_bytes());
}

/// Ends with what is less than any text that goes on. A key that is asked for may hold NUL, though no stored text does.
fn text(bytes: &mut Vec<u8>, tag: u8, text: &str) {
    bytes.push(tag);
    for byte in text.bytes() {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(END);
        }
    }
    bytes.extend([0, 0]);
}

/// A row by the names of its columns: the next version of the library may have others.
pub(crate) fn row(table: &Table, row: &Row) -> Result<Vec<u8>> {
    let named: Vec<(&str, &Value)> = table.columns.iter().map(|column| column.name).zip(&row.0).collect();
    serde_json::to_vec(&named).map_err(|error| Error::new(Reason::Internal, error.to_string()))
}

/// Reads it back. A column that the row does not have yet is empty, or holds its default.
///
/// # Errors
/// [`Reason::SchemaNewer`] for a column that this version of the library does not know: to write the row back would lose it.
/// [`Reason::Corrupt`] for what was not written here.
pub(crate) fn decode(table: &Table, bytes: &[u8]) -> Result<Row> {
    let unreadable = |_| Error::new(Reason::Corrupt, format!("a row of {} is none", table.name));
    let mut named: Vec<(&str, Value)> = serde_json::from_slice(bytes).map_err(unreadable)?;
    let values = table.columns.iter().map(|column| {
        // Mostly the first that is left.
        let found = named.iter().position(|(name, _)| *name == column.name);
        let value = found.map_or_else(|| column.default.into(), |at| named.remove(at).1);
        let is_fit = column.holds(&value);
        if is_fit { Ok(value) } else { Err(Corrupt { table: table.name, column: column.name }) }
    });
    let row = Row(values.collect::<Result<_, _>>()?);
    match named.first() {
        Some((unknown, _)) => {
            let message = format!("{} has a column `{unknown}`, of a newer version of this library", table.name);
            Err(Error::new(Reason::SchemaNewer, message))
        }
        None => Ok(row),
    }
}

#[cfg(test)]
mod tests {
    use rolekeep::Value;

    use super::{END, key};

    #[test]
    fn keys_stand_in_the_order_of_their_values() {
        let mut values = vec![Value::Null, Value::Bool(false), Value::Bool(true)];
        values.extend([i64::MIN, -1, 0, 1, 255, 256, i64::MAX].map(Value::Int));
        values.extend([i64::MIN, -1, 0, i64::MAX].map(Value::Time));
        values.extend(["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "aa", "b", "\u{10ffff}"].map(Value::from));
        values.push(Value::Json("{}".into()));
        let lists = values.iter().flat_map(|one| {
            let pairs = values.iter().map(|other| vec![one.clone(), other.clone()]);
            pairs.chain([vec![one.clone()]]).collect::<Vec<_>>()
        });
        let lists: Vec<Vec<Value>> = lists.collect();
        for one in &lists {
            for other in &lists {
                assert_eq!(key(one).cmp(&key(other)), one.cmp(other), "{one:?} {other:?}");
            }
            // All that begin with a value, and nothing else, lie before its end.
            let end = [key(&one[..1]), vec![END]].concat();
            for other in &lists {
                let is_within = (key(&one[..1])..end.clone()).contains(&key(other));
                assert_eq!(is_within, other.starts_with(&one[..1]), "{one:?} {other:?}");
            }
        }
    }
}
