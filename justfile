# Every command that a person runs. `./dev RECIPE` installs what the recipe needs first; `just RECIPE` is for those who have it.

set positional-arguments

# where the caller stands: paths among the arguments count from there
export CALLER := invocation_directory()

[private]
default:
    @just --list --unsorted

# a service standalone with its sample feed: no server, each message and what became of it; Ctrl-C stops. Also: demo reval-sync
[group('run')]
[no-exit-message]
demo SERVICE='arena-acl':
    @cargo run --locked -p "$1" -- serve --standalone

# servers (Docker when an engine answers, else ordinary processes), the service and its sample feed
[group('run')]
[no-exit-message]
up *SERVICE:
    @deploy/local/up "$@"

# end what `up` started; data stays
[group('run')]
[no-exit-message]
down:
    @deploy/local/down

# everything that CI runs; starts and stops servers of its own
[group('test')]
[no-exit-message]
test:
    @deploy/local/test

# what needs no server: format, lints, unit, contract, model and vector tests
[group('test')]
[no-exit-message]
test-fast:
    @deploy/local/test --fast

# vectors of a service in memory; DIR: other files than its own; also --twice, --restart, --only TEXT
[group('test')]
[no-exit-message]
vectors SERVICE *ARGS:
    @deploy/local/vectors "$@"

# the same with real servers behind the built service
[group('test')]
[no-exit-message]
vectors-live SERVICE *ARGS:
    @deploy/local/with-servers --for "$1" deploy/local/vectors "$@" --live

# the service under faults against a sequential model, one table (docs/faults.md); also --short, --seed N, --only NAME
[group('test')]
[no-exit-message]
crash SERVICE *ARGS:
    @service=$1 && shift && deploy/local/with-servers --for "$service" cargo test --locked -p "$service" --features failpoints --test crash -- "$@"

# the full path as a ratio to the plain writes of the same rows; one JSON line per figure
[group('test')]
[no-exit-message]
bench SERVICE *ARGS:
    @service=$1 && shift && deploy/local/with-servers --for "$service" cargo bench --locked -p "$service" --bench throughput -- "$@"

# how PostgreSQL carries out the statements of a service on ten million rows (ROWS: on another number); takes 15 minutes and 8 GB
[group('test')]
[no-exit-message]
explain-plans SERVICE ROWS='10000000':
    @TRUECOPY_PLAN_ROWS=$2 deploy/local/with-servers --for "$1" cargo test --locked -p "$1" --test it -- --ignored --nocapture plans::

# format the code
[group('code')]
[no-exit-message]
fmt:
    cargo fmt --all

# clippy as CI runs it: a warning is an error
[group('code')]
[no-exit-message]
lint:
    cargo clippy --workspace --all-targets --test '*' --locked -- -D warnings
    cargo clippy --workspace --all-targets --test '*' --locked --all-features -- -D warnings

# licences, bans, sources and known vulnerabilities of all crates; builds cargo-deny the first time (4 minutes)
[group('code')]
[no-exit-message]
deny:
    @deploy/local/deny

# start the servers alone
[group('servers')]
[no-exit-message]
start:
    @deploy/local/server all start

# stop the servers; data stays
[group('servers')]
[no-exit-message]
stop:
    @deploy/local/server all stop

# what runs
[group('servers')]
[no-exit-message]
status:
    @deploy/local/server all status

# one server: `just server kafka kill9`; without arguments it explains itself
[group('servers')]
[no-exit-message]
server *ARGS:
    @deploy/local/server "$@"
