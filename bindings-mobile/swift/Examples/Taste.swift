import Rolekeep

@main
struct Taste {
    static func main() async throws {
        let um = try await UserManagement.open(config: Config(roles: ["editor": ["document:edit"]], permissions: ["document:delete"]))
        let ada = try await um.system().users.create(input: CreateUser(email: "ada@example.org", roles: ["editor"]))
        let me = try await um.actingAs(userId: ada.id)
        print(try me.can(permission: "document:edit"), try me.can(permission: "document:delete"))
        print(try me.explain(permission: "document:delete").text)
    }
}
