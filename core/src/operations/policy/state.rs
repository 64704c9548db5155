//! The policy of an open store: its rows, and the rules made of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crate::{
    model::{
        error::{Error, Reason, Result},
        policy::{AssetKindRow, GivenRow, PermissionRow, PolicyRow, RoleRow},
        predicate::Predicate,
        registry::Guard,
    },
    operations::{reads::Reads, target},
    rules::{Policy, Principal, Role, RuleSet},
    storage::Storage,
};

/// The policy at one version. Immutable: an edit makes another.
pub struct PolicyState {
    /// The version of the guard `Guard::POLICY`, which every edit moves; 0: nothing is stored yet.
    pub version: i64,
    /// What is stored.
    pub rows: StoredPolicy,
    /// The same, compiled.
    pub rules: Arc<RuleSet>,
    /// Who is not signed in.
    pub anonymous: Arc<Principal>,
}

/// The rows of a policy. Rows are shared with the states before and after.
#[derive(Clone, Default)]
pub struct StoredPolicy {
    /// What else it says; none: a policy without anything else.
    pub rest: Option<Arc<PolicyRow>>,
    /// By name; without those of the library.
    pub permissions: BTreeMap<String, Arc<PermissionRow>>,
    /// By name.
    pub asset_kinds: BTreeMap<String, Arc<AssetKindRow>>,
    /// By name.
    pub roles: BTreeMap<String, Arc<RoleRow>>,
}

impl StoredPolicy {
    /// As a policy, to be compiled or written to a file.
    pub fn to_policy(&self) -> Result<Policy> {
        let nothing = serde_json::Value::Object(serde_json::Map::new());
        let rest = self.rest.as_ref().map_or(&nothing, |rest| &rest.content.0);
        let permissions = self.permissions.values().map(|one| (one.name.as_str(), one.description.as_str()));
        let roles = self.roles.values().map(|one| (one.name.as_str(), one.form()));
        let asset_kinds = self.asset_kinds.values().map(|one| (one.name.as_str(), one.form()));
        Policy::from_rows(rest, permissions, asset_kinds, roles)
    }
}

impl PolicyState {
    /// A store's before anything was stored: nobody may do anything.
    pub fn empty() -> Result<Self> {
        Self::make(None, 0, StoredPolicy::default())
    }

    /// THE place where the rules of a changed policy are made; `before` is what they were until now.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`].
    pub fn make(before: Option<&Self>, version: i64, rows: StoredPolicy) -> Result<Self> {
        let rules = match before.and_then(|before| before.edited(&rows)) {
            Some(rules) => rules,
            None => compile(&rows.to_policy()?)?,
        };
        Ok(Self::of(version, rows, Arc::new(rules)))
    }

    /// The rules where nothing but a few roles changed, without compiling the others again. None where
    /// more did, or where an edit is wrong: what compiles all of it says what.
    fn edited(&self, rows: &StoredPolicy) -> Option<RuleSet> {
        let (before, is_same_rest) = (&self.rows, self.rows.rest.as_ref().map(|rest| &rest.content));
        if is_same_rest != rows.rest.as_ref().map(|rest| &rest.content)
            || !has_same(&before.permissions, &rows.permissions)
            || !has_same(&before.asset_kinds, &rows.asset_kinds)
        {
            return None;
        }
        let is_known = |(name, role): &(&String, &Arc<RoleRow>)| {
            before.roles.get(*name).is_some_and(|known| Arc::ptr_eq(known, role) || known.form() == role.form())
        };
        let mut rules = RuleSet::clone(&self.rules);
        let mut changed: Vec<&Arc<RoleRow>> =
            rows.roles.iter().filter(|one| !is_known(one)).map(|(_, role)| role).collect();
        if changed.len() > MAX_EDITS {
            return None;
        }
        // One may inherit from another that is as new.
        while !changed.is_empty() {
            let count = changed.len();
            changed.retain(|role| match rules.with_role(Role::of(&role.name, role.form())) {
                Ok(next) => {
                    rules = next;
                    false
                }
                Err(_) => true,
            });
            if changed.len() == count {
                return None;
            }
        }
        for name in before.roles.keys().filter(|name| !rows.roles.contains_key(*name)) {
            rules = rules.without_role(name).ok()?;
        }
        Some(rules)
    }

    /// Rows whose rules are known.
    pub(super) fn of(version: i64, rows: StoredPolicy, rules: Arc<RuleSet>) -> Self {
        let anonymous = Arc::new(rules.anonymous());
        Self { version, rows, rules, anonymous }
    }

    /// What is stored, as of one moment; none: no policy was stored yet.
    pub async fn load(storage: &dyn Storage, before: &Self) -> Result<Option<Self>> {
        let stored = Stored::load(storage, false).await?;
        stored.map(|stored| Self::make(Some(before), stored.version, stored.rows)).transpose()
    }
}

/// The policy as it is stored.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) version: i64,
    pub(super) rows: StoredPolicy,
    /// What the host gave last, where that was asked for.
    pub(super) given: Vec<GivenRow>,
}

impl Stored {
    /// All of it, as of one moment; none: no policy was stored yet. What the host gave is as much again, and
    /// only who compares it with what is given now needs it.
    pub(super) async fn load(storage: &dyn Storage, with_given: bool) -> Result<Option<Self>> {
        let reads = Reads::stored(storage);
        for _ in 0..ATTEMPTS {
            let Some(version) = reads.guard(Guard::POLICY).await? else { return Ok(None) };
            let rest: Vec<PolicyRow> = reads.all(Predicate::Always).await?;
            let permissions: Vec<PermissionRow> = reads.all(Predicate::Always).await?;
            let asset_kinds: Vec<AssetKindRow> = reads.all(Predicate::Always).await?;
            let roles: Vec<RoleRow> = reads.all(Predicate::Always).await?;
            let given: Vec<GivenRow> = if with_given { reads.all(Predicate::Always).await? } else { Vec::new() };
            // Reads are not of one moment; what was edited meanwhile is read again.
            if reads.guard(Guard::POLICY).await? != Some(version) {
                continue;
            }
            let rows = StoredPolicy {
                rest: rest.into_iter().next().map(Arc::new),
                permissions: permissions.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect(),
                asset_kinds: asset_kinds.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect(),
                roles: roles.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect(),
            };
            return Ok(Some(Self { version, rows, given }));
        }
        Err(Error::new(Reason::Contention, "the policy kept changing while it was read"))
    }
}

/// So many changed roles are worth an edit each; more are compiled with all others.
const MAX_EDITS: usize = 16;

fn has_same<T: PartialEq>(one: &BTreeMap<String, Arc<T>>, other: &BTreeMap<String, Arc<T>>) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|((a, x), (b, y))| a == b && (Arc::ptr_eq(x, y) || x == y))
}

/// How often a policy that changes while it is read is read anew.
const ATTEMPTS: u32 = 50;

/// The permissions that every policy has, and what they are for.
pub fn built_in() -> &'static BTreeMap<String, String> {
    static BUILT_IN: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
        let rules = RuleSet::compile(&Policy::new(), &target::schema());
        rules.iter().flat_map(|rules| rules.permissions()).map(|one| (one.name, one.about)).collect()
    });
    &BUILT_IN
}

/// Compiles a policy for the operations of this library.
///
/// # Errors
/// [`Reason::PolicyInvalid`] with every problem.
pub fn compile(policy: &Policy) -> Result<RuleSet> {
    let rules = RuleSet::compile(policy, &target::schema())?;
    let free = rules.free_attributes();
    if free.is_empty() {
        return Ok(rules);
    }
    // Operations would have to say what they are, and nothing keeps them yet.
    let message =
        format!("a store cannot keep attributes that a policy adds to built-in types yet: {}", free.join(", "));
    Err(Error::new(Reason::PolicyInvalid, message))
}
