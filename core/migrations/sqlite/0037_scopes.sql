-- Scopes of nested kinds, and where each lies; never changed once released.

CREATE TABLE "scopes" (
  "scope" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "parent" TEXT,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("scope")
) STRICT, WITHOUT ROWID;
CREATE INDEX "scopes_by_kind_created_at" ON "scopes" ("kind", "created_at", "scope");
CREATE INDEX "scopes_by_parent_created_at" ON "scopes" ("parent", "created_at", "scope");
CREATE INDEX "scopes_by_created_at" ON "scopes" ("created_at", "scope");
