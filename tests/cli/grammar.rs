//! Every line that is promised parses, every command helps with an example, five shells complete.

use crate::command::line::Cli;
use crate::fake::Line;
use clap::{CommandFactory, Parser};

/// The lines of the promise (CLI.md) that are built.
const PROMISED: &str = r#"
up
up --state /tmp/lace --listen 127.0.0.1:7440 --detach
demo
demo --exit --nodes 3
down --keep-nodes
doctor
init
init ./game
deploy
deploy shop/game
deploy shop/game ./game
apply
apply lace.toml --stage production --var nodes=3 --prune --delete-data
apply monday.plan
plan
plan lace.toml --stage production --out monday.plan --exit-code
export shop
export shop --with-data
apply shop.lace
status
status shop/game --watch
wait shop --for healthy
wait shop/game --for nodes>=3 --timeout 60s
why shop/game
why shop/game/2
history shop/game
rollback shop/game
rollback shop/game --to 3
rollout show shop/game
rollout pause shop/game
rollout resume shop/game
rollout promote shop/game
rollout abort shop/game
scale shop/game 5
scale shop/game +2
scale shop/game -1
scale shop/game 5 --save
start shop
stop shop/game
restart shop/web/backend
delete shop/game --force
replace shop/game/2
exec shop/game -- bin/game ping
exec shop/game/2 --parallel 4 --first -- echo {{first}} {{self}} {{all}} {{index}}
run -- true
run --image host -- true
run shop/game --image host --cpu 0.5 --memory 256MiB --detach --out results -- bin/game eval x
shell shop/game/2
cp ./game.conf shop/game/2:/etc/game.conf
top
top shop
forward shop/web 8080:80
forward shop/game/2 80
logs shop/game
logs shop/game/2 -f --since 1h --until 5m --grep error
logs shop/game/2 --previous
events -f --since 17
op list
op show 019aa9d6-2d4e-8000-8000-000000000001
op cancel 019aa9d6-2d4e-8000-8000-000000000001
op wait 019aa9d6-2d4e-8000-8000-000000000001
provider add my-ec2 --kind ec2 --region eu-west-1
provider add my-ec2 --kind ec2 --endpoint http://127.0.0.1:5000 --from-env --stdin --credential access-key-id=A
provider set my-ec2 --region eu-west-1
provider list
provider show my-ec2
provider remove my-ec2
pool add eu-small --provider my-ec2 --region eu-west-1 --image ami-123456 --profile t3.small
pool add eu-small --provider my-ec2 --zone a --attr disk=ssd --price-per-hour 0.0228 --max-hosts 3
domain add eu-small --provider my-ec2
pool set eu-small --price-per-hour "0.02 EUR"
pool list
pool show eu-small
pool remove eu-small
provider set my-ec2 --discount 7.5%
account show
account show idle/eu-small --month 2026-11
account show --by-host
account ledger shop --month 2026-11 --limit 5
host list
host add beta
host add beta --address 192.0.2.7:2222 --user ada --key id_ed25519
host add beta --address beta.example.com --password
host add --from servers.txt --user ada
host remove beta --key id_ed25519
host set alpha --pool eu-small
up --detach --join ticket --name beta --address 192.168.1.7
family set shop/riak --pool eu-small
family set shop/riak --pool private --pool eu-small --where "memory >= 4"
volume list shop/game
host show alpha
host drain alpha
host undrain alpha
host remove alpha --force
release upload riak riak.tar.gz --start "bin/riak start" --stop "bin/riak stop" --template etc/vm.args
release upload riak ./riak --version 3
release upload riak https://example.com/riak.tar.gz --sha256 00
release upload riak --git https://example.com/riak.git#v2 --build "make rel"
release upload riak rel/riak --git https://example.com/riak.git --build "make rel"
release list
release show riak
release activate shop/riak riak@3
release download riak@3 ./out
release delete riak@2
package new echo
package new echo ./there
package check ./echo
package check --bless
package upload ./echo
package list
package show redis@1
package delete echo@0.1
service action shop/work run parameters=x
service scripts shop/work
app create shop
app list
app show shop
app rename shop store
app rename shop store --restart
app delete shop
family create shop/riak --release riak --count 0 --select random --bootstrap cmd:bin/bootstrap
family create shop/web/backend --release web@2 --cpu 0.5 --memory 256MiB --disk 1GiB
family set shop/riak --count 3
family show shop/riak
node add shop/riak 2
node remove shop/riak/3
node list
node signal shop/riak USR1
node show shop/riak/1
firewall set shop/riak tcp:8096:8099
firewall set shop/riak tcp:8096:8099 --from 10.0.0.0/8
firewall show shop/riak
firewall clear shop/riak
route add shop/web shop.example.com --port 8080
route add shop/web shop.example.com/api --port 8080 --tls off --sticky
route add shop/db :5432 --port 5432
route add shop/web shop.example.com --port 8080 --log
route cert add shop shop.example.com --cert chain.pem --key key.pem
route cert add shop *.example.com --cert chain.pem --key key.pem
route cert list shop
route cert renew shop shop.example.com
route add shop/web shop.example.com --port 8080 --tls internal
authority set letsencrypt --contact admin@example.com --agree-terms
authority set https://127.0.0.1:14000/dir --ca pebble.pem --challenge tls-alpn-01 --agree-terms
authority show
authority ca
authority clear --yes
route cert remove shop shop.example.com
route list
route show shop/web
route remove shop/web shop.example.com
open shop/web
maintenance on shop --page soon.html
maintenance off shop/web
run shop --release game@1 -- make
beam status shop/game
beam adopt game@10.0.0.5 --app legacy --port 9100 --from-env COOKIE --tls ca.pem --certificate ours.pem
beam forget legacy/adopted
ccl deploy --config m8ball.config
ccl execute "echo {{first}}"
ccl execute true --app m8ball
ccl destroy --config m8ball.config
secret set shop KEY
secret set shop KEY --from-env
secret set shop KEY --file key
secret list shop
secret remove shop KEY
secret rotate shop KEY
job list
job show 019aa9d6-2d4e-8000-8000-000000000001
job logs 019aa9d6-2d4e-8000-8000-000000000001
job cancel 019aa9d6-2d4e-8000-8000-000000000001
token create ci
token list
token remove 019aa9d6-2d4e-8000-8000-000000000001
audit
audit --verify
context add production https://lace.example.com --protected
context list
context use production
context remove production
login https://lace.example.com
server
server backup file
server restore file
agent
net
pid1
schema
schema --package --reference
completion bash
errors
errors conflict
explain conflict
--format json --context production --timeout 5m -q --yes status
status --format jsonl --context production
"#;

#[test]
fn every_promised_line_parses() {
    for line in PROMISED.lines().filter(|line| !line.is_empty()) {
        let words = shell_words(&format!("lace {line}"));
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{line}: {error}");
        }
    }
}

fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words
}

#[test]
fn what_is_off_does_not_parse() {
    let lines = [
        "scale shop/game many",
        "scale shop/game ++1",
        "status Shop",
        "wait shop --for soon",
        "exec shop/game",
        "replace",
        "family create shop --bootstrap what",
        "secret set shop 1KEY",
        "forward shop/game x:80",
        "status --format xml",
        "token create ci --role king",
    ];
    for line in lines {
        assert!(Cli::try_parse_from(shell_words(&format!("lace {line}"))).is_err(), "{line}");
    }
}

#[test]
fn every_command_helps_with_an_example() {
    fn walk(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example:\n  "), "{path}: {help}");
        assert!(command.get_about().is_some(), "{path} says what it does");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{path}: too wide: {line}");
        }
        for inner in command.get_subcommands_mut() {
            if !inner.is_hide_set() && inner.get_name() != "help" {
                let path = format!("{path} {}", inner.get_name());
                walk(inner, &path);
            }
        }
    }
    let mut command = Cli::command().term_width(100);
    command.build();
    walk(&mut command, "lace");
}

#[test]
fn the_examples_parse() {
    fn walk(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.split("Example:\n").nth(1).unwrap_or_default();
        let lines = examples.lines().filter_map(|line| line.strip_prefix("  lace "));
        for line in lines {
            let line = line.split([';', '>', '<', '|']).next().unwrap_or_default();
            let line = line.split("&&").next().unwrap_or_default().replace('\'', "\"");
            if line.contains("nodes") {
                continue; // a condition with a sign of the shell, quoted
            }
            let words = shell_words(&format!("lace {}", line.trim()));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&Cli::command());
}

#[test]
fn five_shells_complete() {
    let dir = tempfile::tempdir().expect("directory");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Line::new(dir.path()).run(&["completion", shell]);
        assert_eq!(ran.exit, 0);
        for word in ["rollout", "firewall", "--context"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(ran.out.contains(word), "{shell} completes {word}");
        }
    }
}

#[test]
fn the_words_of_clap_are_ours_where_it_matters() {
    let dir = tempfile::tempdir().expect("directory");
    let lace = |words: &[&str]| Line::new(dir.path()).run(words);
    let later = lace(&["notify", "add", "us", "--webhook", "https://example.com"]);
    assert_eq!(later.exit, 2);
    assert!(later.err.contains("hint: it comes later"), "{later:?}");
    let wrong = lace(&["statsu"]);
    assert_eq!(wrong.exit, 2);
    assert!(wrong.err.contains("status"), "a near word is named: {wrong:?}");
    assert_eq!(lace(&[]).exit, 2);
    let help = lace(&["--help"]);
    assert_eq!((help.exit, help.err.as_str()), (0, ""));
    assert!(lace(&["--version"]).out.starts_with("lace "));
}

#[test]
fn debug_asserts_of_clap_hold() {
    Cli::command().debug_assert();
}
