-- Assets of the kinds that the policy declares; never changed once released.

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
CREATE INDEX "assets_by_kind_code" ON "assets" ("kind", "code", "id");
CREATE INDEX "assets_by_kind_region_id_created_at" ON "assets" ("kind", "region_id", "created_at", "id");
CREATE INDEX "assets_by_kind_operator_id_created_at" ON "assets" ("kind", "operator_id", "created_at", "id");
CREATE INDEX "assets_by_kind_status_created_at" ON "assets" ("kind", "status", "created_at", "id");
CREATE INDEX "assets_by_kind_created_at" ON "assets" ("kind", "created_at", "id");
CREATE INDEX "assets_by_region_id" ON "assets" ("region_id", "id");
CREATE INDEX "assets_by_operator_id" ON "assets" ("operator_id", "id");
CREATE TABLE "asset_assignments" (
  "asset_id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "assigned_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("asset_id", "user_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "asset_assignments_by_user_id" ON "asset_assignments" ("user_id", "asset_id");

CREATE TABLE "asset_kinds" (
  "name" TEXT NOT NULL,
  "models" TEXT NOT NULL,
  "statuses" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
