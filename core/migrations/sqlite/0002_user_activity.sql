-- What a sign-in moves stands beside the account, whose version stays; never changed once released.

CREATE TABLE "user_activity" (
  "user_id" TEXT NOT NULL,
  "last_login_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "user_activity_by_last_login_at" ON "user_activity" ("last_login_at", "user_id");
INSERT INTO "user_activity" SELECT "id", coalesce("last_login_at", 0), 1 FROM "users" WHERE "status" <> 'deleted';
DROP INDEX "users_by_last_login_at";
ALTER TABLE "users" DROP COLUMN "last_login_at";
