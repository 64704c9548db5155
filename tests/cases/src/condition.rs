//! Random conditions that load: as a tree, for a reference to evaluate, and as text.

use uuid::Uuid;

use rolekeep::{Time, Value};

use super::Choices;

/// A condition of the language.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `and`
    All(Vec<Condition>),
    /// `or`
    Any(Vec<Condition>),
    /// `not`
    Not(Box<Condition>),
    /// `has path`
    Has(Operand),
    /// `left operator right`, the operator as written
    Compare(Operand, &'static str, Operand),
    /// `value in […]`
    In(Operand, Vec<Operand>),
    /// `set contains value`
    Contains(Operand, Operand),
    /// `value starts_with "…"`
    StartsWith(Operand, String),
}

/// A value of a condition; times may be moved by microseconds.
#[derive(Clone, Debug)]
pub enum Operand {
    /// An attribute: root, name, whether it may be absent, moved by.
    Path(&'static str, &'static str, bool, i64),
    /// A constant.
    Literal(Value),
    /// `now`, moved by.
    Now(i64),
}

/// The types that operands are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `string`
    Text,
    /// `id`
    Id,
    /// `time`
    Time,
}

type Path = (&'static str, &'static str, Shape, bool);

/// What conditions on a thing can read; sets apart.
const PATHS: &[Path] = &[
    ("resource", "id", Shape::Id, false),
    ("resource", "code", Shape::Text, false),
    ("resource", "label", Shape::Text, true),
    ("resource", "region_id", Shape::Id, true),
    ("resource", "owner_id", Shape::Id, true),
    ("resource", "count", Shape::Int, true),
    ("resource", "flag", Shape::Bool, true),
    ("resource", "made_at", Shape::Time, false),
    ("resource", "seen_at", Shape::Time, true),
    ("principal", "id", Shape::Id, false),
    ("principal", "verified", Shape::Bool, false),
    ("principal", "username", Shape::Text, false),
    ("principal", "region_id", Shape::Id, true),
    ("principal", "level", Shape::Int, true),
    ("principal", "joined_at", Shape::Time, true),
    ("context", "hour", Shape::Int, false),
    ("context", "tag", Shape::Text, true),
];

/// Texts that have broken somebody's SQL.
const TEXTS: &[&str] = &["", "a", "A", "ä", "a\u{308}", "a'b", "a\"b\\", "%", "_", "日本", "ß", "a\u{0}b"];

impl Choices {
    /// One of a few ids, so that equality happens.
    pub fn id(&mut self) -> Uuid {
        Uuid::from_u128(1 + self.below(4) as u128)
    }

    /// Text with quotes, wildcards and letters beyond ASCII, without NUL.
    pub fn text(&mut self) -> String {
        // The last is refused at entry, so no column holds it.
        (*self.one(&TEXTS[..TEXTS.len() - 1])).to_owned()
    }

    /// A value of a shape.
    pub fn value(&mut self, shape: Shape) -> Value {
        match shape {
            Shape::Bool => Value::Bool(self.once_in(2)),
            Shape::Int => Value::Int(*self.one(&[0, 1, -1, 7, i64::MAX, i64::MIN])),
            Shape::Text => Value::Text(self.text()),
            Shape::Id => Value::Id(self.id()),
            Shape::Time => Value::Time(START + *self.one(&[0, 1, -1, HOUR, 2 * HOUR])),
        }
    }

    /// The same, or null.
    pub fn nullable(&mut self, shape: Shape) -> Value {
        if self.once_in(3) { Value::Null } else { self.value(shape) }
    }

    /// A condition that loads: optional paths are guarded wherever absence must be decided.
    pub fn condition(&mut self, is_strict: bool, depth: usize) -> Condition {
        match if depth == 0 { 0 } else { self.below(5) } {
            1 => Condition::All(self.conditions(is_strict, depth)),
            2 => Condition::Any(self.conditions(is_strict, depth)),
            3 => Condition::Not(Box::new(self.condition(true, depth - 1))),
            _ => {
                let test = self.test();
                let is_strict = is_strict || matches!(test, Condition::Compare(_, "!=", _));
                if is_strict { self.guarded(test) } else { test }
            }
        }
    }

    fn conditions(&mut self, is_strict: bool, depth: usize) -> Vec<Condition> {
        (0..1 + self.below(3)).map(|_| self.condition(is_strict, depth - 1)).collect()
    }

    fn guarded(&mut self, test: Condition) -> Condition {
        let optional: Vec<Operand> = test.operands().into_iter().filter_map(Operand::where_optional).collect();
        if optional.is_empty() || matches!(test, Condition::Has(_)) {
            return test;
        }
        let has = optional.into_iter().map(Condition::Has);
        if self.once_in(2) {
            Condition::Any(has.map(|has| Condition::Not(Box::new(has))).chain([test]).collect())
        } else {
            Condition::All([test].into_iter().chain(has).collect())
        }
    }

    fn test(&mut self) -> Condition {
        match self.below(8) {
            0 => Condition::Has(self.path(|_| true)),
            1 => {
                let operand = self.path(|path| path.2 == Shape::Text);
                Condition::StartsWith(operand, self.text())
            }
            2 => {
                let set = match self.once_in(3) {
                    true => Operand::Path("principal", "teams", true, 0),
                    false => Operand::Path("resource", "assigned_users", false, 0),
                };
                let one = if self.once_in(3) {
                    Operand::Literal(self.value(Shape::Id))
                } else {
                    self.path(|path| path.2 == Shape::Id)
                };
                Condition::Contains(set, one)
            }
            3 => {
                let (operand, shape) = self.operand();
                let literals = (0..self.below(4)).map(|_| Operand::Literal(self.value(shape))).collect();
                Condition::In(operand, literals)
            }
            _ => {
                let (left, shape) = self.operand();
                let right = match self.below(3) {
                    0 => Operand::Literal(self.value(shape)),
                    1 if shape == Shape::Time => Operand::Now(*self.one(&[0, HOUR, -HOUR])),
                    _ => self.path(|path| path.2 == shape),
                };
                let ordered = matches!(shape, Shape::Int | Shape::Text | Shape::Time);
                let operators = ["==", "!=", "<", "<=", ">", ">="];
                let operator = *self.one(if ordered { &operators } else { &operators[..2] });
                if self.once_in(4) {
                    Condition::Compare(right, operator, left)
                } else {
                    Condition::Compare(left, operator, right)
                }
            }
        }
    }

    fn operand(&mut self) -> (Operand, Shape) {
        let path = *self.one(PATHS);
        (self.moved(path), path.2)
    }

    fn path(&mut self, fits: impl Fn(&Path) -> bool) -> Operand {
        let fitting: Vec<Path> = PATHS.iter().copied().filter(fits).collect();
        let path = *self.one(&fitting);
        Operand::Path(path.0, path.1, self.may_be_absent(path), 0)
    }

    fn moved(&mut self, path: Path) -> Operand {
        let by = if path.2 == Shape::Time { *self.one(&[0, HOUR, -HOUR]) } else { 0 };
        Operand::Path(path.0, path.1, self.may_be_absent(path), by)
    }

    fn may_be_absent(&self, (root, name, _, is_optional): Path) -> bool {
        is_optional || self.grants_anonymous && root == "principal" && name != "verified"
    }
}

/// The time that generated cases turn around, 2026-06-01T12:00:00Z, in microseconds.
pub(super) const START: i64 = 1_780_315_200_000_000;
pub(super) const HOUR: i64 = 3_600_000_000;

impl Condition {
    fn operands(&self) -> Vec<&Operand> {
        match self {
            Condition::Has(one) | Condition::StartsWith(one, _) => vec![one],
            Condition::Compare(left, _, right) | Condition::Contains(left, right) => vec![left, right],
            Condition::In(one, _) => vec![one],
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) => Vec::new(),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let joined = |f: &mut std::fmt::Formatter<'_>, parts: &[Condition], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                let before = if index == 0 { "" } else { word };
                write!(f, "{before}({part})")?;
            }
            Ok(())
        };
        match self {
            Condition::All(parts) => joined(f, parts, " and "),
            Condition::Any(parts) => joined(f, parts, " or "),
            Condition::Not(inner) => write!(f, "not ({inner})"),
            Condition::Has(path) => write!(f, "has {path}"),
            Condition::Compare(left, operator, right) => write!(f, "{left} {operator} {right}"),
            Condition::In(one, literals) => {
                let literals: Vec<String> = literals.iter().map(Operand::to_string).collect();
                write!(f, "{one} in [{}]", literals.join(", "))
            }
            Condition::Contains(set, one) => write!(f, "{set} contains {one}"),
            Condition::StartsWith(one, prefix) => write!(f, "{one} starts_with {}", quoted(prefix)),
        }
    }
}

impl Operand {
    /// The path itself, where it may be absent.
    fn where_optional(&self) -> Option<Self> {
        match self {
            Operand::Path(root, name, true, _) => Some(Operand::Path(root, name, true, 0)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = match self {
            Operand::Path(root, name, _, by) => {
                write!(f, "{root}.{name}")?;
                *by
            }
            Operand::Now(by) => {
                f.write_str("now")?;
                *by
            }
            Operand::Literal(value) => return f.write_str(&literal(value)),
        };
        match by {
            0 => Ok(()),
            by if by > 0 => write!(f, " + {by}us"),
            by => write!(f, " - {}us", -by),
        }
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Id(id) => format!("\"{id}\""),
        Value::Time(micros) => format!("\"{}\"", Time::from_microsecond(*micros).unwrap_or_default()),
        Value::Text(text) => quoted(text),
        Value::Json(text) => quoted(text),
        Value::Null => "\"\"".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
