//! `derive(Describe)`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Result};

use crate::shape::{docs, named_fields};
use crate::{input, word};

/// `#[describe(name = "User")]`: what other languages call it.
fn shown_name(input: &DeriveInput) -> Result<String> {
    let mut name = input.ident.to_string();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("describe")) {
        attribute.parse_nested_meta(|meta| {
            name = meta.value()?.parse::<syn::LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(name)
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let text = shown_name(input)?;
    let about = docs(&input.attrs);
    let shape = match &input.data {
        Data::Enum(_) => {
            let variants = word::variants(input)?;
            let words = variants.iter().map(|variant| &variant.word);
            let abouts = variants.iter().map(|variant| &variant.about);
            quote!(crate::describe::Shape::Words(vec![#((#words, #abouts)),*]))
        }
        _ => {
            let (_, fields) = input::parted(named_fields(input)?)?;
            let keys = fields.iter().map(|field| field.ident.as_ref().map(ToString::to_string).unwrap_or_default());
            let abouts = fields.iter().map(|field| docs(&field.attrs));
            let types = fields.iter().map(|field| match (&field.ty, input::has_default(field)) {
                (ty, true) => quote!(Option<#ty>),
                (ty, false) => quote!(#ty),
            });
            let positional = fields.iter().map(|field| input::is_positional(field)).collect::<Result<Vec<_>>>()?;
            quote!(crate::describe::Shape::Record(vec![#(crate::describe::FieldShape {
                name: #keys,
                about: #abouts,
                ty: <#types as crate::describe::Describe>::describe(types),
                is_positional: #positional,
            }),*]))
        }
    };
    let named = quote!(types.named(#text, #about, |types| #shape));
    let named = match input::alone(input)? {
        Some(_) => quote!(crate::describe::TypeRef::OrText(Box::new(#named))),
        None => named,
    };
    Ok(quote! {
        #[cfg(feature = "describe")]
        impl #impl_generics crate::describe::Describe for #name #type_generics #where_clause {
            fn describe(types: &mut crate::describe::Types) -> crate::describe::TypeRef {
                #named
            }
        }
    })
}
