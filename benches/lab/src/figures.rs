//! What is read of the process that measures, and what is made of many figures.

use std::time::Duration;

use anyhow::{Context, Result};

/// The middle one.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

/// The least one.
pub fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

/// The processor's time that this process had so far: what others do meanwhile does not count.
#[allow(unsafe_code, reason = "the standard library does not tell; the call fills the value that it is given")]
pub fn spent() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A figure of the process in MiB, once the allocator has given back what it can.
#[allow(unsafe_code, reason = "the allocator's own call, which takes no pointer")]
pub fn resident(name: &str) -> Result<f64> {
    // SAFETY: it takes no pointer.
    unsafe { libc::malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such figure")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::{least, median, resident, spent};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(&[]), least(&[]), least(&[3.0, 1.0, 2.0])), (None, None, Some(1.0)));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_process_spends_time_and_memory() {
        let (time, memory) = (spent(), resident("VmRSS").unwrap());
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(resident("VmRSS").unwrap() - memory > 50.0);
        assert!(spent() > time && held.len() == 64 << 20);
        assert!(resident("VmNothing").is_err());
    }
}
