-- Users are counted by status and by whether their address was proved without reading their rows; never changed once released.

CREATE INDEX "users_by_status_email_verified_created_at" ON "users" ("status", "email_verified", "created_at", "id");
