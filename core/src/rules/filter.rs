//! The same rules as a predicate on rows: a row passes if and only if [`RuleSet::decide`] allows it
//! (RBAC.md, "List filtering").

use std::collections::BTreeMap;

use crate::model::{
    error::{Error, Reason, Result},
    predicate::{Comparison, Link, Name, Predicate},
    time::{Time, plus_seconds},
    value::Value,
};

use super::{
    attribute::{Attribute, Stored},
    condition::{
        code::{Operand, Path, Source, Test, TestKind, Tree, Values},
        parser::{Operator, Root},
    },
    datum::{Datum, Held, read},
    decide::{Here, Question},
    policy::Effect,
    principal::Principal,
    resource::Context,
    role::NONE,
    rule_set::{PermissionId, RuleSet},
    scope_kind::BoundScope,
};

/// How long a filter may be used, in seconds: `now` was substituted when it was made.
const LIFETIME: i64 = 5;

/// Which rows somebody may see, with everything about them, the context and the time substituted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFilter {
    /// Over the columns of the type's table.
    pub predicate: Predicate,
    /// The time that it was made for.
    pub made_at: Time,
    /// From this moment on it must not be used: an assignment begins or ends, or it is too old.
    pub expires: Time,
}

impl RowFilter {
    /// The predicate, where the filter may still be used; [`Reason::RightsStale`] where not.
    pub fn predicate_at(&self, now: Time) -> Result<&Predicate> {
        match self.made_at <= now && now < self.expires {
            true => Ok(&self.predicate),
            false => Err(Error::new(Reason::RightsStale, "this row filter has expired; make it again")),
        }
    }
}

impl RuleSet {
    /// The rows of the permission's type that the principal may do this to.
    ///
    /// Fails as [`RuleSet::decide`] does, and with [`Reason::InvalidInput`] where a rule reads what no
    /// column holds (a free attribute, or one of a type without a table).
    pub fn filter(
        &self,
        principal: &Principal,
        permission: PermissionId,
        context: &Context,
        now: Time,
    ) -> Result<RowFilter> {
        let here = self.here(&Question { principal, permission, fields: &[], resource: None, context, now })?;
        let predicate = Lowering { here: &here, is_strict: true }.predicate(permission)?;
        let chain = std::iter::successors(Some(principal), |one| one.on_behalf_of());
        let edges = chain.flat_map(|one| one.held()).flat_map(|one| one.edges());
        let next = edges.filter(|edge| *edge > here.now && *edge != i64::MAX).min();
        let next = next.and_then(|edge| Time::from_microsecond(edge).ok());
        let latest = plus_seconds(now, LIFETIME);
        Ok(RowFilter { predicate, made_at: now, expires: next.map_or(latest, |next| next.min(latest)) })
    }

    /// Whether the filter does not fold to nothing.
    pub(super) fn is_possible(&self, permission: PermissionId, here: &Here<'_>) -> bool {
        let lowered = Lowering { here, is_strict: false }.predicate(permission);
        !matches!(lowered, Ok(Predicate::Never))
    }
}

/// Conditions and scopes to predicates.
struct Lowering<'l, 'h> {
    here: &'l Here<'h>,
    /// Whether what no column holds is an error; else it is "perhaps".
    is_strict: bool,
}

/// Where one condition's grants are held.
#[derive(Default)]
struct Reach {
    is_global: bool,
    /// Ids by the slot that they compare with.
    within: BTreeMap<u32, Vec<Value>>,
}

impl Lowering<'_, '_> {
    /// What all may do who ask together.
    fn predicate(&self, permission: PermissionId) -> Result<Predicate> {
        let own = self.own_predicate(permission)?;
        match self.here.principal.on_behalf_of() {
            Some(principal) => {
                let here = Here { principal, ..*self.here };
                Ok(own.and(Lowering { here: &here, is_strict: self.is_strict }.predicate(permission)?))
            }
            None => Ok(own),
        }
    }

    fn own_predicate(&self, permission: PermissionId) -> Result<Predicate> {
        let (here, rules) = (self.here, self.here.rules);
        let principal = here.principal;
        if !principal.is_active || !principal.is_within_key(permission.0) {
            return Ok(Predicate::Never);
        }
        if principal.held().any(|one| rules.administers(principal, one, here.now)) {
            return Ok(Predicate::Always);
        }
        // Fifty scopes of one condition become one set.
        let mut reaches: BTreeMap<(Effect, u32), Reach> = BTreeMap::new();
        for held in principal.held().filter(|one| rules.counts(*one, here.now)) {
            for role in rules.parts(principal, held.role) {
                if rules.rows.get(role as usize).is_some_and(|row| row.has(permission.0)) {
                    self.widen(reaches.entry((Effect::Allow, NONE)).or_default(), held.scope());
                }
                let specials = rules.roles.get(role as usize).map(|role| role.special_of(permission.0));
                for special in specials.unwrap_or_default().iter().filter(|one| one.effect == Effect::Allow) {
                    if rules.is_on(special.fields, None, false) {
                        self.widen(reaches.entry((Effect::Allow, special.condition)).or_default(), held.scope());
                    }
                }
            }
            let specials = rules.roles.get(held.role as usize).map(|role| role.special_of(permission.0));
            for special in specials.unwrap_or_default().iter().filter(|one| one.effect == Effect::Deny) {
                if rules.is_on(special.fields, None, true) {
                    self.widen(reaches.entry((Effect::Deny, special.condition)).or_default(), held.scope());
                }
            }
        }
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        for ((effect, condition), reach) in reaches {
            let scope = self.reach(reach)?;
            let condition = match rules.condition(condition) {
                Some(condition) if scope != Predicate::Never => self.tree(&condition.tree, &condition.tests)?,
                _ => Predicate::Always,
            };
            let side = if effect == Effect::Deny { &mut denied } else { &mut allowed };
            side.push(scope.and(condition));
        }
        Ok(Predicate::any(allowed).and(Predicate::any(denied).negate()))
    }

    fn widen(&self, reach: &mut Reach, scope: &BoundScope) {
        match scope {
            BoundScope::Global => reach.is_global = true,
            BoundScope::Of(kind, id) => {
                for (bound, slot) in &self.here.ty.bound {
                    let ids = match (bound == kind, self.here.principal.tree()) {
                        (true, _) => vec![id.clone()],
                        (false, Some(tree)) => tree.within(*bound, *kind, id),
                        (false, None) => Vec::new(),
                    };
                    if !ids.is_empty() {
                        reach.within.entry(*slot).or_default().extend(ids);
                    }
                }
            }
            BoundScope::Nowhere => {}
        }
    }

    fn reach(&self, reach: Reach) -> Result<Predicate> {
        if reach.is_global {
            return Ok(Predicate::Always);
        }
        let mut parts = Vec::new();
        for (slot, ids) in reach.within {
            let Some(attribute) = self.here.ty.attributes.get(slot as usize) else { continue };
            parts.push(match &attribute.stored {
                Some(Stored::Column(_, name)) => Predicate::In(Name::Borrowed(name), Predicate::set(ids)),
                _ => self.unsayable(attribute)?,
            });
        }
        Ok(Predicate::any(parts))
    }

    fn tree(&self, tree: &Tree, tests: &[Test]) -> Result<Predicate> {
        Ok(match tree {
            Tree::Test(at) => match tests.get(*at as usize) {
                Some(test) => self.test(&test.kind)?,
                None => Predicate::Never,
            },
            Tree::Not(inner) => self.tree(inner, tests)?.negate(),
            Tree::All(parts) => {
                let parts = parts.iter().map(|part| self.tree(part, tests)).collect::<Result<Vec<_>>>()?;
                Predicate::all(parts)
            }
            Tree::Any(parts) => {
                let parts = parts.iter().map(|part| self.tree(part, tests)).collect::<Result<Vec<_>>>()?;
                Predicate::any(parts)
            }
        })
    }

    fn test(&self, test: &TestKind) -> Result<Predicate> {
        if test.paths().all(|path| path.root != Root::Resource) {
            return Ok(if test.holds(self.here) { Predicate::Always } else { Predicate::Never });
        }
        match test {
            TestKind::Has(path) => self.has(*path),
            TestKind::Compare(left, operator, right) => match (self.side(left), self.side(right)) {
                (Side::Column(column, offset), Side::Constant(datum)) => {
                    Ok(compare(column, *operator, datum.moved(-offset)))
                }
                (Side::Constant(datum), Side::Column(column, offset)) => {
                    Ok(compare(column, flipped(*operator), datum.moved(-offset)))
                }
                (Side::Column(left, one), Side::Column(right, other)) => {
                    Ok(compare_columns(left, *operator, right, other - one))
                }
                (Side::Beyond(attribute), _) | (_, Side::Beyond(attribute)) => self.unsayable(attribute),
                _ => Ok(Predicate::Never),
            },
            TestKind::InLiterals(one, literals) => match self.side(one) {
                Side::Column(column, offset) => {
                    let values = literals.iter().filter_map(|literal| literal.as_datum().moved(-offset).to_value());
                    Ok(is_in(column, values))
                }
                Side::Beyond(attribute) => self.unsayable(attribute),
                Side::Constant(_) => Ok(Predicate::Never),
            },
            TestKind::InPath(one, path) => self.in_path(one, *path),
            TestKind::InRanges(one, _) => match self.side(one) {
                Side::Beyond(attribute) => self.unsayable(attribute),
                // Addresses are in no column.
                _ => Ok(Predicate::Never),
            },
            TestKind::StartsWith(one, prefix) => match self.side(one) {
                Side::Column(column, _) => Ok(Predicate::StartsWith(column, prefix.clone())),
                Side::Beyond(attribute) => self.unsayable(attribute),
                Side::Constant(_) => Ok(Predicate::Never),
            },
        }
    }

    fn has(&self, path: Path) -> Result<Predicate> {
        match self.here.ty.attributes.get(path.slot as usize) {
            Some(attribute) if !attribute.is_optional => Ok(Predicate::Always),
            Some(attribute) => match &attribute.stored {
                Some(Stored::Column(_, name)) => Ok(Predicate::Present(Name::Borrowed(name))),
                Some(Stored::Link(_)) => Ok(Predicate::Always),
                None => self.unsayable(attribute),
            },
            None => Ok(Predicate::Never),
        }
    }

    fn in_path(&self, one: &Operand, set: Path) -> Result<Predicate> {
        let one = self.side(one);
        if set.root == Root::Resource {
            let Some(attribute) = self.here.ty.attributes.get(set.slot as usize) else { return Ok(Predicate::Never) };
            let Some(Stored::Link(link)) = &attribute.stored else { return self.unsayable(attribute) };
            return match one {
                Side::Constant(datum) => Ok(linked(link, datum)),
                Side::Column(column, _) => Ok(Predicate::LinkedToColumn(link.clone(), column)),
                Side::Beyond(attribute) => self.unsayable(attribute),
            };
        }
        match (one, self.here.at(set)) {
            (Side::Column(column, offset), Datum::Set(held)) => {
                let values = Held::values(held, set.ty.base);
                let moved = values.iter().filter_map(|value| read(value, set.ty.base).moved(-offset).to_value());
                Ok(is_in(column, moved))
            }
            (Side::Beyond(attribute), Datum::Set(_)) => self.unsayable(attribute),
            _ => Ok(Predicate::Never),
        }
    }

    fn side<'o>(&'o self, operand: &'o Operand) -> Side<'o> {
        match operand.source {
            Source::Path(path) if path.root == Root::Resource => {
                match self.here.ty.attributes.get(path.slot as usize) {
                    Some(Attribute { stored: Some(Stored::Column(_, name)), .. }) => {
                        Side::Column(Name::Borrowed(name), operand.offset)
                    }
                    Some(attribute) => Side::Beyond(attribute),
                    None => Side::Constant(Datum::Absent),
                }
            }
            _ => Side::Constant(operand.value(self.here)),
        }
    }

    fn unsayable(&self, attribute: &Attribute) -> Result<Predicate> {
        if !self.is_strict {
            // Stands for "perhaps"; nobody runs it.
            return Ok(Predicate::Present(Name::Owned(attribute.name.clone())));
        }
        let message = format!(
            "a rule for this list reads `{}` of {}, which no column holds: such rules decide but cannot list",
            attribute.name, self.here.ty.name
        );
        Err(Error::new(Reason::InvalidInput, message))
    }
}

/// One side of a test.
enum Side<'a> {
    Constant(Datum<'a>),
    /// Moved by microseconds.
    Column(Name, i64),
    /// An attribute that no column holds.
    Beyond(&'a Attribute),
}

fn compare(column: Name, operator: Operator, datum: Datum<'_>) -> Predicate {
    let Some(value) = datum.to_value() else { return Predicate::Never };
    match comparison(operator) {
        Some(comparison) => Predicate::Compare(column, comparison, value),
        None => {
            let equal = Predicate::Compare(column.clone(), Comparison::Equal, value);
            Predicate::Present(column).and(equal.negate())
        }
    }
}

fn compare_columns(left: Name, operator: Operator, right: Name, offset: i64) -> Predicate {
    match comparison(operator) {
        Some(comparison) => Predicate::CompareColumns(left, comparison, right, offset),
        None => {
            let equal = Predicate::CompareColumns(left.clone(), Comparison::Equal, right.clone(), offset);
            Predicate::all([Predicate::Present(left), Predicate::Present(right), equal.negate()])
        }
    }
}

fn is_in(column: Name, values: impl Iterator<Item = Value>) -> Predicate {
    let values = Predicate::set(values);
    if values.is_empty() { Predicate::Never } else { Predicate::In(column, values) }
}

fn linked(link: &Link, datum: Datum<'_>) -> Predicate {
    match datum.to_value() {
        Some(value) => Predicate::Linked(link.clone(), Predicate::set([value])),
        None => Predicate::Never,
    }
}

/// None for `!=`.
fn comparison(operator: Operator) -> Option<Comparison> {
    match operator {
        Operator::Equal => Some(Comparison::Equal),
        Operator::NotEqual => None,
        Operator::Less => Some(Comparison::Less),
        Operator::LessOrEqual => Some(Comparison::LessOrEqual),
        Operator::Greater => Some(Comparison::Greater),
        Operator::GreaterOrEqual => Some(Comparison::GreaterOrEqual),
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
