-- A user's sessions that have not ended are found without those that have; never changed once released.
DROP INDEX "sessions_by_user_id_created_at";
CREATE INDEX "sessions_by_user_id_ended_at_created_at" ON "sessions" ("user_id", "ended_at", "created_at", "id");
