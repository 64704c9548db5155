//! `areas/`: a class for each area of operations, for blocking code (`blocking/`) and for asyncio (`aio/`).

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

    fn package(self) -> &'static str {
        if self == Way::Async { "aio" } else { "blocking" }
    }

    fn about(self) -> &'static str {
        match self {
            Way::Blocking => "The areas of operations for blocking code: `me.users.create(…)`.",
            Way::Async => "The areas of operations for asyncio: `await me.users.create(…)`.",
        }
    }

    fn protocol(self) -> String {
        format!("{}Ffi", self.prefix())
    }
}

pub(super) fn areas(catalogue: &Catalogue) -> Vec<(String, String)> {
    let mut files = vec![("areas/__init__.py".to_owned(), both(catalogue))];
    for way in Way::ALL {
        let file = |name: &str| format!("areas/{}/{name}.py", way.package());
        files.push((file("__init__"), package(catalogue, way)));
        files.extend(catalogue.areas.iter().map(|area| (file(area.name), module(catalogue, area, way))));
    }
    files
}

/// One area.
fn module(catalogue: &Catalogue, area: &AreaShape, way: Way) -> String {
    let class = class(catalogue, area, way);
    let mut used = BTreeSet::new();
    for operation in &area.operations {
        used.extend(named(&operation.output));
        fields(catalogue, operation).iter().for_each(|field| used.extend(named(&field.ty)));
    }
    let used: Vec<&str> = used.into_iter().collect();
    let own: [(&str, &[&str]); 4] = [
        ("..._codec", &["EMPTY", "UNSET", "Unset", "decode"]),
        ("..._pages", &["all_rows", "all_rows_async"]),
        ("...records", &used),
        (".._ffi", &[&way.protocol()]),
    ];
    format!("{}\n{}{class}", docstring(area.about, &[], ""), imports(&class, &own))
}

/// All areas of one way.
fn package(catalogue: &Catalogue, way: Way) -> String {
    let mut imports = format!("from .._ffi import {}\n", way.protocol());
    for area in &catalogue.areas {
        let _ = writeln!(imports, "from .{} import {}", area.name, class_name(area, way));
    }
    let text = format!("{imports}\n{}{}", all(&names(catalogue, way)), mixin(catalogue, way));
    format!("\"\"\"{}\"\"\"\n\nfrom __future__ import annotations\n\n{text}", way.about())
}

/// Both ways.
fn both(catalogue: &Catalogue) -> String {
    let mut imports = String::new();
    let mut known = Vec::new();
    for way in Way::ALL {
        let own = names(catalogue, way);
        let lines: String = own.iter().map(|name| format!("    {name},\n")).collect();
        let _ = write!(imports, "from .{} import (\n{lines})\n", way.package());
        known.extend(own);
    }
    known.sort_unstable();
    format!("\"\"\"The operations, grouped: `me.users.create(…)`.\"\"\"\n\n{imports}\n{}", all(&known))
}

/// The classes of one way.
fn names(catalogue: &Catalogue, way: Way) -> Vec<String> {
    let areas = catalogue.areas.iter().map(|area| class_name(area, way));
    let mut names: Vec<String> = areas.chain([format!("{}Areas", way.prefix())]).collect();
    names.sort_unstable();
    names
}

fn all(names: &[String]) -> String {
    let lines: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    format!("__all__ = [\n{lines}]\n")
}

fn class(catalogue: &Catalogue, area: &AreaShape, way: Way) -> String {
    let about = docstring(area.about, &[], "    ");
    let methods: String = area.operations.iter().map(|operation| method(catalogue, area, operation, way)).collect();
    let class = class_name(area, way);
    let protocol = way.protocol();
    format!(
        "\n\nclass {class}:\n{about}\n    __slots__ = (\"_caller\",)\n\n    \
         def __init__(self, caller: {protocol}) -> None:\n        self._caller = caller\n{methods}"
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
    let all = all_rows(operation, fields, way);
    format!("\n    {keyword} {}({head}) -> {answer}:\n{about}        {body}\n{all}", name(operation.name))
}

/// `list_all`, beside a list that comes in pages.
fn all_rows(operation: &OperationShape, fields: &[FieldShape], way: Way) -> String {
    let TypeRef::Page(item) = &operation.output else { return String::new() };
    let fields: Vec<FieldShape> =
        fields.iter().filter(|field| !["page", "cursor"].contains(&field.name)).cloned().collect();
    let parameters = parameters(&fields, "        ");
    let passed: String = fields.iter().map(|field| format!("            {0}={0},\n", name(field.name))).collect();
    let (iterator, helper) = match way {
        Way::Blocking => ("Iterator", "all_rows"),
        Way::Async => ("AsyncIterator", "all_rows_async"),
    };
    let (list, item) = (name(operation.name), annotation(item, Side::Answered));
    let about = format!("All rows of `{list}`, from the first page to the last; `limit` of them are read at a time.");
    let about = docstring(&about, &fields, "        ");
    format!(
        "\n    def {}_all(\n        self,\n{parameters}    ) -> {iterator}[{item}]:\n{about}        \
         return {helper}(lambda cursor: self.{list}(\n{passed}            cursor=cursor,\n        ))\n",
        operation.name
    )
}

/// `me.users`, `me.roles`, …
fn mixin(catalogue: &Catalogue, way: Way) -> String {
    let (prefix, protocol) = (way.prefix(), way.protocol());
    let properties: String = catalogue
        .areas
        .iter()
        .map(|area| {
            let (name, class) = (area.name, class_name(area, way));
            let about = docstring(area.about, &[], "        ");
            format!(
                "\n    @property\n    def {name}(self: {protocol}) -> {class}:\n{about}        return {class}(self)\n"
            )
        })
        .collect();
    format!("\n\nclass {prefix}Areas:\n    \"\"\"All areas of a caller.\"\"\"\n\n    __slots__ = ()\n{properties}")
}

fn class_name(area: &AreaShape, way: Way) -> String {
    let parts = area.name.split('_').map(|part| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    format!("{}{}", way.prefix(), parts.collect::<String>())
}

fn fields<'c>(catalogue: &'c Catalogue, operation: &OperationShape) -> &'c [FieldShape] {
    let TypeRef::Named(input) = &operation.input else { return &[] };
    match catalogue.types.0.get(input).map(|input| &input.shape) {
        Some(Shape::Record(fields)) => fields,
        _ => &[],
    }
}
