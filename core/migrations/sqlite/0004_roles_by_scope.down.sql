-- Takes 0004_roles_by_scope back; never changed once released.

DROP INDEX "role_assignments_by_scope";
