-- Takes 0031_imports back; never changed once released.

DROP TABLE "imports";
DROP TABLE "import_failures";
DROP TABLE "import_pieces";
