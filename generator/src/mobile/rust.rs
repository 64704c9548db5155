//! The folder `face`: records, enums and areas for uniffi, those of each area in a file of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use rolekeep::describe::{AreaShape, Catalogue, FieldShape, Shape, TypeRef, TypeShape};

use super::{MARK, docs, has_default, input, inputs, is_all_default, outputs, pascal, simple};
use crate::homes::{Home, homes};

/// What pages and patches stand in.
const GENERIC: &str = "generic";

/// What a file may take of the standard library, of other crates, and of this one.
const IMPORTS: [&[(&str, &[&str])]; 3] = [
    &[("std::collections", &["HashMap"]), ("std::sync", &["Arc"])],
    &[("serde", &["Deserialize", "Serialize"])],
    &[
        ("crate", &["CalendarDate", "Caller", "JsonText", "Result", "Timestamp", "Uuid"]),
        ("crate::caller", &["Nothing"]),
        ("crate::types", &["hidden"]),
    ],
];

pub(super) fn faces(catalogue: &Catalogue) -> Vec<(String, String)> {
    let is_empty = |ty: &TypeShape| matches!(&ty.shape, Shape::Record(fields) if fields.is_empty());
    let homes = homes(catalogue, |_, ty| !is_empty(ty));
    let mut texts: BTreeMap<&str, String> = homes.iter().map(|home| (home.name, types(home))).collect();
    for one in &catalogue.areas {
        area(texts.entry(one.name).or_default(), catalogue, one);
    }
    // By name, as several fields may have one of them.
    let met = inputs(catalogue).into_iter().chain(outputs(catalogue));
    let made: BTreeMap<String, String> = met.filter_map(|ty| helper(&ty)).collect();
    texts.insert(GENERIC, made.values().map(String::as_str).collect());

    let helpers: Vec<&str> = made.keys().map(String::as_str).collect();
    let beside = |name: &str| homes.iter().find(|home| home.name == name).and_then(|home| home.about);
    let about = |name: &str| match (name, beside(name)) {
        (GENERIC, _) => "Pages and patches: one for each type, as uniffi knows no generics.".to_owned(),
        (_, Some(about)) => about.to_owned(),
        (area, None) => format!("The area `{area}`: its operations, what they take and what they answer."),
    };
    let file = |(name, text): (&&str, &String)| {
        let text = format!("{MARK}\n//! {}\n\n{}{text}", about(name), imports(name, text, &homes, &helpers));
        (format!("{name}.rs"), formatted(text))
    };
    texts.iter().map(file).chain([("mod.rs".to_owned(), top(catalogue, texts.keys()))]).collect()
}

/// The modules, and how a caller comes to its areas.
fn top<'t>(catalogue: &Catalogue, modules: impl Iterator<Item = &'t &'t str> + Clone) -> String {
    let mut text = format!("{MARK}\n//! Records, enums and areas, as the list of operations says.\n\n");
    text.extend(modules.clone().map(|name| format!("mod {name};\n")));
    text.push_str("\nuse std::sync::Arc;\n\nuse crate::Caller;\n\n");
    text.extend(modules.map(|name| format!("pub use {name}::*;\n")));
    getters(&mut text, &catalogue.areas);
    formatted(text)
}

fn types(home: &Home<'_>) -> String {
    let mut text = String::new();
    for (name, ty) in &home.types {
        text.push('\n');
        docs(&mut text, "", ty.about);
        match &ty.shape {
            Shape::Record(fields) => record(&mut text, name, fields, ty.secrets().next().is_some()),
            Shape::Words(words) => enumeration(&mut text, name, words),
        }
    }
    text
}

/// What the text uses of elsewhere.
fn imports(own: &str, text: &str, homes: &[Home<'_>], helpers: &[&str]) -> String {
    // Variants of enums are no types, whatever they are called.
    let is_variant = |line: &str| line.strip_suffix(',').is_some_and(|name| name.chars().all(char::is_alphanumeric));
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("///") && !is_variant(line)).collect();
    let code = code.join("\n");
    let words: BTreeSet<&str> = code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let line = |module: &str, names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<&str> = names.filter(|name| words.contains(name)).collect();
        if names.is_empty() { String::new() } else { format!("use {module}::{{{}}};\n", names.join(", ")) }
    };
    let [standard, foreign, known] = IMPORTS.map(|modules| {
        modules.iter().map(|(module, names)| line(module, &mut names.iter().copied())).collect::<String>()
    });
    let others = homes.iter().filter(|home| home.name != own);
    let others =
        others.map(|home| line(&format!("super::{}", home.name), &mut home.types.iter().map(|(name, _)| *name)));
    let helpers = match own {
        GENERIC => String::new(),
        _ => line(&format!("super::{GENERIC}"), &mut helpers.iter().copied()),
    };
    let groups = [standard, foreign, known + &others.collect::<String>() + &helpers];
    groups.iter().filter(|group| !group.is_empty()).map(|group| format!("{group}\n")).collect()
}

fn record(text: &mut String, name: &str, fields: &[FieldShape], holds_secrets: bool) {
    text.push_str("#[derive(Clone, Serialize, Deserialize, uniffi::Record)]\n");
    if holds_secrets {
        // What Kotlin's `toString` and Swift's `description` ask.
        text.push_str("#[uniffi::export(Debug, Display)]\n");
    }
    let _ = writeln!(text, "pub struct {name} {{");
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
    if holds_secrets {
        let _ = writeln!(text, "hidden!({name});");
    }
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
    /// How many rows the caller may see in all, counted up to what `total_up_to` asks for; none if the page was reached by a
    /// cursor, or none were to be counted.
    pub total: Option<i64>,
    /// Whether `total` is all of them; false if there may be more.
    pub total_exact: bool,
    /// How many pages there are in all; none if `total` is not all rows.
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
    pub(super) caller: Arc<Caller>,
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
        TypeRef::Text | TypeRef::Secret | TypeRef::Key => "String".to_owned(),
        TypeRef::OrText(inner) => rust(inner),
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
