-- Takes 0020_former_factors back; never changed once released.

DROP TABLE "former_factors";
