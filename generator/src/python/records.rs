//! `records.py`: enums and records.

use std::collections::BTreeSet;

use rolekeep::describe::{Catalogue, FieldShape, Shape, TypeRef};

use super::text::{Side, annotation, docstring, member, name};

const HEAD: &str = r#""""What operations answer, and what they take beside plain values."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


class Word(str, Enum):
    """An enum whose members are their words: `UserStatus.ACTIVE == "active"`."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list."""

    items: builtins.list[T]
    """The rows of this page."""
    total: int | None = None
    """How many rows there are in all, for this caller; `None` when the page was reached by a cursor."""
    pages: int | None = None
    """How many pages there are in all; `None` when the page was reached by a cursor."""
    page: int | None = None
    """This page's number, from 1; `None` when it was reached by a cursor."""
    limit: int
    """The page size."""
    has_next: bool
    """Whether there is a page after this."""
    has_previous: bool
    """Whether there is a page before this."""
    next_cursor: str | None = None
    """Give it as `cursor` for the rows after this page; costs the same at any depth."""
"#;

pub(super) fn records(catalogue: &Catalogue) -> String {
    // What an operation takes is its method's parameters, and settings are those of `open`.
    let parameters: BTreeSet<&str> = catalogue
        .areas
        .iter()
        .flat_map(|area| &area.operations)
        .filter_map(|operation| match &operation.input {
            TypeRef::Named(name) => Some(name.as_str()),
            _ => None,
        })
        .chain(["Settings", "SqlTable"])
        .collect();
    let mut text = HEAD.to_owned();
    let mut names = vec!["Page", "Word"];
    for (name, shape) in catalogue.types.0.iter().filter(|(name, _)| !parameters.contains(name.as_str())) {
        names.push(name);
        match &shape.shape {
            Shape::Words(words) => text += &word_class(name, shape.about, words),
            Shape::Record(fields) => text += &record_class(name, shape.about, fields),
        }
    }
    names.sort_unstable();
    let all: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    text + "\n\n__all__ = [\n" + &all + "]\n"
}

fn word_class(name: &str, about: &str, words: &[(&'static str, &'static str)]) -> String {
    let members: String = words
        .iter()
        .map(|(word, about)| {
            format!(
                "    {} = \"{word}\"
{}",
                member(word),
                docstring(about, &[], "    ")
            )
        })
        .collect();
    format!("\n\nclass {name}(Word):\n{}\n{members}", docstring(about, &[], "    "))
}

fn record_class(class: &str, about: &str, fields: &[FieldShape]) -> String {
    let lines: String = fields
        .iter()
        .map(|field| {
            let ty = annotation(&field.ty, Side::Answered);
            let default = default(field).map(|default| format!(" = {default}")).unwrap_or_default();
            format!("    {}: {ty}{default}\n{}", name(field.name), docstring(field.about, &[], "    "))
        })
        .collect();
    let about = docstring(about, &[], "    ");
    format!("\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass {class}:\n{about}\n{lines}")
}

/// Tokens do not show in logs.
fn default(field: &FieldShape) -> Option<String> {
    let is_secret = match &field.ty {
        TypeRef::Optional(inner) => **inner == TypeRef::Secret,
        ty => *ty == TypeRef::Secret,
    };
    let value = match &field.ty {
        TypeRef::Optional(_) => Some("None"),
        TypeRef::List(_) => Some("field(default_factory=builtins.list)"),
        TypeRef::Map(_) => Some("field(default_factory=dict)"),
        _ => None,
    };
    match (value, is_secret) {
        (Some("None"), true) => Some("field(default=None, repr=False)".to_owned()),
        (None, true) => Some("field(repr=False)".to_owned()),
        (value, _) => value.map(str::to_owned),
    }
}
