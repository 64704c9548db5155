//! Tokens to typed tests and a tree of them, by the grammar of docs/rules.md ("Conditions"). Bounded, so that no input
//! exhausts the stack.

use super::{
    check::{Typed, Value},
    lexer::{Kind, Token, tokens},
    presence,
};

use crate::model::{decode::nearest, predicate::Comparison};
use crate::rules::{Base, Condition, ConditionError, Path, Source, Test, TestKind, Tree, Vocabulary, shown};

/// The longest condition, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// The most comparisons in one condition: what it becomes in SQL is bounded, too.
const MAX_TESTS: usize = 500;
/// The deepest nesting of parentheses.
const MAX_DEPTH: usize = 32;

const KEYWORDS: &[&str] = &["and", "or", "not", "in", "has", "contains", "starts_with"];

const OPERATORS: &[(&str, Comparison)] = &[
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterOrEqual),
];

/// Whose attribute a path reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rules) enum Root {
    Principal,
    Resource,
    Context,
}

impl Root {
    const ALL: [Root; 3] = [Root::Principal, Root::Resource, Root::Context];

    pub(in crate::rules) fn word(self) -> &'static str {
        match self {
            Root::Principal => "principal",
            Root::Resource => "resource",
            Root::Context => "context",
        }
    }
}

/// A part of a text that follows the grammar.
type Parsed<T> = Result<T, ConditionError>;

/// Whether a text follows the grammar, whatever its names mean.
pub(in crate::rules) fn check_grammar(text: &str) -> Result<(), ConditionError> {
    parsed(text, &Vocabulary::default()).map(drop)
}

/// The condition as one resource type has it. Everything that could go wrong goes wrong now, at load; never at a check.
pub(in crate::rules) fn parse(
    text: &str,
    is_deny: bool,
    vocabulary: &Vocabulary<'_>,
) -> Result<Condition, Vec<ConditionError>> {
    let (tree, errors) = parsed(text, vocabulary).map_err(|error| vec![error])?;
    if !errors.is_empty() {
        return Err(errors);
    }
    let condition = Condition::new(text, tree);
    let errors = presence::undecided(&condition, is_deny, vocabulary);
    if errors.is_empty() { Ok(condition) } else { Err(errors) }
}

/// The tree, and what is wrong with the names and types of its tests.
fn parsed(text: &str, vocabulary: &Vocabulary<'_>) -> Parsed<(Tree, Vec<ConditionError>)> {
    if text.len() > MAX_BYTES {
        return Err(ConditionError::new(0, format!("a condition has at most {MAX_BYTES} bytes")));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, vocabulary, tokens, at: 0, end: 0, count: 0, errors: Vec::new() };
    let tree = parser.any(0)?;
    match parser.kind() {
        Kind::End => Ok((tree, parser.errors)),
        Kind::Word(word) if ["and", "or"].contains(&word.to_ascii_lowercase().as_str()) => {
            Err(parser.expected("`and` or `or`"))
        }
        _ => Err(parser.expected("`and`, `or` or the end")),
    }
}

struct Parser<'c> {
    text: &'c str,
    vocabulary: &'c Vocabulary<'c>,
    tokens: Vec<Token>,
    at: usize,
    /// Where the last token taken ended.
    end: usize,
    /// How many tests were met.
    count: usize,
    /// What is wrong with their names and types.
    errors: Vec<ConditionError>,
}

impl<'c> Parser<'c> {
    fn any(&mut self, depth: usize) -> Parsed<Tree> {
        self.chain("or", Tree::Any, |parser| parser.all(depth))
    }

    fn all(&mut self, depth: usize) -> Parsed<Tree> {
        self.chain("and", Tree::All, |parser| parser.not(depth))
    }

    fn chain(
        &mut self,
        word: &str,
        whole: fn(Vec<Tree>) -> Tree,
        part: impl Fn(&mut Self) -> Parsed<Tree>,
    ) -> Parsed<Tree> {
        let mut parts = vec![part(self)?];
        while self.takes(word) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { whole(parts) })
    }

    fn not(&mut self, depth: usize) -> Parsed<Tree> {
        if !self.takes("not") {
            return self.relation(depth);
        }
        if self.is_word("not") {
            return ConditionError::helped(
                self.start(),
                "`not` cannot follow `not`",
                "write `not (not …)`, or neither",
            );
        }
        Ok(Tree::Not(Box::new(self.relation(depth)?)))
    }

    fn relation(&mut self, depth: usize) -> Parsed<Tree> {
        let start = self.start();
        if !self.takes_sign("(") {
            return self.test();
        }
        if depth == MAX_DEPTH {
            return Err(ConditionError::new(start, format!("more than {MAX_DEPTH} parentheses are open")));
        }
        let inner = self.any(depth + 1)?;
        if self.takes_sign(")") { Ok(inner) } else { Err(self.expected("`)`")) }
    }

    fn test(&mut self) -> Parsed<Tree> {
        let start = self.start();
        self.count += 1;
        if self.count > MAX_TESTS {
            return ConditionError::helped(
                start,
                format!("a condition has at most {MAX_TESTS} comparisons"),
                "many values of one attribute are written `resource.id in [\"…\", \"…\"]`",
            );
        }
        let kind = if self.takes("has") { self.path()?.map(TestKind::Has) } else { self.comparison(start)? };
        Ok(match kind {
            Ok(kind) => Tree::Test(Test { kind, text: self.written(start).into(), start }),
            Err(error) => {
                self.errors.push(error);
                Tree::Any(Vec::new())
            }
        })
    }

    fn comparison(&mut self, start: usize) -> Parsed<Typed<TestKind>> {
        let left = self.value()?;
        let written = self.written(start);
        let of_path = |byte: u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"_.".contains(&byte);
        let is_path = written.contains('.') && written.bytes().all(of_path);
        if let Some(operator) = self.operator() {
            let right = self.value()?;
            return Ok(left.and_then(|left| left.compare(operator, right?)));
        }
        if self.takes("in") {
            return self.within(left);
        }
        if self.takes("starts_with") {
            let prefix = self.value()?;
            return Ok(left.and_then(|left| left.starts_with(prefix)));
        }
        if self.takes("contains") {
            if !is_path {
                return Err(ConditionError::new(start, "only an attribute or relation can contain something"));
            }
            let one = self.value()?;
            return Ok(left.and_then(|set| Value::in_path(one, set.path()?, start)));
        }
        let error = self.expected("a comparison");
        Err(match error.help {
            Some(_) => error,
            None if is_path => {
                let path: String = written.split_whitespace().collect();
                error.help(format!("of a bool write `{} == true`", shown(&path)))
            }
            None => error.help("there are == != < <= > >= in contains starts_with"),
        })
    }

    /// What was taken from here on.
    fn written(&self, start: usize) -> &'c str {
        self.text.get(start..self.end).unwrap_or_default()
    }

    fn operator(&mut self) -> Option<Comparison> {
        let Kind::Sign(sign) = self.kind() else { return None };
        let (_, operator) = OPERATORS.iter().find(|(written, _)| written == sign)?;
        self.take();
        Some(*operator)
    }

    /// What stands after `in`: a list, a path, or a range of addresses.
    fn within(&mut self, one: Typed<Value>) -> Parsed<Typed<TestKind>> {
        let start = self.start();
        if self.takes_sign("[") {
            let mut literals = Vec::new();
            while !self.takes_sign("]") {
                literals.push(self.value()?);
                if !self.takes_sign(",") && !self.is_sign("]") {
                    return Err(self.expected("`,` or `]`"));
                }
            }
            return Ok(one.and_then(|one| one.in_literals(literals)));
        }
        match self.kind() {
            Kind::Text(_) => {
                let range = self.value()?;
                Ok(one.and_then(|one| one.in_range(range)))
            }
            Kind::Word(_) => {
                let set = self.path()?;
                Ok(set.and_then(|set| Value::in_path(one, set, start)))
            }
            _ => Err(self.expected("a set such as [\"a\", \"b\"], a path, or a range such as \"10.0.0.0/8\"")),
        }
    }

    fn value(&mut self) -> Parsed<Typed<Value>> {
        let start = self.start();
        let is_negative = self.takes_sign("-");
        let value = match self.kind().clone() {
            Kind::Int(int) => {
                let signed = if is_negative { 0_i64.checked_sub_unsigned(int) } else { i64::try_from(int).ok() };
                let int = signed.ok_or_else(|| ConditionError::new(start, "this integer is beyond 64 bits"))?;
                Value::literal(start, int, Base::Int)
            }
            Kind::Duration(micros) => Value::literal(start, if is_negative { -micros } else { micros }, Base::Duration),
            _ if is_negative => return Err(self.expected("an integer or a duration")),
            Kind::Text(text) => Value::open(start, text),
            Kind::Word(word) if word == "true" || word == "false" => Value::literal(start, word == "true", Base::Bool),
            Kind::Word(word) if word == "now" => {
                self.take();
                let offset = self.offset()?;
                return Ok(Value::moved(start, Source::Now, Base::Time.one(), offset));
            }
            Kind::Word(_) => {
                let path = self.path()?;
                let offset = self.offset()?;
                return Ok(path.and_then(|path| Value::moved(start, Source::Path(path), path.ty, offset)));
            }
            _ => return Err(self.expected("a value")),
        };
        self.take();
        Ok(Ok(value))
    }

    /// By how many microseconds a time is moved.
    fn offset(&mut self) -> Parsed<Option<i64>> {
        let is_earlier = self.is_sign("-");
        if !is_earlier && !self.is_sign("+") {
            return Ok(None);
        }
        self.take();
        let Kind::Duration(micros) = *self.kind() else { return Err(self.expected("a duration such as 7d or 1h30m")) };
        self.take();
        Ok(Some(if is_earlier { -micros } else { micros }))
    }

    fn path(&mut self) -> Parsed<Typed<Path>> {
        let Kind::Word(word) = self.kind() else { return Err(self.expected("a path such as resource.id")) };
        let Some(root) = Root::ALL.into_iter().find(|root| root.word() == word) else {
            return Err(self.no_root(word));
        };
        self.take();
        if !self.takes_sign(".") {
            return Err(self.expected("`.` and the name of an attribute"));
        }
        let name_start = self.start();
        let Kind::Word(name) = self.kind().clone() else { return Err(self.expected("the name of an attribute")) };
        self.take();
        if self.is_sign(".") {
            return Err(ConditionError::new(self.start(), "attributes have no parts"));
        }
        Ok(self.vocabulary.path(root, &name, name_start))
    }

    /// A word stands where a value or path begins, and is neither.
    fn no_root(&self, word: &str) -> ConditionError {
        let error = ConditionError::new(self.start(), format!("{} is not a value", self.kind().shown()));
        if ["null", "none", "nil"].contains(&word.to_ascii_lowercase().as_str()) {
            return error
                .help("`has resource.id` asks whether there is a value, `not has resource.id` whether there is none");
        }
        let known = Root::ALL.into_iter().map(Root::word).chain(["now", "true", "false"]);
        match nearest(word, known.filter(|known| *known != word)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("a path begins with principal, resource or context; text is written in quotes"),
        }
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

    fn is_word(&self, wanted: &str) -> bool {
        matches!(self.kind(), Kind::Word(word) if word == wanted)
    }

    fn is_sign(&self, wanted: &str) -> bool {
        matches!(self.kind(), Kind::Sign(sign) if *sign == wanted)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_it = self.is_word(word);
        is_it.then(|| self.take()).is_some()
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_it = self.is_sign(sign);
        is_it.then(|| self.take()).is_some()
    }

    fn expected(&self, what: &str) -> ConditionError {
        let error = ConditionError::new(self.start(), format!("expected {what}, found {}", self.kind().shown()));
        let Kind::Word(word) = self.kind() else { return error };
        if KEYWORDS.contains(&word.as_str()) {
            return error;
        }
        match nearest(&word.to_ascii_lowercase(), KEYWORDS.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }
}
