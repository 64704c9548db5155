-- How often something was tried; never changed once released.

CREATE TABLE "limits" (
  "lane" TEXT NOT NULL,
  "value" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane")
) STRICT, WITHOUT ROWID;
CREATE INDEX "limits_by_expires_at" ON "limits" ("expires_at", "lane");
