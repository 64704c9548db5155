//! JSON to the tree. A [`RawValue`] borrows from the file, so its address says where it stands.

use std::collections::HashMap;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::rules::diagnostics::{Diagnostics, Span, Text, shown};

use super::{MAX_DEPTH, MAX_PARTS, Node, Tree, too_deep, too_many_parts};

pub(super) fn parse(text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    if let Some(at) = too_many(text) {
        too_many_parts(at, diagnostics);
        return None;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Reader { file: text, diagnostics }.node(raw, 0),
        Err(error) => {
            unreadable(text, &error, diagnostics);
            None
        }
    }
}

/// Each of its functions answers none where the file cannot be read.
struct Reader<'s, 'd> {
    file: &'s str,
    diagnostics: &'d mut Diagnostics,
}

impl<'s> Reader<'s, '_> {
    fn node(&mut self, raw: &'s RawValue, depth: usize) -> Option<Node> {
        let span = self.span(raw);
        let value = match raw.get().as_bytes().first()? {
            b'{' | b'[' if depth >= MAX_DEPTH => too_deep(span, self.diagnostics),
            b'{' => self.table(raw, depth)?,
            b'[' => {
                let items: Vec<&'s RawValue> = self.parsed(raw)?;
                Tree::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect::<Option<_>>()?)
            }
            b'"' => Tree::Text(self.parsed(raw)?),
            b't' => Tree::Bool(true),
            b'f' => Tree::Bool(false),
            b'n' => Tree::Other("null"),
            _ => match raw.get().parse() {
                Ok(int) => Tree::Int(int),
                Err(_) => Tree::Other("a number with a fraction, an exponent or more than 64 bits"),
            },
        };
        Some(Node { span, value })
    }

    fn table(&mut self, raw: &'s RawValue, depth: usize) -> Option<Tree> {
        let Entries(entries) = self.parsed(raw)?;
        let mut seen: HashMap<String, Span> = HashMap::with_capacity(entries.len());
        let mut table = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Span { start, end } = self.span(key);
            let (text, span): (String, _) = (self.parsed(key)?, Span { start: start + 1, end: end - 1 });
            if let Some(first) = seen.get(&text) {
                let twice = self.diagnostics.add(span, format!("`{}` is given twice", shown(&text)));
                twice.label("given again").first(*first, "first given");
                continue;
            }
            seen.insert(text.clone(), span);
            table.push((Text { text, span }, self.node(value, depth + 1)?));
        }
        Some(Tree::Table(table))
    }

    fn parsed<T: Deserialize<'s>>(&mut self, raw: &'s RawValue) -> Option<T> {
        let problem = match serde_json::from_str(raw.get()) {
            Ok(value) => return Some(value),
            Err(problem) => problem,
        };
        let start = self.span(raw).start as usize;
        self.diagnostics.add(at(self.file, start, &problem), message(&problem));
        None
    }

    fn span(&self, raw: &RawValue) -> Span {
        let start = (raw.get().as_ptr() as usize).saturating_sub(self.file.as_ptr() as usize);
        Span::of(start..start + raw.get().len())
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

/// What is wrong with a file that is not valid JSON.
fn unreadable(text: &str, error: &serde_json::Error, diagnostics: &mut Diagnostics) {
    let end = text.trim_end().len();
    let message = message(error);
    if end == 0 {
        diagnostics.add(Span::of(0..0), "the file is empty").help("a policy without any roles is written `{}`");
    } else if error.is_eof() {
        let within = message.strip_prefix("EOF while parsing ").unwrap_or("something");
        diagnostics.add(Span::of(end..end), format!("the file ends within {within}"));
    } else {
        let span = at(text, 0, error);
        let is_after_comma = text.get(..span.start as usize).is_some_and(|before| before.trim_end().ends_with(','));
        let help = is_after_comma.then(|| "JSON allows no comma after the last item".to_owned());
        diagnostics.add(span, message.replace("expected value", "expected a value")).help_if(help);
    }
}

/// The place that serde_json names (line and byte of the line, both from 1) in the part of the file
/// that begins at `start`.
fn at(file: &str, start: usize, error: &serde_json::Error) -> Span {
    let lines = error.line().saturating_sub(1);
    let part = file.get(start..).unwrap_or_default();
    let line_start: usize = part.split_inclusive('\n').take(lines).map(str::len).sum();
    let at = start + line_start + error.column().saturating_sub(1);
    Span::of(at..at)
}

/// What serde_json says, without its own "at line 1 column 2".
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// The entries of an object in the order of the file, repeated keys included.
struct Entries<'s>(Vec<(&'s RawValue, &'s RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                std::iter::from_fn(|| map.next_entry().transpose()).collect::<Result<_, _>>().map(Entries)
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
