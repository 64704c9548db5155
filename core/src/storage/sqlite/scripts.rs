//! The scripts of SQLite files.

use crate::storage::sql::migrations::{Script, scripts};

/// The scripts that were released, in order; a released script never changes.
pub(super) const SCRIPTS: &[Script] = scripts! { "sqlite":
    "0001_initial": kept ["all that is stored"];
    "0002_user_activity": kept ["that an account was never signed in to, and who deleted ones were"];
    "0003_done_requests": undone ["done_requests": "requests that were done, which would be done again when they are repeated"];
    "0004_roles_by_scope": undone [];
    "0005_identities": kept ["identities, and accounts without an e-mail address"];
    "0006_credentials": kept ["temporary passwords, accounts without one, and steps of sign-ins"];
    "0007_hash_costs": kept ["what each stored hash costs"];
    "0008_limits": undone ["limits": "how often something was tried"];
    "0009_notices": kept ["names that are held, links and notices"];
    "0010_factors": kept ["second factors and the roles that demand one"];
    "0011_passkeys": kept ["passkeys"];
    "0012_mail_sign_in": kept ["sign-ins by mail that are under way"];
    "0013_signing_keys": kept ["when signing keys begin and end"];
    "0014_api_keys": undone ["api_keys": "API keys", "api_key_uses": "when API keys were used"];
    "0015_identity_epochs": kept ["which sessions ended with an identity"];
    "0016_impersonation": kept ["who acts as another user, and that all sessions were ended"];
    "0017_invitations": undone ["invitations": "invitations"];
    "0018_registrations": undone ["registrations": "registrations"];
    "0019_indexes_of_lists": undone [];
    "0020_former_factors": undone ["former_factors": "which second factors accounts had before"];
    "0021_sessions_in_use": undone [];
    "0022_eras_of_api_keys": kept ["which API keys were ended with those of everybody"];
    "0023_preferences": undone ["preferences": "preferences of users"];
    "0024_rows_of_one": undone [];
    "0025_deleted_users": kept ["when users were deleted, and the store's secrets"];
    "0026_user_statistics": undone [];
    "0027_sealed_audit": kept ["the seals of the audit log"];
    "0028_erasures": undone ["erasures": "erasures that are under way"];
    "0029_profiles": kept ["profiles, who sees them, and attributes of users"];
    "0030_searches": undone [];
    "0031_imports": undone [
        "imports": "imports", "import_failures": "failures of imports", "import_pieces": "imports that are under way"
    ];
    "0032_assets": undone [
        "assets": "assets", "asset_assignments": "assignments of assets", "asset_kinds": "kinds of assets"
    ];
    "0033_groups": undone ["groups": "groups", "group_members": "members of groups", "group_roles": "roles of groups"];
    "0034_audit_times": undone [];
    "0035_attributes_of_fleets": undone [
        "regions WHERE attributes IS NOT NULL": "attributes of regions",
        "drones WHERE attributes IS NOT NULL": "attributes of drones",
        "assets WHERE attributes IS NOT NULL": "attributes of assets",
    ];
    "0036_groups_of_invitations": undone ["invitations WHERE \"groups\" IS NOT NULL": "groups that invitations bring"];
    "0037_scopes": undone ["scopes": "scopes of nested kinds"];
    "0038_events": undone [
        "commits WHERE events IS NOT NULL": "events that others may not have read yet",
        "consumers": "how far consumers of events have read",
    ];
    "0039_sort_keys": undone [];
    "0040_lagging_consumers": undone ["consumers WHERE lagging_since IS NOT NULL": "since when consumers lag"];
    "0041_filter_indexes": undone [];
};
