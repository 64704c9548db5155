//! The policies that come with the library, in JSON: browsers read TOML only once they have loaded it.

use rolekeep::{describe::Catalogue, rules::Policy};

use crate::Face;

const PRESETS: [(&str, &str); 2] = [
    ("standard", include_str!("../../core/policies/standard.toml")),
    ("flyos", include_str!("../../core/policies/flyos.toml")),
];

pub(crate) fn faces(_: &Catalogue) -> Vec<Face> {
    let json = |text| Policy::from_toml(text).and_then(|policy| policy.to_json());
    let written = |(name, text)| {
        // A file that cannot be read is told by the tests of the library.
        let text = json(text).unwrap_or_else(|error| error.to_string());
        Face::new(format!("core/policies/{name}.json"), text + "\n")
    };
    PRESETS.into_iter().map(written).collect()
}
