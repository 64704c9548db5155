//! Writes the JavaScript of a wasm: `rolekeep-bindgen WASM FOLDER NAME [--without-names] [--defer EXPORT]`.
//!
//! With `--defer` it writes two files, `NAME_bg.wasm` and `NAME_deferred_bg.wasm`; see `split.rs`.

mod relocations;
mod split;

use std::{env, fs, path::Path};

use anyhow::{Context, Result, bail};
use relocations::References;
use split::Parts;
use walrus::{FunctionId, ModuleConfig};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [wasm, folder, name, options @ ..] = arguments.as_slice() else {
        bail!("usage: rolekeep-bindgen WASM FOLDER NAME [--without-names] [--defer EXPORT]")
    };
    let is_named = !options.iter().any(|option| option == "--without-names");
    let deferred = options.iter().position(|option| option == "--defer");
    let deferred = deferred.map(|at| options.get(at + 1).context("--defer: of which export?")).transpose()?;

    // Without the module's default path: the package's own loaders name it, each in the way that its platform needs.
    let mut bindgen = Bindgen::new();
    bindgen.web(true)?.typescript(true).omit_default_module_path(true).remove_name_section(!is_named).out_name(name);
    let glue = Path::new(folder).join(name);
    let Some(deferred) = deferred else {
        bindgen.input_path(wasm).generate(folder)?;
        return tell_of_faults(&glue);
    };

    let wasm = fs::read(wasm).with_context(|| format!("{wasm} cannot be read"))?;
    let references = References::read(&wasm)?;
    // As the library reads it, but that the names are needed until the end.
    let config = |names| {
        let mut config = ModuleConfig::new();
        config.strict_validate(false).generate_dwarf(false).generate_name_section(names);
        config
    };
    let module = config(true).parse(&wasm)?;
    let originals: Vec<FunctionId> = module.funcs.iter().map(|function| function.id()).collect();
    let mut output = bindgen.input_module(name, module).generate_output()?;
    let parts = Parts::find(output.wasm(), &originals, &references, deferred)?;
    output.emit(folder)?;
    let [first, second] = parts.split(output.wasm_mut(), deferred, &config(is_named))?;
    fs::write(Path::new(folder).join(format!("{name}_bg.wasm")), first)?;
    fs::write(Path::new(folder).join(format!("{name}_deferred_bg.wasm")), second)?;
    tell_of_faults(&glue)
}

/// Has somebody told of what ends the work of the wasm where nobody waits for it: in a timer, a promise or a microtask, or where something
/// of it is collected. Thrown there it would end a process, and whoever waits for that work would wait for ever.
fn tell_of_faults(glue: &Path) -> Result<()> {
    const TELL: &str = "
const tellers = [];
export function onFault(tell) { tellers.push(tell); }
function telling(work) {
    return (...args) => {
        try {
            return work(...args);
        } catch (fault) {
            if (tellers.length === 0) throw fault;
            for (const tell of tellers) tell(fault);
        }
    };
}
";
    // The start of each piece of code, and the end of its line.
    const CALLED: [(&str, &str); 3] = [
        ("new FinalizationRegistry(", ");"),
        ("= makeMutClosure(arg0, arg1, ", ");"),
        ("        if (--state.cnt === 0) {\n            ", ";"),
    ];
    let path = glue.with_extension("js");
    let mut code = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    for (start, end) in CALLED {
        let mut parts = code.split(start);
        let mut told = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (work, rest) = part.split_once(end).context("wasm-bindgen writes other code than is known here")?;
            told += start;
            told += &if end == ");" { format!("telling({work}){end}") } else { format!("telling(() => {work})(){end}") };
            told += rest;
        }
        code = told;
    }
    // What is done later, or collected, is called in these ways alone.
    let is_known = code.contains("FinalizationRegistry(telling(")
        && code.contains("queueMicrotask") == code.contains("= makeMutClosure(arg0, arg1, telling(")
        && code.contains("__wbindgen_destroy_closure(state") == code.contains("telling(() => wasm.__wbindgen_destroy_closure(");
    if !is_known {
        bail!("wasm-bindgen calls the wasm in other ways than are known here");
    }
    fs::write(&path, code + TELL)?;
    let path = glue.with_extension("d.ts");
    let types = fs::read_to_string(&path)?;
    Ok(fs::write(&path, types + "\nexport function onFault(tell: (fault: unknown) => void): void;\n")?)
}
