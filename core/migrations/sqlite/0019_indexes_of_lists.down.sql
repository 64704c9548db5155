-- Takes 0019_indexes_of_lists back; never changed once released.

DROP INDEX "users_by_region_id_created_at";
DROP INDEX "users_by_status_created_at";
DROP INDEX "drones_by_region_id_created_at";
DROP INDEX "drones_by_operator_id_created_at";
DROP INDEX "drones_by_status_created_at";
CREATE INDEX "drones_by_region_id" ON "drones" ("region_id", "id");
CREATE INDEX "drones_by_operator_id" ON "drones" ("operator_id", "id");
CREATE INDEX "drones_by_status" ON "drones" ("status", "id");
CREATE INDEX "users_by_region_id" ON "users" ("region_id", "id");
CREATE INDEX "users_by_status" ON "users" ("status", "id");
