//! A permission as a check names it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::error::Result;
use crate::rules::{FieldId, PermissionId, RuleSet};

/// The permission of a check: text such as `&str`, which may name fields (`user:update{bio}`), or a reference to a
/// [`PermissionHandle`]. The trait is sealed.
pub trait PermissionName: Copy + sealed::Resolve {}

impl<P: Copy + sealed::Resolve> PermissionName for P {}

pub(crate) mod sealed {
    use super::{FieldId, PermissionHandle, PermissionId, Result, RuleSet};

    pub trait Resolve {
        /// The permission and its fields in this rule set; the error names the nearest known one.
        fn resolve(self, rules: &RuleSet) -> Result<(PermissionId, Vec<FieldId>)>;
        /// As it was given.
        fn text(&self) -> &str;
    }

    impl<T: AsRef<str> + ?Sized> Resolve for &T {
        fn resolve(self, rules: &RuleSet) -> Result<(PermissionId, Vec<FieldId>)> {
            rules.permission_and_fields(self.as_ref())
        }

        fn text(&self) -> &str {
            self.as_ref()
        }
    }

    impl Resolve for &PermissionHandle {
        fn resolve(self, rules: &RuleSet) -> Result<(PermissionId, Vec<FieldId>)> {
            Ok((self.id(rules)?, Vec::new()))
        }

        fn text(&self) -> &str {
            self.name()
        }
    }
}

/// A handle that caches the position of a permission in the rules, for frequent checks: it saves looking up the name.
///
/// ```
/// # use rolekeep::{Policy, UserManagement, rules::PermissionHandle};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let um = UserManagement::builder().policy(Policy::new().permissions(["document:edit"])).open().await?;
/// let edit = PermissionHandle::new("document:edit");
/// assert!(um.system().can(&edit, None)?);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct PermissionHandle {
    name: Box<str>,
    /// The rule set's version, and the number there; 0: not looked up yet.
    known: AtomicU64,
}

impl PermissionHandle {
    /// A handle for a permission without fields. If there is no such permission, the first check fails.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), known: AtomicU64::new(0) }
    }

    /// The permission's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The permission in this rule set.
    ///
    /// # Errors
    /// [`crate::Reason::UnknownPermission`] if it declares no such permission; the message names the nearest one that it does.
    pub fn id(&self, rules: &RuleSet) -> Result<PermissionId> {
        let rules_version = u64::from(rules.rules_version.0) << 32;
        let known = self.known.load(Ordering::Relaxed);
        if known & !u64::from(u32::MAX) == rules_version && known != 0 {
            #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
            return Ok(PermissionId(known as u32));
        }
        let id = rules.permission(&self.name)?;
        if rules_version != 0 {
            self.known.store(rules_version | u64::from(id.0), Ordering::Relaxed);
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::PermissionHandle;
    use crate::rules::{Policy, RuleSet, Schema};

    #[test]
    fn each_rule_set_has_its_own_number() {
        let rules = |names: &[&str]| {
            let policy = Policy::new().permissions(names.iter().copied());
            RuleSet::compile(&policy, &Schema::new()).unwrap()
        };
        let (one, other) = (rules(&["b:b"]), rules(&["a:a", "b:b"]));
        let handle = PermissionHandle::new("b:b");
        for _ in 0..2 {
            assert_eq!(handle.id(&one).unwrap(), one.permission("b:b").unwrap());
            assert_eq!(handle.id(&one).unwrap(), one.permission("b:b").unwrap());
            assert_eq!(handle.id(&other).unwrap(), other.permission("b:b").unwrap());
        }
        assert_ne!(handle.id(&one).unwrap(), handle.id(&other).unwrap());
        assert!(PermissionHandle::new("b:c").id(&one).is_err());
    }
}
