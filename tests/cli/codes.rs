//! Every command ends with the exit status of the code that stopped it.

use crate::fake::{Fake, Line};
use crate::samples::{self, accepted, operation, uuid};
use lace_model::Code;
use lace_model::operation::OperationState;

/// Command lines that ask the controller something, without their passing on of another status.
fn asking() -> Vec<Vec<String>> {
    let id = uuid(1);
    let lines = format!(
        "status
status shop
wait shop --timeout 1s
why shop/game
history shop/game
rollback shop/game --to 2
rollout show shop/game
rollout pause shop/game
rollout resume shop/game
rollout promote shop/game
rollout abort shop/game
scale shop/game 5
start shop/game
stop shop/game
restart shop/game
delete shop/game --force
replace shop/game/2
export shop
top
logs shop/game
events
run --detach shop/game -- true
op list
op show {id}
op cancel {id}
op wait {id}
release list
release show game@1.2.0
release activate shop/game game@1.2.0
release download game@1.2.0 out
release delete game@1.1.0
app create shop
app list
app show shop
app delete shop
family create shop/game --release game
family set shop/game --cpu 1
family show shop/game
node add shop/game 2
node remove shop/game/3
node list
node show shop/game/1
host list
volume list shop/game
host show alpha
host drain alpha
host undrain alpha
host remove alpha
firewall set shop/game tcp:80
firewall show shop/game
firewall clear shop/game
secret set shop KEY
secret list shop
secret remove shop KEY
secret rotate shop KEY
job list
job show {id}
job logs {id}
job cancel {id}
token create ci
token list
token remove {id}
user add anna
user list
user link anna
user lock anna
user unlock anna
user password
user sign-up
user remove anna
team add ops
team list
team join ops anna
team leave ops anna
team remove ops
grant add anna --role viewer
grant list
grant remove anna --role viewer
audit
audit --verify
server info
server backup backup.lace
server adopted
forward shop/game 0:80
app rename shop store
node signal shop/game/1 HUP
provider add rack --kind ssh
provider set rack --region eu
provider list
provider show rack
provider remove rack
pool add private --provider rack
pool set private --zone a
pool list
pool show private
pool remove private
account show
account ledger shop
host add beta
host set alpha --pool private
volume delete shop/game/1/data
volume create shop/game data 1GiB
volume attach shop/game/data
volume detach shop/game/data
volume resize shop/game/data 2GiB
volume snapshot shop/game/data before
volume restore shop/game/data before
package list
package show redis
package delete echo@0.1
service action shop/work run parameters=x
service scripts shop/work
metrics shop/cache
service backup shop/cache
service restore shop/cache {id}
backup create shop/cache
backup restore shop/cache {id}
backup list shop
backup download {id} copy
backup delete {id}
service create shop/cache --package redis
service set shop/cache maxmemory=1MiB
service link shop/game shop/cache
service unlink shop/game cache
service list shop
service show shop/cache
key add shop/game -
key list shop/game
key remove shop/game ada
route add shop/game shop.example.com --port 80
route cert list shop
route list
route show shop/game
route remove shop/game shop.example.com
authority set letsencrypt --contact me@example.com --agree-terms
authority show
authority ca
authority clear
"
    );
    lines.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Commands that ask no controller, or whose own tests hold their statuses: they follow streams, pass statuses on, read
/// files first, or ask more than one thing.
const ELSEWHERE: &[&str] = &[
    "adopted",
    "account",
    "agent",
    "apply",
    "beam",
    "ccl",
    "completion",
    "context",
    "cp",
    "demo",
    "deploy",
    "doctor",
    "down",
    "errors",
    "exec",
    "init",
    "login",
    "logout",
    "maintenance",
    "manual",
    "net",
    "open",
    "pid1",
    "plan",
    "run",
    "schema",
    "server",
    "shell",
    "up",
    "validate",
];

/// Verbs that look at files of this machine before they ask anybody.
const LOCAL_FIRST: &[&str] = &["package check", "package new", "package upload", "release upload"];

#[test]
fn no_command_is_forgotten() {
    use clap::CommandFactory;
    let asked = asking();
    let mut command = crate::command::line::Cli::command();
    command.build();
    let mut missing = Vec::new();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let nouns: Vec<_> = verb.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
        let lines = nouns.iter().map(|inner| vec![verb.get_name(), inner.get_name()]);
        let lines: Vec<_> = if nouns.is_empty() { vec![vec![verb.get_name()]] } else { lines.collect() };
        missing.extend(lines.into_iter().filter(|line| {
            !ELSEWHERE.contains(&line[0])
                && !LOCAL_FIRST.contains(&line.join(" ").as_str())
                && !asked.iter().any(|asked| asked.iter().zip(line).all(|(a, l)| a == l))
        }));
    }
    assert!(missing.is_empty(), "neither asked nor excused: {missing:?}");
}

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

#[test]
fn every_command_ends_with_the_status_of_the_code() {
    for code in Code::ALL {
        let fake = Fake::start();
        fake.fail(code);
        for line in asking() {
            if line[0] == "wait" && code == Code::NotFound {
                continue; // it waits for what is not there yet
            }
            let ran = fake.line().input("value").run(&words(&line));
            assert_eq!(ran.exit, code.exit_status(), "{line:?} with {code:?}: {ran:?}");
            let told = ran.err.contains("error: ");
            assert!(told, "{line:?} says an error: {ran:?}");
        }
    }
}

#[test]
fn what_passes_a_status_on_says_its_own_failures_with_125() {
    for code in Code::ALL {
        let fake = Fake::start();
        fake.fail(code);
        for line in ["exec shop/game -- true", "run shop/game -- true", "shell shop/game/1"] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(fake.lace(&words).exit, 125, "{line} with {code:?}");
        }
    }
}

#[test]
fn an_operation_that_ends_badly_gives_its_code() {
    for code in Code::ALL {
        let fake = Fake::start();
        fake.on("POST /v1/verbs", accepted());
        let mut failed = operation(OperationState::Failed, Some(code), "revision 4 failed");
        failed.details = vec!["  | boom".into()];
        fake.on(&format!("GET /v1/operations/{}", uuid(1)), failed);
        let ran = fake.lace(&["scale", "shop/game", "5"]);
        assert_eq!(ran.exit, code.exit_status(), "{ran:?}");
        assert!(ran.err.contains("error: scale of shop/game: revision 4 failed\n"), "{ran:?}");
        assert!(ran.err.contains("| boom"), "the last lines are shown: {ran:?}");
    }
}

#[test]
fn json_has_the_problem_on_the_error_output() {
    let fake = Fake::start();
    fake.fail(Code::NotFound);
    let ran = fake.lace(&["--format", "json", "why", "shop"]);
    let problem: serde_json::Value = serde_json::from_str(&ran.err).expect("json");
    assert_eq!(problem["error"]["code"], "not-found");
    assert_eq!((ran.exit, ran.out.as_str()), (7, ""));
}

#[test]
fn nobody_home_is_10_and_says_lace_up() {
    let dir = tempfile::tempdir().expect("directory");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address");
    let ran = Line::new(dir.path()).env("LACE_URL", &format!("http://{port}")).run(&["status"]);
    assert_eq!(ran.exit, 10);
    assert!(ran.err.contains("hint: start one on this machine: lace up\n"), "{ran:?}");
}

#[test]
fn roles_get_their_words() {
    let dir = tempfile::tempdir().expect("directory");
    let cases = [
        ("server", 101),
        ("server --state /tmp/x --listen 0.0.0.0:1", 111),
        ("server restore file", 109),
        ("agent --join token", 102),
        ("net", 103),
        ("pid1 --anything", 104),
        ("up --detach", 105),
        ("down --keep-nodes", 106),
        ("demo --exit --nodes 5", 107),
        ("doctor", 108),
    ];
    for (line, exit) in cases {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(Line::new(dir.path()).run(&words).exit, exit, "{line}");
    }
}

#[test]
fn the_token_travels() {
    let fake = Fake::start();
    fake.on("GET /v1/apps", samples::apps());
    fake.lace(&["app", "list"]);
    assert_eq!(fake.called()[0].token.as_deref(), Some("Bearer token"));
}
