//! What both formats become: values with their places.

use std::borrow::Cow;

use crate::rules::diagnostics::{Spot, Text};

/// A value and where it stands.
pub(in crate::rules) struct Node<'s> {
    pub(in crate::rules) spot: Spot,
    pub(in crate::rules) value: Tree<'s>,
}

/// A key of a table and where it stands.
pub(in crate::rules) struct Key<'s> {
    pub(in crate::rules) spot: Spot,
    pub(in crate::rules) text: Cow<'s, str>,
}

/// A value.
pub(in crate::rules) enum Tree<'s> {
    Text(Cow<'s, str>),
    Int(i64),
    Bool(bool),
    List(Vec<Node<'s>>),
    Table(Vec<(Key<'s>, Node<'s>)>),
    /// What no policy holds: a float, a date, null.
    Other(&'static str),
    /// Nested too deeply; reported already.
    Refused,
}

impl Tree<'_> {
    pub(in crate::rules) fn kind(&self, is_json: bool) -> Cow<'static, str> {
        let kind = match self {
            Tree::Text(_) => "a string",
            Tree::Int(int) => return Cow::Owned(format!("the number {int}")),
            Tree::Bool(_) => "true or false",
            Tree::List(_) => "a list",
            Tree::Table(_) if is_json => "an object",
            Tree::Table(_) => "a table",
            Tree::Other(kind) => kind,
            Tree::Refused => "nested too deeply",
        };
        Cow::Borrowed(kind)
    }
}

impl Key<'_> {
    pub(in crate::rules) fn to_text(&self) -> Text {
        Text { text: self.text.clone().into_owned(), spot: self.spot }
    }
}
