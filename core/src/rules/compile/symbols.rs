//! What a policy may speak of: types and their attributes, permissions, the context, kinds of scope.

use hashbrown::HashMap;
use smol_str::SmolStr;

use super::{problems::tell, roles::Hierarchy, schema::Schema};

use crate::model::{attributes, record::Table};
use crate::rules::{
    ADMIN, Attribute, AttributeDecl, Base, Diagnostics, KindId, Pattern, PermissionDecl, Policy, ResourceType,
    ScopeDecl, ScopeKind, Span, Stored, Text, Type, Vocabulary, is_name, parse_type, policy::name::split, shown,
    to_index, type_names,
};

/// The type whose attributes principals have.
pub(in crate::rules) const USER: &str = "user";

/// What sets among the attributes of a stored row hold: the others are written in many ways, and a store refuses them.
const IN_MEMBERS: [Base; 3] = [Base::String, Base::Int, Base::Id];

/// The kind of scope that is always there, and what it compares with.
const REGION: (&str, &str) = ("region", "region_id");

/// What a session says of who asks.
const SESSION: [(&str, Type); 2] = [("authenticated_at", Base::Time.one()), ("factors", Base::String.set())];

#[derive(Debug, Default)]
pub(in crate::rules) struct Symbols {
    /// Sorted by name.
    pub(in crate::rules) permissions: Vec<Permission>,
    pub(in crate::rules) permission_ids: Ids,
    pub(in crate::rules) types: Vec<ResourceType>,
    pub(in crate::rules) type_ids: Ids,
    /// `id`, `verified`, then the other attributes of the type `user`.
    pub(in crate::rules) principal: Vec<Attribute>,
    /// The place of `authenticated_at` among them, where sessions are ours; `factors` follows, and nothing after that.
    pub(in crate::rules) session: Option<u32>,
    pub(in crate::rules) context: Vec<Attribute>,
    pub(in crate::rules) kinds: Vec<ScopeKind>,
    /// Permissions of every action, whatever the type.
    pub(in crate::rules) by_action: HashMap<SmolStr, Vec<u32>>,
}

/// Numbers by name, short ones without a detour.
pub(in crate::rules) type Ids = HashMap<SmolStr, u32>;

/// A permission, and the place of its resource type.
#[derive(Debug)]
pub(in crate::rules) struct Permission {
    pub(in crate::rules) name: String,
    pub(in crate::rules) about: String,
    pub(in crate::rules) ty: u32,
}

pub(in crate::rules) fn symbols(policy: &Policy, schema: &Schema, diagnostics: &mut Diagnostics) -> Symbols {
    let mut symbols = Symbols::default();
    symbols.permission(ADMIN.to_owned(), "Everything");
    schema.declare(policy, &mut symbols, diagnostics);
    symbols.policy_types(policy, diagnostics);
    symbols.permissions(policy, diagnostics);
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
        let next = self.types.len();
        let id = *self.type_ids.entry(name.into()).or_insert(to_index(next)) as usize;
        if id == next {
            self.types.push(ResourceType { name: name.into(), ..ResourceType::default() });
        }
        id
    }

    pub(super) fn type_mut(&mut self, name: &str) -> &mut ResourceType {
        let id = self.type_id(name);
        &mut self.types[id]
    }

    /// A type whose rows are kept in this table.
    pub(super) fn stored_type(&mut self, name: &str, table: &'static Table) -> &mut ResourceType {
        let ty = self.type_mut(name);
        (ty.table, ty.attributes) = (Some(table), Attribute::of_table(table).collect());
        ty
    }

    /// The permission to change what rules read of the rows of a type.
    pub(super) fn authority_of(&mut self, name: &str) {
        let about = format!("Change attributes of the type `{name}` that rules read");
        self.permission(format!("{name}:set_authority"), &about);
    }

    /// Adds a permission; they are numbered once all are there.
    pub(super) fn permission(&mut self, name: String, about: &str) {
        self.permissions.push(Permission { name, about: about.to_owned(), ty: 0 });
    }

    fn policy_types(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let mut seen = HashMap::new();
        for declared in &policy.types {
            let name = &declared.name.text;
            if !is_name(name) {
                cannot_name(&declared.name, "a resource type", "digits, `_` and `-`", diagnostics);
                continue;
            }
            if seen.insert(name, declared.name.span).is_some() {
                diagnostics.add(declared.name.span, format!("type `{name}` is declared twice"));
            }
            let id = self.type_id(name);
            let ours = self.types[id].table;
            let has_members = ours.is_some_and(|table| attributes::position(table).is_some());
            for (mut attribute, AttributeDecl { name: at, ty }) in
                attributes_of(&declared.attributes, "an attribute", diagnostics)
            {
                let own = &attribute.name;
                if own == "type" && name != USER {
                    let help = "a resource that is given as one object has its type there";
                    diagnostics.add(at.span, "an attribute of a resource cannot be called `type`").help(help);
                } else if ours.is_some_and(|table| table.position(own).is_some()) || self.types[id].slot(own).is_some()
                {
                    diagnostics.add(at.span, format!("type `{name}` already has an attribute `{own}`"));
                } else if ours.is_some() && !attribute.is_optional {
                    let message = format!("`{own}` is not a column of `{name}`, so rows may lack it");
                    diagnostics.add(ty.span, message).help(format!("write `{}?`", attribute.ty));
                } else {
                    if has_members && (!attribute.ty.is_set || IN_MEMBERS.contains(&attribute.ty.base)) {
                        let member = attributes::member(own, &attribute.ty.to_string());
                        attribute.stored = Some(Stored::Member(member.into()).into());
                    }
                    self.types[id].attributes.push(attribute);
                }
            }
        }
    }

    /// Those of the policy, then the number of each.
    fn permissions(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let mut seen = HashMap::new();
        for PermissionDecl { name: Text { text: name, span }, about } in &policy.permissions {
            if split(name).is_none() {
                let help = "a permission is written `resource:action`, in small letters";
                diagnostics.add(*span, format!("`{}` cannot name a permission", shown(name))).help(help);
            } else if let Some(first) = seen.insert(name, *span) {
                let twice = diagnostics.add(*span, format!("permission `{name}` is declared twice"));
                twice.label("declared again").first(first, "first declared");
            } else {
                self.permission(name.clone(), about);
            }
        }
        let mut all = std::mem::take(&mut self.permissions);
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.dedup_by(|later, earlier| {
            let is_same = later.name == earlier.name;
            if is_same && !later.about.is_empty() {
                std::mem::swap(&mut later.about, &mut earlier.about);
            }
            is_same
        });
        for mut one in all {
            let Some((resource, action)) = split(&one.name) else { continue };
            let (ty, id) = (self.type_id(resource), to_index(self.permissions.len()));
            if one.name != ADMIN {
                self.types[ty].permissions.push(id);
                self.by_action.entry(action.into()).or_default().push(id);
            }
            self.permission_ids.insert(one.name.as_str().into(), id);
            one.ty = to_index(ty);
            self.permissions.push(one);
        }
    }

    fn principal(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let attributes = self.type_named(USER).into_iter().flat_map(|user| &user.attributes);
        let (always, own): (Vec<&Attribute>, Vec<&Attribute>) =
            attributes.partition(|one| one.name == "id" || one.name == "verified");
        let mut given = |name: &str, bases: &[Base]| {
            let own = always.iter().find(|one| one.name == name);
            let is_right = |one: &Attribute| !one.ty.is_set && !one.is_optional && bases.contains(&one.ty.base);
            if own.is_some_and(|own| !is_right(own)) {
                let names: Vec<&str> = bases.iter().map(|base| base.name()).collect();
                let message = format!("`principal.{name}` is what everybody has: {}", names.join(" or "));
                diagnostics.add(span_of(policy, name), message);
            }
            Attribute::new(name, own.filter(|own| is_right(own)).map_or(bases[0].one(), |own| own.ty), false)
        };
        let always = [given("id", &[Base::Id, Base::String, Base::Int]), given("verified", &[Base::Bool])];
        // Relations of accounts are not in a principal's facts.
        let own = own.into_iter().filter(|one| !matches!(one.stored.as_deref(), Some(Stored::Link(_))));
        self.principal = always.into_iter().chain(own.cloned()).collect();
        // Where accounts are ours, so are sessions.
        if self.type_named(USER).is_some_and(|user| user.table.is_some()) {
            let first = to_index(self.principal.len());
            for (name, ty) in SESSION {
                if self.principal.iter().any(|one| one.name == name) {
                    diagnostics.add(span_of(policy, name), "sessions say this");
                }
                self.principal.push(Attribute::new(name, ty, true));
            }
            self.session = Some(first);
        }
    }

    pub(in crate::rules) fn type_named(&self, name: &str) -> Option<&ResourceType> {
        self.types.get(*self.type_ids.get(name)? as usize)
    }

    /// What the names of a condition on a type mean.
    pub(in crate::rules) fn vocabulary<'v>(&'v self, ty: &'v ResourceType) -> Vocabulary<'v> {
        let (principal, context) = (&self.principal, &self.context);
        Vocabulary { resource_type: &ty.name, resource: &ty.attributes, principal, context }
    }

    /// The permissions that a pattern is about, fields aside.
    pub(in crate::rules) fn matching(&self, pattern: &Pattern<'_>) -> Vec<u32> {
        match (pattern.resource, pattern.action) {
            (None, None) => self.types.iter().flat_map(|ty| &ty.permissions).copied().collect(),
            (None, Some(action)) => self.by_action.get(action).cloned().unwrap_or_default(),
            (Some(resource), None) => self.type_named(resource).map(|ty| ty.permissions.clone()).unwrap_or_default(),
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
    pub(super) fn anonymous_reads_little(&mut self, hierarchy: &Hierarchy) {
        if hierarchy.anonymous_roles().any(|role| !role.source.grants.is_empty()) {
            self.principal.iter_mut().filter(|one| one.name != "verified").for_each(|one| one.is_optional = true);
        }
    }

    fn kinds(&mut self, policy: &Policy, diagnostics: &mut Diagnostics) {
        let mut declared: Vec<&ScopeDecl> = Vec::new();
        for scope in &policy.scopes {
            let Text { text: name, span } = &scope.name;
            if name == "resource" || name == "global" {
                let help = "`global` and `resource:TYPE` are there already";
                diagnostics.add(*span, format!("`{name}` cannot name a kind of scope")).help(help);
            } else if !is_name(name) {
                cannot_name(&scope.name, "a kind of scope", "digits, `_` and `-`", diagnostics);
            } else if declared.iter().any(|known| known.name == scope.name) {
                diagnostics.add(*span, format!("kind of scope `{name}` is declared twice"));
            } else {
                declared.push(scope);
            }
        }
        declared.iter().for_each(|scope| self.kind(scope, Some(diagnostics)));
        let region = ScopeDecl { name: REGION.0.into(), attribute: REGION.1.into(), parent: None };
        if !declared.iter().any(|known| known.name == region.name) {
            self.kind(&region, None);
            declared.push(&region);
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
    fn nest(&mut self, declared: &[&ScopeDecl], diagnostics: &mut Diagnostics) {
        for (at, scope) in declared.iter().enumerate() {
            let Some(parent) = &scope.parent else { continue };
            match declared.iter().position(|above| above.attribute == *parent) {
                Some(above) => self.kinds[at].parent = Some(KindId(to_index(above))),
                None => {
                    let Text { text, span } = parent;
                    let name = &scope.name.text;
                    let help = diagnostics.suggest(text, declared.iter().map(|above| above.attribute.text.as_str()));
                    let message = format!("no kind of scope is bound to `{}`, where `{name}` lies", shown(text));
                    diagnostics.add(*span, message).help_if(help);
                }
            }
        }
        for (at, scope) in declared.iter().enumerate() {
            let above = |kind: &KindId| self.kinds[kind.0 as usize].parent;
            if std::iter::successors(self.kinds[at].parent, above).nth(declared.len()).is_some() {
                self.kinds[at].parent = None;
                let span = scope.parent.as_ref().map_or(Span::CODE, |parent| parent.span);
                diagnostics.add(span, format!("kind of scope `{}` lies within itself", shown(&scope.name.text)));
            }
        }
    }

    /// Binds one kind on every type that has its attribute; on the type of its own name, by `id`. What is wrong with the
    /// built-in one is not told: it leaves a host's attribute of another type alone.
    fn kind(&mut self, ScopeDecl { name, attribute, .. }: &ScopeDecl, diagnostics: Option<&mut Diagnostics>) {
        let bound = |(at, ty): (usize, &ResourceType)| {
            let slot = ty.slot(if ty.name == name.text { "id" } else { &attribute.text })?;
            Some((at, slot, ty.attributes.get(slot as usize)?.ty))
        };
        let found: Vec<(usize, u32, Type)> = self.types.iter().enumerate().filter_map(bound).collect();
        let first = found.first().map(|(_, _, ty)| *ty);
        let is_usable = first.is_none_or(|ty| !ty.is_set && matches!(ty.base, Base::Id | Base::String | Base::Int));
        let is_one_type = found.iter().all(|(_, _, ty)| Some(*ty) == first);
        if let Some(diagnostics) = diagnostics {
            if found.is_empty() {
                tell(attribute.span, diagnostics, |reporters, all| {
                    (reporters.unbound)(self, &name.text, attribute, all)
                });
            } else if !is_usable || !is_one_type {
                let rule = "must be an id, a string or an int, the same in every type, for a scope to compare with it";
                diagnostics.add(attribute.span, format!("`{}` {rule}", shown(&attribute.text)));
            }
        }
        let kind = self.new_kind(name.text.clone(), first.map_or(Base::Id, |ty| ty.base));
        for (at, slot, ty) in found {
            if Some(ty) == first && is_usable {
                self.types[at].bound.push((kind, slot));
            }
        }
    }

    fn new_kind(&mut self, name: String, base: Base) -> KindId {
        let id = KindId(to_index(self.kinds.len()));
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
    let mut seen = HashMap::new();
    for decl in declared {
        let AttributeDecl { name, ty } = decl;
        if name.text.contains('-') || !is_name(&name.text) {
            cannot_name(name, what, "digits and `_`", diagnostics);
        }
        if seen.insert(&name.text, name.span).is_some() {
            diagnostics.add(name.span, format!("`{}` is declared twice", shown(&name.text)));
        }
        match parse_type(&ty.text) {
            Some((known, is_optional)) => attributes.push((Attribute::new(&name.text, known, is_optional), decl)),
            None => {
                let all = "types are bool, int, string, id, time, duration, ip and set<…>; `?` makes one optional";
                let help = diagnostics.suggest(&ty.text, type_names()).unwrap_or_else(|| all.to_owned());
                diagnostics.add(ty.span, format!("there is no type `{}`", shown(&ty.text))).help(help);
            }
        }
    }
    attributes
}

/// Where the policy declares an attribute of the type `user`.
fn span_of(policy: &Policy, attribute: &str) -> Span {
    let user = policy.types.iter().filter(|one| one.name.text == USER);
    let found = user.flat_map(|user| &user.attributes).find(|one| one.name.text == attribute);
    found.map_or(Span::CODE, |found| found.ty.span)
}

/// `signs`: what a name of its kind has beside letters.
pub(super) fn cannot_name(name: &Text, what: &str, signs: &str, diagnostics: &mut Diagnostics) {
    let help = format!("names are small letters, {signs}, begin with a letter, and have at most 64 characters");
    diagnostics.add(name.span, format!("`{}` cannot name {what}", shown(&name.text))).help(help);
}
