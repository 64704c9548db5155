//! CBOR of authenticators: whole, shallow, no key twice (CTAP 2.1, section 8).

use ciborium::Value;

/// A compound attestation statement is the deepest that there is.
const MAX_DEPTH: usize = 8;
/// A map has no more keys; nothing that is defined has half as many. Finding doubled ones is quadratic.
const MAX_KEYS: usize = 64;

/// A map, its keys in the order that they stood in.
pub(super) type Map = Vec<(Value, Value)>;

/// Reads a map from the beginning of the bytes; with what is behind it.
pub(super) fn read_map(bytes: &[u8]) -> Option<(Map, &[u8])> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).ok()?;
    match value {
        Value::Map(map) if is_unambiguous(&map) => Some((map, rest)),
        _ => None,
    }
}

/// The value of a key.
pub(super) fn get(map: &Map, key: impl Into<Value>) -> Option<&Value> {
    let key = key.into();
    map.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
}

fn is_unambiguous(map: &Map) -> bool {
    let is_new = |(at, (key, _)): (usize, &(Value, Value))| !map.iter().take(at).any(|(other, _)| other == key);
    map.len() <= MAX_KEYS
        && map.iter().enumerate().all(is_new)
        && map.iter().all(|(key, value)| is_clean(key) && is_clean(value))
}

fn is_clean(value: &Value) -> bool {
    match value {
        Value::Map(map) => is_unambiguous(map),
        Value::Array(items) => items.iter().all(is_clean),
        Value::Tag(_, inner) => is_clean(inner),
        _ => true,
    }
}
