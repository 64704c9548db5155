//! Problems of a policy: gathered while reading and compiling, placed in the file at the end.

use std::{ops::Range, sync::Arc};

use crate::model::{
    decode::nearest,
    error::{Error, Problem, Reason},
    report::{Earlier, Mark, Marked},
};

use crate::rules::policy::file::literal;

/// Suggestions cost a comparison with every known name, so a file full of mistakes gets some only.
const MAX_SUGGESTIONS: u32 = 100;

/// What the copies of a policy's conditions may take, in bytes: a condition is written once for many permissions.
const MAX_COPIES: usize = 64 * 1024 * 1024;
/// More problems are counted, not told.
const MAX_FAULTS: usize = 20_000;

/// A part of the policy file, in bytes; [`Spot::CODE`] for what was built by code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Spot {
    pub(crate) const CODE: Spot = Spot { start: u32::MAX, end: u32::MAX };

    pub(crate) fn of(range: std::ops::Range<usize>) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX - 1);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    pub(crate) fn is_code(self) -> bool {
        self.start == u32::MAX
    }
}

/// A text of the policy and where it stands. Equality is that of the text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) spot: Spot,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), spot: Spot::CODE }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text, spot: Spot::CODE }
    }
}

/// One problem, not yet placed. The order is that of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Diagnostic {
    /// In bytes of the file, or of the condition where that was written in code; the greatest for
    /// what else was written in code.
    start: u32,
    message: String,
    help: Option<String>,
    end: u32,
    label: Option<&'static str>,
    first: Option<First>,
    /// A condition written in code, which stands in no file.
    condition: Option<Arc<str>>,
}

/// What stood there before, and was said again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct First {
    start: u32,
    end: u32,
    label: &'static str,
}

impl Diagnostic {
    /// A few words to stand at the carets.
    pub(crate) fn label(&mut self, label: &'static str) -> &mut Self {
        self.label = Some(label);
        self
    }

    /// The place of what was said first, where this says it again.
    pub(crate) fn first(&mut self, spot: Spot, label: &'static str) -> &mut Self {
        if !spot.is_code() {
            self.first = Some(First { start: spot.start, end: spot.end, label });
        }
        self
    }
}

/// All problems met so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnostics {
    source: Option<Arc<str>>,
    /// Whether the file is JSON, which has objects where TOML has tables.
    pub(crate) is_json: bool,
    list: Vec<Diagnostic>,
    /// How many there are besides.
    more: usize,
    suggestions: u32,
    /// What copies of conditions have taken, in bytes.
    copies: usize,
}

impl Diagnostics {
    pub(crate) fn of(source: Option<Arc<str>>, is_json: bool) -> Self {
        Self { source, is_json, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there is room for so many bytes more of copies.
    pub(crate) fn takes_copies(&mut self, bytes: usize) -> bool {
        self.copies = self.copies.saturating_add(bytes);
        self.copies <= MAX_COPIES
    }

    pub(crate) fn add(&mut self, spot: Spot, message: impl Into<String>, help: Option<String>) -> &mut Diagnostic {
        self.push(spot.start, spot.end, message.into(), help)
    }

    /// A problem in some bytes of a text of the policy: escapes are undone to find its column.
    pub(crate) fn add_inside(
        &mut self,
        text: &Text,
        inside: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> &mut Diagnostic {
        let Spot { start, end } = text.spot;
        let raw = self.source.as_deref().and_then(|source| source.get(start as usize..end as usize));
        let place = |inside| match raw {
            Some(raw) => start as usize + literal::offset_of(raw, inside),
            None => inside,
        };
        let spot = Spot::of(place(inside.start)..place(inside.end));
        let last = self.list.last().and_then(|fault| fault.condition.as_ref());
        let shared = last.filter(|last| ***last == *text.text).cloned();
        let condition = raw.is_none().then(|| shared.unwrap_or_else(|| Arc::from(text.text.as_str())));
        let fault = self.push(spot.start, spot.end, message.into(), help);
        fault.condition = condition;
        fault
    }

    fn push(&mut self, start: u32, end: u32, message: String, help: Option<String>) -> &mut Diagnostic {
        if self.list.len() > MAX_FAULTS {
            self.list.truncate(MAX_FAULTS);
            self.more += 1;
        }
        let at = self.list.len();
        self.list.push(Diagnostic { start, message, help, end, label: None, first: None, condition: None });
        &mut self.list[at]
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

    /// Every problem once, in the order of the file, and where it stands in the text.
    pub(crate) fn into_error(self, message: &str) -> Error {
        let mut list = self.list;
        let more = self.more + list.len().saturating_sub(MAX_FAULTS);
        list.truncate(MAX_FAULTS);
        list.sort_unstable();
        list.dedup();
        let source = self.source.unwrap_or_default();
        let in_file = list.iter().filter(|fault| fault.condition.is_none());
        let places = Places::of(
            &source,
            in_file.flat_map(|fault| [Some(fault.start), fault.first.as_ref().map(|first| first.start)]),
        );
        let (mut problems, mut marks) = (Vec::with_capacity(list.len()), Vec::with_capacity(list.len()));
        for fault in list {
            let (line, column) = match &fault.condition {
                Some(condition) => Places::of(condition, [Some(fault.start)]).at(fault.start),
                None => places.at(fault.start),
            };
            let first = fault.first.map(|first| {
                let (line, column) = places.at(first.start);
                (column, Earlier { line, span: first.start as usize..first.end as usize, label: first.label })
            });
            let told = first
                .as_ref()
                .map(|(column, first)| format!("{} at line {}, column {column}", first.label, first.line));
            if !cfg!(feature = "reports") {
                problems.push(Problem { line, column, message: fault.message, help: fault.help.or(told) });
                continue;
            }
            marks.push(Mark {
                span: (fault.start != u32::MAX).then_some(fault.start as usize..fault.end as usize),
                condition: fault.condition,
                label: fault.label,
                is_help_told: told.is_some(),
                earlier: first.map(|(_, first)| first),
            });
            problems.push(Problem { line, column, message: fault.message, help: fault.help.or(told) });
        }
        let message = match more {
            0 => message.to_owned(),
            more => format!("{message}; {more} more than those told"),
        };
        Error::in_file(Reason::PolicyInvalid, message, problems).marked(Marked {
            source,
            marks,
            file: None,
            is_colored: false,
        })
    }
}

/// Lines and columns, both from 1, of some bytes of a text: found in one walk.
struct Places(Vec<(u32, u32, u32)>);

impl Places {
    fn of(source: &str, wanted: impl IntoIterator<Item = Option<u32>>) -> Self {
        let mut wanted: Vec<u32> = wanted.into_iter().flatten().filter(|at| *at != u32::MAX).collect();
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
    fn at(&self, wanted: u32) -> (u32, u32) {
        let found = self.0.binary_search_by_key(&wanted, |(at, _, _)| *at);
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
