//! JSON to the tree. A [`RawValue`] borrows from the file, so its address says where it stands.

use std::{borrow::Cow, collections::HashMap};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::rules::diagnostics::{Diagnostics, Spot, shown};

use super::{
    MAX_DEPTH, MAX_PARTS, too_many_parts,
    tree::{Key, Node, Tree},
};

pub(in crate::rules) fn parse<'s>(text: &'s str, diagnostics: &mut Diagnostics) -> Option<Node<'s>> {
    if let Some(at) = too_many(text) {
        too_many_parts(at, diagnostics);
        return None;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => {
            let mut reader = Reader { file: text, diagnostics, is_broken: false };
            let node = reader.node(raw, 0);
            (!reader.is_broken).then_some(node)
        }
        Err(error) => {
            unreadable(text, &error, diagnostics);
            None
        }
    }
}

struct Reader<'s, 'f> {
    file: &'s str,
    diagnostics: &'f mut Diagnostics,
    is_broken: bool,
}

impl<'s> Reader<'s, '_> {
    fn node(&mut self, raw: &'s RawValue, depth: usize) -> Node<'s> {
        let spot = self.spot(raw.get());
        let value = match raw.get().as_bytes().first() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => {
                self.diagnostics.add(spot, "nested too deeply", None);
                Tree::Refused
            }
            Some(b'{') => self.table(raw, depth),
            Some(b'[') => {
                let items: Vec<&'s RawValue> = self.parsed(raw).unwrap_or_default();
                Tree::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect())
            }
            Some(b'"') => match self.parsed::<String>(raw) {
                Some(text) => Tree::Text(Cow::Owned(text)),
                None => Tree::Refused,
            },
            Some(b't') => Tree::Bool(true),
            Some(b'f') => Tree::Bool(false),
            Some(b'n') => Tree::Other("null"),
            _ => match raw.get().parse::<i64>() {
                Ok(integer) => Tree::Int(integer),
                Err(_) => Tree::Other("a number with a fraction, an exponent or more than 64 bits"),
            },
        };
        Node { spot, value }
    }

    fn table(&mut self, raw: &'s RawValue, depth: usize) -> Tree<'s> {
        let Entries(entries) = self.parsed(raw).unwrap_or_default();
        let mut seen: HashMap<Cow<'s, str>, Spot> = HashMap::with_capacity(entries.len());
        let mut table = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let spot = match &key {
                Cow::Borrowed(text) => self.spot(text),
                Cow::Owned(_) => self.key_before(value.get()),
            };
            if let Some(first) = seen.get(&key) {
                let fault = self.diagnostics.add(spot, format!("`{}` is given twice", shown(&key)), None);
                fault.label("given again").first(*first, "first given");
                continue;
            }
            seen.insert(key.clone(), spot);
            let node = self.node(value, depth + 1);
            table.push((Key { spot, text: key }, node));
        }
        Tree::Table(table)
    }

    fn parsed<T: Deserialize<'s>>(&mut self, raw: &'s RawValue) -> Option<T> {
        match serde_json::from_str(raw.get()) {
            Ok(value) => Some(value),
            Err(error) => {
                let start = self.offset(raw.get());
                self.diagnostics.add(at(self.file, start, &error), message(&error), None);
                self.is_broken = true;
                None
            }
        }
    }

    fn spot(&self, part: &str) -> Spot {
        let start = self.offset(part);
        Spot::of(start..start + part.len())
    }

    /// Where the key of a value stands: a key with escapes is a copy, which does not say it itself.
    /// Within its quotes every other quote is escaped.
    fn key_before(&self, value: &str) -> Spot {
        let file = self.file.get(..self.offset(value)).unwrap_or_default();
        let end = file.rfind('"').unwrap_or(0);
        let is_escaped = |at: usize| file[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        let start = file[..end].rmatch_indices('"').map(|(at, _)| at).find(|at| !is_escaped(*at));
        Spot::of(start.map_or(end, |start| start + 1)..end)
    }

    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.file.as_ptr() as usize)
    }
}

/// Where the parts outnumber [`MAX_PARTS`], strings apart.
fn too_many(text: &str) -> Option<usize> {
    let (mut parts, mut is_text, mut is_escaped) = (0, false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b',' | b':' | b'[' | b'{' if !is_text => parts += 1,
            _ => {}
        }
        parts > MAX_PARTS
    })
}

/// What is wrong with a file that is no JSON.
fn unreadable(text: &str, error: &serde_json::Error, diagnostics: &mut Diagnostics) {
    let end = text.trim_end().len();
    if end == 0 {
        let help = "a policy without any roles is written `{}`".to_owned();
        diagnostics.add(Spot::of(0..0), "the file is empty", Some(help));
    } else if error.is_eof() {
        let message = message(error);
        let within = message.strip_prefix("EOF while parsing ").unwrap_or("something");
        diagnostics.add(Spot::of(end..end), format!("the file ends within {within}"), None);
    } else {
        let spot = at(text, 0, error);
        let before = text.get(..spot.start as usize).unwrap_or_default().trim_end();
        let help = before.ends_with(',').then(|| "JSON has no comma after the last one".to_owned());
        let message = message(error).replace("expected value", "expected a value");
        diagnostics.add(spot, message, help);
    }
}

/// The place that serde_json names (line and byte of the line, both from 1) in the part of the file
/// that begins at `start`.
fn at(file: &str, start: usize, error: &serde_json::Error) -> Spot {
    let lines = error.line().saturating_sub(1);
    let part = file.get(start..).unwrap_or_default();
    let line_start: usize = part.split_inclusive('\n').take(lines).map(str::len).sum();
    let at = start + line_start + error.column().saturating_sub(1);
    Spot::of(at..at)
}

/// What serde_json says, without its own "at line 1 column 2".
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// The entries of an object in the order of the file, repeated keys included.
#[derive(Default)]
struct Entries<'s>(Vec<(Cow<'s, str>, &'s RawValue)>);

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct RawKey<'s>(#[serde(borrow)] Cow<'s, str>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((RawKey(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
