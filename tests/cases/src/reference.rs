//! The decision as the pseudo-code of docs/rules.md says it, as naive as can be: what the engine is
//! measured against. It compiles nothing, remembers nothing, and reads a [`Case`] anew for every question.

use rolekeep::{
    Value,
    rules::{Effect, Scope, StoredAssignment},
};

use super::{Asker, Case, Condition, GeneratedGrant, Operand, THINGS, ThingRow, case::KINDS};

/// A question of the reference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// `thing:read`
    pub permission: &'a str,
    /// Each is decided alone, and all must pass.
    pub fields: &'a [&'a str],
    /// What it is about.
    pub thing: Option<&'a ThingRow>,
    /// Instead of a thing: one that lies in these scopes and in no other, of which no test holds but
    /// those that [`Case::forced`] names and `has` of what is always there.
    pub named: Option<&'a [Scope]>,
}

/// A role that somebody has, by which assignment, and whether what it allows counts.
pub struct HeldPair<'a> {
    /// The role: the one assigned, or one of its juniors.
    pub role: usize,
    /// The assignment.
    pub assignment: &'a StoredAssignment,
    /// False in a session, or a key, that does not use it.
    pub is_active: bool,
}

/// The reference.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a>(pub &'a Case);

impl<'a> Reference<'a> {
    /// Whether all of those may do it who ask together.
    pub fn decide(self, query: Query<'_>) -> bool {
        self.0.askers.iter().enumerate().all(|(who, asker)| {
            let about = About { case: self.0, query, who, asker, field: None };
            match query.fields {
                [] => about.decide(),
                fields => fields.iter().all(|field| About { field: Some(field), ..about }.decide()),
            }
        })
    }

    /// R: every role of every assignment whose window holds now; one that administers counts only
    /// everywhere.
    pub fn held(self, asker: &'a Asker) -> Vec<HeldPair<'a>> {
        let case = self.0;
        let number = |name: &str| case.roles.iter().position(|role| role.name == *name);
        let active = asker.key.as_ref().map(|key| &key.roles).or(asker.session.as_ref());
        let mut held = Vec::new();
        for assignment in &asker.facts.assignments {
            let is_valid = assignment.valid_from.is_none_or(|from| from <= case.now)
                && assignment.valid_until.is_none_or(|until| case.now < until);
            let Some(role) = number(&assignment.role).filter(|_| is_valid) else { continue };
            if case.is_administrator(role) && assignment.scope != Scope::Global {
                continue;
            }
            let juniors = case.juniors(role);
            let used = |role: &usize| juniors.contains(role);
            // What a role brings that needs a second factor, it brings to nobody who has not proved one.
            let is_held_back =
                !asker.facts.has_two_factors && juniors.iter().any(|junior| case.roles[*junior].needs_second_factor);
            for role in &juniors {
                let is_active = !is_held_back
                    && active.is_none_or(|names| {
                        names
                            .iter()
                            .filter_map(|name| number(name))
                            .filter(used)
                            .any(|active| case.juniors(active).contains(role))
                    });
                held.push(HeldPair { role: *role, assignment, is_active });
            }
        }
        held
    }
}

/// A question about one of those who ask, on one field.
#[derive(Clone, Copy)]
struct About<'a> {
    case: &'a Case,
    query: Query<'a>,
    who: usize,
    asker: &'a Asker,
    field: Option<&'a str>,
}

impl About<'_> {
    fn decide(self) -> bool {
        let permission = self.query.permission;
        if !self.asker.facts.is_active {
            return false;
        }
        if let Some(key) = &self.asker.key
            && !key.patterns.iter().any(|pattern| matches(pattern, permission))
        {
            return false;
        }
        let held = Reference(self.case).held(self.asker);
        let grants = |role: usize| self.case.roles[role].grants.iter();
        if held.iter().any(|pair| pair.is_active && grants(pair.role).any(|grant| grant.pattern == "admin:all")) {
            return true;
        }
        let is_denied = held.iter().any(|pair| grants(pair.role).any(|grant| self.denies(grant, pair.assignment)));
        let allows = |pair: &HeldPair<'_>| grants(pair.role).any(|grant| self.allows(grant, pair.assignment));
        !is_denied && held.iter().any(|pair| pair.is_active && allows(pair))
    }

    fn allows(self, grant: &GeneratedGrant, assignment: &StoredAssignment) -> bool {
        // Asked without fields, a narrowed allow does not count; without a resource, neither does one
        // that is scoped or reads it.
        let is_on = grant.fields.is_empty() || self.field.is_some_and(|field| grant.fields.contains(&field));
        let is_here = match self.has_resource() {
            true => self.covers(&assignment.scope),
            false => assignment.scope == Scope::Global && !reads_resource(grant),
        };
        grant.effect == Effect::Allow
            && is_on
            && matches(grant.pattern, self.query.permission)
            && is_here
            && grant.when.as_ref().is_none_or(|when| self.holds(when))
    }

    fn denies(self, grant: &GeneratedGrant, assignment: &StoredAssignment) -> bool {
        let is_on = grant.fields.is_empty() || self.field.is_none_or(|field| grant.fields.contains(&field));
        let is_unknown = !self.has_resource() && reads_resource(grant);
        grant.effect == Effect::Deny
            && is_on
            && matches(grant.pattern, self.query.permission)
            && (!self.has_resource() || self.covers(&assignment.scope))
            && (is_unknown || grant.when.as_ref().is_none_or(|when| self.holds(when)))
    }

    fn has_resource(self) -> bool {
        self.query.thing.is_some() || self.query.named.is_some()
    }

    fn covers(self, scope: &Scope) -> bool {
        let Scope::Of { kind, id } = scope else { return true };
        if let Some(thing) = self.query.thing {
            let bound = [("region", "region_id"), ("owner", "owner_id"), ("resource:thing", "id")];
            return bound.iter().any(|(of, column)| self.lies_within(of, &thing_value(thing, column), kind, id));
        }
        let named = self.query.named.unwrap_or_default();
        named.iter().any(|one| matches!(one, Scope::Of { kind: of, id: own } if self.lies_within(of, own, kind, id)))
    }

    fn lies_within(self, kind: &str, id: &Value, outer: &str, outer_id: &Value) -> bool {
        if kind == outer {
            return id == outer_id;
        }
        let above = self.case.tree.iter().find(|(of, own, _)| *of == kind && Value::Id(*own) == *id);
        let parent = KINDS.iter().find(|(of, _)| *of == kind);
        above
            .zip(parent)
            .is_some_and(|(above, parent)| self.lies_within(parent.1, &Value::Id(above.2), outer, outer_id))
    }

    fn holds(self, when: &Condition) -> bool {
        match when {
            Condition::All(parts) => parts.iter().all(|part| self.holds(part)),
            Condition::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Condition::Not(inner) => !self.holds(inner),
            test => self.forced(test).unwrap_or_else(|| self.test(test)),
        }
    }

    /// How a test turns out that does not depend on values.
    fn forced(self, test: &Condition) -> Option<bool> {
        if self.case.forced.is_empty() && self.query.named.is_none() {
            return None;
        }
        let text = test.to_string();
        let is_unknown = self.query.named.is_some() && text.contains("resource.");
        let who = if text.contains("principal.") { self.who } else { 0 };
        let always = matches!(test, Condition::Has(Operand::Path("resource", _, false, _)));
        let forced = self.case.forced.get(&(who, text)).copied();
        forced.or_else(|| self.must_be_there(test).then_some(true)).or_else(|| is_unknown.then_some(always))
    }

    /// Whether a test that must hold reads what `has` asks for: what is absent makes none hold.
    fn must_be_there(self, test: &Condition) -> bool {
        let Condition::Has(path @ Operand::Path(root, ..)) = test else { return false };
        let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
        let path = path.to_string();
        self.case.forced.iter().any(|((who, text), holds)| {
            let reads = text.match_indices(&path).any(|(at, _)| is_end(&text[at + path.len()..]));
            *holds && reads && (*root != "principal" || *who == self.who)
        })
    }

    fn test(self, test: &Condition) -> bool {
        match test {
            Condition::Has(Operand::Path("resource", "assigned_users", ..)) => true,
            Condition::Has(Operand::Path("principal", "teams", ..)) => self.asker.teams.is_some(),
            Condition::Has(path) => !self.value(path).is_null(),
            Condition::Compare(left, operator, right) => {
                let (left, right) = (self.value(left), self.value(right));
                // A comparison with an absent value is false.
                let are_there = !left.is_null() && !right.is_null();
                are_there
                    && match *operator {
                        "==" => left == right,
                        "!=" => left != right,
                        "<" => left < right,
                        "<=" => left <= right,
                        ">" => left > right,
                        _ => left >= right,
                    }
            }
            Condition::In(one, literals) => {
                let one = self.value(one);
                !one.is_null() && literals.iter().any(|literal| self.value(literal) == one)
            }
            Condition::Contains(set, one) => {
                let one = self.value(one);
                let ids = match set {
                    Operand::Path("principal", ..) => self.asker.teams.as_deref(),
                    _ => self.query.thing.map(|thing| thing.users.as_slice()),
                };
                ids.unwrap_or_default().iter().any(|id| Value::Id(*id) == one)
            }
            Condition::StartsWith(one, prefix) => {
                self.value(one).as_text().is_some_and(|text| text.starts_with(prefix.as_str()))
            }
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) => self.holds(test),
        }
    }

    fn value(self, operand: &Operand) -> Value {
        let facts = &self.asker.facts;
        let (value, by) = match operand {
            Operand::Literal(value) => return value.clone(),
            Operand::Now(by) => (Value::Time(self.case.now.as_microsecond()), *by),
            Operand::Path("resource", name, _, by) => {
                (self.query.thing.map_or(Value::Null, |thing| thing_value(thing, name)), *by)
            }
            Operand::Path("context", "hour", ..) => return Value::Int(self.case.context.0),
            Operand::Path("context", ..) => return self.case.context.1.as_deref().map_or(Value::Null, Value::from),
            Operand::Path(_, "id", ..) if self.asker.is_signed_in => return Value::Id(facts.id),
            Operand::Path(_, "verified", ..) => return Value::Bool(facts.is_verified),
            Operand::Path(_, name, _, by) => {
                let found = facts.attributes.iter().find(|(known, _)| known == name);
                (found.map_or(Value::Null, |(_, value)| value.clone()), *by)
            }
        };
        match value {
            Value::Time(micros) => Value::Time(micros + by),
            other => other,
        }
    }
}

fn thing_value(thing: &ThingRow, column: &str) -> Value {
    THINGS.position(column).map_or(Value::Null, |at| thing.row.0[at].clone())
}

fn reads_resource(grant: &GeneratedGrant) -> bool {
    grant.when.as_ref().is_some_and(|when| when.to_string().contains("resource."))
}

/// Whether a pattern, without its fields, is about a permission. Nothing matches `admin:all`.
fn matches(pattern: &str, permission: &str) -> bool {
    let parts = |text: &str| text.split_once(':').map(|(one, other)| (one.to_owned(), other.to_owned()));
    let (Some((resource, action)), Some(wanted)) = (parts(pattern), parts(permission)) else { return false };
    permission != "admin:all" && ["*", &wanted.0].contains(&&*resource) && ["*", &wanted.1].contains(&&*action)
}
