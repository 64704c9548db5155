-- Persons whom the audit log is being made to forget, and invitations by who accepted them; never changed once released.

CREATE TABLE "erasures" (
  "user_id" TEXT NOT NULL,
  "begun_at" INTEGER NOT NULL,
  "known" TEXT,
  "known_before" INTEGER NOT NULL,
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "payloads" INTEGER NOT NULL,
  "origins" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "invitations_by_accepted_by" ON "invitations" ("accepted_by", "id");
