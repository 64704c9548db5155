//! Who may do what, by docs/rules.md alone: the decision, the guarded attributes, and what must come of a deed.

use std::collections::BTreeSet;

use rolekeep_test_cases::Choices;

use super::{
    deeds::Deed,
    policy::{ACTIONS, Policy},
    rows::{ADMINISTRATOR, Held, Row, Scope, USERS, World},
};

/// What must come of a deed.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The codes of the error, one of them; none: it is done.
    pub codes: Vec<&'static str>,
    /// The world that it would make, where it is refused for what is guarded though its own permission would do.
    pub guarded: Option<World>,
    /// The world from then on.
    pub after: World,
}

/// The rules of one sequence.
pub struct Judge {
    pub policy: Policy,
    guarded: BTreeSet<(String, &'static str)>,
}

impl Judge {
    pub fn new(policy: Policy) -> Self {
        Self { guarded: policy.guarded(), policy }
    }

    /// Every permission that a row of this type is asked about.
    pub fn permissions(kind: &str) -> impl Iterator<Item = String> {
        let actions = ACTIONS.into_iter().find(|(of, _)| *of == kind).unwrap().1;
        let own = actions.iter().chain(&["read", "list", "set_authority"]);
        own.map(|action| format!("{kind}:{action}")).collect::<Vec<_>>().into_iter()
    }

    /// Whether a user of one world may do this to a row as it is in another.
    pub fn allows(&self, (asking, user): (&World, usize), permission: &str, (there, row): (&World, Row)) -> bool {
        let is_active = asking.users[user].as_ref().is_some_and(|user| user.status == "active");
        if !is_active || user == ADMINISTRATOR {
            return is_active;
        }
        let covers = |held: &&Held| match held.scope {
            Scope::Global => true,
            Scope::On(on) => on == row,
            // A region lies within itself.
            Scope::Region(at) if row == Row::Region(at) => true,
            Scope::Region(at) => {
                there.attributes(row).get("region_id").cloned().flatten() == Some(Row::Region(at).name())
            }
        };
        let held = asking.held.iter().filter(|held| held.user == user).filter(covers);
        let grants = held.flat_map(|held| &self.policy.roles[held.role]);
        let matching = grants.filter(|grant| {
            let holds = || grant.when.as_ref().is_none_or(|when| when.holds((asking, user), (there, row)));
            grant.permissions.iter().any(|name| name == permission) && holds()
        });
        let (denies, allows): (Vec<_>, Vec<_>) = matching.partition(|grant| grant.is_deny);
        denies.is_empty() && !allows.is_empty()
    }

    /// Whether there is something that the user might do this to; none: that depends on how conditions fold.
    pub fn somewhere(&self, world: &World, user: usize, permission: &str) -> Option<bool> {
        let kind = permission.split(':').next().unwrap();
        let rows = world.rows().filter(|row| row.kind() == kind);
        if user == ADMINISTRATOR || rows.into_iter().any(|row| self.allows((world, user), permission, (world, row))) {
            return Some(true);
        }
        let grants =
            world.held.iter().filter(|held| held.user == user).map(|held| (held, &self.policy.roles[held.role]));
        let mut own: Vec<_> = grants
            .flat_map(|(held, grants)| grants.iter().map(move |grant| (held, grant)))
            .filter(|(_, grant)| grant.permissions.iter().any(|name| name == permission))
            .collect();
        if own.iter().all(|(_, grant)| grant.is_deny) {
            return Some(false);
        }
        own.retain(|(_, grant)| grant.is_deny || grant.when.is_none());
        let is_plain = own.iter().any(|(held, grant)| !grant.is_deny && held.scope == Scope::Global);
        (is_plain && own.iter().all(|(_, grant)| !grant.is_deny)).then_some(true)
    }

    /// What must come of a deed.
    pub fn verdict(&self, world: &World, user: usize, deed: &Deed) -> Verdict {
        let refused = |codes: &[&'static str]| Verdict { codes: codes.to_vec(), guarded: None, after: world.clone() };
        if world.users[user].as_ref().is_none_or(|user| user.status != "active") {
            return refused(&["UNAUTHORIZED"]);
        }
        let (permission, target) = deed.asks();
        let me = (world, user);
        let is_administrator = user == ADMINISTRATOR;
        let sees = |row: Row| self.allows(me, &format!("{}:read", row.kind()), (world, row));
        let somewhere = self.somewhere(world, user, permission);
        if somewhere == Some(false) {
            return refused(&["FORBIDDEN"]);
        }
        let hidden = || match somewhere {
            None => refused(&["RESOURCE_NOT_FOUND", "FORBIDDEN"]),
            Some(_) => refused(&["RESOURCE_NOT_FOUND"]),
        };
        if let Some(row) = target {
            if !world.is_there(row) || !sees(row) {
                return hidden();
            }
            let is_allowed = match permission {
                "role:assign" => is_administrator || somewhere == Some(true),
                _ => self.allows(me, permission, (world, row)),
            };
            if !is_allowed {
                return refused(&["FORBIDDEN"]);
            }
        }
        if !is_administrator && deed.is_of_administrator(world) {
            return refused(&["FORBIDDEN"]);
        }
        // Who asks is vouched for, and has proved nothing.
        if deed.shuts_out(user) {
            return refused(&["UNAUTHORIZED"]);
        }
        let after = match deed.done(world, &self.policy, is_administrator, &sees) {
            Ok(after) => after,
            Err(code) if somewhere.is_none() && target.is_none() => return refused(&[code, "FORBIDDEN"]),
            // Of a name that is taken hears who may have it.
            Err("DUPLICATE_RESOURCE") => return refused(&["DUPLICATE_RESOURCE", "FORBIDDEN"]),
            Err(code) => return refused(&[code]),
        };
        let made = deed.makes(world);
        let image = made.or(target).filter(|row| after.is_there(*row) && row.kind() == kind_of(permission));
        if image.is_some_and(|row| !self.allows(me, permission, (&after, row))) {
            return refused(&["FORBIDDEN"]);
        }
        if !is_administrator && after.rows().any(|row| !self.may_change(me, row, &after)) {
            return Verdict { guarded: Some(after), ..refused(&["FORBIDDEN"]) };
        }
        Verdict { codes: Vec::new(), guarded: None, after }
    }

    /// Whether a user who is no administrator may have a row become what it is then.
    fn may_change(&self, me: (&World, usize), row: Row, after: &World) -> bool {
        let world = me.0;
        if !self.is_touched(world, after, row) {
            return true;
        }
        let permission = format!("{}:set_authority", row.kind());
        let before = !world.is_there(row) || self.allows(me, &permission, (world, row));
        row != Row::User(me.1) && before && self.allows(me, &permission, (after, row))
    }

    /// Whether anything of a row that conditions or scopes read becomes another, or comes with a new row.
    fn is_touched(&self, before: &World, after: &World, row: Row) -> bool {
        let carries_authority = |name: &str| self.guarded.iter().any(|(kind, one)| kind == row.kind() && *one == name);
        let now = after.attributes(row);
        if !before.is_there(row) {
            let is_filled = |(name, value): (&&str, &Option<String>)| {
                !matches!(*name, "id" | "version") && value.is_some() && carries_authority(name)
            };
            return now.iter().any(is_filled) || !after.crew(row).is_empty() && carries_authority("assigned_users");
        }
        let was = before.attributes(row);
        now.iter().any(|(name, value)| was[name] != *value && carries_authority(name))
            || before.crew(row) != after.crew(row) && carries_authority("assigned_users")
    }

    /// A step of this number: of so many drawn ones that which shows most, but for every fourth.
    pub fn step(
        &self,
        choices: &mut Choices,
        world: &World,
        number: usize,
        tries: usize,
    ) -> Option<(usize, Deed, Verdict)> {
        let is_any = choices.once_in(4);
        let drawn = (0..if is_any { 1 } else { tries }).filter_map(|_| {
            // Once in a while the administrator stirs the world.
            let user = (1 + choices.below(USERS)) % USERS;
            let deed = Deed::draw(choices, world, number);
            // Callers do not become administrators.
            if user == ADMINISTRATOR && matches!(deed, Deed::GrantAdmin(_)) {
                return None;
            }
            let verdict = self.verdict(world, user, &deed);
            let is_move =
                || world.rows().any(|row| verdict.after.is_there(row) && self.is_touched(world, &verdict.after, row));
            let gains = |then: &World| !self.gained(world, then, user).is_empty();
            let shows = match verdict.codes.is_empty() {
                _ if verdict.guarded.as_ref().is_some_and(gains) => 4,
                true if user != ADMINISTRATOR && is_move() && gains(&verdict.after) => 4,
                true if user != ADMINISTRATOR && is_move() => 3,
                false if verdict.guarded.is_some() => 2,
                true if verdict.after != *world => 1,
                _ => 0,
            };
            Some((shows, user, deed, verdict))
        });
        let (_, user, deed, verdict) = drawn.max_by_key(|(shows, ..)| *shows)?;
        Some((user, deed, verdict))
    }

    /// What a user comes to with another world, of the rows that are there.
    pub fn gained(&self, world: &World, then: &World, user: usize) -> BTreeSet<(String, Row)> {
        let before = self.reach(world, user);
        self.reach(then, user).into_iter().filter(|one| !before.contains(one) && world.is_there(one.1)).collect()
    }

    /// Everything that a user may do to the rows that are there: its reach.
    pub fn reach(&self, world: &World, user: usize) -> BTreeSet<(String, Row)> {
        let asked = world.rows().flat_map(|row| Self::permissions(row.kind()).map(move |permission| (permission, row)));
        asked.filter(|(permission, row)| self.allows((world, user), permission, (world, *row))).collect()
    }
}

pub fn kind_of(permission: &str) -> &str {
    permission.split(':').next().unwrap()
}
