//! What `#[record(…)]` says of a record beside how it is stored. All of it is asked for, so that no noun
//! is forgotten by the audit log, the caches or a deletion.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{
    Error, Ident, LitStr, Path, Result, Token, meta::ParseNestedMeta, parenthesized, punctuated::Punctuated, token,
};

/// The declaration as it is written.
#[derive(Default)]
pub struct Noun {
    resource: Option<Option<LitStr>>,
    kinds: Option<Ident>,
    along: Option<Ident>,
    named: Option<Named>,
    permissions: Option<Vec<(Ident, LitStr)>>,
    audit: Option<Audit>,
    events: Option<Events>,
    owners: Option<Vec<Owner>>,
    caches: Option<Vec<(Ident, Option<Ident>)>>,
    retention: Option<Option<(Ident, Vec<Ident>)>>,
    relation: Option<Relation>,
}

enum Audit {
    Unlogged(LitStr),
    Logged { area: LitStr, kind: LitStr, words: Vec<Ident>, is_policy: bool },
}

enum Events {
    Unpublished(LitStr),
    Published { kind: LitStr, readers: Ident, asks: Option<LitStr>, types: Types },
}

enum Types {
    /// Made, changed, gone.
    Each([Option<Ident>; 3]),
    /// The function that finds them.
    By(Ident),
}

enum Named {
    Never,
    Id { is_scope: bool },
    Code { field: Ident, is_scope: bool },
}

struct Owner {
    field: Ident,
    of: Path,
    on_delete: Ident,
    /// Given where it stays.
    on_purge: Option<OnPurge>,
}

enum OnPurge {
    Cascade,
    Keep(LitStr),
}

struct Relation {
    of: Path,
    name: LitStr,
    from: Ident,
    to: Ident,
}

impl Noun {
    /// Takes one part of the declaration; false: it is none of these.
    pub fn parse(&mut self, meta: &ParseNestedMeta<'_>) -> Result<bool> {
        let Some(part) = meta.path.get_ident() else { return Ok(false) };
        match part.to_string().as_str() {
            "resource" => self.resource = Some(none_or(meta)?),
            "kinds" => self.kinds = Some(meta.value()?.parse()?),
            "along" => self.along = Some(meta.value()?.parse()?),
            "named" => self.named = Some(named(meta)?),
            "permissions" => self.permissions = Some(permissions(meta)?),
            "audit" => self.audit = Some(audit(meta)?),
            "events" => self.events = Some(events(meta)?),
            "owner" if meta.input.peek(Token![=]) => {
                none(meta)?;
                self.owners.get_or_insert_default();
            }
            "owner" => self.owners.get_or_insert_default().push(owner(meta)?),
            "caches" if meta.input.peek(Token![=]) => {
                none(meta)?;
                self.caches.get_or_insert_default();
            }
            "caches" => self.caches.get_or_insert_default().extend(caches(meta)?),
            "retention" => self.retention = Some(retention(meta)?),
            "relation" => self.relation = Some(relation(meta)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The declaration as a constant, or what is missing.
    pub fn tokens(
        &self,
        name: &Ident,
        table: &LitStr,
        key: &[Ident],
        position: impl Fn(&Ident) -> Result<usize>,
    ) -> Result<TokenStream> {
        let missing = |what: &str| Error::new_spanned(name, format!("missing `{what}`"));
        let table_of = |path: &Path| match path.is_ident("Self") {
            true => table.to_token_stream(),
            false => quote!(<#path as crate::model::record::Record>::TABLE.name),
        };
        let resource = self.resource.as_ref().ok_or_else(|| missing("resource = \"…\"` or `resource = none"))?;
        let resource = match resource {
            None => quote!(None),
            Some(kind) => {
                let along = self.along.as_ref().ok_or_else(|| missing("along = judged` or `along = own_rules"))?;
                let along = one_of(along, &["judged", "own_rules"])?;
                let named = self.named.as_ref();
                let named = named.ok_or_else(|| missing("named(id)`, `named(code = …)` or `named = none"))?;
                let (named, is_scope) = match named {
                    Named::Never => (quote!(Never), false),
                    Named::Id { is_scope } => (quote!(Id), *is_scope),
                    Named::Code { field, is_scope } => {
                        let at = position(field)?;
                        (quote!(Code(#at)), *is_scope)
                    }
                };
                let permissions = self.permissions.as_ref();
                let permissions = permissions.ok_or_else(|| missing("permissions(read = \"…\", …)"))?;
                if !permissions.iter().any(|(action, _)| action == "read") {
                    return Err(missing("permissions(read = \"…\", …)"));
                }
                let permissions = permissions.iter().map(|(action, about)| {
                    let action = action.to_string();
                    quote!((concat!(#kind, ":", #action), #about))
                });
                let kinds = match &self.kinds {
                    Some(field) => {
                        let at = position(field)?;
                        quote!(Some(#at))
                    }
                    None => quote!(None),
                };
                quote!(Some(crate::model::noun::ResourceType {
                    kind: #kind,
                    kinds: #kinds,
                    along: crate::model::noun::Along::#along,
                    named: crate::model::noun::Named::#named,
                    is_scope: #is_scope,
                    permissions: &[#(#permissions),*],
                }))
            }
        };
        let audit = match self.audit.as_ref().ok_or_else(|| missing("audit(…)` or `audit = none(\"why\")"))? {
            Audit::Unlogged(why) => quote!(crate::model::noun::Audit::Unlogged(#why)),
            Audit::Logged { area, kind, words, is_policy } => {
                let words = words.iter().map(ToString::to_string);
                quote!(crate::model::noun::Audit::Logged(crate::model::noun::Words {
                    area: #area, kind: #kind, verbs: [#(#words),*], is_policy: #is_policy,
                }))
            }
        };
        let events = self.events.as_ref().ok_or_else(|| missing("events(…)` or `events = none(\"why\")"))?;
        let events = match events {
            Events::Unpublished(why) => quote!(crate::model::noun::Events::Unpublished(#why)),
            Events::Published { kind, readers, asks, types } => {
                let asks = asks.as_ref().map_or_else(|| quote!(None), |permission| quote!(Some(#permission)));
                let readers = one_of(readers, &["rows", "own", "policy"])?;
                let types = match types {
                    Types::Each(types) => {
                        let types = types.iter().map(|event| match event {
                            Some(event) => {
                                let variant = camel(&event.to_string());
                                quote!(Some(crate::model::event::EventType::#variant))
                            }
                            None => quote!(None),
                        });
                        quote!(crate::model::noun::Types::Each([#(#types),*]))
                    }
                    Types::By(function) => {
                        let variant = camel(&function.to_string());
                        quote!({
                            const _: crate::model::event::derive::Of<#name> = crate::model::event::derive::#function;
                            crate::model::noun::Types::By(crate::model::event::derive::Derive::#variant)
                        })
                    }
                };
                quote!(crate::model::noun::Events::Published(crate::model::noun::PublishedEvents {
                    kind: #kind, readers: crate::model::event::Readers::#readers, asks: #asks, types: #types,
                }))
            }
        };
        let owners = self.owners.as_ref().ok_or_else(|| missing("owner(…)` or `owner = none"))?;
        let owners = owners.iter().map(|owner| {
            let (field, of) = (position(&owner.field)?, table_of(&owner.of));
            let on_delete = one_of(&owner.on_delete, &["cascade", "clear", "restrict", "keep"])?;
            let kept = owner.on_purge.as_ref().map(|on_purge| match on_purge {
                OnPurge::Cascade => quote!((crate::model::noun::OnPurge::Cascade)),
                OnPurge::Keep(why) => quote!((crate::model::noun::OnPurge::Keep(#why))),
            });
            Ok(quote!(crate::model::noun::Owner {
                column: #field, of: #of, on_delete: crate::model::noun::OnDelete::#on_delete #kept,
            }))
        });
        let owners = owners.collect::<Result<Vec<_>>>()?;
        let caches = self.caches.as_ref().ok_or_else(|| missing("caches(…)` or `caches = none"))?;
        let caches = caches.iter().map(|(what, column)| {
            let variant =
                one_of(what, &["user", "session", "api_key", "credential", "authority", "guard", "signing_keys"])?;
            match column {
                // The feed tells keys alone.
                Some(column) if what != "authority" && !key.contains(column) => {
                    Err(Error::new_spanned(column, "must be a part of the key, which is all that others are told"))
                }
                Some(column) => position(column).map(|at| quote!(crate::model::noun::Caches::#variant(#at))),
                None => Ok(quote!(crate::model::noun::Caches::#variant)),
            }
        });
        let caches = caches.collect::<Result<Vec<_>>>()?;
        let retention =
            self.retention.as_ref().ok_or_else(|| missing("retention = kept` or `retention = sessions(…)"))?;
        let retention = match retention {
            None => quote!(crate::model::noun::Retention::Kept),
            Some((period, columns)) => {
                let period = one_of(period, &["feed", "sessions", "api_keys", "invitations", "day"])?;
                let columns = columns.iter().map(&position).collect::<Result<Vec<_>>>()?;
                quote!(crate::model::noun::Retention::After(crate::model::noun::Period::#period, &[#(#columns),*]))
            }
        };
        let relation = match &self.relation {
            None => quote!(None),
            Some(Relation { of, name, from, to }) => {
                // A row that ties something else is another row.
                if let Some(column) = [from, to].into_iter().find(|column| !key.contains(column)) {
                    return Err(Error::new_spanned(column, "must be a part of the key"));
                }
                let (of, from, to) = (table_of(of), position(from)?, position(to)?);
                quote!(Some(crate::model::noun::Relation { of: #of, name: #name, from: #from, to: #to }))
            }
        };
        Ok(quote!(crate::model::noun::Noun {
            resource: #resource,
            audit: #audit,
            events: #events,
            owners: &[#(#owners),*],
            caches: &[#(#caches),*],
            retention: #retention,
            relation: #relation,
        }))
    }

    /// The resource type, where it is one.
    pub fn resource_type(&self) -> Option<&LitStr> {
        self.resource.as_ref()?.as_ref()
    }
}

/// The variant that a word stands for.
fn one_of(word: &Ident, words: &[&str]) -> Result<Ident> {
    let text = word.to_string();
    if !words.contains(&text.as_str()) {
        return Err(Error::new_spanned(word, format!("expected one of: {}", words.join(", "))));
    }
    Ok(camel(&text))
}

/// `user_created` as a variant: `UserCreated`.
fn camel(word: &str) -> Ident {
    let parts = word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]);
    format_ident!("{}", parts.collect::<String>())
}

/// `= none`
fn none(meta: &ParseNestedMeta<'_>) -> Result<()> {
    let word: Ident = meta.value()?.parse()?;
    one_of(&word, &["none"]).map(|_| ())
}

/// `= none` or `= "…"`
fn none_or(meta: &ParseNestedMeta<'_>) -> Result<Option<LitStr>> {
    let value = meta.value()?;
    if value.peek(LitStr) {
        return value.parse().map(Some);
    }
    let word: Ident = value.parse()?;
    one_of(&word, &["none"]).map(|_| None)
}

/// `= none`, `(id)` or `(code = field)`, the latter two with `scope`
fn named(meta: &ParseNestedMeta<'_>) -> Result<Named> {
    if meta.input.peek(Token![=]) {
        return none(meta).map(|()| Named::Never);
    }
    let (mut is_id, mut code, mut is_scope) = (false, None, false);
    meta.parse_nested_meta(|part| {
        if part.path.is_ident("id") {
            is_id = true;
        } else if part.path.is_ident("code") {
            code = Some(part.value()?.parse()?);
        } else if part.path.is_ident("scope") {
            is_scope = true;
        } else {
            return Err(part.error("expected id, code or scope"));
        }
        Ok(())
    })?;
    match code {
        Some(field) => Ok(Named::Code { field, is_scope }),
        None if is_id => Ok(Named::Id { is_scope }),
        None => Err(meta.error("expected `named(id)`, `named(code = …)` or `named = none`")),
    }
}

/// `(read = "Get a thing", …)`
fn permissions(meta: &ParseNestedMeta<'_>) -> Result<Vec<(Ident, LitStr)>> {
    let mut all = Vec::new();
    meta.parse_nested_meta(|part| {
        all.push((part.path.require_ident()?.clone(), part.value()?.parse()?));
        Ok(())
    })?;
    Ok(all)
}

fn audit(meta: &ParseNestedMeta<'_>) -> Result<Audit> {
    if meta.input.peek(Token![=]) {
        let value = meta.value()?;
        let word: Ident = value.parse()?;
        one_of(&word, &["none"])?;
        if !value.peek(token::Paren) {
            return Err(Error::new_spanned(word, "say why the audit log is not told: `audit = none(\"why\")`"));
        }
        let why;
        parenthesized!(why in value);
        return Ok(Audit::Unlogged(why.parse()?));
    }
    let (mut area, mut kind, mut words, mut is_policy) = (None, None, Vec::new(), false);
    meta.parse_nested_meta(|part| {
        if part.path.is_ident("area") {
            area = Some(part.value()?.parse()?);
        } else if part.path.is_ident("kind") {
            kind = Some(part.value()?.parse()?);
        } else if part.path.is_ident("words") {
            words = idents(&part)?;
        } else if part.path.is_ident("policy") {
            is_policy = true;
        } else {
            return Err(part.error("expected area, kind, words or policy"));
        }
        Ok(())
    })?;
    match (area, kind, words.len()) {
        (Some(area), Some(kind), 3) => Ok(Audit::Logged { area, kind, words, is_policy }),
        _ => Err(meta.error("expected `audit(area = \"…\", kind = \"…\", words(made, changed, gone))`")),
    }
}

fn events(meta: &ParseNestedMeta<'_>) -> Result<Events> {
    if meta.input.peek(Token![=]) {
        let value = meta.value()?;
        let word: Ident = value.parse()?;
        one_of(&word, &["none"])?;
        if !value.peek(token::Paren) {
            return Err(Error::new_spanned(word, "say why nobody is told: `events = none(\"why\")`"));
        }
        let why;
        parenthesized!(why in value);
        return Ok(Events::Unpublished(why.parse()?));
    }
    let (mut kind, mut readers, mut asks, mut each, mut by) = (None, None, None, [None, None, None], None);
    meta.parse_nested_meta(|part| {
        if part.path.is_ident("kind") {
            kind = Some(part.value()?.parse()?);
        } else if part.path.is_ident("readers") {
            readers = Some(part.value()?.parse::<Ident>()?);
        } else if part.path.is_ident("asks") {
            asks = Some(part.value()?.parse()?);
        } else if part.path.is_ident("made") {
            each[0] = Some(part.value()?.parse()?);
        } else if part.path.is_ident("changed") {
            each[1] = Some(part.value()?.parse()?);
        } else if part.path.is_ident("gone") {
            each[2] = Some(part.value()?.parse()?);
        } else if part.path.is_ident("by") {
            by = Some(part.value()?.parse()?);
        } else {
            return Err(part.error("expected kind, readers, asks, made, changed, gone or by"));
        }
        Ok(())
    })?;
    let is_each = each.iter().any(Option::is_some);
    let asks_of_rows = asks.is_none() || readers.as_ref().is_some_and(|readers| readers == "rows");
    let types = match by {
        Some(by) if !is_each => Some(Types::By(by)),
        None if is_each => Some(Types::Each(each)),
        _ => None,
    };
    match (kind, readers, types) {
        (Some(kind), Some(readers), Some(types)) if asks_of_rows => Ok(Events::Published { kind, readers, asks, types }),
        _ => Err(meta.error(
            "expected `events(kind = \"…\", readers = rows | own | policy, made = …, changed = …, gone = …)`, or `by = …` instead of \
             the last three; with `readers = rows` also `asks = \"PERMISSION\"`",
        )),
    }
}

fn owner(meta: &ParseNestedMeta<'_>) -> Result<Owner> {
    let (mut field, mut of, mut on_delete, mut on_purge) = (None, None, None::<Ident>, None);
    meta.parse_nested_meta(|part| {
        if part.path.is_ident("field") {
            field = Some(part.value()?.parse()?);
        } else if part.path.is_ident("of") {
            of = Some(part.value()?.parse()?);
        } else if part.path.is_ident("on_delete") {
            on_delete = Some(part.value()?.parse()?);
        } else if part.path.is_ident("on_purge") {
            on_purge = Some(self::on_purge(&part)?);
        } else {
            return Err(part.error("expected field, of, on_delete or on_purge"));
        }
        Ok(())
    })?;
    let expected = "expected `owner(field = …, of = …, on_delete = cascade | clear | restrict)`, or `on_delete = keep, on_purge = cascade`, \
                    `on_purge = keep(\"why\")`";
    match (field, of, on_delete) {
        (Some(field), Some(of), Some(on_delete)) if (on_delete == "keep") == on_purge.is_some() => {
            Ok(Owner { field, of, on_delete, on_purge })
        }
        _ => Err(meta.error(expected)),
    }
}

fn on_purge(part: &ParseNestedMeta<'_>) -> Result<OnPurge> {
    let value = part.value()?;
    let what: Ident = value.parse()?;
    if what == "cascade" {
        return Ok(OnPurge::Cascade);
    }
    if what != "keep" {
        return Err(Error::new(what.span(), "expected `cascade` or `keep(\"why\")`"));
    }
    let why;
    parenthesized!(why in value);
    Ok(OnPurge::Keep(why.parse()?))
}

fn caches(meta: &ParseNestedMeta<'_>) -> Result<Vec<(Ident, Option<Ident>)>> {
    let mut all = Vec::new();
    meta.parse_nested_meta(|part| {
        let what = part.path.require_ident()?.clone();
        let column = part.input.peek(Token![=]).then(|| part.value()?.parse()).transpose()?;
        if column.is_some() == (what == "guard" || what == "signing_keys") {
            return Err(part.error(
                "expected `user = …`, `session = …`, `api_key = …`, `credential = …`, `authority = …`, `guard` or `signing_keys`",
            ));
        }
        all.push((what, column));
        Ok(())
    })?;
    Ok(all)
}

fn retention(meta: &ParseNestedMeta<'_>) -> Result<Option<(Ident, Vec<Ident>)>> {
    let value = meta.value()?;
    let word: Ident = value.parse()?;
    one_of(&word, &["kept", "feed", "sessions", "api_keys", "invitations", "day"])?;
    if word == "kept" {
        return Ok(None);
    }
    let columns;
    parenthesized!(columns in value);
    Ok(Some((word, Punctuated::<Ident, Token![,]>::parse_terminated(&columns)?.into_iter().collect())))
}

fn relation(meta: &ParseNestedMeta<'_>) -> Result<Relation> {
    let (mut of, mut name, mut from, mut to) = (None, None, None, None);
    meta.parse_nested_meta(|part| {
        if part.path.is_ident("of") {
            of = Some(part.value()?.parse()?);
        } else if part.path.is_ident("name") {
            name = Some(part.value()?.parse()?);
        } else if part.path.is_ident("from") {
            from = Some(part.value()?.parse()?);
        } else if part.path.is_ident("to") {
            to = Some(part.value()?.parse()?);
        } else {
            return Err(part.error("expected of, name, from or to"));
        }
        Ok(())
    })?;
    match (of, name, from, to) {
        (Some(of), Some(name), Some(from), Some(to)) => Ok(Relation { of, name, from, to }),
        _ => Err(meta.error("expected `relation(of = …, name = \"…\", from = …, to = …)`")),
    }
}

/// `(one, two)`
pub fn idents(meta: &ParseNestedMeta<'_>) -> Result<Vec<Ident>> {
    let content;
    parenthesized!(content in meta.input);
    Ok(Punctuated::<Ident, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    const WHOLE: [&str; 7] = [
        "table = \"things\", key(id), sync = never",
        "resource = \"thing\", along = judged, named(id), permissions(read = \"Get a thing\")",
        "audit = none(\"a test\")",
        "owner = none",
        "caches = none",
        "retention = kept",
        "events = none(\"a test\")",
    ];

    /// What the derive says of a record with these parts.
    fn told(parts: &[&str]) -> String {
        let parts: proc_macro2::TokenStream = parts.join(", ").parse().unwrap();
        let input = syn::parse2(quote!(
            #[record(#parts)]
            struct Thing {
                id: UserId,
                name: String,
                version: i64,
            }
        ));
        crate::record::derive(&input.unwrap()).map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn without(part: usize) -> String {
        let mut parts = WHOLE.to_vec();
        parts.remove(part);
        told(&parts)
    }

    #[test]
    fn a_whole_declaration_compiles() {
        assert_eq!(told(&WHOLE), "");
        let more =
            "owner(field = name, of = Self, on_delete = restrict), caches(user = id), retention = sessions(name)";
        let events = "events(kind = \"thing\", readers = rows, made = thing_made)";
        assert_eq!(told(&[&WHOLE[..3], &[more, events]].concat()), "");
        assert_eq!(told(&[&WHOLE[..3], &[more, "events(kind = \"thing\", readers = own, by = thing)"]].concat()), "");
    }

    #[test]
    fn a_part_that_is_left_out_is_named() {
        assert!(without(0).contains("missing `table = \"…\"`"), "{}", without(0));
        for (at, part) in [(1, "resource"), (2, "audit"), (3, "owner"), (4, "caches"), (5, "retention"), (6, "events")]
        {
            assert!(without(at).starts_with(&format!("missing `{part}")), "{}", without(at));
        }
        let told = told(&[&["resource = \"thing\""], &WHOLE[2..], &WHOLE[..1]].concat());
        assert_eq!(told, "missing `along = judged` or `along = own_rules`");
        for (resource, part) in [
            ("resource = \"thing\", along = judged, permissions(read = \"\")", "named(id)"),
            ("resource = \"thing\", along = judged, named(id)", "permissions(read"),
            ("resource = \"thing\", along = judged, named(id), permissions(list = \"\")", "permissions(read"),
        ] {
            let told = self::told(&[&[resource], &WHOLE[2..], &WHOLE[..1]].concat());
            assert!(told.starts_with(&format!("missing `{part}")), "{told}");
        }
    }

    #[test]
    fn a_wrong_part_is_named() {
        let with = |at: usize, part: &'static str| {
            let mut parts = WHOLE;
            parts[at] = part;
            told(&parts)
        };
        assert!(with(2, "audit = none").contains("say why"));
        assert!(with(2, "audit(area = \"things\")").contains("expected `audit("));
        assert!(with(3, "owner(field = nobody, of = User, on_delete = clear)").contains("no such field"));
        for unsaid in ["on_delete = keep", "on_delete = clear, on_purge = cascade", "on_delete = keep, on_purge = keep"]
        {
            let part = format!("owner(field = id, of = User, {unsaid})");
            assert!(with(3, part.leak()).contains("expected"), "{unsaid}");
        }
        assert!(with(3, "owner(field = id, of = User, on_delete = vanish)").contains("expected one of: cascade"));
        assert!(with(4, "caches(guard = id)").contains("expected `user"));
        assert!(with(4, "caches(user = name)").contains("must be a part of the key"));
        let relation = "retention = kept, relation(of = User, name = \"things\", from = id, to = name)";
        assert!(with(5, relation).contains("must be a part of the key"));
        assert!(with(6, "events = none").contains("say why"));
        assert!(with(6, "events(kind = \"thing\", readers = rows)").contains("expected `events("));
        let asks = "events(kind = \"thing\", readers = own, asks = \"thing:read\", made = thing_made)";
        assert!(with(6, asks).contains("with `readers = rows`"));
        assert!(
            with(6, "events(kind = \"thing\", readers = all, made = thing_made)").contains("expected one of: rows")
        );
        assert!(with(5, "retention = sometimes").contains("expected one of: kept, feed"));
    }
}
