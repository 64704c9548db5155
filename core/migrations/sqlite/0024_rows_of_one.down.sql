-- Takes 0024_rows_of_one back; never changed once released.

DROP INDEX "sessions_by_user_id_ended_at_expires_at";
DROP INDEX "notices_by_kind";
DROP INDEX "invitations_by_end_reason_created_at";
CREATE INDEX "sessions_by_user_id_ended_at_created_at" ON "sessions" ("user_id", "ended_at", "created_at", "id");
