//! Problems of a policy: gathered while reading and compiling, placed in the file at the end.

use std::sync::Arc;

use crate::model::{decode::nearest, error::Problem};

use super::file::literal;

/// Suggestions cost a comparison with every known name, so a file full of mistakes gets some only.
const MAX_SUGGESTIONS: u32 = 100;

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

/// One problem, not yet placed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// In bytes of the file, or of the condition where that was written in code.
    offset: u32,
    message: String,
    help: Option<String>,
}

/// All problems met so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    source: Option<Arc<str>>,
    list: Vec<Fault>,
    suggestions: u32,
}

impl Faults {
    pub(crate) fn of(source: Option<Arc<str>>) -> Self {
        Self { source, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn add(&mut self, spot: Spot, message: impl Into<String>, help: Option<String>) {
        let offset = if spot.is_code() { 0 } else { spot.start };
        self.list.push(Fault { offset, message: message.into(), help });
    }

    /// A problem at a byte inside of a text of the policy: escapes are undone to find its column.
    pub(crate) fn add_inside(&mut self, spot: Spot, inside: usize, message: impl Into<String>, help: Option<String>) {
        let raw = self.source.as_deref().and_then(|source| source.get(spot.start as usize..spot.end as usize));
        let offset = match raw {
            Some(raw) => spot.start as usize + literal::offset_of(raw, inside),
            None => inside,
        };
        self.list.push(Fault { offset: Spot::of(offset..offset).start, message: message.into(), help });
    }

    /// Names the known name that was probably meant.
    pub(crate) fn suggest<'n>(&mut self, given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
        if self.suggestions >= MAX_SUGGESTIONS {
            return None;
        }
        self.suggestions += 1;
        nearest(given, known).map(|near| format!("did you mean `{near}`?"))
    }

    /// Every problem once, in the order of the file.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut list = self.list;
        list.sort_unstable();
        list.dedup();
        let source = self.source.as_deref().unwrap_or_default().as_bytes();
        let (mut at, mut line, mut column) = (0, 1, 1);
        let place = |fault: Fault| {
            let wanted = fault.offset as usize;
            // A position in code has no line; its column counts within the condition.
            while at < wanted {
                match source.get(at) {
                    Some(b'\n') => (line, column) = (line + 1, 1),
                    // Bytes that go on with a character are no column of their own.
                    Some(byte) if byte & 0xC0 == 0x80 => {}
                    _ => column += 1,
                }
                at += 1;
            }
            Problem { line, column, message: fault.message, help: fault.help }
        };
        list.into_iter().map(place).collect()
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
