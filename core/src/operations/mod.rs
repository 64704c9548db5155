//! THE list of operations: each is declared here once, and every face of the library (Rust
//! methods, the ffi, Python, TypeScript, Kotlin, Swift) follows from the list.
//!
//! An operation is one type: its input, its permission, and its plan. The engine takes the five
//! steps (authorize, validate, read, plan, commit) in order; see `engine`.

pub mod actor;
pub mod administrators;
mod alive;
pub mod api_keys;
pub mod asset_kinds;
pub mod assets;
mod attributes;
pub mod audit;
pub(crate) mod authority;
pub(crate) mod changes;
pub mod consumers;
pub mod drones;
pub mod email;
pub(crate) mod epochs;
pub(crate) mod erasures;
pub mod events;
pub mod factors;
pub(crate) mod fleet;
pub(crate) mod gone_names;
pub mod groups;
pub mod hasher;
pub(crate) mod heard;
pub(crate) mod held;
pub mod identities;
pub mod imports;
pub mod invitations;
pub(crate) mod issuers;
pub mod limits;
mod links;
pub mod listing;
pub(crate) mod look_alikes;
pub mod notices;
pub mod passwords;
pub mod permissions;
pub mod plan;
pub mod policy;
pub mod preferences;
pub mod principals;
pub mod profiles;
pub mod reads;
pub mod regions;
pub(crate) mod rights;
pub mod roles;
pub mod scopes;
pub mod services;
pub mod sessions;
pub mod setup;
pub mod sign_in;
pub mod signing_keys;
pub(crate) mod store_secrets;
pub mod target;
pub mod upkeep;
pub mod users;
pub mod validate;
pub mod verification;
mod ways_in;

use std::{borrow::Cow, fmt::Debug};

use rolekeep_macros::boxed_async;

use crate::{
    environment::{MaybeSend, MaybeSync},
    model::{
        decode::FromJson,
        error::{Error, Reason, Result},
        input::Limits,
        page::Page,
        time::Time,
    },
};
use plan::Plan;
use reads::Reads;
use services::Services;
use target::{ResourceRecord, TargetRow};

/// An operation of the library: the fields of its type are its input, `Output` is its answer.
///
/// [`Caller::run`](crate::Caller::run) takes any of them. The trait is sealed: the list of operations alone implements
/// it.
#[boxed_async]
pub trait Operation: Listed + FromJson + Clone + Debug + MaybeSend + MaybeSync + 'static {
    /// What it is done to, loaded before the rules are asked; `()` for none.
    #[doc(hidden)]
    type Target: Target;
    /// The input once it is valid.
    #[doc(hidden)]
    type Valid: MaybeSend + MaybeSync;

    /// Who may ask for it.
    #[doc(hidden)]
    const ACCESS: Access;

    /// How large its input may be as JSON.
    #[doc(hidden)]
    const LIMITS: Limits = Limits::SMALL;

    /// Whether it never writes. The engine holds those that say so to it.
    #[doc(hidden)]
    const IS_READ: bool = false;

    /// Whether [`Operation::access`] may be less for one's own things.
    #[doc(hidden)]
    const MAY_BE_OWN: bool = false;

    /// Whether the caller must have proved who it is within the last five minutes.
    #[doc(hidden)]
    const NEEDS_FRESH: bool = false;

    /// Whether its user must ask for it: an API key may not, nor may whoever acts as that user. So it is with whatever a user does with its own account, and with what
    /// needs a fresh proof.
    #[doc(hidden)]
    const IN_PERSON: bool = Self::NEEDS_FRESH || Self::MAY_BE_OWN || matches!(Self::ACCESS, Access::SignedIn);

    /// Whether browsers load it on demand: what needs a permission, and what is seldom done. From the start they have what
    /// anybody does with an account of its own.
    #[doc(hidden)]
    const IS_DEFERRED: bool = !Self::MAY_BE_OWN && !matches!(Self::ACCESS, Access::Public | Access::SignedIn);

    /// Whether web pages do not offer it: it is of no use where the user has the storage.
    #[doc(hidden)]
    const IS_OF_SERVERS: bool = false;

    /// The account that the input names to be let in by it, as it was typed and unproved: tries are counted by it.
    #[doc(hidden)]
    fn account(&self) -> Option<&str> {
        None
    }

    /// The kind of assets that the input names: [`Access::OfKind`] asks for a permission of it.
    #[doc(hidden)]
    fn kind(&self) -> &str {
        ""
    }

    /// Loads what it is done to; "not there" is an error.
    #[doc(hidden)]
    async fn target(&self, _reads: Reads<'_>, _actor: &actor::Actor) -> Result<Self::Target> {
        Self::Target::none()
    }

    /// Another access than [`Operation::ACCESS`] for this target: one's own things.
    #[doc(hidden)]
    fn access(&self, _target: &Self::Target, _actor: &actor::Actor) -> Access {
        Self::ACCESS
    }

    /// Turns the input into valid types, or gives all field errors at once. Slow work (hashing) belongs here.
    #[doc(hidden)]
    async fn validate(self, services: &Services, now: Time) -> Result<Self::Valid>;

    /// Reads what the change needs and plans it. May run again if others were faster.
    #[doc(hidden)]
    async fn plan(valid: &Self::Valid, target: Self::Target, plan: &mut Plan<'_>) -> Result<Self::Output>;
}

/// Implemented by the list alone.
#[diagnostic::on_unimplemented(
    message = "operation `{Self}` is not in the list",
    note = "add it to `operation_list!` in core/src/operations/mod.rs"
)]
pub trait Listed {
    /// Its name in the list: `users.create`.
    const NAME: &'static str;
    /// What it answers.
    type Output: MaybeSend;
}

/// Who may ask for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, also without signing in.
    Public,
    /// Any signed-in user, for its own things.
    SignedIn,
    /// Who the rules allow this permission, on the target and on the row as it will be.
    Permission(&'static str),
    /// Who the rules allow `KIND:ACTION`, of the kind of assets that the input names ([`Operation::kind`]), in the same way. Whether there
    /// is such a kind is told to nobody but who may read the policy.
    OfKind(&'static str),
    /// Who the rules allow this permission with no resource: it is about none, or about all at once.
    Everywhere(&'static str),
    /// The host alone.
    System,
}

/// What an operation is done to.
pub trait Target: Clone + MaybeSend + MaybeSync {
    /// The row, and the permission by which a caller may know that it exists.
    fn row(&self) -> Option<(TargetRow, Cow<'static, str>)>;

    /// The target of an operation that loads none.
    fn none() -> Result<Self> {
        Err(Error::new(Reason::Internal, "the operation does not load its target"))
    }
}

impl Target for () {
    fn row(&self) -> Option<(TargetRow, Cow<'static, str>)> {
        None
    }

    fn none() -> Result<Self> {
        Ok(())
    }
}

impl<R: ResourceRecord + Visible> Target for R {
    fn row(&self) -> Option<(TargetRow, Cow<'static, str>)> {
        Some((TargetRow::of(self), R::READ.into()))
    }
}

/// A resource that a caller may or may not know of.
pub trait Visible {
    /// By this permission it may.
    const READ: &'static str;
}

/// Gives the list to another macro: areas (each with the module of its name) and their operations,
/// `fn name(Input) -> Output;`, or `fn name() -> Output = Input;` where there is nothing to give.
macro_rules! operation_list {
    ($then:ident) => {
        $then! {
            /// Accounts.
            users: Users {
                fn register(RegisterUser) -> RegisteredUser;
                fn confirm_registration(ConfirmRegistration) -> ConfirmedRegistration;
                fn create(CreateUser) -> UserView;
                fn get(GetUser) -> UserView;
                fn find(FindUser) -> UserView;
                fn me() -> UserView = Me;
                fn list(ListUsers) -> Page<UserView>;
                fn overview(GetUserOverview) -> UserOverview;
                fn overviews(ListUserOverviews) -> Page<UserOverview>;
                fn statistics(GetUserStatistics) -> UserStatistics;
                fn update(UpdateUser) -> ChangedUser;
                fn replace(ReplaceUser) -> ChangedUser;
                fn edit(EditUser) -> ChangedUser;
                fn activate(ActivateUser) -> UserView;
                fn deactivate(DeactivateUser) -> UserView;
                fn suspend(SuspendUser) -> UserView;
                fn ban(BanUser) -> UserView;
                fn lift(LiftUser) -> UserView;
                fn grant_admin(GrantAdmin);
                fn revoke_admin(RevokeAdmin);
                fn delete(DeleteUser);
                fn restore(RestoreUser) -> UserView;
                fn purge(PurgeUser);
                fn erase(EraseUser);
                fn export(ExportUser) -> UserExport;
                fn set_status_many(SetStatuses) -> BulkResult;
                fn delete_many(DeleteUsers) -> BulkResult;
                fn move_many(MoveUsers) -> BulkResult;
            }
            /// Importing users from other systems.
            imports: Imports {
                fn begin(BeginImport) -> ImportView;
                fn resume(ResumeImport) -> ImportView;
                fn feed(FeedImport) -> ImportProgress;
                fn finish(FinishImport) -> ImportView;
                fn abort(AbortImport) -> ImportView;
                fn get(GetImport) -> ImportView;
                fn failures(ListImportFailures) -> Page<ImportItem>;
            }
            /// Checks of forms before they are submitted.
            validate: Validate {
                fn account(ValidateAccount) -> FormValidation;
                fn preferences(ValidatePreferences) -> FormValidation;
            }
            /// Profiles of users, and who sees them.
            profiles: Profiles {
                fn get(GetProfile) -> Profile;
                fn update(UpdateProfile) -> Profile;
                fn delete(DeleteProfile);
            }
            /// The caller's preferences.
            preferences: Preferences {
                fn get() -> PreferencesView = GetPreferences;
                fn update(UpdatePreferences) -> PreferencesView;
            }
            /// Logins: tokens and the sessions they belong to.
            sessions: Sessions {
                fn login(Login) -> SignInResult;
                fn refresh(Refresh) -> Tokens;
                fn inspect(InspectToken) -> TokenInspection;
                fn step_up(StepUp) -> Tokens;
                fn step_up_passkey_start() -> PasskeyOptions = StartStepUpByPasskey;
                fn step_up_passkey(StepUpByPasskey) -> Tokens;
                fn step_up_external(StepUpExternal) -> Tokens;
                fn impersonate(Impersonate) -> Impersonation;
                fn supabase_token() -> SupabaseToken = MakeSupabaseToken;
                fn logout() = Logout;
                fn list(ListSessions) -> Page<SessionView>;
                fn list_of(ListSessionsOf) -> Page<SessionView>;
                fn revoke(RevokeSession);
                fn revoke_others() = RevokeOtherSessions;
                fn revoke_all(RevokeAllSessions);
                fn revoke_everyone(RevokeEveryone);
            }
            /// Signing in without a password, by a passkey or by mail, and the steps of a sign-in after the first.
            sign_in: SignIn {
                fn passkey_start(StartSignInByPasskey) -> PasskeyOptions;
                fn passkey(SignInByPasskey) -> SignInResult;
                fn mail_start(StartSignInByMail) -> MailChallenge;
                fn mail(SignInByMail) -> SignInResult;
                fn external(SignInByToken) -> SignInResult;
                fn factor(ProveFactor) -> SignInResult;
                fn password(ChoosePassword) -> SignInResult;
                fn enrol_start(StartEnrol) -> FactorSetup;
                fn enrol(Enrol) -> SignInResult;
                fn enrol_passkey_start(StartEnrolPasskey) -> PasskeyOptions;
                fn enrol_passkey(EnrolPasskey) -> SignInResult;
            }
            /// Second factors: one's own, and resetting those of others.
            factors: Factors {
                fn list() -> FactorList = ListFactors;
                fn add_start() -> FactorSetup = StartFactor;
                fn add(AddFactor) -> AddedFactor;
                fn add_passkey_start() -> PasskeyOptions = StartPasskey;
                fn add_passkey(AddPasskey) -> AddedFactor;
                fn remove(RemoveFactor) -> Tokens;
                fn recovery_codes() -> RecoveryCodes = MakeRecoveryCodes;
                fn reset_of(ResetFactorsOf);
            }
            /// API keys, which a user's programs call with.
            api_keys: ApiKeys {
                fn create(CreateApiKey) -> NewApiKey;
                fn create_for(CreateApiKeyFor) -> NewApiKey;
                fn list(ListApiKeys) -> Page<ApiKeyView>;
                fn list_of(ListApiKeysOf) -> Page<ApiKeyView>;
                fn revoke(RevokeApiKey);
            }
            /// Passwords: changing one's own, and setting those of others.
            passwords: Passwords {
                fn change(ChangePassword) -> Tokens;
                fn forgot(ForgotPassword);
                fn reset(ResetPassword) -> PasswordReset;
                fn set(SetPassword);
                fn set_temporary(SetTemporaryPassword) -> TemporaryPassword;
                fn expire(ExpirePasswords);
                fn costs() -> Vec<PasswordCost> = ListPasswordCosts;
                fn retire(RetirePasswords) -> RetiredPasswords;
            }
            /// Verifying that an account's e-mail address belongs to its user.
            verification: Verification {
                fn send() = SendVerification;
                fn confirm(ConfirmVerification) -> Confirmation;
            }
            /// Changing one's own e-mail address.
            email: Email {
                fn change(ChangeEmail);
                fn confirm(ConfirmEmail) -> Tokens;
                fn revert(RevertEmail);
            }
            /// The identities at other issuers that the caller's account is linked to.
            identities: Identities {
                fn list() -> Vec<IdentityView> = ListIdentities;
                fn link_start() -> IdentityChallenge = StartIdentity;
                fn link(LinkIdentity) -> IdentityView;
                fn unlink(UnlinkIdentity);
            }
            /// Invitations: accounts and roles for the owner of an e-mail address.
            invitations: Invitations {
                fn create(CreateInvitation) -> InvitationView;
                fn list(ListInvitations) -> Page<InvitationView>;
                fn revoke(RevokeInvitation);
                fn accept(AcceptInvitation) -> AcceptedInvitation;
            }
            /// The keys that tokens are signed with.
            signing_keys: SigningKeys {
                fn list() -> Vec<SigningKeyView> = ListSigningKeys;
                fn rotate() -> Vec<SigningKeyView> = RotateSigningKeys;
                fn revoke(RevokeSigningKey);
                fn jwks() -> Jwks = GetJwks;
            }
            /// Limits of failed sign-ins.
            limits: Limits {
                fn clear(ClearLimits);
            }
            /// Roles of the policy, and who holds them.
            roles: Roles {
                fn create(CreateRole) -> RoleView;
                fn list(ListRoles) -> Page<RoleView>;
                fn get(GetRole) -> RoleDetails;
                fn update(UpdateRole) -> RoleView;
                fn delete(DeleteRole) -> DeletedRole;
                fn assign(AssignRole) -> RoleAssignment;
                fn assign_many(AssignRoles) -> Vec<RoleAssignment>;
                fn unassign(UnassignRole);
                fn assignments(ListAssignments) -> Page<RoleAssignment>;
                fn mine() -> Vec<HeldRole> = MyRoles;
            }
            /// The permissions that exist, what a caller may do, and why.
            permissions: Permissions {
                fn create(CreatePermission) -> PermissionView;
                fn get(GetPermission) -> PermissionView;
                fn list(ListPermissions) -> Page<PermissionView>;
                fn update(UpdatePermission) -> PermissionView;
                fn delete(DeletePermission) -> DeletedPermission;
                fn mine() -> Vec<EffectiveGrant> = MyPermissions;
                fn explain(ExplainPermission) -> Explanation;
            }
            /// The policy as a whole: its version, files, and what an edit of it would change.
            policy: Policies {
                fn get() -> PolicySummary = GetPolicy;
                fn export(ExportPolicy) -> PolicyFile;
                fn import(ImportPolicy) -> ImportedPolicy;
                fn validate(ValidatePolicy) -> PolicyValidation;
                fn diff(DiffPolicy) -> Vec<PolicyChange>;
                fn dry_run(DryRunPolicy) -> DryRun;
            }
            /// Groups of users, whose members hold their roles.
            groups: Groups {
                fn create(CreateGroup) -> Group;
                fn get(GetGroup) -> Group;
                fn list(ListGroups) -> Page<Group>;
                fn update(UpdateGroup) -> Group;
                fn delete(DeleteGroup);
                fn members(ListGroupMembers) -> Page<GroupMemberView>;
                fn add_members(AddGroupMembers) -> Group;
                fn remove_members(RemoveGroupMembers) -> Group;
                fn roles(ListGroupRoles) -> Page<GroupRole>;
                fn assign_role(AssignGroupRole) -> GroupRole;
                fn unassign_role(UnassignGroupRole);
            }
            /// Scopes of nested kinds, such as countries and regions: what each is called, and what it lies within.
            scopes: Scopes {
                fn create(CreateScope) -> ScopeRow;
                fn get(GetScope) -> ScopeRow;
                fn list(ListScopes) -> Page<ScopeRow>;
                fn update(UpdateScope) -> ScopeRow;
                fn move_to(MoveScope) -> ScopeRow;
                fn delete(DeleteScope);
            }
            /// Regions that users and drones belong to.
            regions: Regions {
                fn create(CreateRegion) -> RegionView;
                fn get(GetRegion) -> RegionView;
                fn list(ListRegions) -> Page<RegionView>;
                fn update(UpdateRegion) -> RegionView;
                fn delete(DeleteRegion);
            }
            /// Drones, and who flies them.
            drones: Drones {
                fn create(CreateDrone) -> DroneView;
                fn get(GetDrone) -> DroneView;
                fn list(ListDrones) -> Page<DroneView>;
                fn update(UpdateDrone) -> ChangedDrone;
                fn delete(DeleteDrone);
                fn assign(AssignDrone) -> DroneView;
                fn unassign(UnassignDrone) -> DroneView;
                fn reassign(ReassignDrone) -> DroneView;
            }
            /// Kinds of assets that the policy declares in addition to drones, with the models and statuses of each.
            asset_kinds: AssetKinds {
                fn list() -> Vec<AssetKindView> = ListAssetKinds;
                fn put(PutAssetKind) -> AssetKindView;
                fn delete(DeleteAssetKind);
            }
            /// Assets of those kinds, and who uses them.
            assets: Assets {
                fn create(CreateAsset) -> AssetView;
                fn get(GetAsset) -> AssetView;
                fn list(ListAssets) -> Page<AssetView>;
                fn update(UpdateAsset) -> ChangedAsset;
                fn delete(DeleteAsset);
                fn assign(AssignAsset) -> AssetView;
                fn unassign(UnassignAsset) -> AssetView;
                fn reassign(ReassignAsset) -> AssetView;
            }
            /// The audit log.
            audit: Audit {
                fn list(ListAudit) -> Page<AuditView>;
                fn head() -> AuditHeads = GetAuditHeads;
                fn verify(VerifyAudit) -> AuditReport;
                fn export(ExportAudit) -> Page<AuditLine>;
                fn outcome(GetOutcome) -> ChangeOutcome;
            }
            /// Events: what happened after a position.
            events: Events {
                fn read(ReadEvents) -> EventBatch;
            }
            /// Named readers of events: one process at a time reads, and continues where the last one stopped.
            consumers: Consumers {
                fn claim(ClaimConsumer) -> ConsumerLease;
                fn acknowledge(Acknowledge) -> ConsumerLease;
                fn release(ReleaseConsumer);
                fn list(ListConsumers) -> Page<ConsumerView>;
                fn delete(DeleteConsumer);
            }
            /// First steps of a store.
            setup: Setup {
                fn seed(Seed) -> SeedResult;
            }
        }
    };
}

macro_rules! name_operations {
    ($($(#[$about:meta])* $area:ident: $face:ident {
        $(fn $method:ident($($input:ident)?) $(-> $output:ty)? $(= $unit:ident)?;)*
    })*) => {$(
        const _: () = {
            use $area::*;
            $(
            impl Listed for $($input)? $($unit)? {
                const NAME: &'static str = concat!(stringify!($area), ".", stringify!($method));
                type Output = name_operations!(@output $($output)?);
            }
            assert!(
                target::is_declared(<$($input)? $($unit)? as Operation>::ACCESS),
                concat!("no record declares the permission of ", stringify!($area), ".", stringify!($method)),
            );
            )*
        };
    )*};
    (@output) => { () };
    (@output $output:ty) => { $output };
}
pub(crate) use operation_list;
operation_list!(name_operations);
