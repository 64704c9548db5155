//! A typed condition: a tree for filters and explanations, and flat code for decisions.

use std::net::IpAddr;

use uuid::Uuid;

use super::value::{Base, Cidr, GivenValue, Type, TypedValue};

use super::parser::{Operator, Root};

/// Ends the code: the condition is true.
pub(super) const TRUE: u32 = u32::MAX;
/// Ends the code: the condition is false.
pub(super) const FALSE: u32 = u32::MAX - 1;

/// A condition of one grant on one resource type (or on any, where it reads no resource).
#[derive(Debug)]
pub(in crate::rules) struct Condition {
    /// As written.
    pub(in crate::rules) text: std::sync::Arc<str>,
    pub(in crate::rules) tests: Vec<Test>,
    pub(in crate::rules) tree: Tree,
    /// For each test, where to go on; the first test comes first.
    pub(super) next: Vec<Next>,
    /// Every path it reads, once.
    pub(in crate::rules) paths: Vec<Path>,
}

impl Condition {
    pub(in crate::rules) fn new(text: &str, tests: Vec<Test>, tree: Tree) -> Self {
        let mut next = vec![Next { on_true: TRUE, on_false: FALSE }; tests.len()];
        wire(&tree, TRUE, FALSE, &mut next);
        let mut paths: Vec<Path> = tests.iter().flat_map(|test| test.kind.paths()).collect();
        paths.sort_unstable_by_key(|path| (path.root as u8, path.slot));
        paths.dedup();
        Self { text: text.into(), tests, tree, next, paths }
    }

    pub(in crate::rules) fn reads(&self, root: Root) -> bool {
        self.paths.iter().any(|path| path.root == root)
    }

    /// A test as it was written.
    pub(in crate::rules) fn text_of(&self, test: &Test) -> &str {
        self.text.get(test.start..test.end).unwrap_or(&self.text)
    }
}

/// Tests stand in the tree in their own order, so a part's first test is where it begins.
#[derive(Debug)]
pub(in crate::rules) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Test(u32),
}

impl Tree {
    fn first(&self) -> u32 {
        match self {
            Tree::All(parts) | Tree::Any(parts) => parts.first().map_or(TRUE, Tree::first),
            Tree::Not(inner) => inner.first(),
            Tree::Test(test) => *test,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) on_true: u32,
    pub(super) on_false: u32,
}

/// Says of every test of a part where to go on.
fn wire(tree: &Tree, on_true: u32, on_false: u32, all: &mut [Next]) {
    match tree {
        Tree::Test(test) => {
            if let Some(next) = all.get_mut(*test as usize) {
                *next = Next { on_true, on_false };
            }
        }
        Tree::Not(inner) => wire(inner, on_false, on_true, all),
        Tree::All(parts) => {
            for (index, part) in parts.iter().enumerate() {
                wire(part, parts.get(index + 1).map_or(on_true, Tree::first), on_false, all);
            }
        }
        Tree::Any(parts) => {
            for (index, part) in parts.iter().enumerate() {
                wire(part, on_true, parts.get(index + 1).map_or(on_false, Tree::first), all);
            }
        }
    }
}

/// One comparison and its bytes in the text.
#[derive(Debug)]
pub(in crate::rules) struct Test {
    pub(in crate::rules) kind: TestKind,
    pub(in crate::rules) start: usize,
    pub(in crate::rules) end: usize,
}

#[derive(Debug)]
pub(in crate::rules) enum TestKind {
    Has(Path),
    Compare(Operand, Operator, Operand),
    /// `in` a set of literals, or of one base.
    InLiterals(Operand, Vec<Literal>),
    /// `in` a path, or `contains` turned round.
    InPath(Operand, Path),
    InRanges(Operand, Vec<Cidr>),
    StartsWith(Operand, String),
}

impl TestKind {
    pub(in crate::rules) fn operands(&self) -> impl Iterator<Item = &Operand> + Clone {
        let (first, second) = match self {
            TestKind::Has(_) => (None, None),
            TestKind::Compare(left, _, right) => (Some(left), Some(right)),
            TestKind::InLiterals(one, _)
            | TestKind::InPath(one, _)
            | TestKind::InRanges(one, _)
            | TestKind::StartsWith(one, _) => (Some(one), None),
        };
        first.into_iter().chain(second)
    }

    /// Whether it reads the time of the question.
    pub(in crate::rules) fn reads_now(&self) -> bool {
        self.operands().any(|one| matches!(one.source, Source::Now))
    }

    /// The paths it reads.
    pub(in crate::rules) fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        let own = match self {
            TestKind::Has(path) | TestKind::InPath(_, path) => Some(*path),
            _ => None,
        };
        own.into_iter().chain(self.operands().filter_map(|operand| match operand.source {
            Source::Path(path) => Some(path),
            _ => None,
        }))
    }
}

/// A value, moved by microseconds where it is a time.
#[derive(Debug)]
pub(in crate::rules) struct Operand {
    pub(in crate::rules) source: Source,
    pub(in crate::rules) offset: i64,
}

#[derive(Debug)]
pub(in crate::rules) enum Source {
    Literal(Literal),
    Path(Path),
    Now,
}

/// An attribute, by its place among those of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rules) struct Path {
    pub(in crate::rules) root: Root,
    pub(in crate::rules) slot: u32,
    pub(in crate::rules) ty: Type,
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Literal {
    Bool(bool),
    Int(i64),
    Text(String),
    Id(Uuid),
    Time(i64),
    Duration(i64),
    Ip(IpAddr),
}

impl Literal {
    pub(in crate::rules) fn as_value(&self) -> TypedValue<'_> {
        match self {
            Literal::Bool(bool) => TypedValue::Bool(*bool),
            Literal::Int(int) => TypedValue::Int(*int),
            Literal::Text(text) => TypedValue::Text(text),
            Literal::Id(id) => TypedValue::id(*id),
            Literal::Time(micros) => TypedValue::Time(*micros),
            Literal::Duration(micros) => TypedValue::Duration(*micros),
            Literal::Ip(ip) => TypedValue::ip(*ip),
        }
    }
}

/// Where paths get their values.
pub(in crate::rules) trait Values {
    /// The value of an attribute; absent where it is null.
    fn at(&self, path: Path) -> TypedValue<'_>;
    /// The time of the question, in microseconds.
    fn now(&self) -> i64;
}

/// Whether a set path's value holds a value.
pub(in crate::rules) fn holds(set: TypedValue<'_>, wanted: TypedValue<'_>, base: Base) -> bool {
    match set {
        TypedValue::Set(held) => GivenValue::contains(held, wanted, base),
        _ => false,
    }
}
