//! Where a type belongs: to the one area of operations that speaks of it, or to all.

use std::collections::{BTreeMap, BTreeSet};

use rolekeep::describe::{Catalogue, Shape, TypeRef, TypeShape};

/// The home of types that several areas speak of, or none, as errors and settings.
pub(crate) const COMMON: &str = "common";
pub(crate) const ABOUT_COMMON: &str = "What several areas of operations speak of, and what errors and checks answer.";

/// A home, and its types by name.
pub(crate) struct Home<'c> {
    /// An area, or [`COMMON`].
    pub(crate) name: &'c str,
    pub(crate) types: Vec<(&'c str, &'c TypeShape)>,
}

impl Home<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.types.iter().any(|(known, _)| *known == name)
    }
}

/// The homes that have any type that is wanted: [`COMMON`], then the areas in order.
pub(crate) fn homes<'c>(catalogue: &'c Catalogue, is_wanted: impl Fn(&str, &TypeShape) -> bool) -> Vec<Home<'c>> {
    let mut spoken: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for area in &catalogue.areas {
        let sides = area.operations.iter().flat_map(|operation| [&operation.input, &operation.output]);
        for name in reached(catalogue, sides) {
            spoken.entry(name).or_default().insert(area.name);
        }
    }
    // What is reached from elsewhere, too, is no area's own.
    let elsewhere = catalogue.types.0.keys().filter(|name| !spoken.contains_key(*name)).cloned().map(TypeRef::Named);
    let elsewhere = reached(catalogue, &elsewhere.collect::<Vec<_>>());
    let home = |name: &str| match spoken.get(name).map(|areas| areas.iter().collect::<Vec<_>>()).as_deref() {
        Some([area]) if !elsewhere.contains(name) => **area,
        _ => COMMON,
    };
    let names = std::iter::once(COMMON).chain(catalogue.areas.iter().map(|area| area.name));
    let homes = names.map(|at| {
        let types = catalogue.types.0.iter().filter(|(name, ty)| home(name) == at && is_wanted(name, ty));
        Home { name: at, types: types.map(|(name, ty)| (name.as_str(), ty)).collect() }
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
    use TypeRef::{Change, List, Map, Named, Optional, Page, Patch};
    if met.contains(ty) {
        return;
    }
    met.push(ty.clone());
    match ty {
        List(inner) | Map(inner) | Optional(inner) | Patch(inner) | Change(inner) | Page(inner) => {
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
        | TypeRef::Change(inner) => named(inner),
        _ => BTreeSet::new(),
    }
}
