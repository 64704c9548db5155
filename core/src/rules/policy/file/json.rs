//! JSON to the tree. serde_json says whether the file is valid; the walk that follows knows where everything stands.

use hashbrown::HashMap;
use serde::de::IgnoredAny;

use super::{MAX_DEPTH, MAX_PARTS, Node, Tree, too_deep, too_many_parts};

use crate::model::{deferred::Deferred, input};
use crate::rules::{Diagnostics, Span, Text, shown};

pub(super) fn parse(text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    if let Some(at) = too_many(text) {
        too_many_parts(at, diagnostics);
        return None;
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Reader { file: text, at: 0, diagnostics }.node(0),
        Err(error) => {
            tell(text, 0, &error, diagnostics);
            None
        }
    }
}

type Tell = fn(&str, usize, &serde_json::Error, &mut Diagnostics);

/// What is wrong with a file that is no JSON: what browsers load on demand.
static UNREADABLE: Deferred<Tell> = Deferred::new(unreadable);

#[cfg(feature = "bindings")]
pub(super) fn load_deferred() {
    UNREADABLE.load(unreadable);
}

/// Tells what is wrong from `start` on; where the words are not loaded, that something is.
fn tell(file: &str, start: usize, error: &serde_json::Error, diagnostics: &mut Diagnostics) {
    match UNREADABLE.get() {
        Ok(tell) => tell(file, start, error, diagnostics),
        Err(_) => drop(diagnostics.add(Span::CODE, String::new())),
    }
}

/// Each of its functions answers none where the file cannot be read.
struct Reader<'s, 'd> {
    /// Valid JSON, but that its strings may hold escapes of no character.
    file: &'s str,
    at: usize,
    diagnostics: &'d mut Diagnostics,
}

impl<'s> Reader<'s, '_> {
    fn node(&mut self, depth: usize) -> Option<Node> {
        let (first, start) = (self.next()?, self.at);
        let value = match first {
            b'{' if depth < MAX_DEPTH => Tree::Table(self.table(depth)?),
            b'[' if depth < MAX_DEPTH => Tree::List(self.list(depth)?),
            b'"' => Tree::Text(self.text()?),
            _ => {
                let raw = self.raw()?;
                match first {
                    b'{' | b'[' => too_deep(Span::of(start..self.at), self.diagnostics),
                    b't' => Tree::Bool(true),
                    b'f' => Tree::Bool(false),
                    b'n' => Tree::Other("null"),
                    _ => match raw.parse() {
                        Ok(int) => Tree::Int(int),
                        Err(_) => Tree::Other("a number with a fraction, an exponent or more than 64 bits"),
                    },
                }
            }
        };
        Some(Node { span: Span::of(start..self.at), value })
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        self.at += 1;
        while self.next()? != b']' {
            items.push(self.node(depth + 1)?);
            self.pass(b',')?;
        }
        self.at += 1;
        Some(items)
    }

    fn table(&mut self, depth: usize) -> Option<Vec<(Text, Node)>> {
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut table = Vec::new();
        self.at += 1;
        while self.next()? != b'}' {
            let start = self.at;
            let text = self.text()?;
            let span = Span::of(start + 1..self.at - 1);
            self.pass(b':')?;
            if let Some(first) = seen.get(&text) {
                let twice = self.diagnostics.add(span, format!("`{}` is given twice", shown(&text)));
                twice.label("given again").first(*first, "first given");
                self.raw()?;
            } else {
                seen.insert(text.clone(), span);
                table.push((Text { text, span }, self.node(depth + 1)?));
            }
            self.pass(b',')?;
        }
        self.at += 1;
        Some(table)
    }

    fn text(&mut self) -> Option<String> {
        let start = self.at;
        let problem = match input::string(self.raw()?) {
            Ok(text) => return Some(text),
            Err(problem) => problem,
        };
        tell(self.file, start, &problem, self.diagnostics);
        None
    }

    /// What begins here, after any space.
    fn next(&mut self) -> Option<u8> {
        let rest = self.file.as_bytes().get(self.at..)?;
        self.at += rest.iter().position(|byte| !is_space(*byte))?;
        self.file.as_bytes().get(self.at).copied()
    }

    /// Goes past this sign, if it is what follows.
    fn pass(&mut self, sign: u8) -> Option<()> {
        self.at += usize::from(self.next()? == sign);
        Some(())
    }

    /// Goes past a whole value.
    fn raw(&mut self) -> Option<&'s str> {
        let first = self.next()?;
        let rest = self.file.get(self.at..)?;
        let length = match first {
            b'{' | b'[' | b'"' => length_of(rest),
            _ => rest.bytes().take_while(|byte| !matches!(byte, b',' | b']' | b'}') && !is_space(*byte)).count(),
        };
        self.at += length;
        rest.get(..length)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The signs of JSON, each with its place and whether a string goes on after it: all bytes outside strings, and the quotes around them.
fn signs(text: &str) -> impl Iterator<Item = (usize, u8, bool)> {
    let (mut is_text, mut is_escaped) = (false, false);
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        let was_text = is_text;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ => {}
        }
        (!was_text || !is_text).then_some((at, byte, is_text))
    })
}

/// How long the string, list or object is that a text begins with.
fn length_of(text: &str) -> usize {
    let mut depth = 0_usize;
    let last = signs(text).find(|(_, byte, is_text)| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && !is_text
    });
    last.map_or(text.len(), |(last, ..)| last + 1)
}

/// Where the parts outnumber [`MAX_PARTS`], strings apart.
fn too_many(text: &str) -> Option<usize> {
    let parts = signs(text).filter(|(_, byte, _)| matches!(byte, b',' | b':' | b'[' | b'{'));
    parts.map(|(at, ..)| at).nth(MAX_PARTS)
}

/// What is wrong with a file of which the part that begins at `start` is not valid JSON.
fn unreadable(text: &str, start: usize, error: &serde_json::Error, diagnostics: &mut Diagnostics) {
    let end = text.trim_end().len();
    let message = message(error);
    if end == 0 {
        diagnostics.add(Span::of(0..0), "the file is empty").help("a policy without any roles is written `{}`");
    } else if error.is_eof() {
        let within = message.strip_prefix("EOF while parsing ").unwrap_or("something");
        diagnostics.add(Span::of(end..end), format!("the file ends within {within}"));
    } else {
        let span = at(text, start, error);
        let is_after_comma =
            start == 0 && text.get(..span.start as usize).is_some_and(|before| before.trim_end().ends_with(','));
        let help = is_after_comma.then(|| "JSON allows no comma after the last item".to_owned());
        diagnostics.add(span, message.replace("expected value", "expected a value")).help_if(help);
    }
}

/// The place that serde_json names (line and byte of the line, both from 1) in the part of the file
/// that begins at `start`.
fn at(file: &str, start: usize, error: &serde_json::Error) -> Span {
    let lines = error.line().saturating_sub(1);
    let part = file.get(start..).unwrap_or_default();
    let line_start: usize = part.split_inclusive('\n').take(lines).map(str::len).sum();
    let at = start + line_start + error.column().saturating_sub(1);
    Span::of(at..at)
}

/// What serde_json says, without its own "at line 1 column 2".
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}
