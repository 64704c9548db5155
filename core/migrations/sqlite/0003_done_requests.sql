-- Requests that came with a key, so that none is done twice; never changed once released.

CREATE TABLE "done_requests" (
  "asker" TEXT NOT NULL,
  "operation" TEXT NOT NULL,
  "idempotency_key" TEXT NOT NULL,
  "input" TEXT NOT NULL,
  "change_id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("asker", "operation", "idempotency_key")
) STRICT, WITHOUT ROWID;
CREATE INDEX "done_requests_by_at" ON "done_requests" ("at", "asker", "operation", "idempotency_key");
