//! Names and types of a condition, against one resource type.

use std::cmp::Ordering;

use super::value::Cidr;

use crate::model::{decode::nearest, predicate::Comparison, value::Value as Stored};
use crate::rules::{
    Attribute, Base, ConditionError, Literal, Operand, Path, Root, Source, TestKind, Type, read_text, shown,
};

/// A part whose names are known and whose types fit; parsing goes on where they do not.
pub(super) type Typed<T> = Result<T, ConditionError>;

/// What the names of a condition mean.
#[derive(Default)]
pub(in crate::rules) struct Vocabulary<'v> {
    pub(in crate::rules) resource_type: &'v str,
    pub(in crate::rules) resource: &'v [Attribute],
    pub(in crate::rules) principal: &'v [Attribute],
    pub(in crate::rules) context: &'v [Attribute],
}

impl<'v> Vocabulary<'v> {
    fn of(&self, root: Root) -> &'v [Attribute] {
        match root {
            Root::Principal => self.principal,
            Root::Resource => self.resource,
            Root::Context => self.context,
        }
    }

    /// The attribute that a path reads.
    pub(in crate::rules) fn attribute(&self, path: Path) -> Option<&'v Attribute> {
        self.of(path.root).get(path.slot as usize)
    }

    pub(super) fn path(&self, root: Root, name: &str, at: usize) -> Typed<Path> {
        let attributes = self.of(root);
        if let Some((slot, found)) = (0..).zip(attributes).find(|(_, one)| one.name == name) {
            return Ok(Path { root, slot, ty: found.ty });
        }
        let shown = shown(name);
        let message = match root {
            Root::Principal => format!("principals have no attribute `{shown}`"),
            Root::Resource => format!("type `{}` has no attribute `{shown}`", self.resource_type),
            Root::Context => format!("the context declares no `{shown}`"),
        };
        let names = attributes.iter().map(|attribute| attribute.name.as_str());
        let error = ConditionError::new(at, message);
        Err(match nearest(name, names.clone()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if attributes.is_empty() => error,
            None => error.help(format!("there are: {}", names.take(20).collect::<Vec<_>>().join(", "))),
        })
    }
}

/// One side of a comparison, and where it begins.
pub(super) struct Value {
    start: usize,
    kind: Kind,
}

enum Kind {
    /// A string literal, whose type depends on the other side.
    Open(String),
    Known(Operand, Type),
}

impl Value {
    pub(super) fn open(start: usize, text: String) -> Self {
        Self { start, kind: Kind::Open(text) }
    }

    pub(super) fn literal(start: usize, value: impl Into<Stored>, base: Base) -> Self {
        Self { start, kind: Kind::Known(literal(value, base), base.one()) }
    }

    /// A path or the time, moved by microseconds.
    pub(super) fn moved(start: usize, source: Source, ty: Type, offset: Option<i64>) -> Typed<Self> {
        if offset.is_some() && ty != Base::Time.one() {
            let message = format!("a duration is added to a time, and this is of type `{ty}`");
            return Err(ConditionError::new(start, message));
        }
        Ok(Self { start, kind: Kind::Known(Operand { source, offset: offset.unwrap_or(0) }, ty) })
    }

    pub(super) fn path(&self) -> Typed<Path> {
        match &self.kind {
            Kind::Known(Operand { source: Source::Path(path), .. }, _) => Ok(*path),
            _ => Err(self.error("expected a path such as resource.id")),
        }
    }

    pub(super) fn compare(self, operator: Comparison, right: Self) -> Typed<TestKind> {
        let (at, right_at) = (self.start, right.start);
        let (left, right, ty) = match (self.kind, right.kind) {
            (Kind::Open(one), Kind::Open(other)) => {
                (literal(one, Base::String), literal(other, Base::String), Base::String.one())
            }
            (Kind::Open(text), Kind::Known(other, ty)) => (closed(&text, at, ty)?, other, ty),
            (Kind::Known(other, ty), Kind::Open(text)) => (other, closed(&text, right_at, ty)?, ty),
            (Kind::Known(left, one), Kind::Known(right, other)) if one == other => (left, right, one),
            (Kind::Known(_, one), Kind::Known(_, other)) => {
                return ConditionError::helped(
                    right_at,
                    format!("`{one}` cannot be compared with `{other}`"),
                    "both sides must have the same type",
                );
            }
        };
        if ty.is_set {
            return Err(ConditionError::new(at, "sets cannot be compared").help("write `contains` or `in`"));
        }
        if !matches!(operator, Comparison::Equal | Comparison::NotEqual) && !ty.base.is_ordered() {
            return ConditionError::helped(at, format!("values of type `{ty}` have no order"), "write `==` or `!=`");
        }
        Ok(TestKind::Compare(left, operator, right))
    }

    pub(super) fn in_literals(self, literals: Vec<Typed<Self>>) -> Typed<TestKind> {
        let start = self.start;
        let (operand, ty) = match self.kind {
            Kind::Known(operand, ty) => (operand, ty),
            Kind::Open(text) => (literal(text, Base::String), Base::String.one()),
        };
        if ty.is_set {
            return Err(ConditionError::new(start, "a set cannot be in a set").help("write `contains`"));
        }
        let is_range = |one: &Typed<Self>| matches!(one, Ok(Self { kind: Kind::Open(text), .. }) if text.contains('/'));
        if ty.base == Base::Ip && literals.iter().all(is_range) {
            let ranges = literals.into_iter().map(|one| one?.cidr()).collect::<Typed<_>>()?;
            return Ok(TestKind::InRanges(operand, ranges));
        }
        let literals = literals.into_iter().map(|one| {
            let one = one?;
            let start = one.start;
            let Source::Literal(literal) = one.of_type(ty)?.source else {
                return ConditionError::helped(start, "a list holds literals only", "compare paths with `==`");
            };
            Ok(literal)
        });
        let mut set: Vec<Literal> = literals.collect::<Typed<_>>()?;
        set.sort_unstable_by(|a, b| a.as_value().order(b.as_value()).unwrap_or(Ordering::Equal));
        set.dedup();
        Ok(TestKind::InLiterals(operand, set))
    }

    /// `at` is where the set stands.
    pub(super) fn in_path(one: Typed<Self>, set: Path, at: usize) -> Typed<TestKind> {
        if !set.ty.is_set {
            return ConditionError::helped(at, format!("expected a set, found `{}`", set.ty), "write `==`");
        }
        Ok(TestKind::InPath(one?.of_type(set.ty.base.one())?, set))
    }

    pub(super) fn in_range(self, range: Typed<Self>) -> Typed<TestKind> {
        Ok(TestKind::InRanges(self.of_type(Base::Ip.one())?, vec![range?.cidr()?]))
    }

    pub(super) fn starts_with(self, prefix: Typed<Self>) -> Typed<TestKind> {
        let (operand, prefix) = (self.of_type(Base::String.one())?, prefix?);
        match prefix.kind {
            Kind::Open(text) => Ok(TestKind::StartsWith(operand, text)),
            Kind::Known(..) => Err(prefix.error("`starts_with` takes a string in quotes")),
        }
    }

    /// As an operand of this type.
    fn of_type(self, wanted: Type) -> Typed<Operand> {
        match self.kind {
            Kind::Open(text) => closed(&text, self.start, wanted),
            Kind::Known(operand, ty) if ty == wanted => Ok(operand),
            Kind::Known(_, ty) => {
                let message = format!("expected a value of type `{wanted}`, found `{ty}`");
                Err(ConditionError::new(self.start, message))
            }
        }
    }

    fn cidr(self) -> Typed<Cidr> {
        match &self.kind {
            Kind::Open(text) => Cidr::parse(text).map_err(|message| self.error(message)),
            Kind::Known(..) => Err(self.error("expected a range such as \"10.0.0.0/8\"")),
        }
    }

    fn error(&self, message: impl Into<String>) -> ConditionError {
        ConditionError::new(self.start, message)
    }
}

fn literal(value: impl Into<Stored>, base: Base) -> Operand {
    Operand { source: Source::Literal(Literal { value: value.into(), base }), offset: 0 }
}

/// A string literal as the type of the other side.
fn closed(text: &str, at: usize, ty: Type) -> Typed<Operand> {
    if ty.is_set {
        return ConditionError::helped(at, "a set cannot be compared with one value", "write `contains` or `in`");
    }
    let help = match ty.base {
        Base::String => "",
        Base::Id => "an id is a UUID",
        Base::Time => "a time is written as in RFC 3339, such as 2026-01-31T12:00:00Z",
        Base::Ip => "an address is written 10.0.0.1 or 2001:db8::1; a range is written after `in`",
        Base::Duration | Base::Bool | Base::Int => "leave the quotes out",
    };
    let value = read_text(text, ty.base).to_value();
    let value = value.ok_or_else(|| ConditionError::new(at, format!("this text is not of type `{ty}`")).help(help))?;
    Ok(literal(value, ty.base))
}
