-- Takes 0034_audit_times back; never changed once released.

DROP INDEX "audit_entries_by_at";
