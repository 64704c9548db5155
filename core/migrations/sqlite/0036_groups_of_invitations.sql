-- Groups that invitations bring; never changed once released.

ALTER TABLE "invitations" RENAME TO "invitations_before_groups";
DROP INDEX "invitations_by_created_at";
DROP INDEX "invitations_by_end_reason_created_at";
DROP INDEX "invitations_by_ended_at";
DROP INDEX "invitations_by_expires_at";
DROP INDEX "invitations_by_accepted_by";
CREATE TABLE "invitations" (
  "id" TEXT NOT NULL,
  "email" TEXT NOT NULL,
  "roles" TEXT NOT NULL,
  "groups" TEXT,
  "invited_by" TEXT,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "accepted_by" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "invitations"
  SELECT "id", "email", "roles", NULL, "invited_by", "created_at", "expires_at", "ended_at", "end_reason", "accepted_by", "version"
  FROM "invitations_before_groups";
DROP TABLE "invitations_before_groups";
CREATE INDEX "invitations_by_created_at" ON "invitations" ("created_at", "id");
CREATE INDEX "invitations_by_end_reason_created_at" ON "invitations" ("end_reason", "created_at", "id");
CREATE INDEX "invitations_by_ended_at" ON "invitations" ("ended_at", "id");
CREATE INDEX "invitations_by_expires_at" ON "invitations" ("expires_at", "id");
CREATE INDEX "invitations_by_accepted_by" ON "invitations" ("accepted_by", "id");
