//! Prints the public API of a crate, one item a line, sorted by path: `rolekeep-public-api FILE`, where FILE is what
//! rustdoc writes with `--output-format json`.

use std::{collections::HashSet, env, error::Error, ffi::OsStr};

use public_api::{Builder, PublicApi};

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args_os().nth(1).ok_or("usage: rolekeep-public-api FILE")?;
    let without_derived: HashSet<String> = list(&file, false)?.items().map(ToString::to_string).collect();
    // The type that the last `impl … for` was about.
    let mut implementor = None;
    for item in list(&file, true)?.items().map(ToString::to_string) {
        if item.starts_with("impl") {
            implementor =
                item.split_once(" for ").map(|(_, ty)| format!("{}::", ty.split(" where ").next().unwrap_or(ty)));
            // Not for use by anybody: the compiler writes it beside `PartialEq`.
            if !item.contains("StructuralPartialEq") {
                println!("{}", short(&item));
            }
        } else if without_derived.contains(&item) && !implementor.as_ref().is_some_and(|ty| is_method(&item, ty)) {
            println!("{}", short(&item));
        }
    }
    Ok(())
}

fn list(file: &OsStr, with_derived: bool) -> public_api::Result<PublicApi> {
    let all = Builder::from_rustdoc_json(file).sorted(true).include_function_parameter_names(true);
    all.omit_blanket_impls(true).omit_auto_trait_impls(true).omit_auto_derived_impls(!with_derived).build()
}

/// Whether this is a method of the type, of which the trait that it is of says as much.
fn is_method(item: &str, ty: &str) -> bool {
    item.split_once("fn ").is_some_and(|(_, path)| path.starts_with(ty))
}

/// Without the modules of the standard library: `Option<String>`.
fn short(item: &str) -> String {
    let mut short = String::with_capacity(item.len());
    let mut rest = item;
    while let Some(at) = rest.find(is_path) {
        let (before, path) = rest.split_at(at);
        let end = path.find(|letter| !is_path(letter)).unwrap_or(path.len());
        let (path, after) = path.split_at(end);
        let is_std = ["core::", "alloc::", "std::"].iter().any(|name| path.starts_with(name));
        short.push_str(before);
        short.push_str(match path.rsplit_once("::") {
            Some((_, name)) if is_std && !name.is_empty() => name,
            _ => path,
        });
        rest = after;
    }
    short + rest
}

fn is_path(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == ':'
}
