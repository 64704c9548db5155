-- Second factors that accounts had before; never changed once released.

CREATE TABLE "former_factors" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "name" TEXT,
  "added_at" INTEGER NOT NULL,
  "ended_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "former_factors_by_user_id_ended_at" ON "former_factors" ("user_id", "ended_at", "id");
