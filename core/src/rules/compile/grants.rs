//! Grants, permission by permission: patterns matched, fields found, conditions typed.

use std::{collections::HashMap, ops::Range};

use crate::rules::{
    attribute::Stored,
    bits::{self, Bits},
    condition::{
        Flaw,
        check::{Vocabulary, check},
        code::Condition,
        parser::{Expr, Root, parse},
    },
    faults::{Faults, shown},
    name::Pattern,
    policy::{Effect, Grant, Policy},
    rule_set::{CompiledGrant, NONE, RoleId, Special},
};

use super::{Budget, roles::Hierarchy, words::Words};

#[derive(Default)]
pub(super) struct Granted {
    pub(super) grants: Vec<CompiledGrant>,
    /// Of each role, its own grants.
    pub(super) ranges: Vec<Range<u32>>,
    pub(super) conditions: Vec<Condition>,
    pub(super) field_sets: Vec<Box<[u32]>>,
    /// Of each role, what its own grants allow under no condition.
    plain: Vec<Vec<u32>>,
    special: Vec<Vec<Special>>,
    is_administrator: Vec<bool>,
    /// Equal conditions are one: by text, type (none where no resource is read) and strictness.
    known: HashMap<(String, Option<u32>, bool), u32>,
    known_fields: HashMap<Box<[u32]>, u32>,
}

pub(super) fn grants(
    policy: &Policy,
    words: &mut Words,
    hierarchy: &Hierarchy,
    budget: &mut Budget,
    faults: &mut Faults,
) -> Granted {
    let mut granted = Granted::default();
    for (id, declared) in (0_u32..).zip(&hierarchy.roles) {
        let start = granted.grants.len();
        granted.plain.push(Vec::new());
        granted.special.push(Vec::new());
        granted.is_administrator.push(false);
        for grant in &policy.roles[declared.at].grants {
            let mut one =
                One { role: id, role_name: &declared.name, grant, words, granted: &mut granted, budget, faults };
            if !one.add() {
                faults.add(grant.pattern.spot, "the policy is too large: its grants match too many permissions", None);
                return granted;
            }
        }
        granted.ranges.push(narrow(start)..narrow(granted.grants.len()));
    }
    if let Some(role) = hierarchy.anonymous
        && let Some(closure) = hierarchy.closures.get(role.0 as usize)
        && closure.iter().any(|junior| granted.is_administrator.get(*junior as usize) == Some(&true))
        && let Some(name) = &policy.anonymous
    {
        let help = format!("role `{}` gives it, itself or by what it inherits", shown(&name.text));
        faults.add(name.spot, "who is not signed in may not hold `admin:all`", Some(help));
    }
    note_reads(words, &granted);
    granted
}

/// One grant being compiled.
struct One<'g> {
    role: u32,
    role_name: &'g str,
    grant: &'g Grant,
    words: &'g Words,
    granted: &'g mut Granted,
    budget: &'g mut Budget,
    faults: &'g mut Faults,
}

impl One<'_> {
    /// False where the policy is too large.
    fn add(&mut self) -> bool {
        let text = &self.grant.pattern.text;
        let Some(pattern) = Pattern::parse(text) else {
            let help = "write `resource:action`, `resource:*`, `*:action` or `resource:action{field,field}`".to_owned();
            self.faults.add(
                self.grant.pattern.spot,
                format!("`{}` is neither a permission nor a pattern of permissions", shown(text)),
                Some(help),
            );
            return true;
        };
        if pattern.resource == Some("admin") && pattern.action == Some("all") {
            self.admin(&pattern);
            return true;
        }
        let matched = self.matched(&pattern);
        let expr = match self.grant.when.as_ref().map(|when| parse(&when.text)) {
            None => None,
            Some(Ok(expr)) => Some(expr),
            Some(Err(flaw)) => {
                self.flaw(flaw);
                return true;
            }
        };
        if !self.budget.takes_steps(matched.len()) {
            return false;
        }
        let grant = narrow(self.granted.grants.len());
        let is_plain = self.grant.effect == Effect::Allow && expr.is_none() && pattern.fields.is_none();
        self.push(is_plain, false);
        if is_plain {
            if let Some(plain) = self.granted.plain.get_mut(self.role as usize) {
                plain.extend(matched);
            }
            return true;
        }
        // Permissions of one type share a condition and a set of fields.
        let mut of_type: HashMap<u32, Option<(u32, u32)>> = HashMap::new();
        for permission in matched {
            let Some(ty) = self.words.permissions.get(permission as usize).map(|one| one.ty) else { continue };
            let entry = match of_type.get(&ty) {
                Some(entry) => *entry,
                None => {
                    // Every type has a copy of the condition, known by its text.
                    let length = self.grant.when.as_ref().map_or(0, |when| when.text.len());
                    if !self.budget.takes_steps(100 + length / 10) || !self.budget.takes_bytes(2 * length) {
                        return false;
                    }
                    let entry = self.on_type(ty, &pattern, expr.as_ref());
                    of_type.insert(ty, entry);
                    entry
                }
            };
            let Some((condition, fields)) = entry else { continue };
            if !self.budget.takes_bytes(size_of::<Special>()) {
                return false;
            }
            let special = Special { permission, effect: self.grant.effect, condition, fields, grant };
            if let Some(own) = self.granted.special.get_mut(self.role as usize) {
                own.push(special);
            }
        }
        true
    }

    fn push(&mut self, is_plain: bool, is_admin: bool) {
        self.granted.grants.push(CompiledGrant {
            role: RoleId(self.role),
            effect: self.grant.effect,
            pattern: self.grant.pattern.text.clone(),
            when: self.grant.when.as_ref().map(|when| when.text.clone()),
            is_plain,
            is_admin,
        });
    }

    /// Held unconditionally or not at all, and never denied.
    fn admin(&mut self, pattern: &Pattern<'_>) {
        let message = if self.grant.effect == Effect::Deny {
            "`admin:all` cannot be denied"
        } else if self.grant.when.is_some() {
            "`admin:all` is held without a condition or not at all"
        } else if pattern.fields.is_some() {
            "`admin:all` has no fields"
        } else {
            if let Some(is_administrator) = self.granted.is_administrator.get_mut(self.role as usize) {
                *is_administrator = true;
            }
            self.push(false, true);
            return;
        };
        self.faults.add(self.grant.pattern.spot, message, None);
    }

    fn matched(&mut self, pattern: &Pattern<'_>) -> Vec<u32> {
        let words = self.words;
        let of_type = |name: &str| words.type_ids.get(name).and_then(|id| words.types.get(*id as usize));
        let matched: Vec<u32> = match (pattern.resource, pattern.action) {
            (None, None) => words.types.iter().flat_map(|ty| &ty.permissions).copied().collect(),
            (None, Some(action)) => words.by_action.get(action).cloned().unwrap_or_default(),
            (Some(resource), None) => of_type(resource).map(|ty| ty.permissions.clone()).unwrap_or_default(),
            (Some(resource), Some(action)) => {
                let name = format!("{resource}:{action}");
                let found = words.permissions.binary_search_by(|one| one.name.cmp(&name));
                found.ok().map(narrow).into_iter().collect()
            }
        };
        if matched.is_empty() {
            let text = &self.grant.pattern.text;
            let name = text.split('{').next().unwrap_or(text);
            let (message, help) = match (pattern.resource, pattern.action) {
                (Some(_), Some(_)) => {
                    let known = words.permissions.iter().map(|one| one.name.as_str());
                    (format!("there is no permission `{}`", shown(name)), self.faults.suggest(name, known))
                }
                (Some(resource), None) => {
                    let known = words.types.iter().filter(|ty| !ty.permissions.is_empty()).map(|ty| ty.name.as_str());
                    let help = self.faults.suggest_as(resource, known, |near| format!("{near}:*"));
                    (format!("`{}` matches no permission", shown(name)), help)
                }
                (_, action) => {
                    let known = words.by_action.keys().map(String::as_str);
                    let help = self.faults.suggest_as(action.unwrap_or_default(), known, |near| format!("*:{near}"));
                    (format!("`{}` matches no permission", shown(name)), help)
                }
            };
            self.faults.add(self.grant.pattern.spot, message, help).label("not declared");
        }
        matched
    }

    /// The condition and the fields as this type has them; none where they do not fit it.
    fn on_type(&mut self, ty: u32, pattern: &Pattern<'_>, expr: Option<&Expr>) -> Option<(u32, u32)> {
        let fields = self.fields(ty, pattern);
        let condition = match (expr, &self.grant.when) {
            (Some(expr), Some(when)) => self.condition(ty, expr, when),
            _ => Some(NONE),
        };
        Some((condition?, fields?))
    }

    fn fields(&mut self, ty: u32, pattern: &Pattern<'_>) -> Option<u32> {
        let Some(names) = &pattern.fields else { return Some(NONE) };
        let ty = self.words.types.get(ty as usize)?;
        let mut slots = Vec::with_capacity(names.len());
        for name in names {
            match ty.slot(name) {
                Some(slot) => slots.push(slot),
                None => {
                    let known = ty.attributes.iter().map(|one| one.name.as_str());
                    let help = self.faults.suggest(name, known);
                    let message = format!("type `{}` has no field `{}`", ty.name, shown(name));
                    self.faults.add(self.grant.pattern.spot, message, help);
                }
            }
        }
        if slots.len() < names.len() {
            return None;
        }
        slots.sort_unstable();
        slots.dedup();
        let next = narrow(self.granted.field_sets.len());
        let slots: Box<[u32]> = slots.into();
        let id = *self.granted.known_fields.entry(slots.clone()).or_insert(next);
        if id == next {
            self.granted.field_sets.push(slots);
        }
        Some(id)
    }

    fn condition(&mut self, ty: u32, expr: &Expr, when: &crate::rules::faults::Text) -> Option<u32> {
        let is_deny = self.grant.effect == Effect::Deny;
        let key = |ty| (when.text.clone(), ty, is_deny);
        let known = self.granted.known.get(&key(None)).or_else(|| self.granted.known.get(&key(Some(ty))));
        if let Some(known) = known {
            return Some(*known);
        }
        let resource = self.words.types.get(ty as usize)?;
        let vocabulary = Vocabulary {
            resource_type: &resource.name,
            resource: &resource.attributes,
            principal: &self.words.principal,
            context: &self.words.context,
        };
        match check(expr, &when.text, is_deny, &vocabulary) {
            Ok(condition) => {
                let id = narrow(self.granted.conditions.len());
                let ty = condition.reads(Root::Resource).then_some(ty);
                self.granted.known.insert(key(ty), id);
                self.granted.conditions.push(condition);
                Some(id)
            }
            Err(flaws) => {
                flaws.into_iter().for_each(|flaw| self.flaw(flaw));
                None
            }
        }
    }

    fn flaw(&mut self, flaw: Flaw) {
        let Some(when) = &self.grant.when else { return };
        let span = flaw.span(&when.text);
        // A policy built in code has no lines: the message says whose condition it is.
        let message = match when.spot.is_code() {
            true => format!("role {}, {}: {}", shown(self.role_name), shown(&self.grant.pattern.text), flaw.message),
            false => flaw.message,
        };
        self.faults.add_inside(when, span, message, flaw.help);
    }
}

/// Notes for each type what questions about it read, from every condition that can apply to it.
fn note_reads(words: &mut Words, granted: &Granted) {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for special in granted.special.iter().flatten().filter(|special| special.condition != NONE) {
        if let Some(permission) = words.permissions.get(special.permission as usize) {
            pairs.push((permission.ty, special.condition));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    for (ty, condition) in pairs {
        let Some(condition) = granted.conditions.get(condition as usize) else { continue };
        for path in &condition.paths {
            let Some(ty) = words.types.get_mut(ty as usize) else { continue };
            match path.root {
                Root::Resource => {
                    if let Some(attribute) = ty.attributes.get_mut(path.slot as usize) {
                        attribute.is_guarded = true;
                    }
                }
                Root::Context => {
                    if words.context.get(path.slot as usize).is_some_and(|one| !one.is_optional) {
                        ty.context_reads.push(path.slot);
                    }
                }
                Root::Principal => {
                    if let Some(attribute) = words.principal.get(path.slot as usize) {
                        words.principal_reads.insert(attribute.name.clone());
                        if !attribute.is_optional {
                            ty.principal_reads.push(path.slot);
                        }
                    }
                }
            }
        }
    }
    for ty in &mut words.types {
        for (_, slot) in &ty.bound {
            if let Some(attribute) = ty.attributes.get_mut(*slot as usize) {
                attribute.is_guarded = true;
            }
        }
        for reads in [&mut ty.context_reads, &mut ty.principal_reads] {
            reads.sort_unstable();
            reads.dedup();
        }
        for (slot, attribute) in (0_u32..).zip(&ty.attributes).filter(|(_, one)| one.is_guarded) {
            ty.reads.push(slot);
            ty.read_names.push(attribute.name.clone());
            if matches!(attribute.stored, Some(Stored::Link(_))) {
                ty.relation_names.push(attribute.name.clone());
            }
        }
    }
}

/// A role with all that it inherits.
pub(super) struct Flat {
    pub(super) plain: Bits,
    pub(super) special: Vec<Special>,
    pub(super) is_administrator: bool,
}

/// None where the policy is too large.
pub(super) fn flatten(
    hierarchy: &Hierarchy,
    granted: &Granted,
    permissions: usize,
    budget: &mut Budget,
) -> Option<Vec<Flat>> {
    let mut flat: Vec<Option<Flat>> = Vec::new();
    flat.resize_with(hierarchy.roles.len(), || None);
    let mut words = vec![0_u64; permissions.div_ceil(64)];
    for role in &hierarchy.order {
        let at = *role as usize;
        words.fill(0);
        granted.plain.get(at)?.iter().for_each(|permission| bits::set(&mut words, *permission));
        let mut special = granted.special.get(at)?.clone();
        let mut is_administrator = *granted.is_administrator.get(at)?;
        for junior in &hierarchy.roles.get(at)?.inherits {
            let junior = flat.get(junior.0 as usize)?.as_ref()?;
            junior.plain.add_to(&mut words);
            special.extend_from_slice(&junior.special);
            is_administrator |= junior.is_administrator;
            // A word holds 64 permissions and costs next to nothing.
            if !budget.takes_steps(words.len() / 8 + junior.special.len()) {
                return None;
            }
        }
        special.sort_unstable();
        special.dedup();
        let plain = Bits::of(&words);
        if !budget.takes_bytes(plain.bytes() + special.len() * size_of::<Special>()) {
            return None;
        }
        flat[at] = Some(Flat { plain, special, is_administrator });
    }
    flat.into_iter().collect()
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE - 1)
}
