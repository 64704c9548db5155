-- Imports of users; never changed once released.

CREATE TABLE "imports" (
  "id" TEXT NOT NULL,
  "started_by" TEXT,
  "options" TEXT NOT NULL,
  "hash_parameters" TEXT,
  "status" TEXT NOT NULL,
  "position" INTEGER NOT NULL,
  "reading" TEXT NOT NULL,
  "digest" TEXT NOT NULL,
  "replayed_digest" TEXT,
  "counts" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "imports_by_expires_at" ON "imports" ("expires_at", "id");
CREATE INDEX "imports_by_started_by" ON "imports" ("started_by", "id");
CREATE TABLE "import_failures" (
  "import_id" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "outcome" TEXT NOT NULL,
  "foreign_id" TEXT,
  "user_id" TEXT,
  "problem" TEXT NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("import_id", "number")
) STRICT, WITHOUT ROWID;
CREATE INDEX "import_failures_by_expires_at" ON "import_failures" ("expires_at", "import_id", "number");
CREATE INDEX "import_failures_by_user_id" ON "import_failures" ("user_id", "import_id", "number");
CREATE TABLE "import_pieces" (
  "import_id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "data" TEXT NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("import_id", "at")
) STRICT, WITHOUT ROWID;
CREATE INDEX "import_pieces_by_expires_at" ON "import_pieces" ("expires_at", "import_id", "at");
