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
pub(super) mod eval;
mod guard;
mod lexer;
pub(super) mod parser;

/// What is wrong with a condition, at a byte of its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Flaw {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
