//! Packages on the person's machine: made, checked, with everything that is wrong said at once.

use crate::fake::{Fake, Line, Ran};
use lace_model::package::StoredPackage;
use lace_model::release::Tree;
use lace_model::{Code, Digest};
use lace_wire::api::PackageUpload;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn lace(dir: &Path, line: &str) -> Ran {
    Line::new(dir).run(&line.split_whitespace().collect::<Vec<_>>())
}

fn write(dir: &Path, path: &str, text: &str, mode: u32) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// A directory with the package that `lace package new` makes.
fn fresh() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    let made = lace(dir.path(), "package new echo");
    assert_eq!(
        (made.exit, made.out.as_str()),
        (0, "echo is made; change it, then: lace package check echo\n")
    );
    dir
}

#[test]
fn a_new_package_is_good_and_is_not_written_over() {
    let dir = fresh();
    let checked = lace(dir.path(), "package check echo");
    assert_eq!(checked.exit, 0, "{checked:?}");
    let good = "package echo@0.1 is good: 2 scripts, 1 templates, 2 settings, 1 golden files\n";
    assert!(checked.out.starts_with(good), "{checked:?}");
    let golden = fs::read_to_string(dir.path().join("echo/golden/usual/etc/echo.conf")).expect("golden");
    assert_eq!(golden, "hello from node-1.echo.sample.lace.internal, one of 1\n");
    let again = lace(dir.path(), "package new echo");
    assert_eq!(again.exit, 8, "{again:?}");
    assert!(again.err.contains("echo is there already"), "{again:?}");
    let report = lace(dir.path(), "--format json package check echo").json();
    assert_eq!((report["package"].as_str(), report["golden"].as_u64()), (Some("echo@0.1"), Some(1)));
}

#[test]
fn everything_wrong_with_a_package_is_said_at_once() {
    let dir = fresh();
    let package = dir.path().join("echo");
    let more = "\n[script.init]\nfile = \"scripts/init.sh\"\n[action.greet]\nscript = \"scripts/greet.sh\"\n\
                [template.\"/etc/other.conf\"]\nfrom = \"templates/other.j2\"\n";
    let text = fs::read_to_string(package.join("package.toml")).expect("text");
    write(&package, "package.toml", &(text + more), 0o644);
    write(&package, "scripts/start.sh", "#!/bin/sh\r\nexec sleep 9\r\n", 0o755);
    write(&package, "scripts/notify.sh", "exit 0\n", 0o755);
    write(&package, "scripts/greet.sh", "#!/bin/sh\necho hi\n", 0o644);
    write(&package, "templates/other.j2", "{{ settings.wrods }}\n", 0o644);
    write(&package, "templates/motd.j2", "{{ settings.words }}!\n", 0o644);
    write(&package, "golden/usual/etc/stale.conf", "x", 0o644);
    write(&package, "samples/loud.toml", "[settings]\nevery = \"1ms\"\n", 0o644);
    write(&package, "notes.bin", "x", 0o644);
    let checked = lace(dir.path(), "package check echo");
    assert_eq!(checked.exit, 2, "{checked:?}");
    insta::assert_snapshot!(checked.err, @r#"
    remark: notes.bin: nothing names it
    error: package echo@0.1 has 8 mistakes
      scripts/greet.sh: it is not executable (chmod +x)
      scripts/init.sh: is not there
      scripts/notify.sh: its first line does not say what runs it (write #!/bin/sh)
      scripts/start.sh: its lines end with CR LF: no interpreter is found so (save it with LF)
      templates/other.j2: there is no setting "wrods" (did you mean "words"?)
      samples/loud.toml: line 2, column 9: settings.every: 1ms is less than 1s
      golden/usual/etc/echo.conf: no template makes it (if that is right: --bless)
      golden/usual/etc/stale.conf: no template makes it (if that is right: --bless)
      hint: mend it, then: lace package check DIR
    "#);
    write(&package, "samples/loud.toml", "[settings]\nwords = \"HEY\"\n", 0o644);
    let checked = lace(dir.path(), "package check echo");
    assert!(
        checked.err.contains("golden/loud/etc/echo.conf: is not there (if that is right: --bless)"),
        "{checked:?}"
    );
}

#[test]
fn a_changed_template_shows_until_it_is_blessed() {
    let dir = fresh();
    let package = dir.path().join("echo");
    write(&package, "templates/motd.j2", "{{ settings.words }}\n", 0o644);
    let checked = lace(dir.path(), "package check echo");
    let line = "golden/usual/etc/echo.conf: line 1 is \"hello from node-1.echo.sample.lace.internal, one of 1\", \
                the template makes \"hello\" (if that is right: --bless)";
    assert!(checked.err.contains(line), "{checked:?}");
    write(&package, "golden/usual/etc/stale.conf", "x", 0o644);
    let blessed = lace(dir.path(), "package check echo --bless");
    assert_eq!(blessed.exit, 0, "{blessed:?}");
    assert!(!package.join("golden/usual/etc/stale.conf").exists());
    assert_eq!(lace(dir.path(), "package check echo").exit, 0);
}

#[test]
fn mistakes_in_package_toml_have_their_lines() {
    let dir = tempfile::tempdir().expect("directory");
    write(dir.path(), "p/package.toml", "[package]\nname = \"p\"\n[role.x]\ncuont = 1\n", 0o644);
    let checked = lace(dir.path(), "package check p");
    assert_eq!(checked.exit, 2);
    for words in [
        "error: package.toml has 3 mistakes",
        "line 4, column 1: role.x.cuont: the key is not known (did you mean \"count\"?)",
        "package.version: the key is missing (write version = \"1\")",
        "script: the key is missing",
    ] {
        assert!(checked.err.contains(words), "{words}: {checked:?}");
    }
    assert_eq!(lace(dir.path(), "package check nowhere").exit, 7);
    fs::create_dir(dir.path().join("empty")).expect("made");
    let empty = lace(dir.path(), "package check empty");
    assert_eq!(empty.exit, 7);
    assert!(empty.err.contains("there is no package here: package.toml is not there"), "{empty:?}");
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("p/out")).expect("linked");
    assert!(lace(dir.path(), "package check p").err.contains("the link points to an absolute path"));
}

#[test]
fn shellcheck_is_asked_where_it_is_installed() {
    let found = |dir: &str| Path::new(dir).join("shellcheck").exists();
    if !["/usr/bin", "/usr/local/bin", "/bin"].into_iter().any(found) {
        return;
    }
    let dir = fresh();
    write(&dir.path().join("echo"), "scripts/notify.sh", "#!/bin/sh\nfor f in `ls`; do cd $f; done\n", 0o755);
    let checked = lace(dir.path(), "package check echo");
    assert_eq!(checked.exit, 2, "{checked:?}");
    assert!(checked.err.contains("scripts/notify.sh:2:"), "{checked:?}");
    assert!(checked.err.contains("SC"), "{checked:?}");
}

fn stored(dir: &Path) -> StoredPackage {
    let text = fs::read_to_string(dir.join("echo/package.toml")).expect("text");
    let spec = lace_model::package::parse(&text).expect("a package");
    StoredPackage {
        spec,
        tree: Digest::of(b"tree"),
        bytes: 2_000,
        built_in: false,
        uploaded_at: crate::fake::NOW - 9_000,
    }
}

#[test]
fn only_a_good_package_travels() {
    let fake = Fake::start();
    assert_eq!(fake.lace(&["package", "new", "echo"]).exit, 0);
    let kept = stored(fake.dir());
    fake.on("POST /v1/blobs/missing", Vec::<Digest>::new()).on("POST /v1/packages", &kept);
    let ran = fake.lace(&["package", "upload", "echo"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "echo@0.1\n"), "{ran:?}");
    let called = fake.called();
    let call = called.iter().find(|call| call.line == "POST /v1/packages").expect("uploaded");
    let upload: PackageUpload = serde_json::from_slice(&call.body).expect("an upload");
    let paths = |tree: &Tree| tree.entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
    assert!(paths(&upload.tree).contains(&"package.toml".to_owned()));

    let asked = fake.called().len();
    write(&fake.dir().join("echo"), "scripts/start.sh", "exit 0\n", 0o755);
    let ran = fake.lace(&["package", "upload", "echo"]);
    assert_eq!(ran.exit, Code::InvalidPackage.exit_status(), "{ran:?}");
    assert_eq!(fake.called().len(), asked, "nobody was asked");
}

#[test]
fn packages_are_listed_and_shown() {
    let fake = Fake::start();
    assert_eq!(fake.lace(&["package", "new", "echo"]).exit, 0);
    let kept = stored(fake.dir());
    fake.on("GET /v1/packages", [&kept]).on("GET /v1/packages/echo", &kept);
    insta::assert_snapshot!(fake.lace(&["package", "list"]).out, @r"
    NAME  VERSION  ROLES  SIZE   SINCE  SUMMARY
    echo  0.1      node   2 KiB  9s     says something every few seconds
    ");
    let shown = fake.lace(&["package", "show", "echo"]).out;
    let shown: Vec<&str> = shown.lines().filter(|line| !line.starts_with("tree")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    package   echo@0.1
    summary   says something every few seconds
    release   takes none
    role      node (1) says it
    setting   every = 5s (time, 1s..1h) how often
    setting   words = hello (text, ..200) what is said
    ");
}
