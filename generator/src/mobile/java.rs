//! Kotlin for Java: operations that block their thread, and builders of what they take.

use std::fmt::Write;

use rolekeep::describe::{AreaShape, Catalogue, FieldShape, Shape, TypeRef, TypeShape};

use super::{
    MARK, camel, has_default, input, inputs, is_all_default,
    kotlin::{docs, property},
    pascal, simple,
};
use crate::homes::homes;

/// The files of the package: one for each area, with the builders of what its operations take; one for each home of
/// types beside them.
pub(super) fn files(catalogue: &Catalogue) -> Vec<(String, String)> {
    let inputs = inputs(catalogue);
    let homes = homes(catalogue, |name, ty| inputs.contains(&TypeRef::Named(name.to_owned())) && has_builder(ty));
    let beside = homes.iter().filter(|home| home.about.is_some()).map(|home| home.name);
    let names = beside.chain(catalogue.areas.iter().map(|area| area.name));
    let parts = names.map(|name| {
        let mut text = String::new();
        catalogue.areas.iter().filter(|one| one.name == name).for_each(|one| area(&mut text, catalogue, one));
        for (name, ty) in homes.iter().filter(|home| home.name == name).flat_map(|home| &home.types) {
            if let Shape::Record(fields) = &ty.shape {
                builder(&mut text, name, fields);
            }
        }
        (pascal(name), text)
    });
    let all = std::iter::once(("Areas".to_owned(), areas(catalogue))).chain(parts);
    all.map(|(name, text)| (format!("{name}.kt"), with_head(&text))).collect()
}

fn with_head(text: &str) -> String {
    let mut head = format!("{MARK}package dev.rolekeep.blocking\n\nimport dev.rolekeep.*\n");
    for (name, package) in [("Instant", "java.time"), ("LocalDate", "java.time"), ("UUID", "java.util")] {
        if text.contains(name) {
            let _ = writeln!(head, "import {package}.{name}");
        }
    }
    head + text
}

fn areas(catalogue: &Catalogue) -> String {
    let mut text = String::new();
    text.push_str(
        "\n/** The operations, grouped: `me.users().create(…)`. */\n\
         open class BlockingAreas internal constructor(private val areas: Caller) {\n",
    );
    for area in &catalogue.areas {
        let (name, class, about) = (camel(area.name), pascal(area.name), area.about.trim());
        let _ = writeln!(text, "    /** {about} */\n    fun {name}() = Blocking{class}(areas.get{class}())\n");
    }
    text.truncate(text.trim_end().len());
    text.push_str("\n}\n");
    text
}

fn area(text: &mut String, catalogue: &Catalogue, area: &AreaShape) {
    let (class, about) = (pascal(area.name), area.about.trim());
    let _ = write!(text, "\n/** {about} */\nclass Blocking{class} internal constructor(private val area: {class}) {{");
    for operation in &area.operations {
        text.push('\n');
        docs(text, "    ", operation.about);
        let (name, output) = (camel(operation.name), kotlin(&operation.output));
        let _ = match input(catalogue, operation) {
            None => writeln!(text, "    fun {name}(): {output} = await {{ area.{name}() }}"),
            Some(input) if is_all_default(catalogue, input) => writeln!(
                text,
                "    @JvmOverloads\n    fun {name}(input: {input} = {input}()): {output} = await {{ area.{name}(input) }}"
            ),
            Some(input) => writeln!(text, "    fun {name}(input: {input}): {output} = await {{ area.{name}(input) }}"),
        };
    }
    text.push_str("}\n");
}

/// Java knows no named arguments: what has fields that may be left out has a builder.
fn has_builder(ty: &TypeShape) -> bool {
    matches!(&ty.shape, Shape::Record(fields) if fields.iter().any(|field| has_default(&field.ty)))
}

fn builder(text: &mut String, name: &str, fields: &[FieldShape]) {
    let given: Vec<&FieldShape> = fields.iter().filter(|field| has_default(&field.ty)).collect();
    let leading = fields.iter().filter(|field| field.is_positional || !has_default(&field.ty));
    let parameter = |field: &FieldShape| match field.is_positional {
        true => format!("private var {}: {} = null", property(field), kotlin(&field.ty)),
        false => format!("private val {}: {}", property(field), kotlin(&field.ty)),
    };
    let parameters = leading.map(parameter).collect::<Vec<_>>().join(", ");
    let overloads = if fields.iter().any(|field| field.is_positional) { " @JvmOverloads constructor" } else { "" };
    let _ = writeln!(
        text,
        "\n/** Makes a [{name}]; what is not set is left out. */\nclass {name}Builder{overloads}({parameters}) {{"
    );
    for field in given.iter().filter(|field| !field.is_positional) {
        let initial = match &field.ty {
            TypeRef::List(_) => "emptyList()",
            TypeRef::Map(_) => "emptyMap()",
            _ => "null",
        };
        let _ = writeln!(text, "    private var {}: {} = {initial}", property(field), kotlin(&field.ty));
    }
    for field in &given {
        let (property, ty) = (property(field), kotlin(&field.ty));
        text.push('\n');
        docs(text, "    ", field.about);
        let _ = writeln!(text, "    fun {property}(value: {ty}) = apply {{ {property} = value }}");
    }
    let arguments: Vec<String> = fields.iter().map(|field| format!("{0} = {0}", property(field))).collect();
    let _ = writeln!(text, "\n    fun build() = {name}({})\n}}", arguments.join(", "));
}

fn kotlin(ty: &TypeRef) -> String {
    match ty {
        TypeRef::Unit => "Unit".to_owned(),
        TypeRef::Bool => "Boolean".to_owned(),
        TypeRef::Int => "Long".to_owned(),
        TypeRef::Text | TypeRef::Secret | TypeRef::Key => "String".to_owned(),
        TypeRef::OrText(inner) => kotlin(inner),
        TypeRef::Id => "UUID".to_owned(),
        TypeRef::Time => "Instant".to_owned(),
        TypeRef::Date => "LocalDate".to_owned(),
        TypeRef::Json => "JsonText".to_owned(),
        TypeRef::List(inner) => format!("List<{}>", kotlin(inner)),
        TypeRef::Map(inner) => format!("Map<String, {}>", kotlin(inner)),
        TypeRef::Optional(inner) | TypeRef::Change(inner) => format!("{}?", kotlin(inner)),
        TypeRef::Patch(inner) => format!("{}Patch?", simple(inner)),
        TypeRef::Page(inner) => format!("{}Page", simple(inner)),
        TypeRef::Named(name) => name.clone(),
    }
}
