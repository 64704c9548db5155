//! The problems of a file as a compiler shows them: the line, carets, what may help.

#[cfg(feature = "reports")]
mod render;

use std::{ops::Range, sync::Arc};

use super::error::Problem;

/// A text, and where in it each problem of an error stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) source: Arc<str>,
    /// One for each problem, in the same order.
    pub(crate) marks: Vec<Mark>,
    /// What a report calls the file, and whether it is coloured, where nothing else is asked for.
    pub(crate) file: Option<Arc<str>>,
    pub(crate) is_colored: bool,
}

/// Where one problem stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// In bytes; none: in no text.
    pub(crate) span: Option<Range<usize>>,
    /// What the span is in, where it is not the file: a condition written in code.
    pub(crate) condition: Option<Arc<str>>,
    /// A few words for the carets.
    pub(crate) label: Option<&'static str>,
    /// What was said before, and is said again here.
    pub(crate) earlier: Option<Earlier>,
    /// The problem's help only says where that was.
    pub(crate) is_help_told: bool,
}

/// Something that stands elsewhere in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) line: u32,
    pub(crate) span: Range<usize>,
    pub(crate) label: &'static str,
}

/// The problems of an [`Error`](super::error::Error), to be shown to a person: `Display` writes it.
///
/// Plain text by default; at most fifty places are shown, and how many there are besides.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "reports"), expect(dead_code, reason = "there is no such report"))]
pub struct Report<'e> {
    problems: &'e [Problem],
    marked: &'e Marked,
    file: &'e str,
    is_colored: bool,
}

impl<'e> Report<'e> {
    /// None where this build renders none.
    pub(super) fn of(problems: &'e [Problem], marked: &'e Marked) -> Option<Self> {
        let file = marked.file.as_deref().unwrap_or("policy");
        cfg!(feature = "reports").then_some(Self { problems, marked, file, is_colored: marked.is_colored })
    }

    /// What the file is called in it; `policy` if not given.
    pub fn file(self, name: &'e str) -> Self {
        Self { file: name, ..self }
    }

    /// With the colours of a terminal (ANSI escapes), or without.
    pub fn colored(self, is_colored: bool) -> Self {
        Self { is_colored, ..self }
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[cfg(feature = "reports")]
        return f.write_str(&render::render(self));
        #[cfg(not(feature = "reports"))]
        f.write_str("")
    }
}
