//! Names and types of a condition, against one resource type. Everything that could go wrong goes
//! wrong here, at load; never at a check.

use std::cmp::Ordering;

use super::{
    duration,
    value::{Base, Cidr, Type, parse_ip, parse_time},
};
use crate::{
    model::{decode::nearest, id::parse_uuid},
    rules::{compile::attribute::Attribute, diagnostics::shown},
};

use super::{
    Flaw,
    code::{Condition, Literal, Operand, Path, Source, Test, TestKind, Tree},
    parser::{Atom, Expr, Operator, RawPath, RawSet, RawTest, RawValue, Root, TestKind as Raw},
    presence::unguarded,
};

/// What the names of a condition mean.
pub(in crate::rules) struct Vocabulary<'v> {
    pub(in crate::rules) resource_type: &'v str,
    pub(in crate::rules) resource: &'v [Attribute],
    pub(in crate::rules) principal: &'v [Attribute],
    pub(in crate::rules) context: &'v [Attribute],
}

/// Types a parsed condition.
pub(in crate::rules) fn check(
    expr: &Expr,
    text: &str,
    is_deny: bool,
    words: &Vocabulary<'_>,
) -> Result<Condition, Vec<Flaw>> {
    let mut checker = Checker { words, tests: Vec::new(), flaws: Vec::new() };
    let tree = checker.tree(expr);
    if !checker.flaws.is_empty() {
        return Err(checker.flaws);
    }
    let condition = Condition::new(text, checker.tests, tree);
    let is_optional = |path: Path| words.of(path.root).get(path.slot as usize).is_some_and(|one| one.is_optional);
    let open = unguarded(&condition, is_deny, is_optional);
    let flaws: Vec<Flaw> =
        open.into_iter().map(|(test, path)| words.open_ffi(&condition, test, path, is_deny)).collect();
    if flaws.is_empty() { Ok(condition) } else { Err(flaws) }
}

impl Vocabulary<'_> {
    fn of(&self, root: Root) -> &[Attribute] {
        match root {
            Root::Principal => self.principal,
            Root::Resource => self.resource,
            Root::Context => self.context,
        }
    }

    fn open_ffi(&self, condition: &Condition, test: u32, path: Path, is_deny: bool) -> Flaw {
        let name = self.of(path.root).get(path.slot as usize).map_or("", |one| one.name.as_str());
        let name = format!("{}.{name}", path.root.word());
        let place = if is_deny { "in a deny" } else { "under `not` or in `!=`" };
        let (at, end) = condition.tests.get(test as usize).map_or((0, 0), |test| (test.start, test.end));
        Flaw::new(at, format!("`{name}` may be absent, and {place} absence must be decided"))
            .until(end)
            .help(format!("write `has {name} and …` or `not has {name} or …`"))
    }
}

struct Checker<'c> {
    words: &'c Vocabulary<'c>,
    tests: Vec<Test>,
    flaws: Vec<Flaw>,
}

/// A value whose type may depend on the other side.
enum Typed {
    /// A string literal.
    Open(String, usize),
    Known(Operand, Type),
}

impl Checker<'_> {
    fn tree(&mut self, expr: &Expr) -> Tree {
        match expr {
            Expr::All(parts) => Tree::All(parts.iter().map(|part| self.tree(part)).collect()),
            Expr::Any(parts) => Tree::Any(parts.iter().map(|part| self.tree(part)).collect()),
            Expr::Not(inner) => Tree::Not(Box::new(self.tree(inner))),
            Expr::Test(raw) => {
                let index = u32::try_from(self.tests.len()).unwrap_or(u32::MAX);
                match self.test(raw) {
                    Ok(kind) => self.tests.push(Test { kind, start: raw.start, end: raw.end }),
                    Err(flaw) => self.flaws.push(flaw),
                }
                Tree::Test(index)
            }
        }
    }

    fn test(&self, raw: &RawTest) -> Result<TestKind, Flaw> {
        match &raw.kind {
            Raw::Has(path) => self.path(path).map(TestKind::Has),
            Raw::Compare(left, operator, right) => self.comparison(left, *operator, right),
            Raw::In(one, RawSet::Literals(literals)) => self.in_literals(one, literals),
            Raw::In(one, RawSet::Path(path)) => {
                let set = self.path(path)?;
                self.in_path(one, set, path.start)
            }
            Raw::In(one, RawSet::Range(range)) => {
                let (operand, _) = self.of_type(one, Base::Ip.one())?;
                Ok(TestKind::InRanges(operand, vec![cidr(range)?]))
            }
            Raw::Contains(path, one) => {
                let set = self.path(path)?;
                self.in_path(one, set, path.start)
            }
            Raw::StartsWith(one, prefix) => {
                let (operand, _) = self.of_type(one, Base::String.one())?;
                match &prefix.atom {
                    Atom::Text(prefix) => Ok(TestKind::StartsWith(operand, prefix.clone())),
                    _ => Err(Flaw::new(prefix.start, "after `starts_with` stands a string in quotes")),
                }
            }
        }
    }

    fn comparison(&self, left: &RawValue, operator: Operator, right: &RawValue) -> Result<TestKind, Flaw> {
        let (at, right_at) = (left.start, right.start);
        let (left, right, ty) = match (self.value(left)?, self.value(right)?) {
            (Typed::Open(a, _), Typed::Open(b, _)) => {
                (literal(Literal::Text(a)), literal(Literal::Text(b)), Base::String.one())
            }
            (Typed::Open(text, at), Typed::Known(other, ty)) => (literal(closed(&text, at, ty)?), other, ty),
            (Typed::Known(other, ty), Typed::Open(text, at)) => (other, literal(closed(&text, at, ty)?), ty),
            (Typed::Known(a, one), Typed::Known(b, other)) if one == other => (a, b, one),
            (Typed::Known(_, one), Typed::Known(_, other)) => {
                let message = format!("`{one}` is compared with `{other}`");
                return Err(Flaw::new(right_at, message).help("both sides must have the same type"));
            }
        };
        if ty.is_set {
            return Err(Flaw::new(at, "sets are not compared").help("write `contains` or `in`"));
        }
        if !matches!(operator, Operator::Equal | Operator::NotEqual) && !ty.base.is_ordered() {
            return Err(Flaw::new(at, format!("values of type `{ty}` have no order")).help("write `==` or `!=`"));
        }
        Ok(TestKind::Compare(left, operator, right))
    }

    fn in_literals(&self, one: &RawValue, literals: &[RawValue]) -> Result<TestKind, Flaw> {
        let first = match self.value(one)? {
            Typed::Known(operand, ty) => (operand, ty),
            Typed::Open(text, _) => (literal(Literal::Text(text)), Base::String.one()),
        };
        let (operand, ty) = first;
        if ty.is_set {
            return Err(Flaw::new(one.start, "a set is not in a set").help("write `contains`"));
        }
        if ty.base == Base::Ip
            && literals.iter().all(|literal| matches!(&literal.atom, Atom::Text(text) if text.contains('/')))
        {
            let ranges = literals.iter().map(cidr).collect::<Result<Vec<_>, Flaw>>()?;
            return Ok(TestKind::InRanges(operand, ranges));
        }
        let mut set = Vec::with_capacity(literals.len());
        for raw in literals {
            match self.of_type(raw, ty)?.0.source {
                Source::Literal(literal) => set.push(literal),
                _ => return Err(Flaw::new(raw.start, "a set is written with literals").help("compare paths with `==`")),
            }
        }
        set.sort_unstable_by(|a, b| a.as_value().order(b.as_value()).unwrap_or(Ordering::Equal));
        set.dedup();
        Ok(TestKind::InLiterals(operand, set))
    }

    fn in_path(&self, one: &RawValue, set: Path, at: usize) -> Result<TestKind, Flaw> {
        if !set.ty.is_set {
            return Err(Flaw::new(at, format!("this is no set, but of type `{}`", set.ty)).help("write `==`"));
        }
        let (operand, _) = self.of_type(one, set.ty.base.one())?;
        Ok(TestKind::InPath(operand, set))
    }

    /// A value that must have this type.
    fn of_type(&self, raw: &RawValue, wanted: Type) -> Result<(Operand, Type), Flaw> {
        match self.value(raw)? {
            Typed::Open(text, at) => Ok((literal(closed(&text, at, wanted)?), wanted)),
            Typed::Known(operand, ty) if ty == wanted => Ok((operand, ty)),
            Typed::Known(_, ty) => {
                Err(Flaw::new(raw.start, format!("expected a value of type `{wanted}`, found `{ty}`")))
            }
        }
    }

    fn value(&self, raw: &RawValue) -> Result<Typed, Flaw> {
        let known = |source, ty| Typed::Known(Operand { source, offset: raw.offset.unwrap_or(0) }, ty);
        let value = match &raw.atom {
            Atom::Text(text) => Typed::Open(text.clone(), raw.start),
            Atom::Int(int) => known(Source::Literal(Literal::Int(*int)), Base::Int.one()),
            Atom::Bool(bool) => known(Source::Literal(Literal::Bool(*bool)), Base::Bool.one()),
            Atom::Duration(micros) => known(Source::Literal(Literal::Duration(*micros)), Base::Duration.one()),
            Atom::Now => known(Source::Now, Base::Time.one()),
            Atom::Path(path) => {
                let path = self.path(path)?;
                if raw.offset.is_some() && path.ty != Base::Time.one() {
                    return Err(Flaw::new(
                        raw.start,
                        format!("a duration is added to a time, and this is of type `{}`", path.ty),
                    ));
                }
                known(Source::Path(path), path.ty)
            }
        };
        Ok(value)
    }

    fn path(&self, raw: &RawPath) -> Result<Path, Flaw> {
        let attributes = self.words.of(raw.root);
        if let Some(slot) = attributes.iter().position(|attribute| attribute.name == raw.name) {
            let slot_index = u32::try_from(slot).unwrap_or(u32::MAX);
            let ty = attributes.get(slot).map_or(Base::Bool.one(), |attribute| attribute.ty);
            return Ok(Path { root: raw.root, slot: slot_index, ty });
        }
        let name = shown(&raw.name);
        let message = match raw.root {
            Root::Principal => format!("principals have no attribute `{name}`"),
            Root::Resource => format!("type `{}` has no attribute `{name}`", self.words.resource_type),
            Root::Context => format!("the context declares no `{name}`"),
        };
        let names = attributes.iter().map(|attribute| attribute.name.as_str());
        let flaw = Flaw::new(raw.name_at, message);
        Err(match nearest(&raw.name, names.clone()) {
            Some(near) => flaw.help(format!("did you mean `{near}`?")),
            None if attributes.is_empty() => flaw,
            None => flaw.help(format!("there are: {}", names.take(20).collect::<Vec<_>>().join(", "))),
        })
    }
}

fn literal(literal: Literal) -> Operand {
    Operand { source: Source::Literal(literal), offset: 0 }
}

/// A string literal as the type of the other side.
fn closed(text: &str, at: usize, ty: Type) -> Result<Literal, Flaw> {
    if ty.is_set {
        return Err(Flaw::new(at, "a set is not compared with one value").help("write `contains` or `in`"));
    }
    let read = match ty.base {
        Base::String => Some(Literal::Text(text.to_owned())),
        Base::Id => parse_uuid(text).map(Literal::Id),
        Base::Time => parse_time(text).map(Literal::Time),
        Base::Duration => duration::parse(text).map(Literal::Duration),
        Base::Ip => parse_ip(text).map(Literal::Ip),
        Base::Bool | Base::Int => None,
    };
    read.ok_or_else(|| {
        let flaw = Flaw::new(at, format!("this text is not of type `{ty}`"));
        match ty.base {
            Base::Id => flaw.help("an id is a UUID"),
            Base::Time => flaw.help("a time is written as in RFC 3339, such as 2026-01-31T12:00:00Z"),
            Base::Ip => flaw.help("an address is written 10.0.0.1 or 2001:db8::1; a range stands after `in`"),
            _ => flaw.help("leave the quotes out"),
        }
    })
}

fn cidr(raw: &RawValue) -> Result<Cidr, Flaw> {
    match &raw.atom {
        Atom::Text(text) => Cidr::parse(text).map_err(|message| Flaw::new(raw.start, message)),
        _ => Err(Flaw::new(raw.start, "expected a range such as \"10.0.0.0/8\"")),
    }
}
