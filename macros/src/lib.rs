//! Derives of the crate `rolekeep`. They write what is mechanical about plain data, so that a
//! field is declared once and every face of it (JSON, tables, other languages) follows.
//!
//! | derive | for | writes |
//! |---|---|---|
//! | `Input` | what an operation takes | strict decoding with all field errors at once, `new`, setters |
//! | `Describe` | what crosses the language border | its shape, for the generator |
//! | `Record` | what is stored | its table, and the way from and to a row |
//! | `Word` | an enum written as one word | `as_str`, `FromStr`, `Display`, JSON, column |

mod describe;
mod input;
mod record;
mod shape;
mod word;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Decodes an operation's input strictly and gives it `new` (required fields) and a setter per optional one.
#[proc_macro_derive(Input)]
pub fn input(tokens: TokenStream) -> TokenStream {
    finish(input::derive(&parse_macro_input!(tokens as DeriveInput)))
}

/// Reflects the type for the generator (only with the crate's feature `describe`).
#[proc_macro_derive(Describe)]
pub fn describe(tokens: TokenStream) -> TokenStream {
    finish(describe::derive(&parse_macro_input!(tokens as DeriveInput)))
}

/// Declares a stored record: `#[record(table = "…", key(…), index(…), search(…), sync = …)]`.
#[proc_macro_derive(Record, attributes(record))]
pub fn record(tokens: TokenStream) -> TokenStream {
    finish(record::derive(&parse_macro_input!(tokens as DeriveInput)))
}

/// An enum whose variants are single words: `#[word("…")]` names one that is not its snake case.
#[proc_macro_derive(Word, attributes(word))]
pub fn word(tokens: TokenStream) -> TokenStream {
    finish(word::derive(&parse_macro_input!(tokens as DeriveInput)))
}

fn finish(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// An async trait, or an implementation of one, whose futures are `Send` where threads exist and
/// need not be on wasm32.
#[proc_macro_attribute]
pub fn portable_async(_: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    quote::quote! {
        #[cfg_attr(not(target_arch = "wasm32"), ::async_trait::async_trait)]
        #[cfg_attr(target_arch = "wasm32", ::async_trait::async_trait(?Send))]
        #item
    }
    .into()
}
