//! Random policies, principals and things.

use uuid::Uuid;

use crate::{
    model::{record::Row, time::Time, value::Value},
    rules::{AssignmentFacts, Context, Effect, Policy, PrincipalFacts, Resource, Role, RuleSet, Scope},
};

use super::{
    Choices,
    condition::{Condition, HOUR, START, Shape},
    tables::{THINGS, schema},
};

/// A policy, somebody who asks, and what is asked about.
#[derive(Clone, Debug)]
pub struct Case {
    /// The roles of the policy; each inherits only from those before it.
    pub roles: Vec<GeneratedRole>,
    /// Who asks; of roles that exist and of one that does not.
    pub principal: PrincipalFacts,
    /// The set attribute `principal.teams`; none: absent.
    pub teams: Option<Vec<Uuid>>,
    /// `context.hour` and `context.tag`.
    pub context: (i64, Option<String>),
    /// What is asked about; every id once.
    pub things: Vec<ThingRow>,
    /// When.
    pub now: Time,
}

/// A role of a generated policy.
#[derive(Clone, Debug)]
pub struct GeneratedRole {
    /// Its name.
    pub name: String,
    /// Places of its juniors.
    pub inherits: Vec<usize>,
    /// Its grants.
    pub grants: Vec<GeneratedGrant>,
}

/// A grant of a generated policy.
#[derive(Clone, Debug)]
pub struct GeneratedGrant {
    /// Gives or takes.
    pub effect: Effect,
    /// A pattern, without fields.
    pub pattern: &'static str,
    /// The fields that it is narrowed to.
    pub fields: Vec<&'static str>,
    /// Its condition.
    pub when: Option<Condition>,
}

/// A thing and its users.
#[derive(Clone, Debug)]
pub struct ThingRow {
    /// A row of [`THINGS`].
    pub row: Row,
    /// The relation `assigned_users`.
    pub users: Vec<Uuid>,
}

impl ThingRow {
    /// As the rules see it.
    pub fn resource(&self) -> Resource<'_> {
        Resource::record("thing", &THINGS, &self.row).relation("assigned_users", self.users.iter().copied())
    }
}

impl GeneratedGrant {
    /// The pattern as a policy writes it.
    pub fn pattern(&self) -> String {
        match self.fields.is_empty() {
            true => self.pattern.to_owned(),
            false => format!("{}{{{}}}", self.pattern, self.fields.join(",")),
        }
    }
}

impl Case {
    /// Draws a case. Its conditions read types of `thing`, so conditional grants are about things.
    pub fn draw(choices: &mut Choices) -> Self {
        let count = 1 + choices.below(4);
        let roles: Vec<GeneratedRole> = (0..count).map(|at| choices.role(at)).collect();
        let assignments = (0..choices.below(5)).map(|_| choices.assignment(count)).collect();
        let attributes = vec![
            ("username".into(), choices.value(Shape::Text)),
            ("email".into(), Value::Text("someone@example.org".to_owned())),
            ("status".into(), Value::Text("active".to_owned())),
            ("region_id".into(), choices.nullable(Shape::Id)),
            ("level".into(), choices.nullable(Shape::Int)),
            ("joined_at".into(), choices.nullable(Shape::Time)),
        ];
        let teams = choices.once_in(2).then(|| (0..choices.below(3)).map(|_| choices.id()).collect());
        let mut principal = PrincipalFacts {
            id: choices.id(),
            is_active: !choices.once_in(12),
            status: "suspended".to_owned(),
            is_verified: choices.once_in(2),
            attributes,
            assignments,
            ..PrincipalFacts::new(Uuid::nil())
        };
        if let Some(teams) = &teams {
            let ids: &Vec<Uuid> = teams;
            let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
            principal.attributes.push(("teams".into(), Value::Json(format!("[{}]", ids.join(",")))));
        }
        let tag = choices.once_in(2).then(|| choices.text());
        let context = (if choices.once_in(2) { 7 } else { 0 }, tag);
        let things = (1..2 + choices.below(12)).map(|id| choices.thing(Uuid::from_u128(id as u128))).collect();
        let now = Time::from_microsecond(START + choices.below(3) as i64 * HOUR).unwrap_or_default();
        Self { roles, principal, teams, context, things, now }
    }

    /// The policy.
    pub fn policy(&self) -> Policy {
        let policy = Policy::new()
            .resource_type("user", [("teams", "set<id>?")])
            .context("hour", "int")
            .context("tag", "string?")
            .scope_kind("owner", "owner_id");
        self.roles.iter().fold(policy, |policy, role| {
            let built = role
                .inherits
                .iter()
                .fold(Role::new(&role.name), |built, junior| built.inherits(&self.roles[*junior].name));
            let built = role.grants.iter().fold(built, |built, grant| match (&grant.when, grant.effect) {
                (None, Effect::Allow) => built.allow(grant.pattern()),
                (None, Effect::Deny) => built.deny(grant.pattern()),
                (Some(when), Effect::Allow) => built.allow_when(grant.pattern(), when.to_string()),
                (Some(when), Effect::Deny) => built.deny_when(grant.pattern(), when.to_string()),
            });
            policy.add_role(built)
        })
    }

    /// The policy compiled.
    pub fn rules(&self) -> crate::Result<RuleSet> {
        RuleSet::compile(&self.policy(), &schema())
    }

    /// The context of the question.
    pub fn context(&self) -> Context {
        let context = Context::new().with("hour", self.context.0);
        match &self.context.1 {
            Some(tag) => context.with("tag", tag.as_str()),
            None => context,
        }
    }
}

/// About things, every one of which the schema knows.
const PATTERNS: &[&str] = &["thing:read", "thing:read", "thing:*", "thing:list", "thing:update", "*:read", "*:*"];
/// So many of them are about things only.
const THINGS_ONLY: usize = 5;

impl Choices {
    fn role(&mut self, at: usize) -> GeneratedRole {
        let mut inherits: Vec<usize> = (0..at).filter(|_| self.once_in(3)).collect();
        inherits.dedup();
        let grants = (0..1 + self.below(3)).map(|_| self.grant()).collect();
        GeneratedRole { name: format!("role{at}"), inherits, grants }
    }

    fn grant(&mut self) -> GeneratedGrant {
        let effect = if self.once_in(4) { Effect::Deny } else { Effect::Allow };
        // Administrators hide everything else, so they are rare.
        let pattern = match effect {
            Effect::Allow if self.once_in(12) => "admin:all",
            // A deny of everything hides the rest as well.
            Effect::Deny if !self.once_in(4) => *self.one(&PATTERNS[..THINGS_ONLY]),
            _ => *self.one(PATTERNS),
        };
        let is_about_things = pattern.starts_with("thing:");
        let fields = match is_about_things && self.once_in(4) {
            true => vec![*self.one(&["code", "label"])],
            false => Vec::new(),
        };
        let when = (is_about_things && (effect == Effect::Deny || !self.once_in(3)))
            .then(|| self.condition(effect == Effect::Deny, 3));
        GeneratedGrant { effect, pattern, fields, when }
    }

    fn assignment(&mut self, roles: usize) -> AssignmentFacts {
        let scope = match self.below(6) {
            0 => Scope::region(self.id()),
            1 => Scope::resource("thing", self.id()),
            2 => Scope::of("owner", self.id()),
            3 if self.once_in(3) => Scope::of("unknown", self.id()),
            _ => Scope::Global,
        };
        let mut edge = || self.once_in(4).then(|| START + self.below(3) as i64 * HOUR);
        let time = |micros: i64| Time::from_microsecond(micros).unwrap_or_default();
        let (from, until) = (edge().map(time), edge().map(time));
        let role = if self.once_in(10) { roles } else { self.below(roles) };
        let role = format!("role{role}");
        AssignmentFacts { from, until, ..AssignmentFacts::new(role, scope) }
    }

    /// A thing of this id: nulls, quotes and letters beyond ASCII included.
    pub fn thing(&mut self, id: Uuid) -> ThingRow {
        let row = Row(vec![
            Value::Id(id),
            self.value(Shape::Text),
            self.nullable(Shape::Text),
            self.nullable(Shape::Id),
            self.nullable(Shape::Id),
            self.nullable(Shape::Int),
            self.nullable(Shape::Bool),
            self.value(Shape::Time),
            self.nullable(Shape::Time),
            Value::Null,
            Value::Int(1),
        ]);
        let mut users: Vec<Uuid> = (0..self.below(3)).map(|_| self.id()).collect();
        users.sort_unstable();
        users.dedup();
        ThingRow { row, users }
    }
}
