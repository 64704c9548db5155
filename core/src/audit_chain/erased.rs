//! Parts of entries that were erased: the entry that says so, and whether each that is gone is named by one; pure.

use serde_json::Value as Json;

use super::{AuditEntry, AuditFacts, ChainFault, ChainFaultKind};
use crate::model::deferred::IS_PAGE;

/// The action of the entries that name what was erased. No operation has this name.
pub const ACTION: &str = "audit.erased";

/// A part of an entry that may be erased by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryPart {
    /// What it says of somebody.
    Payload,
    /// From where it was done.
    Origin,
}

/// A part of the entry at a place: its chain and its number there.
pub type ErasedPart = (i64, i64, EntryPart);

impl EntryPart {
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
pub fn facts(places: &[ErasedPart]) -> AuditFacts {
    let of = |part: EntryPart| {
        let of_part = places.iter().filter(|(.., of)| *of == part).map(|(lane, seq, _)| Json::from(vec![*lane, *seq]));
        (part.names().1.to_owned(), of_part.collect::<Json>())
    };
    AuditFacts { before: None, after: Some(EntryPart::ALL.into_iter().map(of).collect()) }
}

/// The parts that an entry names; none where it is another kind of entry.
fn named_by(entry: &AuditEntry) -> Vec<ErasedPart> {
    let after = entry.facts.as_ref().filter(|_| entry.action == ACTION).and_then(|facts| facts.0.get("after"));
    let of = |part: EntryPart| {
        let places = after.and_then(|after| after.get(part.names().1)).and_then(Json::as_array).into_iter().flatten();
        places.filter_map(move |place| Some((place.get(0)?.as_i64()?, place.get(1)?.as_i64()?, part)))
    };
    EntryPart::ALL.into_iter().flat_map(of).collect()
}

/// What is gone from entries of any chain, and what sealed entries say that was erased. In a page nobody is erased.
#[derive(Clone, Default)]
#[must_use = "what is gone may be a fault"]
pub struct Gone {
    /// In their order.
    missing: Vec<Missing>,
    erased: Vec<Erased>,
}

/// What is missing of an entry.
#[derive(Clone)]
struct Missing {
    lane: i64,
    seq: i64,
    parts: Vec<EntryPart>,
    /// How often it was changed.
    changes: i64,
}

/// What an entry says of another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Erased {
    lane: i64,
    seq: i64,
    /// That entry.
    by: (i64, i64),
    part: EntryPart,
}

impl Gone {
    /// Takes note of what is missing of an entry, and of what it says was erased if it is sealed.
    pub(super) fn note(&mut self, entry: &AuditEntry, parts: Vec<EntryPart>, is_sealed: bool) {
        let (lane, seq) = (entry.lane, entry.seq);
        if !parts.is_empty() {
            self.missing.push(Missing { lane, seq, parts, changes: entry.version - 1 });
        }
        if is_sealed && !IS_PAGE {
            let named = named_by(entry).into_iter();
            self.erased.extend(named.map(|(of, at, part)| Erased { lane: of, seq: at, by: (lane, seq), part }));
        }
    }

    /// Checks that of each entry from which something is gone another one says that it was erased.
    ///
    /// # Errors
    /// That entry.
    pub fn require_erased(mut self) -> Result<(), ChainFault> {
        if !IS_PAGE {
            self.erased.sort_unstable();
        }
        let Self { missing, erased } = self;
        let fault = missing.iter().find_map(|Missing { lane, seq, parts, changes }| {
            let begin = erased.partition_point(|one| (one.lane, one.seq) < (*lane, *seq));
            let said = erased[begin..].iter().take_while(|one| (one.lane, one.seq) == (*lane, *seq));
            // What was erased after it was read, while the log is gone through, has not changed it yet.
            let mut said: Vec<&Erased> = said.filter(|one| parts.contains(&one.part)).collect();
            let unsaid = parts.iter().find(|part| !said.iter().any(|one| one.part == **part));
            said.dedup_by_key(|one| one.by);
            let (kind, problem) = match unsaid {
                Some(part) => {
                    let problem = format!("its {} was removed, and no entry says that it was erased", part.names().0);
                    (ChainFaultKind::Blanked, problem)
                }
                None if i64::try_from(said.len()) == Ok(*changes) => return None,
                None => (ChainFaultKind::Altered, "its version was altered".to_owned()),
            };
            Some(ChainFault { lane: *lane, seq: *seq, kind, problem })
        });
        fault.map_or(Ok(()), Err)
    }
}
