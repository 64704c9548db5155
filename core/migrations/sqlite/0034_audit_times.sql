-- The audit log is listed by time, as it may have several chains; never changed once released.
CREATE INDEX "audit_entries_by_at" ON "audit_entries" ("at", "lane", "seq");
