-- Takes 0018_registrations back; never changed once released.

DROP TABLE "registrations";
