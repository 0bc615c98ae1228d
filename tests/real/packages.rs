//! Services made of packages: what the catalogue holds, at work.

use crate::lace::{Lace, Ran, eventually, may_run};
use crate::load::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const HOST: &str = "site.shop.localhost";

/// Applies a manifest of the application `shop`.
pub fn apply(lace: &Lace, services: &str) -> Ran {
    let file = lace.files().join("lace.toml");
    fs::write(&file, format!("[application]\nname = \"shop\"\n{services}")).expect("written");
    lace.run(&["apply", file.to_str().expect("text")])
}

/// Status and text that the door answers.
fn asked(lace: &Lace, path: &str) -> Option<(u16, String)> {
    let (status, body, _) = Connection::open(lace.door()).and_then(|mut c| c.get(HOST, path, "")).ok()?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The manifest of a site; `more` stands in its settings.
fn site(more: &str) -> String {
    format!(
        "[service.site]\npackage = \"web-static\"\nrelease = {{ path = \"./public\", kind = \"generic\" }}\n\
         settings = {{ max_age = \"1h\"{more} }}\nroutes = [{{ port = 8080 }}]\ncount = 2\n"
    )
}

fn public(dir: &Path) {
    fs::create_dir_all(dir.join("public")).expect("made");
    fs::write(dir.join("public/index.html"), "<h1>here</h1>\n").expect("written");
}

#[test]
fn a_site_is_served_and_a_changed_setting_rolls() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(155, 0);
    public(lace.files());

    // All that does not fit the package is said at once, with its line, and nothing is made.
    let wrong =
        site(", falback = true, workers = 9000").replace("count = 2", "[service.site.family.wob]\ncount = 1");
    let ran = apply(&lace, &wrong).ends(2);
    for hint in ["line 6", "falback", "fallback", "9000", "line 8", "wob", "known here: web"] {
        assert!(ran.err.contains(hint), "{hint} is not named:\n{}", ran.err);
    }
    apply(&lace, &site("").replace("web-static", "web-sttic")).ends(2);
    assert!(lace.run(&["release", "list"]).ok().out.lines().count() <= 1, "nothing was uploaded");

    apply(&lace, &site("")).ok();
    eventually("the page is served", || asked(&lace, "/").is_some_and(|(_, text)| text == "<h1>here</h1>\n"));
    assert_eq!(asked(&lace, "/nothing").expect("an answer").0, 404);
    let context = lace.run(&["exec", "shop/site/1", "--", "cat", "/run/lace/context.json"]).ok().json();
    assert_eq!(context["role"], "web");
    assert_eq!(context["settings"]["max_age"], 3600);
    assert_eq!(context["ports"]["http"], 8080);
    assert_eq!(context["roles"]["web"].as_array().map(Vec::len), Some(2));
    let environment = lace.run(&["exec", "shop/site/1", "--", "env"]).ok().out;
    assert!(environment.contains("LACE_SETTING_MAX_AGE=3600\n"), "{environment}");

    // The same again changes nothing; another setting is a new revision and rolls.
    let file = lace.files().join("lace.toml");
    let plan = ["plan", file.to_str().expect("text"), "--exit-code"];
    lace.run(&plan).ok();
    fs::write(&file, format!("[application]\nname = \"shop\"\n{}", site(", fallback = true")))
        .expect("written");
    let ran = lace.run(&plan).ends(11);
    assert!(
        ran.out.contains("settings.fallback: false -> true") && ran.out.contains("rolls 2 nodes"),
        "{}",
        ran.out
    );
    apply(&lace, &site(", fallback = true")).ok();
    eventually("what is not there is the page", || asked(&lace, "/nothing").is_some_and(|(n, _)| n == 200));
    assert!(lace.run(&["history", "shop/site"]).ok().out.lines().count() >= 3);

    // A manifest that is exported makes the same again.
    let exported = lace.run(&["export", "shop"]).ok().out;
    assert!(exported.contains("package = \"web-static\""), "{exported}");
    fs::write(lace.files().join("exported.toml"), exported).expect("written");
    lace.run(&["plan", lace.files().join("exported.toml").to_str().expect("text"), "--exit-code"]).ok();
}

#[test]
fn a_package_of_ones_own_is_pinned_and_held() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(155, 1);
    let dir = lace.files().join("echo");
    lace.run(&["package", "new", "echo", dir.to_str().expect("text")]).ok();
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, "[service.echo]\npackage = \"echo\"\n").ok();
    let key = lace.run(&["package", "show", "echo", "--format", "json"]).ok().json();
    let key = format!("echo@{}", key["spec"]["version"].as_str().expect("a version"));
    assert!(lace.run(&["status", "shop"]).ok().out.contains(&key));
    let ran = lace.run(&["package", "delete", &key]).ends(8);
    assert!(ran.err.contains("shop/echo"), "{}", ran.err);
    lace.run(&["delete", "shop", "--yes"]).ok();
    eventually("it goes with its service", || lace.run(&["package", "delete", &key]).status == 0);
}

/// A package that writes down what it was told.
fn listener(dir: &Path) {
    for sub in ["scripts", "templates"] {
        fs::create_dir_all(dir.join(sub)).expect("made");
    }
    let text = "[package]\nname = \"listener\"\nversion = \"1\"\n[role.watcher]\n[role.other]\ncount = 0\nmax = 9\n\
                [template]\n\"/etc/others\" = { from = \"templates/others.j2\", roles = [\"watcher\"] }\n[script]\n\
                init = \"scripts/init.sh\"\nconfigure = \"scripts/configure.sh\"\nstart = \"scripts/start.sh\"\n\
                notify = \"scripts/notify.sh\"\n";
    let notify = "#!/bin/sh\nset -eu\n[ \"$LACE_ROLE\" = watcher ] || exit 0\nheard=$(cat /etc/others)\n\
                  [ ! -e /tmp/deaf ] || { echo 'nothing is heard' >&2; exit 1; }\nsleep 1\necho \"$heard\" >> /tmp/told\n";
    let others = "{% for node in roles.other %}{{ node.index }}{% endfor %}\n";
    fs::write(dir.join("package.toml"), text).expect("written");
    fs::write(dir.join("templates/others.j2"), others).expect("written");
    let life = |word: &str| format!("#!/bin/sh\necho {word} \"$LACE_VERB\" >> /tmp/life\n");
    let (init, configure) = (life("init"), life("configure"));
    let start = "#!/bin/sh\nexec sleep 100000\n";
    for (name, text) in
        [("init", init.as_str()), ("configure", &configure), ("start", start), ("notify", notify)]
    {
        let path = dir.join(format!("scripts/{name}.sh"));
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

#[test]
fn a_change_is_told_once_and_none_is_lost() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(155, 2);
    let dir = lace.files().join("listener");
    listener(&dir);
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, "[service.x]\npackage = \"listener\"\n").ok();
    let in_watcher = |words: &str| lace.run(&["exec", "shop/x/watcher/1", "--", "sh", "-c", words]);
    let told = || -> Vec<String> {
        let ran = in_watcher("[ ! -e /tmp/told ] || cat /tmp/told");
        ran.ok().out.lines().map(|line| line.trim().to_owned()).collect()
    };
    let scale = |count: &str| drop(lace.run(&["scale", "shop/x/other", count]).ok());
    assert!(told().is_empty(), "what it was started with is no news");
    let life = || in_watcher("cat /tmp/life").ok().out;
    assert_eq!(life().lines().map(str::trim).collect::<Vec<_>>(), ["init init", "configure configure"]);
    lace.run(&["restart", "shop/x/watcher"]).ok();
    assert_eq!(
        life().lines().count(),
        3,
        "it is initialised once, and configured before each start: {}",
        life()
    );

    scale("1");
    eventually("it is told", || told() == ["1"]);
    // While it is busy changes go together; each run hears something new, the last one everything.
    (2..=5).for_each(|count| scale(&count.to_string()));
    eventually("all of it is told", || told().last().is_some_and(|last| last == "12345"));
    let lines = told();
    assert!(lines.is_sorted() && lines.windows(2).all(|two| two[0] != two[1]), "{lines:?}");

    // It fails: people see why. The agent dies meanwhile, and what was missed is told by the next one.
    in_watcher("touch /tmp/deaf").ok();
    scale("6");
    eventually("the status says why", || {
        lace.run(&["status", "shop", "--format", "json"]).ok().out.contains("nothing is heard")
    });
    lace.kill("agent");
    eventually("another agent is there", || in_watcher("rm /tmp/deaf").status == 0);
    eventually("it is told after all", || told().last().is_some_and(|last| last == "123456"));
    let before = told().len();

    // How the others are is no news here: their restart tells nothing; who they are is.
    lace.run(&["restart", "shop/x/other"]).ok();
    scale("7");
    eventually("it is told", || told().last().is_some_and(|last| last == "1234567"));
    assert_eq!(told().len(), before + 1);
    assert!(!lace.run(&["status", "shop", "--format", "json"]).ok().out.contains("nothing is heard"));
}

/// The manifest of a cache; `more` stands in its settings.
fn cache(replicas: u32, more: &str) -> String {
    format!(
        "[service.cache]\npackage = \"redis\"\nsettings = {{ append = true{more} }}\n[service.cache.family.replica]\n\
         count = {replicas}\n"
    )
}

#[test]
fn redis_replicates_and_follows_its_primary() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(155, 3);
    apply(&lace, &cache(2, "")).ok();
    let redis = |node: &str, words: &str| {
        let node = format!("shop/cache/{node}");
        let words = format!("REDISCLI_AUTH=$LACE_PASSWORD_REDIS redis-cli {words}");
        lace.run(&["exec", &node, "--", "sh", "-c", &words]).out.trim().to_owned()
    };
    assert!(redis("primary/1", "set key first").ends_with("OK"));
    for replica in ["replica/1", "replica/2"] {
        eventually("it is replicated", || redis(replica, "get key").ends_with("first"));
        assert!(redis(replica, "set key mine").contains("READONLY"), "a replica takes no writes");
    }

    // A third finds the packages laid out already: once for all nodes of the host.
    apply(&lace, &cache(3, "")).ok();
    eventually("the third has it too", || redis("replica/3", "get key").ends_with("first"));
    let log = fs::read_to_string(lace.state().join("run/agent.log")).expect("a log");
    let laid_out = log.lines().filter(|line| line.contains("packages laid out")).count();
    assert!(laid_out <= 1, "{log}");

    // The primary's process dies: it comes again with what it had, and the replicas follow it there.
    lace.run(&["node", "signal", "shop/cache/primary/1", "KILL"]).ok();
    eventually("it takes writes again", || redis("primary/1", "set key second").ends_with("OK"));
    eventually("all follow", || {
        (1..=3).all(|n| redis(&format!("replica/{n}"), "get key").ends_with("second"))
    });
    let healthy = ["wait", "shop", "--for", "healthy", "--timeout", "60s"];
    lace.run(&healthy).ok();

    // A setting rolls; a role with one node has always one.
    apply(&lace, &cache(3, ", maxmemory = \"32MiB\"")).ok();
    for node in ["primary/1", "replica/3"] {
        assert!(redis(node, "config get maxmemory").contains("33554432"), "{node}");
    }
    assert!(lace.run(&["scale", "shop/cache/primary", "2"]).ends(2).err.contains("always 1"));

    // A service that links it is told where it is and gets its password, which nobody else sees.
    let app = "[service.app]\ncommand = [\"sleep\", \"100000\"]\nlinks = { store = \"cache\" }\n\
               env = { HOST = \"{{links.store.name}}\", PORT = \"{{links.store.port}}\", STORE = \"{{links.store.url}}\" }\n";
    apply(&lace, &format!("{app}{}", cache(3, ", maxmemory = \"32MiB\""))).ok();
    let in_app =
        |words: &str| lace.run(&["exec", "shop/app/1", "--", "bash", "-c", words]).out.trim().to_owned();
    let asks = "exec 3<>/dev/tcp/$HOST/$PORT; printf '%sGET key\\r\\nQUIT\\r\\n' \"$WHO\" >&3; cat <&3";
    let with_password =
        format!("PW=${{STORE#*//:}}; WHO=$(printf 'AUTH %s\\r\\n.' \"${{PW%@*}}\"); WHO=${{WHO%.}}; {asks}");
    assert!(in_app(asks).contains("NOAUTH"), "{}", in_app(asks));
    assert!(in_app(&with_password).contains("second"), "{}", in_app(&with_password));
    let url = in_app("echo $STORE");
    assert!(
        url.starts_with("redis://:") && url.ends_with("@primary-1.cache.shop.lace.internal:6379"),
        "{url}"
    );
    let password = url.trim_start_matches("redis://:").split('@').next().expect("a password").to_owned();
    for words in [&["export", "shop"][..], &["history", "shop/app"], &["events"], &["secret", "list", "shop"]]
    {
        assert!(!lace.run(words).ok().out.contains(&password), "{words:?}");
    }
    // Another password rolls all who have it.
    lace.run_with(&["secret", "set", "shop", "LACE_PASSWORD_cache"], "another").ok();
    eventually("the other one is known", || {
        in_app(&with_password).contains("OK") && in_app("echo $STORE").contains(":another@")
    });
    lace.run(&healthy).ok();
    // Lace makes another one, as an action; nobody sees it.
    lace.run(&["service", "action", "shop/cache", "renew-password"]).ok();
    eventually("the new one is known", || {
        !in_app("echo $STORE").contains(":another@") && in_app(&with_password).contains("OK")
    });
    lace.run(&healthy).ok();
    let ran = lace.run(&["service", "action", "shop/app", "renew-password"]).ends(8);
    assert!(ran.err.contains("no password"), "{}", ran.err);

    // An action of the package: its parameters have types, and it runs where it can.
    assert!(redis("primary/1", "set key third").ends_with("OK"));
    let flush = ["service", "action", "shop/cache", "flush"];
    let wrong = lace.run(&[&flush[..], &["database=99"]].concat()).ends(2);
    assert!(wrong.err.contains("99 is more than 15"), "{}", wrong.err);
    lace.run(&[&flush[..], &["database=1"]].concat()).ok();
    assert!(redis("primary/1", "get key").ends_with("third"), "that is another database");
    assert!(lace.run(&flush).ok().out.contains("primary/1: OK"));
    eventually("it is forgotten", || redis("replica/1", "exists key").ends_with('0'));

    // What cannot be installed is said where people look.
    let dir = lace.files().join("listener");
    listener(&dir);
    let text = fs::read_to_string(dir.join("package.toml")).expect("read");
    fs::write(dir.join("package.toml"), format!("{text}[image]\npackages = [\"no-such-thing\"]\n"))
        .expect("written");
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    let file = lace.files().join("more.toml");
    fs::write(&file, "[application]\nname = \"more\"\n[service.x]\npackage = \"listener\"\n")
        .expect("written");
    lace.run(&["apply", file.to_str().expect("text"), "--timeout", "1s"]);
    eventually("the status says why", || {
        let status = lace.run(&["status", "more", "--format", "json"]).out;
        status.contains("Unable to locate package no-such-thing")
    });
}

#[test]
fn settings_and_links_that_are_set_at_once_are_all_kept() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.164.2.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    public(lace.files());
    let redis = "[service.a]\npackage = \"redis\"\n[service.b]\npackage = \"redis\"\n[service.x]\ncommand = [\"sleep\", \"100000\"]\n";
    apply(&lace, &format!("{}{redis}", site(""))).ok();
    let exports = |name: &str| lace.run(&["service", "show", name, "--format", "json"]).ok().json();
    for round in 1..=3 {
        let said = [
            ["service", "set", "shop/site", &format!("max_age={round}h"), "--timeout", "1ms"]
                .map(str::to_owned),
            ["service", "set", "shop/site", &format!("index=i{round}.html"), "--timeout", "1ms"]
                .map(str::to_owned),
            ["service", "set", "shop/site", &format!("workers={}", round + 1), "--timeout", "1ms"]
                .map(str::to_owned),
            ["service", "link", "shop/x", "shop/a", "--timeout", "1ms"].map(str::to_owned),
            ["service", "link", "shop/x", "shop/b", "--timeout", "1ms"].map(str::to_owned),
        ];
        std::thread::scope(|scope| {
            let all = said.each_ref().map(|words| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let lace = &lace;
                scope.spawn(move || lace.run(&words))
            });
            for one in all {
                let ran = one.join().expect("ran");
                // Done, or still watched: whoever came last goes on.
                assert!([0, 4].contains(&ran.status), "{}", ran.err);
            }
        });
        let shown = exports("shop/site");
        assert_eq!(shown["settings"]["max_age"], format!("{round}h"), "{shown}");
        assert_eq!(shown["settings"]["index"], format!("i{round}.html"), "{shown}");
        assert_eq!(shown["settings"]["workers"], (round + 1).to_string(), "{shown}");
        let shown = exports("shop/x");
        assert_eq!((&shown["links"]["a"], &shown["links"]["b"]), (&"a".into(), &"b".into()), "{shown}");
        let undone = lace.run(&["service", "unlink", "shop/x", "a", "--timeout", "1ms"]);
        assert!([0, 4].contains(&undone.status), "{}", undone.err);
        assert!(exports("shop/x")["links"]["a"].is_null());
    }
    // A refusal that others have nothing to do with is told as it is.
    let refused = lace.run(&["service", "set", "shop/site", "workers=9000"]).ends(2);
    assert!(refused.err.contains("9000"), "{}", refused.err);
}
