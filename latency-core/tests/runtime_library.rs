//! ONNX Runtime that is not there, or not usable: each fault gives one answer, twice, and a good library still loads after
//! it in the same process. Every test runs processes of its own, because a library once loaded stays.
#![cfg(all(feature = "load-dynamic", target_os = "linux"))]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use latency_core::{ErrorKind, LIBRARY_VARIABLES, Predictor, PredictorBuilder, library_file_name};

/// Set in a child: the test's body runs there.
const CHILD: &str = "LATENCY_TEST_CHILD";
/// The good library, for a child in which the variables name another, or none.
const GOOD: &str = "LATENCY_TEST_GOOD_LIBRARY";

/// A library with ONNX Runtime's one symbol, and answers as asked for.
const FAKE: &str = r"
struct base { const void *(*get_api)(unsigned); const char *(*get_version)(void); };
static const void *get_api(unsigned version) { (void)version; return 0; }
static const char *get_version(void) { return VERSION; }
static const struct base base = {get_api, get_version};
const struct base *OrtGetApiBase(void) { return BASE; }
";

fn compile(folder: &Path, name: &str, source: &str, definitions: &[&str]) -> PathBuf {
    let library = folder.join(name);
    let code = library.with_extension("c");
    fs::write(&code, source).unwrap();
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &code])
        .args(definitions.iter().map(|definition| format!("-D{definition}")))
        .output()
        .expect("cc runs: Rust links with it");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    library
}

fn fake(folder: &Path, name: &str, version: &str) -> PathBuf {
    compile(folder, name, FAKE, &["BASE=&base", &format!("VERSION={version}")])
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Every file that is no good, and what is said of it.
fn bad_libraries(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let subfolder = folder.join("folder.so");
    fs::create_dir(&subfolder).unwrap();
    let dangling = folder.join("dangling.so");
    symlink(folder.join("missing.so"), &dangling).unwrap();
    let pipe = folder.join("pipe.so");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());

    let other = compile(folder, "other.so", "int one(void) { return 1; }", &[]);
    let lacking = compile(folder, "lacking.so", "extern int nowhere; int *it = &nowhere;", &[]);
    let elf = fs::read(&other).unwrap();
    let patched = |name: &str, changes: &[(usize, u8)]| {
        let mut elf = elf.clone();
        for &(at, byte) in changes {
            elf[at] = byte;
        }
        written(folder, name, &elf)
    };
    let foreign: u8 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    vec![
        (PathBuf::from("libonnxruntime.so"), "which is not an absolute path"),
        (folder.join("missing.so"), "which cannot be read (No such file or directory"),
        (dangling, "which cannot be read (No such file or directory"),
        (folder.join(OsStr::from_bytes(b"not-utf-8-\xff.so")), "which cannot be read (No such file or directory"),
        (folder.join("nul-\0.so"), "which cannot be read (file name contained an unexpected NUL byte"),
        (subfolder, "which is a folder"),
        (pipe, "which is not a file"),
        (written(folder, "empty.so", b""), "it is empty"),
        (
            written(folder, "text.so", b"this is no library, but a text"),
            "it is no shared library (it has no ELF header)",
        ),
        (written(folder, "short.so", &elf[..15]), "it is no shared library (it has no ELF header)"),
        (written(folder, "cut.so", &elf[..40]), "it does not load (file too short)"),
        (patched("processor.so", &[(18, foreign), (19, 0)]), "it is built for another machine ("),
        (patched("bits.so", &[(4, 3 - elf[4])]), "it is built for another machine ("),
        (other, "it does not export `OrtGetApiBase`"),
        (lacking, "it does not load (undefined symbol: nowhere"),
        (compile(folder, "base.so", FAKE, &["BASE=0", "VERSION=0"]), "its `OrtGetApiBase` returns NULL"),
        (fake(folder, "no-version.so", "0"), "it gives no version (NULL)"),
        (fake(folder, "empty-version.so", "\"\""), "it gives the malformed version \"\""),
        (fake(folder, "word-version.so", "\"latest\""), "it gives the malformed version \"latest\""),
        (fake(folder, "bytes-version.so", "\"\\xff.1\""), "it gives the malformed version \"\u{fffd}.1\""),
        (fake(folder, "old.so", "\"1.16.3\""), "it is version 1.16.3;"),
        (fake(folder, "untested.so", "\"1.19.2\""), "it is version 1.19.2;"),
        (fake(folder, "two.so", "\"2.0.0\""), "it is version 2.0.0;"),
        (fake(folder, "no-api.so", "\"1.32.0\""), "it is version 1.32.0, but does not offer version 17 of its API"),
    ]
}

fn refused(builder: &PredictorBuilder, asked_by: &str, path: &Path, why: &str) -> String {
    let [first, second] = [(); 2].map(|()| builder.clone().build().expect_err("the library is not usable"));
    println!("{first}");
    assert_eq!(first.kind(), ErrorKind::RuntimeNotLoaded);
    assert_eq!(first.to_string(), second.to_string(), "the same answer twice");
    let message = first.message();
    assert!(
        message.starts_with(&format!("{asked_by} {}, ", path.display()).replace('\0', r"\u{0}")),
        "who asked for what: {message}"
    );
    for part in [
        why,
        "; allowed: the absolute path of ONNX Runtime 1.20 or a later 1.x for ",
        "; run `pip install onnxruntime`",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    first.to_string()
}

/// Compares messages with a snapshot, without what differs between machines.
fn compare(name: &str, folder: &Path, messages: &[String]) {
    let program = env::current_exe().unwrap();
    let (os, arch) = (env::consts::OS, env::consts::ARCH);
    let mut prose =
        messages.iter().fold(String::new(), |prose, message| prose + "    RUNTIME_NOT_LOADED: " + message + "\n");
    for (found, shown) in [
        (&*folder.to_string_lossy(), "<folder>"),
        (&*program.parent().unwrap().to_string_lossy(), "<the program's folder>"),
        (&*good().to_string_lossy(), "<library>"),
        (&format!("for {os} {arch};"), "for <this machine>;"),
    ] {
        prose = prose.replace(found, shown);
    }
    // The system's own words.
    let (machines, linker) = ("is built for another machine (", "does not load (");
    for before in [machines, linker] {
        let mut parts = prose.split(before);
        let first = parts.next().unwrap().to_owned();
        prose = parts.fold(first, |prose, part| format!("{prose}{before}…{}", &part[part.find(");").unwrap()..]));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, prose) });
}

fn predicts(builder: PredictorBuilder) {
    // Loading checks the model's golden rows, so that a predictor that loads also predicts.
    builder.build().expect("a good library loads");
}

fn builder() -> PredictorBuilder {
    Predictor::builder().sessions(1)
}

fn good() -> PathBuf {
    [GOOD].iter().chain(&LIBRARY_VARIABLES).find_map(env::var_os).expect("the tests name a library").into()
}

/// Runs the body of this test in a process with these variables and no others that name a library.
fn in_a_child(test: &str, variables: &[(&str, &OsStr)]) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").env(GOOD, good());
    for variable in LIBRARY_VARIABLES {
        command.env_remove(variable);
    }
    let done = command.envs(variables.iter().copied()).output().unwrap();
    let [out, err] = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(done.status.success() && out.contains("1 passed"), "{variables:?}: {}\n{out}{err}", done.status);
    assert_eq!(err, "", "nothing is printed beside the error: {variables:?}");
    for message in out.lines().filter(|line| line.contains("; allowed: ")) {
        println!("{message}");
    }
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

#[test]
fn bad_libraries_named_by_the_option() {
    if !is_child() {
        return in_a_child("bad_libraries_named_by_the_option", &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut messages: Vec<_> = bad_libraries(folder.path())
        .into_iter()
        .map(|(path, why)| refused(&builder().library(&path), "the option `library` names", &path, why))
        .collect();
    predicts(builder().library(good()));

    // From here on the process has its library.
    let other = folder.path().join("old.so");
    let error = builder().library(&other).build().expect_err("another library");
    println!("{error}");
    for part in
        [&*other.to_string_lossy(), &good().to_string_lossy(), "already loaded", "allowed: one", "leave the option"]
    {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    messages.push(error.to_string());
    let link = folder.path().join("link.so");
    symlink(good(), &link).unwrap();
    predicts(builder().library(link));
    predicts(builder());
    compare("bad_libraries", folder.path(), &messages);
}

#[test]
fn bad_libraries_named_by_a_variable() {
    const VARIABLE: &str = "LATENCY_TEST_VARIABLE";
    const WHY: &str = "LATENCY_TEST_WHY";
    if !is_child() {
        let folder = tempfile::tempdir().unwrap();
        let bad = bad_libraries(folder.path());
        for (variable, bad) in [(LIBRARY_VARIABLES[0], &bad[..]), (LIBRARY_VARIABLES[1], &bad[..1])] {
            for (path, why) in bad.iter().filter(|(path, _)| !path.as_os_str().as_bytes().contains(&0)) {
                let variables = [(variable, path.as_os_str()), (VARIABLE, variable.as_ref()), (WHY, why.as_ref())];
                in_a_child("bad_libraries_named_by_a_variable", &variables);
            }
        }
        return;
    }
    let [variable, why] = [VARIABLE, WHY].map(|name| env::var(name).unwrap());
    let path = PathBuf::from(env::var_os(&variable).unwrap());
    let message = refused(&builder(), &format!("{variable} names"), &path, &why);
    if path == Path::new("libonnxruntime.so") {
        compare(&format!("bad_library_in_{variable}"), Path::new("<none>"), &[message]);
    }
    predicts(builder().library(good()));
}

#[test]
fn no_library_at_all() {
    if !is_child() {
        // An empty variable names nothing.
        return in_a_child("no_library_at_all", &[(LIBRARY_VARIABLES[0], OsStr::new(""))]);
    }
    let folder = tempfile::tempdir().unwrap();
    let looking = builder().library_folder(folder.path());
    let program = env::current_exe().unwrap();
    let expected = format!(
        "found no ONNX Runtime library: LATENCY_ORT_DYLIB_PATH and ORT_DYLIB_PATH are not set, and there is no \
         libonnxruntime.so in {}, {}; allowed: ",
        folder.path().display(),
        program.parent().unwrap().display()
    );
    let mut messages = Vec::new();
    for _ in 0..2 {
        let error = looking.clone().build().expect_err("there is no library");
        println!("{error}");
        assert_eq!(error.kind(), ErrorKind::RuntimeNotLoaded);
        assert!(error.message().starts_with(&expected), "{error}");
        assert!(error.message().contains("set LATENCY_ORT_DYLIB_PATH to its file"), "{error}");
        messages = vec![error.to_string()];
    }
    let bad = written(folder.path(), &library_file_name(), b"a text");
    let asked_by = "the package's folder or the program's holds";
    messages.push(refused(&looking, asked_by, &bad, "it is no shared library (it has no ELF header)"));
    compare("no_library", folder.path(), &messages);
    fs::remove_file(&bad).unwrap();
    symlink(good(), bad.with_extension("so.1.32.0")).unwrap();
    predicts(looking);
}

#[test]
fn a_good_library_behind_links_and_with_a_name_that_is_no_text() {
    const TEST: &str = "a_good_library_behind_links_and_with_a_name_that_is_no_text";
    if is_child() {
        return predicts(builder());
    }
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join(OsStr::from_bytes(b"f\xfflder"));
    fs::create_dir(&inner).unwrap();
    let first = inner.join(OsStr::from_bytes(b"lib\xff.so"));
    symlink(good(), &first).unwrap();
    let second = folder.path().join("second.so");
    symlink(&first, &second).unwrap();
    for path in [first, second] {
        in_a_child(TEST, &[(LIBRARY_VARIABLES[0], path.as_os_str())]);
    }
}
