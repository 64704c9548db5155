//! Random policies, principals and things.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use rolekeep::{
    Time, Value,
    rules::{Context, Effect, Policy, Principal, Resource, Role, RuleSet},
    storage::Row,
};

use rolekeep::storage::conformance::THINGS;

use super::{
    Asker, Choices,
    condition::{Condition, HOUR, START, Shape},
    tables::schema,
};

/// A policy, somebody who asks, and what is asked about.
#[derive(Clone, Debug)]
pub struct Case {
    /// The roles of the policy; each inherits only from those before it.
    pub roles: Vec<GeneratedRole>,
    /// The role of those who are not signed in.
    pub anonymous: Option<usize>,
    /// Who asks, and on whose behalf; of roles that exist and of one that does not.
    pub askers: Vec<Asker>,
    /// Which scopes lie within which: kind, id, and the id above. Owners lie within regions, these
    /// within countries.
    pub tree: Vec<(&'static str, Uuid, Uuid)>,
    /// `context.hour` and `context.tag`.
    pub context: (i64, Option<String>),
    /// What is asked about; every id once.
    pub things: Vec<ThingRow>,
    /// When.
    pub now: Time,
    /// For the reference: tests that turn out so whatever they read, by who asks (0 where they read no
    /// principal) and as they are written.
    pub forced: BTreeMap<(usize, String), bool>,
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
    /// Whether it allows nothing to who has not proved a second factor.
    pub needs_second_factor: bool,
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
        choices.grants_anonymous = choices.once_in(4);
        let roles: Vec<GeneratedRole> = (0..count).map(|at| choices.role(at)).collect();
        let mut case = Self {
            roles,
            anonymous: None,
            askers: Vec::new(),
            tree: Vec::new(),
            context: (0, None),
            things: Vec::new(),
            now: Time::default(),
            forced: BTreeMap::new(),
        };
        let harmless: Vec<usize> = (0..count).filter(|role| !case.is_administrator(*role)).collect();
        case.anonymous = (choices.grants_anonymous && !harmless.is_empty()).then(|| *choices.one(&harmless));
        let askers = [1, 1, 1, 1, 1, 2, 2, 3][choices.below(8)];
        case.askers = (0..askers).map(|_| choices.asker(count, case.anonymous)).collect();
        // Of one account the same is said wherever it stands.
        for at in 1..case.askers.len() {
            let first = case.twins(at).next().filter(|first| *first < at);
            if let Some(first) = first {
                (case.askers[at].facts, case.askers[at].teams) =
                    (case.askers[first].facts.clone(), case.askers[first].teams.clone());
            }
        }
        for (kind, _) in KINDS {
            for id in (1..=4).map(Uuid::from_u128) {
                if choices.once_in(2) {
                    case.tree.push((kind, id, choices.id()));
                }
            }
        }
        let tag = choices.once_in(2).then(|| choices.text());
        case.context = (if choices.once_in(2) { 7 } else { 0 }, tag);
        case.things = (1..2 + choices.below(12)).map(|id| choices.thing(Uuid::from_u128(id as u128))).collect();
        case.now = Time::from_microsecond(START + choices.below(3) as i64 * HOUR).unwrap_or_default();
        case
    }

    /// Who asks as the same account, itself included.
    pub fn twins(&self, who: usize) -> impl Iterator<Item = usize> + '_ {
        let own = &self.askers[who];
        let is_it = move |other: &Asker| other.is_signed_in && own.is_signed_in && other.facts.id == own.facts.id;
        self.askers.iter().enumerate().filter(move |(at, other)| *at == who || is_it(other)).map(|(at, _)| at)
    }

    /// A role and all that it inherits.
    pub fn juniors(&self, role: usize) -> BTreeSet<usize> {
        let own = self.roles[role].inherits.iter().flat_map(|junior| self.juniors(*junior));
        own.chain([role]).collect()
    }

    /// Whether a role holds `admin:all`, itself or through the hierarchy.
    pub fn is_administrator(&self, role: usize) -> bool {
        let grants = |role: usize| self.roles[role].grants.iter();
        self.juniors(role).into_iter().any(|junior| grants(junior).any(|grant| grant.pattern == "admin:all"))
    }

    /// The policy.
    pub fn policy(&self) -> Policy {
        let policy = Policy::new()
            .resource_type("user", [("teams", "set<id>?")])
            .context("hour", "int")
            .context("tag", "string?")
            .resource_type("region", [("country_id", "id?")])
            .resource_type("thing", (0..12).map(|at| (format!("n{at}"), "int?")))
            .scope_kind("country", "country_id")
            .nested_scope_kind("region", "region_id", "country_id")
            .nested_scope_kind("owner", "owner_id", "region_id");
        let policy = match self.anonymous {
            Some(role) => policy.anonymous(&self.roles[role].name),
            None => policy,
        };
        self.roles.iter().fold(policy, |policy, role| policy.add_role(self.role(role)))
    }

    /// A role of it.
    pub fn role(&self, role: &GeneratedRole) -> Role {
        let built =
            role.inherits.iter().fold(Role::new(&role.name), |built, junior| built.inherits(&self.roles[*junior].name));
        let built = if role.needs_second_factor { built.second_factor() } else { built };
        role.grants.iter().fold(built, |built, grant| match (&grant.when, grant.effect) {
            (None, Effect::Allow) => built.allow(grant.pattern()),
            (None, Effect::Deny) => built.deny(grant.pattern()),
            (Some(when), Effect::Allow) => built.allow_when(grant.pattern(), when.to_string()),
            (Some(when), Effect::Deny) => built.deny_when(grant.pattern(), when.to_string()),
        })
    }

    /// The policy compiled.
    pub fn rules(&self) -> rolekeep::Result<RuleSet> {
        RuleSet::compile(&self.policy(), &schema())
    }

    /// Who asks, with those on whose behalf.
    pub fn principal(&self, rules: &RuleSet) -> rolekeep::Result<Principal> {
        let rows = self.tree.iter().map(|(kind, id, above)| (*kind, Value::Id(*id), Value::Id(*above)));
        let tree = Arc::new(rules.scope_tree(rows));
        let mut principal: Option<Principal> = None;
        for asker in self.askers.iter().rev() {
            let one = asker.principal(rules, &tree)?;
            principal = Some(match principal {
                Some(behind) => rules.on_behalf_of(&one, &behind)?,
                None => one,
            });
        }
        Ok(principal.unwrap_or_else(|| rules.anonymous()))
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

/// Kinds of scopes that lie within others, and these.
pub(super) const KINDS: &[(&str, &str)] = &[("owner", "region"), ("region", "country")];

/// About things, every one of which the schema knows.
const PATTERNS: &[&str] = &["thing:read", "thing:read", "thing:*", "thing:list", "thing:update", "*:read", "*:*"];
/// So many of them are about things only.
const THINGS_ONLY: usize = 5;

impl Choices {
    /// A role that may inherit from all those before it.
    pub fn role(&mut self, at: usize) -> GeneratedRole {
        let mut inherits: Vec<usize> = (0..at).filter(|_| self.once_in(3)).collect();
        inherits.dedup();
        let grants = (0..1 + self.below(3)).map(|_| self.grant()).collect();
        let needs_second_factor = self.once_in(10);
        GeneratedRole { name: format!("role{at}"), inherits, grants, needs_second_factor }
    }

    /// A grant.
    pub fn grant(&mut self) -> GeneratedGrant {
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
