"""Writes what is asked across the language border, with a reference's answers: workload.py OUT."""

import json
import random
import sys

ROLES, PERMISSIONS, USERS, DOCUMENTS, QUESTIONS = 3, 10, 20, 200, 2_000
STATUSES = ["draft", "review", "public"]


def main() -> None:
    made = random.Random(7)
    actions = [f"act{at}" for at in range(PERMISSIONS)]
    # Of each role, the status that a document of one's own must have for each action.
    roles = {f"role{at}": {action: made.choice(STATUSES) for action in made.sample(actions, 7)} for at in range(ROLES)}
    users = {f"user{at}": made.sample(list(roles), 2) for at in range(USERS)}
    documents = [
        {
            "type": "document", "owner": made.choice(list(users)), "tenant": f"tenant{made.randrange(5)}",
            "status": made.choice(STATUSES), "title": f"On engines, part {at}", "size": made.randrange(10_000),
        }
        for at in range(DOCUMENTS)
    ]

    def answer(user: str, action: str, document: dict[str, object]) -> bool:
        wanted = [roles[role].get(action) for role in users[user]]
        return document["owner"] == user and document["status"] in wanted

    questions = []
    for at in range(QUESTIONS):
        action, document = made.choice(actions), made.randrange(DOCUMENTS)
        # Half of them about one's own: else almost all would be denied.
        user = documents[document]["owner"] if at % 2 else made.choice(list(users))
        questions.append([user, action, document, answer(user, action, documents[document])])
    lines = [
        "[types.user]", 'attributes = { id = "string" }', "[types.document]",
        'attributes = { owner = "string", tenant = "string", status = "string", title = "string", size = "int" }',
        "[permissions]", '"document:list" = "See that there are documents"',
        *(f'"document:{action}" = "An action"' for action in actions),
    ]
    for role, grants in roles.items():
        lines += [f"[roles.{role}]", "allow = [", '  "document:list",']
        for action, status in grants.items():
            when = f"resource.owner == principal.id and resource.status == \"{status}\""
            lines.append(f"  {{ permission = \"document:{action}\", when = '{when}' }},")
        lines.append("]")
    known = {"policy": "\n".join(lines), "actions": actions, "roles": roles, "users": users}
    with open(sys.argv[1], "w") as out:
        json.dump({**known, "documents": documents, "questions": questions}, out)


if __name__ == "__main__":
    main()
