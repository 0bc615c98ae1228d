//! Every key of a manifest, once: its shape, its help, an example and what holds without it.
//!
//! Parser, JSON Schema and reference are made from these tables. A key whose feature is not built yet is marked
//! [`super::shape::Known::later`]: it is checked like the others, then refused, never ignored.

use super::format::Format;
use super::shape::{Form, Shape, form, key};
use crate::route::WEIGHT_MAX;

/// Most nodes of a family that a manifest may ask for.
const COUNT_MAX: i64 = super::COUNT_MAX as i64;

const TEXT: Shape = Shape::Text(Format::Any);
const SPAN: Shape = Shape::Text(Format::Span);
const NAME: Shape = Shape::Text(Format::Name);
const SIZE: Shape = Shape::Amount(Format::Size);
const LOCAL: Shape = Shape::Text(Format::LocalPath);

/// The file as a whole.
pub(crate) static ROOT: Shape = Shape::Table(&Form {
    name: "manifest",
    keys: &[
        key("application", Shape::Table(&APPLICATION), r#"{ name = "shop" }"#, "the application").required(),
        key(
            "vars",
            Shape::Map(Format::Variable, &Shape::Table(&VARIABLE)),
            "{ nodes = { default = 1 } }",
            "variables: `{{vars.NAME}}` in any text, `--var NAME=VALUE` wins over the stage, the stage over the default",
        ),
        key(
            "stage",
            Shape::Map(Format::Name, &Shape::Table(&STAGE)),
            "{ production = { vars = { nodes = 3 } } }",
            "what differs in a stage, chosen by `--stage NAME`",
        ),
        key(
            "service",
            Shape::Map(Format::Name, &Shape::Table(&SERVICE)),
            r#"{ game = { command = ["bin/game"] } }"#,
            "the services by name",
        ),
    ],
    one_of: &[],
    layered: true,
});

static APPLICATION: Form = form(
    "application",
    &[
        key("name", NAME, r#""shop""#, "its name").required(),
        key("budget", Shape::Table(&BUDGET), "{ monthly = 40.0 }", "what it may cost").later(),
    ],
);

static BUDGET: Form = form(
    "budget",
    &[
        key("monthly", Shape::Number, "40.0", "credits a month").required(),
        key(
            "at_limit",
            Shape::OneOf(&["refuse", "degrade", "stop-and-keep"]),
            r#""refuse""#,
            "what happens at the limit",
        )
        .or("refuse"),
    ],
);

static VARIABLE: Form = form(
    "variable",
    &[
        key("default", Shape::Scalar, "1", "its value where neither stage nor --var says one"),
        key("help", TEXT, r#""size of the cluster""#, "what it is for"),
    ],
);

static STAGE: Form = form(
    "stage",
    &[
        key(
            "vars",
            Shape::Map(Format::Variable, &Shape::Scalar),
            "{ nodes = 3 }",
            "values of variables in this stage",
        ),
        key(
            "service",
            Shape::Map(Format::Name, &Shape::Table(&SERVICE)),
            "{ game = { count = 5 } }",
            "keys of services that differ in this stage; tables of names (env, files, ...) are merged by name",
        ),
    ],
);

/// Room and number of nodes: keys of a family, and of a service that has one family.
macro_rules! sizing {
    ($($more:expr),* $(,)?) => {
        &[
            key("count", Shape::Whole(0, COUNT_MAX), "3", "how many nodes").or("1"),
            key("cpu", Shape::Amount(Format::Cpu), "0.5", "processors of each node").or("0.25"),
            key("memory", SIZE, r#""256MiB""#, "memory of each node").or("128MiB"),
            key("disk", SIZE, r#""2GiB""#, "disk of each node, volumes aside").or("1GiB"),
            key("pids", Shape::Whole(1, 4_000_000), "512", "processes and threads of each node").or("1024"),
            key(
                "select",
                Shape::OneOf(&["cheapest", "spread", "pack", "first", "random", "round-robin"]),
                r#""spread""#,
                "how hosts are chosen",
            )
            .or("spread"),
            key("per_host", Shape::Whole(1, COUNT_MAX), "1", "at most so many nodes of the family on one host")
                .or("no limit"),
            key("where", TEXT, r#"'region == "eu"'"#, "which hosts may be used (CEL)").or("all"),
            key("pools", Shape::List(&NAME), r#"["private"]"#, "pools in the order in which they are used").or("all hosts"),
            key("scale", Shape::Table(&SCALE), "{ min = 1, max = 10 }", "scaling by load"),
            $($more),*
        ]
    };
}

static SCALE: Form = form(
    "scale",
    &[
        key("min", Shape::Whole(0, COUNT_MAX), "1", "never fewer nodes").required(),
        key("max", Shape::Whole(1, COUNT_MAX), "10", "never more nodes").required(),
        key(
            "target",
            Shape::Text(Format::ScaleTarget),
            r#""response_time_ms < 300""#,
            "what shall hold, of response_time_ms, requests_per_node and open_per_node",
        ),
        key("idle", SPAN, r#""5m""#, "min = 0: the last node ends when nobody has asked for so long")
            .or("5m"),
    ],
);

static FAMILY: Form = Form { name: "family", keys: sizing![], one_of: &[], layered: true };

/// Keys of [`FAMILY`] that a service without `family` tables may have itself.
pub(crate) fn sizing_keys() -> impl Iterator<Item = &'static str> {
    FAMILY.keys.iter().map(|known| known.name)
}

pub(crate) static SERVICE: Form = Form {
    name: "service",
    keys: sizing![
        key(
            "release",
            Shape::Either(&[Shape::Text(Format::Release), Shape::Table(&RELEASE)]),
            r#""game@1.2.0""#,
            "the release it runs: uploaded before, or made from a path",
        ),
        key(
            "command",
            Shape::Words,
            r#"["bin/game"]"#,
            "what runs: without a release, or instead of its own start"
        ),
        key(
            "templates",
            Shape::List(&LOCAL),
            r#"["etc/vm.args"]"#,
            "files of the release that are templates"
        ),
        key(
            "env",
            Shape::Map(Format::Variable, &Shape::Scalar),
            r#"{ PORT = "8080" }"#,
            "environment; values are templates"
        ),
        key(
            "secrets",
            Shape::List(&Shape::Text(Format::Variable)),
            r#"["API_KEY"]"#,
            "names of secrets, given as environment"
        ),
        key(
            "files",
            Shape::Map(Format::Path, &Shape::Either(&[LOCAL, Shape::Table(&FILE)])),
            r#"{ "/etc/game.conf" = "./game.conf.j2" }"#,
            "files that are written into each node; contents are templates",
        ),
        key("needs", Shape::List(&NAME), "[]", "services that must be healthy first"),
        key(
            "firewall",
            Shape::List(&Shape::Text(Format::Opening)),
            r#"["tcp:9100 from any"]"#,
            "openings from outside the application"
        ),
        key(
            "volumes",
            Shape::List(&Shape::Table(&VOLUME)),
            r#"[{ name = "data", size = "1GiB", at = "/data" }]"#,
            "storage that outlives a node, one per node index",
        ),
        key(
            "isolation",
            Shape::OneOf(&["border", "host", "host-root"]),
            r#""host""#,
            "all of its own, or the host's network and files: as a user without rights, or as the host's root",
        )
        .or("border"),
        key("beam", Shape::Table(&BEAM), "{ net_ticktime = 8 }", "what an Erlang or Elixir cluster wants"),
        key(
            "bootstrap",
            Shape::Either(&[Shape::Text(Format::Bootstrap), Shape::Words, Shape::Table(&BOOTSTRAP)]),
            r#""join-first""#,
            "how nodes join: by connecting to the first, by a command on each node once it is good, or not at all (none)",
        ),
        key(
            "before",
            Shape::List(&Shape::Words),
            r#"[["bin/game", "migrate"]]"#,
            "jobs before each rollout; a failure stops it"
        ),
        key("check", Shape::Table(&CHECK), r#"{ http = ":8080/up" }"#, "is a node ready?"),
        key("live", Shape::Table(&CHECK), r#"{ tcp = ":8080" }"#, "is a node alive? If not it is restarted"),
        key("stop", Shape::Table(&STOP), r#"{ signal = "TERM" }"#, "how a node stops"),
        key("rollout", Shape::Table(&ROLLOUT), r#"{ max_unavailable = 1 }"#, "how a new revision comes"),
        key("restart", Shape::Table(&RESTART), r#"{ backoff = "1s..60s" }"#, "restarts of a crashed process"),
        key(
            "state",
            Shape::OneOf(&["replaceable", "single-writer", "pinned"]),
            r#""replaceable""#,
            "what a failed host means; with volumes a node is pinned to its host unless this says otherwise"
        )
        .or("replaceable, with volumes pinned"),
        key(
            "task",
            Shape::Map(Format::Name, &Shape::Table(&TASK)),
            r#"{ sweep = { command = ["bin/sweep"], schedule = "0 3 * * *" } }"#,
            "scheduled jobs by name",
        ),
        key(
            "family",
            Shape::Map(Format::Name, &Shape::Table(&FAMILY)),
            "{ backend = { count = 2 } }",
            "families by name"
        )
        .or("one, named after the service"),
        key(
            "package",
            Shape::Text(Format::Release),
            r#""redis@1""#,
            "the package that says how this kind of service runs; its roles are the families"
        ),
        key(
            "settings",
            Shape::Map(Format::Any, &Shape::Scalar),
            r#"{ max_upload = "64MiB" }"#,
            "settings of the package"
        ),
        key(
            "links",
            Shape::Map(Format::Variable, &NAME),
            r#"{ db = "db" }"#,
            "services whose interfaces it uses: `links.NAME.url`, `.name`, `.address`, `.port`, `.password` in templates"
        ),
        key(
            "routes",
            Shape::List(&Shape::Table(&ROUTE)),
            r#"[{ host = "shop.example.com", port = 8080 }]"#,
            "doors from outside",
        ),
    ],
    one_of: &[],
    layered: true,
};

static RELEASE: Form = form(
    "release",
    &[
        key("name", NAME, r#""game""#, "its name").or("the name of the service"),
        key("version", Shape::Text(Format::Version), r#""1.2.0""#, "its version")
            .or("as the release says; without a path, the newest"),
        key("path", LOCAL, r#"".""#, "a directory or an archive, from the manifest's place"),
        key(
            "build",
            Shape::List(&Shape::Words),
            r#"[["mix", "release"]]"#,
            "commands that make it, run in the path",
        ),
        key("output", LOCAL, r#""_build/prod/rel/game""#, "where they put it, from the path"),
        key("kind", Shape::OneOf(&["relx", "mix", "generic"]), r#""relx""#, "what sort it is")
            .or("recognised"),
        key("start", Shape::Words, r#"["bin/game", "start"]"#, "what runs it in the foreground")
            .or("by kind, or the Procfile"),
        key("stop", Shape::Words, r#"["bin/game", "stop"]"#, "what stops it, before the signal"),
        key("templates", Shape::List(&LOCAL), r#"["etc/vm.args"]"#, "files of it that are templates"),
    ],
);

static FILE: Form = Form {
    name: "file",
    keys: &[
        key("from", LOCAL, r#""./game.conf.j2""#, "where its content is read, from the manifest's place"),
        key("content", Shape::Text(Format::Content), r#""port = 8080""#, "its content"),
        key("mode", Shape::Text(Format::Mode), r#""0600""#, "permission bits").or("0644"),
        key("verbatim", Shape::Flag, "true", "written as it is, without rendering").or("false"),
    ],
    one_of: &["from", "content"],
    layered: false,
};

static VOLUME: Form = form(
    "volume",
    &[
        key("name", NAME, r#""data""#, "its name").required(),
        key("size", SIZE, r#""10GiB""#, "its size").required(),
        key("at", Shape::Text(Format::Path), r#""/var/lib/game""#, "where it is in the node").required(),
        key("backup", Shape::Text(Format::Cron), r#""0 2 * * *""#, "when it is backed up").or("never"),
        key("keep", Shape::Whole(1, 10_000), "7", "how many backups are kept").or("all"),
    ],
);

static BOOTSTRAP: Form = form(
    "bootstrap",
    &[
        key("command", Shape::Words, r#"["bin/x", "join", "x@{{first}}"]"#, "run on each node").required(),
        key(
            "with",
            Shape::Text(Format::Kin),
            r#""db""#,
            "another service of the application (or SERVICE/FAMILY): {{first}} is its first ready node",
        )
        .or("the node's own family"),
        key("each_start", Shape::Flag, "true", "run at each start of the process: what it does ends with it")
            .or("once in a node's life"),
    ],
);

static BEAM: Form = form(
    "beam",
    &[
        key("name", Shape::Text(Format::Atom), r#""game""#, "the part of node names before the @")
            .or("the service's name"),
        key("names", Shape::OneOf(&["dns", "address"]), r#""dns""#, "the part behind the @").or("dns"),
        key("failover", Shape::Text(Format::Atom), r#""game""#, "the distributed application").or("none"),
        key("backups", Shape::Whole(0, 100), "2", "how many nodes may take it over").or("1"),
        key(
            "votes",
            Shape::Flag,
            "true",
            "the nodes (and the controller, beside an even number) vote on who runs it: never two, whatever is cut off",
        )
        .or("true"),
        key("takeover", Shape::Flag, "true", "the first node takes it again when it is back").or("true"),
        key("failover_timeout", SPAN, r#""2s""#, "from a node's death to the start elsewhere").or("2s"),
        key("net_ticktime", Shape::Whole(1, 3600), "8", "seconds after which a silent node counts as gone")
            .or("8"),
        key("sync_timeout", SPAN, r#""5s""#, "how long nodes wait for one another at start").or("5s"),
        key("join", Shape::Flag, "true", "nodes connect to the first one").or("true"),
        key(
            "applications",
            Shape::List(&Shape::Text(Format::Atom)),
            r#"["game"]"#,
            "must run before a node is ready",
        ),
        key(
            "replace_loopback",
            Shape::Flag,
            "true",
            "127.0.0.1 in vm.args and sys.config becomes the node's address",
        )
        .or("false"),
        key(
            "epmd",
            Shape::Flag,
            "true",
            "each node has an epmd on port 4369 of its own; else none is needed",
        )
        .or("false"),
        key(
            "connect_all",
            Shape::Flag,
            "false",
            "nodes connect to all that the others know; else no `global`",
        )
        .or("true"),
        key(
            "cluster_size",
            Shape::Whole(0, 1000),
            "20",
            "clusters of at most so many nodes; 0 for one cluster",
        )
        .or("0"),
        key(
            "gateways",
            Shape::Whole(0, 100),
            "2",
            "nodes of each cluster that are connected to other clusters",
        )
        .or("1"),
        key(
            "global_groups",
            Shape::Either(&[Shape::Flag, Shape::Map(Format::Atom, &Shape::Text(Format::Group))]),
            r#"{ left = "1-3", right = "4-6" }"#,
            "global groups of OTP, each a range of nodes (`hidden`: unseen by the others); `true`: each cluster is one",
        )
        .or("false"),
        key(
            "tls",
            Shape::Flag,
            "true",
            "distribution over TLS with certificates that Lace makes and renews; the release carries `ssl`",
        )
        .or("false"),
        key(
            "tls_lifetime",
            SPAN,
            r#""14d""#,
            "how long those certificates are good (1m at least); renewed after a third of it",
        )
        .or("14d"),
    ],
);

static CHECK: Form = Form {
    name: "check",
    keys: &[
        key("http", Shape::Text(Format::HttpDoor), r#"":8080/up""#, "GET answers 200 to 399"),
        key("tcp", Shape::Text(Format::TcpDoor), r#"":8080""#, "a connection opens"),
        key("exec", Shape::Words, r#"["bin/x", "ping"]"#, "a command in the node exits 0"),
        key("interval", SPAN, r#""2s""#, "between two probes").or("2s"),
        key("timeout", SPAN, r#""1s""#, "for one probe").or("1s"),
        key("failures", Shape::Whole(1, 1000), "3", "so many in a row count").or("3"),
        key("grace", SPAN, r#""20s""#, "after a start, failures do not count").or("20s"),
    ],
    one_of: &["http", "tcp", "exec"],
    layered: false,
};

/// Signals that may stop a node.
const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL", "PWR"];

static STOP: Form = form(
    "stop",
    &[
        key("signal", Shape::OneOf(SIGNALS), r#""TERM""#, "the signal").or("TERM"),
        key("timeout", SPAN, r#""30s""#, "after that everything in the node is killed").or("30s"),
        key("command", Shape::Words, r#"["bin/x", "stop"]"#, "a command before the signal"),
    ],
);

static ROLLOUT: Form = form(
    "rollout",
    &[
        key(
            "strategy",
            Shape::OneOf(&["rolling", "blue-green", "canary", "all-at-once", "hot"]),
            r#""rolling""#,
            "how",
        )
        .or("rolling"),
        key(
            "max_unavailable",
            Shape::Amount(Format::Share),
            "1",
            "so many nodes, or so many in a hundred (25%), may be away at a time",
        )
        .or("1"),
        key(
            "healthy_for",
            SPAN,
            r#""5s""#,
            "a node ready for so long (500ms at least) is good: the next follows",
        )
        .or("1s"),
        key("deadline", SPAN, r#""120s""#, "a node that is not ready by then fails the revision").or("2m"),
        key("revert", Shape::Flag, "true", "a failed revision goes back by itself").or("true"),
        key(
            "max_errors",
            Shape::Amount(Format::Share),
            r#""5%""#,
            "so many of its answers, or of a hundred, may be errors before a new revision fails",
        ),
        key("keep", SPAN, r#""30s""#, "blue-green: the old nodes stay for so long after the switch")
            .or("10s"),
        key(
            "steps",
            Shape::List(&Shape::Amount(Format::Share)),
            r#"["5%", "25%"]"#,
            "canary: the share of nodes and requests of each step (a number: of nodes)",
        )
        .or("[1]"),
        key(
            "pause",
            SPAN,
            r#""30s""#,
            "canary: the next step comes after so long; else by `rollout promote`",
        ),
    ],
);

static RESTART: Form = form(
    "restart",
    &[key("backoff", Shape::Text(Format::SpanRange), r#""1s..60s""#, "shortest and longest wait")
        .or("500ms..1m")],
);

static TASK: Form = form(
    "task",
    &[
        key("command", Shape::Words, r#"["bin/sweep"]"#, "what runs").required(),
        key(
            "schedule",
            Shape::Text(Format::Cron),
            r#""0 3 * * *""#,
            "when: minute, hour, day, month, weekday",
        )
        .required(),
        key(
            "overlap",
            Shape::OneOf(&["skip", "allow", "queue"]),
            r#""skip""#,
            "when the former run still goes on",
        )
        .or("skip"),
        key("timezone", Shape::Text(Format::Zone), r#""Europe/Stockholm""#, "time zone of the schedule")
            .or("UTC"),
    ],
);

static ROUTE: Form = form(
    "route",
    &[
        key("host", Shape::Text(Format::HostName), r#""shop.example.com""#, "host name")
            .or("SERVICE.APPLICATION.localhost"),
        key("path", Shape::Text(Format::PathPrefix), r#""/""#, "the beginning of the path").or("/"),
        key("port", Shape::Whole(1, 65535), "8080", "port of the nodes").required(),
        key("listen", Shape::Whole(1, 65535), "5432", "TCP instead of HTTP: the port that hosts listen on"),
        key(
            "tls",
            Shape::OneOf(&["off", "auto", "internal"]),
            r#""auto""#,
            "plain HTTP, TLS where a certificate is held or can be obtained, or TLS by our own authority",
        )
        .or("auto"),
        key("sticky", Shape::Flag, "true", "a client stays with the node that it got first").or("false"),
        key("log", Shape::Flag, "true", "write each request to the access log of the host").or("false"),
        key(
            "families",
            Shape::Map(Format::Name, &Shape::Whole(0, WEIGHT_MAX as i64)),
            "{ backend = 90, canary = 10 }",
            "families that answer, each with its part of the requests",
        )
        .or("every node of the service alike"),
        key("concurrency", Shape::Whole(1, 100_000), "50", "requests that a node gets at a time; more wait")
            .or("no limit"),
    ],
);
