import pytest
import rolekeep

CHEAP = {"hashing_memory_kib": 7168, "hashing_iterations": 5, "hashing_max_millis": 0}
PASSWORD = "correct horse battery staple"


@pytest.fixture
def open_store():
    """Opens stores that hash cheaply, and closes them at the end."""
    opened = []

    def open_store(**settings):
        opened.append(rolekeep.open(**(CHEAP | settings)))
        return opened[-1]

    yield open_store
    for um in opened:
        um.close()


@pytest.fixture
def um(open_store):
    """In memory, with an editor."""
    return open_store(roles={"editor": ["document:edit"], "admin": ["admin:all"]}, permissions=["document:delete"])


@pytest.fixture
def ada(um):
    return um.system.users.create("ada@example.org", password=PASSWORD, roles=["editor"])
