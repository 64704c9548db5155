-- Who deletes a thing asks who holds a role on it; never changed once released.

CREATE INDEX "role_assignments_by_scope" ON "role_assignments" ("scope", "user_id", "role");
