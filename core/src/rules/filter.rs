//! The same rules as a predicate on rows: a row passes if and only if [`RuleSet::decide`] allows it
//! (RBAC.md, "List filtering").

use std::sync::Arc;

use smallvec::SmallVec;
use uuid::Uuid;

use crate::model::{
    error::{Error, Reason, Result},
    predicate::{Comparison, Link, Name, Predicate},
    time::Time,
    value::Value,
};

use crate::rules::{
    authorize::{EvaluationContext, Question},
    compile::{
        attribute::{Attribute, ResourceType, Stored},
        role::NONE,
        rule_set::{PermissionId, RuleSet},
    },
    condition::{
        parser::{Operator, Root},
        tree::{Operand, Path, Source, TestKind, Tree, Values},
        value::{GivenValue, Type, TypedValue, read},
    },
    policy::Effect,
    principal::Principal,
    resource::Context,
    scope::kind::BoundScope,
};

/// How long a filter may be used, in seconds: `now` was substituted when it was made.
const LIFETIME: i64 = 5;

/// Room is made for so many ids at once.
const ROOM: usize = 64;

/// Which rows somebody may see, with everything about them, the context and the time substituted.
///
/// It is of the principal and the rules that it was made of, and knows nothing of later ones:
/// [`crate::Caller::filter`] gives one that does.
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

    /// The time that it was made for.
    pub fn made_at(&self) -> Time {
        self.made_at
    }

    /// From this moment on it must not be used: an assignment begins or ends, or it is too old.
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

    /// The predicate, where the filter may still be used.
    ///
    /// # Errors
    /// [`Reason::RightsStale`] where not.
    pub fn predicate_at(&self, now: Time) -> Result<&Predicate> {
        match self.made_at <= now && now < self.expires {
            true => Ok(&self.predicate),
            false => Err(Error::new(Reason::RightsStale, "this row filter has expired; make it again")),
        }
    }
}

impl RowFilter {
    /// The predicate itself, as [`RowFilter::predicate_at`].
    ///
    /// # Errors
    /// [`Reason::RightsStale`] where the filter may not be used any more.
    pub fn into_predicate(self, now: Time) -> Result<Predicate> {
        self.predicate_at(now)?;
        Ok(self.predicate)
    }
}

impl RuleSet {
    /// The rows of the permission's type that the principal may do this to.
    ///
    /// Fails as [`RuleSet::decide`] does, and with [`Reason::InvalidInput`] where a rule reads a free
    /// attribute of a stored type, which no column holds.
    pub fn filter(
        &self,
        principal: &Principal,
        permission: PermissionId,
        context: &Context,
        now: Time,
    ) -> Result<RowFilter> {
        let question = Question { principal, permission, fields: &[], resource: None, context, now };
        self.evaluate(&question, |cx| {
            let predicate = Lowering { cx, is_strict: true }.predicate(permission)?;
            let chain = std::iter::successors(Some(principal), |one| one.on_behalf_of());
            let micros = cx.now();
            let next = chain.filter_map(|one| one.assignments().filter_map(|held| held.next_edge(micros)).min()).min();
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
        let read = attributes.iter().filter(|one| names.contains(&one.name));
        Some(read.map(|one| FilterAttribute::new(Name::Owned(one.name.clone()), one)).collect())
    }

    /// Whether the filter does not fold to nothing.
    pub(super) fn is_possible(&self, permission: PermissionId, cx: &EvaluationContext<'_>) -> bool {
        let lowered = Lowering { cx, is_strict: false }.predicate(permission);
        !matches!(lowered, Ok(Predicate::Never))
    }
}

impl FilterAttribute {
    pub(super) fn new(name: Name, attribute: &Attribute) -> Self {
        Self { name, ty: attribute.ty, is_optional: attribute.is_optional }
    }
}

fn attributes_of(predicate: &Predicate, ty: &ResourceType) -> Vec<FilterAttribute> {
    let mut names = Vec::new();
    predicate.columns(&mut names);
    let mut attributes: Vec<FilterAttribute> = Vec::new();
    for name in names {
        if attributes.iter().any(|one| one.name == *name) {
            continue;
        }
        if let Some(attribute) = ty.slot(name).and_then(|slot| ty.attributes.get(slot as usize)) {
            attributes.push(FilterAttribute::new(name.clone(), attribute));
        }
    }
    attributes
}

/// Conditions and scopes to predicates.
struct Lowering<'l, 'h> {
    cx: &'l EvaluationContext<'h>,
    /// Whether what no column holds is an error; else it is "perhaps".
    is_strict: bool,
}

/// Where one condition's grants are held.
#[derive(Default)]
struct Reach {
    is_global: bool,
    /// By the slot that they compare with: few slots.
    within: SmallVec<[(u32, Within); 1]>,
}

/// What an attribute is compared with.
#[derive(Default)]
struct Within {
    /// As numbers, which have the order of their bytes and are compared at once.
    ids: Vec<u128>,
    others: Vec<Value>,
}

impl Within {
    fn add(&mut self, id: Value) {
        match id {
            Value::Id(id) => self.ids.push(id.as_u128()),
            other => self.others.push(other),
        }
    }

    fn set(mut self) -> Arc<[Value]> {
        self.ids.sort_unstable();
        self.ids.dedup();
        let ids = self.ids.into_iter().map(|id| Value::Id(Uuid::from_u128(id)));
        if self.others.is_empty() { ids.collect() } else { Predicate::set(ids.chain(self.others)) }
    }
}

impl Reach {
    /// With room for so many at once.
    fn within(&mut self, slot: u32, most: usize) -> &mut Within {
        let at = self.within.iter().position(|(known, _)| *known == slot).unwrap_or_else(|| {
            self.within.push((slot, Within { ids: Vec::with_capacity(most), others: Vec::new() }));
            self.within.len() - 1
        });
        &mut self.within[at].1
    }
}

/// Reaches by effect and condition: few of them.
#[derive(Default)]
struct Reaches(SmallVec<[((Effect, u32), Reach); 2]>);

impl Reaches {
    fn place(&mut self, effect: Effect, condition: u32) -> usize {
        let key = (effect, condition);
        self.0.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.0.push((key, Reach::default()));
            self.0.len() - 1
        })
    }
}

impl Lowering<'_, '_> {
    /// What all may do who ask together.
    fn predicate(&self, permission: PermissionId) -> Result<Predicate> {
        let own = self.own_predicate(permission)?;
        match self.cx.principal.on_behalf_of() {
            Some(principal) => {
                let cx = self.cx.of(principal);
                Ok(own.and(Lowering { cx: &cx, is_strict: self.is_strict }.predicate(permission)?))
            }
            None => Ok(own),
        }
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
        // Fifty scopes of one condition become one set.
        let mut reaches = Reaches::default();
        let now = cx.now();
        let counted = principal.assignments().filter(|one| rules.counts(*one, now));
        let counted: SmallVec<[(u32, &BoundScope); 8]> = counted.map(|held| (held.role, held.scope())).collect();
        // Assignments of one role follow each other, and differ in their scopes alone.
        for run in counted.chunk_by(|one, next| one.0 == next.0) {
            let Some((role, _)) = run.first() else { continue };
            for at in self.grants_of(*role, permission, &mut reaches) {
                if let Some((_, reach)) = reaches.0.get_mut(at) {
                    self.widen(reach, run);
                }
            }
        }
        // In the order of their conditions, whatever the order of the assignments.
        reaches.0.sort_by_key(|(grant, _)| *grant);
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        for ((effect, condition), reach) in reaches.0 {
            let scope = self.reach(reach)?;
            let condition = match rules.condition(condition) {
                Some(condition) if scope != Predicate::Never => self.tree(&condition.tree)?,
                _ => Predicate::Always,
            };
            let side = if effect == Effect::Deny { &mut denied } else { &mut allowed };
            side.push(scope.and(condition));
        }
        Ok(Predicate::any(allowed).and(Predicate::any(denied).negate()))
    }

    /// What a role says of a permission, as places among the reaches.
    fn grants_of(&self, role: u32, permission: PermissionId, reaches: &mut Reaches) -> SmallVec<[usize; 4]> {
        let rules = self.cx.rules;
        let mut grants = SmallVec::new();
        for part in rules.parts(self.cx.principal, role) {
            if rules.permission_index.has(part, permission.0) {
                grants.push(reaches.place(Effect::Allow, NONE));
            }
            let allows = rules.specials(part, permission.0).iter().filter(|one| one.effect == Effect::Allow);
            let allows = allows.filter(|one| rules.is_on(one.fields, None, false));
            grants.extend(allows.map(|one| reaches.place(Effect::Allow, one.condition)));
        }
        let denies = rules.specials(role, permission.0).iter().filter(|one| one.effect == Effect::Deny);
        let denies = denies.filter(|one| rules.is_on(one.fields, None, true));
        grants.extend(denies.map(|one| reaches.place(Effect::Deny, one.condition)));
        grants
    }

    fn widen(&self, reach: &mut Reach, run: &[(u32, &BoundScope)]) {
        let scopes = || run.iter().map(|(_, scope)| *scope);
        reach.is_global |= scopes().any(|scope| *scope == BoundScope::Global);
        for (bound, slot) in &self.cx.ty.bound {
            let mut own = scopes().filter(|scope| scope.kind() == Some(*bound)).peekable();
            if own.peek().is_some() {
                let within = reach.within(*slot, run.len().min(ROOM));
                for scope in own {
                    match scope {
                        BoundScope::Id(_, id) => within.ids.push(id.as_u128()),
                        other => within.others.extend(other.id()),
                    }
                }
            }
            let Some(tree) = self.cx.principal.tree() else { continue };
            for (kind, id) in scopes().filter_map(|scope| scope.kind().zip(scope.id())) {
                if kind != *bound {
                    let ids = tree.within(*bound, kind, &id);
                    ids.into_iter().for_each(|id| reach.within(*slot, 0).add(id));
                }
            }
        }
    }

    fn reach(&self, reach: Reach) -> Result<Predicate> {
        if reach.is_global {
            return Ok(Predicate::Always);
        }
        let mut parts = Vec::new();
        let mut within = reach.within;
        within.sort_by_key(|(slot, _)| *slot);
        for (slot, within) in within {
            let Some(attribute) = self.cx.ty.attributes.get(slot as usize) else { continue };
            parts.push(match self.column(attribute) {
                Some(name) => Predicate::In(name, within.set()),
                None => self.unsayable(attribute)?,
            });
        }
        Ok(Predicate::any(parts))
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
            TestKind::Compare(left, operator, right) => match (self.side(left), self.side(right)) {
                (Side::Column(column, offset), Side::Constant(value)) => {
                    Ok(compare(column, *operator, value.moved(-offset)))
                }
                (Side::Constant(value), Side::Column(column, offset)) => {
                    Ok(compare(column, flipped(*operator), value.moved(-offset)))
                }
                (Side::Column(left, one), Side::Column(right, other)) => {
                    Ok(compare_columns(left, *operator, right, other - one))
                }
                (Side::Beyond(attribute), _) | (_, Side::Beyond(attribute)) => self.unsayable(attribute),
                _ => Ok(Predicate::Never),
            },
            TestKind::InLiterals(one, literals) => match self.side(one) {
                Side::Column(column, offset) => {
                    let values = literals.iter().filter_map(|literal| literal.as_value().moved(-offset).to_value());
                    Ok(is_in(column, values))
                }
                Side::Beyond(attribute) => self.unsayable(attribute),
                Side::Constant(_) => Ok(Predicate::Never),
            },
            TestKind::InPath(one, path) => self.in_path(one, *path),
            TestKind::InRanges(one, ranges) => match self.side(one) {
                Side::Column(column, _) => Ok(Predicate::InRanges(column, ranges.clone())),
                Side::Beyond(attribute) => self.unsayable(attribute),
                Side::Constant(_) => Ok(Predicate::Never),
            },
            TestKind::StartsWith(one, prefix) => match self.side(one) {
                Side::Column(column, _) => Ok(Predicate::StartsWith(column, prefix.clone())),
                Side::Beyond(attribute) => self.unsayable(attribute),
                Side::Constant(_) => Ok(Predicate::Never),
            },
        }
    }

    fn has(&self, path: Path) -> Result<Predicate> {
        match self.cx.ty.attributes.get(path.slot as usize) {
            // A relation is never absent, either.
            Some(attribute) if !attribute.is_optional => Ok(Predicate::Always),
            Some(attribute) => match self.column(attribute) {
                Some(name) => Ok(Predicate::Present(name)),
                None => self.unsayable(attribute),
            },
            None => Ok(Predicate::Never),
        }
    }

    fn in_path(&self, one: &Operand, set: Path) -> Result<Predicate> {
        let one = self.side(one);
        if set.root == Root::Resource {
            let Some(attribute) = self.cx.ty.attributes.get(set.slot as usize) else { return Ok(Predicate::Never) };
            let Some(Stored::Link(link)) = &attribute.stored else {
                let Some(set) = self.column(attribute) else { return self.unsayable(attribute) };
                return match one {
                    Side::Constant(value) => Ok(match value.to_value() {
                        Some(value) => Predicate::Contains(set, value),
                        None => Predicate::Never,
                    }),
                    Side::Column(column, offset) => Ok(Predicate::ContainsColumn(set, column, offset)),
                    Side::Beyond(attribute) => self.unsayable(attribute),
                };
            };
            return match one {
                Side::Constant(value) => Ok(linked(link, value)),
                Side::Column(column, _) => Ok(Predicate::LinkedToColumn(link.clone(), column)),
                Side::Beyond(attribute) => self.unsayable(attribute),
            };
        }
        match (one, self.cx.at(set)) {
            (Side::Column(column, offset), TypedValue::Set(held)) => {
                let values = GivenValue::values(held, set.ty.base);
                let moved = values.iter().filter_map(|value| read(value, set.ty.base).moved(-offset).to_value());
                Ok(is_in(column, moved))
            }
            (Side::Beyond(attribute), TypedValue::Set(_)) => self.unsayable(attribute),
            _ => Ok(Predicate::Never),
        }
    }

    fn side<'o>(&'o self, operand: &'o Operand) -> Side<'o> {
        match operand.source {
            Source::Path(path) if path.root == Root::Resource => match self.cx.ty.attributes.get(path.slot as usize) {
                Some(attribute) => match self.column(attribute) {
                    Some(name) => Side::Column(name, operand.offset),
                    None => Side::Beyond(attribute),
                },
                None => Side::Constant(TypedValue::Absent),
            },
            _ => Side::Constant(operand.value(self.cx)),
        }
    }

    /// What a predicate calls an attribute: the column of a stored type; the attribute itself of a
    /// type that the host keeps, which says itself where that is.
    fn column(&self, attribute: &Attribute) -> Option<Name> {
        match &attribute.stored {
            Some(Stored::Column(_, name)) => Some(Name::Borrowed(name)),
            None if self.cx.ty.table.is_none() => Some(Name::Owned(attribute.name.clone())),
            Some(Stored::Link(_)) | None => None,
        }
    }

    fn unsayable(&self, attribute: &Attribute) -> Result<Predicate> {
        if !self.is_strict {
            // Stands for "perhaps"; nobody runs it.
            return Ok(Predicate::Present(Name::Owned(attribute.name.clone())));
        }
        let message = format!(
            "a rule for this list reads `{}` of {}, which no column holds: such rules decide but cannot list",
            attribute.name, self.cx.ty.name
        );
        Err(Error::new(Reason::InvalidInput, message))
    }
}

/// One side of a test.
enum Side<'a> {
    Constant(TypedValue<'a>),
    /// Moved by microseconds.
    Column(Name, i64),
    /// An attribute that no column holds.
    Beyond(&'a Attribute),
}

fn compare(column: Name, operator: Operator, value: TypedValue<'_>) -> Predicate {
    match value.to_value() {
        Some(value) => Predicate::Compare(column, comparison(operator), value),
        None => Predicate::Never,
    }
}

fn compare_columns(left: Name, operator: Operator, right: Name, offset: i64) -> Predicate {
    Predicate::CompareColumns(left, comparison(operator), right, offset)
}

fn is_in(column: Name, values: impl Iterator<Item = Value>) -> Predicate {
    let values = Predicate::set(values);
    if values.is_empty() { Predicate::Never } else { Predicate::In(column, values) }
}

fn linked(link: &Link, value: TypedValue<'_>) -> Predicate {
    match value.to_value() {
        Some(value) => Predicate::Linked(link.clone(), Predicate::set([value])),
        None => Predicate::Never,
    }
}

fn comparison(operator: Operator) -> Comparison {
    match operator {
        Operator::Equal => Comparison::Equal,
        Operator::NotEqual => Comparison::NotEqual,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
    }
}

/// The operator with its sides changed.
fn flipped(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        same => same,
    }
}
