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

/// Reports a fault of the wasm where no caller can catch it: in a timer, a promise's callback, a microtask or a finalizer. Thrown there it
/// would end the process, and whoever waits for that work would wait for ever.
fn tell_of_faults(glue: &Path) -> Result<()> {
    // In Node stores and rules share one wasm, so there are two who tell. What it holds may be half done: nothing is asked of it again, be it a
    // check, a task that was left or a finalizer.
    const TELL: &str = "
const tellers = [];
let ended;
export function onFault(tell) {
    tellers.push(tell);
    if (ended) tell(ended.fault);
}
function telling(work) {
    return (...args) => {
        try {
            return work(...args);
        } catch (fault) {
            if (ended) return;
            if (tellers.length === 0) throw fault;
            ended = { fault };
            console.error('rolekeep: a fault in the library, which answers nothing any more:', fault);
            const [error] = tellers.map((tell) => tell(fault));
            wasm = new Proxy({}, { get() { throw error; } });
        }
    };
}
";
    const FINALIZER: &str = "new FinalizationRegistry(";
    const CALLBACK: &str = "function makeMutClosure(";
    // Its first line and its last. `makeClosure` is of what is called in a promise, which hands the fault on.
    const OPENED: [&str; 2] = ["const real = (", "const real = telling(("];
    const CLOSED: [&str; 2] = ["    };\n    real._wbg_cb_unref = ", "    });\n    real._wbg_cb_unref = "];

    let path = glue.with_extension("js");
    let code = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let told = |line: &str| {
        let (before, work) = line.split_once(FINALIZER)?;
        Some(format!("{before}{FINALIZER}telling({}));", work.strip_suffix(");")?))
    };
    let lines = code.lines().map(|line| told(line).unwrap_or_else(|| line.to_owned()));
    let mut edited = lines.collect::<Vec<_>>().join("\n");
    if let Some((before, callback)) = edited.split_once(CALLBACK) {
        let callback = callback.replacen(OPENED[0], OPENED[1], 1).replacen(CLOSED[0], CLOSED[1], 1);
        edited = format!("{before}{CALLBACK}{callback}");
    }
    let is_told = edited.matches(FINALIZER).count() == edited.matches("new FinalizationRegistry(telling(").count();
    let has_callbacks = usize::from(code.contains("queueMicrotask"));
    let is_known = [CALLBACK, OPENED[1], CLOSED[1]].iter().all(|part| edited.matches(part).count() == has_callbacks);
    if !is_told || !is_known {
        bail!("wasm-bindgen calls the wasm in other ways than are known here");
    }
    fs::write(&path, edited + "\n" + TELL)?;
    let path = glue.with_extension("d.ts");
    let types = fs::read_to_string(&path)?;
    Ok(fs::write(&path, types + "\nexport function onFault(tell: (fault: unknown) => Error): void;\n")?)
}
