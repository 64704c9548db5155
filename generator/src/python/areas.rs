//! `areas.py`: a class for each area of operations, for blocking code and for asyncio.

use std::collections::BTreeSet;

use rolekeep::describe::{AreaShape, Catalogue, FieldShape, OperationShape, Shape, TypeRef};

use super::text::{Side, annotation, docstring, given, name, parameters};

const HEAD: &str = r#""""The operations, grouped: `me.users.create(…)`."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from ._codec import EMPTY, UNSET, Unset, decode
"#;

const DOORS: &str = r"

class _Door(Protocol):
    def call(self, operation: str, given: Mapping[str, Any] | str = ...) -> str: ...


class _AsyncDoor(Protocol):
    async def call(self, operation: str, given: Mapping[str, Any] | str = ...) -> str: ...
";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Blocking,
    Async,
}

impl Way {
    fn prefix(self) -> &'static str {
        if self == Way::Async { "Async" } else { "" }
    }
}

pub(super) fn areas(catalogue: &Catalogue) -> String {
    let classes: String = [Way::Blocking, Way::Async]
        .into_iter()
        .flat_map(|way| {
            let classes = catalogue.areas.iter().map(move |area| class(catalogue, area, way));
            classes.chain([mixin(catalogue, way)])
        })
        .collect();
    let mut used = BTreeSet::new();
    for operation in catalogue.areas.iter().flat_map(|area| &area.operations) {
        name_types(&operation.output, &mut used);
        fields(catalogue, operation).iter().for_each(|field| name_types(&field.ty, &mut used));
    }
    let imports: String = used.iter().map(|name| format!("    {name},\n")).collect();
    format!("{HEAD}from .records import (\n{imports})\n{DOORS}{classes}")
}

fn class(catalogue: &Catalogue, area: &AreaShape, way: Way) -> String {
    let about = docstring(area.about, &[], "    ");
    let methods: String = area.operations.iter().map(|operation| method(catalogue, area, operation, way)).collect();
    let class = class_name(area, way);
    let door = way.prefix();
    format!(
        "\n\nclass {class}:\n{about}\n    __slots__ = (\"_caller\",)\n\n    \
         def __init__(self, caller: _{door}Door) -> None:\n        self._caller = caller\n{methods}"
    )
}

fn method(catalogue: &Catalogue, area: &AreaShape, operation: &OperationShape, way: Way) -> String {
    let fields = fields(catalogue, operation);
    let (keyword, wait) = if way == Way::Async { ("async def", "await ") } else { ("def", "") };
    let answer = annotation(&operation.output, Side::Answered);
    let head = match fields {
        [] => "self".to_owned(),
        fields => format!("\n        self,\n{}    ", parameters(fields, "        ")),
    };
    let about = docstring(operation.about, fields, "        ");
    let given = if fields.is_empty() { String::new() } else { format!(", {}", given(fields, "        ")) };
    let call = format!("{wait}self._caller.call(\"{}.{}\"{given})", area.name, operation.name);
    let body = if operation.output == TypeRef::Unit { call } else { format!("return decode({answer}, {call})") };
    format!("\n    {keyword} {}({head}) -> {answer}:\n{about}        {body}\n", name(operation.name))
}

/// `me.users`, `me.roles`, …
fn mixin(catalogue: &Catalogue, way: Way) -> String {
    let door = way.prefix();
    let properties: String = catalogue
        .areas
        .iter()
        .map(|area| {
            let (name, class) = (area.name, class_name(area, way));
            let about = docstring(area.about, &[], "        ");
            format!(
                "\n    @property\n    def {name}(self: _{door}Door) -> {class}:\n{about}        return {class}(self)\n"
            )
        })
        .collect();
    format!("\n\nclass {door}Areas:\n    \"\"\"All areas of a caller.\"\"\"\n\n    __slots__ = ()\n{properties}")
}

fn class_name(area: &AreaShape, way: Way) -> String {
    let mut letters = area.name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}", way.prefix(), first.into_iter().chain(letters).collect::<String>())
}

fn fields<'c>(catalogue: &'c Catalogue, operation: &OperationShape) -> &'c [FieldShape] {
    let TypeRef::Named(input) = &operation.input else { return &[] };
    match catalogue.types.0.get(input).map(|input| &input.shape) {
        Some(Shape::Record(fields)) => fields,
        _ => &[],
    }
}

fn name_types<'t>(ty: &'t TypeRef, into: &mut BTreeSet<&'t str>) {
    match ty {
        TypeRef::Named(name) => drop(into.insert(name)),
        TypeRef::Page(inner) => {
            into.insert("Page");
            name_types(inner, into);
        }
        TypeRef::List(inner)
        | TypeRef::Map(inner)
        | TypeRef::Optional(inner)
        | TypeRef::Patch(inner)
        | TypeRef::Change(inner) => name_types(inner, into),
        _ => {}
    }
}
