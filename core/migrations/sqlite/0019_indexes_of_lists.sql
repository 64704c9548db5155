-- Lists of a region, an operator or a status in the order of creation; never changed once released.

DROP INDEX "users_by_region_id";
DROP INDEX "users_by_status";
CREATE INDEX "users_by_region_id_created_at" ON "users" ("region_id", "created_at", "id");
CREATE INDEX "users_by_status_created_at" ON "users" ("status", "created_at", "id");
DROP INDEX "drones_by_region_id";
DROP INDEX "drones_by_operator_id";
DROP INDEX "drones_by_status";
CREATE INDEX "drones_by_region_id_created_at" ON "drones" ("region_id", "created_at", "id");
CREATE INDEX "drones_by_operator_id_created_at" ON "drones" ("operator_id", "created_at", "id");
CREATE INDEX "drones_by_status_created_at" ON "drones" ("status", "created_at", "id");
