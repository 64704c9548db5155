-- Searches by an index of trigrams; never changed once released.

CREATE TABLE "users_search_rows" (
  "n" INTEGER PRIMARY KEY,
  "id" TEXT NOT NULL,
  UNIQUE ("id")
) STRICT;
CREATE VIRTUAL TABLE "users_search" USING fts5 ("text", content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');
INSERT INTO "users_search" ("users_search", "rank") VALUES ('secure-delete', 1);
INSERT INTO "users_search_rows" ("id") SELECT "id" FROM "users" ORDER BY "id";
INSERT INTO "users_search" ("rowid", "text")
  SELECT "n", "search_text" FROM "users_search_rows" JOIN "users" USING ("id") ORDER BY "n";
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

CREATE TABLE "regions_search_rows" (
  "n" INTEGER PRIMARY KEY,
  "id" TEXT NOT NULL,
  UNIQUE ("id")
) STRICT;
CREATE VIRTUAL TABLE "regions_search" USING fts5 ("text", content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');
INSERT INTO "regions_search" ("regions_search", "rank") VALUES ('secure-delete', 1);
INSERT INTO "regions_search_rows" ("id") SELECT "id" FROM "regions" ORDER BY "id";
INSERT INTO "regions_search" ("rowid", "text")
  SELECT "n", "search_text" FROM "regions_search_rows" JOIN "regions" USING ("id") ORDER BY "n";
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

CREATE TABLE "drones_search_rows" (
  "n" INTEGER PRIMARY KEY,
  "id" TEXT NOT NULL,
  UNIQUE ("id")
) STRICT;
CREATE VIRTUAL TABLE "drones_search" USING fts5 ("text", content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');
INSERT INTO "drones_search" ("drones_search", "rank") VALUES ('secure-delete', 1);
INSERT INTO "drones_search_rows" ("id") SELECT "id" FROM "drones" ORDER BY "id";
INSERT INTO "drones_search" ("rowid", "text")
  SELECT "n", "search_text" FROM "drones_search_rows" JOIN "drones" USING ("id") ORDER BY "n";
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
