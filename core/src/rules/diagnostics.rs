//! Problems of a policy: gathered while reading and compiling, placed in the file at the end.

use std::{ops::Range, sync::Arc};

use crate::model::{
    decode::nearest,
    deferred::Deferred,
    error::{Error, Problem, Reason, Result},
    report::{Earlier, Mark, Marked},
};
use crate::rules::policy::file::literal;

/// Suggestions cost a comparison with every known name, so a file full of mistakes gets some only.
const MAX_SUGGESTIONS: u32 = 100;

/// More problems are counted, not told.
const MAX_TOLD: usize = 20_000;

/// How problems are told: what browsers load on demand, as few policies have any.
static INTO_ERROR: Deferred<fn(Diagnostics, &str) -> Error> = Deferred::new(Diagnostics::report);

#[cfg(feature = "bindings")]
pub(in crate::rules) fn load_deferred() {
    INTO_ERROR.load(Diagnostics::report);
}

/// A part of the policy file, in bytes; [`Span::CODE`] for what was built by code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) const CODE: Span = Span { start: u32::MAX, end: u32::MAX };

    pub(crate) fn of(range: Range<usize>) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX - 1);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    pub(crate) fn is_code(self) -> bool {
        self.start == u32::MAX
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A text of the policy and where it stands. Equality is that of the text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self { text: text.into(), span: Span::CODE }
    }
}

/// One problem, not yet placed. The order is that of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Diagnostic {
    /// In the file, or in the condition where that stands in no file.
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    label: Option<&'static str>,
    /// What stood there before, and was said again.
    first: Option<(Span, &'static str)>,
    /// A condition that stands in no file.
    pub(crate) condition: Option<Arc<str>>,
    /// Where the text begins that it is about a part of, or it itself.
    pub(crate) text_start: u32,
}

impl Diagnostic {
    /// What may help.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// What may help, if anything.
    pub(crate) fn help_if(&mut self, help: Option<String>) -> &mut Self {
        self.help = help;
        self
    }

    /// What stands at the carets, in short.
    pub(crate) fn label(&mut self, label: &'static str) -> &mut Self {
        self.label = Some(label);
        self
    }

    /// The place of what was said first, where this says it again.
    pub(crate) fn first(&mut self, span: Span, label: &'static str) -> &mut Self {
        self.first = (!span.is_code()).then_some((span, label));
        self
    }
}

/// All problems met so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnostics {
    source: Option<Arc<str>>,
    list: Vec<Diagnostic>,
    /// How many there are besides.
    more: usize,
    suggestions: u32,
}

impl Diagnostics {
    pub(crate) fn of_file(source: &str) -> Self {
        Self { source: Some(source.into()), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn add(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        let message = message.into();
        if self.list.len() > MAX_TOLD {
            self.list.truncate(MAX_TOLD);
            self.more += 1;
        }
        let (text_start, at) = (span.start, self.list.len());
        self.list.push(Diagnostic { span, message, help: None, label: None, first: None, condition: None, text_start });
        &mut self.list[at]
    }

    /// A problem in some bytes of a text of the policy: escapes are undone to find its column.
    pub(crate) fn add_inside(&mut self, text: &Text, inside: Range<usize>, message: String) -> &mut Diagnostic {
        let text_start = text.span.start;
        let added = match self.source.as_deref().and_then(|source| source.get(text.span.range())) {
            Some(raw) => {
                let place = |inside| text_start as usize + literal::offset_of(raw, inside);
                self.add(Span::of(place(inside.start)..place(inside.end)), message)
            }
            None => {
                let last = self.list.last().and_then(|last| last.condition.clone());
                let shared = last.filter(|last| **last == *text.text);
                let added = self.add(Span::of(inside), message);
                added.condition = Some(shared.unwrap_or_else(|| text.text.as_str().into()));
                added
            }
        };
        added.text_start = text_start;
        added
    }

    /// Names the known name that was probably meant.
    pub(crate) fn suggest<'n>(&mut self, given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
        self.suggest_as(given, known, str::to_owned)
    }

    /// The same, where the name is a part of what is written.
    pub(crate) fn suggest_as<'n>(
        &mut self,
        given: &str,
        known: impl IntoIterator<Item = &'n str>,
        write: impl Fn(&str) -> String,
    ) -> Option<String> {
        if self.suggestions >= MAX_SUGGESTIONS {
            return None;
        }
        self.suggestions += 1;
        nearest(given, known).map(|near| format!("did you mean `{}`?", write(near)))
    }

    /// Every problem once, in the order of the file, and how many more there are.
    pub(crate) fn into_list(self) -> (Vec<Diagnostic>, usize) {
        let mut list = self.list;
        let more = self.more + list.len().saturating_sub(MAX_TOLD);
        list.truncate(MAX_TOLD);
        list.sort_unstable();
        list.dedup();
        (list, more)
    }

    /// The problems of a policy, if there are any.
    pub(crate) fn refuse(self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(self.into_error("the policy has errors")) }
    }

    /// Every problem, and where it stands in the text.
    pub(crate) fn into_error(self, message: &str) -> Error {
        INTO_ERROR.get().map_or_else(|not_loaded| not_loaded, |report| report(self, message))
    }

    fn report(self, message: &str) -> Error {
        let source = self.source.clone().unwrap_or_default();
        let (list, more) = self.into_list();
        let in_file = list.iter().filter(|one| one.condition.is_none());
        let starts = in_file.flat_map(|one| [Some(one.span), one.first.map(|(first, _)| first)]);
        let places = LinesAndColumns::of(&source, starts.flatten());
        let (mut problems, mut marks) = (Vec::with_capacity(list.len()), Vec::new());
        for Diagnostic { span, message, help, label, first, condition, .. } in list {
            let (line, column) = match &condition {
                Some(condition) => LinesAndColumns::of(condition, [span]).at(span),
                None => places.at(span),
            };
            let told = first.map(|(first, label)| {
                let (line, column) = places.at(first);
                format!("{label} at line {line}, column {column}")
            });
            if cfg!(feature = "reports") {
                let earlier =
                    first.map(|(first, label)| Earlier { line: places.at(first).0, span: first.range(), label });
                let span = (!span.is_code()).then(|| span.range());
                marks.push(Mark { span, condition, label, is_help_told: told.is_some(), earlier });
            }
            problems.push(Problem { line, column, message, help: help.or(told) });
        }
        let message = match more {
            0 => message.to_owned(),
            more => format!("{message}; {more} more than those told"),
        };
        let marked = Marked { source, marks, file: None, is_colored: false };
        Error::in_file(Reason::PolicyInvalid, message, problems).marked(marked)
    }
}

/// Lines and columns, both from 1, of some bytes of a text: found in one walk.
struct LinesAndColumns(Vec<(u32, u32, u32)>);

impl LinesAndColumns {
    fn of(source: &str, spans: impl IntoIterator<Item = Span>) -> Self {
        let mut wanted: Vec<u32> = spans.into_iter().filter(|span| !span.is_code()).map(|span| span.start).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut bytes = source.bytes();
        let (mut at, mut line, mut column) = (0, 1, 1);
        let place = |wanted: u32| {
            while at < wanted {
                match bytes.next() {
                    Some(b'\n') => (line, column) = (line + 1, 1),
                    // Bytes that go on with a character are no column of their own.
                    Some(byte) if byte & 0xC0 == 0x80 => {}
                    _ => column += 1,
                }
                at += 1;
            }
            (wanted, line, column)
        };
        Self(wanted.into_iter().map(place).collect())
    }

    /// The beginning for what stands in no text.
    fn at(&self, span: Span) -> (u32, u32) {
        let found = self.0.binary_search_by_key(&span.start, |(at, _, _)| *at);
        found.ok().and_then(|at| self.0.get(at)).map_or((1, 1), |(_, line, column)| (*line, *column))
    }
}

/// A text of the policy as a message shows it: hostile text is never echoed at any length.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|letter| !letter.is_control()).take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
