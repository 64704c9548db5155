// A store in memory for what is tried on it, and what every try must leave behind.

use rolekeep::{Config, Result, UserManagement, audit::VerifyAudit};

/// A store of its own, which is whole afterwards, whatever was done to it.
pub fn with<T>(work: impl AsyncFnOnce(&UserManagement) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = Config::new().hashing_memory_kib(8).hashing_iterations(1);
        let um = UserManagement::builder().config(config).open().await.expect("a store");
        let done = work(&um).await;
        let verified = um.system().audit().verify(VerifyAudit::new()).await.expect("it is verified");
        assert!(verified.is_whole, "{verified:?}");
        um.close().await.expect("it closes");
        done
    })
}

/// What came of a try, if it was accepted; who is refused is told why.
pub fn accepted<T>(result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            assert!(error.code() != rolekeep::Code::Internal && !error.message().is_empty(), "{error:?}");
        })
        .ok()
}
