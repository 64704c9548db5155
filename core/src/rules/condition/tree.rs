//! A typed condition: a tree of tests.

use super::value::Cidr;

use crate::model::{predicate::Comparison, value::Value};
use crate::rules::{Base, Root, Type, TypedValue, read_one};

/// A condition of one grant on one resource type (or on any, where it reads no resource).
#[derive(Debug)]
pub(in crate::rules) struct Condition {
    /// As written.
    pub(in crate::rules) text: std::sync::Arc<str>,
    pub(in crate::rules) tree: Tree,
    /// Every path it reads, once.
    pub(in crate::rules) paths: Vec<Path>,
}

impl Condition {
    pub(in crate::rules) fn new(text: &str, tree: Tree) -> Self {
        let mut paths: Vec<Path> = tree.paths().collect();
        paths.sort_unstable_by_key(|path| (path.root as u8, path.slot));
        paths.dedup();
        Self { text: text.into(), tree, paths }
    }

    pub(in crate::rules) fn reads(&self, root: Root) -> bool {
        self.paths.iter().any(|path| path.root == root)
    }
}

/// What a condition says, or a part of it.
#[derive(Debug)]
pub(in crate::rules) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Test(Test),
}

impl Tree {
    /// Every test, in the order of the text.
    pub(in crate::rules) fn tests(&self) -> Vec<&Test> {
        match self {
            Tree::Test(test) => vec![test],
            Tree::Not(inner) => inner.tests(),
            Tree::All(parts) | Tree::Any(parts) => parts.iter().flat_map(Tree::tests).collect(),
        }
    }

    /// The paths of its tests, in the order of the text.
    pub(in crate::rules) fn paths(&self) -> impl Iterator<Item = Path> {
        self.tests().into_iter().flat_map(|test| test.kind.paths())
    }
}

/// One comparison.
#[derive(Debug)]
pub(in crate::rules) struct Test {
    pub(in crate::rules) kind: TestKind,
    /// As written.
    pub(in crate::rules) text: Box<str>,
    /// Where it begins in the condition, in bytes.
    pub(in crate::rules) start: usize,
}

#[derive(Debug)]
pub(in crate::rules) enum TestKind {
    Has(Path),
    Compare(Operand, Comparison, Operand),
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

/// A value as a column would hold it, and what it is read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct Literal {
    pub(in crate::rules) value: Value,
    pub(in crate::rules) base: Base,
}

impl Literal {
    pub(in crate::rules) fn as_value(&self) -> TypedValue<'_> {
        read_one(&self.value, self.base.one())
    }
}

/// Where paths get their values.
pub(in crate::rules) trait Values {
    /// The value of an attribute; absent where it is null.
    fn at(&self, path: Path) -> TypedValue<'_>;
    /// The time of the question, in microseconds.
    fn now(&self) -> i64;
}
