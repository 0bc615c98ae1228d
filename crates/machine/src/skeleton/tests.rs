//! Skeletons of made-up hosts.

use super::etc::fits;
use super::*;

const CANARY: &str = "canary-hunter2";

/// Where hosts have their secrets, all readable by everybody here.
const SECRETS: &[&str] = &[
    "apache2/.htpasswd",
    "apache2/sites-enabled/shop.conf",
    "apt/auth.conf",
    "apt/auth.conf.d/90ours.conf",
    "bash.bashrc",
    "default/tomcat",
    "docker/config.json",
    "docker/key.json",
    "environment",
    "erlang/.erlang.cookie",
    "gshadow",
    "java-17-openjdk/management/jmxremote.password",
    "kubernetes/admin.conf",
    "letsencrypt/live/shop/privkey.pem",
    "lighttpd/ssl/shop.pem",
    "maven/settings.xml",
    "maven/settings-security.xml",
    "mysql/conf.d/server.key",
    "mysql/debian.cnf",
    "mysql/mysql.conf.d/client-password.cnf",
    "netrc",
    "nginx/conf.d/upstreams.conf",
    "nginx/sites-enabled/default",
    "nginx/snippets/token.conf",
    "nodejs/npmrc",
    "npmrc",
    "php/8.2/fpm/api-token.ini",
    "pip.conf",
    "postgresql-common/.pgpass",
    "profile",
    "profile.d/keys.sh",
    "python3/pip.conf",
    "redis/redis.conf",
    "shadow",
    "ssh/ssh_host_ed25519_key",
    "ssl/private/shop.key",
    "sudoers",
    "sudoers.d/admin",
    "wireguard/wg0.conf",
];

/// What programs cannot do without.
const NEEDED: &[&str] = &[
    "apache2/apache2.conf",
    "apache2/mods-enabled/dir.load",
    "erlang/erlang.conf",
    "fonts/fonts.conf",
    "java-17-openjdk/security/java.security",
    "ld.so.conf.d/libc.conf",
    "lighttpd/conf-enabled/10-cgi.conf",
    "localtime",
    "maven/m2.conf",
    "mime.types",
    "mysql/mariadb.cnf",
    "mysql/mariadb.conf.d/50-server.cnf",
    "mysql/my.cnf",
    "nginx/fastcgi_params",
    "nginx/mime.types",
    "nginx/modules-enabled/50-http.conf",
    "nginx/nginx.conf",
    "perl/Net/libnet.cfg",
    "php/8.2/cli/php.ini",
    "php/8.2/mods-available/opcache.ini",
    "postgresql-common/createcluster.conf",
    "python3/debian_config",
    "services",
    "ssl/openssl.cnf",
];

fn put(host: &Path, path: &str, text: &str) {
    let file = host.join("etc").join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn texts(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            texts(&path, found);
        } else if kind.is_file() {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_secret_of_the_host_is_copied_and_what_programs_need_is() {
    let dir = tempfile::tempdir().unwrap();
    let (host, root) = (dir.path().join("host"), dir.path().join("root"));
    for path in SECRETS {
        put(&host, path, CANARY);
    }
    for path in NEEDED {
        put(&host, path, "needed");
    }
    put(
        &host,
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\nanna:x:1001:1001::/home/anna:/bin/sh\n",
    );
    put(&host, "group", "www-data:x:33:\nanna:x:1001:\n");
    build(&root, &host).unwrap();
    let mut found = Vec::new();
    texts(&root, &mut found);
    let leaks: Vec<_> = found.iter().filter(|(_, text)| text.contains(CANARY)).map(|(p, _)| p).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
    let missing: Vec<_> = NEEDED.iter().filter(|path| !root.join("etc").join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let accounts = fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(accounts.contains("www-data:") && !accounts.contains("anna"), "{accounts}");
}

#[test]
fn stars_stay_within_a_name() {
    for (pattern, name, expected) in [
        ("java*", "java-17-openjdk", true),
        ("nginx/*_params", "nginx/fastcgi_params", true),
        ("nginx/*_params", "nginx/sites/my_params", false),
        ("*passw*", "server-password.cnf", true),
        ("*passw*", "pass", false),
        (".*", ".pgpass", true),
        ("php*", "php", true),
        ("npmrc", "npmrc2", false),
    ] {
        assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn skeletons_that_nobody_uses_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    for made in ["0000000000000001", "0000000000000002", ".new-1", &name()] {
        fs::create_dir_all(dir.path().join(made).join("etc")).unwrap();
    }
    assert!(has_older(dir.path()));
    sweep(dir.path(), &BTreeSet::from(["0000000000000002".into()]));
    let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    left.sort();
    assert_eq!(left, [OsString::from("0000000000000002"), name().into()]);
}
