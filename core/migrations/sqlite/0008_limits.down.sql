-- Takes 0008_limits back; never changed once released.

DROP TABLE "limits";
