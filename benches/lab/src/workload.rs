//! The same random users, roles, permissions and questions for every engine, from a fixed seed.

use std::{collections::HashSet, str::FromStr};

use anyhow::bail;
use uuid::Uuid;

use crate::{
    engine::{Edit, Query, Thing},
    reference,
};

/// Now, in microseconds: 2026-01-01.
pub const NOW: i64 = 1_767_225_600_000_000;
/// The word that the condition of [`Variant::Scoped`] asks for.
pub const ACTIVE: &str = "active";
/// Regions that assignments and things are in.
pub const REGIONS: u32 = 50;

const SEED: u64 = 20_261_101;
const DAY: i64 = 86_400_000_000;
/// How often a draw is repeated until its answer is the wanted one.
const TRIES: usize = 100;

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 100 users, 10 roles of 5 grants, 50 permissions, 300 assignments.
    S,
    /// 10,000 users, 1,000 roles of 20 grants, 5,000 permissions, 30,000 assignments.
    M,
    /// 1,000,000 users, 10,000 roles of 20 grants, 50,000 permissions, 3,000,000 assignments.
    L,
}

impl Size {
    /// Every size, small ones first.
    pub const ALL: [Size; 3] = [Size::S, Size::M, Size::L];

    /// Its letter.
    pub fn name(self) -> &'static str {
        match self {
            Size::S => "S",
            Size::M => "M",
            Size::L => "L",
        }
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match Size::ALL.into_iter().find(|size| size.name() == text) {
            Some(size) => Ok(size),
            None => bail!("there is no size {text}"),
        }
    }
}

/// What the policy and the assignments have beside plain grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Plain,
    /// Every assignment is in one region, and every grant is conditional:
    /// `resource.status == "active" and resource.level <= principal.level`.
    Scoped,
    /// One grant in ten is a deny.
    Denies,
    /// Half of the assignments have a window; one in eight has ended, one in eight has not begun.
    Windows,
    /// As [`Variant::Plain`], but only one user in a hundred is asked about, and ours holds no others.
    Resident,
    /// As [`Variant::Plain`], with so many roles for each user instead of three.
    Roles(u32),
    /// As [`Variant::Plain`], but all questions are about one user.
    Hot,
    /// As [`Variant::Plain`], with so many roles and permissions that their table as bits would take 150 MB.
    Wide,
    /// As [`Variant::Plain`], but half of the users and half of the permissions asked about are not known.
    Unknown,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Variant; 12] = [
        Variant::Plain,
        Variant::Scoped,
        Variant::Denies,
        Variant::Windows,
        Variant::Resident,
        Variant::Roles(1),
        Variant::Roles(5),
        Variant::Roles(16),
        Variant::Roles(64),
        Variant::Hot,
        Variant::Wide,
        Variant::Unknown,
    ];

    /// Those that differ from [`Variant::Plain`] in one number alone, the last of all: beside the same question of
    /// the floors, none may cost much more.
    pub const SHAPES: &'static [Variant] = Self::ALL.split_at(5).1;

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Scoped => "scoped",
            Variant::Denies => "denies",
            Variant::Windows => "windows",
            Variant::Resident => "resident",
            Variant::Roles(1) => "roles-1",
            Variant::Roles(5) => "roles-5",
            Variant::Roles(16) => "roles-16",
            Variant::Roles(_) => "roles-64",
            Variant::Hot => "hot",
            Variant::Wide => "wide",
            Variant::Unknown => "unknown",
        }
    }

    /// The sizes that a shape is measured at: at others it is another's, or too large for the machine.
    pub fn is_at(self, size: Size) -> bool {
        match self {
            Variant::Roles(16 | 64) | Variant::Wide => size == Size::M,
            Variant::Roles(_) | Variant::Hot | Variant::Unknown => size != Size::S,
            _ => true,
        }
    }

    /// Roles of each user.
    fn held(self) -> usize {
        match self {
            Variant::Roles(count) => count as usize,
            _ => 3,
        }
    }
}

impl FromStr for Variant {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match Variant::ALL.into_iter().find(|variant| variant.name() == text) {
            Some(variant) => Ok(variant),
            None => bail!("there is no variant {text}"),
        }
    }
}

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its direct juniors.
    pub inherits: Vec<u32>,
    /// What it allows itself.
    pub grants: Vec<u32>,
    /// What it denies itself.
    pub denies: Vec<u32>,
}

/// When an assignment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// For ever.
    Always,
    /// Now, but not for ever.
    Now,
    /// Not any more.
    Past,
    /// Not yet.
    Future,
}

impl Window {
    /// Its ends in microseconds: from the first one on, until before the second.
    pub fn ends(self) -> (Option<i64>, Option<i64>) {
        match self {
            Window::Always => (None, None),
            Window::Now => (Some(NOW - 30 * DAY), Some(NOW + 30 * DAY)),
            Window::Past => (Some(NOW - 60 * DAY), Some(NOW - 30 * DAY)),
            Window::Future => (Some(NOW + 30 * DAY), Some(NOW + 60 * DAY)),
        }
    }

    /// Whether it holds at a moment.
    pub fn holds(self, now: i64) -> bool {
        let (from, until) = self.ends();
        from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
    }
}

/// A role that somebody holds.
#[derive(Clone, Copy, Debug)]
pub struct Assignment {
    /// The role.
    pub role: u32,
    /// The region that it is limited to; read in [`Variant::Scoped`] only.
    pub region: u32,
    /// When it holds.
    pub window: Window,
}

/// Everything that an engine takes in, and the questions to ask it.
#[derive(Debug)]
pub struct Workload {
    /// How much.
    pub size: Size,
    /// What beside grants.
    pub variant: Variant,
    /// How many users.
    pub users: u32,
    /// How many resource types; each has all actions.
    pub types: u32,
    /// How many actions.
    pub actions: u32,
    /// Every role, seniors before their juniors.
    pub roles: Vec<Role>,
    /// About half allowed, half denied.
    pub queries: Vec<Query>,
    /// Changes to measure.
    pub edits: Vec<Edit>,
    assignments: Vec<Assignment>,
    starts: Vec<u32>,
}

impl Workload {
    /// Draws it, with up to `queries` questions.
    pub fn draw(size: Size, variant: Variant, queries: usize) -> Self {
        let (users, roles, types, actions, grants) = match size {
            Size::S => (100, 10, 10, 5, 5),
            Size::M => (10_000, 1_000, 500, 10, 20),
            Size::L => (1_000_000, 10_000, 5_000, 10, 20),
        };
        let (roles, types) = if variant == Variant::Wide { (20_000, 6_000) } else { (roles, types) };
        let mut random = fastrand::Rng::with_seed(SEED);
        let roles = (0..roles).map(|at| role(&mut random, at, roles, types * actions, grants, variant)).collect();
        let mut workload = Workload {
            size,
            variant,
            users,
            types,
            actions,
            roles,
            queries: Vec::new(),
            edits: Vec::new(),
            assignments: Vec::with_capacity(users as usize * variant.held()),
            starts: vec![0],
        };
        for _ in 0..users {
            workload.add_user(&mut random);
        }
        workload.queries = (0..queries).map(|at| workload.draw_query(&mut random, at % 2 == 0)).collect::<Vec<_>>();
        random.shuffle(&mut workload.queries);
        if variant == Variant::Unknown {
            workload.queries.iter_mut().zip([0, 1, 2, 3].iter().cycle()).for_each(|(query, at)| query.forget(*at));
        }
        if variant == Variant::Plain {
            workload.edits = (0..200).map(|_| workload.draw_edit(&mut random)).collect();
        }
        workload
    }

    /// Roles without users, from elsewhere.
    pub fn of_roles(size: Size, types: u32, actions: u32, roles: Vec<Role>) -> Self {
        let (variant, queries, edits) = (Variant::Plain, Vec::new(), Vec::new());
        let (assignments, starts) = (Vec::new(), vec![0]);
        Self { size, variant, users: 0, types, actions, roles, queries, edits, assignments, starts }
    }

    /// How many permissions.
    pub fn permissions(&self) -> u32 {
        self.types * self.actions
    }

    /// How many users, from the first on, are asked about.
    pub fn asked(&self) -> u32 {
        if self.variant == Variant::Resident { self.users / 100 } else { self.users }
    }

    /// What a user holds: different roles, mostly three.
    pub fn assignments(&self, user: u32) -> &[Assignment] {
        let user = user as usize;
        match (self.starts.get(user), self.starts.get(user + 1)) {
            (Some(start), Some(end)) => self.assignments.get(*start as usize..*end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The id of a user.
    pub fn user_id(user: u32) -> Uuid {
        id(1, user)
    }

    /// The id of a region.
    pub fn region_id(region: u32) -> Uuid {
        id(2, region)
    }

    /// `principal.level`, from 0 to 9.
    pub fn level(user: u32) -> i64 {
        i64::from(user % 10)
    }

    /// The name of a resource type.
    pub fn type_name(ty: u32) -> String {
        format!("type{ty:04}")
    }

    /// The name of an action.
    pub fn action_name(action: u32) -> String {
        format!("act{action}")
    }

    /// `resource` and `action` of a permission.
    pub fn permission_parts(&self, permission: u32) -> (String, String) {
        (Self::type_name(permission / self.actions), Self::action_name(permission % self.actions))
    }

    /// `resource:action`.
    pub fn permission_name(&self, permission: u32) -> String {
        let (resource, action) = self.permission_parts(permission);
        format!("{resource}:{action}")
    }

    /// A role and all its juniors, sorted.
    pub fn closure(&self, role: u32) -> Vec<u32> {
        let mut found = vec![role];
        let mut at = 0;
        while let Some(next) = found.get(at) {
            let juniors = &self.roles[*next as usize].inherits;
            at += 1;
            for junior in juniors {
                if !found.contains(junior) {
                    found.push(*junior);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Of every role, itself and all its seniors.
    pub fn seniors(&self) -> Vec<Vec<u32>> {
        let mut seniors = vec![Vec::new(); self.roles.len()];
        for senior in 0..self.roles.len() as u32 {
            for junior in self.closure(senior) {
                seniors[junior as usize].push(senior);
            }
        }
        seniors
    }

    fn add_user(&mut self, random: &mut fastrand::Rng) {
        let first = self.assignments.len();
        for _ in 0..self.variant.held() {
            let role = loop {
                let role = random.u32(0..self.roles.len() as u32);
                if !self.assignments[first..].iter().any(|held| held.role == role) {
                    break role;
                }
            };
            let window = match (self.variant, random.u32(0..8)) {
                (Variant::Windows, 0) => Window::Past,
                (Variant::Windows, 1) => Window::Future,
                (Variant::Windows, 2 | 3) => Window::Now,
                _ => Window::Always,
            };
            self.assignments.push(Assignment { role, region: random.u32(0..REGIONS), window });
        }
        self.starts.push(self.assignments.len() as u32);
    }

    fn query(&self, user: u32, permission: u32) -> Query {
        let (resource, action) = self.permission_parts(permission);
        let user_id = Self::user_id(user);
        Query {
            user,
            user_id,
            user_name: user_id.to_string(),
            permission,
            permission_name: format!("{resource}:{action}"),
            resource,
            action,
            thing: None,
            answer: false,
        }
    }

    /// A question whose answer is `wanted`, unless that cannot be drawn.
    fn draw_query(&self, random: &mut fastrand::Rng, wanted: bool) -> Query {
        let mut tries = 0;
        loop {
            let user = if self.variant == Variant::Hot { self.users / 2 } else { random.u32(0..self.asked()) };
            let held = self.assignments(user);
            let assignment = held[random.usize(0..held.len())];
            let permission = match wanted {
                true => {
                    let roles = self.closure(assignment.role);
                    let role = roles[random.usize(0..roles.len())];
                    let grants = &self.roles[role as usize].grants;
                    grants[random.usize(0..grants.len())]
                }
                false => random.u32(0..self.permissions()),
            };
            let mut query = self.query(user, permission);
            if self.variant == Variant::Scoped {
                let is_near = wanted || random.bool();
                query.thing = Some(Thing {
                    region: if is_near { assignment.region } else { random.u32(0..REGIONS) },
                    level: random.i64(0..10),
                    status: if wanted || random.bool() { ACTIVE } else { "retired" },
                });
                if !wanted && random.bool() {
                    // Denied by scope or condition, not for want of a grant.
                    query.permission = self.roles[assignment.role as usize].grants[0];
                    let (resource, action) = self.permission_parts(query.permission);
                    query.permission_name = format!("{resource}:{action}");
                    (query.resource, query.action) = (resource, action);
                }
            }
            query.answer = reference::decide(self, &query);
            tries += 1;
            if query.answer == wanted || tries == TRIES {
                return query;
            }
        }
    }

    fn draw_edit(&self, random: &mut fastrand::Rng) -> Edit {
        loop {
            let role = random.u32(0..self.roles.len() as u32);
            let grants = &self.roles[role as usize].grants;
            let permission = grants[random.usize(0..grants.len())];
            let user = random.u32(0..self.users);
            let query = self.query(user, permission);
            let held = self.assignments(user);
            if reference::decide(self, &query) || held.iter().any(|one| one.role == role) {
                continue;
            }
            let holder = held[random.usize(0..held.len())].role;
            let name = |role: u32| self.roles[role as usize].name.clone();
            let own = &self.roles[holder as usize];
            return Edit {
                query,
                role,
                role_name: name(role),
                holder,
                holder_name: name(holder),
                held: held.iter().map(|one| name(one.role)).collect(),
                holder_inherits: own.inherits.iter().map(|junior| name(*junior)).collect(),
                holder_grants: own.grants.iter().map(|grant| self.permission_name(*grant)).collect(),
            };
        }
    }
}

/// One role in ten is on the upper level, three on the middle one; each inherits three of the next level.
fn role(random: &mut fastrand::Rng, at: u32, roles: u32, permissions: u32, grants: usize, variant: Variant) -> Role {
    let (upper, middle) = (roles / 10, roles * 4 / 10);
    let below = if at < upper { upper..middle } else { middle..roles };
    let juniors = if at < middle { 3 } else { 0 };
    let inherits = distinct(random, juniors, below);
    let mut grants = distinct(random, grants, 0..permissions);
    let denied = match variant {
        Variant::Denies => grants.len().div_ceil(10),
        _ => 0,
    };
    let denies = grants.split_off(grants.len() - denied);
    Role { name: format!("role{at:05}"), inherits, grants, denies }
}

fn distinct(random: &mut fastrand::Rng, count: usize, below: std::ops::Range<u32>) -> Vec<u32> {
    let mut seen = HashSet::new();
    let mut drawn = Vec::new();
    while drawn.len() < count {
        let next = random.u32(below.clone());
        if seen.insert(next) {
            drawn.push(next);
        }
    }
    drawn
}

/// Random-looking, the same each time, without a table.
fn id(kind: u64, number: u32) -> Uuid {
    let mut random = fastrand::Rng::with_seed(SEED ^ (kind << 40) ^ u64::from(number));
    uuid::Builder::from_random_bytes(random.u128(..).to_le_bytes()).into_uuid()
}
