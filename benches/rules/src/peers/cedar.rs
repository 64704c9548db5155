//! `cedar-policy` in two shapes: one policy for each grant (linked from a template), and roles as data: one
//! policy, and an entity for each permission that carries the set of roles which grant it. The hierarchy is Cedar's own: entities and their parents.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    str::FromStr,
};

use anyhow::{Context as _, Result};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression, SlotId, Template,
};
use rolekeep_lab::{Edit, Engine, Query, Workload, workload::REGIONS};

/// The kinds of entities.
struct Kinds {
    user: EntityTypeName,
    role: EntityTypeName,
    action: EntityTypeName,
    thing: EntityTypeName,
}

impl Kinds {
    fn new() -> Result<Self> {
        let name = EntityTypeName::from_str;
        Ok(Self { user: name("User")?, role: name("Role")?, action: name("Action")?, thing: name("Thing")? })
    }

    fn user(&self, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.user.clone(), EntityId::new(name))
    }

    fn role(&self, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.role.clone(), EntityId::new(name))
    }

    fn thing(&self, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.thing.clone(), EntityId::new(name))
    }

    fn request(&self, query: &Query, thing: &str, context: Context) -> Result<Request> {
        let action = EntityUid::from_type_name_and_id(self.action.clone(), EntityId::new(&query.action));
        Ok(Request::new(self.user(&query.user_name), action, self.thing(thing), context, None)?)
    }

    /// Roles, and users with what they hold.
    fn people<'w>(&'w self, workload: &'w Workload) -> impl Iterator<Item = Entity> + 'w {
        let uid = |role: u32| self.role(&workload.roles[role as usize].name);
        let roles = workload.roles.iter().map(move |role| {
            let juniors = role.inherits.iter().map(|junior| uid(*junior));
            Entity::new_no_attrs(self.role(&role.name), juniors.collect())
        });
        let users = (0..workload.users).map(move |user| {
            let held = workload.assignments(user).iter().map(|one| uid(one.role));
            Entity::new_no_attrs(self.user(&Workload::user_id(user).to_string()), held.collect())
        });
        roles.chain(users)
    }

    fn assign(&self, entities: &mut Entities, edit: &Edit, on: bool) -> Result<()> {
        let added = on.then_some(&edit.role_name);
        let parents: HashSet<EntityUid> = edit.held.iter().chain(added).map(|role| self.role(role)).collect();
        upsert(entities, Entity::new_no_attrs(self.user(&edit.query.user_name), parents))
    }
}

fn upsert(entities: &mut Entities, entity: Entity) -> Result<()> {
    let old = std::mem::replace(entities, Entities::empty());
    *entities = old.upsert_entities([entity], None)?;
    Ok(())
}

/// What is common to all shapes.
struct House {
    kinds: Kinds,
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
}

impl House {
    fn check(&self, request: &Request) -> bool {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

/// One linked policy for each grant.
pub struct PerGrant(House);

impl PerGrant {
    fn link(&mut self, role: &str, resource: &str, action: &str) -> Result<()> {
        let House { kinds, policies, .. } = &mut self.0;
        let slots =
            HashMap::from([(SlotId::principal(), kinds.role(role)), (SlotId::resource(), kinds.thing(resource))]);
        Ok(policies.link(PolicyId::new(action), grant_id(role, resource, action), slots)?)
    }
}

fn grant_id(role: &str, resource: &str, action: &str) -> PolicyId {
    PolicyId::new(format!("{role} {resource} {action}"))
}

impl Engine for PerGrant {
    type Ask = Request;

    fn load(workload: &Workload) -> Result<Self> {
        let kinds = Kinds::new()?;
        let mut policies = PolicySet::new();
        for action in 0..workload.actions {
            let action = Workload::action_name(action);
            let text =
                format!("permit(principal in ?principal, action == Action::\"{action}\", resource == ?resource);");
            policies.add_template(Template::parse(Some(PolicyId::new(action)), text)?)?;
        }
        let things = (0..workload.types).map(|ty| Entity::with_uid(kinds.thing(&Workload::type_name(ty))));
        let entities = Entities::from_entities(kinds.people(workload).chain(things), None)?;
        let mut new = Self(House { kinds, authorizer: Authorizer::new(), policies, entities });
        for role in &workload.roles {
            for grant in &role.grants {
                let (resource, action) = workload.permission_parts(*grant);
                new.link(&role.name, &resource, &action)?;
            }
        }
        Ok(new)
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Request> {
        self.0.kinds.request(query, &query.resource, Context::empty())
    }

    fn check(&mut self, ask: &Request) -> Result<bool> {
        Ok(self.0.check(ask))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.kinds.assign(&mut self.0.entities, edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let (resource, action) = (&edit.query.resource, &edit.query.action);
        match on {
            true => self.link(&edit.holder_name, resource, action),
            false => {
                self.0.policies.unlink(grant_id(&edit.holder_name, resource, action))?;
                Ok(())
            }
        }
    }
}

/// Of each permission, the roles that grant it.
fn sets(workload: &Workload) -> Vec<BTreeSet<&str>> {
    let mut sets = vec![BTreeSet::new(); workload.permissions() as usize];
    for role in &workload.roles {
        for grant in &role.grants {
            sets[*grant as usize].insert(role.name.as_str());
        }
    }
    sets
}

fn thing(uid: EntityUid, roles: impl Iterator<Item = EntityUid>) -> Result<Entity> {
    let roles = RestrictedExpression::new_set(roles.map(RestrictedExpression::new_entity_uid));
    Ok(Entity::new(uid, HashMap::from([("roles".to_owned(), roles)]), HashSet::new())?)
}

/// Roles as data: what one policy asks about is an entity for each permission, with its roles.
pub struct RoleSets {
    house: House,
    granted: HashMap<String, BTreeSet<String>>,
}

impl Engine for RoleSets {
    type Ask = Request;

    fn load(workload: &Workload) -> Result<Self> {
        let kinds = Kinds::new()?;
        let mut things = Vec::new();
        let mut granted = HashMap::new();
        for (permission, roles) in sets(workload).into_iter().enumerate() {
            let name = workload.permission_name(permission as u32);
            things.push(thing(kinds.thing(&name), roles.iter().map(|role| kinds.role(role)))?);
            granted.insert(name, roles.into_iter().map(str::to_owned).collect());
        }
        let entities = Entities::from_entities(kinds.people(workload).chain(things), None)?;
        let policies =
            PolicySet::from_str("permit(principal, action, resource) when { principal in resource.roles };")?;
        Ok(Self { house: House { kinds, authorizer: Authorizer::new(), policies, entities }, granted })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Request> {
        self.house.kinds.request(query, &query.permission_name, Context::empty())
    }

    fn check(&mut self, ask: &Request) -> Result<bool> {
        Ok(self.house.check(ask))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.house.kinds.assign(&mut self.house.entities, edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let House { kinds, entities, .. } = &mut self.house;
        let name = &edit.query.permission_name;
        let roles = self.granted.get_mut(name).context("no such permission")?;
        match on {
            true => roles.insert(edit.holder_name.clone()),
            false => roles.remove(&edit.holder_name),
        };
        upsert(entities, thing(kinds.thing(name), roles.iter().map(|role| kinds.role(role)))?)
    }
}

/// Roles as data with regions: a role in a region is an entity of its own, and so is a permission in a
/// region. What is asked about the one resource comes as context.
pub struct Scoped(House);

fn within(name: &str, region: u32) -> String {
    format!("{name}@{region}")
}

impl Engine for Scoped {
    type Ask = Request;

    fn load(workload: &Workload) -> Result<Self> {
        let kinds = Kinds::new()?;
        let name = |role: u32| &workload.roles[role as usize].name;
        let mut entities = Vec::new();
        for region in 0..REGIONS {
            let uid = |role: &str| kinds.role(&within(role, region));
            for role in &workload.roles {
                let juniors = role.inherits.iter().map(|junior| uid(name(*junior)));
                entities.push(Entity::new_no_attrs(uid(&role.name), juniors.collect()));
            }
            for (permission, roles) in sets(workload).into_iter().enumerate() {
                let permission = within(&workload.permission_name(permission as u32), region);
                entities.push(thing(kinds.thing(&permission), roles.into_iter().map(uid))?);
            }
        }
        for user in 0..workload.users {
            let held = workload.assignments(user).iter();
            let held = held.map(|one| kinds.role(&within(name(one.role), one.region))).collect();
            let level = RestrictedExpression::new_long(Workload::level(user));
            let user = kinds.user(&Workload::user_id(user).to_string());
            entities.push(Entity::new(user, HashMap::from([("level".to_owned(), level)]), held)?);
        }
        let policies = PolicySet::from_str(
            "permit(principal, action, resource) when { principal in resource.roles \
             && context.status == \"active\" && context.level <= principal.level };",
        )?;
        let entities = Entities::from_entities(entities, None)?;
        Ok(Self(House { kinds, authorizer: Authorizer::new(), policies, entities }))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Request> {
        let thing = query.thing.as_ref().context("a question without a resource")?;
        let status = RestrictedExpression::new_string(thing.status.to_owned());
        let level = RestrictedExpression::new_long(thing.level);
        let context = Context::from_pairs([("status".to_owned(), status), ("level".to_owned(), level)])?;
        self.0.kinds.request(query, &within(&query.permission_name, thing.region), context)
    }

    fn check(&mut self, ask: &Request) -> Result<bool> {
        Ok(self.0.check(ask))
    }
}
