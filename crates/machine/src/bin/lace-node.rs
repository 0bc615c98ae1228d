//! An executable with the `pid1` role only: for tests and benchmarks of this crate.

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|role| role == "pid1") {
        lace_machine::pid1::main(&args[1..]);
    }
    std::process::exit(64);
}
