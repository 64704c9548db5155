-- Accounts may stand for somebody at another issuer, and then need no e-mail address; never changed once released.

ALTER TABLE "users" RENAME TO "users_with_email";
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
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "users" SELECT * FROM "users_with_email";
DROP TABLE "users_with_email";
CREATE INDEX "users_by_region_id" ON "users" ("region_id", "id");
CREATE INDEX "users_by_status" ON "users" ("status", "id");
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_email" ON "users" ("email", "id");
CREATE INDEX "users_by_username" ON "users" ("username", "id");
CREATE INDEX "users_by_last_name" ON "users" ("last_name", "id");
CREATE TABLE "identities" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "issuer" TEXT NOT NULL,
  "subject" TEXT NOT NULL,
  "linked_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "identities_by_user_id" ON "identities" ("user_id", "id");
