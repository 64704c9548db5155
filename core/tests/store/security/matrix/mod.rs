//! Every operation, knocked at by somebody who is not signed in and by somebody without any role (SEC-9).

mod access;
mod administering;
mod page;

use std::sync::Arc;

use rolekeep::{
    Builder, Caller, Code, Error, Policy, UserManagement,
    api_keys::{CreateApiKey, CreateApiKeyFor},
    assets::CreateAsset,
    drones::CreateDrone,
    ffi,
    groups::{AddGroupMembers, AssignGroupRole, CreateGroup},
    imports::{BeginImport, FeedImport, ImportFormat},
    invitations::CreateInvitation,
    permissions::CreatePermission,
    regions::CreateRegion,
    scopes::CreateScope,
    sessions::Impersonate,
    storage::{MemoryStorage, Storage},
    users::{CreateUser, DeactivateUser, DeleteUser, SuspendUser},
};
use serde_json::{Value, json};

use super::kit::{PASSWORD, signed_in};
use crate::{cheap, mails::Mails};

/// Anybody may ask for these.
const PUBLIC: [&str; 25] = [
    "audit.outcome",
    "sessions.login",
    "sessions.refresh",
    "sign_in.factor",
    "sign_in.password",
    "sign_in.enrol_start",
    "sign_in.enrol",
    "sign_in.passkey_start",
    "sign_in.passkey",
    "sign_in.mail_start",
    "sign_in.mail",
    "sign_in.external",
    "sign_in.enrol_passkey_start",
    "sign_in.enrol_passkey",
    "sessions.inspect",
    "passwords.forgot",
    "passwords.reset",
    "verification.confirm",
    "email.revert",
    "signing_keys.jwks",
    "invitations.accept",
    "users.register",
    "users.confirm_registration",
    "validate.account",
    "validate.preferences",
];
/// Any user may ask for these about itself; none of them says anything about others.
const OWN: [&str; 34] = [
    "users.me",
    "profiles.get",
    "profiles.update",
    "profiles.delete",
    "preferences.get",
    "preferences.update",
    "sessions.logout",
    "sessions.list",
    "sessions.revoke_others",
    "sessions.step_up",
    "passwords.change",
    "factors.list",
    "factors.add_start",
    "factors.add",
    "factors.add_passkey_start",
    "factors.add_passkey",
    "sessions.step_up_passkey_start",
    "sessions.step_up_passkey",
    "sessions.step_up_external",
    "sessions.supabase_token",
    "identities.list",
    "identities.link_start",
    "identities.link",
    "identities.unlink",
    "factors.remove",
    "factors.recovery_codes",
    "verification.send",
    "api_keys.create",
    "api_keys.list",
    "email.change",
    "email.confirm",
    "roles.mine",
    "permissions.mine",
    "events.read",
];
/// The host alone.
const SYSTEM: [&str; 15] = [
    "sessions.revoke_everyone",
    "api_keys.create_for",
    "passwords.set",
    "passwords.expire",
    "passwords.costs",
    "passwords.retire",
    "signing_keys.list",
    "signing_keys.rotate",
    "signing_keys.revoke",
    "consumers.claim",
    "consumers.acknowledge",
    "consumers.release",
    "consumers.list",
    "consumers.delete",
    "setup.seed",
];

/// Areas whose operations a key may ask for, as far as its patterns reach: they are about other things than who is let in.
const AREAS_FOR_KEYS: [&str; 11] = [
    "users",
    "roles",
    "permissions",
    "policy",
    "groups",
    "scopes",
    "regions",
    "drones",
    "asset_kinds",
    "assets",
    "audit",
];
/// But for these: the input moves an address, the answer says all about somebody, it cannot be undone.
const IN_PERSON_THERE: [&str; 4] = ["users.replace", "users.export", "users.purge", "users.erase"];
/// And those that only tell, of the other areas.
const FOR_KEYS: [&str; 6] =
    ["sessions.list_of", "api_keys.list_of", "invitations.list", "preferences.get", "profiles.get", "events.read"];

/// The kind of assets that somebody has.
const KINDS: &str = "[asset_kinds.vehicle]\nmodels = ['Truck']\nstatuses = ['READY', 'IN_REPAIR']\n";

/// A preset, and those of its roles that the rows speak of.
struct Preset {
    name: &'static str,
    admin: &'static str,
    /// One that somebody holds.
    role: &'static str,
}

impl Preset {
    /// With the kinds of assets that there are, and one that has none; and areas that lie in countries.
    fn policy(&self) -> Policy {
        let policy = Policy::preset(self.name).unwrap();
        let policy = policy.resource_type("site", [("area_id", "string?"), ("country_id", "string?")]);
        let policy = policy.scope_kind("country", "country_id").nested_scope_kind("area", "area_id", "country_id");
        policy.asset_kind("vehicle", ["Truck"], ["READY", "IN_REPAIR"]).asset_kind("empty", ["Any"], ["NEW"])
    }
}

const STANDARD: Preset = Preset { name: "standard", admin: "admin", role: "moderator" };

/// A store with somebody's things in it.
struct World {
    preset: &'static Preset,
    um: UserManagement,
    storage: Arc<MemoryStorage>,
    mails: Mails,
    victim: String,
    suspended: String,
    inactive: String,
    deleted: String,
    group: String,
    session: String,
    refresh_token: String,
    api_key: String,
    invitation: String,
    import: String,
    /// One that is fed, and not finished.
    fed: String,
}

impl World {
    async fn new() -> Self {
        Self::of(&STANDARD, cheap::builder()).await
    }

    async fn of(preset: &'static Preset, builder: Builder) -> Self {
        let (storage, mails) = (Arc::new(MemoryStorage::new()), Mails::default());
        let um = builder.storage(storage.clone()).policy(preset.policy()).notifier(mails.clone()).open().await.unwrap();
        let system = um.system();
        if preset.name != STANDARD.name {
            system.permissions().create(CreatePermission::new("user:write")).await.unwrap();
        }
        system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
        let new = |name: &str| CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        let victim = system.users().create(new("victim").region("east").roles([preset.role])).await.unwrap();
        let suspended = system.users().create(new("suspended").region("east")).await.unwrap();
        system.users().suspend(SuspendUser::new(suspended.id)).await.unwrap();
        let inactive = system.users().create(new("inactive").region("east")).await.unwrap();
        system.users().deactivate(DeactivateUser::new(inactive.id)).await.unwrap();
        let deleted = system.users().create(new("deleted").region("east")).await.unwrap();
        system.users().delete(DeleteUser::new(deleted.id)).await.unwrap();
        let group = system.groups().create(CreateGroup::new("Moderators")).await.unwrap().id;
        system.groups().assign_role(AssignGroupRole::new(group, preset.role)).await.unwrap();
        system.groups().add_members(AddGroupMembers::new(group).user_ids([inactive.id])).await.unwrap();
        for scope in ["country:austria", "area:tyrol"] {
            system.scopes().create(CreateScope::new(scope, "Theirs")).await.unwrap();
        }
        let drone = |code: &str| CreateDrone::new(code, rolekeep::drones::DroneModel::Mq5).region("east");
        system.drones().create(drone("theirs").operator_id(victim.id)).await.unwrap();
        system.drones().create(drone("free")).await.unwrap();
        let asset = |code: &str| CreateAsset::new("vehicle", code, "Truck").region("east");
        system.assets().create(asset("theirs").operator_id(victim.id)).await.unwrap();
        system.assets().create(asset("free")).await.unwrap();
        let key = CreateApiKeyFor::new(victim.id, "Backup");
        let key = system.api_keys().create_for(key).await.unwrap();
        let invitation = system.invitations().create(CreateInvitation::new("invited@example.org")).await.unwrap();
        let import = system.imports().begin(BeginImport::new("old", ImportFormat::Csv)).await.unwrap();
        let fed = system.imports().begin(BeginImport::new("old", ImportFormat::Csv)).await.unwrap();
        system.imports().feed(FeedImport::new(fed.id, 0, "").is_last(true)).await.unwrap();
        let login = um.login("victim", PASSWORD, Default::default()).await.unwrap().done().unwrap();
        Self {
            preset,
            um,
            storage,
            mails,
            victim: victim.id.to_string(),
            suspended: suspended.id.to_string(),
            inactive: inactive.id.to_string(),
            deleted: deleted.id.to_string(),
            group: group.to_string(),
            session: login.session_id.to_string(),
            refresh_token: login.refresh_token.expose().to_owned(),
            api_key: key.api_key.id.to_string(),
            invitation: invitation.id.to_string(),
            import: import.id.to_string(),
            fed: fed.id.to_string(),
        }
    }

    /// An input of each operation that works, for who may; with ids of things that exist.
    fn input(&self, operation: &str) -> Value {
        let (victim, Preset { admin, role, .. }) = (&self.victim, self.preset);
        let only_admin = format!("[roles.{admin}]\nallow = [\"admin:all\"]\n");
        match operation {
            "users.create" => json!({"email": "new@example.org", "username": "new_one"}),
            "users.get" | "users.overview" | "users.export" | "users.deactivate" | "users.suspend" | "users.ban"
            | "users.grant_admin" | "users.delete" => {
                json!({ "id": victim })
            }
            "users.revoke_admin" => json!({ "id": victim }),
            "users.set_status_many" => json!({"ids": [victim], "action": "ban"}),
            "users.delete_many" => json!({ "ids": [victim] }),
            "users.move_many" => json!({"ids": [victim], "atomic": true}),
            "users.restore" | "users.purge" | "users.erase" => json!({ "id": self.deleted }),
            "users.activate" => json!({ "id": self.inactive }),
            "users.lift" => json!({ "id": self.suspended }),
            "users.find" => json!({"username": "victim"}),
            "users.list" | "users.overviews" => json!({"search": "victim", "role": role, "region": "east"}),
            "users.statistics" => json!({"days": 7}),
            "users.update" => json!({"id": victim, "full_name": "Somebody Else", "region": null}),
            "users.edit" => json!({"id": victim, "full_name": "Somebody Else", "status": "banned"}),
            "users.replace" => json!({"id": victim, "email": "other@example.org"}),
            "sessions.login" => json!({"identifier": "victim", "password": PASSWORD}),
            "sessions.refresh" => json!({ "refresh_token": self.refresh_token }),
            "api_keys.create" => json!({"name": "Backup"}),
            "api_keys.create_for" => json!({"user_id": victim, "name": "Backup"}),
            "api_keys.revoke" => json!({ "id": self.api_key }),
            "sessions.list_of" | "api_keys.list_of" | "sessions.revoke_all" | "limits.clear" | "factors.reset_of" => {
                json!({ "user_id": victim })
            }
            "sessions.impersonate" => json!({"user_id": victim, "reason": "A ticket"}),
            "sessions.step_up" => json!({ "password": PASSWORD }),
            "invitations.create" => {
                json!({"email": "victim@example.org", "roles": [{"role": role, "scope": "region:east"}]})
            }
            "invitations.list" => json!({"state": "open"}),
            "invitations.revoke" => json!({ "id": self.invitation }),
            "sign_in.mail_start" => json!({"identifier": "victim"}),
            "sign_in.mail" => json!({"challenge": "rkx_AAAA", "code": "12345678"}),
            "sign_in.factor" | "sign_in.enrol" | "factors.add" => json!({"challenge": "rkx_AAAA", "code": "123456"}),
            "sign_in.passkey" | "sign_in.enrol_passkey" | "factors.add_passkey" | "sessions.step_up_passkey" => {
                json!({"challenge": "rkx_AAAA", "response": "{}"})
            }
            "sign_in.enrol_start" | "sign_in.enrol_passkey_start" => json!({"challenge": "rkx_AAAA"}),
            "factors.remove" | "identities.unlink" => json!({ "id": self.session }),
            "sign_in.external" | "sessions.step_up_external" => json!({"token": "a.b.c"}),
            "identities.link" => json!({"challenge": "rkn_AAAA", "token": "a.b.c"}),
            "signing_keys.revoke" => json!({ "id": "first" }),
            "sign_in.password" => json!({"challenge": "rkx_AAAA", "new_password": PASSWORD}),
            "sessions.inspect" => json!({ "token": self.refresh_token }),
            "passwords.change" => json!({"current_password": PASSWORD, "new_password": "another horse battery"}),
            "email.change" => json!({"email": "other@example.org"}),
            "email.confirm" => json!({"token": "rke_AAAA"}),
            "passwords.set" => json!({"user_id": victim, "password": "another horse battery"}),
            "passwords.set_temporary" => json!({ "user_id": victim }),
            "passwords.costs"
            | "sessions.revoke_everyone"
            | "signing_keys.list"
            | "signing_keys.rotate"
            | "signing_keys.jwks"
            | "identities.list"
            | "preferences.get"
            | "preferences.update"
            | "identities.link_start" => json!({}),
            "passwords.retire" => json!({ "cost": "bcrypt$c=12" }),
            "passwords.expire" => json!({ "user_ids": [victim] }),
            "sessions.revoke" => json!({ "id": self.session }),
            "roles.get" => json!({ "name": admin }),
            "roles.assign" => json!({"user_id": self.inactive, "role": role}),
            "roles.assign_many" => json!({"assignments": [{"user_id": self.inactive, "role": role}]}),
            "roles.unassign" => json!({"user_id": victim, "role": role}),
            "roles.assignments" => json!({ "user_id": victim }),
            "roles.create" => json!({"name": "clerk", "grants": [{"permission": "user:read"}], "inherits": [role]}),
            "roles.update" => json!({"name": role, "description": "Looks after accounts"}),
            "roles.delete" => json!({"name": role, "force": true}),
            "permissions.create" => json!({"name": "report:read"}),
            "permissions.get" => json!({"name": "user:write"}),
            "permissions.update" => json!({"name": "user:write", "description": "Write"}),
            "permissions.delete" => json!({"name": "user:write", "force": true}),
            "policy.get" | "policy.export" => json!({}),
            "policy.import" => json!({ "text": format!("{only_admin}{KINDS}"), "force": true }),
            "policy.validate" | "policy.diff" => json!({ "text": only_admin }),
            "policy.dry_run" => json!({ "delete_role": role }),
            "permissions.explain" => json!({"user_id": victim, "permission": "drone:read", "resource": "theirs"}),
            "groups.create" => json!({"name": "Ours"}),
            "groups.get" | "groups.delete" => json!({ "id": self.group }),
            "groups.list" => json!({ "user_id": victim }),
            "groups.update" => json!({"id": self.group, "name": "Ours"}),
            "groups.members" | "groups.roles" => json!({ "group_id": self.group }),
            "groups.add_members" => json!({"group_id": self.group, "user_ids": [victim]}),
            "groups.remove_members" => json!({"group_id": self.group, "user_ids": [self.inactive]}),
            "groups.assign_role" => json!({"group_id": self.group, "role": admin}),
            "groups.unassign_role" => json!({"group_id": self.group, "role": role}),
            "scopes.create" => json!({"scope": "area:styria", "name": "Styria", "parent": "country:austria"}),
            "scopes.get" | "scopes.delete" => json!({"scope": "area:tyrol"}),
            "scopes.list" => json!({"kind": "area"}),
            "scopes.update" => json!({"scope": "area:tyrol", "name": "Ours"}),
            "scopes.move_to" => json!({"scope": "area:tyrol", "parent": "country:austria"}),
            "regions.create" => json!({"code": "west", "name": "West"}),
            "regions.get" | "regions.delete" => json!({"region": "east"}),
            "regions.list" => json!({"search": "east"}),
            "regions.update" => json!({"region": "east", "name": "Ours"}),
            "drones.create" => json!({"code": "new", "model": "FlyOS_MQ7", "region": "east", "operator_id": victim}),
            "drones.get" | "drones.delete" => json!({"drone": "theirs"}),
            "drones.list" => json!({"region": "east", "operator_id": victim}),
            "drones.update" => json!({"drone": "theirs", "status": "OFFLINE", "region": null}),
            "drones.assign" | "drones.reassign" => json!({"drone": "free", "user_id": victim}),
            "drones.unassign" => json!({"drone": "theirs", "user_id": victim}),
            "imports.begin" => json!({"source": "old", "format": "csv"}),
            "imports.feed" => json!({ "id": self.import, "at": 0, "data": "" }),
            "imports.finish" => json!({ "id": self.fed }),
            "imports.resume" | "imports.abort" | "imports.get" | "imports.failures" => {
                json!({ "id": self.import })
            }
            "asset_kinds.list" => json!({}),
            "asset_kinds.put" => json!({"kind": "boat", "models": ["RIB"], "statuses": ["DOCKED"]}),
            // No assets are of this one.
            "asset_kinds.delete" => json!({"kind": "empty"}),
            "assets.create" => {
                json!({"kind": "vehicle", "code": "new", "model": "Truck", "region": "east", "operator_id": victim})
            }
            "assets.get" | "assets.delete" => json!({"kind": "vehicle", "asset": "theirs"}),
            "assets.list" => json!({"kind": "vehicle", "region": "east", "operator_id": victim}),
            "assets.update" => json!({"kind": "vehicle", "asset": "theirs", "status": "IN_REPAIR", "region": null}),
            "assets.assign" | "assets.reassign" => json!({"kind": "vehicle", "asset": "free", "user_id": victim}),
            "assets.unassign" => json!({"kind": "vehicle", "asset": "theirs", "user_id": victim}),
            "audit.list" => json!({ "target_id": victim }),
            "audit.outcome" => json!({"change_id": "019e830e-1a00-7ee1-b8d8-678aee6206dc"}),
            "events.read" => json!({"from": "earliest"}),
            "consumers.claim" | "consumers.delete" => json!({"name": "mails"}),
            "consumers.acknowledge" => json!({"name": "mails", "lease": self.session, "position": ""}),
            "consumers.release" => json!({"name": "mails", "lease": self.session}),
            "consumers.list" => json!({}),
            "setup.seed" => json!({}),
            "roles.list" | "permissions.list" | "audit.head" | "audit.verify" | "audit.export" => json!({}),
            "profiles.get" => json!({ "id": victim }),
            own if OWN.contains(&own) => json!({}),
            other => panic!("the operation {other} has no row in this matrix: add its input"),
        }
    }

    /// The same input about things that do not exist.
    fn absent(&self, operation: &str) -> Value {
        about_nothing(self.input(operation))
    }

    async fn knock(&self, caller: &Caller, operation: &str, input: &Value) -> Result<String, Error> {
        ffi::call(caller, operation, &input.to_string()).await
    }
}

/// An input, about things that do not exist.
fn about_nothing(mut input: Value) -> Value {
    let nobody = "0190a0b0-0000-7000-8000-0000000000ff";
    for (key, value) in input.as_object_mut().unwrap() {
        let known = matches!(
            key.as_str(),
            "id" | "user_id" | "group_id" | "operator_id" | "drone" | "asset" | "region" | "target_id"
        );
        if known && value.is_string() {
            *value = nobody.into();
        } else if key == "scope" {
            *value = "area:nothing_there".into();
        } else if matches!(key.as_str(), "username" | "resource" | "kind") {
            *value = "nothing_there".into();
        }
    }
    input
}

fn is_listed(operation: &str) -> bool {
    PUBLIC.contains(&operation) || OWN.contains(&operation)
}

#[tokio::test]
async fn sec_9_without_rights_every_operation_is_refused() {
    let world = World::new().await;
    let nobody = world.um.system().users().create(CreateUser::new("nobody@example.org")).await.unwrap();
    let callers = [
        ("anonymous", world.um.anonymous(Default::default())),
        ("a user without roles", world.um.acting_as(nobody.id).await.unwrap()),
    ];
    let before = world.storage.position().await.unwrap();
    for operation in ffi::OPERATIONS.iter().filter(|operation| !is_listed(operation)) {
        for (who, caller) in &callers {
            let refused = world.knock(caller, operation, &world.input(operation)).await;
            let refused = refused.err().unwrap_or_else(|| panic!("{operation} as {who} is allowed"));
            let is_denial = matches!(refused.code(), Code::Unauthorized | Code::Forbidden | Code::NotFound);
            assert!(is_denial, "{operation} as {who}: {refused:?}");
            let absent = world.knock(caller, operation, &world.absent(operation)).await.unwrap_err();
            assert_eq!(absent.reason(), refused.reason(), "{operation} as {who} tells what exists");
            assert_eq!(absent.message(), refused.message(), "{operation} as {who} tells what exists");
        }
    }
    assert_eq!(world.storage.position().await.unwrap(), before, "nothing was written");
}

#[tokio::test]
async fn sec_9_own_operations_need_somebody() {
    let world = World::new().await;
    let anonymous = world.um.anonymous(Default::default());
    for operation in OWN {
        let refused = world.knock(&anonymous, operation, &world.input(operation)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthorized, "{operation}");
    }
    for operation in PUBLIC.iter().chain(&OWN).chain(&SYSTEM) {
        assert!(ffi::OPERATIONS.contains(operation), "{operation} is no operation any more");
    }
}

/// A row whose input would be refused anyway tests nothing.
#[tokio::test]
async fn sec_9_the_rows_work_for_who_may() {
    for operation in ffi::OPERATIONS.iter().filter(|operation| !is_listed(operation)) {
        let world = World::new().await;
        let (admin, _) = signed_in(&world.um, "root", &["admin"]).await;
        let answer = world.knock(&admin, operation, &world.input(operation)).await;
        match SYSTEM.contains(operation) {
            true => assert_eq!(answer.unwrap_err().code(), Code::Forbidden, "{operation}"),
            false => assert!(answer.is_ok(), "{operation}: {answer:?}"),
        }
    }
}

/// What a user does with its account it does in person, also an administrator: whoever adds an area says what keys may.
#[tokio::test]
async fn sec_10_keys_ask_for_nothing_that_a_user_does_in_person() {
    let world = World::new().await;
    let (admin, _) = signed_in(&world.um, "root", &["admin"]).await;
    let key = admin.api_keys().create(CreateApiKey::new("Everything")).await.unwrap().key;
    let program = world.um.authenticate(key.expose(), Default::default()).await.unwrap();
    for operation in ffi::OPERATIONS.iter().filter(|operation| !PUBLIC.contains(operation)) {
        let area = operation.split('.').next().unwrap();
        let is_for_keys = AREAS_FOR_KEYS.contains(&area) || FOR_KEYS.contains(operation);
        let answer = world.knock(&program, operation, &world.input(operation)).await;
        let message = answer.err().map(|error| error.message().to_owned()).unwrap_or_default();
        let is_refused = message == "an API key may not do this; sign in";
        let is_for_keys = is_for_keys && !IN_PERSON_THERE.contains(operation);
        let is_expected = !is_for_keys && !SYSTEM.contains(operation);
        assert_eq!(is_refused, is_expected, "{operation}: {message}");
    }
}

/// Nor does whoever acts as another user, also as an administrator among administrators; but to end that.
#[tokio::test]
async fn sec_10_nobody_asks_as_another_for_what_that_does_in_person() {
    let world = World::new().await;
    let (root, _) = signed_in(&world.um, "root", &["admin"]).await;
    let (_, other) = signed_in(&world.um, "other", &["admin"]).await;
    let acting = root.sessions().impersonate(Impersonate::new(other, "A test")).await.unwrap().access_token;
    let acting = world.um.authenticate(acting.expose(), Default::default()).await.unwrap();
    let is_logout = |operation: &&&str| **operation == "sessions.logout";
    let others = ffi::OPERATIONS.iter().filter(|operation| !PUBLIC.contains(operation) && !is_logout(operation));
    for operation in others.chain(ffi::OPERATIONS.iter().filter(is_logout)) {
        let area = operation.split('.').next().unwrap();
        let may_be = AREAS_FOR_KEYS.contains(&area) || FOR_KEYS.contains(operation) || is_logout(&operation);
        let answer = world.knock(&acting, operation, &world.input(operation)).await;
        let message = answer.as_ref().err().map(|error| error.message().to_owned()).unwrap_or_default();
        let is_refused = message == "nobody may do this as another user";
        let may_be = may_be && !IN_PERSON_THERE.contains(operation);
        assert_eq!(is_refused, !may_be && !SYSTEM.contains(operation), "{operation}: {message}");
        assert!(answer.is_ok() || !is_logout(&operation), "{answer:?}");
    }
    assert!(acting.can("user:read", None).is_err());
}
