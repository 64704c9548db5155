import dev.rolekeep.RolekeepException;
import dev.rolekeep.User;
import dev.rolekeep.blocking.BlockingCaller;
import dev.rolekeep.blocking.CreateUserBuilder;
import dev.rolekeep.blocking.RolekeepBlocking;
import dev.rolekeep.blocking.ConfigBuilder;
import java.util.List;
import java.util.Map;

class JavaApp {
    public static void main(String[] arguments) {
        var roles = Map.of("editor", List.of("document:edit"));
        try (var um = RolekeepBlocking.open(new ConfigBuilder().roles(roles).permissions(List.of("document:delete")).build())) {
            User ada = um.system().users().create(new CreateUserBuilder("ada@example.org").roles(List.of("editor")).build());
            BlockingCaller me = um.actingAs(ada.getId());
            System.out.println(me.can("document:edit") + " " + me.can("document:delete"));
            me.require("document:delete");
        } catch (RolekeepException.Forbidden error) {
            System.out.println(error.getHttpStatus());
        }
    }
}
