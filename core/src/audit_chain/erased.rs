//! Parts of entries that were erased: the entry that says so, and whether each that is gone is named by one; pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{AuditEntry, AuditFacts, ChainFault, ChainFaultKind};

/// The action of the entries that name what was erased. No operation has this name.
pub const ACTION: &str = "audit.erased";

/// A part of an entry that may be erased by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What it says of somebody.
    Payload,
    /// From where it was done.
    Origin,
}

/// A part of the entry at a place: its chain and its number there.
pub type Place = (i64, i64, Part);

impl Part {
    const ALL: [Self; 2] = [Self::Payload, Self::Origin];

    /// The name of the column, and what such entries call a list of these.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Payload => ("payload", "payloads"),
            Self::Origin => ("origin", "origins"),
        }
    }
}

/// What an entry says that names erased parts. The chain keeps what they committed to.
pub fn facts(places: &[Place]) -> AuditFacts {
    let of = |part: Part| {
        let of_part = places.iter().filter(|(.., of)| *of == part).map(|(lane, seq, _)| Json::from(vec![*lane, *seq]));
        (part.names().1.to_owned(), of_part.collect::<Json>())
    };
    AuditFacts { before: None, after: Some(Part::ALL.into_iter().map(of).collect()) }
}

/// The parts that an entry names; none where it is another kind of entry.
fn named_by(entry: &AuditEntry) -> Vec<Place> {
    let after = entry.facts.as_ref().filter(|_| entry.action == ACTION).and_then(|facts| facts.0.get("after"));
    let of = |part: Part| {
        let places = after.and_then(|after| after.get(part.names().1)).and_then(Json::as_array).into_iter().flatten();
        places.filter_map(move |place| Some((place.get(0)?.as_i64()?, place.get(1)?.as_i64()?, part)))
    };
    Part::ALL.into_iter().flat_map(of).collect()
}

/// What is gone from entries of any chain, and what sealed entries say that was erased.
#[derive(Default)]
pub struct Gone {
    missing: BTreeMap<(i64, i64), Missing>,
    /// By the entries that say so, one after the other.
    erased: BTreeMap<(i64, i64), Vec<BTreeSet<Part>>>,
}

/// What is missing of an entry.
struct Missing {
    parts: Vec<Part>,
    /// How often it was changed.
    changes: i64,
}

impl Gone {
    /// Takes note of what is missing of an entry, and of what it says was erased if it is sealed.
    pub(super) fn note(&mut self, entry: &AuditEntry, parts: Vec<Part>, is_sealed: bool) {
        if !parts.is_empty() {
            self.missing.insert((entry.lane, entry.seq), Missing { parts, changes: entry.version - 1 });
        }
        if is_sealed {
            let mut named: BTreeMap<(i64, i64), BTreeSet<Part>> = BTreeMap::new();
            for (lane, seq, part) in named_by(entry) {
                named.entry((lane, seq)).or_default().insert(part);
            }
            for (place, parts) in named {
                self.erased.entry(place).or_default().push(parts);
            }
        }
    }

    /// The first entry of which something is gone though no entry says that it was erased.
    pub fn fault(&self) -> Option<ChainFault> {
        self.missing.iter().find_map(|(&(lane, seq), missing)| {
            let erased = self.erased.get(&(lane, seq)).map(Vec::as_slice).unwrap_or_default();
            let unsaid = missing.parts.iter().find(|part| !erased.iter().any(|parts| parts.contains(part)));
            // What was erased after it was read, while the log is gone through, has not changed it yet.
            let changes = erased.iter().filter(|parts| missing.parts.iter().any(|part| parts.contains(part))).count();
            let (kind, problem) = match unsaid {
                Some(part) => {
                    let problem = format!("its {} was removed, and no entry says that it was erased", part.names().0);
                    (ChainFaultKind::Blanked, problem)
                }
                None if i64::try_from(changes) == Ok(missing.changes) => return None,
                None => (ChainFaultKind::Altered, "its version was altered".to_owned()),
            };
            Some(ChainFault { lane, seq, kind, problem })
        })
    }
}
