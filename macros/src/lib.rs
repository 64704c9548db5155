//! Derives of the crate `rolekeep`. They write what is mechanical about plain data, so that a
//! field is declared once and every face of it (JSON, tables, other languages) follows.
//!
//! | derive | for | writes |
//! |---|---|---|
//! | `Input` | what an operation takes | strict decoding with all field errors at once, `new`, setters |
//! | `Describe` | what crosses the language border | its shape, for the generator |
//! | `Record` | what is stored | its table, and the way from and to a row |
//! | `Word` | an enum written as one word | `as_str`, `FromStr`, `Display`, JSON, column |

mod boxed_async;
mod describe;
mod input;
mod noun;
mod record;
mod shape;
mod word;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Decodes an operation's input strictly, also by `TryFrom` for hosts that have it as JSON, and gives it `new` (required
/// fields, and those that are `#[input(positional)]`) and a setter per optional one.
#[proc_macro_derive(Input, attributes(input))]
pub fn input(tokens: TokenStream) -> TokenStream {
    finish(input::derive(&parse_macro_input!(tokens as DeriveInput)))
}

/// Reflects the type for the generator (only with the crate's feature `describe`); `#[describe(name = "…")]` is what
/// other languages call it, where that is not its name here.
#[proc_macro_derive(Describe, attributes(describe))]
pub fn describe(tokens: TokenStream) -> TokenStream {
    finish(describe::derive(&parse_macro_input!(tokens as DeriveInput)))
}

/// Declares a stored record, each part of it asked for but index, sorted, search and relation:
///
/// | part | says |
/// |---|---|
/// | `table = "…"`, `key(…)`, `index(…)`, `search(…)` | where and how it is stored |
/// | `sorted(name, …)` | texts that rows are sorted by without case, marks and width: `name_key`, which an index may have, is made of them |
/// | `sync = replicated`, `site_local`, `never` | how it takes part in sync |
/// | `resource = "…"`, `along = judged` or `own_rules`; `resource = none` | whether the rules are about it, and who may move it along with others |
/// | `named(id)`, `named(code = field)`, either with `scope`; `named = none` | of a resource: how scopes and callers name a row, and whether `KIND:ID` is a scope of its own |
/// | `permissions(read = "…", …)` | of a resource: what may be asked for on it, `read` at least |
/// | `audit(area = "…", kind = "…", words(made, changed, gone))`, `policy` in it; `audit = none("why")` | what the audit log is told |
/// | `owner(field = …, of = …, on_delete = cascade)`, `clear`, `restrict`; `owner = none` | whose it is, and what becomes of it with that |
/// | `on_delete = keep, on_purge = cascade`, `on_purge = keep("why")` | what stays, unused, while its owner may be restored, and whether it goes when that is purged |
/// | `caches(user = …)`, `session`, `api_key`, `credential`, `authority`, `guard`, `signing_keys`; `caches = none` | what a write touches in memory |
/// | `retention = kept`; `retention = sessions(…)`, `api_keys(…)`, `invitations(…)`, `day(…)`, `feed(…)` | how long it is kept: for ever, or for a period after the earliest of these moments |
/// | `relation(of = …, name = "…", from = …, to = …)` | the set of ids that conditions may read of another resource |
///
/// A field may be `#[record(given)]` (filled when the row is made), `kept` (with every change) or `gone`
/// (when a row that is kept is deleted); a field of the type `Secret` is told to nobody. `plain` says that a text is no personal data.
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

/// [`macro@portable_async`] for a trait that is implemented in this crate alone: all that a call borrows has one lifetime, and
/// none is told to outlive another. Where a method has such bounds, as those of `async_trait` have, the compiler proves
/// anew for each that its future is `Send`, with every future that it awaits: nearly a quarter of its time (decision 072).
#[proc_macro_attribute]
pub fn boxed_async(_: TokenStream, item: TokenStream) -> TokenStream {
    finish(boxed_async::expand(parse_macro_input!(item as syn::Item)))
}
