//! About resources, with scopes and conditions.

use anyhow::{Context as _, Result};
use rolekeep::{
    Value,
    rules::{PermissionId, Resource, UserHandle},
};

use super::House;
use crate::{Engine, Query, Workload};

const NAMES: [&str; 3] = ["region_id", "level", "status"];

/// The resource that a question is about.
fn resource(query: &Query) -> Result<Resource<'static>> {
    let thing = query.thing.as_ref().context("a question without a resource")?;
    let region = Value::Id(Workload::region_id(thing.region));
    let values = [region, Value::Int(thing.level), Value::Text(thing.status.to_owned())];
    let resource = Resource::of(query.resource.clone());
    Ok(NAMES.into_iter().zip(values).fold(resource, |resource, (name, value)| resource.with(name, value)))
}

/// By handles.
pub struct ScopedHandles(House);

impl Engine for ScopedHandles {
    type Ask = (UserHandle, PermissionId, Resource<'static>);

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(House::load(workload)?))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        let (user, permission) = self.0.handle(query)?;
        Ok((user, permission, resource(query)?))
    }

    #[inline]
    fn check(&mut self, (user, permission, resource): &Self::Ask) -> Result<bool> {
        self.0.decide(self.0.rights.principal(*user), *permission, resource)
    }
}

/// By strings.
pub struct ScopedNamed(House);

impl Engine for ScopedNamed {
    type Ask = (String, String, Resource<'static>);

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(House::load(workload)?))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.permission_name.clone(), resource(query)?))
    }

    #[inline]
    fn check(&mut self, (user, permission, resource): &Self::Ask) -> Result<bool> {
        // The user first, as `Rights::check_named` does.
        let principal = self.0.rights.principal_named(user);
        self.0.decide(principal, self.0.rights.rules().permission(permission)?, resource)
    }
}
