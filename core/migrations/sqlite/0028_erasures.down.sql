-- Takes 0028_erasures back; never changed once released.

DROP INDEX "invitations_by_accepted_by";
DROP TABLE "erasures";
