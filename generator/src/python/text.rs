//! How Python writes things: names, types, docstrings.

use std::collections::BTreeSet;

use rolekeep::describe::{FieldShape, TypeRef};

use crate::plain;

const WIDTH: usize = 110;

/// A JSON key as a Python name: `from` is a word of the language.
pub(super) fn name(key: &str) -> String {
    const WORDS: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
        "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
        "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ];
    if WORDS.contains(&key) { format!("{key}_") } else { key.to_owned() }
}

/// A word as a member of its enum: `FlyOS_MQ5` is `FLYOS_MQ5`.
pub(super) fn member(word: &str) -> String {
    let fit = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    word.chars().map(fit).collect()
}

/// Which side a type is on: what is answered is exact, what is taken is generous.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Answered,
    Taken,
}

/// A type as an annotation. `list` is said in full, for areas have methods of that name.
pub(super) fn annotation(ty: &TypeRef, side: Side) -> String {
    let inner = |ty: &TypeRef| annotation(ty, side);
    match (ty, side) {
        (TypeRef::Unit, _) => "None".to_owned(),
        (TypeRef::Bool, _) => "bool".to_owned(),
        (TypeRef::Int, _) => "int".to_owned(),
        (TypeRef::Text | TypeRef::Secret, _) => "str".to_owned(),
        (TypeRef::Id, _) => "UUID".to_owned(),
        (TypeRef::Time, _) => "datetime".to_owned(),
        (TypeRef::Date, _) => "date".to_owned(),
        (TypeRef::Json, _) => "Any".to_owned(),
        (TypeRef::List(item), Side::Answered) => format!("builtins.list[{}]", inner(item)),
        (TypeRef::List(item), Side::Taken) => format!("Sequence[{}]", inner(item)),
        (TypeRef::Map(item), Side::Answered) => format!("dict[str, {}]", inner(item)),
        (TypeRef::Map(item), Side::Taken) => format!("Mapping[str, {}]", inner(item)),
        (TypeRef::Optional(item), _) => format!("{} | None", inner(item)),
        (TypeRef::Patch(item), _) => format!("{} | None | Unset", inner(item)),
        (TypeRef::Change(item), _) => format!("{} | Unset", inner(item)),
        (TypeRef::Page(item), _) => format!("Page[{}]", inner(item)),
        (TypeRef::Named(name), _) => name.clone(),
        (TypeRef::OrText(record), _) => format!("str | {}", inner(record)),
        (TypeRef::Key, _) => "UUID | str | int".to_owned(),
    }
}

/// What stands for a parameter that is not given; none: it must be.
pub(super) fn default(ty: &TypeRef) -> Option<&'static str> {
    match ty {
        TypeRef::Optional(_) => Some("None"),
        TypeRef::Patch(_) | TypeRef::Change(_) => Some("UNSET"),
        TypeRef::List(_) => Some("()"),
        TypeRef::Map(_) => Some("EMPTY"),
        _ => None,
    }
}

/// The parameters of a function, one a line: what must be given and what mostly is first, by place or by name, the rest
/// by name.
pub(super) fn parameters(fields: &[FieldShape], indent: &str) -> String {
    let (leading, optional): (Vec<_>, Vec<_>) =
        fields.iter().partition(|field| field.is_positional || default(&field.ty).is_none());
    let line = |field: &&FieldShape| {
        let given = default(&field.ty).map(|default| format!(" = {default}")).unwrap_or_default();
        format!("{indent}{}: {}{given},\n", name(field.name), annotation(&field.ty, Side::Taken))
    };
    let star = if optional.is_empty() { String::new() } else { format!("{indent}*,\n") };
    leading.iter().map(line).chain([star]).chain(optional.iter().map(line)).collect()
}

/// `{"email": email, …}`
pub(super) fn given(fields: &[FieldShape], indent: &str) -> String {
    let entry = |field: &FieldShape| format!("\"{}\": {}", field.name, name(field.name));
    let entries: Vec<String> = fields.iter().map(entry).collect();
    let short = format!("{{{}}}", entries.join(", "));
    if indent.len() + short.len() <= WIDTH - 40 {
        return short;
    }
    let lines: String = entries.iter().map(|entry| format!("{indent}    {entry},\n")).collect();
    format!("{{\n{lines}{indent}}}")
}

/// The modules of Python itself, and what generated code takes of them; nothing: the module.
const STANDARD: [(&str, &[&str]); 6] = [
    ("builtins", &[]),
    ("collections.abc", &["AsyncIterator", "Iterator", "Mapping", "Sequence"]),
    ("dataclasses", &["dataclass", "field"]),
    ("datetime", &["date", "datetime"]),
    ("typing", &["Any"]),
    ("uuid", &["UUID"]),
];

/// The top of a module: what its text uses, of Python and of these modules.
pub(super) fn imports(text: &str, own: &[(&str, &[&str])]) -> String {
    let code = without_docstrings(text);
    let words: BTreeSet<&str> = code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let line = |(module, names): &(&str, &[&str])| {
        if names.is_empty() && words.contains(module) {
            return format!("import {module}\n");
        }
        let names: Vec<&str> = names.iter().copied().filter(|name| words.contains(name)).collect();
        match names.as_slice() {
            [] => String::new(),
            names if names.len() > 6 => format!("from {module} import (\n    {},\n)\n", names.join(",\n    ")),
            names => format!("from {module} import {}\n", names.join(", ")),
        }
    };
    let [standard, own] = [&STANDARD[..], own].map(|modules| modules.iter().map(line).collect::<String>());
    let parts = ["from __future__ import annotations\n".to_owned(), standard, own];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn without_docstrings(text: &str) -> String {
    text.split("\"\"\"").step_by(2).collect()
}

/// Rust's documentation as Python's.
pub(super) fn about(text: &str) -> String {
    plain(text).replace("null", "`None`").replace('\\', "\\\\")
}

/// A docstring of paragraphs, and of a list of arguments.
pub(super) fn docstring(text: &str, arguments: &[FieldShape], indent: &str) -> String {
    let text = about(text);
    let mut lines: Vec<String> = Vec::new();
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        // "Errors: …" starts a line of its own.
        for part in paragraph.split("\nErrors:").enumerate() {
            let part = if part.0 > 0 { format!("Errors:{}", part.1) } else { part.1.to_owned() };
            lines.extend(wrap(&part.replace('\n', " "), indent, indent));
        }
    }
    if !arguments.is_empty() {
        lines.extend([String::new(), format!("{indent}Args:")]);
        let (first, further) = (format!("{indent}    "), format!("{indent}        "));
        let line = |field: &FieldShape| {
            wrap(&format!("{}: {}", name(field.name), about(field.about).replace('\n', " ")), &first, &further)
        };
        lines.extend(arguments.iter().flat_map(line));
    }
    if let Some(first) = lines.first_mut() {
        *first = format!("{indent}\"\"\"{}", first.trim_start());
    }
    match lines.len() {
        1 => format!("{}\"\"\"\n", lines.concat()),
        _ => format!("{}\n{indent}\"\"\"\n", lines.join("\n")),
    }
}

fn wrap(text: &str, first: &str, further: &str) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.trim().is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < WIDTH - 10 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{further}{word}")),
        }
    }
    lines
}
