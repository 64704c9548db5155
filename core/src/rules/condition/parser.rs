//! Tokens to a tree of names, by the grammar of RBAC.md. Bounded, so that no input exhausts the stack.

use super::{
    Flaw,
    lexer::{Kind, Token, tokens},
};

/// The longest condition, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// The most comparisons in one condition: what it becomes in SQL is bounded, too.
const MAX_TESTS: usize = 500;
/// The deepest nesting of parentheses.
const MAX_DEPTH: usize = 32;

/// A condition, names not yet resolved.
#[derive(Debug)]
pub(in crate::rules) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Test(RawTest),
}

/// One comparison and the bytes that it covers.
#[derive(Debug)]
pub(in crate::rules) struct RawTest {
    pub(super) kind: TestKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
pub(super) enum TestKind {
    Has(RawPath),
    Compare(RawValue, Operator, RawValue),
    /// A string after `in` is a range of addresses.
    In(RawValue, RawSet),
    Contains(RawPath, RawValue),
    StartsWith(RawValue, RawValue),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum RawSet {
    Literals(Vec<RawValue>),
    Path(RawPath),
    Range(RawValue),
}

/// `resource.owner_id`.
#[derive(Debug)]
pub(super) struct RawPath {
    pub(super) root: Root,
    pub(super) name: String,
    pub(super) start: usize,
    /// Where the name begins.
    pub(super) name_at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rules) enum Root {
    Principal,
    Resource,
    Context,
}

/// A value: what it is, moved by a duration.
#[derive(Debug)]
pub(super) struct RawValue {
    pub(super) atom: Atom,
    /// In microseconds; none: not moved.
    pub(super) offset: Option<i64>,
    pub(super) start: usize,
}

#[derive(Debug)]
pub(super) enum Atom {
    Path(RawPath),
    Text(String),
    Int(i64),
    Bool(bool),
    Duration(i64),
    Now,
}

/// Parses a whole condition.
pub(in crate::rules) fn parse(text: &str) -> Result<Expr, Flaw> {
    if text.len() > MAX_BYTES {
        return Err(Flaw::new(0, format!("a condition has at most {MAX_BYTES} bytes")));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, tests: 0, end: 0 };
    let expr = parser.any(0)?;
    match parser.kind() {
        Kind::End => Ok(expr),
        Kind::Word(word) if is_like(word, &["and", "or"]) => Err(parser.expected("`and` or `or`")),
        _ => Err(parser.expected("`and`, `or` or the end")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    tests: usize,
    /// Where the last token taken ended.
    end: usize,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Expr, Flaw> {
        let mut parts = vec![self.all(depth)?];
        while self.takes("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Expr, Flaw> {
        let mut parts = vec![self.not(depth)?];
        while self.takes("and") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::All(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Expr, Flaw> {
        if self.takes("not") {
            if matches!(self.kind(), Kind::Word(word) if word == "not") {
                return Err(Flaw::new(self.start(), "`not` stands once").help("write `not (not …)`, or neither"));
            }
            return Ok(Expr::Not(Box::new(self.relation(depth)?)));
        }
        self.relation(depth)
    }

    fn relation(&mut self, depth: usize) -> Result<Expr, Flaw> {
        if self.is_sign("(") {
            if depth == MAX_DEPTH {
                return Err(Flaw::new(self.start(), format!("more than {MAX_DEPTH} parentheses are open")));
            }
            self.take();
            let inner = self.any(depth + 1)?;
            self.takes_sign(")").then_some(inner).ok_or_else(|| self.expected("`)`"))
        } else {
            self.test().map(Expr::Test)
        }
    }

    fn test(&mut self) -> Result<RawTest, Flaw> {
        let start = self.start();
        self.tests += 1;
        if self.tests > MAX_TESTS {
            let help = "many values of one attribute are written `resource.id in [\"…\", \"…\"]`";
            return Err(Flaw::new(start, format!("a condition has at most {MAX_TESTS} comparisons")).help(help));
        }
        let kind = if self.takes("has") { TestKind::Has(self.path()?) } else { self.comparison()? };
        Ok(RawTest { kind, start, end: self.end })
    }

    fn comparison(&mut self) -> Result<TestKind, Flaw> {
        let left = self.value()?;
        if let Some(operator) = self.operator() {
            return Ok(TestKind::Compare(left, operator, self.value()?));
        }
        if self.takes("in") {
            return Ok(TestKind::In(left, self.set()?));
        }
        if self.takes("starts_with") {
            return Ok(TestKind::StartsWith(left, self.value()?));
        }
        if self.takes("contains") {
            let at = left.start;
            return match left {
                RawValue { atom: Atom::Path(path), offset: None, .. } => Ok(TestKind::Contains(path, self.value()?)),
                _ => Err(Flaw::new(at, "only an attribute or relation can contain something")),
            };
        }
        let flaw = self.expected("a comparison");
        Err(match &left.atom {
            _ if flaw.help.is_some() => flaw,
            Atom::Path(path) if left.offset.is_none() => {
                let path = format!("{}.{}", path.root.word(), crate::rules::diagnostics::shown(&path.name));
                flaw.help(format!("of a bool write `{path} == true`"))
            }
            _ => flaw.help("there are == != < <= > >= in contains starts_with"),
        })
    }

    fn operator(&mut self) -> Option<Operator> {
        let Kind::Sign(sign) = self.kind() else { return None };
        let operator = match *sign {
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            _ => return None,
        };
        self.take();
        Some(operator)
    }

    fn set(&mut self) -> Result<RawSet, Flaw> {
        if self.takes_sign("[") {
            let mut literals = Vec::new();
            while !self.takes_sign("]") {
                literals.push(self.value()?);
                if !self.takes_sign(",") && !self.is_sign("]") {
                    return Err(self.expected("`,` or `]`"));
                }
            }
            return Ok(RawSet::Literals(literals));
        }
        match self.kind() {
            Kind::Text(_) => self.value().map(RawSet::Range),
            Kind::Word(_) => self.path().map(RawSet::Path),
            _ => Err(self.expected("a set such as [\"a\", \"b\"], a path, or a range such as \"10.0.0.0/8\"")),
        }
    }

    fn value(&mut self) -> Result<RawValue, Flaw> {
        let start = self.start();
        let is_negative = self.is_sign("-");
        if is_negative {
            self.take();
        }
        let atom = match self.kind().clone() {
            Kind::Int(int) => {
                let signed = if is_negative { 0_i64.checked_sub_unsigned(int) } else { i64::try_from(int).ok() };
                self.take();
                Atom::Int(signed.ok_or_else(|| Flaw::new(start, "this integer is beyond 64 bits"))?)
            }
            Kind::Duration(micros) => {
                self.take();
                Atom::Duration(if is_negative { -micros } else { micros })
            }
            _ if is_negative => return Err(self.expected("an integer or a duration")),
            Kind::Text(text) => {
                self.take();
                Atom::Text(text)
            }
            Kind::Word(word) => match word.as_str() {
                "true" | "false" => {
                    self.take();
                    Atom::Bool(word == "true")
                }
                "now" => {
                    self.take();
                    Atom::Now
                }
                _ => Atom::Path(self.path()?),
            },
            _ => return Err(self.expected("a value")),
        };
        let offset = match atom {
            Atom::Path(_) | Atom::Now => self.offset()?,
            _ => None,
        };
        Ok(RawValue { atom, offset, start })
    }

    fn offset(&mut self) -> Result<Option<i64>, Flaw> {
        let sign = if self.is_sign("+") {
            1
        } else if self.is_sign("-") {
            -1
        } else {
            return Ok(None);
        };
        self.take();
        match *self.kind() {
            Kind::Duration(micros) => {
                self.take();
                Ok(Some(sign * micros))
            }
            _ => Err(self.expected("a duration such as 7d or 1h30m")),
        }
    }

    fn path(&mut self) -> Result<RawPath, Flaw> {
        let start = self.start();
        let roots = ["principal", "resource", "context"];
        let root = match self.kind() {
            Kind::Word(word) => match word.as_str() {
                "principal" => Root::Principal,
                "resource" => Root::Resource,
                "context" => Root::Context,
                _ => {
                    let known = roots.into_iter().chain(["now", "true", "false"]).filter(|known| known != word);
                    let near = crate::model::decode::nearest(word, known);
                    let flaw = Flaw::new(start, format!("{} is not a value", self.kind().shown()));
                    return Err(match near {
                        _ if ["null", "none", "nil"].contains(&word.to_ascii_lowercase().as_str()) => {
                            flaw.help("`has resource.id` asks whether there is a value, `not has resource.id` whether there is none")
                        }
                        Some(near) => flaw.help(format!("did you mean `{near}`?")),
                        None => flaw.help("a path begins with principal, resource or context; text stands in quotes"),
                    });
                }
            },
            _ => return Err(self.expected("a path such as resource.id")),
        };
        self.take();
        if !self.takes_sign(".") {
            return Err(self.expected("`.` and the name of an attribute"));
        }
        let name_at = self.start();
        let Kind::Word(name) = self.kind().clone() else { return Err(self.expected("the name of an attribute")) };
        self.take();
        if self.is_sign(".") {
            return Err(Flaw::new(self.start(), "attributes have no parts"));
        }
        Ok(RawPath { root, name, start, name_at })
    }

    fn kind(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn start(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |token| token.start)
    }

    fn take(&mut self) {
        if let Some(token) = self.tokens.get(self.at) {
            self.end = token.end;
            self.at += 1;
        }
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let is_it = matches!(self.kind(), Kind::Word(word) if word == keyword);
        if is_it {
            self.take();
        }
        is_it
    }

    fn is_sign(&self, wanted: &str) -> bool {
        matches!(self.kind(), Kind::Sign(sign) if *sign == wanted)
    }

    fn takes_sign(&mut self, wanted: &str) -> bool {
        let is_it = self.is_sign(wanted);
        if is_it {
            self.take();
        }
        is_it
    }

    fn expected(&self, what: &str) -> Flaw {
        const KEYWORDS: &[&str] = &["and", "or", "not", "in", "has", "contains", "starts_with"];
        let flaw = Flaw::new(self.start(), format!("expected {what}, found {}", self.kind().shown()));
        match self.kind() {
            Kind::Word(word) if !KEYWORDS.contains(&word.as_str()) => {
                let near = crate::model::decode::nearest(&word.to_ascii_lowercase(), KEYWORDS.iter().copied());
                match near {
                    Some(near) => flaw.help(format!("did you mean `{near}`?")),
                    None => flaw,
                }
            }
            _ => flaw,
        }
    }
}

impl Root {
    pub(in crate::rules) fn word(self) -> &'static str {
        match self {
            Root::Principal => "principal",
            Root::Resource => "resource",
            Root::Context => "context",
        }
    }
}

fn is_like(word: &str, known: &[&str]) -> bool {
    known.contains(&word.to_ascii_lowercase().as_str())
}
