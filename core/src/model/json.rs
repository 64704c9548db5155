//! JSON that is the same bytes for the same value.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::deferred::IS_PAGE;

/// A value as JSON without white space, the keys of its objects in the order of their bytes. What serde_json does by itself depends on
/// a feature that any crate of the application may switch on (`preserve_order`).
pub fn canonical(value: &Value) -> String {
    // What a page loads is ours as a whole, without that feature; what a value holds is always JSON.
    if IS_PAGE { value.to_string() } else { serde_json::to_string(&Sorted(value)).unwrap_or_default() }
}

struct Sorted<'v>(&'v Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
            Value::Object(fields) => {
                let sorted: BTreeMap<&str, Sorted<'_>> =
                    fields.iter().map(|(key, value)| (&**key, Sorted(value))).collect();
                serializer.collect_map(sorted)
            }
            value => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": null}, "x"], "a": {"d": 1.5, "c": true}, "\u{e9}": "\n"});
        let text = r#"{"a":{"c":true,"d":1.5},"b":[{"a":null,"z":1},"x"],"é":"\n"}"#;
        assert_eq!(canonical(&value), text);
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
    }
}
