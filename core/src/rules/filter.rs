//! The same rules as a predicate on rows: a row passes if and only if [`RuleSet::decide`] allows it
//! (docs/rules.md, "Filters").

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::model::{
    attributes,
    error::{Error, Reason, Result},
    predicate::{Comparison, Name, Predicate},
    time::Time,
    value::Value,
};
use crate::rules::{
    Attribute, Base, BoundScope, Context, Effect, EvaluationContext, Literal, NONE, Operand, Path, PermissionId,
    Principal, Question, ResourceType, Root, RuleSet, Source, Stored, TestKind, Tree, Type, TypedValue, Values,
};

/// How long a filter may be used, in seconds: `now` was substituted when it was made.
const LIFETIME: i64 = 5;

/// The rows that a principal may see, as a predicate.
///
/// It belongs to the principal and the rules that it was made from, and does not notice later changes; that of
/// [`crate::Caller::filter`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFilter {
    /// Over the columns of the type's table.
    predicate: Predicate,
    made_at: Time,
    expires: Time,
    /// The attributes that it names.
    attributes: Vec<FilterAttribute>,
}

/// An attribute that a filter names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterAttribute {
    /// As the predicate calls it.
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) is_optional: bool,
}

impl RowFilter {
    /// The filter of the host itself: every row.
    pub(crate) fn of_host(now: Time) -> Self {
        let expires = now.plus_seconds(LIFETIME);
        Self { predicate: Predicate::Always, made_at: now, expires, attributes: Vec::new() }
    }

    /// The time for which it was made.
    pub fn made_at(&self) -> Time {
        self.made_at
    }

    /// When it expires: after five seconds, or earlier if an assignment begins or ends.
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// Whether the same rows pass both.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        self.predicate == other.predicate && self.attributes == other.attributes
    }

    pub(crate) fn attributes(&self) -> &[FilterAttribute] {
        &self.attributes
    }

    /// The predicate.
    ///
    /// # Errors
    /// [`Reason::RightsStale`] if the filter has expired.
    pub fn predicate_at(&self, now: Time) -> Result<&Predicate> {
        match self.made_at <= now && now < self.expires {
            true => Ok(&self.predicate),
            false => Err(Error::new(Reason::RightsStale, "this row filter has expired; make it again")),
        }
    }

    /// The predicate, by value.
    ///
    /// # Errors
    /// [`Reason::RightsStale`] if the filter has expired.
    pub fn into_predicate(self, now: Time) -> Result<Predicate> {
        self.predicate_at(now)?;
        Ok(self.predicate)
    }
}

impl RuleSet {
    /// The rows of the permission's type to which the principal may do this.
    ///
    /// # Errors
    /// As [`RuleSet::decide`], and [`Reason::InvalidInput`] if a rule reads an attribute of a stored type that no column
    /// holds.
    pub fn filter(
        &self,
        principal: &Principal,
        permission: PermissionId,
        context: &Context,
        now: Time,
    ) -> Result<RowFilter> {
        let question = Question { principal, permission, fields: &[], resource: None, context, now };
        self.evaluate(&question, |cx| {
            let predicate = Lowering { cx }.predicate(permission)?;
            let next = principal.chain().filter_map(|one| one.next_edge(cx.now())).min();
            let next = next.and_then(|edge| Time::from_microsecond(edge).ok());
            let latest = now.plus_seconds(LIFETIME);
            let expires = next.map_or(latest, |next| next.min(latest));
            Ok(RowFilter { attributes: attributes_of(&predicate, cx.ty), predicate, made_at: now, expires })
        })?
    }

    /// Every attribute of a type that conditions can read, for a host that maps them to columns.
    pub(crate) fn filter_attributes(&self, resource_type: &str) -> Option<Vec<FilterAttribute>> {
        let attributes = &self.type_named(resource_type)?.attributes;
        let names = self.reads(resource_type);
        let read = attributes.iter().filter(|one| names.iter().any(|name| *name == one.name));
        Some(read.map(|one| FilterAttribute::new(Name::Owned(one.name.to_string()), one)).collect())
    }
}

impl FilterAttribute {
    pub(super) fn new(name: Name, attribute: &Attribute) -> Self {
        Self { name, ty: attribute.ty, is_optional: attribute.is_optional }
    }

    /// As the policy calls it.
    pub(crate) fn declared_name(&self) -> &str {
        declared_name(&self.name)
    }
}

fn declared_name(name: &Name) -> &str {
    attributes::of_predicate(name).map_or(&**name, |member| attributes::parts(member).0)
}

fn attributes_of(predicate: &Predicate, ty: &ResourceType) -> Vec<FilterAttribute> {
    let mut names = Vec::new();
    predicate.columns(&mut names);
    let mut found: Vec<FilterAttribute> = Vec::new();
    for name in names {
        let attribute = ty.slot(declared_name(name)).and_then(|slot| ty.attributes.get(slot as usize));
        if let Some(attribute) = attribute.filter(|_| !found.iter().any(|one| one.name == *name)) {
            found.push(FilterAttribute::new(name.clone(), attribute));
        }
    }
    found
}

/// Conditions and scopes to predicates.
struct Lowering<'l, 'h> {
    cx: &'l EvaluationContext<'h>,
}

/// Where grants of one effect and condition are held.
#[derive(Default)]
struct HeldScopes {
    is_global: bool,
    /// By the slot that they compare with.
    within: BTreeMap<u32, Vec<Value>>,
}

impl Lowering<'_, '_> {
    /// What the principal and those on whose behalf it acts may all do.
    fn predicate(&self, permission: PermissionId) -> Result<Predicate> {
        let own = self.cx.principal.chain().map(|principal| {
            let cx = self.cx.of(principal);
            Lowering { cx: &cx }.own_predicate(permission)
        });
        Ok(Predicate::all(own.collect::<Result<Vec<_>>>()?))
    }

    fn own_predicate(&self, permission: PermissionId) -> Result<Predicate> {
        let (cx, rules) = (self.cx, self.cx.rules);
        let principal = cx.principal;
        if !principal.is_active() || !principal.is_within_key(permission.0) {
            return Ok(Predicate::Never);
        }
        if rules.administration(principal, cx.now()).is_some() {
            return Ok(Predicate::Always);
        }
        // By effect and condition: fifty scopes of one condition become one set.
        let mut by_grant: BTreeMap<(Effect, u32), HeldScopes> = BTreeMap::new();
        // Assignments of one role mostly follow each other.
        let (mut role, mut grants) = (NONE, SmallVec::new());
        for held in principal.assignments().filter(|one| rules.is_in_force(*one, cx.now())) {
            if held.role != role {
                (role, grants) = (held.role, self.grants_of(held.role, permission));
            }
            for grant in &grants {
                let scope = if grant.0 == Effect::Deny { cx.scope_of_deny(held.scope()) } else { held.scope() };
                self.widen(by_grant.entry(*grant).or_default(), scope);
            }
        }
        // Whatever the order of the assignments.
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        for ((effect, condition), scopes) in by_grant {
            let scope = self.scope_predicate(scopes)?;
            let condition = match rules.condition(condition) {
                Some(condition) if scope != Predicate::Never => self.tree(&condition.tree)?,
                _ => Predicate::Always,
            };
            let side = if effect == Effect::Deny { &mut denied } else { &mut allowed };
            side.push(scope.and(condition));
        }
        Ok(Predicate::any(allowed).and(Predicate::any(denied).negate()))
    }

    /// What a role says of a permission: effects and conditions.
    fn grants_of(&self, role: u32, permission: PermissionId) -> SmallVec<[(Effect, u32); 4]> {
        let rules = self.cx.rules;
        let qualified_grants = |role, effect, without| {
            let qualified_grants = rules.qualified_grants(role, permission.0).filter(move |one| one.effect == effect);
            qualified_grants
                .filter(move |one| rules.is_on(one.fields, None, without))
                .map(|one| (one.effect, one.condition))
        };
        let mut grants = SmallVec::new();
        for active in rules.activated_roles(self.cx.principal, role) {
            grants.extend(rules.permission_index.has(active, permission.0).then_some((Effect::Allow, NONE)));
            grants.extend(qualified_grants(active, Effect::Allow, false));
        }
        grants.extend(qualified_grants(role, Effect::Deny, true));
        grants
    }

    fn widen(&self, scopes: &mut HeldScopes, scope: &BoundScope) {
        let (Some(kind), Some(id)) = (scope.kind(), scope.id()) else {
            scopes.is_global |= *scope == BoundScope::Global;
            return;
        };
        for (bound, slot) in &self.cx.ty.bound {
            if *bound == kind {
                scopes.within.entry(*slot).or_default().push(id.clone());
            } else if let Some(tree) = self.cx.rules.tree_of(self.cx.principal) {
                scopes.within.entry(*slot).or_default().extend(tree.within(*bound, kind, &id));
            }
        }
    }

    fn scope_predicate(&self, scopes: HeldScopes) -> Result<Predicate> {
        if scopes.is_global {
            return Ok(Predicate::Always);
        }
        let within = scopes.within.into_iter().filter(|(_, ids)| !ids.is_empty());
        let parts = within.filter_map(|(slot, ids)| {
            let name = self.column(self.cx.ty.attributes.get(slot as usize)?);
            Some(name.map(|name| Predicate::In(name, Predicate::set(ids))))
        });
        Ok(Predicate::any(parts.collect::<Result<Vec<_>>>()?))
    }

    fn tree(&self, tree: &Tree) -> Result<Predicate> {
        let all = |parts: &[Tree]| parts.iter().map(|part| self.tree(part)).collect::<Result<Vec<_>>>();
        Ok(match tree {
            Tree::Test(test) => self.test(&test.kind)?,
            Tree::Not(inner) => self.tree(inner)?.negate(),
            Tree::All(parts) => Predicate::all(all(parts)?),
            Tree::Any(parts) => Predicate::any(all(parts)?),
        })
    }

    fn test(&self, test: &TestKind) -> Result<Predicate> {
        if test.paths().all(|path| path.root != Root::Resource) {
            return Ok(if test.holds(self.cx) { Predicate::Always } else { Predicate::Never });
        }
        match test {
            TestKind::Has(path) => self.has(*path),
            TestKind::InPath(one, path) => self.in_path(one, *path),
            TestKind::Compare(left, operator, right) => Ok(match (self.side(left)?, self.side(right)?) {
                (Side::Column(column, by), Side::Constant(value)) => compare(column, *operator, value.moved(-by)),
                (Side::Constant(value), Side::Column(column, by)) => {
                    compare(column, operator.flipped(), value.moved(-by))
                }
                (Side::Column(left, one), Side::Column(right, other)) => {
                    Predicate::CompareColumns(left, *operator, right, other - one)
                }
                (Side::Constant(_), Side::Constant(_)) => Predicate::Never,
            }),
            TestKind::InLiterals(one, literals) => {
                self.on_column(one, |column, by| is_in(column, literals.iter().map(Literal::as_value), by))
            }
            TestKind::InRanges(one, ranges) => {
                self.on_column(one, |column, _| Predicate::InRanges(column, ranges.clone()))
            }
            TestKind::StartsWith(one, prefix) => {
                self.on_column(one, |column, _| Predicate::StartsWith(column, prefix.clone()))
            }
        }
    }

    /// What is so of a column, and by how much it is moved; of anything else it never is.
    fn on_column(&self, one: &Operand, so: impl FnOnce(Name, i64) -> Predicate) -> Result<Predicate> {
        Ok(if let Side::Column(column, by) = self.side(one)? { so(column, by) } else { Predicate::Never })
    }

    fn has(&self, path: Path) -> Result<Predicate> {
        Ok(match self.attribute(path) {
            // A relation is never absent, either.
            Some(attribute) if !attribute.is_optional => Predicate::Always,
            Some(attribute) => Predicate::Present(self.column(attribute)?),
            None => Predicate::Never,
        })
    }

    fn in_path(&self, one: &Operand, set: Path) -> Result<Predicate> {
        if set.root != Root::Resource {
            let Some(elements) = self.cx.at(set).elements(set.ty.base) else { return Ok(Predicate::Never) };
            return self.on_column(one, |column, by| is_in(column, elements.into_iter(), by));
        }
        let Some(attribute) = self.attribute(set) else { return Ok(Predicate::Never) };
        if let Some(Stored::Link(link)) = attribute.stored.as_deref() {
            return Ok(match self.side(one)? {
                Side::Column(column, _) => Predicate::LinkedToColumn(link.clone(), column),
                Side::Constant(value) => value
                    .to_value()
                    .map_or(Predicate::Never, |value| Predicate::Linked(link.clone(), Predicate::set([value]))),
            });
        }
        let set = self.column(attribute)?;
        Ok(match self.side(one)? {
            Side::Column(column, offset) => Predicate::ContainsColumn(set, column, offset),
            Side::Constant(value) => value.to_value().map_or(Predicate::Never, |value| Predicate::Contains(set, value)),
        })
    }

    fn side<'o>(&'o self, operand: &'o Operand) -> Result<Side<'o>> {
        if let Source::Path(path) = operand.source
            && path.root == Root::Resource
            && let Some(attribute) = self.attribute(path)
        {
            return Ok(Side::Column(self.column(attribute)?, operand.offset));
        }
        Ok(Side::Constant(operand.value(self.cx)))
    }

    /// What a path of the resource reads.
    fn attribute(&self, path: Path) -> Option<&Attribute> {
        self.cx.ty.attributes.get(path.slot as usize)
    }

    /// What a predicate calls an attribute: the column of a stored type; the attribute itself of a
    /// type that the host keeps, which says itself where that is.
    fn column(&self, attribute: &Attribute) -> Result<Name> {
        match attribute.stored.as_deref() {
            Some(Stored::Column(_, name)) => Ok(Name::Borrowed(name)),
            // Ranges of addresses are no comparison of texts.
            Some(Stored::Member(member)) if attribute.ty.base != Base::Ip => Ok(attributes::in_predicate(member)),
            None if self.cx.ty.table.is_none() => Ok(Name::Owned(attribute.name.to_string())),
            _ => {
                let message = format!(
                    "a rule for this list reads `{}` of {}, which no column holds: such rules decide but cannot list",
                    attribute.name, self.cx.ty.name
                );
                Err(Error::new(Reason::InvalidInput, message))
            }
        }
    }
}

/// One side of a test.
enum Side<'a> {
    Constant(TypedValue<'a>),
    /// Moved by microseconds.
    Column(Name, i64),
}

fn compare(column: Name, operator: Comparison, value: TypedValue<'_>) -> Predicate {
    value.to_value().map_or(Predicate::Never, |value| Predicate::Compare(column, operator, value))
}

fn is_in<'v>(column: Name, values: impl Iterator<Item = TypedValue<'v>>, by: i64) -> Predicate {
    let values = Predicate::set(values.filter_map(|value| value.moved(-by).to_value()));
    if values.is_empty() { Predicate::Never } else { Predicate::In(column, values) }
}
