-- Takes 0003_done_requests back; never changed once released.

DROP TABLE "done_requests";
