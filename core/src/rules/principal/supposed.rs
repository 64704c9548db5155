//! A principal otherwise than it is, for explanations.

use std::sync::Arc;

use super::{Proved, assignments::Assignment};

use crate::rules::{Principal, compile::bits};

impl Principal {
    /// Two factors were proved.
    pub(in crate::rules) fn prove(&mut self) {
        self.proved = self.proved.set(Proved::TWO_FACTORS, true);
    }

    pub(in crate::rules) fn activate(&mut self) {
        self.is_active = true;
    }

    /// Holds a role everywhere and always.
    pub(in crate::rules) fn assign(&mut self, role: u32) {
        self.detail_mut().assignments.push(Assignment::plain(role));
    }

    /// Holds otherwise what stands at this place. Plain assignments come first, and have nothing to change.
    pub(in crate::rules) fn change(&mut self, place: usize, change: impl FnOnce(&mut Assignment)) {
        let plain = self.plain().count();
        if let Some(held) = place.checked_sub(plain).and_then(|at| self.detail_mut().assignments.get_mut(at)) {
            change(held);
        }
    }

    /// The account asks without its key.
    pub(in crate::rules) fn drop_key(&mut self) {
        let cold = self.cold_mut();
        (cold.key, cold.active) = (None, None);
    }

    pub(in crate::rules) fn widen_key(&mut self, permission: u32) {
        self.cold_mut().key.iter_mut().for_each(|key| bits::set(Arc::make_mut(key), permission));
    }

    /// One more of its roles allows, where not all do.
    pub(in crate::rules) fn activate_role(&mut self, role: u32) {
        if let Some(active) = &mut self.cold_mut().active {
            *active = active.iter().copied().chain([role]).collect();
        }
    }
}
