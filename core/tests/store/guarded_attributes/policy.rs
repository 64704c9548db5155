//! Random policies of the model, what their conditions mean, and their text.

use std::{collections::BTreeSet, fmt::Write};

use rolekeep_test_cases::Choices;

use super::rows::{ADMINISTRATOR, DRONES, Drone, Held, REGIONS, Region, Row, Scope, USERS, User, World};

/// What roles may allow, by type.
pub const ACTIONS: [(&str, &[&str]); 3] = [
    ("user", &["update", "set_status", "create", "delete"]),
    ("drone", &["update", "assign", "create", "delete"]),
    ("region", &["update", "create", "delete"]),
];

const ROLES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    Resource,
    Principal,
}

#[derive(Clone, Copy, Debug)]
pub struct Path {
    root: Root,
    name: &'static str,
    is_optional: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Test {
    Same(Path, Path),
    Differ(Path, Path),
    Is(Path, &'static str),
    IsNot(Path, &'static str),
    Has(Path),
    Lacks(Path),
    AtLeast(Path, i64),
    Flies,
    DoesNotFly,
}

#[derive(Clone, Debug)]
pub enum Condition {
    Test(Test),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub is_deny: bool,
    pub permissions: Vec<String>,
    pub when: Option<Condition>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub roles: Vec<Vec<Grant>>,
}

const fn resource(name: &'static str) -> Path {
    let is_optional = matches!(
        name.as_bytes(),
        b"region_id" | b"operator_id" | b"full_name" | b"display_name" | b"area" | b"commander_name"
    );
    Path { root: Root::Resource, name, is_optional }
}

const fn principal(name: &'static str) -> Path {
    Path { root: Root::Principal, ..resource(name) }
}

const OF_ALL: [Test; 4] = [
    Test::Has(principal("region_id")),
    Test::Is(principal("display_name"), "one"),
    Test::Lacks(principal("display_name")),
    Test::Is(principal("full_name"), "one"),
];

const OF_USERS: [Test; 14] = [
    Test::Same(resource("region_id"), principal("region_id")),
    Test::Lacks(resource("region_id")),
    Test::Same(resource("id"), principal("id")),
    Test::Differ(resource("id"), principal("id")),
    Test::Differ(resource("region_id"), principal("region_id")),
    Test::Has(resource("region_id")),
    Test::Is(resource("status"), "active"),
    Test::IsNot(resource("status"), "banned"),
    Test::Is(resource("full_name"), "one"),
    Test::Is(resource("display_name"), "one"),
    Test::IsNot(resource("display_name"), "one"),
    Test::Lacks(resource("display_name")),
    Test::Same(resource("full_name"), principal("full_name")),
    Test::AtLeast(resource("version"), 3),
];

const OF_DRONES: [Test; 15] = [
    Test::Same(resource("region_id"), principal("region_id")),
    Test::Lacks(resource("region_id")),
    Test::Flies,
    Test::DoesNotFly,
    Test::Same(resource("operator_id"), principal("id")),
    Test::Lacks(resource("operator_id")),
    Test::Differ(resource("operator_id"), principal("id")),
    Test::Has(resource("operator_id")),
    Test::Differ(resource("region_id"), principal("region_id")),
    Test::Has(resource("region_id")),
    Test::Is(resource("status"), "ACTIVE"),
    Test::IsNot(resource("status"), "OFFLINE"),
    Test::Is(resource("model"), "FlyOS_MQ5"),
    Test::Is(resource("code"), "prime"),
    Test::AtLeast(resource("version"), 3),
];

const OF_REGIONS: [Test; 7] = [
    Test::Same(resource("id"), principal("region_id")),
    Test::Differ(resource("id"), principal("region_id")),
    Test::Is(resource("status"), "ACTIVE"),
    Test::Is(resource("area"), "one"),
    Test::Lacks(resource("area")),
    Test::Same(resource("commander_name"), principal("full_name")),
    Test::Is(resource("code"), "prime"),
];

impl Path {
    /// What it reads, by type.
    fn read(self, kind: &str) -> (String, &'static str) {
        (if self.root == Root::Principal { "user" } else { kind }.to_owned(), self.name)
    }

    fn text(self) -> String {
        format!("{}.{}", if self.root == Root::Principal { "principal" } else { "resource" }, self.name)
    }

    /// `has` where it may be absent.
    fn guard(self) -> String {
        if self.is_optional { format!("has {} and ", self.text()) } else { String::new() }
    }
}

impl Test {
    fn paths(self) -> Vec<Path> {
        match self {
            Self::Same(left, right) | Self::Differ(left, right) => vec![left, right],
            Self::Is(path, _) | Self::IsNot(path, _) | Self::Has(path) | Self::Lacks(path) | Self::AtLeast(path, _) => {
                vec![path]
            }
            Self::Flies | Self::DoesNotFly => {
                vec![Path { is_optional: false, ..resource("assigned_users") }, principal("id")]
            }
        }
    }

    fn text(self) -> String {
        let guards: String = self.paths().into_iter().map(Path::guard).collect();
        match self {
            Self::Same(left, right) => format!("{guards}{} == {}", left.text(), right.text()),
            Self::Differ(left, right) => format!("{guards}{} != {}", left.text(), right.text()),
            Self::Is(path, word) => format!("{guards}{} == '{word}'", path.text()),
            Self::IsNot(path, word) => format!("{guards}{} != '{word}'", path.text()),
            Self::Has(path) => format!("has {}", path.text()),
            Self::Lacks(path) => format!("not has {}", path.text()),
            Self::AtLeast(path, number) => format!("{guards}{} >= {number}", path.text()),
            Self::Flies => "resource.assigned_users contains principal.id".to_owned(),
            Self::DoesNotFly => "not resource.assigned_users contains principal.id".to_owned(),
        }
    }

    /// Absent values make every comparison false: the text guards both sides.
    fn holds(self, value: &dyn Fn(Path) -> Option<String>, crew: &BTreeSet<String>) -> bool {
        match self {
            Self::Same(left, right) => value(left).is_some() && value(left) == value(right),
            Self::Differ(left, right) => match (value(left), value(right)) {
                (Some(left), Some(right)) => left != right,
                _ => false,
            },
            Self::Is(path, word) => value(path).is_some_and(|text| text == word),
            Self::IsNot(path, word) => value(path).is_some_and(|text| text != word),
            Self::Has(path) => value(path).is_some(),
            Self::Lacks(path) => value(path).is_none(),
            Self::AtLeast(path, number) => {
                value(path).and_then(|text| text.parse().ok()).is_some_and(|n: i64| n >= number)
            }
            Self::Flies | Self::DoesNotFly => {
                let flies = value(principal("id")).is_some_and(|id| crew.contains(&id));
                flies == matches!(self, Self::Flies)
            }
        }
    }
}

/// What the conditions of one policy read: a part of what they might, so that not everything is guarded.
struct Palette([Vec<Test>; 3]);

impl Palette {
    fn draw(choices: &mut Choices) -> Self {
        Self([&OF_USERS[..], &OF_DRONES, &OF_REGIONS].map(|own| {
            let mut tests: Vec<Test> = (0..3).map(|_| own[choices.below(own.len())]).collect();
            tests.push(OF_ALL[choices.below(OF_ALL.len())]);
            tests
        }))
    }

    fn of(&self, kind: &str) -> &[Test] {
        &self.0[ACTIONS.iter().position(|(of, _)| *of == kind).unwrap()]
    }
}

impl Condition {
    fn draw(choices: &mut Choices, tests: &[Test], depth: usize) -> Self {
        match choices.below(8) {
            5 if depth > 0 => Self::And(
                Box::new(Self::draw(choices, tests, depth - 1)),
                Box::new(Self::draw(choices, tests, depth - 1)),
            ),
            6 if depth > 0 => Self::Or(
                Box::new(Self::draw(choices, tests, depth - 1)),
                Box::new(Self::draw(choices, tests, depth - 1)),
            ),
            7 if depth > 0 => Self::Not(Box::new(Self::draw(choices, tests, depth - 1))),
            _ => {
                // The first ones are about the row, the last about who asks.
                Self::Test(tests[choices.below(2 * tests.len() - 1) % tests.len()])
            }
        }
    }

    fn tests(&self) -> Vec<Test> {
        match self {
            Self::Test(test) => vec![*test],
            Self::And(left, right) | Self::Or(left, right) => [left.tests(), right.tests()].concat(),
            Self::Not(inner) => inner.tests(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Test(test) => format!("({})", test.text()),
            Self::And(left, right) => format!("({} and {})", left.text(), right.text()),
            Self::Or(left, right) => format!("({} or {})", left.text(), right.text()),
            Self::Not(inner) => format!("(not {})", inner.text()),
        }
    }

    /// Whether it holds for a user as it is in one world, and a row as it is in another.
    pub fn holds(&self, (asking, user): (&World, usize), (there, row): (&World, Row)) -> bool {
        let value = |path: Path| {
            let (world, row) = if path.root == Root::Principal { (asking, Row::User(user)) } else { (there, row) };
            world.attributes(row).get(path.name).cloned().flatten()
        };
        match self {
            Self::Test(test) => test.holds(&value, &there.crew(row)),
            Self::And(left, right) => {
                left.holds((asking, user), (there, row)) && right.holds((asking, user), (there, row))
            }
            Self::Or(left, right) => {
                left.holds((asking, user), (there, row)) || right.holds((asking, user), (there, row))
            }
            Self::Not(inner) => !inner.holds((asking, user), (there, row)),
        }
    }
}

impl Policy {
    pub fn draw(choices: &mut Choices) -> Self {
        let palette = Palette::draw(choices);
        Self { roles: (0..ROLES).map(|_| role(choices, &palette)).collect() }
    }

    /// What conditions and scopes read, as type and attribute.
    pub fn guarded(&self) -> BTreeSet<(String, &'static str)> {
        let scopes = [("user", "region_id"), ("drone", "region_id")];
        let mut guarded: BTreeSet<_> = scopes.map(|(kind, name)| (kind.to_owned(), name)).into();
        for grant in self.roles.iter().flatten() {
            let tests = grant.when.iter().flat_map(Condition::tests).collect::<Vec<_>>();
            for permission in &grant.permissions {
                let kind = permission.split(':').next().unwrap();
                guarded.extend(tests.iter().flat_map(|test| test.paths()).map(|path| path.read(kind)));
            }
        }
        guarded
    }

    pub fn toml(&self) -> String {
        let mut text = "[roles.admin]\nallow = [\"admin:all\"]\n".to_owned();
        for (at, grants) in self.roles.iter().enumerate() {
            let _ = writeln!(text, "[roles.role{at}]");
            for (key, is_deny) in [("allow", false), ("deny", true)] {
                let grants = grants.iter().filter(|grant| grant.is_deny == is_deny).map(|grant| match &grant.when {
                    Some(when) => format!("{{ permission = {:?}, when = \"{}\" }}", grant.permissions, when.text()),
                    None => grant.permissions.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
                });
                let grants: Vec<String> = grants.collect();
                if !grants.is_empty() {
                    let _ = writeln!(text, "{key} = [{}]", grants.join(", "));
                }
            }
        }
        text
    }
}

fn role(choices: &mut Choices, palette: &Palette) -> Vec<Grant> {
    let mut grants = Vec::new();
    let mut grant = |is_deny, permissions: &[String], when| {
        grants.push(Grant { is_deny, permissions: permissions.to_vec(), when });
    };
    for (kind, actions) in ACTIONS {
        let tests = palette.of(kind);
        let named = |action: &str| format!("{kind}:{action}");
        let reading = [named("read"), named("list")];
        match choices.below(8) {
            0 => {}
            1 | 2 => grant(false, &reading, Some(Condition::draw(choices, tests, 2))),
            _ => grant(false, &reading, None),
        }
        for action in actions {
            match choices.below(6) {
                0 => {}
                1..=3 => grant(false, &[named(action)], Some(Condition::draw(choices, tests, 1))),
                _ => grant(false, &[named(action)], None),
            }
        }
        match choices.below(5) {
            0 => {}
            1 | 2 => grant(false, &[named("set_authority")], None),
            _ => grant(false, &[named("set_authority")], Some(Condition::draw(choices, tests, 2))),
        }
        if choices.once_in(6) {
            let denied = [reading.to_vec(), vec![named("update")], vec![named("set_authority")]];
            let at = choices.below(denied.len());
            let when = (!choices.once_in(6)).then(|| Condition::draw(choices, tests, 1));
            grant(true, &denied[at], when);
        }
    }
    if choices.once_in(4) {
        grant(false, &["role:assign".to_owned(), "user:set_admin".to_owned()], None);
    }
    grants
}

pub fn scope(choices: &mut Choices) -> Scope {
    match choices.below(8) {
        5 => Scope::Region(choices.below(REGIONS)),
        6 => Scope::On(Row::Drone(choices.below(DRONES))),
        7 => *choices.one(&[Scope::On(Row::User(2)), Scope::On(Row::Region(1)), Scope::On(Row::User(1))]),
        _ => Scope::Global,
    }
}

fn word(choices: &mut Choices) -> Option<String> {
    choices.one(&[None, Some("one"), Some("two")]).map(str::to_owned)
}

/// The world that a sequence begins with.
pub fn world(choices: &mut Choices) -> World {
    let regions = (0..REGIONS).map(|at| {
        let (area, commander) = (word(choices), word(choices));
        Some(Region { code: format!("region-{at}"), area, commander, status: "ACTIVE", version: 1 })
    });
    let regions = regions.collect();
    let users: Vec<Option<User>> = (0..USERS)
        .map(|at| {
            let region = Some(choices.below(REGIONS + 1)).filter(|at| *at < REGIONS);
            let email = format!("u{at}@example.org");
            Some(User {
                email,
                full_name: word(choices),
                display_name: None,
                region,
                status: "active",
                shut: BTreeSet::new(),
                version: 1,
            })
        })
        .collect();
    let drones = (0..DRONES).map(|at| {
        let region = Some(choices.below(REGIONS + 1)).filter(|at| *at < REGIONS);
        let operator = Some(choices.below(USERS)).filter(|user| {
            *user != ADMINISTRATOR
                && (region.is_none() || users[*user].as_ref().is_some_and(|user| user.region == region))
        });
        Some(Drone {
            code: format!("drone-{at}"),
            model: ["FlyOS_MQ5", "FlyOS_MQ7"][choices.below(2)],
            status: ["STANDBY", "ACTIVE", "OFFLINE"][choices.below(3)],
            region,
            operator,
            crew: operator.into_iter().collect(),
            version: 1,
        })
    });
    let drones = drones.collect();
    let mut held = Vec::new();
    for user in 1..USERS {
        for _ in 0..1 + choices.below(3) {
            let new = Held { user, role: choices.below(ROLES), scope: scope(choices) };
            if !held.contains(&new) {
                held.push(new);
            }
        }
    }
    World { users, regions, drones, held }
}

pub fn any_role(choices: &mut Choices) -> usize {
    choices.below(ROLES)
}
