import rolekeep

with rolekeep.open(roles={"editor": ["document:edit"]}, permissions=["document:delete"]) as um:
    ada = um.system.users.create("ada@example.org", roles=["editor"])
    me = um.acting_as(ada.id)
    print(me.can("document:edit"), me.can("document:delete"))
    print(me.explain("document:delete").text)
