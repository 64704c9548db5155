//! About resources, with scopes and conditions.

use std::marker::PhantomData;

use anyhow::{Context as _, Result};
use rolekeep::{
    model::value::Value,
    rules::{PermissionId, Resource, ResourceLayout, UserHandle},
};

use super::House;
use crate::{Engine, Query, Workload};

/// How a host gives what conditions read of a resource.
pub trait Giving {
    /// The resource that a question is about.
    fn resource(query: &Query) -> Result<Resource<'static>>;
}

/// By [`ResourceLayout`]s, which a host makes once.
pub struct Shaped;

/// With names, each time.
pub struct WithNames;

const NAMES: [&str; 3] = ["region_id", "level", "status"];

fn values(query: &Query) -> Result<[Value; 3]> {
    let thing = query.thing.as_ref().context("a question without a resource")?;
    let region = Value::Id(Workload::region_id(thing.region));
    Ok([region, Value::Int(thing.level), Value::Text(thing.status.to_owned())])
}

impl Giving for Shaped {
    fn resource(query: &Query) -> Result<Resource<'static>> {
        use std::{
            collections::HashMap,
            sync::{LazyLock, Mutex, PoisonError},
        };
        // Those of a host are static, too.
        static SHAPES: LazyLock<Mutex<HashMap<String, &'static ResourceLayout>>> = LazyLock::new(Mutex::default);
        let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || &*Box::leak(Box::new(ResourceLayout::new(query.resource.clone(), NAMES)));
        Ok(shapes.entry(query.resource.clone()).or_insert_with(new).resource(values(query)?))
    }
}

impl Giving for WithNames {
    fn resource(query: &Query) -> Result<Resource<'static>> {
        let resource = Resource::of(query.resource.clone());
        Ok(NAMES.into_iter().zip(values(query)?).fold(resource, |resource, (name, value)| resource.with(name, value)))
    }
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
        Ok((user, permission, Shaped::resource(query)?))
    }

    #[inline]
    fn check(&mut self, (user, permission, resource): &Self::Ask) -> Result<bool> {
        self.0.decide(self.0.rights.principal(*user), *permission, resource)
    }
}

/// By strings.
pub struct ScopedNamed<G>(House, PhantomData<G>);

impl<G: Giving> Engine for ScopedNamed<G> {
    type Ask = (String, String, Resource<'static>);

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(House::load(workload)?, PhantomData))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.permission_name.clone(), G::resource(query)?))
    }

    #[inline]
    fn check(&mut self, (user, permission, resource): &Self::Ask) -> Result<bool> {
        let permission = self.0.rights.rules().permission(permission)?;
        self.0.decide(self.0.rights.principal_named(user), permission, resource)
    }
}
