//! Conditions: text to tokens, to a typed tree.
//!
//! | file | holds |
//! |---|---|
//! | `lexer` | tokens |
//! | `parser` | the grammar of docs/rules.md, bounded in size and depth |
//! | `check` | names and types, against one resource type |
//! | `presence` | where a path is read that may be absent, `has` comes first |
//! | `satisfiable` | which outcomes of tests some value can give |
//! | `duration` | durations as conditions write them: `90s`, `1h30m` |
//! | `value` | typed values, read from what is stored |
//! | `tree` | the typed condition |
//! | `eval` | whether it holds |

pub(super) mod check;
pub(in crate::rules) mod duration;
pub(super) mod eval;
mod lexer;
pub(super) mod parser;
mod presence;
pub(in crate::rules) mod satisfiable;
pub(super) mod tree;
pub(in crate::rules) mod value;

use std::ops::Range;

/// What is wrong with a condition, at a byte of its text.
#[derive(Debug)]
pub(super) struct ConditionError {
    at: usize,
    /// Where it ends; none: with the word at its beginning.
    end: Option<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl ConditionError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, end: None, message: message.into(), help: None }
    }

    /// An error at once, with what to do about it.
    fn helped<T>(at: usize, message: impl Into<String>, help: &str) -> Result<T, Self> {
        Err(Self::new(at, message).help(help))
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The bytes of the condition that it is about.
    pub(super) fn span(&self, text: &str) -> Range<usize> {
        self.at..self.end.unwrap_or_else(|| lexer::end_of_word(text, self.at)).max(self.at)
    }
}
