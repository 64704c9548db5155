//! TOML to the tree.

use std::collections::HashMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::rules::faults::{Faults, Spot, shown};

use super::{
    MAX_DEPTH,
    tree::{Key, Node, Tree},
};

pub(super) fn parse<'s>(text: &'s str, faults: &mut Faults) -> Option<Node<'s>> {
    // The parser bounds brackets and dotted keys apart; together they multiply, and dropping what
    // they build exhausts the stack.
    if let Some(at) = too_deep(text) {
        faults.add(Spot::of(at..at), "nested too deeply", None);
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let spot = Spot::of(table.span());
        return Some(Node { spot, value: tree_of_table(table.into_inner(), 0, faults) });
    }
    let mut keys = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let spot = Spot::of(span.clone());
        if error.message() != "duplicate key" {
            faults.add(spot, error.message(), None);
            continue;
        }
        let key = text.get(span).unwrap_or_default();
        let fault = faults.add(spot, format!("`{}` is given twice", shown(key)), None).label("given again");
        let places = keys.get_or_insert_with(|| places(&table));
        // Of several keys of this name nobody knows which is the other.
        if let Some([first]) = places.get(key.trim_matches(['"', '\''])).map(Vec::as_slice) {
            fault.first(*first, "first given");
        }
    }
    None
}

/// Where every key stands, in whatever table.
fn places<'t>(table: &'t Spanned<DeTable<'_>>) -> HashMap<&'t str, Vec<Spot>> {
    let mut places: HashMap<&str, Vec<Spot>> = HashMap::new();
    let mut tables = vec![table.get_ref()];
    while let Some(table) = tables.pop() {
        for (name, value) in table {
            places.entry(name.get_ref()).or_default().push(Spot::of(name.span()));
            match value.get_ref() {
                DeValue::Table(inner) => tables.push(inner),
                DeValue::Array(items) => tables.extend(items.iter().filter_map(|item| item.get_ref().as_table())),
                _ => {}
            }
        }
    }
    places
}

fn node<'s>(value: Spanned<DeValue<'s>>, depth: usize, faults: &mut Faults) -> Node<'s> {
    let spot = Spot::of(value.span());
    let value = match value.into_inner() {
        DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => {
            faults.add(spot, "nested too deeply", None);
            Tree::Refused
        }
        DeValue::String(text) => Tree::Text(text),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Tree::Int(integer),
            Err(_) => Tree::Other("an integer beyond 64 bits"),
        },
        DeValue::Boolean(bool) => Tree::Bool(bool),
        DeValue::Float(_) => Tree::Other("a fraction"),
        DeValue::Datetime(_) => Tree::Other("a date"),
        DeValue::Array(items) => Tree::List(items.into_iter().map(|item| node(item, depth + 1, faults)).collect()),
        DeValue::Table(table) => tree_of_table(table, depth, faults),
    };
    Node { spot, value }
}

fn tree_of_table<'s>(table: DeTable<'s>, depth: usize, faults: &mut Faults) -> Tree<'s> {
    let entry = |(key, value): (Spanned<_>, _)| {
        (Key { spot: Spot::of(key.span()), text: key.into_inner() }, node(value, depth + 1, faults))
    };
    Tree::Table(table.into_iter().map(entry).collect())
}

/// Where brackets or the parts of one key outnumber [`MAX_DEPTH`], strings and comments apart.
fn too_deep(text: &str) -> Option<usize> {
    let (mut brackets, mut dots, mut at) = (0_usize, 0_usize, 0_usize);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' | b'\'' => {
                at = end_of_string(text.as_bytes(), at, *byte);
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
        if brackets > MAX_DEPTH || dots > MAX_DEPTH {
            return Some(at);
        }
        at += 1;
    }
    None
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
