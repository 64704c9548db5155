-- Takes 0023_preferences back; never changed once released.

DROP TABLE "preferences";
