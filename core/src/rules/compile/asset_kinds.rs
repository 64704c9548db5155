//! Kinds of assets that a policy declares: resource types whose rows are all of one table, with words of their own.

use super::{problems::tell, schema::Schema};

use crate::model::{decode::nearest, record::Table, text};
use crate::rules::{
    ADMIN, AssetKindDecl, Attribute, Base, Diagnostics, Policy, RuleSet, Stored, Symbols, Text, is_name, shown,
};

/// The most kinds of a policy, and words of one.
const MOST_KINDS: usize = 64;
const MOST_WORDS: usize = 256;
/// The longest word, in characters.
const LONGEST_WORD: usize = 64;

impl Symbols {
    pub(super) fn asset_kinds(&mut self, policy: &Policy, schema: &Schema, diagnostics: &mut Diagnostics) {
        let Some(assets) = &schema.assets else {
            if let Some(kind) = policy.asset_kinds.first() {
                diagnostics.add(kind.name.span, "kinds of assets are for a store, which keeps them");
            }
            return;
        };
        for (at, kind) in policy.asset_kinds.iter().enumerate() {
            let name = &kind.name.text;
            if at >= MOST_KINDS {
                let problem = Problem { kind, is_first: true, is_ours: false, is_beyond: true };
                tell(kind.name.span, diagnostics, |words, all| (words.asset_kind)(&problem, all));
                break;
            }
            let is_first = !policy.asset_kinds[..at].iter().any(|other| other.name.text == *name);
            let is_ours = !is_first || is_of_library(schema, name);
            if is_ours || !is_name(name) || !is_right(&kind.models) || !is_right(&kind.statuses) {
                let problem = Problem { kind, is_first, is_ours, is_beyond: false };
                tell(kind.name.span, diagnostics, |words, all| (words.asset_kind)(&problem, all));
                continue;
            }
            let id = self.type_id(name);
            self.types[id].table = Some(assets.table);
            self.types[id].attributes = Attribute::of_table(assets.table).collect();
            for (relation, link) in &assets.relations {
                let mut relation = Attribute::new(relation, Base::Id.set(), false);
                relation.stored = Some(Stored::Link(link.clone()).into());
                self.types[id].attributes.push(relation);
            }
        }
    }
}

/// What may be wrong with a kind.
pub(super) struct Problem<'p> {
    kind: &'p AssetKindDecl,
    is_first: bool,
    is_ours: bool,
    is_beyond: bool,
}

fn is_of_library(schema: &Schema, name: &str) -> bool {
    let is_of = |permission: &str| permission.split(':').next() == Some(name);
    schema.records.contains_key(name)
        || is_of(ADMIN)
        || schema.permissions.iter().any(|(permission, _)| is_of(permission))
}

fn is_right(words: &[Text]) -> bool {
    let is_new = |at: usize| words[..at].iter().all(|other| other.text != words[at].text);
    (1..=MOST_WORDS).contains(&words.len()) && (0..words.len()).all(|at| is_new(at) && is_word(&words[at].text))
}

fn is_word(word: &str) -> bool {
    text::name(word, LONGEST_WORD).is_ok_and(|form| form == word)
}

/// Tells what is wrong with a kind.
pub(super) fn told(problem: &Problem<'_>, diagnostics: &mut Diagnostics) {
    let Problem { kind, is_first, is_ours, is_beyond } = *problem;
    let Text { text: name, span } = &kind.name;
    if is_beyond {
        diagnostics.add(*span, format!("a policy has at most {MOST_KINDS} kinds of assets"));
        return;
    }
    if !is_first {
        diagnostics.add(*span, format!("the kind of assets `{}` is declared twice", shown(name)));
    } else if is_ours {
        diagnostics.add(*span, format!("`{}` is a type of the library", shown(name)));
    } else if !is_name(name) {
        let help = "names are small letters, digits, `_` and `-`, begin with a letter, and have at most 64 characters";
        diagnostics.add(*span, format!("`{}` cannot name a kind of assets", shown(name))).help(help);
    }
    for (what, words) in [("models", &kind.models), ("statuses", &kind.statuses)] {
        if !(1..=MOST_WORDS).contains(&words.len()) {
            let message = format!("the kind of assets `{}` has {} {what}", shown(name), words.len());
            diagnostics.add(*span, message).help(format!("it must have 1 to {MOST_WORDS}"));
            continue;
        }
        for (at, word) in words.iter().enumerate() {
            if !is_word(&word.text) {
                let message = format!("`{}` cannot be one of the {what}", shown(&word.text));
                let help = format!("they have 1 to {LONGEST_WORD} characters in one line, with no space around them");
                diagnostics.add(word.span, message).help(help);
            } else if words[..at].iter().any(|other| other.text == word.text) {
                diagnostics.add(word.span, format!("`{}` is among the {what} twice", shown(&word.text)));
            }
        }
    }
}

/// A kind of assets, and its words.
#[derive(Clone, Copy)]
pub(crate) struct AssetKind<'r>(&'r AssetKindDecl);

impl<'r> AssetKind<'r> {
    /// Its name.
    pub(crate) fn name(self) -> &'r str {
        &self.0.name.text
    }

    /// What its assets may be.
    pub(crate) fn models(self) -> Vec<&'r str> {
        self.0.models.iter().map(|word| word.text.as_str()).collect()
    }

    /// What their status may be; the first is that of a new one.
    pub(crate) fn statuses(self) -> Vec<&'r str> {
        self.0.statuses.iter().map(|word| word.text.as_str()).collect()
    }
}

impl RuleSet {
    /// The kinds of assets that the policy declares.
    pub(crate) fn asset_kinds(&self) -> impl Iterator<Item = AssetKind<'_>> + Clone {
        self.shared.base.asset_kinds.iter().map(AssetKind)
    }

    /// One of them by name.
    pub(crate) fn asset_kind(&self, name: &str) -> Option<AssetKind<'_>> {
        self.asset_kinds().find(|kind| kind.name() == name)
    }

    /// The kind that may have been meant.
    pub(crate) fn nearest_asset_kind(&self, name: &str) -> Option<&str> {
        nearest(name, self.asset_kinds().map(AssetKind::name))
    }

    /// The table that keeps the rows of a resource type, where it is one of the library's or a kind of assets.
    pub(crate) fn table_of(&self, resource_type: &str) -> Option<&'static Table> {
        self.type_named(resource_type)?.table
    }
}
