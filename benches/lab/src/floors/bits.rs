//! Bit sets: user -> role ids -> one row of permission bits for each role, its juniors' included.

use anyhow::{Context, Result};
use hashbrown::HashMap;

use crate::{Edit, Engine, Query, Workload};

/// The rows of bits, and what is needed to change them.
pub(super) struct Rows {
    words: Vec<u64>,
    width: usize,
    own: Vec<Vec<u32>>,
    closures: Vec<Vec<u32>>,
    seniors: Vec<Vec<u32>>,
}

impl Rows {
    pub(super) fn of(workload: &Workload) -> Self {
        let width = (workload.permissions() as usize).div_ceil(64);
        let closures: Vec<Vec<u32>> = (0..workload.roles.len() as u32).map(|role| workload.closure(role)).collect();
        let mut rows = Self {
            words: vec![0; width * workload.roles.len()],
            width,
            own: workload.roles.iter().map(|role| role.grants.clone()).collect(),
            seniors: workload.seniors(),
            closures: Vec::new(),
        };
        for (role, closure) in closures.iter().enumerate() {
            for junior in closure {
                for permission in &workload.roles[*junior as usize].grants {
                    rows.set(role as u32, *permission, true);
                }
            }
        }
        rows.closures = closures;
        rows
    }

    #[inline]
    pub(super) fn has(&self, role: u32, permission: u32) -> bool {
        let at = role as usize * self.width + permission as usize / 64;
        self.words[at] >> (permission % 64) & 1 == 1
    }

    fn set(&mut self, role: u32, permission: u32, on: bool) {
        let at = role as usize * self.width + permission as usize / 64;
        let bit = 1 << (permission % 64);
        self.words[at] = if on { self.words[at] | bit } else { self.words[at] & !bit };
    }

    fn grant(&mut self, role: u32, permission: u32, on: bool) {
        let own = &mut self.own[role as usize];
        match on {
            true => own.push(permission),
            false => own.retain(|one| *one != permission),
        }
        for at in 0..self.seniors[role as usize].len() {
            let senior = self.seniors[role as usize][at];
            let mut closure = self.closures[senior as usize].iter();
            let still = on || closure.any(|junior| self.own[*junior as usize].contains(&permission));
            self.set(senior, permission, still);
        }
    }
}

/// What each user holds: spans of one long list.
pub(super) struct Spans<T> {
    items: Vec<T>,
    spans: Vec<(u32, u32)>,
}

impl<T: Copy + PartialEq> Spans<T> {
    pub(super) fn of(lists: impl Iterator<Item = impl Iterator<Item = T>>) -> Self {
        let mut new = Self { items: Vec::new(), spans: Vec::new() };
        for list in lists {
            let start = new.items.len();
            new.items.extend(list);
            new.spans.push((start as u32, new.items.len() as u32));
        }
        new
    }

    /// Adds somebody without anything.
    fn add(&mut self) -> u32 {
        let at = self.spans.len() as u32;
        self.spans.push((self.items.len() as u32, self.items.len() as u32));
        at
    }

    #[inline]
    pub(super) fn at(&self, at: u32) -> &[T] {
        let (start, end) = self.spans[at as usize];
        &self.items[start as usize..end as usize]
    }

    /// Adds at a new place, or takes away where it is.
    fn change(&mut self, at: u32, item: T, on: bool) {
        let (start, end) = self.spans[at as usize];
        if on && end as usize == self.items.len() {
            self.items.push(item);
            self.spans[at as usize].1 += 1;
        } else if on {
            let new = self.items.len() as u32;
            self.items.extend_from_within(start as usize..end as usize);
            self.items.push(item);
            self.spans[at as usize] = (new, self.items.len() as u32);
        } else if let Some(found) = (start..end).find(|one| self.items[*one as usize] == item) {
            self.items.swap(found as usize, end as usize - 1);
            self.spans[at as usize].1 -= 1;
        }
    }
}

/// By numbers: the host knows the user's and the permission's.
pub struct Ids {
    held: Spans<u32>,
    rows: Rows,
}

impl Ids {
    #[inline]
    fn has(&self, user: u32, permission: u32) -> bool {
        self.held.at(user).iter().any(|role| self.rows.has(*role, permission))
    }
}

impl Engine for Ids {
    type Ask = (u32, u32);

    fn load(workload: &Workload) -> Result<Self> {
        let held = (0..workload.users).map(|user| workload.assignments(user).iter().map(|one| one.role));
        Ok(Self { held: Spans::of(held), rows: Rows::of(workload) })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user, query.permission))
    }

    #[inline]
    fn check(&mut self, (user, permission): &Self::Ask) -> Result<bool> {
        Ok(self.has(*user, *permission))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.held.change(edit.query.user, edit.role, on);
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.rows.grant(edit.holder, edit.query.permission, on);
        Ok(())
    }
}

/// Three maps from strings (user, resource, action) to numbers.
pub(super) struct Names {
    users: HashMap<Box<str>, u32>,
    types: HashMap<Box<str>, u32>,
    actions: HashMap<Box<str>, u32>,
}

impl Names {
    pub(super) fn of(workload: &Workload) -> Self {
        let boxed = |name: String| name.into_boxed_str();
        Self {
            users: (0..workload.users).map(|user| (boxed(Workload::user_id(user).to_string()), user)).collect(),
            types: (0..workload.types).map(|ty| (boxed(Workload::type_name(ty)), ty)).collect(),
            actions: (0..workload.actions).map(|one| (boxed(Workload::action_name(one)), one)).collect(),
        }
    }

    /// The user and the permission.
    #[inline]
    pub(super) fn find(&self, user: &str, resource: &str, action: &str) -> Option<(u32, u32)> {
        let permission = self.permission(resource, action)?;
        Some((*self.users.get(user)?, permission))
    }

    #[inline]
    fn permission(&self, resource: &str, action: &str) -> Option<u32> {
        Some(self.types.get(resource)? * self.actions.len() as u32 + self.actions.get(action)?)
    }
}

/// By strings: [`Ids`] behind three maps.
pub struct Strings {
    names: Names,
    ids: Ids,
}

impl Strings {
    /// Before it has users: they come from elsewhere, one by one.
    pub fn without_users(roles: &Workload, types: Vec<String>, actions: Vec<String>) -> Self {
        let numbered = |names: Vec<String>| names.into_iter().map(String::into_boxed_str).zip(0..).collect();
        let names = Names { users: HashMap::new(), types: numbered(types), actions: numbered(actions) };
        let held = Spans { items: Vec::new(), spans: Vec::new() };
        Self { names, ids: Ids { held, rows: Rows::of(roles) } }
    }

    /// The number of a permission.
    pub fn permission(&self, resource: &str, action: &str) -> Option<u32> {
        self.names.permission(resource, action)
    }

    /// Adds a user, and gives its number.
    pub fn add_user(&mut self, id: String) -> u32 {
        let at = self.ids.held.add();
        self.names.users.insert(id.into_boxed_str(), at);
        at
    }

    /// The number of a user.
    pub fn user(&self, id: &str) -> Option<u32> {
        self.names.users.get(id).copied()
    }

    /// Gives a user a role.
    pub fn give(&mut self, user: u32, role: u32) {
        self.ids.held.change(user, role, true);
    }

    /// Whether a user may do this.
    pub fn has(&self, user: &str, resource: &str, action: &str) -> bool {
        self.names.find(user, resource, action).is_some_and(|(user, permission)| self.ids.has(user, permission))
    }
}

/// A user, a resource and an action.
pub type Words = (String, String, String);

impl Engine for Strings {
    type Ask = Words;

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self { names: Names::of(workload), ids: Ids::load(workload)? })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.resource.clone(), query.action.clone()))
    }

    #[inline]
    fn check(&mut self, (user, resource, action): &Self::Ask) -> Result<bool> {
        Ok(self.has(user, resource, action))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let user = self.names.users.get(edit.query.user_name.as_str()).context("no such user")?;
        self.ids.held.change(*user, edit.role, on);
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.ids.grant(edit, on)
    }
}
