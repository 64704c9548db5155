//! Random askers: accounts with roles of their own and of groups, sessions, API keys, nobody at all.

use std::sync::Arc;

use uuid::Uuid;

use rolekeep::{
    Result, Time, Value,
    rules::{Principal, RoleId, RuleSet, Scope, ScopeTree, StoredAssignment, StoredPrincipal},
};

use super::{
    Choices,
    condition::{HOUR, START, Shape},
};

/// Who asks, or somebody on whose behalf.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The account. Of somebody who is not signed in: the anonymous role, and no attribute.
    pub facts: StoredPrincipal,
    /// The set attribute `principal.teams`; none: absent.
    pub teams: Option<Vec<Uuid>>,
    /// False: nobody is.
    pub is_signed_in: bool,
    /// The roles that are active in its session; none: all.
    pub session: Option<Vec<String>>,
    /// An API key of the account.
    pub key: Option<GeneratedKey>,
}

/// An API key.
#[derive(Clone, Debug)]
pub struct GeneratedKey {
    /// By these roles of its owner.
    pub roles: Vec<String>,
    /// What one of these matches.
    pub patterns: Vec<String>,
}

impl Asker {
    /// An account that asks for itself.
    pub fn account(facts: StoredPrincipal) -> Self {
        Self { facts, teams: None, is_signed_in: true, session: None, key: None }
    }

    /// Without whom it asks on behalf of.
    pub(super) fn principal(&self, rules: &RuleSet, tree: &Arc<ScopeTree>) -> Result<Principal> {
        let mut principal = match self.is_signed_in {
            true => rules.resolve_stored_in(self.facts.clone(), Some(tree)),
            false => rules.anonymous(),
        };
        if let Some(session) = &self.session {
            let roles: Vec<RoleId> = session.iter().filter_map(|role| rules.role(role).ok()).collect();
            principal = rules.with_active_roles(&principal, &roles);
        }
        if let Some(key) = &self.key {
            let roles: Vec<&str> =
                key.roles.iter().map(String::as_str).filter(|role| rules.role(role).is_ok()).collect();
            let patterns: Vec<&str> = key.patterns.iter().map(String::as_str).collect();
            principal = rules.api_key(&principal, &roles, &patterns)?;
        }
        Ok(principal)
    }
}

impl Choices {
    /// An asker; of as many roles, and of one that is not declared.
    pub(super) fn asker(&mut self, roles: usize, anonymous: Option<usize>) -> Asker {
        if let Some(role) = anonymous.filter(|_| self.once_in(5)) {
            let assignments = vec![StoredAssignment::new(format!("role{role}"), Scope::Global)];
            let facts = StoredPrincipal { is_verified: false, assignments, ..StoredPrincipal::new(Uuid::nil()) };
            return Asker { is_signed_in: false, ..Asker::account(facts) };
        }
        let assignments = (0..[1, 2, 3, 4, 0][self.below(5)]).map(|_| self.assignment(roles)).collect();
        let mut attributes = vec![
            ("username".into(), self.value(Shape::Text)),
            ("email".into(), Value::Text("someone@example.org".to_owned())),
            ("status".into(), Value::Text("active".to_owned())),
            ("region_id".into(), self.nullable(Shape::Id)),
            ("level".into(), self.nullable(Shape::Int)),
            ("joined_at".into(), self.nullable(Shape::Time)),
        ];
        let teams = self.once_in(2).then(|| (0..self.below(3)).map(|_| self.id()).collect());
        if let Some(teams) = &teams {
            let ids: &Vec<Uuid> = teams;
            let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
            attributes.push(("teams".into(), Value::Json(format!("[{}]", ids.join(",")).into())));
        }
        let id = self.id();
        let facts = StoredPrincipal {
            is_active: !self.once_in(16),
            status: "suspended".into(),
            is_verified: self.once_in(2),
            has_two_factors: !self.once_in(3),
            attributes,
            assignments,
            ..StoredPrincipal::new(id)
        };
        let session = self.once_in(6).then(|| self.some_roles(roles));
        let key = self.once_in(7).then(|| GeneratedKey {
            roles: self.some_roles(roles),
            patterns: (0..1 + self.below(2)).map(|_| (*self.one(KEY_PATTERNS)).to_owned()).collect(),
        });
        Asker { facts, teams, is_signed_in: true, session, key }
    }

    fn some_roles(&mut self, roles: usize) -> Vec<String> {
        (0..1 + self.below(2)).map(|_| format!("role{}", self.below(roles))).collect()
    }

    fn assignment(&mut self, roles: usize) -> StoredAssignment {
        let scope = match self.below(9) {
            0 => Scope::region(self.id()),
            1 => Scope::resource("thing", self.id()),
            2 => Scope::of("owner", self.id()),
            3 => Scope::of("country", self.id()),
            4 if self.once_in(3) => Scope::of("unknown", self.id()),
            _ => Scope::Global,
        };
        let mut edge = || self.once_in(5).then(|| START + self.below(3) as i64 * HOUR);
        let time = |micros: i64| Time::from_microsecond(micros).unwrap_or_default();
        let (valid_from, valid_until) = (edge().map(time), edge().map(time));
        let role = if self.once_in(10) { roles } else { self.below(roles) };
        let group = self.once_in(4).then(|| Arc::from(*self.one(&["crew", "staff"])));
        StoredAssignment { valid_from, valid_until, group, ..StoredAssignment::new(format!("role{role}"), scope) }
    }
}

const KEY_PATTERNS: &[&str] = &["*:*", "thing:*", "thing:read", "*:read", "thing:list", "user:read"];
