-- Profiles and which other users see them, and attributes that no column holds; never changed once released.

ALTER TABLE "users" RENAME TO "users_before_profiles";
DROP INDEX "users_by_region_id_created_at";
DROP INDEX "users_by_status_created_at";
DROP INDEX "users_by_status_email_verified_created_at";
DROP INDEX "users_by_created_at";
DROP INDEX "users_by_email";
DROP INDEX "users_by_username";
DROP INDEX "users_by_last_name";
DROP INDEX "users_by_deleted_at";
CREATE TABLE "users" (
  "id" TEXT NOT NULL,
  "username" TEXT,
  "email" TEXT,
  "email_verified" INTEGER NOT NULL,
  "full_name" TEXT,
  "display_name" TEXT,
  "first_name" TEXT,
  "last_name" TEXT,
  "phone" TEXT,
  "birth_date" TEXT,
  "bio" TEXT,
  "location" TEXT,
  "avatar_url" TEXT,
  "website" TEXT,
  "visibility" TEXT NOT NULL,
  "attributes" TEXT,
  "region_id" TEXT,
  "status" TEXT NOT NULL,
  "status_reason" TEXT,
  "suspended_until" INTEGER,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "deleted_at" INTEGER,
  "status_before" TEXT,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "users"
  SELECT "id", "username", "email", "email_verified", "full_name", "display_name", "first_name", "last_name", "phone", "birth_date",
    NULL, NULL, NULL, NULL, 'public', NULL, "region_id", "status", "status_reason", "suspended_until", "created_at", "updated_at",
    "deleted_at", "status_before", "version", "search_text"
  FROM "users_before_profiles";
DROP TABLE "users_before_profiles";
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_region_id_created_at" ON "users" ("region_id", "created_at", "id");
CREATE INDEX "users_by_status_created_at" ON "users" ("status", "created_at", "id");
CREATE INDEX "users_by_status_email_verified_created_at" ON "users" ("status", "email_verified", "created_at", "id");
CREATE INDEX "users_by_email" ON "users" ("email", "id");
CREATE INDEX "users_by_username" ON "users" ("username", "id");
CREATE INDEX "users_by_last_name" ON "users" ("last_name", "id");
CREATE INDEX "users_by_deleted_at" ON "users" ("deleted_at", "id");
