-- Takes 0037_scopes back; never changed once released.

DROP TABLE "scopes";
