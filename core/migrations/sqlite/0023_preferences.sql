-- What users like; never changed once released.

CREATE TABLE "preferences" (
  "user_id" TEXT NOT NULL,
  "theme" TEXT NOT NULL,
  "language" TEXT,
  "time_zone" TEXT,
  "email_notifications" INTEGER NOT NULL,
  "sms_notifications" INTEGER NOT NULL,
  "data" TEXT NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
