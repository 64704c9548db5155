-- Generated from the declarations of the records; never changed once released.

CREATE TABLE "users" (
  "id" TEXT NOT NULL,
  "username" TEXT,
  "email" TEXT NOT NULL,
  "email_verified" INTEGER NOT NULL,
  "full_name" TEXT,
  "display_name" TEXT,
  "first_name" TEXT,
  "last_name" TEXT,
  "phone" TEXT,
  "birth_date" TEXT,
  "region_id" TEXT,
  "status" TEXT NOT NULL,
  "status_reason" TEXT,
  "suspended_until" INTEGER,
  "last_login_at" INTEGER,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "deleted_at" INTEGER,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "users_by_region_id" ON "users" ("region_id", "id");
CREATE INDEX "users_by_status" ON "users" ("status", "id");
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_email" ON "users" ("email", "id");
CREATE INDEX "users_by_username" ON "users" ("username", "id");
CREATE INDEX "users_by_last_name" ON "users" ("last_name", "id");
CREATE INDEX "users_by_last_login_at" ON "users" ("last_login_at", "id");
CREATE TABLE "credentials" (
  "user_id" TEXT NOT NULL,
  "password_hash" TEXT NOT NULL,
  "set_at" INTEGER NOT NULL,
  "epoch" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
CREATE TABLE "role_assignments" (
  "user_id" TEXT NOT NULL,
  "role" TEXT NOT NULL,
  "scope" TEXT NOT NULL,
  "valid_from" INTEGER,
  "valid_until" INTEGER,
  "assigned_by" TEXT NOT NULL,
  "assigned_at" INTEGER NOT NULL,
  "reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id", "role", "scope")
) STRICT, WITHOUT ROWID;
CREATE INDEX "role_assignments_by_role" ON "role_assignments" ("role", "user_id", "scope");
CREATE TABLE "regions" (
  "id" TEXT NOT NULL,
  "code" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "area" TEXT,
  "commander_name" TEXT,
  "status" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "regions_by_code" ON "regions" ("code", "id");
CREATE INDEX "regions_by_created_at" ON "regions" ("created_at", "id");
CREATE TABLE "drones" (
  "id" TEXT NOT NULL,
  "code" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "status" TEXT NOT NULL,
  "region_id" TEXT,
  "operator_id" TEXT,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "drones_by_code" ON "drones" ("code", "id");
CREATE INDEX "drones_by_region_id" ON "drones" ("region_id", "id");
CREATE INDEX "drones_by_operator_id" ON "drones" ("operator_id", "id");
CREATE INDEX "drones_by_status" ON "drones" ("status", "id");
CREATE INDEX "drones_by_created_at" ON "drones" ("created_at", "id");
CREATE TABLE "drone_assignments" (
  "drone_id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "assigned_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("drone_id", "user_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "drone_assignments_by_user_id" ON "drone_assignments" ("user_id", "drone_id");
CREATE TABLE "sessions" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "device_name" TEXT,
  "platform" TEXT,
  "ip" TEXT,
  "user_agent" TEXT,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "sessions_by_user_id_created_at" ON "sessions" ("user_id", "created_at", "id");
CREATE INDEX "sessions_by_ended_at" ON "sessions" ("ended_at", "id");
CREATE INDEX "sessions_by_expires_at" ON "sessions" ("expires_at", "id");
CREATE TABLE "session_activity" (
  "session_id" TEXT NOT NULL,
  "last_seen_at" INTEGER NOT NULL,
  "generation" INTEGER NOT NULL,
  "rotated_at" INTEGER NOT NULL,
  "seed" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("session_id")
) STRICT, WITHOUT ROWID;
CREATE TABLE "claims" (
  "kind" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "owner" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("kind", "name")
) STRICT, WITHOUT ROWID;
CREATE INDEX "claims_by_owner" ON "claims" ("owner", "kind", "name");
CREATE TABLE "guards" (
  "name" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
CREATE TABLE "signing_keys" (
  "id" TEXT NOT NULL,
  "secret" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE TABLE "permissions" (
  "name" TEXT NOT NULL,
  "resource" TEXT NOT NULL,
  "action" TEXT NOT NULL,
  "description" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
CREATE INDEX "permissions_by_resource" ON "permissions" ("resource", "name");
CREATE TABLE "roles" (
  "name" TEXT NOT NULL,
  "description" TEXT,
  "is_default" INTEGER NOT NULL,
  "inherits" TEXT NOT NULL,
  "grants" TEXT NOT NULL,
  "max_holders" INTEGER,
  "grantable_by" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
CREATE TABLE "policy" (
  "id" TEXT NOT NULL,
  "content" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE TABLE "policy_given" (
  "part" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "form" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("part", "name")
) STRICT, WITHOUT ROWID;
CREATE TABLE "audit_entries" (
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "action" TEXT NOT NULL,
  "actor" TEXT NOT NULL,
  "target_type" TEXT,
  "target_id" TEXT,
  "payload" TEXT,
  "salt" TEXT,
  "commitment" TEXT NOT NULL,
  "previous" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane", "seq")
) STRICT, WITHOUT ROWID;
CREATE INDEX "audit_entries_by_actor_at" ON "audit_entries" ("actor", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_target_id_at" ON "audit_entries" ("target_id", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_action_at" ON "audit_entries" ("action", "at", "lane", "seq");
CREATE TABLE "audit_heads" (
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "hash" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane")
) STRICT;
CREATE TABLE "commits" (
  "position" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "touched" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("position")
) STRICT;
CREATE INDEX "commits_by_id" ON "commits" ("id", "position");
