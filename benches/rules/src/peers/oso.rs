//! `oso`: a user of the host's with its roles, which the host has flattened, and a fact for each grant.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use oso::{Class, Oso as Polar, PolarClass};
use rolekeep_lab::{Edit, Engine, Query, Workload};

const RULE: &str = "allow(user: User, action, resource) if role in user.roles and grants(role, action, resource);\n";

/// A user: its roles and their juniors.
#[derive(Clone)]
struct User {
    roles: Vec<String>,
}

impl PolarClass for User {}

/// Oso, and the host's tables.
pub struct Oso {
    polar: Polar,
    users: HashMap<String, User>,
    closures: HashMap<String, Vec<String>>,
    facts: BTreeSet<String>,
}

fn fact(role: &str, action: &str, resource: &str) -> String {
    format!("grants(\"{role}\", \"{action}\", \"{resource}\");\n")
}

impl Oso {
    fn flat<'r>(&self, roles: impl Iterator<Item = &'r String>) -> Vec<String> {
        let mut flat: Vec<String> =
            roles.flat_map(|role| self.closures.get(role).into_iter().flatten().cloned()).collect();
        flat.sort_unstable();
        flat.dedup();
        flat
    }

    /// All rules anew: Oso takes them only together.
    fn reload(&mut self) -> Result<()> {
        self.polar.clear_rules()?;
        let facts = self.facts.iter().map(String::as_str);
        self.polar.load_str(&[RULE].into_iter().chain(facts).collect::<String>())?;
        Ok(())
    }
}

impl Engine for Oso {
    type Ask = (String, String, String);

    fn load(workload: &Workload) -> Result<Self> {
        let mut polar = Polar::new();
        let class = Class::builder::<User>().name("User").add_attribute_getter("roles", |user| user.roles.clone());
        polar.register_class(class.build())?;
        let name = |role: u32| workload.roles[role as usize].name.clone();
        let closures = (0..workload.roles.len() as u32)
            .map(|role| (name(role), workload.closure(role).into_iter().map(name).collect()));
        let facts = workload.roles.iter().flat_map(|role| {
            role.grants.iter().map(|grant| {
                let (resource, action) = workload.permission_parts(*grant);
                fact(&role.name, &action, &resource)
            })
        });
        let mut new = Self { polar, users: HashMap::new(), closures: closures.collect(), facts: facts.collect() };
        new.reload()?;
        for user in 0..workload.users {
            let held: Vec<String> = workload.assignments(user).iter().map(|one| name(one.role)).collect();
            new.users.insert(Workload::user_id(user).to_string(), User { roles: new.flat(held.iter()) });
        }
        Ok(new)
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.action.clone(), query.resource.clone()))
    }

    fn check(&mut self, (user, action, resource): &Self::Ask) -> Result<bool> {
        let user = self.users.get(user).context("no such user")?.clone();
        Ok(self.polar.is_allowed(user, action.as_str(), resource.as_str())?)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let roles = self.flat(edit.held.iter().chain(on.then_some(&edit.role_name)));
        self.users.insert(edit.query.user_name.clone(), User { roles });
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let fact = fact(&edit.holder_name, &edit.query.action, &edit.query.resource);
        match on {
            true => self.facts.insert(fact),
            false => self.facts.remove(&fact),
        };
        self.reload()
    }
}
