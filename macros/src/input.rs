//! `derive(Input)`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Error, Expr, Field, LitStr, Result, Type};

use crate::shape::{argument, docs, inner, named_fields};

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let (apart, fields) = parted(named_fields(input)?)?;
    for field in &fields {
        if Stated::of(field)?.is_positional && inner(&field.ty, "Option").is_none() {
            return Err(Error::new_spanned(field, "only a field that may be left out is declared `positional`"));
        }
    }
    let decoded = fields.iter().map(|field| {
        let ident = &field.ident;
        let key = key_of(field);
        let or_default = default(field).map(|default| quote!(.map(|given| Option::unwrap_or_else(given, || #default))));
        quote!(let #ident = object.field(#key) #or_default;)
    });
    let keys = fields.iter().map(|field| key_of(field));
    let whole = alone(input)?.map(|field| quote!(let value = crate::model::decode::whole(value, #field);));
    let paged = paged(input, &fields);
    let constructor = constructor(input, &fields, &apart);
    let conversions = conversions(input, &fields);
    let setters = fields.iter().filter_map(|field| setter(field, &apart));
    let others = apart.iter().map(|field| &field.ident);
    let read: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let whole_input = quote!(Some(Self { #(#read,)* #(#others: Default::default()),* }));
    // Together: each by itself would let go of all before it in code of its own.
    let unpacked = match read.as_slice() {
        [] => whole_input,
        read => quote!(match (#(#read,)*) {
            (#(Some(#read),)*) => #whole_input,
            _ => None,
        }),
    };
    Ok(quote! {
        impl crate::model::decode::FromJson for #name {
            fn from_json(value: ::serde_json::Value, at: &mut crate::model::decode::Decoder) -> Option<Self> {
                #whole
                let mut object = at.object(value, &[#(#keys),*])?;
                #(#decoded)*
                object.finish();
                #unpacked
            }
        }
        impl TryFrom<::serde_json::Value> for #name {
            type Error = crate::model::error::Error;

            fn try_from(value: ::serde_json::Value) -> Result<Self, Self::Error> {
                Ok(crate::model::decode::decode_within(value, crate::model::input::Limits::ROWS)?)
            }
        }
        impl #name {
            #constructor
            #(#setters)*
        }
        #conversions
        #paged
    })
}

/// The input of a list that comes in pages goes on after a cursor.
fn paged(input: &DeriveInput, fields: &[&Field]) -> Option<TokenStream> {
    let name = &input.ident;
    fields.iter().any(|field| key_of(field) == "cursor").then(|| {
        quote! {
            impl #name {
                /// Which page is wanted, not checked yet.
                pub(crate) fn page_request(&self) -> crate::model::page::PageRequest {
                    crate::model::page::PageRequest {
                        page: self.page,
                        limit: self.limit,
                        cursor: self.cursor.clone(),
                        total_up_to: self.total_up_to,
                        asked: crate::model::page::asked(|| {
                            let mut list = self.clone();
                            (list.page, list.limit, list.cursor, list.total_up_to) = (None, None, None, None);
                            format!("{list:?}")
                        }),
                    }
                }
            }
            impl crate::model::page::Paged for #name {
                fn after(self, cursor: String) -> Self {
                    Self { page: None, cursor: Some(cursor), ..self }
                }
            }
        }
    })
}

/// An input whose constructor takes one field can be given as that field alone.
fn conversions(input: &DeriveInput, fields: &[&Field]) -> TokenStream {
    let name = &input.ident;
    let mut required = fields.iter().filter(|field| is_leading(field)).map(|field| given(field));
    let (Some(ty), None) = (required.next(), required.next()) else { return TokenStream::new() };
    let text = quote!(#ty).to_string();
    let borrowed = matches!(text.as_str(), "String" | "Secret").then(|| {
        quote! {
            impl From<&str> for #name {
                fn from(only: &str) -> Self {
                    Self::new(only)
                }
            }
        }
    });
    quote! {
        impl From<#ty> for #name {
            fn from(only: #ty) -> Self {
                Self::new(only)
            }
        }
        #borrowed
    }
}

/// The fields that are apart, and those that are given.
pub fn parted(fields: Vec<&Field>) -> Result<(Vec<&Field>, Vec<&Field>)> {
    for field in &fields {
        Stated::of(field)?;
    }
    Ok(fields.into_iter().partition(|field| Stated::of(field).is_ok_and(|stated| stated.is_apart)))
}

/// The field of `#[input(alone = "field")]`: JSON may give it alone, as a string, instead of the object.
pub fn alone(input: &DeriveInput) -> Result<Option<String>> {
    let mut field = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("input")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("alone") {
                return Err(meta.error("expected `alone`"));
            }
            field = Some(meta.value()?.parse::<LitStr>()?.value());
            Ok(())
        })?;
    }
    Ok(field)
}

/// What attributes say of a field.
#[derive(Default)]
struct Stated {
    /// `#[input(positional)]`: the field may be left out, and seldom is. `new` takes it, as do the constructors of
    /// languages that know arguments by place.
    is_positional: bool,
    /// `#[input(apart)]`: it is not given. It begins with its default, and hears of each field that a setter sets: `forget("field")`.
    is_apart: bool,
    /// `#[input(default = value)]`: the value of a field that is not given, or null in JSON.
    default: Option<Expr>,
}

impl Stated {
    fn of(field: &Field) -> Result<Self> {
        let mut stated = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("input")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("positional") {
                    stated.is_positional = true;
                } else if meta.path.is_ident("apart") {
                    stated.is_apart = true;
                } else if meta.path.is_ident("default") {
                    stated.default = Some(meta.value()?.parse()?);
                } else {
                    return Err(meta.error("expected `positional`, `apart` or `default`"));
                }
                Ok(())
            })?;
        }
        Ok(stated)
    }
}

/// Whether languages that know arguments by place take it so.
pub fn is_positional(field: &Field) -> Result<bool> {
    Ok(Stated::of(field)?.is_positional)
}

/// Whether `new` takes it.
fn is_leading(field: &Field) -> bool {
    is_required(field) || is_positional(field).unwrap_or_default()
}

/// The type of what `new` takes for it.
fn given(field: &Field) -> &Type {
    inner(&field.ty, "Option").unwrap_or(&field.ty)
}

fn key_of(field: &Field) -> String {
    field.ident.as_ref().map(|ident| ident.to_string()).unwrap_or_default()
}

fn default(field: &Field) -> Option<Expr> {
    Stated::of(field).ok()?.default
}

/// Whether a field may be left out although its type has no "not given" of its own.
pub fn has_default(field: &Field) -> bool {
    default(field).is_some()
}

/// Fields that have no "not given" of their own must come with `new`.
fn is_required(field: &Field) -> bool {
    let wrappers = ["Option", "Patch", "Change", "Vec", "BTreeMap"];
    wrappers.iter().all(|wrapper| inner(&field.ty, wrapper).is_none()) && !has_default(field)
}

fn constructor(input: &DeriveInput, fields: &[&Field], apart: &[&Field]) -> TokenStream {
    let leading: Vec<_> = fields.iter().filter(|field| is_leading(field)).collect();
    let names: Vec<_> = leading.iter().map(|field| &field.ident).collect();
    let types = leading.iter().map(|field| taken(given(field)));
    let values = leading.iter().map(|field| {
        let ident = &field.ident;
        if is_required(field) { quote!(#ident.into()) } else { quote!(Some(#ident.into())) }
    });
    let rest = fields.iter().filter(|field| !is_leading(field)).map(|field| {
        let ident = &field.ident;
        let default = default(field).map_or_else(|| quote!(Default::default()), |default| quote!(#default));
        quote!(#ident: #default)
    });
    let others = apart.iter().map(|field| &field.ident);
    let needs = if leading.iter().all(|field| is_required(field)) { "it cannot do without" } else { "it mostly has" };
    let about = format!("Starts a `{}` with what {needs}; the rest has setters.", input.ident);
    quote! {
        #[doc = #about]
        #[allow(clippy::new_without_default, clippy::too_many_arguments, reason = "every input starts with `new`")]
        pub fn new(#(#names: #types),*) -> Self {
            Self { #(#names: #values,)* #(#rest,)* #(#others: Default::default()),* }
        }
    }
}

/// What a value of a type is taken from. A literal is an `i32` where it may become several types, and that becomes no
/// unsigned number.
fn taken(ty: &Type) -> TokenStream {
    match quote!(#ty).to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => quote!(#ty),
        _ => quote!(impl Into<#ty>),
    }
}

fn setter(field: &Field, apart: &[&Field]) -> Option<TokenStream> {
    let ident = field.ident.as_ref()?;
    let about = docs(&field.attrs);
    let key = key_of(field);
    let apart: Vec<_> = apart.iter().map(|field| &field.ident).collect();
    let forget = quote!(#(self.#apart.forget(#key);)*);
    let optional = inner(&field.ty, "Option");
    if let Some(item) = optional.and_then(|ty| inner(ty, "Vec")) {
        return Some(quote! {
            #[doc = #about]
            pub fn #ident(mut self, #ident: impl IntoIterator<Item = impl Into<#item>>) -> Self {
                #forget
                self.#ident = Some(#ident.into_iter().map(Into::into).collect());
                self
            }
        });
    }
    if let Some(inner) = optional {
        let taken = taken(inner);
        return Some(quote! {
            #[doc = #about]
            pub fn #ident(mut self, #ident: #taken) -> Self {
                #forget
                self.#ident = Some(#ident.into());
                self
            }
        });
    }
    if let Some(inner) = inner(&field.ty, "Vec") {
        return Some(quote! {
            #[doc = #about]
            pub fn #ident(mut self, #ident: impl IntoIterator<Item = impl Into<#inner>>) -> Self {
                #forget
                self.#ident = #ident.into_iter().map(Into::into).collect();
                self
            }
        });
    }
    if let Some(inner) = inner(&field.ty, "Change") {
        let taken = taken(inner);
        return Some(quote! {
            #[doc = #about]
            pub fn #ident(mut self, #ident: #taken) -> Self {
                #forget
                self.#ident = crate::model::patch::Change::Set(#ident.into());
                self
            }
        });
    }
    if has_default(field) {
        let taken = taken(&field.ty);
        return Some(quote! {
            #[doc = #about]
            pub fn #ident(mut self, #ident: #taken) -> Self {
                #forget
                self.#ident = #ident.into();
                self
            }
        });
    }
    if let Some(value) = argument(&field.ty, "BTreeMap", 1) {
        return Some(quote! {
            #[doc = #about]
            pub fn #ident(
                mut self,
                #ident: impl IntoIterator<Item = (impl Into<String>, impl Into<#value>)>,
            ) -> Self {
                #forget
                self.#ident = #ident.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
                self
            }
        });
    }
    let inner = inner(&field.ty, "Patch")?;
    let taken = taken(inner);
    let clear = format_ident!("clear_{ident}");
    let about_clear = format!("Sets `{ident}` to null.");
    Some(quote! {
        #[doc = #about]
        pub fn #ident(mut self, #ident: #taken) -> Self {
            self.#ident = crate::model::patch::Patch::Set(#ident.into());
            self
        }
        #[doc = #about_clear]
        pub fn #clear(mut self) -> Self {
            self.#ident = crate::model::patch::Patch::Clear;
            self
        }
    })
}
