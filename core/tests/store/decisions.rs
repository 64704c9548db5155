//! Rules without accounts decide as rules with accounts do: `tests/conformance/rules/decisions.json`, which every
//! language decides through `Rules`, is what a store with those accounts answers.

use std::{collections::BTreeMap, fs, path::PathBuf};

use rolekeep::{
    GroupId, Policy, RequestContext, Resource, Time, UserId, UserManagement,
    ffi::rules::{BoundPrincipal, compile},
    groups::{AddGroupMembers, AssignGroupRole, CreateGroup},
    regions::CreateRegion,
    roles::AssignRole,
    rules::Context,
    users::{CreateUser, SuspendUser},
};
use serde_json::{Map, Value as Json, json};

use crate::{
    cheap,
    seeded::{Seeded, SeededWorld},
};

const PASSWORD: &str = "correct horse battery staple";
const PRINCIPALS: usize = 24;
const QUESTIONS: usize = 1_000;
const ROLES: [&str; 9] =
    ["reader", "author", "editor", "neighbour", "guest", "archivist", "keeper", "visitor", "admin"];
/// Groups, and the roles that each holds everywhere.
const GROUPS: [(&str, &[&str]); 3] =
    [("Front desk", &["reader", "guest"]), ("Night shift", &["keeper"]), ("Press", &["author", "neighbour"])];
const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const PERMISSIONS: [&str; 8] = [
    "document:read",
    "document:edit",
    "document:edit{size}",
    "document:edit{size,status}",
    "document:delete",
    "document:publish",
    "document:seal",
    "folder:open",
];

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/rules").join(name)
}

/// A time far enough from now that no run comes to it.
fn far(is_past: bool) -> Time {
    if is_past { "2001-01-01T00:00:00Z" } else { "2201-01-01T00:00:00Z" }.parse().unwrap()
}

struct World {
    um: UserManagement,
    draw: Seeded,
    regions: Vec<Json>,
    groups: Vec<GroupId>,
    users: Vec<Known>,
}

/// Somebody who may ask.
struct Known {
    id: UserId,
    /// As a host describes it.
    data: Json,
    /// The access token of a session that was begun by the password alone; others have proved two factors.
    token: Option<String>,
}

impl World {
    async fn draw(policy: &str) -> Self {
        let draw = Seeded::new(1);
        let still = SeededWorld::new(2).at("2026-11-21T12:00:00Z".parse().unwrap());
        let policy = Policy::from_toml(policy).unwrap();
        let um = cheap::builder().policy(policy).environment(still).open().await.unwrap();
        let system = um.system();
        let mut regions = Vec::new();
        for name in ["north", "south", "east"] {
            regions
                .push(json!(system.regions().create(CreateRegion::new(name.to_uppercase(), name)).await.unwrap().id));
        }
        let mut groups = Vec::new();
        for (name, roles) in GROUPS {
            let group = system.groups().create(CreateGroup::new(name)).await.unwrap().id;
            for role in roles {
                system.groups().assign_role(AssignGroupRole::new(group, *role)).await.unwrap();
            }
            groups.push(group);
        }
        let mut world = Self { um, draw, regions, groups, users: Vec::new() };
        for at in 0..PRINCIPALS {
            let user = world.user(at).await;
            world.users.push(user);
        }
        world
    }

    async fn user(&self, at: usize) -> Known {
        let (draw, system) = (&self.draw, self.um.system());
        let region = (!draw.once_in(3)).then(|| draw.one(&self.regions).clone());
        let address = format!("user{at}@example.org");
        let new = CreateUser::new(&*address).password(PASSWORD);
        let new = region.iter().fold(new, |new, region| new.region(region.as_str().unwrap()));
        let user = system.users().create(new).await.unwrap();
        // Before it has a role that asks for a second factor at once.
        let token = if draw.once_in(3) {
            let login = self.um.login(&address, PASSWORD, RequestContext::default()).await.unwrap();
            Some(login.done().unwrap().access_token.expose().to_owned())
        } else {
            None
        };
        let mut roles = Vec::new();
        for _ in 0..1 + draw.below(6) {
            let role = *draw.one(&ROLES);
            let scope = match draw.below(4) {
                0 if role != "admin" => format!("region:{}", draw.one(&self.regions).as_str().unwrap()),
                1 if role != "admin" => format!("tenant:{}", draw.one(&TENANTS)),
                2 if role != "admin" => format!("resource:folder:{}", draw.one(&TENANTS)),
                _ => "global".to_owned(),
            };
            let (from, until) = match draw.below(6) {
                _ if role == "admin" => (None, None),
                0 => (Some(far(true)), None),
                1 => (Some(far(false)), None),
                2 => (None, Some(far(false))),
                _ => (None, None),
            };
            let mut assign = AssignRole::new(user.id, role).scope(&*scope);
            (assign.valid_from, assign.valid_until) = (from, until);
            // The same role in the same scope once more is none.
            if system.roles().assign(assign).await.is_ok() {
                let held = json!({ "role": role, "scope": scope, "valid_from": from, "valid_until": until });
                let is_plain = scope == "global" && from.is_none() && until.is_none();
                roles.push(if is_plain { json!(role) } else { held });
            }
        }
        let mut groups = Map::new();
        for (group, (name, held)) in self.groups.iter().zip(GROUPS) {
            if draw.once_in(4) {
                system.groups().add_members(AddGroupMembers::new(*group).user_ids([user.id])).await.unwrap();
                groups.insert(name.to_owned(), json!(held));
            }
        }
        let is_suspended = token.is_none() && draw.once_in(8) && !roles.contains(&json!("admin"));
        if is_suspended {
            system.users().suspend(SuspendUser::new(user.id)).await.unwrap();
        }
        let data = json!({
            "id": user.id,
            "status": if is_suspended { "suspended" } else { "active" },
            "verified": false,
            "second_factor": token.is_none(),
            "attributes": { "region_id": region },
            "roles": roles,
            "groups": groups,
        });
        Known { id: user.id, data, token }
    }

    fn resource(&self, permission: &str) -> Json {
        let draw = &self.draw;
        let perhaps = |value: Json| if draw.once_in(3) { Json::Null } else { value };
        let user = || json!(draw.one(&self.users).id);
        if permission.starts_with("folder:") {
            return json!({ "type": "folder", "id": draw.one(&TENANTS), "tenant": perhaps(json!(draw.one(&TENANTS))) });
        }
        let id = format!("00000000-0000-4000-8000-{:012}", draw.below(1_000));
        let mut document = json!({
            "type": "document",
            "id": id,
            "owner_id": perhaps(user()),
            "region_id": perhaps(draw.one(&self.regions).clone()),
            "tenant": perhaps(json!(draw.one(&TENANTS))),
            "status": draw.one(&["draft", "public", "locked"]),
            "size": draw.below(2_000),
            "due_at": perhaps(json!(far(draw.once_in(2)))),
            "readers": (0..draw.below(4)).map(|_| user()).collect::<Vec<_>>(),
        });
        if draw.once_in(20) {
            document.as_object_mut().unwrap().remove("status");
        }
        document
    }

    /// A question as the file has it: who asks (none: somebody who is not signed in), for what, on what, under which
    /// circumstances; and the answer, or the reason of the error.
    async fn question(&self) -> Json {
        let draw = &self.draw;
        let permission = *draw.one(&PERMISSIONS);
        let who = (!draw.once_in(12)).then(|| draw.below(self.users.len()));
        let resource = (!draw.once_in(10)).then(|| self.resource(permission));
        let mut context = Map::new();
        if !draw.once_in(10) {
            context.insert("office_hours".to_owned(), json!(draw.once_in(2)));
            context
                .insert("address".to_owned(), draw.one(&[json!("10.1.2.3"), json!("192.0.2.7"), Json::Null]).clone());
        }
        let answer = self.answer(who, permission, resource.as_ref(), &context).await;
        let answer = answer.map_or_else(|error| json!(error.reason()), |is_allowed| json!(is_allowed));
        json!([who, permission, resource, context, answer])
    }

    async fn answer(
        &self,
        who: Option<usize>,
        permission: &str,
        resource: Option<&Json>,
        context: &Map<String, Json>,
    ) -> rolekeep::Result<bool> {
        let values: BTreeMap<String, Json> = context.clone().into_iter().collect();
        let resource = resource.map(|resource| {
            let mut attributes: BTreeMap<String, Json> = serde_json::from_value(resource.clone()).unwrap();
            let resource_type = attributes.remove("type").unwrap();
            Resource::from_json(resource_type.as_str().unwrap(), &attributes)
        });
        let context = Context::from_json(&values);
        let mut request = RequestContext::default();
        request.context = context.clone();
        match who.map(|who| &self.users[who]) {
            Some(Known { token: Some(token), .. }) => {
                self.um.authenticate(token, request).await.unwrap().can(permission, resource.as_ref())
            }
            Some(Known { id, .. }) => self.um.checks().context(context).check(*id, permission, resource.as_ref()).await,
            None => self.um.anonymous(request).can(permission, resource.as_ref()),
        }
    }
}

/// `UPDATE_SNAPSHOTS=1` writes the file.
#[tokio::test]
async fn rbc_19_rules_without_accounts_decide_as_those_with() {
    let policy = fs::read_to_string(file("policy.toml")).unwrap();
    let world = World::draw(&policy).await;
    let principals: Vec<&Json> = world.users.iter().map(|known| &known.data).collect();
    let mut questions = Vec::new();
    for _ in 0..QUESTIONS {
        questions.push(world.question().await);
    }
    // Every kind of answer is among them, and often.
    let count = |answer: &Json| questions.iter().filter(|one| one[4] == *answer).count();
    for (answer, least) in
        [(json!(true), 200), (json!(false), 200), (json!("resource_incomplete"), 10), (json!("context_incomplete"), 10)]
    {
        assert!(count(&answer) >= least, "{answer}: {}", count(&answer));
    }

    let settings = json!({ "policy_toml": policy, "library_types": true }).to_string();
    let rules = compile(&settings, Time::now).unwrap();
    let bound: Vec<BoundPrincipal> =
        principals.iter().map(|data| BoundPrincipal::described(&rules, &data.to_string()).unwrap()).collect();
    for question in &questions {
        let principal =
            question[0].as_u64().map_or_else(|| BoundPrincipal::anonymous(&rules), |at| bound[at as usize].clone());
        let principal = principal.with_context(&question[3].to_string()).unwrap();
        let resource = (!question[2].is_null()).then(|| question[2].to_string());
        let answer = principal.can(question[1].as_str().unwrap(), resource.as_deref());
        let answer = answer.map_or_else(|error| json!(error.reason()), |is_allowed| json!(is_allowed));
        assert_eq!(answer, question[4], "{question}");
    }

    let line = |one: &Json| format!("    {one}");
    let lines = |all: &[Json]| all.iter().map(line).collect::<Vec<_>>().join(",\n");
    let principals: Vec<Json> = principals.into_iter().cloned().collect();
    let text = format!(
        "{{\n  \"principals\": [\n{}\n  ],\n  \"questions\": [\n{}\n  ]\n}}\n",
        lines(&principals),
        lines(&questions)
    );
    let kept = file("decisions.json");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&kept, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&kept).unwrap() == text,
        "decisions.json is not what a store answers: UPDATE_SNAPSHOTS=1"
    );
}
