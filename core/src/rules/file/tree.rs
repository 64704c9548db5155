//! What both formats become: values with their places.

use std::borrow::Cow;

use crate::rules::faults::{Spot, Text};

/// A value and where it stands.
pub(super) struct Node<'s> {
    pub(super) spot: Spot,
    pub(super) value: Tree<'s>,
}

/// A key of a table and where it stands.
pub(super) struct Key<'s> {
    pub(super) spot: Spot,
    pub(super) text: Cow<'s, str>,
}

/// A value.
pub(super) enum Tree<'s> {
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
    pub(super) fn kind(&self, is_json: bool) -> Cow<'static, str> {
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
    pub(super) fn to_text(&self) -> Text {
        Text { text: self.text.clone().into_owned(), spot: self.spot }
    }
}
