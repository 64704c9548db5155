-- Takes 0033_groups back; never changed once released.

DROP TABLE "groups";
DROP TABLE "group_members";
DROP TABLE "group_roles";
