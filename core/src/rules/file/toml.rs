//! TOML to the tree.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::rules::faults::{Faults, Spot};

use super::{
    MAX_DEPTH,
    tree::{Key, Node, Tree},
};

pub(super) fn parse<'s>(text: &'s str, faults: &mut Faults) -> Option<Node<'s>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let spot = Spot::of(table.span());
        return Some(Node { spot, value: tree_of_table(table.into_inner(), 0, faults) });
    }
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        faults.add(Spot::of(at..at), error.message(), None);
    }
    None
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
