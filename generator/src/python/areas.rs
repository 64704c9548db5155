//! `areas/`: a class for each area of operations, for blocking code and for asyncio.

use std::{collections::BTreeSet, fmt::Write as _};

use rolekeep::describe::{AreaShape, Catalogue, FieldShape, OperationShape, Shape, TypeRef};

use super::text::{Side, annotation, docstring, given, imports, name, parameters};
use crate::homes::named;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Blocking,
    Async,
}

impl Way {
    const ALL: [Way; 2] = [Way::Blocking, Way::Async];

    fn prefix(self) -> &'static str {
        if self == Way::Async { "Async" } else { "" }
    }
}

pub(super) fn areas(catalogue: &Catalogue) -> Vec<(String, String)> {
    let file = |area: &AreaShape| (format!("areas/{}.py", area.name), module(catalogue, area));
    catalogue.areas.iter().map(file).chain([("areas/__init__.py".to_owned(), package(catalogue))]).collect()
}

/// One area.
fn module(catalogue: &Catalogue, area: &AreaShape) -> String {
    let classes: String = Way::ALL.into_iter().map(|way| class(catalogue, area, way)).collect();
    let mut used = BTreeSet::new();
    for operation in &area.operations {
        used.extend(named(&operation.output));
        fields(catalogue, operation).iter().for_each(|field| used.extend(named(&field.ty)));
    }
    let used: Vec<&str> = used.into_iter().collect();
    let own: [(&str, &[&str]); 3] = [
        (".._codec", &["EMPTY", "UNSET", "Unset", "decode"]),
        ("..records", &used),
        ("._door", &["AsyncDoor", "Door"]),
    ];
    format!("{}\n{}{classes}", docstring(area.about, &[], ""), imports(&classes, &own))
}

/// All areas.
fn package(catalogue: &Catalogue) -> String {
    let mut names = vec!["Areas".to_owned(), "AsyncAreas".to_owned()];
    let mut imports = String::from("from ._door import AsyncDoor, Door\n");
    for area in &catalogue.areas {
        let classes = Way::ALL.map(|way| class_name(area, way));
        let [blocking, asynchronous] = &classes;
        let _ = writeln!(imports, "from .{} import {asynchronous}, {blocking}", area.name);
        names.extend(classes);
    }
    names.sort_unstable();
    let all: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let mixins: String = Way::ALL.into_iter().map(|way| mixin(catalogue, way)).collect();
    format!(
        "\"\"\"The operations, grouped: `me.users.create(…)`.\"\"\"\n\nfrom __future__ import annotations\n\n\
         {imports}\n__all__ = [\n{all}]\n{mixins}"
    )
}

fn class(catalogue: &Catalogue, area: &AreaShape, way: Way) -> String {
    let about = docstring(area.about, &[], "    ");
    let methods: String = area.operations.iter().map(|operation| method(catalogue, area, operation, way)).collect();
    let class = class_name(area, way);
    let door = way.prefix();
    format!(
        "\n\nclass {class}:\n{about}\n    __slots__ = (\"_caller\",)\n\n    \
         def __init__(self, caller: {door}Door) -> None:\n        self._caller = caller\n{methods}"
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
                "\n    @property\n    def {name}(self: {door}Door) -> {class}:\n{about}        return {class}(self)\n"
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
