//! What all derives ask of their input.

use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, GenericArgument, Lit, Meta, PathArguments,
    Result, Type,
};

/// The named fields of a struct, or an error that says what was expected.
pub fn named_fields(input: &DeriveInput) -> Result<Vec<&Field>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter().collect()),
            Fields::Unit => Ok(Vec::new()),
            Fields::Unnamed(_) => Err(Error::new_spanned(input, "expected named fields")),
        },
        _ => Err(Error::new_spanned(input, "expected a struct")),
    }
}

/// The doc comment, lines joined, without the leading spaces.
pub fn docs(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
        {
            let line = text.value();
            lines.push(line.strip_prefix(' ').unwrap_or(&line).to_owned());
        }
    }
    lines.join("\n")
}

/// `T` of `Wrapper<T>`, where the type's last segment is `wrapper`.
pub fn inner<'t>(ty: &'t Type, wrapper: &str) -> Option<&'t Type> {
    argument(ty, wrapper, 0)
}

/// The type argument of a type with this name at this place: `u8` in `BTreeMap<String, u8>` at 1.
pub fn argument<'t>(ty: &'t Type, wrapper: &str, place: usize) -> Option<&'t Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last()?;
    if segment.ident != wrapper {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.get(place)? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

/// `CamelCase` to `snake_case`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
