//! Conditions: text to tokens, to a tree of names, to a typed tree, to flat code.
//!
//! | file | holds |
//! |---|---|
//! | `lexer` | tokens |
//! | `parser` | the grammar of RBAC.md, bounded in size and depth |
//! | `check` | names and types, against one resource type |
//! | `guard` | optional paths are read only where `has` guards them |
//! | `code` | the typed condition, and its code without recursion |
//! | `eval` | running it |

pub(super) mod check;
pub(super) mod code;
pub(in crate::rules) mod duration;
pub(super) mod eval;
mod lexer;
pub(super) mod parser;
mod presence;
pub(in crate::rules) mod value;

/// What is wrong with a condition, at a byte of its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) at: usize,
    /// Where it ends; none: with the word at its beginning.
    end: Option<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Flaw {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, end: None, message: message.into(), help: None }
    }

    pub(super) fn until(mut self, end: usize) -> Self {
        self.end = Some(end);
        self
    }

    /// The bytes of the condition that it is about.
    pub(super) fn span(&self, text: &str) -> std::ops::Range<usize> {
        self.at..self.end.unwrap_or_else(|| lexer::end_of_word(text, self.at)).max(self.at)
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
