//! Rules without accounts: a policy, and principals that the host describes.

use std::cell::RefCell;

use rolekeep::{
    Result,
    environment::Environment,
    ffi::rules::{BoundPrincipal, compile},
    rules::{PermissionHandle, Rules},
};
use wasm_bindgen::prelude::*;

use crate::{
    environment::JsEnvironment,
    error::stamped,
    packed::{self, by_number, numbered},
};

/// What the TypeScript half holds for a compiled policy.
#[wasm_bindgen]
pub struct RulesFfi {
    rules: Rules,
    permissions: RefCell<Vec<PermissionHandle>>,
}

/// Compiles a policy: config as JSON.
#[wasm_bindgen(js_name = compileRules)]
pub fn compile_rules(config: &str) -> Result<RulesFfi, JsValue> {
    let rules = compile(config, || JsEnvironment.now()).map_err(stamped)?;
    Ok(RulesFfi { rules, permissions: RefCell::default() })
}

#[wasm_bindgen]
impl RulesFfi {
    /// Somebody, described as JSON.
    pub fn principal(&self, data: &str) -> Result<PrincipalFfi, JsValue> {
        Ok(PrincipalFfi { bound: BoundPrincipal::described(&self.rules, data).map_err(stamped)? })
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> PrincipalFfi {
        PrincipalFfi { bound: BoundPrincipal::anonymous(&self.rules) }
    }

    /// A number for a permission that is asked about often: a text costs more on its way here than the answer does.
    /// None: there is no such permission.
    #[wasm_bindgen(js_name = numberOf)]
    pub fn number_of(&self, permission: &str) -> Option<u32> {
        self.rules.rule_set().permission(permission).ok()?;
        Some(numbered(&mut self.permissions.borrow_mut(), PermissionHandle::new(permission)))
    }

    /// [`PrincipalFfi::can`] at all, by such a number: 1 for yes, 0 for no, 2 where it is to be asked in full.
    #[wasm_bindgen(js_name = canByNumber)]
    pub fn can_by_number(&self, principal: &PrincipalFfi, permission: u32) -> u32 {
        let PrincipalFfi { bound } = principal;
        by_number(&self.permissions.borrow(), permission, |one| bound.checks().check(bound.principal(), one, None))
    }

    /// [`PrincipalFfi::can`] by such a number, and a resource that was written to `packed_at`; answers likewise.
    #[wasm_bindgen(js_name = canPacked)]
    pub fn can_packed(&self, principal: &PrincipalFfi, permission: u32, length: u32) -> u32 {
        let PrincipalFfi { bound } = principal;
        packed::ask(&self.permissions.borrow(), permission, length, |one, resource| {
            bound.checks().check(bound.principal(), one, resource)
        })
    }

    /// Many checks that were written there; false where they are to be asked in full.
    #[wasm_bindgen(js_name = canManyPacked)]
    pub fn can_many_packed(&self, principal: &PrincipalFfi, length: u32) -> bool {
        let PrincipalFfi { bound } = principal;
        packed::ask_many(&self.permissions.borrow(), length, |checks| {
            bound.checks().check_many(bound.principal(), checks)
        })
    }
}

/// What the TypeScript half holds for somebody who asks.
#[wasm_bindgen]
pub struct PrincipalFfi {
    bound: BoundPrincipal,
}

#[wasm_bindgen]
impl PrincipalFfi {
    /// Whether the principal may do this; a resource as JSON with its `type`.
    pub fn can(&self, permission: &str, resource: Option<String>) -> Result<bool, JsValue> {
        self.bound.can(permission, resource.as_deref()).map_err(stamped)
    }

    /// The questions that come as JSON.
    pub fn ask(&self, question: &str, input: &str) -> Result<String, JsValue> {
        self.bound.ask(question, input).map_err(stamped)
    }

    /// The same, with values that conditions read as `context.…`.
    #[wasm_bindgen(js_name = withContext)]
    pub fn with_context(&self, values: &str) -> Result<PrincipalFfi, JsValue> {
        Ok(PrincipalFfi { bound: self.bound.with_context(values).map_err(stamped)? })
    }
}
