-- Accounts whose addresses are to be proved first; never changed once released.

CREATE TABLE "registrations" (
  "id" TEXT NOT NULL,
  "email" TEXT NOT NULL,
  "names" TEXT NOT NULL,
  "password_hash" TEXT NOT NULL,
  "is_short" INTEGER NOT NULL,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "registrations_by_expires_at" ON "registrations" ("expires_at", "id");
