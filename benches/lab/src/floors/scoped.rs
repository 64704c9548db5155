//! The floors with a region on each assignment and the condition written out in Rust.

use anyhow::{Context, Result};
use uuid::Uuid;

use super::bits::{Names, Rows, Spans, Words};
use crate::{Engine, Query, Workload, workload::ACTIVE};

/// What the rules read of the resource.
pub struct Facts {
    region: Uuid,
    level: i64,
    status: String,
}

impl Facts {
    fn of(query: &Query) -> Result<Self> {
        let thing = query.thing.as_ref().context("a question without a resource")?;
        let region = Workload::region_id(thing.region);
        Ok(Self { region, level: thing.level, status: thing.status.to_owned() })
    }
}

/// By numbers.
pub struct ScopedIds {
    held: Spans<(u32, Uuid)>,
    levels: Vec<i64>,
    rows: Rows,
}

impl ScopedIds {
    #[inline]
    fn has(&self, user: u32, permission: u32, facts: &Facts) -> bool {
        let mut held = self.held.at(user).iter();
        held.any(|(role, region)| *region == facts.region && self.rows.has(*role, permission))
            && facts.status == ACTIVE
            && facts.level <= self.levels[user as usize]
    }
}

impl Engine for ScopedIds {
    type Ask = (u32, u32, Facts);

    fn load(workload: &Workload) -> Result<Self> {
        let held = (0..workload.users)
            .map(|user| workload.assignments(user).iter().map(|one| (one.role, Workload::region_id(one.region))));
        let levels = (0..workload.users).map(Workload::level).collect();
        Ok(Self { held: Spans::of(held), levels, rows: Rows::of(workload) })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user, query.permission, Facts::of(query)?))
    }

    #[inline]
    fn check(&mut self, (user, permission, facts): &Self::Ask) -> Result<bool> {
        Ok(self.has(*user, *permission, facts))
    }
}

/// By strings: [`ScopedIds`] behind three maps.
pub struct ScopedStrings {
    names: Names,
    ids: ScopedIds,
}

impl Engine for ScopedStrings {
    type Ask = (Words, Facts);

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self { names: Names::of(workload), ids: ScopedIds::load(workload)? })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        let words = (query.user_name.clone(), query.resource.clone(), query.action.clone());
        Ok((words, Facts::of(query)?))
    }

    #[inline]
    fn check(&mut self, ((user, resource, action), facts): &Self::Ask) -> Result<bool> {
        let found = self.names.find(user, resource, action);
        Ok(found.is_some_and(|(user, permission)| self.ids.has(user, permission, facts)))
    }
}
