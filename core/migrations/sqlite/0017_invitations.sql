-- Invitations; never changed once released.

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
CREATE INDEX "invitations_by_created_at" ON "invitations" ("created_at", "id");
CREATE INDEX "invitations_by_ended_at" ON "invitations" ("ended_at", "id");
CREATE INDEX "invitations_by_expires_at" ON "invitations" ("expires_at", "id");
