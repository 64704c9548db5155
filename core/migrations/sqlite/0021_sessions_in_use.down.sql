-- Takes 0021_sessions_in_use back; never changed once released.

DROP INDEX "sessions_by_user_id_ended_at_created_at";
CREATE INDEX "sessions_by_user_id_created_at" ON "sessions" ("user_id", "created_at", "id");
