//! Kotlin: the areas as properties, and the dispatch of the tests.

use std::fmt::Write;

use rolekeep::describe::{Catalogue, FieldShape, Shape, TypeRef};

use super::{MARK, camel, input, inputs, operations, outputs, pascal, shouty, simple};
use crate::plain;

pub(super) fn areas(catalogue: &Catalogue) -> String {
    let mut text = format!("{MARK}package dev.rolekeep\n\nimport kotlinx.coroutines.flow.Flow\n");
    for area in &catalogue.areas {
        let (name, class, about) = (camel(area.name), pascal(area.name), area.about.trim());
        let _ = write!(text, "\n/** {about} */\nval Caller.{name}: {class} get() = get{class}()\n");
    }
    for (area, operation) in operations(catalogue) {
        let (TypeRef::Page(item), Some(input)) = (&operation.output, input(catalogue, operation)) else { continue };
        let (class, method, item) = (pascal(area.name), camel(operation.name), simple(item));
        let is_needed = takes_something(catalogue, &operation.input);
        let default = if is_needed { String::new() } else { format!(" = {input}()") };
        let _ = write!(
            text,
            "\n/** All rows of [{class}.{method}], from the first page to the last; `limit` of them are read at a time. */\n\
             fun {class}.{method}All(input: {input}{default}): Flow<{item}> =\n    \
             allRows({{ cursor -> {method}(input.copy(page = null, cursor = cursor)) }}, {{ it.items }}, {{ it.nextCursor }})\n"
        );
    }
    let pages: std::collections::BTreeSet<String> = operations(catalogue)
        .filter_map(|(_, operation)| match &operation.output {
            TypeRef::Page(item) => Some(simple(item)),
            _ => None,
        })
        .collect();
    for item in pages {
        let _ = write!(
            text,
            "\n/** The rows of the page. */\noperator fun {item}Page.iterator(): Iterator<{item}> = items.iterator()\n"
        );
    }
    text
}

/// Whether an input has fields that must be given.
fn takes_something(catalogue: &Catalogue, input: &TypeRef) -> bool {
    let TypeRef::Named(name) = input else { return false };
    let Some(Shape::Record(fields)) = catalogue.types.0.get(name).map(|ty| &ty.shape) else { return false };
    let may_be_left_out = |ty: &TypeRef| {
        matches!(ty, TypeRef::Optional(_) | TypeRef::Patch(_) | TypeRef::Change(_) | TypeRef::List(_) | TypeRef::Map(_))
    };
    fields.iter().any(|field| !may_be_left_out(&field.ty))
}

/// The names of everything that must be there, for the test of parity.
pub(super) fn names(catalogue: &Catalogue) -> String {
    let object = |entries: Vec<String>| format!("{{\n    {}\n  }}", entries.join(",\n    "));
    let entry = |name: &str, names: Vec<&str>| format!("\"{name}\": {names:?}");
    let calls = operations(catalogue).map(|(area, operation)| {
        let takes = input(catalogue, operation).map_or("null".to_owned(), |name| format!("\"{name}\""));
        format!("\"{}.{}\": {takes}", area.name, operation.name)
    });
    let (mut records, mut words) = (Vec::new(), Vec::new());
    for (name, ty) in &catalogue.types.0 {
        match &ty.shape {
            Shape::Record(fields) if fields.is_empty() => {}
            Shape::Record(fields) => records.push(entry(name, fields.iter().map(|field| field.name).collect())),
            Shape::Words(known) => words.push(entry(name, known.iter().map(|word| word.0).collect())),
        }
    }
    format!(
        "{{\n  \"operations\": {},\n  \"records\": {},\n  \"words\": {}\n}}\n",
        object(calls.collect()),
        object(records),
        object(words)
    )
}

/// Maps an operation's name and JSON to the typed call and its answer to JSON; the answer as it is goes to whoever watches.
pub(super) fn dispatch(catalogue: &Catalogue) -> String {
    let mut text = format!(
        "{MARK}import dev.rolekeep.*\nimport kotlinx.serialization.json.JsonElement\nimport kotlinx.serialization.json.JsonNull\n\n\
         suspend fun dispatch(me: Caller, operation: String, input: JsonElement, seen: (Any?) -> Unit): JsonElement = when (operation) {{\n"
    );
    for (area, operation) in operations(catalogue) {
        let method = format!("me.{}.{}", camel(area.name), camel(operation.name));
        let call = match input(catalogue, operation) {
            Some(name) => format!("{method}(read{name}(input))"),
            None => format!("input.record().let {{ {method}() }}"),
        };
        let answer = match &operation.output {
            TypeRef::Unit => format!("{call}.let {{ JsonNull }}"),
            output => write(output, &format!("{call}.also(seen)")),
        };
        let _ = writeln!(text, "    \"{}.{}\" -> {answer}", area.name, operation.name);
    }
    text.push_str("    else -> throw Inexpressible(\"there is no operation $operation\")\n}\n");
    for ty in inputs(catalogue) {
        if let TypeRef::Named(name) = &ty {
            match &catalogue.types.0[name].shape {
                Shape::Record(fields) if fields.is_empty() => {}
                Shape::Record(fields) => read_record(&mut text, name, fields),
                Shape::Words(words) => read_words(&mut text, name, words),
            }
        }
    }
    for ty in outputs(catalogue) {
        match &ty {
            TypeRef::Named(name) => match &catalogue.types.0[name].shape {
                Shape::Record(fields) => write_record(&mut text, name, fields),
                Shape::Words(words) => write_words(&mut text, name, words),
            },
            TypeRef::Page(inner) => {
                let name = format!("{}Page", simple(inner));
                let number = || Box::new(TypeRef::Int);
                let field = |name, ty| FieldShape { name, about: "", ty, is_positional: false };
                let fields = [
                    field("items", TypeRef::List(inner.clone())),
                    field("total", TypeRef::Optional(number())),
                    field("total_exact", TypeRef::Bool),
                    field("pages", TypeRef::Optional(number())),
                    field("page", TypeRef::Optional(number())),
                    field("limit", TypeRef::Int),
                    field("has_next", TypeRef::Bool),
                    field("has_previous", TypeRef::Bool),
                    field("next_cursor", TypeRef::Optional(Box::new(TypeRef::Text))),
                ];
                write_record(&mut text, &name, &fields);
            }
            _ => {}
        }
    }
    text
}

fn read_record(text: &mut String, name: &str, fields: &[FieldShape]) {
    let keys: Vec<String> = fields.iter().map(|field| format!("\"{}\"", field.name)).collect();
    let _ = writeln!(
        text,
        "\nfun read{name}(from: JsonElement) = from.record({}).let {{ it ->\n    {name}(",
        keys.join(", ")
    );
    for field in fields {
        let _ = writeln!(text, "        {} = {},", property(field), reader_of(field));
    }
    text.push_str("    )\n}\n");
}

/// A doc comment of Kotlin.
pub(super) fn docs(text: &mut String, indent: &str, about: &str) {
    let about = plain(about);
    let lines: Vec<&str> = about.lines().map(str::trim).collect();
    let _ = match lines.as_slice() {
        [] => Ok(()),
        [line] => writeln!(text, "{indent}/** {line} */"),
        lines => {
            let body = lines.iter().map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n");
            writeln!(text, "{indent}/**\n{}{indent} */", body.collect::<String>())
        }
    };
}

/// A field as Kotlin names it: words of the language stand in backticks.
pub(super) fn property(field: &FieldShape) -> String {
    const WORDS: &str = "as break class continue do else false for fun if in interface is null object package \
                         return super this throw true try typealias typeof val var when while";
    let name = camel(field.name);
    if WORDS.split(' ').any(|word| word == name) { format!("`{name}`") } else { name }
}

fn reader_of(field: &FieldShape) -> String {
    let key = field.name;
    match &field.ty {
        TypeRef::Optional(inner) => format!("it.optional(\"{key}\") {{ {} }}", element_reader(inner)),
        TypeRef::Change(inner) => format!("it.change(\"{key}\") {{ {} }}", element_reader(inner)),
        TypeRef::Patch(inner) => {
            let patch = format!("{}Patch", simple(inner));
            format!("it.patch(\"{key}\", {patch}.Clear) {{ {patch}.Set({}(it)) }}", reader(inner))
        }
        TypeRef::List(inner) => format!("it.list(\"{key}\") {{ {} }}", element_reader(inner)),
        TypeRef::Map(inner) => format!("it.map(\"{key}\") {{ {} }}", element_reader(inner)),
        ty => format!("it.required(\"{key}\") {{ {}(it) }}", reader(ty)),
    }
}

fn element_reader(ty: &TypeRef) -> String {
    match ty {
        TypeRef::List(inner) => format!("it.elements {{ {} }}", element_reader(inner)),
        ty => format!("{}(it)", reader(ty)),
    }
}

fn reader(ty: &TypeRef) -> String {
    format!("read{}", simple(ty))
}

fn read_words(text: &mut String, name: &str, words: &[(&str, &str)]) {
    let _ = writeln!(text, "\nfun read{name}(from: JsonElement) = when (val word = readString(from)) {{");
    for (word, _) in words {
        let _ = writeln!(text, "    \"{word}\" -> {name}.{}", shouty(word));
    }
    let _ = writeln!(text, "    else -> throw Inexpressible(\"$word is no {name}\")\n}}");
}

fn write_record(text: &mut String, name: &str, fields: &[FieldShape]) {
    let _ = writeln!(text, "\nfun write{name}(from: {name}) = json(");
    for field in fields {
        let _ = writeln!(text, "    \"{}\" to {},", field.name, write(&field.ty, &format!("from.{}", property(field))));
    }
    text.push_str(")\n");
}

fn write_words(text: &mut String, name: &str, words: &[(&str, &str)]) {
    let _ = writeln!(text, "\nfun write{name}(from: {name}) = writeString(when (from) {{");
    for (word, _) in words {
        let _ = writeln!(text, "    {name}.{} -> \"{word}\"", shouty(word));
    }
    text.push_str("})\n");
}

fn write(ty: &TypeRef, value: &str) -> String {
    match ty {
        TypeRef::Optional(inner) => format!("{value}?.let {{ {} }}", write(inner, "it")),
        TypeRef::List(inner) => format!("writeList({value}) {{ {} }}", write(inner, "it")),
        TypeRef::Map(inner) => format!("writeMap({value}) {{ {} }}", write(inner, "it")),
        ty => format!("{}({value})", writer(ty)),
    }
}

fn writer(ty: &TypeRef) -> String {
    match ty {
        TypeRef::Page(inner) => format!("write{}Page", simple(inner)),
        ty => format!("write{}", simple(ty)),
    }
}
