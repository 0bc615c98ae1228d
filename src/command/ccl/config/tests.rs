use super::*;

const WHOLE: &str = r#"
%% -*- erlang -*-
{ec2_access_key_id, "AKIA"}.
{ec2_secret_access_key, <<"s3cret">>}.
{ec2_image_id, 'ami-1'}.
{github_username, "robert"}.
{github_project, "m8ball"}.
{github_branch, master}.
{ccl_clustersize, 3}.
{ccl_failovernodename, m8ball}.
{ccl_failovernodes, 2}.
{ccl_buildsteps, ["make", <<"make rel">>, 'make start']}.
"#;

fn good(text: &str) -> Config {
    read(text, "here").unwrap_or_else(|wrong| panic!("{wrong:?}")).config
}

#[test]
fn a_whole_file_is_understood() {
    let config = good(WHOLE);
    assert_eq!(config.provider, Provider::Ec2);
    assert_eq!(config.url, "https://github.com/robert/m8ball.git");
    assert_eq!(config.branch.as_deref(), Some("master"));
    assert_eq!((config.name.as_str(), config.node.as_str(), config.size), ("m8ball", "m8ball", 3));
    assert_eq!(config.failover, Some(Failover { backups: 2, application: None }));
    assert_eq!(config.steps, ["make", "make rel", "make start"]);
    assert_eq!(config.ec2["accesskeyid"], "AKIA");
    assert_eq!(config.ec2["secretaccesskey"], "s3cret");
}

#[test]
fn one_list_of_pairs_is_the_same_and_paths_do_for_sources() {
    let config = good("[{ccl_provider, local}, {git_url, \"/srv/My_Ball.git#v2\"},\n {ccl_clustersize, 2}].");
    assert_eq!((config.provider, config.name.as_str()), (Provider::Local, "my-ball"));
    assert_eq!((config.url.as_str(), config.branch.as_deref()), ("/srv/My_Ball.git", Some("v2")));
    assert_eq!((config.node.as_str(), config.failover), ("My_Ball", None));
    let config = good("{git_url, \"git@example.com:team/ball.git\"}. {ccl_failovernodename, 'x@127.0.0.1'}.");
    assert_eq!((config.node.as_str(), config.size), ("x", 1));
    assert_eq!(config.failover, Some(Failover { backups: 0, application: None }));
}

#[test]
fn the_directory_of_the_file_names_what_lies_beside_it() {
    let config = good("{git_url, \".\"}.");
    assert_eq!((config.url.as_str(), config.name.as_str(), config.node.as_str()), (".", "here", "here"));
}

#[test]
fn every_mistake_has_its_place() {
    let check = |text: &str, expected: &[&str]| {
        let wrong = read(text, "here").expect_err("wrong");
        assert_eq!(wrong, expected, "{text}");
    };
    check(
        "{git_url, \"x\"}.\n{ccl_clustersize 3}.",
        &["line 2, column 18: expected a comma or '}', found '3'"],
    );
    check(
        "{git_url, \"x\"}.\n{ccl_clustersize, many}.\n  {ccl_clustersise, 3}.\nhello.",
        &[
            "line 2, column 1: ccl_clustersize has to be a number from 1 to 1000",
            "line 3, column 3: the key ccl_clustersise is not known: is ccl_clustersize meant?",
            "line 4, column 1: expected {KEY, VALUE}, found hello",
        ],
    );
    check(
        "{ccl_buildsteps, [1.5]}.\n{ccl_failovernodes, 1}.\n{ccl_provider, mars}.",
        &[
            "line 1, column 1: ccl_buildsteps has to be a list of texts",
            "line 1, column 1: no source: github_username and github_project, or git_url, are needed",
            "line 3, column 1: ccl_provider is local or ec2, not mars",
        ],
    );
    check("{git_url, \"x\"}.\n{git_url, \"y\"}.", &["line 2, column 1: git_url is said twice"]);
    check("{git_url, \"x\"}", &["line 1, column 15: expected a full stop after the term, the text ends"]);
    check(&"x".repeat(70_000), &["70000 bytes; at most 65536 are read"]);
}
