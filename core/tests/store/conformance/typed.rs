//! Operations by name through the typed methods: `caller.users().create(CreateUser { … })`.

use rolekeep::{Caller, Error, internals::decode};
use serde_json::Value as Json;

macro_rules! typed {
    ($($area:ident { $($method:ident($($input:ident)?)),* $(,)? })*) => {
        /// Runs an operation; none where there is no method of this name.
        pub async fn call(caller: &Caller, operation: &str, with: Json) -> Option<Result<Answer, Error>> {
            Some(match operation {
                $($(concat!(stringify!($area), ".", stringify!($method)) => {
                    typed!(@run caller, operation, with, $area, $method, $($input)?)
                })*)*
                _ => return None,
            })
        }

        /// The names that [`call`] knows.
        pub const NAMES: &[&str] = &[$($(concat!(stringify!($area), ".", stringify!($method))),*),*];
    };
    (@run $caller:ident, $operation:ident, $with:ident, $area:ident, $method:ident, $input:ident) => {{
        let input: rolekeep::$area::$input = decode::decode($with)
            .unwrap_or_else(|problems| panic!("{}: types refuse this, mark it as `raw`: {problems:?}", $operation));
        // Boxed, so that the future is as small as one operation.
        Box::pin($caller.$area().$method(input)).await.map(Answer::of)
    }};
    (@run $caller:ident, $operation:ident, $with:ident, $area:ident, $method:ident,) => {{
        assert_eq!($with, serde_json::json!({}), "{} takes nothing; mark it as `raw`", $operation);
        Box::pin($caller.$area().$method()).await.map(Answer::of)
    }};
}

typed! {
    users {
        register(RegisterUser), confirm_registration(ConfirmRegistration), create(CreateUser), get(GetUser),
        find(FindUser), me(), list(ListUsers), overview(GetUserOverview), overviews(ListUserOverviews),
        statistics(GetUserStatistics), update(UpdateUser),
        replace(ReplaceUser), edit(EditUser), activate(ActivateUser), deactivate(DeactivateUser), suspend(SuspendUser),
        ban(BanUser), lift(LiftUser), grant_admin(GrantAdmin), revoke_admin(RevokeAdmin), delete(DeleteUser), restore(RestoreUser),
        purge(PurgeUser), erase(EraseUser), export(ExportUser), set_status_many(SetStatuses), delete_many(DeleteUsers), move_many(MoveUsers),
    }
    imports { begin(BeginImport), resume(ResumeImport), feed(FeedImport), finish(FinishImport), abort(AbortImport), get(GetImport), failures(ListImportFailures) }
    validate { account(ValidateAccount), preferences(ValidatePreferences) }
    profiles { get(GetProfile), update(UpdateProfile), delete(DeleteProfile) }
    preferences { get(), update(UpdatePreferences) }
    sessions {
        login(Login), refresh(Refresh), inspect(InspectToken), step_up(StepUp), step_up_passkey_start(), step_up_passkey(StepUpByPasskey), step_up_external(StepUpExternal), impersonate(Impersonate), supabase_token(), logout(), list(ListSessions), list_of(ListSessionsOf), revoke(RevokeSession),
        revoke_others(), revoke_all(RevokeAllSessions), revoke_everyone(RevokeEveryone),
    }
    sign_in {
        passkey_start(StartSignInByPasskey), passkey(SignInByPasskey), mail_start(StartSignInByMail), mail(SignInByMail), external(SignInByToken), factor(ProveFactor), password(ChoosePassword),
        enrol_start(StartEnrol), enrol(Enrol), enrol_passkey_start(StartEnrolPasskey), enrol_passkey(EnrolPasskey),
    }
    factors {
        list(), add_start(), add(AddFactor), add_passkey_start(), add_passkey(AddPasskey), remove(RemoveFactor), recovery_codes(), reset_of(ResetFactorsOf),
    }
    api_keys { create(CreateApiKey), create_for(CreateApiKeyFor), list(ListApiKeys), list_of(ListApiKeysOf), revoke(RevokeApiKey) }
    passwords {
        change(ChangePassword), forgot(ForgotPassword), reset(ResetPassword), set(SetPassword), set_temporary(SetTemporaryPassword), expire(ExpirePasswords), costs(), retire(RetirePasswords),
    }
    verification { send(), confirm(ConfirmVerification) }
    email { change(ChangeEmail), confirm(ConfirmEmail), revert(RevertEmail) }
    identities { list(), link_start(), link(LinkIdentity), unlink(UnlinkIdentity) }
    invitations { create(CreateInvitation), list(ListInvitations), revoke(RevokeInvitation), accept(AcceptInvitation) }
    signing_keys { list(), rotate(), revoke(RevokeSigningKey), jwks() }
    limits { clear(ClearLimits) }
    roles {
        create(CreateRole), list(ListRoles), get(GetRole), update(UpdateRole), delete(DeleteRole), assign(AssignRole), assign_many(AssignRoles), unassign(UnassignRole), assignments(ListAssignments), mine(),
    }
    permissions {
        create(CreatePermission), get(GetPermission), list(ListPermissions), update(UpdatePermission), delete(DeletePermission),
        mine(), explain(ExplainPermission),
    }
    policy {
        get(), export(ExportPolicy), import(ImportPolicy), validate(ValidatePolicy), diff(DiffPolicy),
        dry_run(DryRunPolicy),
    }
    groups {
        create(CreateGroup), get(GetGroup), list(ListGroups), update(UpdateGroup), delete(DeleteGroup), members(ListGroupMembers),
        add_members(AddGroupMembers), remove_members(RemoveGroupMembers), roles(ListGroupRoles), assign_role(AssignGroupRole),
        unassign_role(UnassignGroupRole),
    }
    scopes {
        create(CreateScope), get(GetScope), list(ListScopes), update(UpdateScope), move_to(MoveScope), delete(DeleteScope),
    }
    regions {
        create(CreateRegion), get(GetRegion), list(ListRegions), update(UpdateRegion), delete(DeleteRegion),
    }
    drones {
        create(CreateDrone), get(GetDrone), list(ListDrones), update(UpdateDrone), delete(DeleteDrone),
        assign(AssignDrone), unassign(UnassignDrone), reassign(ReassignDrone),
    }
    asset_kinds { list(), put(PutAssetKind), delete(DeleteAssetKind) }
    assets {
        create(CreateAsset), get(GetAsset), list(ListAssets), update(UpdateAsset), delete(DeleteAsset), assign(AssignAsset), unassign(UnassignAsset),
        reassign(ReassignAsset),
    }
    audit { list(ListAudit), head(), verify(VerifyAudit), export(ExportAudit), outcome(GetOutcome) }
    events { read(ReadEvents) }
    consumers { claim(ClaimConsumer), acknowledge(Acknowledge), release(ReleaseConsumer), list(ListConsumers), delete(DeleteConsumer) }
    setup { seed(Seed) }
}

/// What a method answered: as JSON, and as a host may print it.
pub struct Answer {
    pub json: Json,
    pub printed: String,
}

impl Answer {
    fn of<T: serde::Serialize + std::fmt::Debug>(answer: T) -> Self {
        Self { json: serde_json::to_value(&answer).unwrap(), printed: format!("{answer:?}") }
    }
}

#[test]
fn every_operation_has_its_method() {
    assert_eq!(NAMES, rolekeep::ffi::OPERATIONS);
}
