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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_the_standard_library_are_left_out() {
        let long = "pub fn rolekeep::A::of(x: impl core::convert::Into<alloc::string::String>) -> std::io::Result<&'static str>";
        assert_eq!(short(long), "pub fn rolekeep::A::of(x: impl Into<String>) -> Result<&'static str>");
        let others = "impl serde_core::ser::Serialize for rolekeep::core::A where T: rolekeep::alloc::B";
        assert_eq!(short(others), others);
        assert_eq!(
            short("pub fn a(b: Self::core) -> core::option::Option<é::X>"),
            "pub fn a(b: Self::core) -> Option<é::X>"
        );
    }

    #[test]
    fn methods_of_a_trait_are_known_by_their_type() {
        assert!(is_method("pub async fn rolekeep::A<'a>::next(&self)", "rolekeep::A<'a>::"));
        assert!(!is_method("pub fn rolekeep::library_schema()", "rolekeep::A::"));
        assert!(!is_method("pub type rolekeep::A::Error = rolekeep::Error", "rolekeep::A::"));
    }
}
