//! Manifests of ConPaaS: its generic example, as its JSON says it.

use crate::generic::{GOOD, Work, code};
use crate::lace::{Lace, eventually, may_run};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Serves the files of a directory over HTTP, as long as the test lasts. The answer is its port.
fn http(root: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream, &root);
        }
    });
    port
}

fn serve(mut stream: TcpStream, root: &Path) -> std::io::Result<()> {
    let mut read = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    read.read_line(&mut first)?;
    let name = first.split_whitespace().nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    while read.read_line(&mut first)? > 2 {}
    let (status, body) = match fs::read(root.join(name)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// The guide's five scripts as an archive without a directory at its top, and a startup script.
fn published(lace: &Lace) -> PathBuf {
    let dir = lace.files().join("published");
    code(&dir);
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(dir.join("generic.tar.gz")).arg("-C").arg(dir.join("code"));
    let made = tar.args(["init.sh", "notify.sh", "run.sh", "interrupt.sh", "cleanup.sh"]).status();
    assert!(made.expect("tar").success());
    fs::write(dir.join("startup.sh"), "#!/bin/bash\necho \"{{ startup }} of $MY_ROLE\" > /root/startup\n")
        .expect("written");
    dir
}

#[test]
fn the_generic_example_runs_from_its_json_manifest() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.164.0.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let port = http(&published(&lace));
    let file = lace.files().join("example.json");
    let example = |more: &str| {
        format!(
            "{{\"Description\": \"the example of the guide\", \"Application\": \"Generic example\", \"Services\": [\
             {{\"Type\": \"generic\", \"ServiceName\": \"My work\", \"Cloud\": \"default\", \"Start\": 1,\
               \"Archive\": \"http://127.0.0.1:{port}/generic.tar.gz\",\
               \"StartupScript\": \"http://127.0.0.1:{port}/startup.sh\",\
               \"StartupInstances\": {{\"master\": \"1\", \"node\": \"2\"}} }}{more}]}}"
        )
    };
    let command = |verb: &str| lace.run(&[verb, "--from", "conpaas", file.to_str().expect("text")]);

    // What has no package is told at once, and nothing is made.
    fs::write(&file, example(", {\"Type\": \"mysql\"}, {\"Type\": \"php\", \"Archve\": \"x\"}"))
        .expect("written");
    for verb in ["plan", "apply"] {
        let said = command(verb).ends(2).err;
        for part in
            ["Services[1].Type", "mysql", "Services[2].Type", "php", "Services[2].Archve", "package new"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert!(
        lace.run(&["app", "list", "--format", "json"]).ok().json().as_array().expect("a list").is_empty()
    );

    // One that shall run, and one that shall not.
    fs::write(&file, example(", {\"Type\": \"generic\", \"ServiceName\": \"later\", \"Start\": 0}"))
        .expect("written");
    let planned = command("plan").ok();
    assert!(
        planned.out.contains("generic-example/my-work") && planned.err.contains("later"),
        "{}",
        planned.err
    );
    let applied = command("apply").ok();
    assert!(applied.err.contains("\"My work\" is my-work here"), "{}", applied.err);
    let work = Work(&lace, "generic-example/my-work");
    eventually("each node is initialised", || work.all_stand("init.sh", GOOD, 3));
    for (node, role) in [("master/1", "master"), ("node/1", "node"), ("node/2", "node")] {
        assert_eq!(work.in_node(node, "cat /root/startup"), format!("{{{{ startup }}}} of {role}\n"));
        assert!(work.in_node(node, "cat /root/generic.out").contains(&format!("My role is {role}")));
    }
    work.action(&["run", "parameters=one two"]).ok();
    eventually("it ran", || work.all_stand("run.sh", GOOD, 3));
    assert!(work.in_node("node/2", "cat /root/generic.out").contains("Parameters (2): one two"));
    let nodes = |service: &str| {
        let listed = lace.run(&["node", "list", service, "--format", "json"]).ok().json();
        listed.as_array().expect("a list").iter().filter(|node| node["status"]["phase"] == "running").count()
    };
    assert_eq!((nodes("generic-example/my-work"), nodes("generic-example/later")), (3, 0));

    // The same again changes nothing, and what was started by hand stays.
    lace.run(&["start", "generic-example/later"]).ok();
    command("apply").ok();
    lace.run(&["wait", "generic-example", "--for", "healthy", "--timeout", "60s"]).ok();
    let again = lace.run(&["plan", "--from", "conpaas", file.to_str().expect("text"), "--exit-code"]).ok();
    assert!(again.out.contains("nothing to do"), "{}", again.out);
    let written = lace.run(&["export", "generic-example"]).ok().out;
    assert!(written.contains("[service.my-work]"), "{written}");
}
