import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rolekeep.Batch;
import dev.rolekeep.Check;
import dev.rolekeep.Delivery;
import dev.rolekeep.ExternalIdentity;
import dev.rolekeep.ForgotPassword;
import dev.rolekeep.ImportFormat;
import dev.rolekeep.ImportProgress;
import dev.rolekeep.Loaded;
import dev.rolekeep.Notice;
import dev.rolekeep.NoticeKind;
import dev.rolekeep.Persisted;
import dev.rolekeep.Reason;
import dev.rolekeep.RequestContext;
import dev.rolekeep.RolekeepException;
import dev.rolekeep.RowChange;
import dev.rolekeep.Config;
import dev.rolekeep.SqlDialect;
import dev.rolekeep.StringPatch;
import dev.rolekeep.UserCheck;
import dev.rolekeep.blocking.AssignedRoleBuilder;
import dev.rolekeep.blocking.BeginImportBuilder;
import dev.rolekeep.blocking.BlockingCaller;
import dev.rolekeep.blocking.BlockingNotifier;
import dev.rolekeep.blocking.BlockingPersister;
import dev.rolekeep.blocking.CreateUserBuilder;
import dev.rolekeep.blocking.ListUsersBuilder;
import dev.rolekeep.blocking.PrincipalDataBuilder;
import dev.rolekeep.blocking.RolekeepBlocking;
import dev.rolekeep.blocking.RulesConfigBuilder;
import dev.rolekeep.blocking.ConfigBuilder;
import dev.rolekeep.blocking.SqlTableBuilder;
import dev.rolekeep.blocking.UpdateUserBuilder;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library as Java sees it: no coroutines, no Kotlin types but those of the library. */
class JavaTest {
    private static ConfigBuilder settings() {
        return new ConfigBuilder()
            .hashingMemoryKib(7168L)
            .hashingIterations(5L)
            .roles(Map.of("editor", List.of("document:edit")))
            .permissions(List.of("document:delete"));
    }

    @Test
    void accountsAndChecks() {
        try (var um = RolekeepBlocking.open(settings().build())) {
            var users = um.system().users();
            var ada = users.create(new CreateUserBuilder("ada@example.org").password("correct horse battery ada")
                .birthDate(LocalDate.of(1990, 12, 10)).roles(List.of("editor")).build());
            BlockingCaller me = um.actingAs(ada.getId());
            assertTrue(me.can("document:edit"));
            assertFalse(me.can("document:delete", RolekeepBlocking.resource("document", Map.of())));
            assertEquals(List.of(true, false), me.canMany(List.of(new Check("document:edit", null), new Check("document:delete", null))));
            assertEquals(403, assertThrows(RolekeepException.Forbidden.class, () -> me.require("document:delete")).getHttpStatus());
            assertTrue(me.explain("document:delete").getText().contains("document:delete"));
            assertTrue(um.check(ada.getId(), "document:edit"));
            assertTrue(um.checkCached(ada.getId(), "document:edit"));
            assertFalse(um.checkCached(ada.getId(), "document:delete", RolekeepBlocking.resource("document", Map.of())));
            assertEquals(List.of(true), um.checkMany(List.of(new UserCheck(ada.getId(), "document:edit", null)),
                RolekeepBlocking.circumstances(Map.of(), um.position())));

            var login = um.login("ada@example.org", "correct horse battery ada", new RequestContext("192.0.2.1", "Test", null, null, null, Map.of())).done();
            var signedIn = um.authenticate(login.getAccessToken());
            assertEquals("192.0.2.1", signedIn.sessions().list().getItems().get(0).getIp());
            var named = users.update(new UpdateUserBuilder(ada.getId()).displayName(new StringPatch.Set("Ada")).build()).getUser();
            assertEquals("Ada", named.getDisplayName());
            assertEquals(1, users.list(new ListUsersBuilder().limit(5L).build()).getItems().size());
            assertEquals(1, users.list().getItems().size());
            var bob = users.create(new CreateUserBuilder().identity(new ExternalIdentity("staff", "17")).build());
            assertNull(bob.getEmail());
            assertEquals(bob.getId(), um.actingAsIdentity("staff", "17").users().me().getId());
            assertThrows(RolekeepException.NotFound.class, () -> um.actingAsIdentity("staff", "18"));
            var table = new SqlTableBuilder(SqlDialect.SQLITE, "documents").build();
            assertEquals("0", me.filter("document:delete", table).getSql());
        }
    }

    @Test
    void errorsNeedNotBeDeclared() {
        try (var um = RolekeepBlocking.open(settings().build())) {
            um.system().users().create(new CreateUserBuilder("no address").roles(List.of("nobody")).build());
        } catch (RolekeepException.Validation error) {
            assertEquals(Reason.INVALID_INPUT, error.getReason());
            assertEquals(2, error.getFields().size());
            assertInstanceOf(RuntimeException.class, error);
            return;
        }
        throw new AssertionError("an address that is none was taken");
    }

    @Test
    void refreshReadsWhatOthersWrote(@TempDir Path folder) {
        Config file = settings().sqlite(folder.resolve("app.db").toString()).build();
        try (var here = RolekeepBlocking.open(file); var there = RolekeepBlocking.open(file)) {
            for (int number = 0; number < 20; number++) {
                there.system().users().create(new CreateUserBuilder("user" + number + "@example.org").build());
                here.refresh();
                assertEquals(there.position(), here.position());
            }
        }
    }

    @Test
    void closingClosesTheStore(@TempDir Path folder) {
        Config file = settings().sqlite(folder.resolve("app.db").toString()).exclusive(true).build();
        RolekeepBlocking first = RolekeepBlocking.open(file);
        UUID ada = first.system().users().create(new CreateUserBuilder("ada@example.org").build()).getId();
        BlockingCaller me = first.actingAs(ada);
        assertEquals(Reason.STORAGE_UNAVAILABLE, assertThrows(RolekeepException.Unavailable.class, () -> RolekeepBlocking.open(file)).getReason());
        first.close();
        first.close();
        for (Runnable late : List.<Runnable>of(
            () -> me.users().me(), () -> first.actingAs(ada), () -> first.check(ada, "document:edit"), () -> first.system().users().list()
        )) assertEquals(Reason.CLOSED, assertThrows(RolekeepException.Unavailable.class, late::run).getReason());
        try (var again = RolekeepBlocking.open(file)) {
            assertEquals("ada@example.org", again.actingAs(ada).users().me().getEmail());
        }
    }

    @Test
    void aBackupThereAndBack(@TempDir Path folder) {
        String path = folder.resolve("app.backup").toString();
        var sink = new ByteArrayOutputStream();
        try (var um = RolekeepBlocking.open(settings().build())) {
            um.system().users().create(new CreateUserBuilder("ada@example.org").build());
            var written = um.backup(path, "a key");
            assertEquals(written, RolekeepBlocking.verifyBackup(path, "a key"));
            assertEquals(written.getRows(), um.backup(sink).getRows());
            assertFalse(um.tidy().getHasMore());
        }
        var source = new ByteArrayInputStream(sink.toByteArray());
        assertEquals(sink.size(), RolekeepBlocking.verifyBackup(source).getBytes());
        source.reset();
        var restores = List.of(RolekeepBlocking.restoreFrom(path, "a key"), RolekeepBlocking.restoreFrom(source));
        for (var restore : restores) {
            try (var um = RolekeepBlocking.open(settings().build(), null, null, null, restore)) {
                assertEquals(1, um.system().users().list().getItems().size());
            }
        }
        var torn = new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("the tape tore");
            }
        };
        var failed = assertThrows(RolekeepException.Unavailable.class, () -> RolekeepBlocking.verifyBackup(torn));
        assertInstanceOf(IOException.class, failed.getCause());
    }

    @Test
    void aPersisterInJava() {
        var kept = new LinkedHashMap<Long, List<RowChange>>();
        var persister = new BlockingPersister() {
            @Override
            public synchronized Loaded load(long since) {
                long newest = kept.size();
                var later = kept.entrySet().stream().filter(one -> one.getKey() > since).flatMap(one -> one.getValue().stream());
                return new Loaded(newest, later.toList(), false);
            }

            @Override
            public synchronized Persisted persist(Batch batch) {
                if (batch.getBase() != kept.size()) return Persisted.STALE;
                kept.put(batch.getPosition(), batch.getChanges());
                return Persisted.DONE;
            }
        };
        UUID ada;
        try (var um = RolekeepBlocking.open(settings().build(), persister)) {
            ada = um.system().users().create(new CreateUserBuilder("ada@example.org").build()).getId();
        }
        try (var um = RolekeepBlocking.open(settings().build(), persister)) {
            assertEquals(ada, um.actingAs(ada).users().me().getId());
        }
    }

    @Test
    void aNotifierInJava() throws Exception {
        var kept = new LinkedBlockingQueue<Notice>();
        var known = ConcurrentHashMap.<UUID>newKeySet();
        try (var um = RolekeepBlocking.open(settings().build(), notice -> {
            kept.put(notice);
            return known.add(notice.getId()) ? new Delivery.RetryAfter(1) : Delivery.Sent.INSTANCE;
        })) {
            um.system().users().create(new CreateUserBuilder("ada@example.org").password("correct horse battery ada").build());
            um.anonymous().passwords().forgot(new ForgotPassword("ada@example.org", null));
            var first = kept.poll(10, TimeUnit.SECONDS);
            assertEquals(NoticeKind.PASSWORD_RESET, first.getKind());
            assertEquals("ada@example.org", first.getAddress());
            assertNull(first.getLink());
            assertTrue(first.getText().contains(first.getToken()));
            var second = kept.poll(10, TimeUnit.SECONDS);
            assertEquals(List.of(first.getId(), first.getToken()), List.of(second.getId(), second.getToken()));
        }
        BlockingNotifier broken = notice -> { throw new IOException("a checked exception, as mail libraries throw"); };
        try (var um = RolekeepBlocking.open(settings().build(), null, broken)) {
            assertEquals(0, um.system().users().list().getTotal());
        }
    }

    @Test
    void aThreadThatIsInterruptedStops() {
        try (var um = RolekeepBlocking.open(settings().build())) {
            um.system().users().create(new CreateUserBuilder("ada@example.org").password("correct horse battery ada").build());
            Thread.currentThread().interrupt();
            // A password is hashed on another thread, so this waits.
            assertThrows(CancellationException.class, () -> um.login("ada@example.org", "correct horse battery ada"));
            assertTrue(Thread.interrupted(), "the thread stays interrupted");
            assertEquals(1, um.system().users().list().getItems().size());
        }
    }

    @Test
    void anImportThatIsBrokenOffGoesOnWhereItWas() {
        var users = new StringBuilder("email\n");
        for (int at = 0; at < 1200; at++) users.append("user").append(at).append("@example.org\n");
        var table = users.toString().getBytes(StandardCharsets.UTF_8);
        var options = new BeginImportBuilder("old", ImportFormat.CSV).build();
        var heard = new ArrayList<ImportProgress>();
        try (var um = RolekeepBlocking.open(settings().build())) {
            assertThrows(IllegalStateException.class, () -> um.system().importUsers(new ByteArrayInputStream(table), options, null, progress -> {
                heard.add(progress);
                throw new IllegalStateException("enough");
            }));
            var begun = heard.get(0).getImport();
            assertEquals(500, begun.getCounts().getCreated());
            var done = um.system().importUsers(new ByteArrayInputStream(table), options, begun.getId());
            assertEquals(List.of(1200L, 0L), List.of(done.getCounts().getCreated(), done.getCounts().getSkipped()));
            assertEquals(1200, um.system().importUsers(new ByteArrayInputStream(table), options).getCounts().getSkipped());
        }
    }

    @Test
    void rulesWithoutAccounts() throws Exception {
        String policy = Files.readString(Path.of(System.getProperty("repository"), "docs/examples/documents.toml"));
        try (var rules = RolekeepBlocking.rules(new RulesConfigBuilder().policyToml(policy).build());
            var ada = rules.principal(new PrincipalDataBuilder("ada").roles(List.of(new AssignedRoleBuilder("author").build()))
                .attributes(Map.of("department", "\"maps\"")).build())) {
            assertTrue(ada.can("document:edit", RolekeepBlocking.resource("document", Map.of("owner", "ada", "department", "maps"))));
            assertFalse(ada.can("document:edit", RolekeepBlocking.resource("document", Map.of("owner", "bob", "department", "maps"))));
        }
    }
}
