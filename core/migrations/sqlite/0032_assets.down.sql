-- Takes 0032_assets back; never changed once released.

DROP TABLE "assets";
DROP TABLE "asset_assignments";
DROP TABLE "asset_kinds";
