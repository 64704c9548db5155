-- Takes 0035_attributes_of_fleets back; never changed once released.

ALTER TABLE "regions" RENAME TO "regions_to_undo";
DROP INDEX "regions_by_code";
DROP INDEX "regions_by_created_at";
DROP TRIGGER "regions_search_inserted";
DROP TRIGGER "regions_search_updated";
DROP TRIGGER "regions_search_deleted";
CREATE TABLE "regions" (
  "id" TEXT NOT NULL,
  "code" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "area" TEXT,
  "commander_name" TEXT,
  "status" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "regions"
  SELECT "id", "code", "name", "area", "commander_name", "status", "created_at", "updated_at", "version", "search_text"
  FROM "regions_to_undo";
DROP TABLE "regions_to_undo";
CREATE INDEX "regions_by_code" ON "regions" ("code", "id");
CREATE INDEX "regions_by_created_at" ON "regions" ("created_at", "id");
CREATE TRIGGER "regions_search_inserted" AFTER INSERT ON "regions" BEGIN
  INSERT INTO "regions_search_rows" ("id") VALUES (NEW."id");
  INSERT INTO "regions_search" ("rowid", "text") VALUES (last_insert_rowid(), NEW."search_text");
END;
CREATE TRIGGER "regions_search_updated" AFTER UPDATE OF "search_text" ON "regions" WHEN OLD."search_text" <> NEW."search_text" BEGIN
  INSERT INTO "regions_search" ("regions_search", "rowid", "text") SELECT 'delete', "n", OLD."search_text" FROM "regions_search_rows" WHERE "id" = OLD."id";
  INSERT INTO "regions_search" ("rowid", "text") SELECT "n", NEW."search_text" FROM "regions_search_rows" WHERE "id" = NEW."id";
END;
CREATE TRIGGER "regions_search_deleted" AFTER DELETE ON "regions" BEGIN
  INSERT INTO "regions_search" ("regions_search", "rowid", "text") SELECT 'delete', "n", OLD."search_text" FROM "regions_search_rows" WHERE "id" = OLD."id";
  DELETE FROM "regions_search_rows" WHERE "id" = OLD."id";
END;
ALTER TABLE "drones" RENAME TO "drones_to_undo";
DROP INDEX "drones_by_code";
DROP INDEX "drones_by_region_id_created_at";
DROP INDEX "drones_by_operator_id_created_at";
DROP INDEX "drones_by_status_created_at";
DROP INDEX "drones_by_created_at";
DROP TRIGGER "drones_search_inserted";
DROP TRIGGER "drones_search_updated";
DROP TRIGGER "drones_search_deleted";
CREATE TABLE "drones" (
  "id" TEXT NOT NULL,
  "code" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "status" TEXT NOT NULL,
  "region_id" TEXT,
  "operator_id" TEXT,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  "search_text" TEXT NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "drones"
  SELECT "id", "code", "model", "status", "region_id", "operator_id", "created_at", "updated_at", "version", "search_text"
  FROM "drones_to_undo";
DROP TABLE "drones_to_undo";
CREATE INDEX "drones_by_code" ON "drones" ("code", "id");
CREATE INDEX "drones_by_created_at" ON "drones" ("created_at", "id");
CREATE INDEX "drones_by_region_id_created_at" ON "drones" ("region_id", "created_at", "id");
CREATE INDEX "drones_by_operator_id_created_at" ON "drones" ("operator_id", "created_at", "id");
CREATE INDEX "drones_by_status_created_at" ON "drones" ("status", "created_at", "id");
CREATE TRIGGER "drones_search_inserted" AFTER INSERT ON "drones" BEGIN
  INSERT INTO "drones_search_rows" ("id") VALUES (NEW."id");
  INSERT INTO "drones_search" ("rowid", "text") VALUES (last_insert_rowid(), NEW."search_text");
END;
CREATE TRIGGER "drones_search_updated" AFTER UPDATE OF "search_text" ON "drones" WHEN OLD."search_text" <> NEW."search_text" BEGIN
  INSERT INTO "drones_search" ("drones_search", "rowid", "text") SELECT 'delete', "n", OLD."search_text" FROM "drones_search_rows" WHERE "id" = OLD."id";
  INSERT INTO "drones_search" ("rowid", "text") SELECT "n", NEW."search_text" FROM "drones_search_rows" WHERE "id" = NEW."id";
END;
CREATE TRIGGER "drones_search_deleted" AFTER DELETE ON "drones" BEGIN
  INSERT INTO "drones_search" ("drones_search", "rowid", "text") SELECT 'delete', "n", OLD."search_text" FROM "drones_search_rows" WHERE "id" = OLD."id";
  DELETE FROM "drones_search_rows" WHERE "id" = OLD."id";
END;
ALTER TABLE "assets" RENAME TO "assets_to_undo";
DROP INDEX "assets_by_kind_code";
DROP INDEX "assets_by_kind_region_id_created_at";
DROP INDEX "assets_by_kind_operator_id_created_at";
DROP INDEX "assets_by_kind_status_created_at";
DROP INDEX "assets_by_kind_created_at";
DROP INDEX "assets_by_region_id";
DROP INDEX "assets_by_operator_id";
CREATE TABLE "assets" (
  "id" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "code" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "status" TEXT NOT NULL,
  "region_id" TEXT,
  "operator_id" TEXT,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "assets"
  SELECT "id", "kind", "code", "model", "status", "region_id", "operator_id", "created_at", "updated_at", "version"
  FROM "assets_to_undo";
DROP TABLE "assets_to_undo";
CREATE INDEX "assets_by_kind_code" ON "assets" ("kind", "code", "id");
CREATE INDEX "assets_by_kind_region_id_created_at" ON "assets" ("kind", "region_id", "created_at", "id");
CREATE INDEX "assets_by_kind_operator_id_created_at" ON "assets" ("kind", "operator_id", "created_at", "id");
CREATE INDEX "assets_by_kind_status_created_at" ON "assets" ("kind", "status", "created_at", "id");
CREATE INDEX "assets_by_kind_created_at" ON "assets" ("kind", "created_at", "id");
CREATE INDEX "assets_by_region_id" ON "assets" ("region_id", "id");
CREATE INDEX "assets_by_operator_id" ON "assets" ("operator_id", "id");
