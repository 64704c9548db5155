//! The policy of an open store: its rows, and the rules made of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use super::nesting::Nesting;
use crate::{
    model::{
        deferred::IS_PAGE,
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
    /// How often the storage had lost commits before this was read, as far as this instance has heard.
    pub losses: u64,
    /// The version of the guard `Guard::POLICY`, which every edit moves; 0: nothing is stored yet.
    pub version: i64,
    /// What is stored.
    pub rows: StoredPolicy,
    /// Which scopes lie within which.
    pub nesting: Arc<Nesting>,
    /// Both, compiled.
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
        Self::make(None, 0, StoredPolicy::default(), Arc::default())
    }

    /// THE place where the rules of a changed policy are made; `before` is what they were until now.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`].
    pub fn make(before: Option<&Self>, version: i64, rows: StoredPolicy, nesting: Arc<Nesting>) -> Result<Self> {
        let rules = match before.and_then(|before| before.edited(&rows)) {
            Some(rules) => rules,
            None => compile(&rows.to_policy()?)?,
        };
        let has_same_scopes = before.is_some_and(|before| Arc::ptr_eq(&before.nesting, &nesting));
        let rules = if has_same_scopes { rules } else { rules.without_scopes() };
        let losses = before.map_or(0, |before| before.losses);
        Ok(Self { losses, ..Self::of(version, rows, nesting, Arc::new(rules)) })
    }

    /// The same policy, with other scopes that lie within each other.
    pub(super) fn nested(&self, nesting: Nesting) -> Result<Self> {
        Self::make(Some(self), self.version, self.rows.clone(), Arc::new(nesting))
    }

    /// Whether the other one came after it. Whoever changes the policy or which scopes lie within which relies on both, so that they follow
    /// one another; after a loss others may have the versions of those that were lost.
    pub fn is_before(&self, other: &Self) -> bool {
        let moment = |state: &Self| (state.losses, state.version, state.nesting.version);
        moment(self) < moment(other)
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
    pub(super) fn of(version: i64, rows: StoredPolicy, nesting: Arc<Nesting>, rules: Arc<RuleSet>) -> Self {
        let rules = match IS_PAGE || rules.has_scopes() || !rules.has_nested_kinds() {
            true => rules,
            false => Arc::new(rules.with_scopes(nesting.pairs())),
        };
        let anonymous = Arc::new(rules.anonymous());
        Self { losses: 0, version, rows, nesting, rules, anonymous }
    }

    /// What is stored, as of one moment, after the storage lost commits: what is known may be among them, and what has the same version may
    /// have another content. None: no policy was stored yet.
    pub async fn load_after_loss(storage: &dyn Storage, known: &Self) -> Result<Option<Self>> {
        let stored = Stored::load(storage, false, None).await?;
        let made = stored.map(|stored| Self::make(None, stored.version, stored.rows, stored.nesting)).transpose()?;
        Ok(made.map(|made| Self { losses: known.losses + 1, ..made }))
    }

    /// What is stored, as of one moment, and newer than what is known; none: it is not, or no policy was stored yet.
    pub async fn load_newer(storage: &dyn Storage, known: &Self) -> Result<Option<Self>> {
        let versions = versions(Reads::stored(storage)).await?;
        let is_newer = |(version, nesting)| (version, nesting) > (known.version, known.nesting.version);
        if !versions.is_some_and(is_newer) {
            return Ok(None);
        }
        let stored = Stored::load(storage, false, Some((known, versions))).await?;
        let made = stored.map(|stored| Self::make(Some(known), stored.version, stored.rows, stored.nesting));
        made.transpose()
    }
}

/// The policy as it is stored.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) version: i64,
    pub(super) rows: StoredPolicy,
    pub(super) nesting: Arc<Nesting>,
    /// What the host gave last, where that was asked for.
    pub(super) given: Vec<GivenRow>,
}

impl Stored {
    /// All of it, as of one moment; none: no policy was stored yet. What the host gave is as much again, and
    /// only who compares it with what is given now needs it. Of what is known already only what has another version is read.
    pub(super) async fn load(
        storage: &dyn Storage,
        with_given: bool,
        known: Option<(&PolicyState, Versions)>,
    ) -> Result<Option<Self>> {
        let reads = Reads::stored(storage);
        let (known, mut seen) = match known {
            Some((known, versions)) => (Some(known), versions),
            None => (None, versions(reads).await?),
        };
        for _ in 0..ATTEMPTS {
            let Some((version, nesting_version)) = seen else { return Ok(None) };
            let rows = match known.filter(|known| known.version == version) {
                Some(known) => known.rows.clone(),
                None => read_rows(reads).await?,
            };
            let nesting = match known.filter(|known| known.nesting.version == nesting_version) {
                Some(known) => known.nesting.clone(),
                None => Arc::new(Nesting::read(reads, nesting_version).await?),
            };
            let given: Vec<GivenRow> = if with_given { reads.all(Predicate::Always).await? } else { Vec::new() };
            // Reads are not of one moment; what was edited meanwhile is read again.
            let now = versions(reads).await?;
            if now == seen {
                return Ok(Some(Self { version, rows, nesting, given }));
            }
            seen = now;
        }
        Err(Error::new(Reason::Contention, "the policy kept changing while it was read"))
    }
}

/// The versions of the policy and of which scopes lie within which; none: no policy was stored yet.
type Versions = Option<(i64, i64)>;

async fn versions(reads: Reads<'_>) -> Result<Versions> {
    if IS_PAGE {
        return Ok(reads.guard(Guard::POLICY).await?.map(|version| (version, 0)));
    }
    let both = [Guard::POLICY, Guard::SCOPE_TREE].map(|name| (name.to_owned(),));
    let guards: Vec<Guard> = reads.many(both).await?;
    let version = |name| guards.iter().find(|guard| guard.name == name).map(|guard| guard.version);
    Ok(version(Guard::POLICY).map(|policy| (policy, version(Guard::SCOPE_TREE).unwrap_or_default())))
}

async fn read_rows(reads: Reads<'_>) -> Result<StoredPolicy> {
    let rest: Vec<PolicyRow> = reads.all(Predicate::Always).await?;
    let permissions: Vec<PermissionRow> = reads.all(Predicate::Always).await?;
    let asset_kinds: Vec<AssetKindRow> = reads.all(Predicate::Always).await?;
    let roles: Vec<RoleRow> = reads.all(Predicate::Always).await?;
    Ok(StoredPolicy {
        rest: rest.into_iter().next().map(Arc::new),
        permissions: permissions.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect(),
        asset_kinds: asset_kinds.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect(),
        roles: roles.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect(),
    })
}

/// So many changed roles are worth an edit each; more are compiled with all others.
const MAX_EDITS: usize = 16;

fn has_same<T: PartialEq>(one: &BTreeMap<String, Arc<T>>, other: &BTreeMap<String, Arc<T>>) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|((a, x), (b, y))| a == b && (Arc::ptr_eq(x, y) || x == y))
}

/// How often a policy that changes while it is read is read again.
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
