"""User management and RBAC that an application embeds instead of deploying.

`open` gives a store for blocking code, `open_async` the same for asyncio.
"""

from . import errors, records
from ._ask import Question, Resource, RowFilter
from ._breached import BreachedPasswords
from ._codec import UNSET, Unset
from ._events import consume, consume_async, subscribe, subscribe_async
from ._imports import AsyncBinaryReader, BinaryReader, import_users, import_users_async
from ._metrics import metrics
from ._notifier import Delivery, Notifier
from ._open import open, open_async
from ._persister import Batch, Loaded, Persisted, Persister, RowChange
from ._rolekeep import __version__ as __version__
from ._rules import Principal, Rules
from ._store import AsyncCaller, AsyncUserManagement, Caller, Opening, UserManagement
from .errors import *  # noqa: F403
from .guards import require_admin, require_permission, require_role
from .records import *  # noqa: F403

__all__ = [
    "UNSET", "AsyncBinaryReader", "AsyncCaller", "AsyncUserManagement", "Batch", "BinaryReader", "BreachedPasswords", "Caller",
    "Delivery", "Loaded", "Notifier", "Opening", "Persisted", "Persister", "Principal", "Question", "Resource", "RowChange",
    "RowFilter", "Rules", "Unset", "UserManagement", "consume", "consume_async", "import_users", "import_users_async", "metrics", "open",
    "open_async", "require_admin", "require_permission", "require_role", "subscribe", "subscribe_async", *errors.__all__, *records.__all__,
]
