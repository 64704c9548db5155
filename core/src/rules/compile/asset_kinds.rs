//! Kinds of assets that a policy declares: resource types whose rows are all of one table, with words of their own.

use super::{problems::tell, schema::Library, symbols::cannot_name};

use crate::model::{decode::nearest, predicate::Link, record::Table, text};
use crate::rules::{ADMIN, AssetKindDecl, Attribute, Diagnostics, Policy, RuleSet, Symbols, Text, is_name, shown};

/// The most kinds of a policy, and words of one.
const MOST_KINDS: usize = 64;
const MOST_WORDS: usize = 256;
/// The longest word, in characters.
const LONGEST_WORD: usize = 64;

/// What each kind of assets that a policy declares has.
#[derive(Clone, Debug)]
pub(super) struct Assets {
    pub(super) table: &'static Table,
    pub(super) relations: Vec<(&'static str, Link)>,
    /// Actions, and what each is for.
    pub(super) actions: Vec<(&'static str, &'static str)>,
}

impl Library {
    pub(super) fn asset_kinds(&self, assets: &Assets, policy: &Policy, symbols: &mut Symbols, all: &mut Diagnostics) {
        for (at, AssetKindDecl { name: Text { text: name, span }, models, statuses }) in
            policy.asset_kinds.iter().enumerate()
        {
            let is_new = at < MOST_KINDS && is_name(name) && !is_again(policy, at) && !self.has_type(name);
            let is_right = is_new && [models, statuses].into_iter().all(|words| are_right(words));
            if !is_right && at <= MOST_KINDS {
                tell(*span, all, |reporters, all| (reporters.asset_kind)(self, policy, at, all));
            }
            // Also of one that is refused: that there are no such permissions would be the same problem again.
            if is_name(name) {
                symbols.authority_of(name);
                let actions = assets.actions.iter();
                actions.for_each(|(action, about)| symbols.permission(format!("{name}:{action}"), about));
            }
            if is_right {
                let ty = symbols.stored_type(name, assets.table);
                ty.attributes.extend(assets.relations.iter().map(|(name, link)| Attribute::of_link(name, link)));
            }
        }
    }

    /// Whether the library has a type of this name.
    fn has_type(&self, name: &str) -> bool {
        let mut permissions = self.permissions.iter().map(|(permission, _)| *permission).chain([ADMIN]);
        self.records.contains_key(name) || permissions.any(|one| one.split(':').next() == Some(name))
    }
}

fn is_again(policy: &Policy, at: usize) -> bool {
    policy.asset_kinds[..at].iter().any(|other| other.name == policy.asset_kinds[at].name)
}

fn are_right(words: &[Text]) -> bool {
    (1..=MOST_WORDS).contains(&words.len())
        && (0..words.len()).all(|at| is_word(&words[at].text) && !words[..at].contains(&words[at]))
}

fn is_word(word: &str) -> bool {
    text::name(word, LONGEST_WORD).is_ok_and(|form| form == word)
}

/// Tells what is wrong with the kind that stands at this place.
pub(super) fn report(library: &Library, policy: &Policy, at: usize, diagnostics: &mut Diagnostics) {
    let AssetKindDecl { name: Text { text: name, span }, models, statuses } = &policy.asset_kinds[at];
    if at >= MOST_KINDS {
        diagnostics.add(*span, format!("a policy has at most {MOST_KINDS} kinds of assets"));
        return;
    }
    if is_again(policy, at) {
        diagnostics.add(*span, format!("the kind of assets `{}` is declared twice", shown(name)));
    } else if library.has_type(name) {
        diagnostics.add(*span, format!("`{}` is a type of the library", shown(name)));
    } else if !is_name(name) {
        cannot_name(&policy.asset_kinds[at].name, "a kind of assets", "digits, `_` and `-`", diagnostics);
    }
    for (what, words) in [("models", models), ("statuses", statuses)] {
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
            } else if words[..at].contains(word) {
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
