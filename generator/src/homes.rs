//! Where a type belongs: to the one area of operations that speaks of it, to what stands beside the areas, or to
//! all.

use std::collections::BTreeSet;

use rolekeep::describe::{Catalogue, Shape, TypeRef, TypeShape};

/// The home of what errors tell.
const ERRORS: &str = "errors";

/// What stands beside the areas: its home, what it is about, and the types that hold all others of it.
const BESIDE: [(&str, &str, &[&str]); 7] = [
    (ERRORS, "What errors tell.", &["Code", "FieldError", "Reason"]),
    ("rules", "Rules without accounts.", &["PrincipalData", "RulesConfig"]),
    ("notices", "What an application sends by mail.", &["Notice"]),
    ("health", "How well a store works.", &["Health"]),
    ("upkeep", "What a store does for itself now and then.", &["Tidied"]),
    ("config", "How a store is opened.", &["Config"]),
    ("sql", "Rules as conditions of a host's own queries.", &["FilteredRows", "SqlFilter", "SqlTable"]),
];

/// The home of types that several areas speak of.
const COMMON: (&str, &str) = ("common", "What several areas of operations speak of.");

/// A home, and its types by name.
pub(crate) struct Home<'c> {
    /// An area, or what stands beside them.
    pub(crate) name: &'c str,
    /// What it is about, where it is no area.
    pub(crate) about: Option<&'static str>,
    pub(crate) types: Vec<(&'c str, &'c TypeShape)>,
}

impl Home<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.types.iter().any(|(known, _)| *known == name)
    }
}

/// The homes that have any type that is wanted: [`COMMON`] and what else stands beside the areas, then the areas in
/// order.
pub(crate) fn homes<'c>(catalogue: &'c Catalogue, is_wanted: impl Fn(&str, &TypeShape) -> bool) -> Vec<Home<'c>> {
    let besides = BESIDE.map(|(home, _, roots)| {
        let roots: Vec<TypeRef> = roots.iter().map(|root| TypeRef::Named((*root).to_owned())).collect();
        (home, reached(catalogue, &roots))
    });
    let areas = catalogue.areas.iter().map(|area| {
        let sides = area.operations.iter().flat_map(|operation| [&operation.input, &operation.output]);
        (area.name, reached(catalogue, sides))
    });
    let speak: Vec<(&str, BTreeSet<String>)> = besides.into_iter().chain(areas).collect();
    let home = |name: &str| {
        let mut speakers = speak.iter().filter(|(_, types)| types.contains(name)).map(|(home, _)| *home);
        match (speakers.next(), speakers.next()) {
            // Answers may hold what errors tell.
            (Some(ERRORS), _) => ERRORS,
            (Some(one), None) => one,
            // Whoever speaks of errors, too.
            (Some(errors), _) if errors == BESIDE[0].0 => errors,
            _ => COMMON.0,
        }
    };
    let beside = BESIDE.map(|(name, about, _)| (name, Some(about)));
    let areas = catalogue.areas.iter().map(|area| (area.name, None));
    let names = std::iter::once((COMMON.0, Some(COMMON.1))).chain(beside).chain(areas);
    let homes = names.map(|(at, about)| {
        let types = catalogue.types.0.iter().filter(|(name, ty)| home(name) == at && is_wanted(name, ty));
        Home { name: at, about, types: types.map(|(name, ty)| (name.as_str(), ty)).collect() }
    });
    homes.filter(|home| !home.types.is_empty()).collect()
}

/// The names of all types that these hold, or are.
pub(crate) fn reached<'t>(catalogue: &Catalogue, from: impl IntoIterator<Item = &'t TypeRef>) -> BTreeSet<String> {
    let mut met = Vec::new();
    from.into_iter().for_each(|ty| reach(catalogue, ty, &mut met));
    met.into_iter().filter_map(|ty| if let TypeRef::Named(name) = ty { Some(name) } else { None }).collect()
}

/// A type and everything that it holds, in the order of their meeting.
pub(crate) fn reach(catalogue: &Catalogue, ty: &TypeRef, met: &mut Vec<TypeRef>) {
    use TypeRef::{Change, List, Map, Named, Optional, OrText, Page, Patch};
    if met.contains(ty) {
        return;
    }
    met.push(ty.clone());
    match ty {
        List(inner) | Map(inner) | Optional(inner) | Patch(inner) | Change(inner) | Page(inner) | OrText(inner) => {
            reach(catalogue, inner, met);
        }
        Named(name) => {
            if let Some(Shape::Record(fields)) = catalogue.types.0.get(name).map(|shape| &shape.shape) {
                fields.iter().for_each(|field| reach(catalogue, &field.ty, met));
            }
        }
        _ => {}
    }
}

/// The named types of one use of a type; `Page` where it is one.
pub(crate) fn named(ty: &TypeRef) -> BTreeSet<&str> {
    match ty {
        TypeRef::Named(name) => BTreeSet::from([name.as_str()]),
        TypeRef::Page(inner) => named(inner).into_iter().chain(["Page"]).collect(),
        TypeRef::List(inner)
        | TypeRef::Map(inner)
        | TypeRef::Optional(inner)
        | TypeRef::Patch(inner)
        | TypeRef::Change(inner)
        | TypeRef::OrText(inner) => named(inner),
        _ => BTreeSet::new(),
    }
}
