-- What lists filter by, and what regions count; never changed once released.

CREATE INDEX "users_by_region_id_status" ON "users" ("region_id", "status", "id");
CREATE INDEX "users_by_email_verified_created_at" ON "users" ("email_verified", "created_at", "id");
CREATE INDEX "drones_by_model_created_at" ON "drones" ("model", "created_at", "id");
CREATE INDEX "assets_by_kind_model_created_at" ON "assets" ("kind", "model", "created_at", "id");
CREATE INDEX "invitations_by_invited_by_created_at" ON "invitations" ("invited_by", "created_at", "id");
