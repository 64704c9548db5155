//! What an API key says of who asks by it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::model::error::{Error, Reason, Result};
use crate::rules::{ADMIN, Pattern, Principal, RuleSet, RuleSetVersion, compile::bits, shown};

/// What is stored of an API key that the rules are asked by.
#[derive(Debug)]
pub(crate) struct KeyProperties {
    /// None: whatever its owner may.
    patterns: Option<Vec<String>>,
    /// Whether whoever made it had proved two factors.
    has_two_factors: bool,
    /// The permissions that it reached when it was asked by last.
    known: ArcSwapOption<(RuleSetVersion, PermissionSet)>,
}

/// One bit for each permission.
pub(super) type PermissionSet = Arc<[u64]>;

impl KeyProperties {
    pub(crate) fn new(patterns: Option<Vec<String>>, has_two_factors: bool) -> Self {
        Self { patterns, has_two_factors, known: ArcSwapOption::empty() }
    }

    /// The permissions that it reaches.
    fn permission_set(&self, rules: &RuleSet) -> PermissionSet {
        if let Some(known) = self.known.load().as_deref().filter(|(version, _)| *version == rules.rules_version) {
            return known.1.clone();
        }
        let mut words = bits::empty(rules.all_permissions().len());
        let patterns = self.patterns.iter().flatten().map(String::as_str);
        let all = self.patterns.is_none().then_some("*:*");
        // One that matches nothing any more adds nothing.
        patterns.chain(all).for_each(|text| drop(rules.add_pattern(text, &mut words)));
        let permissions = PermissionSet::from(words);
        self.known.store(Some(Arc::new((rules.rules_version, permissions.clone()))));
        permissions
    }
}

impl RuleSet {
    /// An account as it is asked for by a key of its own: what it may do now and the key reaches; roles that need a second factor
    /// as the key has one. Keys know nothing of when and by what somebody proved who it is.
    pub(crate) fn by_key(&self, owner: &Principal, key: &KeyProperties, needs_two_factors: bool) -> Principal {
        let mut asking = self.at_level(owner, key.has_two_factors, needs_two_factors).into_owned();
        asking.limit_to(key.permission_set(self));
        asking
    }

    /// Checks a pattern of an API key.
    ///
    /// # Errors
    /// [`Reason::UnknownPermission`] for one that is not valid, names fields or matches nothing.
    pub(crate) fn check_key_pattern(&self, text: &str) -> Result<()> {
        let mut words = bits::empty(self.all_permissions().len());
        self.add_pattern(text, &mut words)
    }

    /// Adds what a pattern of an API key matches.
    pub(super) fn add_pattern(&self, text: &str, words: &mut [u64]) -> Result<()> {
        let pattern = Pattern::parse(text).filter(|pattern| pattern.fields.is_none() && text != ADMIN);
        let matched = pattern.map(|pattern| self.shared.symbols.matching(&pattern)).unwrap_or_default();
        if matched.is_empty() {
            return Err(Error::new(Reason::UnknownPermission, format!("`{}` matches no permission", shown(text))));
        }
        matched.into_iter().for_each(|permission| bits::set(words, permission));
        Ok(())
    }
}
