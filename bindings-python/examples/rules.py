from pathlib import Path
from rolekeep import Rules

rules = Rules(policy_toml=Path("docs/examples/documents.toml").read_text())
ada = rules.principal("ada", roles=["author"], attributes={"department": "maps"})
document = {"type": "document", "owner": "bob", "department": "maps"}
print(ada.can("document:edit", document | {"owner": "ada"}), ada.can("document:edit", document))
print(ada.explain("document:edit", document).text)
