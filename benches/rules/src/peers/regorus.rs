//! `regorus` (Rego): roles, their closures and their grants as data, flattened before; its interpreter,
//! and its virtual machine.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use regorus::{
    Engine as Rego, Value,
    languages::rego::compiler::Compiler,
    rvm::{program::Program, vm::RegoVM},
};
use rolekeep_lab::{Edit, Engine, Query, Workload};

const POLICY: &str = "
package access
default allow := false
allow if {
    some role in data.users[input.user]
    some junior in data.closures[role]
    data.grants[junior][input.permission]
}
";
const RULE: &str = "data.access.allow";

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn object(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::from(fields.into_iter().map(|(name, value)| (text(&name), value)).collect::<BTreeMap<_, _>>())
}

fn list(items: impl IntoIterator<Item = String>) -> Value {
    Value::from(items.into_iter().map(|item| text(&item)).collect::<Vec<_>>())
}

/// The data, which the host keeps for the next change.
struct Data {
    users: Value,
    closures: Value,
    grants: Value,
}

impl Data {
    fn of(workload: &Workload) -> Self {
        let name = |role: u32| workload.roles[role as usize].name.clone();
        let users = (0..workload.users).map(|user| {
            let held = workload.assignments(user).iter().map(|one| name(one.role));
            (Workload::user_id(user).to_string(), list(held))
        });
        let all = 0..workload.roles.len() as u32;
        let closures = all.clone().map(|role| (name(role), list(workload.closure(role).into_iter().map(name))));
        let grants = workload.roles.iter().map(|role| {
            let own = role.grants.iter().map(|grant| (workload.permission_name(*grant), Value::from(true)));
            (role.name.clone(), object(own))
        });
        Self { users: object(users), closures: object(closures), grants: object(grants) }
    }

    fn all(&self) -> Value {
        let (users, closures, grants) = (self.users.clone(), self.closures.clone(), self.grants.clone());
        object([("users".to_owned(), users), ("closures".to_owned(), closures), ("grants".to_owned(), grants)])
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let held = list(edit.held.iter().chain(on.then_some(&edit.role_name)).cloned());
        self.users.as_object_mut()?.insert(text(&edit.query.user_name), held);
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let roles = self.grants.as_object_mut()?;
        let own = roles.get_mut(&text(&edit.holder_name)).context("no such role")?.as_object_mut()?;
        match on {
            true => own.insert(text(&edit.query.permission_name), Value::from(true)),
            false => own.remove(&text(&edit.query.permission_name)),
        };
        Ok(())
    }
}

fn ask(query: &Query) -> Value {
    object([("user".to_owned(), text(&query.user_name)), ("permission".to_owned(), text(&query.permission_name))])
}

/// The interpreter.
pub struct Interpreter {
    rego: Rego,
    data: Data,
}

impl Interpreter {
    fn renew(&mut self) -> Result<()> {
        self.rego.clear_data();
        self.rego.add_data(self.data.all())
    }
}

impl Engine for Interpreter {
    type Ask = Value;

    fn load(workload: &Workload) -> Result<Self> {
        let mut rego = Rego::new();
        rego.add_policy("access.rego".to_owned(), POLICY.to_owned())?;
        let mut new = Self { rego, data: Data::of(workload) };
        new.renew()?;
        Ok(new)
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Value> {
        Ok(ask(query))
    }

    fn check(&mut self, ask: &Value) -> Result<bool> {
        self.rego.set_input(ask.clone());
        Ok(self.rego.eval_rule(RULE.to_owned())? == Value::from(true))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.data.assign(edit, on)?;
        self.renew()
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.data.grant(edit, on)?;
        self.renew()
    }
}

/// The virtual machine.
pub struct Vm {
    vm: RegoVM,
    data: Data,
}

impl Vm {
    fn renew(&mut self) -> Result<()> {
        Ok(self.vm.set_data(self.data.all())?)
    }
}

fn compile() -> Result<Arc<Program>> {
    let mut rego = Rego::new();
    rego.add_policy("access.rego".to_owned(), POLICY.to_owned())?;
    let compiled = rego.compile_with_entrypoint(&RULE.into())?;
    Ok(Compiler::compile_from_policy(&compiled, &[RULE])?)
}

impl Engine for Vm {
    type Ask = Value;

    fn load(workload: &Workload) -> Result<Self> {
        let mut vm = RegoVM::new();
        vm.load_program(compile()?);
        let mut new = Self { vm, data: Data::of(workload) };
        new.renew()?;
        Ok(new)
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Value> {
        Ok(ask(query))
    }

    fn check(&mut self, ask: &Value) -> Result<bool> {
        self.vm.set_input(ask.clone());
        Ok(self.vm.execute()? == Value::from(true))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.data.assign(edit, on)?;
        self.renew()
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.data.grant(edit, on)?;
        self.renew()
    }
}
