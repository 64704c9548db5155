-- Takes 0030_searches back; never changed once released.

DROP TRIGGER "users_search_inserted";
DROP TRIGGER "users_search_updated";
DROP TRIGGER "users_search_deleted";
DROP TRIGGER "regions_search_inserted";
DROP TRIGGER "regions_search_updated";
DROP TRIGGER "regions_search_deleted";
DROP TRIGGER "drones_search_inserted";
DROP TRIGGER "drones_search_updated";
DROP TRIGGER "drones_search_deleted";
DROP TABLE "users_search_rows";
DROP TABLE "users_search";
DROP TABLE "regions_search_rows";
DROP TABLE "regions_search";
DROP TABLE "drones_search_rows";
DROP TABLE "drones_search";
