-- Deleted users can be restored, and are purged in time; never changed once released.

ALTER TABLE "users" RENAME TO "users_before_restoring";
DROP INDEX "users_by_region_id_created_at";
DROP INDEX "users_by_status_created_at";
DROP INDEX "users_by_created_at";
DROP INDEX "users_by_email";
DROP INDEX "users_by_username";
DROP INDEX "users_by_last_name";
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
    "region_id", "status", "status_reason", "suspended_until", "created_at", "updated_at", "deleted_at", NULL, "version", "search_text"
  FROM "users_before_restoring";
DROP TABLE "users_before_restoring";
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_region_id_created_at" ON "users" ("region_id", "created_at", "id");
CREATE INDEX "users_by_status_created_at" ON "users" ("status", "created_at", "id");
CREATE INDEX "users_by_email" ON "users" ("email", "id");
CREATE INDEX "users_by_username" ON "users" ("username", "id");
CREATE INDEX "users_by_last_name" ON "users" ("last_name", "id");
CREATE INDEX "users_by_deleted_at" ON "users" ("deleted_at", "id");
-- When they were last there is not known of those who were deleted before.
INSERT INTO "user_activity" ("user_id", "last_login_at", "version")
  SELECT "id", 0, 1 FROM "users" WHERE "status" = 'deleted' AND "id" NOT IN (SELECT "user_id" FROM "user_activity");
CREATE TABLE "store_secrets" (
  "name" TEXT NOT NULL,
  "secret" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
