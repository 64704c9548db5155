//! `derive(Word)`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result};

use crate::shape::{docs, snake};

/// One variant and how it is written.
pub struct Variant {
    pub ident: Ident,
    pub word: String,
    pub about: String,
    /// Whether it is what `Default` gives.
    pub is_default: bool,
}

pub fn variants(input: &DeriveInput) -> Result<Vec<Variant>> {
    let Data::Enum(data) = &input.data else { return Err(Error::new_spanned(input, "expected an enum")) };
    data.variants
        .iter()
        .map(|variant| {
            if !matches!(variant.fields, Fields::Unit) {
                return Err(Error::new_spanned(variant, "a word carries no data"));
            }
            let given = variant.attrs.iter().find(|attribute| attribute.path().is_ident("word"));
            let word = match given {
                Some(attribute) => attribute.parse_args::<LitStr>()?.value(),
                None => snake(&variant.ident.to_string()),
            };
            let is_default = variant.attrs.iter().any(|attribute| attribute.path().is_ident("default"));
            Ok(Variant { ident: variant.ident.clone(), word, about: docs(&variant.attrs), is_default })
        })
        .collect()
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let variants = variants(input)?;
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let words: Vec<_> = variants.iter().map(|variant| &variant.word).collect();
    let default = match variants.iter().find(|variant| variant.is_default) {
        Some(Variant { word, .. }) => quote!(Some(#word)),
        None => quote!(None),
    };
    Ok(quote! {
        impl #name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [#name] = &[#(#name::#idents),*];

            /// The word as it is stored and sent.
            pub const fn as_str(&self) -> &'static str {
                match self { #(Self::#idents => #words),* }
            }
        }
        impl ::std::fmt::Display for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::std::str::FromStr for #name {
            type Err = crate::model::decode::UnknownVariant;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    #(#words => Ok(Self::#idents),)*
                    _ => Err(crate::model::decode::UnknownVariant::new(text, &[#(#words),*])),
                }
            }
        }
        impl ::serde::Serialize for #name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> ::serde::Deserialize<'de> for #name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
        impl crate::model::decode::FromJson for #name {
            fn from_json(value: ::serde_json::Value, at: &mut crate::model::decode::Decoder) -> Option<Self> {
                at.parsed(value)
            }
        }
        impl crate::model::record::Field for #name {
            const KIND: crate::model::record::Kind = crate::model::record::Kind::Text;
            const PLAIN: bool = true;
            const DEFAULT: Option<&'static str> = #default;
            fn to_value(&self) -> crate::model::value::Value {
                crate::model::value::Value::Text(self.as_str().to_owned())
            }
            fn from_value(value: crate::model::value::Value) -> Option<Self> {
                value.as_text()?.parse().ok()
            }
        }
    })
}
