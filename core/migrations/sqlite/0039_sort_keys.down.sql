-- Takes 0039_sort_keys back; never changed once released. Texts that are searched stay: what was found by them before still is.

DELETE FROM rolekeep_schema WHERE version = 0;
ALTER TABLE "users" RENAME TO "users_to_undo";
DROP TRIGGER "users_search_inserted";
DROP TRIGGER "users_search_updated";
DROP TRIGGER "users_search_deleted";
DROP INDEX "users_by_created_at";
DROP INDEX "users_by_region_id_created_at";
DROP INDEX "users_by_status_created_at";
DROP INDEX "users_by_status_email_verified_created_at";
DROP INDEX "users_by_email_key";
DROP INDEX "users_by_username_key";
DROP INDEX "users_by_last_name_key";
DROP INDEX "users_by_deleted_at";
CREATE TABLE "users" (
  "id" TEXT NOT NULL,
  "username" TEXT,
  "email" TEXT,
  "email_verified" INTEGER NOT NULL,
  "full_name" TEXT,
  "display_name" TEXT,
  "first_name" TEXT,
  "last_name" TEXT,
  "phone" TEXT,
  "birth_date" TEXT,
  "bio" TEXT,
  "location" TEXT,
  "avatar_url" TEXT,
  "website" TEXT,
  "visibility" TEXT NOT NULL,
  "attributes" TEXT,
  "region_id" TEXT,
  "status" TEXT NOT NULL,
  "status_reason" TEXT,
  "suspended_until" INTEGER,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "deleted_at" INTEGER,
  "status_before" TEXT,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "users"
  SELECT "id", "username", "email", "email_verified", "full_name", "display_name", "first_name", "last_name", "phone", "birth_date",
    "bio", "location", "avatar_url", "website", "visibility", "attributes", "region_id", "status", "status_reason", "suspended_until",
    "created_at", "updated_at", "deleted_at", "status_before", "version", "search_text"
  FROM "users_to_undo";
DROP TABLE "users_to_undo";
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_region_id_created_at" ON "users" ("region_id", "created_at", "id");
CREATE INDEX "users_by_status_created_at" ON "users" ("status", "created_at", "id");
CREATE INDEX "users_by_status_email_verified_created_at" ON "users" ("status", "email_verified", "created_at", "id");
CREATE INDEX "users_by_email" ON "users" ("email", "id");
CREATE INDEX "users_by_username" ON "users" ("username", "id");
CREATE INDEX "users_by_last_name" ON "users" ("last_name", "id");
CREATE INDEX "users_by_deleted_at" ON "users" ("deleted_at", "id");
CREATE TRIGGER "users_search_inserted" AFTER INSERT ON "users" BEGIN
  INSERT INTO "users_search_rows" ("id") VALUES (NEW."id");
  INSERT INTO "users_search" ("rowid", "text") VALUES (last_insert_rowid(), NEW."search_text");
END;
CREATE TRIGGER "users_search_updated" AFTER UPDATE OF "search_text" ON "users" WHEN OLD."search_text" <> NEW."search_text" BEGIN
  INSERT INTO "users_search" ("users_search", "rowid", "text") SELECT 'delete', "n", OLD."search_text" FROM "users_search_rows" WHERE "id" = OLD."id";
  INSERT INTO "users_search" ("rowid", "text") SELECT "n", NEW."search_text" FROM "users_search_rows" WHERE "id" = NEW."id";
END;
CREATE TRIGGER "users_search_deleted" AFTER DELETE ON "users" BEGIN
  INSERT INTO "users_search" ("users_search", "rowid", "text") SELECT 'delete', "n", OLD."search_text" FROM "users_search_rows" WHERE "id" = OLD."id";
  DELETE FROM "users_search_rows" WHERE "id" = OLD."id";
END;
