-- Groups of users and their roles; never changed once released.

CREATE TABLE "groups" (
  "id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "description" TEXT,
  "member_count" INTEGER NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "groups_by_created_at" ON "groups" ("created_at", "id");

CREATE TABLE "group_members" (
  "group_id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "added_by" TEXT NOT NULL,
  "added_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("group_id", "user_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "group_members_by_user_id" ON "group_members" ("user_id", "group_id");

CREATE TABLE "group_roles" (
  "group_id" TEXT NOT NULL,
  "role" TEXT NOT NULL,
  "scope" TEXT NOT NULL,
  "valid_from" INTEGER,
  "valid_until" INTEGER,
  "assigned_by" TEXT NOT NULL,
  "assigned_at" INTEGER NOT NULL,
  "reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("group_id", "role", "scope")
) STRICT, WITHOUT ROWID;
CREATE INDEX "group_roles_by_role" ON "group_roles" ("role", "group_id", "scope");
CREATE INDEX "group_roles_by_scope" ON "group_roles" ("scope", "group_id", "role");
