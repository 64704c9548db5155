-- Takes 0017_invitations back; never changed once released.

DROP TABLE "invitations";
