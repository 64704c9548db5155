//! What is hashed of an entry, and in what form; pure.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{AuditEntry, AuditHead};
use crate::model::{json, record::Document, text::hex};

/// What MACs of entries begin with, so that none of another thing passes for one.
pub(super) const ENTRY: &[u8] = b"rolekeep-audit-2";
/// The same of heads as stored.
const HEAD: &[u8] = b"rolekeep-audit-head-2";

/// SHA-256 over texts.
#[derive(Default)]
struct Hasher(Sha256);

impl Hasher {
    /// Length first, so that no two lists of texts hash the same bytes.
    fn part(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// A text that may be missing, which is another thing than an empty one.
    fn optional(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.part("1").part(text),
            None => self.part("0"),
        }
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The hash of an entry, by the format that it was written in: those that nothing seals are of the first.
pub(super) fn entry(entry: &AuditEntry) -> String {
    let Some(key) = entry.key_id.as_deref() else { return first_format(entry) };
    let behalf = entry.on_behalf_of.map(|user| user.to_string());
    let session = entry.session_id.map(|session| session.to_string());
    Hasher::default()
        .part("rolekeep-audit-2")
        .part(&entry.previous)
        .part(&entry.lane.to_string())
        .part(&entry.seq.to_string())
        .part(&entry.id.to_string())
        .part(&entry.at.as_microsecond().to_string())
        .part(&entry.action)
        .part(&entry.actor)
        .optional(behalf.as_deref())
        .optional(session.as_deref())
        .optional(entry.target_type.as_deref())
        .optional(entry.target_id.as_deref())
        .optional(entry.facts.as_ref().map(Document::text).as_deref())
        .part(&entry.commitment)
        .optional(entry.origin_commitment.as_deref())
        .part(key)
        .finish()
}

fn first_format(entry: &AuditEntry) -> String {
    Hasher::default()
        .part("rolekeep-audit-1")
        .part(&entry.previous)
        .part(&entry.lane.to_string())
        .part(&entry.seq.to_string())
        .part(&entry.id.to_string())
        .part(&entry.at.as_microsecond().to_string())
        .part(&entry.action)
        .part(&entry.actor)
        .part(entry.target_type.as_deref().unwrap_or_default())
        .part(entry.target_id.as_deref().unwrap_or_default())
        .part(&entry.commitment)
        .finish()
}

/// What an entry commits to of a part that may be erased: its salt makes that unguessable once both are gone.
pub(super) fn commitment(part: &Document<Json>, salt: &str) -> String {
    Hasher::default().part(salt).part(&part.text()).finish()
}

/// The same in the first format, whose JSON was not in the order of its keys.
pub(super) fn first_commitment(payload: &Document<Json>, salt: &str) -> String {
    Hasher::default().part(salt).part(&first_text(payload)).finish()
}

/// A payload as the first format wrote it.
pub fn first_text(payload: &Document<Json>) -> String {
    let names = ["before", "after", "detail", "ip", "user_agent", "on_behalf_of"];
    let fields =
        names.into_iter().filter_map(|name| Some(format!("\"{name}\":{}", json::canonical(payload.0.get(name)?))));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// The texts of a head that are sealed.
pub(super) fn head(head: &AuditHead) -> [Vec<u8>; 5] {
    let numbers = [head.lane, head.seq, head.version].map(|number| number.to_string().into_bytes());
    let [lane, seq, version] = numbers;
    [HEAD.to_vec(), lane, seq, head.hash.clone().into_bytes(), version]
}
