-- @generated from the declarations of the records, until the first release
CREATE TABLE "users" (
  "id" uuid NOT NULL,
  "username" text COLLATE "C",
  "email" text COLLATE "C",
  "email_verified" boolean NOT NULL,
  "full_name" text COLLATE "C",
  "display_name" text COLLATE "C",
  "first_name" text COLLATE "C",
  "last_name" text COLLATE "C",
  "phone" text COLLATE "C",
  "birth_date" text COLLATE "C",
  "bio" text COLLATE "C",
  "location" text COLLATE "C",
  "avatar_url" text COLLATE "C",
  "website" text COLLATE "C",
  "visibility" text COLLATE "C" NOT NULL,
  "attributes" text COLLATE "C",
  "region_id" uuid,
  "status" text COLLATE "C" NOT NULL,
  "status_reason" text COLLATE "C",
  "suspended_until" bigint,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "deleted_at" bigint,
  "status_before" text COLLATE "C",
  "version" bigint NOT NULL,
  "email_key" text COLLATE "C" NOT NULL,
  "username_key" text COLLATE "C" NOT NULL,
  "last_name_key" text COLLATE "C" NOT NULL,
  "search_text" text COLLATE "C" NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_region_id_created_at" ON "users" ("region_id" NULLS FIRST, "created_at", "id");
CREATE INDEX "users_by_region_id_status" ON "users" ("region_id" NULLS FIRST, "status", "id");
CREATE INDEX "users_by_status_created_at" ON "users" ("status", "created_at", "id");
CREATE INDEX "users_by_status_email_verified_created_at" ON "users" ("status", "email_verified", "created_at", "id");
CREATE INDEX "users_by_email_key" ON "users" ("email_key", "id");
CREATE INDEX "users_by_username_key" ON "users" ("username_key", "id");
CREATE INDEX "users_by_last_name_key" ON "users" ("last_name_key", "id");
CREATE INDEX "users_by_deleted_at" ON "users" ("deleted_at" NULLS FIRST, "id");
CREATE INDEX "users_by_email_verified_created_at" ON "users" ("email_verified", "created_at", "id");
CREATE TABLE "user_activity" (
  "user_id" uuid NOT NULL,
  "last_login_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("user_id")
) WITH (fillfactor = 90);
CREATE INDEX "user_activity_by_last_login_at" ON "user_activity" ("last_login_at", "user_id");
CREATE TABLE "preferences" (
  "user_id" uuid NOT NULL,
  "theme" text COLLATE "C" NOT NULL,
  "language" text COLLATE "C",
  "time_zone" text COLLATE "C",
  "email_notifications" boolean NOT NULL,
  "sms_notifications" boolean NOT NULL,
  "data" text COLLATE "C" NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("user_id")
) WITH (fillfactor = 90);
CREATE TABLE "credentials" (
  "user_id" uuid NOT NULL,
  "password_hash" text COLLATE "C",
  "hash_cost" text COLLATE "C",
  "set_at" bigint,
  "must_change" boolean NOT NULL,
  "temporary_until" bigint,
  "is_short" boolean,
  "second_factor_since" bigint,
  "address_proved_at" bigint,
  "handle" text COLLATE "C",
  "moved_at" bigint,
  "epoch" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("user_id")
) WITH (fillfactor = 90);
CREATE INDEX "credentials_by_hash_cost" ON "credentials" ("hash_cost" NULLS FIRST, "user_id");
CREATE TABLE "hash_costs" (
  "cost" text COLLATE "C" NOT NULL,
  "used_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("cost")
) WITH (fillfactor = 90);
CREATE TABLE "factors" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "kind" text COLLATE "C" NOT NULL,
  "name" text COLLATE "C",
  "seed" text COLLATE "C",
  "epoch" bigint NOT NULL,
  "added_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "factors_by_user_id" ON "factors" ("user_id", "id");
CREATE TABLE "factor_states" (
  "factor_id" uuid NOT NULL,
  "last_step" bigint NOT NULL,
  "counter" bigint,
  "is_backed_up" boolean,
  "has_verified" boolean,
  "last_used_at" bigint NOT NULL,
  "failures" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("factor_id")
) WITH (fillfactor = 90);
CREATE TABLE "former_factors" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "kind" text COLLATE "C" NOT NULL,
  "name" text COLLATE "C",
  "added_at" bigint NOT NULL,
  "ended_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "former_factors_by_user_id_ended_at" ON "former_factors" ("user_id", "ended_at", "id");
CREATE TABLE "passkeys" (
  "credential_id" text COLLATE "C" NOT NULL,
  "factor_id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "public_key" text COLLATE "C" NOT NULL,
  "transports" text COLLATE "C" NOT NULL,
  "is_backup_eligible" boolean NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("credential_id")
) WITH (fillfactor = 90);
CREATE INDEX "passkeys_by_user_id" ON "passkeys" ("user_id", "credential_id");
CREATE TABLE "recovery_codes" (
  "user_id" uuid NOT NULL,
  "hash" text COLLATE "C" NOT NULL,
  "epoch" bigint NOT NULL,
  "used_at" bigint,
  "version" bigint NOT NULL,
  PRIMARY KEY ("user_id", "hash")
) WITH (fillfactor = 90);
CREATE TABLE "identities" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "issuer" text COLLATE "C" NOT NULL,
  "subject" text COLLATE "C" NOT NULL,
  "linked_at" bigint NOT NULL,
  "epoch" bigint,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "identities_by_user_id" ON "identities" ("user_id", "id");
CREATE TABLE "role_assignments" (
  "user_id" uuid NOT NULL,
  "role" text COLLATE "C" NOT NULL,
  "scope" text COLLATE "C" NOT NULL,
  "valid_from" bigint,
  "valid_until" bigint,
  "assigned_by" text COLLATE "C" NOT NULL,
  "assigned_at" bigint NOT NULL,
  "reason" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("user_id", "role", "scope")
) WITH (fillfactor = 90);
CREATE INDEX "role_assignments_by_role" ON "role_assignments" ("role", "user_id", "scope");
CREATE INDEX "role_assignments_by_scope" ON "role_assignments" ("scope", "user_id", "role");
CREATE TABLE "groups" (
  "id" uuid NOT NULL,
  "name" text COLLATE "C" NOT NULL,
  "description" text COLLATE "C",
  "member_count" bigint NOT NULL,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "groups_by_created_at" ON "groups" ("created_at", "id");
CREATE TABLE "group_members" (
  "group_id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "added_by" text COLLATE "C" NOT NULL,
  "added_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("group_id", "user_id")
) WITH (fillfactor = 90);
CREATE INDEX "group_members_by_user_id" ON "group_members" ("user_id", "group_id");
CREATE TABLE "group_roles" (
  "group_id" uuid NOT NULL,
  "role" text COLLATE "C" NOT NULL,
  "scope" text COLLATE "C" NOT NULL,
  "valid_from" bigint,
  "valid_until" bigint,
  "assigned_by" text COLLATE "C" NOT NULL,
  "assigned_at" bigint NOT NULL,
  "reason" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("group_id", "role", "scope")
) WITH (fillfactor = 90);
CREATE INDEX "group_roles_by_role" ON "group_roles" ("role", "group_id", "scope");
CREATE INDEX "group_roles_by_scope" ON "group_roles" ("scope", "group_id", "role");
CREATE TABLE "scopes" (
  "scope" text COLLATE "C" NOT NULL,
  "kind" text COLLATE "C" NOT NULL,
  "name" text COLLATE "C" NOT NULL,
  "parent" text COLLATE "C",
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("scope")
) WITH (fillfactor = 90);
CREATE INDEX "scopes_by_kind_created_at" ON "scopes" ("kind", "created_at", "scope");
CREATE INDEX "scopes_by_parent_created_at" ON "scopes" ("parent" NULLS FIRST, "created_at", "scope");
CREATE INDEX "scopes_by_created_at" ON "scopes" ("created_at", "scope");
CREATE TABLE "regions" (
  "id" uuid NOT NULL,
  "code" text COLLATE "C" NOT NULL,
  "name" text COLLATE "C" NOT NULL,
  "area" text COLLATE "C",
  "commander_name" text COLLATE "C",
  "status" text COLLATE "C" NOT NULL,
  "attributes" text COLLATE "C",
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  "search_text" text COLLATE "C" NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "regions_by_code" ON "regions" ("code", "id");
CREATE INDEX "regions_by_created_at" ON "regions" ("created_at", "id");
CREATE TABLE "drones" (
  "id" uuid NOT NULL,
  "code" text COLLATE "C" NOT NULL,
  "model" text COLLATE "C" NOT NULL,
  "status" text COLLATE "C" NOT NULL,
  "region_id" uuid,
  "operator_id" uuid,
  "attributes" text COLLATE "C",
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  "search_text" text COLLATE "C" NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "drones_by_code" ON "drones" ("code", "id");
CREATE INDEX "drones_by_region_id_created_at" ON "drones" ("region_id" NULLS FIRST, "created_at", "id");
CREATE INDEX "drones_by_operator_id_created_at" ON "drones" ("operator_id" NULLS FIRST, "created_at", "id");
CREATE INDEX "drones_by_status_created_at" ON "drones" ("status", "created_at", "id");
CREATE INDEX "drones_by_model_created_at" ON "drones" ("model", "created_at", "id");
CREATE INDEX "drones_by_created_at" ON "drones" ("created_at", "id");
CREATE TABLE "drone_assignments" (
  "drone_id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "assigned_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("drone_id", "user_id")
) WITH (fillfactor = 90);
CREATE INDEX "drone_assignments_by_user_id" ON "drone_assignments" ("user_id", "drone_id");
CREATE TABLE "assets" (
  "id" uuid NOT NULL,
  "kind" text COLLATE "C" NOT NULL,
  "code" text COLLATE "C" NOT NULL,
  "model" text COLLATE "C" NOT NULL,
  "status" text COLLATE "C" NOT NULL,
  "region_id" uuid,
  "operator_id" uuid,
  "attributes" text COLLATE "C",
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "assets_by_kind_code" ON "assets" ("kind", "code", "id");
CREATE INDEX "assets_by_kind_region_id_created_at" ON "assets" ("kind", "region_id" NULLS FIRST, "created_at", "id");
CREATE INDEX "assets_by_kind_operator_id_created_at" ON "assets" ("kind", "operator_id" NULLS FIRST, "created_at", "id");
CREATE INDEX "assets_by_kind_status_created_at" ON "assets" ("kind", "status", "created_at", "id");
CREATE INDEX "assets_by_kind_model_created_at" ON "assets" ("kind", "model", "created_at", "id");
CREATE INDEX "assets_by_kind_created_at" ON "assets" ("kind", "created_at", "id");
CREATE INDEX "assets_by_region_id" ON "assets" ("region_id" NULLS FIRST, "id");
CREATE INDEX "assets_by_operator_id" ON "assets" ("operator_id" NULLS FIRST, "id");
CREATE TABLE "asset_assignments" (
  "asset_id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "assigned_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("asset_id", "user_id")
) WITH (fillfactor = 90);
CREATE INDEX "asset_assignments_by_user_id" ON "asset_assignments" ("user_id", "asset_id");
CREATE TABLE "sessions" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "device_name" text COLLATE "C",
  "platform" text COLLATE "C",
  "ip" text COLLATE "C",
  "user_agent" text COLLATE "C",
  "created_at" bigint NOT NULL,
  "authenticated_at" bigint NOT NULL,
  "proofs" text COLLATE "C",
  "impersonator_id" uuid,
  "impersonator_session_id" uuid,
  "era" bigint,
  "expires_at" bigint NOT NULL,
  "ended_at" bigint,
  "end_reason" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "sessions_by_user_id_ended_at_expires_at" ON "sessions" ("user_id", "ended_at" NULLS FIRST, "expires_at", "id");
CREATE INDEX "sessions_by_ended_at" ON "sessions" ("ended_at" NULLS FIRST, "id");
CREATE INDEX "sessions_by_expires_at" ON "sessions" ("expires_at", "id");
CREATE TABLE "session_activity" (
  "session_id" uuid NOT NULL,
  "last_seen_at" bigint NOT NULL,
  "generation" bigint NOT NULL,
  "rotated_at" bigint NOT NULL,
  "seed" text COLLATE "C" NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("session_id")
) WITH (fillfactor = 90);
CREATE TABLE "api_keys" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "name" text COLLATE "C" NOT NULL,
  "hash" text COLLATE "C" NOT NULL,
  "patterns" text COLLATE "C",
  "networks" text COLLATE "C",
  "has_two_factors" boolean NOT NULL,
  "era" bigint,
  "created_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "ended_at" bigint,
  "end_reason" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "api_keys_by_user_id_created_at" ON "api_keys" ("user_id", "created_at", "id");
CREATE INDEX "api_keys_by_ended_at" ON "api_keys" ("ended_at" NULLS FIRST, "id");
CREATE INDEX "api_keys_by_expires_at" ON "api_keys" ("expires_at", "id");
CREATE TABLE "api_key_uses" (
  "api_key_id" uuid NOT NULL,
  "last_used_at" bigint,
  "version" bigint NOT NULL,
  PRIMARY KEY ("api_key_id")
) WITH (fillfactor = 90);
CREATE TABLE "challenges" (
  "id" uuid NOT NULL,
  "user_id" uuid,
  "identifier" text COLLATE "C",
  "step" text COLLATE "C" NOT NULL,
  "epoch" bigint NOT NULL,
  "era" bigint,
  "proofs" text COLLATE "C",
  "proved_at" bigint,
  "seed" text COLLATE "C",
  "failures" bigint,
  "code_step" bigint,
  "device_name" text COLLATE "C",
  "platform" text COLLATE "C",
  "is_known_device" boolean,
  "device_id" text COLLATE "C",
  "created_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "used_at" bigint,
  "session_id" uuid,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "challenges_by_user_id" ON "challenges" ("user_id" NULLS FIRST, "id");
CREATE INDEX "challenges_by_expires_at" ON "challenges" ("expires_at", "id");
CREATE TABLE "links" (
  "id" uuid NOT NULL,
  "user_id" uuid NOT NULL,
  "purpose" text COLLATE "C" NOT NULL,
  "address" text COLLATE "C" NOT NULL,
  "epoch" bigint NOT NULL,
  "created_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "used_at" bigint,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "links_by_user_id" ON "links" ("user_id", "id");
CREATE INDEX "links_by_expires_at" ON "links" ("expires_at", "id");
CREATE TABLE "invitations" (
  "id" uuid NOT NULL,
  "email" text COLLATE "C" NOT NULL,
  "roles" text COLLATE "C" NOT NULL,
  "groups" text COLLATE "C",
  "invited_by" uuid,
  "created_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "ended_at" bigint,
  "end_reason" text COLLATE "C",
  "accepted_by" uuid,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "invitations_by_created_at" ON "invitations" ("created_at", "id");
CREATE INDEX "invitations_by_end_reason_created_at" ON "invitations" ("end_reason" NULLS FIRST, "created_at", "id");
CREATE INDEX "invitations_by_ended_at" ON "invitations" ("ended_at" NULLS FIRST, "id");
CREATE INDEX "invitations_by_expires_at" ON "invitations" ("expires_at", "id");
CREATE INDEX "invitations_by_accepted_by" ON "invitations" ("accepted_by" NULLS FIRST, "id");
CREATE INDEX "invitations_by_invited_by_created_at" ON "invitations" ("invited_by" NULLS FIRST, "created_at", "id");
CREATE TABLE "registrations" (
  "id" uuid NOT NULL,
  "email" text COLLATE "C" NOT NULL,
  "names" text COLLATE "C" NOT NULL,
  "password_hash" text COLLATE "C" NOT NULL,
  "is_short" boolean NOT NULL,
  "created_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "registrations_by_expires_at" ON "registrations" ("expires_at", "id");
CREATE TABLE "notices" (
  "id" uuid NOT NULL,
  "kind" text COLLATE "C" NOT NULL,
  "user_id" uuid,
  "identifier" text COLLATE "C",
  "address" text COLLATE "C",
  "link_id" uuid,
  "epoch" bigint,
  "ip" text COLLATE "C",
  "user_agent" text COLLATE "C",
  "at" bigint NOT NULL,
  "due_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "tries" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "notices_by_user_id" ON "notices" ("user_id" NULLS FIRST, "id");
CREATE INDEX "notices_by_kind" ON "notices" ("kind", "id");
CREATE INDEX "notices_by_due_at" ON "notices" ("due_at", "id");
CREATE INDEX "notices_by_expires_at" ON "notices" ("expires_at", "id");
CREATE TABLE "erasures" (
  "user_id" uuid NOT NULL,
  "begun_at" bigint NOT NULL,
  "known" text COLLATE "C",
  "known_before" bigint NOT NULL,
  "lane" bigint NOT NULL,
  "seq" bigint NOT NULL,
  "payloads" bigint NOT NULL,
  "origins" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("user_id")
) WITH (fillfactor = 90);
CREATE TABLE "imports" (
  "id" uuid NOT NULL,
  "started_by" uuid,
  "options" text COLLATE "C" NOT NULL,
  "hash_parameters" text COLLATE "C",
  "status" text COLLATE "C" NOT NULL,
  "position" bigint NOT NULL,
  "reading" text COLLATE "C" NOT NULL,
  "digest" text COLLATE "C" NOT NULL,
  "replayed_digest" text COLLATE "C",
  "counts" text COLLATE "C" NOT NULL,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "imports_by_expires_at" ON "imports" ("expires_at", "id");
CREATE INDEX "imports_by_started_by" ON "imports" ("started_by" NULLS FIRST, "id");
CREATE TABLE "import_failures" (
  "import_id" uuid NOT NULL,
  "number" bigint NOT NULL,
  "outcome" text COLLATE "C" NOT NULL,
  "foreign_id" text COLLATE "C",
  "user_id" uuid,
  "problem" text COLLATE "C" NOT NULL,
  "expires_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("import_id", "number")
) WITH (fillfactor = 90);
CREATE INDEX "import_failures_by_expires_at" ON "import_failures" ("expires_at", "import_id", "number");
CREATE INDEX "import_failures_by_user_id" ON "import_failures" ("user_id" NULLS FIRST, "import_id", "number");
CREATE TABLE "import_pieces" (
  "import_id" uuid NOT NULL,
  "at" bigint NOT NULL,
  "data" text COLLATE "C" NOT NULL,
  "expires_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("import_id", "at")
) WITH (fillfactor = 90);
CREATE INDEX "import_pieces_by_expires_at" ON "import_pieces" ("expires_at", "import_id", "at");
CREATE TABLE "claims" (
  "kind" text COLLATE "C" NOT NULL,
  "name" text COLLATE "C" NOT NULL,
  "owner" text COLLATE "C" NOT NULL,
  "held_until" bigint,
  "version" bigint NOT NULL,
  PRIMARY KEY ("kind", "name")
) WITH (fillfactor = 90);
CREATE INDEX "claims_by_owner" ON "claims" ("owner", "kind", "name");
CREATE INDEX "claims_by_held_until" ON "claims" ("held_until" NULLS FIRST, "kind", "name");
CREATE TABLE "guards" (
  "name" text COLLATE "C" NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("name")
) WITH (fillfactor = 90);
CREATE TABLE "signing_keys" (
  "id" text COLLATE "C" NOT NULL,
  "algorithm" text COLLATE "C",
  "secret" text COLLATE "C" NOT NULL,
  "created_at" bigint NOT NULL,
  "signs_from" bigint,
  "ends_at" bigint,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE INDEX "signing_keys_by_ends_at" ON "signing_keys" ("ends_at" NULLS FIRST, "id");
CREATE TABLE "done_requests" (
  "asker" text COLLATE "C" NOT NULL,
  "operation" text COLLATE "C" NOT NULL,
  "idempotency_key" text COLLATE "C" NOT NULL,
  "input" text COLLATE "C" NOT NULL,
  "change_id" uuid NOT NULL,
  "at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("asker", "operation", "idempotency_key")
) WITH (fillfactor = 90);
CREATE INDEX "done_requests_by_at" ON "done_requests" ("at", "asker", "operation", "idempotency_key");
CREATE TABLE "consumers" (
  "name" text COLLATE "C" NOT NULL,
  "position" text COLLATE "C" NOT NULL,
  "reached_at" bigint NOT NULL,
  "lease" uuid,
  "leased_until" bigint,
  "lagging_since" bigint,
  "created_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("name")
) WITH (fillfactor = 90);
CREATE INDEX "consumers_by_reached_at" ON "consumers" ("reached_at", "name");
CREATE TABLE "limits" (
  "lane" text COLLATE "C" NOT NULL,
  "value" bigint NOT NULL,
  "expires_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("lane")
) WITH (fillfactor = 90);
CREATE INDEX "limits_by_expires_at" ON "limits" ("expires_at", "lane");
CREATE TABLE "store_secrets" (
  "name" text COLLATE "C" NOT NULL,
  "secret" text COLLATE "C" NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("name")
) WITH (fillfactor = 90);
CREATE TABLE "permissions" (
  "name" text COLLATE "C" NOT NULL,
  "resource" text COLLATE "C" NOT NULL,
  "action" text COLLATE "C" NOT NULL,
  "description" text COLLATE "C" NOT NULL,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("name")
) WITH (fillfactor = 90);
CREATE INDEX "permissions_by_resource" ON "permissions" ("resource", "name");
CREATE TABLE "roles" (
  "name" text COLLATE "C" NOT NULL,
  "description" text COLLATE "C",
  "is_default" boolean NOT NULL,
  "needs_second_factor" boolean,
  "inherits" text COLLATE "C" NOT NULL,
  "grants" text COLLATE "C" NOT NULL,
  "max_holders" bigint,
  "grantable_by" text COLLATE "C" NOT NULL,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("name")
) WITH (fillfactor = 90);
CREATE TABLE "asset_kinds" (
  "name" text COLLATE "C" NOT NULL,
  "models" text COLLATE "C" NOT NULL,
  "statuses" text COLLATE "C" NOT NULL,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("name")
) WITH (fillfactor = 90);
CREATE TABLE "policy" (
  "id" text COLLATE "C" NOT NULL,
  "content" text COLLATE "C" NOT NULL,
  "created_at" bigint NOT NULL,
  "updated_at" bigint NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("id")
) WITH (fillfactor = 90);
CREATE TABLE "policy_given" (
  "part" text COLLATE "C" NOT NULL,
  "name" text COLLATE "C" NOT NULL,
  "form" text COLLATE "C" NOT NULL,
  "version" bigint NOT NULL,
  PRIMARY KEY ("part", "name")
) WITH (fillfactor = 90);
CREATE TABLE "audit_entries" (
  "lane" bigint NOT NULL,
  "seq" bigint NOT NULL,
  "id" uuid NOT NULL,
  "at" bigint NOT NULL,
  "action" text COLLATE "C" NOT NULL,
  "actor" text COLLATE "C" NOT NULL,
  "on_behalf_of" uuid,
  "session_id" uuid,
  "target_type" text COLLATE "C",
  "target_id" text COLLATE "C",
  "facts" text COLLATE "C",
  "payload" text COLLATE "C",
  "salt" text COLLATE "C",
  "commitment" text COLLATE "C" NOT NULL,
  "origin" text COLLATE "C",
  "origin_salt" text COLLATE "C",
  "origin_commitment" text COLLATE "C",
  "previous" text COLLATE "C" NOT NULL,
  "hash" text COLLATE "C" NOT NULL,
  "key_id" text COLLATE "C",
  "mac" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("lane", "seq")
) WITH (fillfactor = 90);
CREATE INDEX "audit_entries_by_at" ON "audit_entries" ("at", "lane", "seq");
CREATE INDEX "audit_entries_by_actor_at" ON "audit_entries" ("actor", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_target_id_at" ON "audit_entries" ("target_id" NULLS FIRST, "at", "lane", "seq");
CREATE INDEX "audit_entries_by_action_at" ON "audit_entries" ("action", "at", "lane", "seq");
CREATE TABLE "audit_heads" (
  "lane" bigint NOT NULL,
  "seq" bigint NOT NULL,
  "hash" text COLLATE "C" NOT NULL,
  "key_id" text COLLATE "C",
  "mac" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("lane")
) WITH (fillfactor = 90);
CREATE TABLE "commits" (
  "position" bigint NOT NULL,
  "id" uuid NOT NULL,
  "at" bigint NOT NULL,
  "touched" text COLLATE "C" NOT NULL,
  "events" text COLLATE "C",
  "version" bigint NOT NULL,
  PRIMARY KEY ("position")
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX "commits_by_id" ON "commits" ("id");
