//! `derive(Record)`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Error, Field, Ident, LitStr, Result};

use crate::{
    noun::{Noun, idents},
    shape::named_fields,
};

/// What `#[record(…)]` on the struct says.
#[derive(Default)]
struct Declaration {
    table: Option<LitStr>,
    key: Vec<Ident>,
    indexes: Vec<Vec<Ident>>,
    sorted: Vec<Ident>,
    search: Vec<Ident>,
    checks_absence: bool,
    sync: Option<Ident>,
    noun: Noun,
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let declaration = declaration(input)?;
    let fields = named_fields(input)?;
    let name = &input.ident;
    let columns: Vec<Ident> = fields.iter().filter_map(|field| field.ident.clone()).collect();
    let words: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let position = |ident: &Ident| -> Result<usize> {
        columns.iter().position(|column| column == ident).ok_or_else(|| Error::new_spanned(ident, "no such field"))
    };
    let positions = |idents: &[Ident]| idents.iter().map(position).collect::<Result<Vec<_>>>();

    let table = declaration.table.ok_or_else(|| Error::new_spanned(name, "missing `table = \"…\"`"))?;
    if declaration.key.is_empty() {
        return Err(Error::new_spanned(name, "missing `key(…)`"));
    }
    let sync =
        declaration.sync.ok_or_else(|| Error::new_spanned(name, "missing `sync = replicated | site_local | never`"))?;
    let sync = match sync.to_string().as_str() {
        "replicated" => format_ident!("Replicated"),
        "site_local" => format_ident!("SiteLocal"),
        "never" => format_ident!("Never"),
        _ => return Err(Error::new_spanned(sync, "expected `replicated`, `site_local` or `never`")),
    };
    let key_positions = positions(&declaration.key)?;
    let key_types = key_positions.iter().map(|at| types[*at]);
    let key_idents = &declaration.key;
    let key = positions(&declaration.key)?;
    // Behind the columns, `NAME_key` for each that rows are sorted by folded.
    let sorted = positions(&declaration.sorted)?;
    let sort_keys: Vec<String> = declaration.sorted.iter().map(|name| format!("{name}_key")).collect();
    let sort_key = |ident: &Ident| sort_keys.iter().position(|name| ident == name);
    let indexed = |ident: &Ident| sort_key(ident).map_or_else(|| position(ident), |at| Ok(columns.len() + at));
    let indexes = declaration.indexes.iter().map(|index| index.iter().map(indexed).collect::<Result<Vec<_>>>());
    let indexes = indexes.collect::<Result<Vec<_>>>()?;
    let indexes = indexes.iter().map(|index| quote!(&[#(#index),*]));
    let search = positions(&declaration.search)?;
    let version = columns
        .iter()
        .position(|column| column == "version")
        .ok_or_else(|| Error::new_spanned(name, "a record has a field `version: i64`, moved by each write"))?;
    let noun = declaration.noun.tokens(name, &table, &declaration.key, position)?;
    let upkeep = fields.iter().map(|field| upkeep(field)).collect::<Result<Vec<_>>>()?;
    let (upkeep, plain): (Vec<_>, Vec<_>) = upkeep.into_iter().unzip();
    let public: Vec<usize> = declaration
        .indexes
        .iter()
        .flatten()
        .filter(|ident| sort_key(ident).is_none())
        .chain(&declaration.key)
        .chain(&declaration.search)
        .chain(&declaration.sorted)
        .map(position)
        .collect::<Result<_>>()?;
    let checks_absence = declaration.checks_absence;
    let resource = declaration.noun.resource_type().map(|kind| {
        quote! {
            impl crate::model::record::ResourceRecord for #name {
                const TYPE: &'static str = #kind;
            }
        }
    });
    Ok(quote! {
        #resource
        // A secret is in no key, which is told to everybody, nor in an index.
        const _: () = {
            let table = <#name as crate::model::record::Record>::TABLE;
            #(assert!(!table.columns[#public].secret, "a secret must not be in the key, an index, a sort key or the search");)*
            #(assert!(matches!(table.columns[#sorted].kind, crate::model::record::Kind::Text), "only texts have sort keys");)*
        };
        impl crate::model::record::Record for #name {
            type Key = (#(#key_types,)*);
            const TABLE: &'static crate::model::record::Table = &crate::model::record::Table {
                name: #table,
                columns: &[#(crate::model::record::Column {
                    name: #words,
                    kind: <#types as crate::model::record::Field>::KIND,
                    nullable: <#types as crate::model::record::Field>::NULLABLE,
                    secret: <#types as crate::model::record::Field>::SECRET,
                    plain: #plain || <#types as crate::model::record::Field>::PLAIN,
                    default: <#types as crate::model::record::Field>::DEFAULT,
                    upkeep: crate::model::noun::Upkeep::#upkeep,
                }),*],
                sort_keys: &[#(crate::model::record::SortKey::new(#sort_keys, #sorted)),*],
                key: &[#(#key),*],
                indexes: &[#(#indexes),*],
                search: &[#(#search),*],
                checks_absence: #checks_absence,
                version: #version,
                sync: crate::model::record::Replication::#sync,
                noun: #noun,
            };
            fn key(&self) -> crate::model::record::Key {
                crate::model::record::Key(vec![#(crate::model::record::Field::to_value(&self.#key_idents)),*])
            }
            fn key_of(key: &Self::Key) -> crate::model::record::Key {
                let (#(#key_idents,)*) = key;
                crate::model::record::Key(vec![#(crate::model::record::Field::to_value(#key_idents)),*])
            }
            fn version(&self) -> i64 {
                self.version
            }
            fn set_version(&mut self, version: i64) {
                self.version = version;
            }
            fn to_row(&self) -> crate::model::record::Row {
                crate::model::record::Row(vec![#(crate::model::record::Field::to_value(&self.#columns)),*])
            }
            fn from_row(row: crate::model::record::Row) -> Result<Self, crate::model::record::Corrupt> {
                let mut values = crate::model::record::Values::of(Self::TABLE, row);
                #(let #columns = values.take::<#types>();)*
                // Together: each by itself would let go of all before it in code of its own.
                match (#(#columns,)*) {
                    (#(Some(#columns),)*) => Ok(Self { #(#columns),* }),
                    _ => Err(values.corrupt()),
                }
            }
        }
    })
}

/// Who fills a column, and whether its text is no personal data: `#[record(given)]`, `kept`, `gone`, the version by itself; `plain`.
fn upkeep(field: &Field) -> Result<(Ident, bool)> {
    let is_version = field.ident.as_ref().is_some_and(|ident| ident == "version");
    let mut upkeep = if is_version { format_ident!("Kept") } else { format_ident!("Asked") };
    let mut is_plain = false;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            match meta.path.require_ident()?.to_string().as_str() {
                "given" => upkeep = format_ident!("Given"),
                "kept" => upkeep = format_ident!("Kept"),
                "gone" => upkeep = format_ident!("Gone"),
                "plain" => is_plain = true,
                _ => return Err(meta.error("expected given, kept, gone or plain")),
            }
            Ok(())
        })?;
    }
    Ok((upkeep, is_plain))
}

fn declaration(input: &DeriveInput) -> Result<Declaration> {
    let mut declaration = Declaration::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            if declaration.noun.parse(&meta)? {
                return Ok(());
            }
            if meta.path.is_ident("table") {
                declaration.table = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("sync") {
                declaration.sync = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("key") {
                declaration.key = idents(&meta)?;
            } else if meta.path.is_ident("index") {
                declaration.indexes.push(idents(&meta)?);
            } else if meta.path.is_ident("sorted") {
                declaration.sorted = idents(&meta)?;
            } else if meta.path.is_ident("checks_absence") {
                declaration.checks_absence = true;
            } else if meta.path.is_ident("search") {
                declaration.search = idents(&meta)?;
            } else {
                return Err(meta.error("expected table, key, index, sorted, search, checks_absence, sync, resource, kinds, along, audit, owner, caches, retention or relation"));
            }
            Ok(())
        })?;
    }
    Ok(declaration)
}
