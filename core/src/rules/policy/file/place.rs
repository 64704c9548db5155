//! From a place in a file back to the part of the policy that stands there.

use crate::rules::diagnostics::Diagnostics;

use super::{
    json,
    tree::{Node, Tree},
};

/// A step from a value to one inside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An entry of a table.
    Key(String),
    /// An item of a list, from 0.
    Item(usize),
}

/// A text in JSON that is asked for many places.
pub(in crate::rules) struct Places<'t> {
    text: &'t str,
    root: Option<Node<'t>>,
}

impl<'t> Places<'t> {
    pub(in crate::rules) fn of(text: &'t str) -> Self {
        Self { text, root: json::parse(text, &mut Diagnostics::default()) }
    }

    /// The innermost value (or key) at a line and column, both from 1, and how many characters before
    /// the place it begins.
    pub(in crate::rules) fn at(&self, line: u32, column: u32) -> (Vec<Step>, usize) {
        let before: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1) as usize).map(str::len).sum();
        let row = self.text.get(before..).unwrap_or_default();
        let inside: usize = row.chars().take(column.saturating_sub(1) as usize).map(char::len_utf8).sum();
        let offset = before + inside;
        let mut path = Vec::new();
        let Some(mut node) = self.root.as_ref() else { return (path, 0) };
        loop {
            let inner = match &node.value {
                Tree::Table(entries) => entries.iter().find_map(|(key, value)| {
                    let is_here = covers(value, offset) || (key.spot.start..=key.spot.end).contains(&narrow(offset));
                    is_here.then(|| (Step::Key(key.text.clone().into_owned()), value))
                }),
                Tree::List(items) => {
                    let mut items = items.iter().enumerate();
                    items.find(|(_, item)| covers(item, offset)).map(|(at, item)| (Step::Item(at), item))
                }
                _ => None,
            };
            let Some((step, value)) = inner else { break };
            path.push(step);
            node = value;
        }
        let text = self.text.get(node.spot.start as usize..offset).unwrap_or_default();
        (path, text.chars().count())
    }
}

fn covers(node: &Node<'_>, offset: usize) -> bool {
    (node.spot.start..node.spot.end.max(node.spot.start + 1)).contains(&narrow(offset))
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Places, Step};

    #[test]
    fn the_innermost_value_is_found() {
        let text = "{\n  \"roles\": {\n    \"a\": {\"allow\": [\"x:y\", {\"when\": \"é == 1\"}]}\n  }\n}";
        let places = Places::of(text);
        let keys = |path: &[Step]| {
            let step = |step: &Step| match step {
                Step::Key(key) => key.clone(),
                Step::Item(at) => at.to_string(),
            };
            path.iter().map(step).collect::<Vec<_>>().join("/")
        };
        let at = |part: &str| {
            let offset = text.find(part).unwrap();
            let line = text[..offset].matches('\n').count() as u32 + 1;
            let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
            let (path, inside) = places.at(line, text[start..offset].chars().count() as u32 + 1);
            (keys(&path), inside)
        };
        assert_eq!(at("x:y"), ("roles/a/allow/0".to_owned(), 1));
        assert_eq!(at("== 1"), ("roles/a/allow/1/when".to_owned(), 3));
        assert_eq!(at("a\": {"), ("roles/a".to_owned(), 0));
        assert_eq!(Places::of("no JSON").at(9, 9), (Vec::new(), 0));
    }
}
