-- Takes 0014_api_keys back; never changed once released.

DROP TABLE "api_keys";
DROP TABLE "api_key_uses";
