//! `face.rs`: records, enums and areas for uniffi.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use rolekeep::describe::{AreaShape, Catalogue, FieldShape, Shape, TypeRef};

use super::{MARK, docs, has_default, input, inputs, is_all_default, outputs, pascal, simple};

const HEAD: &str = "
//! Records, enums and areas, as the list of operations says.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{CalendarDate, Caller, JsonText, Result, Timestamp, Uuid, caller::Nothing};
";

pub(super) fn face(catalogue: &Catalogue) -> String {
    let mut text = format!("{MARK}{HEAD}");
    let empty = |name: &str| matches!(&catalogue.types.0[name].shape, Shape::Record(fields) if fields.is_empty());
    for (name, ty) in catalogue.types.0.iter().filter(|(name, _)| !empty(name)) {
        text.push('\n');
        docs(&mut text, "", ty.about);
        match &ty.shape {
            Shape::Record(fields) => record(&mut text, name, fields),
            Shape::Words(words) => enumeration(&mut text, name, words),
        }
    }
    // By name, as several fields may have one of them.
    let met = inputs(catalogue).into_iter().chain(outputs(catalogue));
    let made: BTreeMap<String, String> = met.filter_map(|ty| helper(&ty)).collect();
    made.values().for_each(|helper| text.push_str(helper));
    catalogue.areas.iter().for_each(|one| area(&mut text, catalogue, one));
    getters(&mut text, &catalogue.areas);
    formatted(text)
}

fn record(text: &mut String, name: &str, fields: &[FieldShape]) {
    let _ = writeln!(text, "#[derive(Clone, Serialize, Deserialize, uniffi::Record)]\npub struct {name} {{");
    for field in fields {
        docs(text, "", field.about);
        if has_default(&field.ty) {
            text.push_str("#[uniffi(default)]\n");
        }
        match field.ty {
            TypeRef::Optional(_) | TypeRef::Patch(_) | TypeRef::Change(_) => {
                text.push_str("#[serde(default, skip_serializing_if = \"Option::is_none\")]\n");
            }
            _ => {}
        }
        let _ = writeln!(text, "pub {}: {},", field.name, rust(&field.ty));
    }
    text.push_str("}\n");
}

fn enumeration(text: &mut String, name: &str, words: &[(&str, &str)]) {
    let derives = "Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, uniffi::Enum";
    let _ = writeln!(text, "#[derive({derives})]\npub enum {name} {{");
    for (word, about) in words {
        docs(text, "", about);
        let _ = writeln!(text, "#[serde(rename = \"{word}\")]\n{},", pascal(word));
    }
    text.push_str("}\n");
}

/// A page or patch of its own for each type, as uniffi knows no generics.
fn helper(ty: &TypeRef) -> Option<(String, String)> {
    match ty {
        TypeRef::Page(inner) => {
            let (name, items) = (rust(ty), rust(inner));
            let text = format!(
                "
/// One page of a list.
#[derive(Clone, Serialize, Deserialize, uniffi::Record)]
pub struct {name} {{
    /// The rows of this page.
    pub items: Vec<{items}>,
    /// How many rows there are in all, for this caller; none when the page was reached by a cursor.
    pub total: Option<i64>,
    /// How many pages there are in all; none when the page was reached by a cursor.
    pub pages: Option<i64>,
    /// This page's number, from 1; none when it was reached by a cursor.
    pub page: Option<i64>,
    /// The page size.
    pub limit: i64,
    /// Whether there is a page after this.
    pub has_next: bool,
    /// Whether there is a page before this.
    pub has_previous: bool,
    /// Give it as `cursor` for the rows after this page; costs the same at any depth.
    pub next_cursor: Option<String>,
}}
"
            );
            Some((name, text))
        }
        TypeRef::Patch(inner) => {
            let (name, inner) = (format!("{}Patch", simple(inner)), rust(inner));
            let text = format!(
                "
/// A change of a field that may be empty; not given, the field stays.
#[derive(Clone, Serialize, Deserialize, uniffi::Enum)]
#[serde(untagged)]
pub enum {name} {{
    /// Empties it.
    Clear,
    /// The new value.
    Set({inner}),
}}
"
            );
            Some((name, text))
        }
        _ => None,
    }
}

fn area(text: &mut String, catalogue: &Catalogue, area: &AreaShape) {
    let class = pascal(area.name);
    text.push('\n');
    docs(text, "", area.about);
    let _ = writeln!(
        text,
        "#[derive(uniffi::Object)]
pub struct {class} {{
    caller: Arc<Caller>,
}}

#[uniffi::export]
impl {class} {{"
    );
    for operation in &area.operations {
        text.push('\n');
        docs(text, "", operation.about);
        let input = input(catalogue, operation);
        if input.is_some_and(|input| is_all_default(catalogue, input)) {
            text.push_str("#[uniffi::method(default(input))]\n");
        }
        let (takes, gives) = match input {
            Some(input) => (format!(", input: {input}"), "&input"),
            None => (String::new(), "&Nothing {}"),
        };
        let _ = writeln!(
            text,
            "pub async fn {}(&self{takes}) -> Result<{}> {{ self.caller.run(\"{}.{}\", {gives}).await }}",
            operation.name,
            rust(&operation.output),
            area.name,
            operation.name
        );
    }
    text.push_str("}\n");
}

/// Methods of the caller: an area made of a caller that was given as an argument would read a closed
/// one's memory, as uniffi looks only at the receiver.
fn getters(text: &mut String, areas: &[AreaShape]) {
    text.push_str("\n#[uniffi::export]\nimpl Caller {\n");
    for area in areas {
        docs(text, "", area.about);
        let (name, class) = (area.name, pascal(area.name));
        let _ = writeln!(
            text,
            "pub fn get_{name}(self: Arc<Self>) -> Arc<{class}> {{ Arc::new({class} {{ caller: self }}) }}\n"
        );
    }
    text.push_str("}\n");
}

fn rust(ty: &TypeRef) -> String {
    match ty {
        TypeRef::Unit => "()".to_owned(),
        TypeRef::Bool => "bool".to_owned(),
        TypeRef::Int => "i64".to_owned(),
        TypeRef::Text | TypeRef::Secret => "String".to_owned(),
        TypeRef::Id => "Uuid".to_owned(),
        TypeRef::Time => "Timestamp".to_owned(),
        TypeRef::Date => "CalendarDate".to_owned(),
        TypeRef::Json => "JsonText".to_owned(),
        TypeRef::List(inner) => format!("Vec<{}>", rust(inner)),
        TypeRef::Map(inner) => format!("HashMap<String, {}>", rust(inner)),
        TypeRef::Optional(inner) | TypeRef::Change(inner) => format!("Option<{}>", rust(inner)),
        TypeRef::Patch(inner) => format!("Option<{}Patch>", simple(inner)),
        TypeRef::Page(inner) => format!("{}Page", simple(inner)),
        TypeRef::Named(name) => name.clone(),
    }
}

/// As rustfmt lays it out with the project's settings; as it is where there is no rustfmt.
fn formatted(text: String) -> String {
    let run = || {
        let mut rustfmt = Command::new("rustfmt")
            .args(["--edition", "2024", "--config-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../rustfmt.toml")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = rustfmt.stdin.take() {
            input.write_all(text.as_bytes())?;
        }
        rustfmt.wait_with_output()
    };
    match run() {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap_or(text),
        Ok(_) | Err(_) => text,
    }
}
