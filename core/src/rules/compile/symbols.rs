//! What a policy may speak of: types and their attributes, permissions, the context, kinds of scope.

use std::collections::{BTreeMap, HashMap, HashSet};

use smol_str::SmolStr;

use super::{
    attribute::{Attribute, ResourceType, Stored},
    schema::Schema,
};
use crate::rules::{
    condition::value::{Base, parse_type, type_names},
    diagnostics::{Diagnostics, Spot, Text, shown},
    policy::{
        AttributeDecl, Policy, ScopeDecl,
        name::{ADMIN, Pattern, is_name, split},
    },
    scope::kind::{KindId, ScopeKind},
};

use super::roles::Hierarchy;

/// The type whose attributes principals have.
pub(in crate::rules) const USER: &str = "user";

/// The kind of scope that is always there, and what it compares with.
const REGION: (&str, &str) = ("region", "region_id");

#[derive(Debug, Default)]
pub(in crate::rules) struct Symbols {
    /// Sorted by name.
    pub(in crate::rules) permissions: Vec<Permission>,
    pub(in crate::rules) permission_ids: hashbrown::HashMap<SmolStr, u32>,
    pub(in crate::rules) types: Vec<ResourceType>,
    pub(in crate::rules) type_ids: HashMap<String, u32>,
    /// `id`, `verified`, then the other attributes of the type `user`.
    pub(in crate::rules) principal: Vec<Attribute>,
    pub(in crate::rules) context: Vec<Attribute>,
    pub(in crate::rules) kinds: Vec<ScopeKind>,
    /// Permissions of every action, whatever the type.
    pub(in crate::rules) by_action: HashMap<String, Vec<u32>>,
}

/// A permission, and the place of its resource type.
#[derive(Debug)]
pub(in crate::rules) struct Permission {
    pub(in crate::rules) name: String,
    pub(in crate::rules) about: String,
    pub(in crate::rules) ty: u32,
}

pub(in crate::rules) fn symbols(policy: &Policy, schema: &Schema, diagnostics: &mut Diagnostics) -> Symbols {
    let mut symbols = Symbols::default();
    symbols.schema_types(schema);
    symbols.policy_types(policy, diagnostics);
    symbols.permissions(policy, schema, diagnostics);
    symbols.principal(policy, diagnostics);
    let context = attributes_of(&policy.context, "a context value", diagnostics);
    symbols.context = context.into_iter().map(|(attribute, _)| attribute).collect();
    symbols.kinds(policy, diagnostics);
    symbols
}

impl Symbols {
    /// `principal.id` and `principal.verified` come first, and every account has them.
    pub(in crate::rules) const ALWAYS_GIVEN: u32 = 2;

    fn type_id(&mut self, name: &str) -> usize {
        if let Some(id) = self.type_ids.get(name) {
            return *id as usize;
        }
        let id = self.types.len();
        self.type_ids.insert(name.to_owned(), u32::try_from(id).unwrap_or(u32::MAX));
        self.types.push(ResourceType { name: name.to_owned(), ..ResourceType::default() });
        id
    }

    fn schema_types(&mut self, schema: &Schema) {
        for (name, table) in &schema.records {
            let id = self.type_id(name);
            self.types[id].table = Some(table);
            self.types[id].attributes = Attribute::of_table(table).collect();
        }
        for (resource_type, name, link) in &schema.relations {
            let id = self.type_id(resource_type);
            let mut relation = Attribute::new(name, Base::Id.set(), false);
            relation.stored = Some(Stored::Link(link.clone()));
            self.types[id].attributes.push(relation);
        }
    }

    fn policy_types(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let mut seen = HashSet::new();
        for declared in &policy.types {
            let name = &declared.name.text;
            if !is_name(name) {
                diagnostics.add(
                    declared.name.spot,
                    format!("`{}` cannot name a resource type", shown(name)),
                    name_help(),
                );
                continue;
            }
            if !seen.insert(name) {
                diagnostics.add(declared.name.spot, format!("type `{name}` is declared twice"), None);
            }
            let id = self.type_id(name);
            let ours = self.types[id].table;
            for (attribute, decl) in attributes_of(&declared.attributes, "an attribute", diagnostics) {
                let is_taken = ours.is_some_and(|table| table.position(&attribute.name).is_some())
                    || self.types[id].slot(&attribute.name).is_some();
                if is_taken {
                    let message = format!("type `{name}` has an attribute `{}` of its own", attribute.name);
                    diagnostics.add(decl.name.spot, message, None);
                } else if ours.is_some() && !attribute.is_optional {
                    let message = format!("`{}` is a free attribute of `{name}`, so it may be absent", attribute.name);
                    diagnostics.add(decl.ty.spot, message, Some(format!("write `{}?`", attribute.ty)));
                } else {
                    self.types[id].attributes.push(attribute);
                }
            }
        }
    }

    fn permissions(&mut self, policy: &Policy, schema: &Schema, diagnostics: &mut Diagnostics) {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        all.insert(ADMIN.to_owned(), "Everything".to_owned());
        for name in schema.records.keys() {
            all.insert(format!("{name}:set_authority"), format!("Change attributes of a {name} that rules read"));
        }
        all.extend(schema.permissions.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned())));
        let mut seen = HashMap::new();
        for declared in &policy.permissions {
            let Text { text: name, spot } = &declared.name;
            if split(name).is_none() {
                let message = format!("`{}` cannot name a permission", shown(name));
                diagnostics.add(
                    *spot,
                    message,
                    Some("a permission is written `resource:action`, in small letters".to_owned()),
                );
            } else if let Some(first) = seen.insert(name, *spot) {
                let fault = diagnostics.add(*spot, format!("permission `{name}` is declared twice"), None);
                fault.label("declared again").first(first, "first declared");
            } else {
                let about = all.entry(name.clone()).or_default();
                if !declared.about.is_empty() {
                    about.clone_from(&declared.about);
                }
            }
        }
        for (name, about) in all {
            let Some((resource, action)) = split(&name) else { continue };
            let ty = self.type_id(resource);
            let id = u32::try_from(self.permissions.len()).unwrap_or(u32::MAX);
            if name != ADMIN {
                self.types[ty].permissions.push(id);
                self.by_action.entry(action.to_owned()).or_default().push(id);
            }
            let ty = u32::try_from(ty).unwrap_or(u32::MAX);
            self.permission_ids.insert(name.as_str().into(), id);
            self.permissions.push(Permission { name, about, ty });
        }
    }

    fn principal(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let user = self.type_ids.get(USER).map(|id| &self.types[*id as usize]);
        let attributes = user.into_iter().flat_map(|user| &user.attributes);
        let (always, own): (Vec<&Attribute>, Vec<&Attribute>) =
            attributes.partition(|one| one.name == "id" || one.name == "verified");
        let given = |name: &str, bases: &[Base], diagnostics: &mut Diagnostics| {
            let own = always.iter().find(|one| one.name == name);
            let is_right = |one: &Attribute| !one.ty.is_set && !one.is_optional && bases.contains(&one.ty.base);
            match own.filter(|one| is_right(one)) {
                Some(own) => own.ty,
                None => {
                    if own.is_some() {
                        let names: Vec<&str> = bases.iter().map(|base| base.name()).collect();
                        let message = format!("`principal.{name}` is what everybody has: {}", names.join(" or "));
                        diagnostics.add(spot_of(policy, name), message, None);
                    }
                    bases[0].one()
                }
            }
        };
        let id = given("id", &[Base::Id, Base::String, Base::Int], diagnostics);
        let verified = given("verified", &[Base::Bool], diagnostics);
        let always = [Attribute::new("id", id, false), Attribute::new("verified", verified, false)];
        // Relations of accounts are not in a principal's facts.
        let own = own.into_iter().filter(|one| !matches!(one.stored, Some(Stored::Link(_))));
        self.principal = always.into_iter().chain(own.cloned()).collect();
    }

    /// The permissions that a pattern is about, fields aside.
    pub(super) fn matching(&self, pattern: &Pattern<'_>) -> Vec<u32> {
        let of_type = |name: &str| self.types.get(*self.type_ids.get(name)? as usize);
        match (pattern.resource, pattern.action) {
            (None, None) => self.types.iter().flat_map(|ty| &ty.permissions).copied().collect(),
            (None, Some(action)) => self.by_action.get(action).cloned().unwrap_or_default(),
            (Some(resource), None) => of_type(resource).map(|ty| ty.permissions.clone()).unwrap_or_default(),
            (Some(resource), Some(action)) => {
                self.permission_ids.get(format!("{resource}:{action}").as_str()).copied().into_iter().collect()
            }
        }
    }

    /// The type of `principal.id`: a UUID, unless the policy declares the accounts itself.
    pub(in crate::rules) fn principal_id(&self) -> Base {
        self.principal.first().map_or(Base::Id, |id| id.ty.base)
    }

    /// Who is not signed in has no attributes, so conditions must say what absence means.
    pub(super) fn anonymous_reads_little(&mut self, policy: &Policy, hierarchy: &Hierarchy) {
        let Some(role) = hierarchy.anonymous else { return };
        let closure = hierarchy.closures.get(role.0 as usize).map(AsRef::as_ref).unwrap_or_default();
        let grants =
            |index: &u32| policy.roles.get(hierarchy.declared(*index)).is_some_and(|role| !role.grants.is_empty());
        if closure.iter().any(grants) {
            self.principal.iter_mut().filter(|one| one.name != "verified").for_each(|one| one.is_optional = true);
        }
    }

    fn kinds(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let mut declared: Vec<(&str, &str, Option<&ScopeDecl>)> = Vec::new();
        for scope in &policy.scopes {
            let name = &scope.name.text;
            if name == "resource" || name == "global" {
                let help = "`global` and `resource:TYPE` are there already".to_owned();
                diagnostics.add(scope.name.spot, format!("`{name}` cannot name a kind of scope"), Some(help));
            } else if !is_name(name) {
                diagnostics.add(scope.name.spot, format!("`{}` cannot name a kind of scope", shown(name)), name_help());
            } else if declared.iter().any(|(known, _, _)| known == name) {
                diagnostics.add(scope.name.spot, format!("kind of scope `{name}` is declared twice"), None);
            } else {
                declared.push((name, &scope.attribute.text, Some(scope)));
            }
        }
        if !declared.iter().any(|(name, _, _)| *name == REGION.0) {
            declared.push((REGION.0, REGION.1, None));
        }
        for (name, attribute, written) in &declared {
            self.kind(name, attribute, written.map(|scope| &scope.attribute), diagnostics);
        }
        self.nest(&declared, diagnostics);
        for at in 0..self.types.len() {
            let Some(slot) = self.types[at].slot("id") else { continue };
            let base = self.types[at].attributes[slot as usize].ty.base;
            let kind = self.new_kind(format!("resource:{}", self.types[at].name), base);
            self.types[at].bound.push((kind, slot));
        }
    }

    /// Leads each kind to the one above; kinds above each other in a circle are refused.
    fn nest(&mut self, declared: &[(&str, &str, Option<&ScopeDecl>)], diagnostics: &mut Diagnostics) {
        for (at, (name, _, written)) in declared.iter().enumerate() {
            let Some(parent) = written.and_then(|scope| scope.parent.as_ref()) else { continue };
            match declared.iter().position(|(_, attribute, _)| *attribute == parent.text) {
                Some(above) => self.kinds[at].parent = u32::try_from(above).ok().map(KindId),
                None => {
                    let help = diagnostics.suggest(&parent.text, declared.iter().map(|(_, attribute, _)| *attribute));
                    let message =
                        format!("no kind of scope is bound to `{}`, where `{name}` lies", shown(&parent.text));
                    diagnostics.add(parent.spot, message, help);
                }
            }
        }
        for (at, (name, _, written)) in declared.iter().enumerate() {
            let mut above = self.kinds[at].parent;
            let mut steps = 0;
            while let Some(kind) = above.filter(|_| steps <= declared.len()) {
                above = self.kinds[kind.0 as usize].parent;
                steps += 1;
            }
            if steps > declared.len() {
                self.kinds[at].parent = None;
                let spot = written.and_then(|scope| scope.parent.as_ref()).map_or(Spot::CODE, |parent| parent.spot);
                diagnostics.add(spot, format!("kind of scope `{}` lies within itself", shown(name)), None);
            }
        }
    }

    /// Binds one kind on every type that has its attribute; on the type of its own name, by `id`.
    fn kind(&mut self, name: &str, attribute: &str, written: Option<&Text>, diagnostics: &mut Diagnostics) {
        let bound = |ty: &ResourceType| {
            let slot = ty.slot(if ty.name == name { "id" } else { attribute })?;
            ty.attributes.get(slot as usize).map(|one| (slot, one.ty))
        };
        let found: Vec<(usize, u32, _)> =
            self.types.iter().enumerate().filter_map(|(at, ty)| bound(ty).map(|(slot, of)| (at, slot, of))).collect();
        let first = found.first().map(|(_, _, ty)| *ty);
        let is_usable = first.is_none_or(|ty| !ty.is_set && matches!(ty.base, Base::Id | Base::String | Base::Int));
        let is_one_type = found.iter().all(|(_, _, ty)| Some(*ty) == first);
        if let Some(written) = written {
            let at = written.spot;
            if found.is_empty() {
                let (message, help) = match self.types.iter().any(|ty| ty.name == name) {
                    // Its own rows lie in it by their id, whatever else they have.
                    true => {
                        let (kind, attribute) = (shown(name), shown(attribute));
                        let lies = format!("and it has no `id`, by which rows of `{kind}` lie in scopes of that kind");
                        (format!("no type but `{kind}` has an attribute `{attribute}`, {lies}"), None)
                    }
                    false => {
                        let attributes = self.types.iter().flat_map(|ty| &ty.attributes);
                        let names: HashSet<&str> = attributes.map(|one| one.name.as_str()).collect();
                        (
                            format!("no type has an attribute `{}`", shown(attribute)),
                            diagnostics.suggest(attribute, names),
                        )
                    }
                };
                diagnostics.add(at, message, help);
            } else if !is_usable || !is_one_type {
                let message = format!(
                    "a scope compares with an id, a string or an int, the same in every type: not so `{}`",
                    shown(attribute)
                );
                diagnostics.add(at, message, None);
            }
        }
        let kind = self.new_kind(name.to_owned(), first.map_or(Base::Id, |ty| ty.base));
        for (at, slot, ty) in found {
            // The built-in kind leaves a host's attribute of another type alone.
            if Some(ty) == first && is_usable {
                self.types[at].bound.push((kind, slot));
            }
        }
    }

    fn new_kind(&mut self, name: String, base: Base) -> KindId {
        let id = KindId(u32::try_from(self.kinds.len()).unwrap_or(u32::MAX));
        self.kinds.push(ScopeKind { name, base, parent: None });
        id
    }
}

/// Attributes whose type is right, and their declarations.
fn attributes_of<'p>(
    declared: &'p [AttributeDecl],
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<(Attribute, &'p AttributeDecl)> {
    let mut attributes = Vec::with_capacity(declared.len());
    let mut seen = HashSet::new();
    for decl in declared {
        let AttributeDecl { name, ty } = decl;
        if !is_name(&name.text) || name.text.contains('-') {
            diagnostics.add(name.spot, format!("`{}` cannot name {what}", shown(&name.text)), name_help());
        }
        if !seen.insert(&name.text) {
            diagnostics.add(name.spot, format!("`{}` is declared twice", shown(&name.text)), None);
        }
        match parse_type(&ty.text) {
            Some((known, is_optional)) => attributes.push((Attribute::new(&name.text, known, is_optional), decl)),
            None => {
                let help = diagnostics.suggest(&ty.text, type_names());
                let help = help.or_else(|| {
                    Some(
                        "types are bool, int, string, id, time, duration, ip and set<…>; `?` makes one optional"
                            .to_owned(),
                    )
                });
                diagnostics.add(ty.spot, format!("there is no type `{}`", shown(&ty.text)), help);
            }
        }
    }
    attributes
}

/// Where the policy declares an attribute of the type `user`.
fn spot_of(policy: &Policy, attribute: &str) -> Spot {
    let user = policy.types.iter().filter(|one| one.name.text == USER);
    let found = user.flat_map(|user| &user.attributes).find(|one| one.name.text == attribute);
    found.map_or(Spot::CODE, |found| found.ty.spot)
}

fn name_help() -> Option<String> {
    Some("names are small letters, digits and `_`, begin with a letter, and have at most 64 characters".to_owned())
}
