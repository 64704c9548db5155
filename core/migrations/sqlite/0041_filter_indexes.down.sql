-- Takes 0041_filter_indexes back; never changed once released.

DROP INDEX "invitations_by_invited_by_created_at";
DROP INDEX "assets_by_kind_model_created_at";
DROP INDEX "drones_by_model_created_at";
DROP INDEX "users_by_email_verified_created_at";
DROP INDEX "users_by_region_id_status";
