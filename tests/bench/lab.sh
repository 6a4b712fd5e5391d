# shellcheck shell=bash disable=SC2034 # addresses are for the files beside this one
# What compare.sh builds labs from: namespaces, CPU groups, processes, pods, and the end of all of them.
#
# A lab is named by one word (kernel, routed, direct) and has a client, a middle and two pods, each a network namespace, and three CPU
# groups (client, middle, pods). Names carry the process id of the script, so that several runs can stand side by side.
# Sourced; $HERE, $PIN, $NICE and $CC are the caller's.

WORK=
RUN=pgb$$
CGROUP=
declare -a PIDS=() SPACES=() GROUPS_MADE=()

CLIENT_IP=198.18.1.2 INGRESS_IP=198.18.2.10 WEB_IP=198.18.2.20 GATEWAY=198.18.0.1
POD_IP=(198.18.11.2 198.18.12.2)
POD_CIDR=198.18.8.0/21 SERVICE_CIDR=198.19.0.0/16
CLUSTER_IP_WEB=198.19.0.1 CLUSTER_IP_CLOSE=198.19.0.2

say() { printf '%s\n' "$*" >&2; }
die() {
    say "compare: $*"
    exit 1
}

# ---- beginning and end

lab_begin() {
    local tool
    for tool in ip nft conntrack nginx wrk curl awk taskset cc; do
        command -v "$tool" >/dev/null || die "$tool is missing"
    done
    [ "$(id -u)" -eq 0 ] || die "needs root: network namespaces, TUN devices, CPU groups"
    WORK=$(mktemp -d /tmp/podglass-bench-XXXXXX)
    trap lab_end EXIT
    trap 'exit 130' INT TERM HUP
    if [ -d /sys/fs/cgroup/cpuacct ]; then
        CGROUP=/sys/fs/cgroup/cpuacct/$RUN
    elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        CGROUP=/sys/fs/cgroup/$RUN
    else
        die "no CPU groups at /sys/fs/cgroup"
    fi
    mkdir "$CGROUP"
    GROUPS_MADE+=("$CGROUP")
    mkdir -p "$WORK/tmp" "$WORK/files"
    head -c 1048576 /dev/urandom >"$WORK/files/1m"
    for _ in {1..100}; do cat "$WORK/files/1m"; done >"$WORK/files/100m"
    ${COMPILER:-cc} -O2 -o "$WORK/load" "$HERE/load.c"
}

lab_end() {
    local status=$? pid space i end=$((SECONDS + 3))
    trap - EXIT INT TERM HUP
    set +e
    for space in "${SPACES[@]}"; do
        mapfile -t -O ${#PIDS[@]} PIDS < <(ip netns pids "$space" 2>/dev/null)
    done
    for pid in "${PIDS[@]}"; do kill -TERM "$pid" 2>/dev/null; done
    for pid in "${PIDS[@]}"; do
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.05; done
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    for space in "${SPACES[@]}"; do ip netns del "$space"; done
    sleep 0.1 # the groups are empty when the last process has been reaped
    for ((i = ${#GROUPS_MADE[@]} - 1; i >= 0; i--)); do rmdir "${GROUPS_MADE[i]}"; done
    [ -z "${KEEP_LOGS:-}" ] || cp -r "$WORK" "$KEEP_LOGS"
    rm -rf "${WORK:?}"
    exit "$status"
}

# ---- CPU

group_make() { # group_make LAB
    local role
    mkdir "$CGROUP/$1"
    GROUPS_MADE+=("$CGROUP/$1")
    for role in client middle pods; do
        mkdir "$CGROUP/$1/$role"
        GROUPS_MADE+=("$CGROUP/$1/$role")
    done
}

group_ns() { # group_ns LAB ROLE: nanoseconds of CPU so far
    local dir=$CGROUP/$1/$2
    if [ -f "$dir/cpuacct.usage" ]; then
        cat "$dir/cpuacct.usage"
    else
        awk '/^usage_usec/ { printf "%d000\n", $2 }' "$dir/cpu.stat"
    fi
}

cpus_of() { # cpus_of ROLE
    case $PIN:$1 in
    one:*) echo 1 ;;
    split:middle) echo 1 ;;
    split:*) echo 0 ;;
    none:*) echo "0-$(($(nproc) - 1))" ;;
    *) die "PIN is one, split or none" ;;
    esac
}

# ---- processes

# inside LAB ROLE SPACE CMD...: replaces the shell, so it belongs in a subshell
inside() {
    local lab=$1 role=$2 space=$3
    shift 3
    echo "$BASHPID" >"$CGROUP/$lab/$role/cgroup.procs"
    ulimit -n "$(ulimit -Hn)"
    exec nice -n "$NICE" ip netns exec "$space" taskset -c "$(cpus_of "$role")" "$@"
}

spawn() { # spawn NAME LAB ROLE SPACE CMD...
    local name=$1
    shift
    (inside "$@") </dev/null >"$WORK/$name.log" 2>&1 &
    PIDS+=("$!")
}

wait_for() { # wait_for SECONDS CMD...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

answers() { # answers LAB URL: seen from the client
    wait_for 10 ip netns exec "$RUN-$1-client" curl -sf -m 1 -o /dev/null "$2" ||
        die "lab $1: nothing answers at $2: $(tail -n 5 "$WORK/$1"-*.log)"
}

# ---- namespaces

space_make() { # space_make SPACE
    ip netns add "$1"
    SPACES+=("$1")
    ip -n "$1" link set lo up
    # masquerade picks ports at random; one that meets a TIME_WAIT socket of a pod stalls for a second, so pods keep few
    ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
        net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 \
        net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535 \
        net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_max_tw_buckets=64 net.ipv4.tcp_congestion_control="$CC"
}

# join MIDDLE VETH SPACE ADDRESS: a point-to-point pair; the far end's default route is the near one
join() {
    ip -n "$1" link add "$2" type veth peer name eth0 netns "$3"
    ip -n "$1" addr add "$GATEWAY/32" dev "$2"
    ip -n "$1" link set "$2" up
    ip -n "$1" route add "$4/32" dev "$2" src "$GATEWAY"
    ip -n "$3" addr add "$4/32" dev eth0
    ip -n "$3" link set eth0 up
    ip -n "$3" route add "$GATEWAY" dev eth0
    ip -n "$3" route add default via "$GATEWAY"
}

spaces_routed() { # spaces_routed LAB: client and pods on veth pairs around a middle that routes
    local i
    for i in middle client pod0 pod1; do space_make "$RUN-$1-$i"; done
    ip netns exec "$RUN-$1-middle" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.default.send_redirects=0
    join "$RUN-$1-middle" vc "$RUN-$1-client" "$CLIENT_IP"
    for i in 0 1; do join "$RUN-$1-middle" "vp$i" "$RUN-$1-pod$i" "${POD_IP[i]}"; done
}

# ---- pods: 8080 keeps connections, 8082 closes after each answer

pods_up() { # pods_up LAB
    local i name
    for i in 0 1; do
        name=$1-pod$i
        cat >"$WORK/$name.conf" <<END
worker_processes 1; daemon off; user root; pid $WORK/$name.pid; error_log $WORK/$name.err warn; worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300; default_type text/plain;
  client_body_temp_path $WORK/tmp; proxy_temp_path $WORK/tmp; fastcgi_temp_path $WORK/tmp; uwsgi_temp_path $WORK/tmp; scgi_temp_path $WORK/tmp;
  server { listen 8080 backlog=65535; location / { return 200 "ok\n"; } location /files/ { alias $WORK/files/; } }
  server { listen 8082 backlog=65535; keepalive_timeout 0; location / { return 200 "ok\n"; } }
}
END
        spawn "$name" "$1" pods "$RUN-$1-pod$i" nginx -e "$WORK/$name.err" -p "$WORK" -c "$WORK/$name.conf"
    done
}
