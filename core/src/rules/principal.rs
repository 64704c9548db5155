//! Who asks: facts of an account, resolved against one rule set.

use std::sync::Arc;

use jiff::Timestamp;
use smallvec::SmallVec;
use uuid::Uuid;

use crate::model::{
    error::{Error, Reason, Result},
    predicate::Name,
    time::Time,
    value::Value,
};

use super::{
    compile::words::Words,
    condition::{code::Path, parser::Root},
    datum::{Datum, Held},
    name::Pattern,
    rule_set::{RoleId, RuleSet},
    scope::Scope,
    scope_kind::{BoundScope, bind},
    scope_tree::ScopeTree,
};

/// What is stored about somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalFacts {
    /// The account's id.
    pub id: Uuid,
    /// Whether the account may do anything at all.
    pub is_active: bool,
    /// The account's status, as an explanation names it: `suspended`.
    pub status: String,
    /// `principal.verified`.
    pub is_verified: bool,
    /// The attributes of the type `user`.
    pub attributes: Vec<(Name, Value)>,
    /// The roles it holds, itself and through its groups.
    pub assignments: Vec<AssignmentFacts>,
    /// From this moment on the facts are others (a suspension ends), and must be read again.
    pub good_until: Option<Time>,
    /// What the host knows these facts by; the rules do not look at it.
    pub version: i64,
}

impl PrincipalFacts {
    /// An active account that holds nothing yet.
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            is_active: true,
            status: "active".to_owned(),
            is_verified: true,
            attributes: Vec::new(),
            assignments: Vec::new(),
            good_until: None,
            version: 0,
        }
    }
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentFacts {
    /// The role; one that the policy does not know has no effect.
    pub role: String,
    /// Where.
    pub scope: Scope,
    /// From this moment on; none: from ever.
    pub from: Option<Time>,
    /// Until just before this moment; none: for ever.
    pub until: Option<Time>,
    /// The group that holds it; none: the account itself.
    pub group: Option<Arc<str>>,
}

impl AssignmentFacts {
    /// A role held by the account itself, for ever.
    pub fn new(role: impl Into<String>, scope: Scope) -> Self {
        Self { role: role.into(), scope, from: None, until: None, group: None }
    }
}

/// Somebody who asks, ready to be asked about. Belongs to the [`RuleSet`] that made it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Principal {
    pub(super) stamp: u64,
    /// Nil for somebody who is not signed in.
    id: Uuid,
    version: i64,
    pub(super) is_active: bool,
    is_verified: bool,
    is_signed_in: bool,
    /// Whether `plain` is all that counts.
    pub(super) is_simple: bool,
    /// Whether a role is unknown to the rule set.
    has_unknown: bool,
    /// The roles that an active account holds everywhere and always, which decides without a further look.
    pub(super) plain: SmallVec<[u32; 4]>,
    detail: Option<Arc<Detail>>,
}

/// What few principals have.
#[derive(Clone, Debug)]
struct Detail {
    status: String,
    /// In microseconds.
    good_until: i64,
    /// By slot, those that conditions read.
    attributes: Box<[(u32, Held)]>,
    assignments: Box<[Assignment]>,
    /// The groups that hold some of the plain roles, by their place.
    groups: Box<[(u32, Arc<str>)]>,
    tree: Option<Arc<ScopeTree>>,
    /// Only these roles, and their juniors, allow; all others still deny.
    active: Option<Box<[u32]>>,
    /// An API key: one bit for each permission that its patterns match.
    key: Option<Box<[u64]>>,
    on_behalf_of: Option<Arc<Principal>>,
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            status: String::new(),
            good_until: i64::MAX,
            attributes: Box::default(),
            assignments: Box::default(),
            groups: Box::default(),
            tree: None,
            active: None,
            key: None,
            on_behalf_of: None,
        }
    }
}

/// An assignment in numbers.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) role: u32,
    scope: BoundScope,
    /// In microseconds, from this one on.
    from: i64,
    /// In microseconds, until before this one.
    until: i64,
    /// As stored, for explanations.
    written: Scope,
    group: Option<Arc<str>>,
}

/// An assignment of a principal.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldRole<'a> {
    pub(super) role: u32,
    /// None: everywhere and always.
    limits: Option<&'a Assignment>,
    group: Option<&'a Arc<str>>,
}

impl<'a> HeldRole<'a> {
    pub(super) fn is_valid(&self, now: i64) -> bool {
        self.limits.is_none_or(|one| one.from <= now && now < one.until)
    }

    pub(super) fn scope(&self) -> &'a BoundScope {
        self.limits.map_or(&BoundScope::Global, |one| &one.scope)
    }

    /// As stored.
    pub(super) fn written(&self) -> &'a Scope {
        self.limits.map_or(&Scope::Global, |one| &one.written)
    }

    pub(super) fn group(&self) -> Option<&'a str> {
        self.group.map(AsRef::as_ref)
    }

    /// When its window begins and ends, in microseconds.
    pub(super) fn edges(&self) -> [i64; 2] {
        self.limits.map_or([i64::MIN, i64::MAX], |one| [one.from, one.until])
    }

    /// Ends of its window, for people.
    pub(super) fn window(&self) -> (Option<Time>, Option<Time>) {
        let [from, until] = self.edges();
        let time = |micros: i64, unbounded: i64| {
            if micros == unbounded { None } else { Timestamp::from_microsecond(micros).ok() }
        };
        (time(from, i64::MIN), time(until, i64::MAX))
    }
}

impl Principal {
    /// The account; none for somebody who is not signed in.
    pub fn id(&self) -> Option<Uuid> {
        self.is_signed_in.then_some(self.id)
    }

    /// Whether the account may do anything at all.
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// What the host knows its facts by.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whether its facts must be read again by now: a suspension ended.
    pub fn is_outdated(&self, now: Time) -> bool {
        self.detail.as_ref().is_some_and(|detail| detail.good_until <= now.as_microsecond())
    }

    /// Whether it holds a role that its rule set does not know.
    pub fn has_unknown_roles(&self) -> bool {
        self.has_unknown
    }

    /// On whose behalf it asks.
    pub fn on_behalf_of(&self) -> Option<&Principal> {
        self.detail.as_ref()?.on_behalf_of.as_deref()
    }

    pub(super) fn status(&self) -> &str {
        self.detail.as_ref().map_or("active", |detail| &detail.status)
    }

    /// Every assignment, by its place.
    pub(super) fn held(&self) -> impl Iterator<Item = HeldRole<'_>> + Clone {
        let detail = self.detail.as_deref();
        let groups = detail.map(|detail| &*detail.groups).unwrap_or_default();
        let plain = (0_u32..).zip(&self.plain).map(move |(at, role)| {
            let found = groups.binary_search_by_key(&at, |(place, _)| *place);
            HeldRole { role: *role, limits: None, group: found.ok().map(|at| &groups[at].1) }
        });
        let limited = detail.into_iter().flat_map(|detail| detail.assignments.iter());
        plain.chain(limited.map(|one| HeldRole { role: one.role, limits: Some(one), group: one.group.as_ref() }))
    }

    pub(super) fn tree(&self) -> Option<&ScopeTree> {
        self.detail.as_ref()?.tree.as_deref()
    }

    /// The roles that allow, where not all do.
    pub(super) fn active(&self) -> Option<&[u32]> {
        self.detail.as_ref()?.active.as_deref()
    }

    /// Whether it is an API key.
    pub(super) fn is_key(&self) -> bool {
        self.detail.as_ref().is_some_and(|detail| detail.key.is_some())
    }

    /// Whether a key's patterns match; who is no key is not held back.
    pub(super) fn is_within_key(&self, permission: u32) -> bool {
        let key = self.detail.as_ref().and_then(|detail| detail.key.as_ref());
        key.is_none_or(|words| {
            words.get(permission as usize / 64).is_some_and(|word| word >> (permission % 64) & 1 == 1)
        })
    }

    /// An attribute that conditions read; absent where it was not given.
    pub(super) fn attribute(&self, path: Path) -> Datum<'_> {
        debug_assert!(path.root == Root::Principal);
        match path.slot {
            0 if self.is_signed_in => Datum::Id(self.id),
            0 => Datum::Absent,
            1 => Datum::Bool(self.is_verified),
            slot => {
                let attributes = self.detail.as_ref().map(|detail| &*detail.attributes).unwrap_or_default();
                let found = attributes.binary_search_by_key(&slot, |(slot, _)| *slot);
                found.ok().map_or(Datum::Absent, |at| attributes[at].1.read(path.ty))
            }
        }
    }

    fn detail_mut(&mut self) -> &mut Detail {
        Arc::make_mut(self.detail.get_or_insert_default())
    }

    /// No fast path leads past what decides here.
    fn slow(mut self) -> Self {
        self.is_simple = false;
        let plain = std::mem::take(&mut self.plain);
        let groups = std::mem::take(&mut self.detail_mut().groups);
        let moved = (0_u32..).zip(plain).map(|(at, role)| Assignment {
            role,
            scope: BoundScope::Global,
            from: i64::MIN,
            until: i64::MAX,
            written: Scope::Global,
            group: groups.iter().find(|(place, _)| *place == at).map(|(_, group)| group.clone()),
        });
        let detail = self.detail_mut();
        detail.assignments = moved.chain(detail.assignments.iter().cloned()).collect();
        self
    }
}

impl RuleSet {
    /// Somebody with an account.
    pub fn principal(&self, facts: PrincipalFacts) -> Principal {
        self.principal_in(facts, None)
    }

    /// Somebody with an account, some of whose scopes may lie above others.
    pub fn principal_in(&self, facts: PrincipalFacts, tree: Option<&Arc<ScopeTree>>) -> Principal {
        let words = &self.shared.words;
        let attributes: Box<[(u32, Held)]> = (self.reads.principal.iter())
            .filter(|slot| **slot >= Words::ALWAYS_GIVEN)
            .filter_map(|slot| {
                let attribute = words.principal.get(*slot as usize)?;
                let (_, value) = facts.attributes.iter().rfind(|(name, _)| *name == attribute.name)?;
                (!value.is_null()).then(|| (*slot, Held::from(value.clone())))
            })
            .collect();
        let mut principal = Principal {
            stamp: self.stamp,
            id: facts.id,
            version: facts.version,
            is_active: facts.is_active,
            is_verified: facts.is_verified,
            is_signed_in: true,
            is_simple: true,
            has_unknown: false,
            plain: SmallVec::new(),
            detail: None,
        };
        let is_steady = facts.is_active && facts.good_until.is_none();
        let (mut limited, mut groups) = (Vec::new(), Vec::new());
        for one in facts.assignments {
            let Some(role) = self.role_ids.get(&one.role).copied() else {
                principal.has_unknown = true;
                continue;
            };
            let assignment = self.assignment(role, one);
            let is_unlimited = assignment.from == i64::MIN && assignment.until == i64::MAX;
            if assignment.scope == BoundScope::Global && is_unlimited && is_steady {
                if let Some(group) = assignment.group {
                    groups.push((u32::try_from(principal.plain.len()).unwrap_or(u32::MAX), group));
                }
                principal.plain.push(role);
            } else {
                limited.push(assignment);
            }
        }
        principal.is_simple = limited.is_empty() && is_steady;
        let is_above = |one: &Assignment| {
            let BoundScope::Of(kind, _) = &one.scope else { return false };
            words.kinds.iter().any(|other| other.parent == Some(*kind))
        };
        let tree = tree.filter(|_| limited.iter().any(is_above)).cloned();
        let is_plain = principal.is_simple && attributes.is_empty() && groups.is_empty();
        if !is_plain {
            principal.detail = Some(Arc::new(Detail {
                status: facts.status,
                good_until: facts.good_until.map_or(i64::MAX, Timestamp::as_microsecond),
                attributes,
                assignments: limited.into(),
                groups: groups.into(),
                tree,
                ..Detail::default()
            }));
        }
        principal
    }

    /// Somebody who is not signed in: the policy's anonymous role, and no attribute.
    pub fn anonymous(&self) -> Principal {
        Principal {
            stamp: self.stamp,
            id: Uuid::nil(),
            version: 0,
            is_active: true,
            is_verified: false,
            is_signed_in: false,
            is_simple: true,
            has_unknown: false,
            plain: self.anonymous.iter().map(|role| role.0).collect(),
            detail: None,
        }
    }

    /// The same principal with only these roles (and their juniors) active: what its other roles allow
    /// does not count, what they deny does (ANSI INCITS 359, active roles of a session).
    ///
    /// Roles that it does not hold, itself or through the hierarchy, have no effect.
    pub fn with_active_roles(&self, principal: &Principal, roles: &[RoleId]) -> Principal {
        let mut active: Vec<u32> = roles.iter().map(|role| role.0).collect();
        active.sort_unstable();
        let mut narrowed = principal.clone().slow();
        narrowed.detail_mut().active = Some(active.into());
        narrowed
    }

    /// An API key of an account: it may do what its owner may by these roles and what one of these
    /// patterns matches. All of the owner's denies count, and a key never administers.
    ///
    /// # Errors
    /// [`Reason::UnknownRole`]; [`Reason::UnknownPermission`] for a pattern that is none, names fields or
    /// matches nothing.
    pub fn api_key(&self, owner: &Principal, roles: &[&str], patterns: &[&str]) -> Result<Principal> {
        let roles = roles.iter().map(|role| self.role(role)).collect::<Result<Vec<_>>>()?;
        let mut words = vec![0_u64; self.all_permissions().len().div_ceil(64)];
        for text in patterns {
            let no_pattern = || {
                Error::new(Reason::UnknownPermission, format!("`{}` matches no permission", super::faults::shown(text)))
            };
            let pattern = Pattern::parse(text).filter(|pattern| pattern.fields.is_none()).ok_or_else(no_pattern)?;
            let mut matched =
                (0_u32..).zip(self.all_permissions()).filter(|(_, one)| pattern.matches(&one.name)).peekable();
            matched.peek().ok_or_else(no_pattern)?;
            matched.for_each(|(permission, _)| super::bits::set(&mut words, permission));
        }
        let mut key = self.with_active_roles(owner, &roles);
        key.detail_mut().key = Some(words.into());
        Ok(key)
    }

    /// Somebody who asks on behalf of another: allowed is what both may do, each with its own roles
    /// and attributes. Chains fold.
    ///
    /// # Errors
    /// [`Reason::Internal`] where one of them was made by another rule set.
    pub fn on_behalf_of(&self, actor: &Principal, other: &Principal) -> Result<Principal> {
        if actor.stamp != self.stamp || other.stamp != self.stamp {
            return Err(Error::new(Reason::Internal, "this principal was made by another rule set"));
        }
        let behind = match actor.on_behalf_of() {
            Some(next) => self.on_behalf_of(next, other)?,
            None => other.clone(),
        };
        let mut acting = actor.clone().slow();
        acting.detail_mut().on_behalf_of = Some(Arc::new(behind));
        Ok(acting)
    }

    fn assignment(&self, role: u32, facts: AssignmentFacts) -> Assignment {
        let scope = bind(&self.shared.words.kinds, &facts.scope);
        let from = facts.from.map_or(i64::MIN, Timestamp::as_microsecond);
        let until = facts.until.map_or(i64::MAX, Timestamp::as_microsecond);
        Assignment { role, scope, from, until, written: facts.scope, group: facts.group }
    }
}
