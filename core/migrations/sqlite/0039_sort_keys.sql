-- What users are sorted by, without case, marks and width, and searches that find Han and kana within words; never changed once released.
-- SQL does not fold texts: the library does, behind this script, or when the store is next opened where it was run by hand.

ALTER TABLE "users" RENAME TO "users_before_sort_keys";
DROP TRIGGER "users_search_inserted";
DROP TRIGGER "users_search_updated";
DROP TRIGGER "users_search_deleted";
DROP INDEX "users_by_created_at";
DROP INDEX "users_by_region_id_created_at";
DROP INDEX "users_by_status_created_at";
DROP INDEX "users_by_status_email_verified_created_at";
DROP INDEX "users_by_email";
DROP INDEX "users_by_username";
DROP INDEX "users_by_last_name";
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
  "email_key" TEXT NOT NULL,
  "username_key" TEXT NOT NULL,
  "last_name_key" TEXT NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "users"
  SELECT "id", "username", "email", "email_verified", "full_name", "display_name", "first_name", "last_name", "phone", "birth_date",
    "bio", "location", "avatar_url", "website", "visibility", "attributes", "region_id", "status", "status_reason", "suspended_until",
    "created_at", "updated_at", "deleted_at", "status_before", "version", '', '', '', "search_text"
  FROM "users_before_sort_keys";
DROP TABLE "users_before_sort_keys";
CREATE INDEX "users_by_created_at" ON "users" ("created_at", "id");
CREATE INDEX "users_by_region_id_created_at" ON "users" ("region_id", "created_at", "id");
CREATE INDEX "users_by_status_created_at" ON "users" ("status", "created_at", "id");
CREATE INDEX "users_by_status_email_verified_created_at" ON "users" ("status", "email_verified", "created_at", "id");
CREATE INDEX "users_by_email_key" ON "users" ("email_key", "id");
CREATE INDEX "users_by_username_key" ON "users" ("username_key", "id");
CREATE INDEX "users_by_last_name_key" ON "users" ("last_name_key", "id");
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
INSERT OR IGNORE INTO rolekeep_schema (version, name)
  SELECT 0, 'texts to be folded' WHERE EXISTS (SELECT 1 FROM "users") OR EXISTS (SELECT 1 FROM "regions") OR EXISTS (SELECT 1 FROM "drones");
