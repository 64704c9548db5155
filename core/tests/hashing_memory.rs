//! What hashing passwords leaves resident. A program of its own, as it reads what the whole process holds.
#![cfg(all(feature = "tokio", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::sync::Arc;

use rolekeep::{
    Config,
    environment::{Env, TokioEnvironment},
    internals::{
        hasher::Hasher,
        hashing::{Hashing, HashingCost, Memory},
    },
};

/// The memory of the default cost, with one pass instead of two: it is memory that matters here.
const COST: HashingCost = HashingCost { memory_kib: 19_456, iterations: 1, parallelism: 1 };

/// The process's resident memory, in MiB.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096 / (1024 * 1024)
}

async fn sign_ins(hasher: &Arc<Hasher>, count: usize) {
    let hashing = Hashing::new(COST, None, &[]).unwrap();
    let hash = hashing.hash(&"correct horse battery staple".into(), [7; 16], &mut Memory::default()).unwrap();
    for _ in 0..count / 10 {
        let ten = (0..10).map(|at| {
            let (hasher, hash) = (hasher.clone(), (at % 3 > 0).then(|| hash.as_str().into()));
            tokio::spawn(async move {
                let place = hasher.enter(false).unwrap();
                hasher.verify(hash, Vec::new(), &"correct horse battery staple".into(), place).await.unwrap()
            })
        });
        for one in ten.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        // A thread that hashed and is not needed any more ends, and another begins.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn sec_15_a_thousand_sign_ins_stay_within_forty_mib_of_ten() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_keep_alive(std::time::Duration::from_millis(1))
        .build()
        .unwrap();
    runtime.block_on(async {
        let config = Config::new().hashing_memory_kib(COST.memory_kib).hashing_iterations(COST.iterations);
        let hasher = Arc::new(Hasher::new(Env::new(TokioEnvironment::current().unwrap()), &config).unwrap());
        sign_ins(&hasher, 10).await;
        let before = resident();
        sign_ins(&hasher, 1_000).await;
        let after = resident();
        assert!(after <= before + 40, "{before} MiB, then {after} MiB");
    });
}
