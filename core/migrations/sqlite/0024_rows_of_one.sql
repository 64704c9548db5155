-- A user's sessions that last are found without those whose time is over, notices by what they are about, invitations by what became
-- of them; never changed once released.

DROP INDEX "sessions_by_user_id_ended_at_created_at";
CREATE INDEX "sessions_by_user_id_ended_at_expires_at" ON "sessions" ("user_id", "ended_at", "expires_at", "id");
CREATE INDEX "notices_by_kind" ON "notices" ("kind", "id");
CREATE INDEX "invitations_by_end_reason_created_at" ON "invitations" ("end_reason", "created_at", "id");
