#!/bin/bash
# Trains on ranks in many ways, each of which must come to the bytes of one process; ends ranks in many ways,
# after which the run must end, and go on to the same bytes.
#
#   tests/ranks.sh [few|all|hosts]      (make check-parallel: all; .ci/run: few)
#
# TRAIN is train_zoo (tools/train_zoo), and TRAIN_MPI one that was built with MPI=1, beside which is bench; without it,
# or without mpirun, its cells are skipped and counted. `hosts` are network namespaces, which root may make. Needs a build.
set -u
what=${1:-all}
train=$(realpath "${TRAIN:-tools/train_zoo}")
train_mpi=${TRAIN_MPI:-build/release-mpi/tools/train_zoo}
data=$(realpath "${DATA:-tests/fixtures/debian_120.tsv}")
work=$(mktemp -d)
hosts=
passed=0 failed=0 skipped=0

clean_up() {
    for host in $hosts; do # the link too: connections that were cut keep a namespace for minutes
        ip link del "$host-v" 2>/dev/null
        ip netns del "$host" 2>/dev/null
    done
    [ -z "$hosts" ] || ip link del reel-bridge 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mpi=
[ -x "$train_mpi" ] && command -v mpirun >/dev/null && train_mpi=$(realpath "$train_mpi") && mpi=yes
mpirun_here=(mpirun --bind-to none --oversubscribe)
[ "$(id -u)" != 0 ] || mpirun_here+=(--allow-run-as-root)

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAILED: $*"
    [ ! -s "$work/output" ] || tail -n 5 "$work/output"
}
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $*"
}

# Best weights byte for byte, and results.json but for times, memory and threads.
same() {
    cmp -s "$work/$1/$3.best.npz" "$work/$2/$3.best.npz" &&
        diff -q <(grep -vE '"(seconds|peak_rss_mb|threads)"' "$work/$1/results.json") \
            <(grep -vE '"(seconds|peak_rss_mb|threads)"' "$work/$2/results.json") >/dev/null
}

# launch LAUNCHER RANKS OPTIONS...: a file takes the output, since a daemon of mpirun would hold a pipe open.
launch() {
    local launcher=$1 ranks=$2
    shift 2
    case $launcher in
    fork) timeout -k 5 300 "$train" --ranks "$ranks" "$@" ;;
    mpi) timeout -k 5 300 "${mpirun_here[@]}" -np "$ranks" "$train_mpi" "$@" ;;
    hosts) timeout -k 5 300 "${mpirun_hosts[@]}" -np "$ranks" "$train_mpi" "$@" ;;
    esac >"$work/output" 2>&1 </dev/null
}

# ---- The same bytes ----

model=lstm
options() {
    case $1 in
    adam) echo "--optimizer adam" ;;
    clipped) echo "--optimizer adamw --clip 0.5" ;;
    dropped) echo "--word-dropout 0.2 --dropout 0.2" ;;
    small) echo "--batch 3 --clip 1" ;; # smaller than most numbers of shards
    esac
}

common=(--data "$data" --models $model --epochs 1 --batch 24 --embed 16 --hidden 24 --quiet)

# cell LAUNCHER SHARDS RANKS THREADS OPTIONS
cell() {
    local launcher=$1 shards=$2 ranks=$3 threads=$4 name=$5
    local reference="$shards-$name" out="$1-$2-$3-$4-$5"
    if [ ! -d "$work/$reference" ]; then
        "$train" "${common[@]}" $(options "$name") --shards "$shards" --threads 1 --out "$work/$reference" \
            >"$work/output" 2>&1 || fail "one process, $shards shards, $name"
    fi
    launch "$launcher" "$ranks" "${common[@]}" $(options "$name") --shards "$shards" --threads "$threads" --out "$work/$out"
    local code=$?
    if [ $code = 0 ] && same "$reference" "$out" $model; then pass; else
        fail "$launcher: $shards shards on $ranks ranks with $threads threads, $name (exit code $code)"
    fi
    rm -rf "${work:?}/$out"
}

matrix() {
    local launcher=$1
    for shards in 2 4 6 7; do
        for name in adam clipped dropped small; do
            for ranks in 1 2 3 4; do
                [ $ranks -le $shards ] || continue
                for threads in 1 2; do cell "$launcher" $shards $ranks $threads $name; done
            done
        done
    done
}

# ---- Ends of ranks ----

long=(--data "$data" --models rnn --epochs 150 --batch 16 --embed 16 --hidden 16 --shards 6 --threads 1 --quiet
    --checkpoint-every 1)

ranks_of() {
    case $1 in
    fork) ps -o pid= --ppid "$2" ;;
    mpi) ps -e -o pid=,args= | awk -v out="$work/cut" '$2 ~ /train_zoo$/ && index($0, out) { print $1 }' ;;
    esac
}

# begin LAUNCHER RANKS OPTIONS...: in the background, from which its first checkpoint is waited for.
begin() {
    local launcher=$1 ranks=$2
    shift 2
    rm -rf "$work/cut"
    local command=("$train" --ranks "$ranks")
    [ "$launcher" != mpi ] || command=("${mpirun_here[@]}" -np "$ranks" "$train_mpi")
    [ "$launcher" != hosts ] || command=("${mpirun_hosts[@]}" "${keepalive[@]}" -np "$ranks" "$train_mpi")
    "${command[@]}" "${long[@]}" --out "$work/cut" "$@" >"$work/output" 2>&1 </dev/null &
    parent=$!
    for _ in $(seq 300); do
        [ ! -e "$work/cut/rnn.last.npz" ] || return 0
        sleep 0.1
    done
}

# ends SECONDS: how the run ends, with its exit code in $code and the time in $took
ends() {
    local began=$SECONDS
    for _ in $(seq $(($1 * 10))); do
        kill -0 "$parent" 2>/dev/null || break
        sleep 0.1
    done
    took=$((SECONDS - began))
    if kill -0 "$parent" 2>/dev/null; then
        code=hangs
        kill -KILL $(ranks_of fork "$parent") "$parent" 2>/dev/null
    else
        wait "$parent"
        code=$?
    fi
}

# goes_on RANKS: and comes to the bytes of a run that nobody ended.
goes_on() {
    if [ ! -d "$work/whole" ]; then
        "$train" "${long[@]}" --out "$work/whole" >"$work/output" 2>&1 || return 1
    fi
    timeout -k 5 300 "$train" --resume "$work/cut" --ranks "$1" --threads 1 --quiet >"$work/output" 2>&1 &&
        same whole cut rnn
}

# end_one LAUNCHER SIGNAL RANKS [OPTION...]: sends a signal to one of the ranks, at a random moment.
end_one() {
    local launcher=$1 signal=$2 ranks=$3 pids
    shift 3
    begin "$launcher" "$ranks" "$@"
    sleep "0.$((RANDOM % 10))"
    pids=($(ranks_of "$launcher" "$parent"))
    [ ${#pids[@]} -gt 0 ] || return 1
    kill "-$signal" "${pids[$((RANDOM % ${#pids[@]}))]}"
}

kills() {
    local launcher=$1 times=$2
    for i in $(seq "$times"); do
        end_one "$launcher" KILL $((2 + i % 3)) || { fail "$launcher: the run was over before it was killed"; continue; }
        ends 10
        if [ "$code" = 0 ] || [ "$code" = hangs ] || [ ! -s "$work/output" ]; then
            fail "$launcher: a rank is killed: exit code $code after $took s"
        elif goes_on $((1 + (i + 1) % 4)); then pass; else
            fail "$launcher: a rank is killed: the run does not go on to the same bytes"
        fi
    done
}

stops() {
    local launcher=$1
    end_one "$launcher" STOP 3 --rank-timeout 2
    ends 10
    local left
    left=$(ranks_of "$launcher" "$parent")
    [ -z "$left" ] || kill -KILL $left 2>/dev/null
    if [ "$code" != 0 ] && [ "$code" != hangs ] && grep -q 'has not answered for 2 s' "$work/output"; then pass; else
        fail "$launcher: a rank is stopped: exit code $code after $took s"
    fi
}

asks() {
    local launcher=$1 pid
    begin "$launcher" 3
    kill -USR1 "$parent" # mpirun and the parent hand it on
    ends 10
    if [ "$code" != 0 ] && [ "$code" != hangs ] && goes_on 2; then pass; else
        fail "$launcher: SIGUSR1: exit code $code after $took s"
    fi
}

# An error that only one rank has: its data are others.
differs() {
    [ -n "$mpi" ] || return 0
    sed '2,3d' "$data" >"$work/other.tsv"
    cat >"$work/one" <<END
#!/bin/sh
file="$data"
[ "\$OMPI_COMM_WORLD_RANK" != 1 ] || file="$work/$1"
shift
exec "$train_mpi" --data "\$file" "\$@"
END
    chmod +x "$work/one"
    timeout -k 5 60 "${mpirun_here[@]}" -np 3 "$work/one" x --models rnn --shards 3 --epochs 1 --out "$work/differs" --quiet \
        >"$work/output" 2>&1 </dev/null
    code=$?
    if [ $code != 0 ] && [ "$(grep -c "$2" "$work/output")" = 1 ]; then pass; else fail "mpi: $1: exit code $code"; fi
}

# ---- Hosts: network namespaces on a bridge ----

make_hosts() {
    ip link add reel-bridge type bridge && ip link set reel-bridge up || return 1
    hosts="reel-a reel-b reel-c"
    ip addr add 10.77.0.254/24 dev reel-bridge
    local n=0
    : >"$work/hosts"
    for host in $hosts; do
        n=$((n + 1))
        ip netns add "$host" && ip link add "$host-v" type veth peer name eth0 netns "$host" || return 1
        ip link set "$host-v" master reel-bridge up
        ip netns exec "$host" ip link set lo up
        ip netns exec "$host" ip addr add "10.77.0.$n/24" dev eth0
        ip netns exec "$host" ip link set eth0 up
        echo "10.77.0.$n slots=4" >>"$work/hosts"
    done
    # In place of ssh: the address says which namespace.
    cat >"$work/agent" <<'END'
#!/bin/bash
host=$1
shift
case $host in
10.77.0.1) exec ip netns exec reel-a bash -c "$*" ;;
10.77.0.2) exec ip netns exec reel-b bash -c "$*" ;;
10.77.0.3) exec ip netns exec reel-c bash -c "$*" ;;
esac
END
    chmod +x "$work/agent"
    mpirun_hosts=(mpirun --bind-to none --allow-run-as-root --hostfile "$work/hosts" --map-by node
        --mca plm_rsh_agent "$work/agent" --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24
        --mca oob_tcp_if_include 10.77.0.0/24)
}

# number NAME: of what bench wrote last
number() { sed -n "s/.*\"$1\": *\([0-9.e+-]*\).*/\1/p" "$work/exchange.json"; }

# The counters of the links against the formula of docs/parallel.md, within 3 %; 25 times as many words, of which the same
# are in use, add less than 1 %.
counts_bytes() {
    local few=
    for vocabulary in 40000 1000000; do
        rm -f "$work/exchange.json"
        timeout -k 5 120 "${mpirun_hosts[@]}" -np 2 "$(dirname "$train_mpi")/bench" --exchange --vocab $vocabulary \
            --shards 4 --steps 40 --json "$work/exchange.json" >"$work/output" 2>&1 </dev/null ||
            { fail "hosts: bench --exchange: exit code $?"; return; }
        local network formula
        network=$(number network) formula=$(number formula)
        sed -n '/^2 ranks\|^a step/s/^/hosts: /p' "$work/output"
        if awk -v is="$network" -v should="$formula" 'BEGIN { exit !(should > 0 && is > 0.97 * should && is < 1.03 * should) }'
        then pass; else fail "hosts: $network bytes a step on the links, and not $formula"; fi
        if [ -n "$few" ]; then
            if awk -v few="$few" -v many="$network" 'BEGIN { exit !(many < 1.01 * few) }'
            then pass; else fail "hosts: 1,000,000 words cost $network bytes a step, and 40,000 cost $few"; fi
        fi
        few=$network
    done
}

# A link is cut: nothing comes through, and nothing says so. Open MPI's own keepalive notices, which must be shorter than
# --rank-timeout: what our time-out would send to end the others keeps the keepalive from firing. What is left on the
# other side is ended by hand, as on a machine that is gone.
keepalive=(--mca oob_tcp_keepalive_time 3 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3)
cuts_link() {
    begin hosts 3 --rank-timeout 25
    [ -e "$work/cut/rnn.last.npz" ] || { fail "hosts: the run does not begin"; return; }
    ip link set reel-b-v down
    ends 30
    ip netns pids reel-b | xargs -r kill -KILL
    ip link set reel-b-v up
    echo "hosts: a link is cut: exit code $code after $took s: $(grep -m 1 . "$work/output" | cut -c 1-100)"
    if [ "$code" = 0 ] || [ "$code" = hangs ] || [ ! -s "$work/output" ]; then
        fail "hosts: a link is cut: exit code $code after $took s"
    elif goes_on 2; then pass; else
        fail "hosts: a link is cut: the run does not go on to the same bytes"
    fi
}

on_hosts() {
    if [ -z "$mpi" ]; then
        skip "hosts: no MPI"
        return
    fi
    if ! make_hosts 2>"$work/output"; then
        skip "hosts: $(tail -n 1 "$work/output")"
        return
    fi
    for ranks in 2 3; do
        for name in clipped small; do cell hosts 6 $ranks 1 $name; done
    done
    counts_bytes
    cuts_link
}

# ---- Which of them ----

launchers=(fork)
if [ -n "$mpi" ]; then launchers+=(mpi); else skip "MPI: no mpirun, or no build with MPI=1"; fi
case $what in
few)
    for launcher in "${launchers[@]}"; do
        for name in adam clipped dropped small; do cell "$launcher" 7 2 1 $name; done
        cell "$launcher" 2 2 2 clipped
        cell "$launcher" 4 2 1 small
        kills "$launcher" 1
        asks "$launcher"
        stops "$launcher"
    done
    ;;
hosts) on_hosts ;;
all)
    for launcher in "${launchers[@]}"; do
        matrix "$launcher"
        kills "$launcher" 10
        asks "$launcher"
        stops "$launcher"
    done
    differs other.tsv 'rank 1 on .*: the settings or the data differ'
    differs none.tsv 'rank 1: .*none.tsv: cannot read the file'
    on_hosts
    ;;
*)
    echo "usage: tests/ranks.sh [few|all|hosts]" >&2
    exit 2
    ;;
esac
echo "ranks: $passed passed, $failed failed, $skipped skipped, $SECONDS s"
[ $failed = 0 ]
