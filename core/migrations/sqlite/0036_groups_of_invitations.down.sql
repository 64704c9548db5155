-- Takes 0036_groups_of_invitations back; never changed once released.

ALTER TABLE "invitations" RENAME TO "invitations_to_undo";
DROP INDEX "invitations_by_created_at";
DROP INDEX "invitations_by_end_reason_created_at";
DROP INDEX "invitations_by_ended_at";
DROP INDEX "invitations_by_expires_at";
DROP INDEX "invitations_by_accepted_by";
CREATE TABLE "invitations" (
  "id" TEXT NOT NULL,
  "email" TEXT NOT NULL,
  "roles" TEXT NOT NULL,
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
  SELECT "id", "email", "roles", "invited_by", "created_at", "expires_at", "ended_at", "end_reason", "accepted_by", "version"
  FROM "invitations_to_undo";
DROP TABLE "invitations_to_undo";
CREATE INDEX "invitations_by_created_at" ON "invitations" ("created_at", "id");
CREATE INDEX "invitations_by_ended_at" ON "invitations" ("ended_at", "id");
CREATE INDEX "invitations_by_expires_at" ON "invitations" ("expires_at", "id");
CREATE INDEX "invitations_by_end_reason_created_at" ON "invitations" ("end_reason", "created_at", "id");
CREATE INDEX "invitations_by_accepted_by" ON "invitations" ("accepted_by", "id");
