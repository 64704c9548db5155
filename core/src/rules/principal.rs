//! Who asks: facts of an account, resolved against one rule set.

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::{predicate::Name, time::Time, value::Value};

use super::{
    datum::Held,
    rule_set::RuleSet,
    scope::Scope,
    scope_kind::{BoundScope, bind},
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
    /// The roles it holds.
    pub assignments: Vec<AssignmentFacts>,
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
}

/// Somebody who asks, ready to be asked about. Belongs to the [`RuleSet`] that made it.
#[derive(Clone, Debug)]
pub struct Principal {
    pub(super) stamp: u64,
    pub(super) id: Option<Uuid>,
    pub(super) is_active: bool,
    pub(super) status: String,
    /// In the order of the rule set's principal attributes.
    pub(super) attributes: Box<[Held]>,
    pub(super) assignments: Box<[Assignment]>,
}

/// An assignment in numbers.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) role: u32,
    pub(super) scope: BoundScope,
    /// In microseconds, from this one on.
    pub(super) from: i64,
    /// In microseconds, until before this one.
    pub(super) until: i64,
    /// As stored, for explanations.
    pub(super) written: Scope,
}

impl Assignment {
    pub(super) fn is_valid(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// Ends of its window, for people.
    pub(super) fn window(&self) -> (Option<Time>, Option<Time>) {
        let time = |micros: i64, unbounded: i64| {
            if micros == unbounded { None } else { Timestamp::from_microsecond(micros).ok() }
        };
        (time(self.from, i64::MIN), time(self.until, i64::MAX))
    }
}

impl Principal {
    /// The account; none for somebody who is not signed in.
    pub fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// Whether the account may do anything at all.
    pub fn is_active(&self) -> bool {
        self.is_active
    }
}

impl RuleSet {
    /// Somebody with an account.
    pub fn principal(&self, facts: PrincipalFacts) -> Principal {
        let mut given = facts.attributes;
        given.push(("id".into(), Value::Id(facts.id)));
        given.push(("verified".into(), Value::Bool(facts.is_verified)));
        let attributes = self.principal.iter().map(|attribute| {
            // The facts' own `id` and `verified` stand last and win over a column of that name.
            let found = given.iter().rposition(|(name, _)| *name == attribute.name);
            Held::from(found.map_or(Value::Null, |at| given[at].1.clone()))
        });
        Principal {
            stamp: self.stamp,
            id: Some(facts.id),
            is_active: facts.is_active,
            status: facts.status,
            attributes: attributes.collect(),
            assignments: facts.assignments.into_iter().filter_map(|one| self.assignment(one)).collect(),
        }
    }

    /// Somebody who is not signed in: the policy's anonymous role, and no attribute.
    pub fn anonymous(&self) -> Principal {
        let attributes = self.principal.iter().map(|attribute| match attribute.name.as_str() {
            "verified" => Held::One(Value::Bool(false)),
            _ => Held::One(Value::Null),
        });
        let role = self.anonymous.map(|role| Assignment {
            role: role.0,
            scope: BoundScope::Global,
            from: i64::MIN,
            until: i64::MAX,
            written: Scope::Global,
        });
        Principal {
            stamp: self.stamp,
            id: None,
            is_active: true,
            status: "anonymous".to_owned(),
            attributes: attributes.collect(),
            assignments: role.into_iter().collect(),
        }
    }

    fn assignment(&self, facts: AssignmentFacts) -> Option<Assignment> {
        let role = *self.role_ids.get(&facts.role)?;
        let scope = bind(&self.kinds, &facts.scope);
        // `admin:all` is held globally or not at all.
        if self.roles.get(role as usize)?.is_administrator && scope != BoundScope::Global {
            return None;
        }
        let from = facts.from.map_or(i64::MIN, |time| time.as_microsecond());
        let until = facts.until.map_or(i64::MAX, |time| time.as_microsecond());
        Some(Assignment { role, scope, from, until, written: facts.scope })
    }
}
