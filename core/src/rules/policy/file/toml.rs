//! TOML to the tree.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{MAX_DEPTH, MAX_PARTS, Node, Tree, too_deep, too_many_parts};

use crate::rules::{Diagnostics, Span, Text, shown};

/// Of a file that is not valid TOML and has more parts, the first error alone is told.
const MAX_PARTS_TOLD: usize = 20_000;
/// So many keys that are given twice are told with the place of the first.
const MAX_SEARCHES: u32 = 20;

pub(super) fn parse(text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    let parts = measure(text, diagnostics)?;
    let first = match DeTable::parse(text) {
        Ok(table) => {
            let span = Span::of(table.span());
            return Some(Node { span, value: tree_of_table(table.into_inner(), 0, diagnostics) });
        }
        Err(error) => error,
    };
    // Every error holds many times the bytes that made it.
    let errors = if parts <= MAX_PARTS_TOLD { DeTable::parse_recoverable(text).1 } else { vec![first] };
    let mut again = Again::default();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if error.message() == "duplicate key" {
            again.tell(text, span, diagnostics);
            continue;
        }
        let told = diagnostics.add(Span::of(span), error.message());
        if error.message().starts_with("invalid unquoted key") {
            told.help("a name with other characters is written in quotes, such as \"document:edit\"");
        }
    }
    None
}

/// Keys that were found to be given twice.
#[derive(Default)]
struct Again {
    searches: u32,
    /// Where the last header of a table begins that was given before.
    header: Option<usize>,
}

impl Again {
    fn tell(&mut self, text: &str, span: Range<usize>, diagnostics: &mut Diagnostics) {
        let message = format!("`{}` is given twice", shown(text.get(span.clone()).unwrap_or_default()));
        self.searches += 1;
        // Looking for the other key costs a walk through the file.
        let Some(before) = text.get(..span.start).filter(|_| self.searches <= MAX_SEARCHES) else {
            diagnostics.add(Span::of(span), message).label("given again");
            return;
        };
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let is_header = text[line..].starts_with('[');
        let header = if is_header { line } else { before.rfind("\n[").map_or(0, |end| end + 1) };
        if is_header {
            self.header = Some(header);
        } else if self.header == Some(header) {
            // Told already: its whole table is given twice.
            return;
        }
        let region = if is_header { 0..line } else { header..line };
        let first = line_of(text, region, &text[line..span.end]);
        let twice = diagnostics.add(Span::of(span.clone()), message).label("given again");
        if let Some(first) = first {
            let start = first + span.start - line;
            twice.first(Span::of(start..start + span.len()), "first given");
        }
    }
}

/// The first line of a part of the file that begins with this, its last word being whole.
fn line_of(text: &str, region: Range<usize>, begins: &str) -> Option<usize> {
    let mut at = region.start;
    for line in text[region].split_inclusive('\n') {
        let is_whole = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || "_-.\"'".contains(next));
        if line.strip_prefix(begins).is_some_and(is_whole) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn node(value: Spanned<DeValue<'_>>, depth: usize, diagnostics: &mut Diagnostics) -> Node {
    let span = Span::of(value.span());
    let value = match value.into_inner() {
        DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => too_deep(span, diagnostics),
        DeValue::String(text) => Tree::Text(text.into_owned()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Tree::Int(integer),
            Err(_) => Tree::Other("an integer beyond 64 bits"),
        },
        DeValue::Boolean(bool) => Tree::Bool(bool),
        DeValue::Float(_) => Tree::Other("a fraction"),
        DeValue::Datetime(_) => Tree::Other("a date"),
        DeValue::Array(items) => Tree::List(items.into_iter().map(|item| node(item, depth + 1, diagnostics)).collect()),
        DeValue::Table(table) => tree_of_table(table, depth, diagnostics),
    };
    Node { span, value }
}

fn tree_of_table(table: DeTable<'_>, depth: usize, diagnostics: &mut Diagnostics) -> Tree {
    let entries = table.into_iter().map(|(key, value)| {
        let span = Span::of(key.span());
        (Text { text: key.into_inner().into_owned(), span }, node(value, depth + 1, diagnostics))
    });
    Tree::Table(entries.collect())
}

/// How many parts a file has, strings and comments apart; none where it is refused. The parser bounds brackets
/// and dotted keys apart; together they multiply, and dropping what they build exhausts the stack.
fn measure(text: &str, diagnostics: &mut Diagnostics) -> Option<usize> {
    let (mut brackets, mut dots, mut parts, mut at) = (0_usize, 0_usize, 0_usize, 0_usize);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' | b'\'' => {
                at = end_of_string(text.as_bytes(), at, *byte);
                parts += 1;
                continue;
            }
            b'#' => {
                at += text.as_bytes()[at..].iter().take_while(|byte| **byte != b'\n').count();
                continue;
            }
            b'[' | b'{' => (brackets, dots) = (brackets + 1, 0),
            b']' | b'}' => (brackets, dots) = (brackets.saturating_sub(1), 0),
            b'=' | b',' | b'\n' => dots = 0,
            b'.' => dots += 1,
            _ => {}
        }
        let is_sign = byte.is_ascii_punctuation() || byte.is_ascii_control();
        parts += usize::from(is_sign && !b"_-\r".contains(byte));
        if brackets > MAX_DEPTH || dots > MAX_DEPTH {
            too_deep(Span::of(at..at), diagnostics);
            return None;
        }
        if parts > MAX_PARTS {
            too_many_parts(at, diagnostics);
            return None;
        }
        at += 1;
    }
    Some(parts)
}

/// The byte after a string that begins at `start`; one that does not end goes to the end of its line.
fn end_of_string(text: &[u8], start: usize, quote: u8) -> usize {
    let is_long = text[start..].starts_with(&[quote; 3]);
    let mut at = start + if is_long { 3 } else { 1 };
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !is_long => return at,
            byte if *byte == quote && !is_long => return at + 1,
            byte if *byte == quote && text[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    text.len()
}
