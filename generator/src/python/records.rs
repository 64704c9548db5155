//! `records/`: enums and records, those of each area in a file of their own.

use std::collections::BTreeSet;

use rolekeep::describe::{Catalogue, FieldShape, Shape, TypeRef, TypeShape};

use super::text::{Side, annotation, docstring, imports, member, name};
use crate::{
    STEP,
    homes::{Home, homes, named},
};

pub(super) fn records(catalogue: &Catalogue) -> Vec<(String, String)> {
    // What an operation takes is its method's parameters, and settings are those of `open`.
    let parameters: BTreeSet<&str> = catalogue
        .areas
        .iter()
        .flat_map(|area| &area.operations)
        .filter_map(|operation| match &operation.input {
            TypeRef::Named(name) => Some(name.as_str()),
            _ => None,
        })
        .chain(["Config", "SqlTable", "RulesConfig", "PrincipalData"])
        .collect();
    let homes = homes(catalogue, |name, _| !parameters.contains(name));
    let file = |home: &Home<'_>| (format!("records/{}.py", home.name), module(&homes, home));
    homes.iter().map(file).chain([("records/__init__.py".to_owned(), package(&homes))]).collect()
}

/// Those of one home.
fn module(homes: &[Home<'_>], home: &Home<'_>) -> String {
    let about = match home.about {
        Some(about) => about.to_owned(),
        None => format!("What operations of `{}` answer, and what they take beside plain values.", home.name),
    };
    let mut used = BTreeSet::new();
    let mut text = String::new();
    for (name, TypeShape { about, shape }) in &home.types {
        match shape {
            Shape::Words(words) => text += &word_class(name, about, words),
            Shape::Record(fields) => {
                text += &record_class(name, about, fields);
                fields.iter().for_each(|field| used.extend(named(&field.ty)));
            }
        }
    }
    let elsewhere = homes.iter().filter(|other| other.name != home.name).map(|other| {
        let names = used.iter().copied().filter(|name| other.has(name));
        (format!(".{}", other.name), names.collect::<Vec<_>>())
    });
    let elsewhere: Vec<_> = elsewhere.filter(|(_, names)| !names.is_empty()).collect();
    let base: (&str, &[&str]) = ("._base", &["Page", "SignInBase", "Word"]);
    let own: Vec<_> =
        [base].into_iter().chain(elsewhere.iter().map(|(module, names)| (module.as_str(), names.as_slice()))).collect();
    format!("{}\n{}{text}", docstring(&about, &[], ""), imports(&text, &own))
}

/// All of them.
fn package(homes: &[Home<'_>]) -> String {
    let mut names = vec!["Page", "Word"];
    let mut imports = String::from("from ._base import Page, Word\n");
    for home in homes {
        let own: String = home.types.iter().map(|(name, _)| format!("    {name},\n")).collect();
        imports += &format!("from .{} import (\n{own})\n", home.name);
        names.extend(home.types.iter().map(|(name, _)| *name));
    }
    names.sort_unstable();
    let all: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    format!(
        "\"\"\"What operations answer, and what they take beside plain values.\"\"\"\n\n{imports}\n__all__ = [\n{all}]\n"
    )
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
    let base = if class == STEP { "(SignInBase)" } else { "" };
    format!("\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass {class}{base}:\n{about}\n{lines}")
}

/// What is not given, and whether it shows: secrets do not.
fn default(field: &FieldShape) -> Option<String> {
    let value = match &field.ty {
        TypeRef::Optional(_) => Some("default=None"),
        TypeRef::List(_) => Some("default_factory=builtins.list"),
        TypeRef::Map(_) => Some("default_factory=dict"),
        _ => None,
    };
    let hidden = field.ty.is_secret().then_some("repr=False");
    match (value, hidden) {
        (None, None) => None,
        (Some("default=None"), None) => Some("None".to_owned()),
        _ => Some(format!("field({})", value.into_iter().chain(hidden).collect::<Vec<_>>().join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use rolekeep::describe::{FieldShape, TypeRef};

    #[test]
    fn a_secret_does_not_show_however_it_is_wrapped() {
        let boxed = || Box::new(TypeRef::Secret);
        for (ty, wanted) in [
            (TypeRef::Secret, "field(repr=False)"),
            (TypeRef::Optional(boxed()), "field(default=None, repr=False)"),
            (TypeRef::List(boxed()), "field(default_factory=builtins.list, repr=False)"),
            (TypeRef::Map(boxed()), "field(default_factory=dict, repr=False)"),
            (TypeRef::Map(Box::new(TypeRef::List(boxed()))), "field(default_factory=dict, repr=False)"),
        ] {
            assert_eq!(
                super::default(&FieldShape { name: "codes", about: "", ty, is_positional: false }).as_deref(),
                Some(wanted)
            );
        }
        let ty = TypeRef::Optional(Box::new(TypeRef::Text));
        let plain = FieldShape { name: "codes", about: "", ty, is_positional: false };
        assert_eq!(super::default(&plain).as_deref(), Some("None"));
    }
}
