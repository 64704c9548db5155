-- Takes 0026_user_statistics back; never changed once released.

DROP INDEX "users_by_status_email_verified_created_at";
