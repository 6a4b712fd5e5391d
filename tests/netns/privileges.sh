#!/bin/bash
# What podglass is after its start: whose process, with which rights, and that everything still works then. Reloads, the log's rotation, the control socket's end.
#
#   client: curl -- veth -- node: podglass on pg0, as nobody -- veth -- pod1, pod2: nginx
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

NOBODY=$(id -u nobody)
NOGROUP=$(id -g nobody)

# status FIELD [PID]: of /proc/PID/status, blanks joined
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/${2:-$PG_PID}/status" | xargs; }
capabilities() { for c in CapInh CapPrm CapEff CapBnd CapAmb; do status $c; done | xargs; }
NONE="0000000000000000"

# as UID CMD...: another user of this machine, who may reach the program
as() {
    local uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all -- "$@"
}

lab_up
need setpriv
install -m 755 "$PODGLASS" "$WORK/podglass"
chmod 755 "$WORK"
chmod 644 "$WORK/lab.yaml"
install -d -m 755 -o "$NOBODY" "$WORK/logs"
SOCK=$WORK/run/control.sock

# ---- another user

PG_FLAGS=(--user nobody --access-log "$WORK/logs/access.log" --access-log-format json)
start_podglass
is "all four user ids" "$(status Uid)" "$NOBODY $NOBODY $NOBODY $NOBODY"
is "all four group ids" "$(status Gid)" "$NOGROUP $NOGROUP $NOGROUP $NOGROUP"
is "no group of root's is left" "$(status Groups)" "$(id -G nobody)"
is "no capability in any set, with every one in the bounding set gone" "$(capabilities)" "$NONE $NONE $NONE $NONE $NONE"
is "no new privileges, system calls filtered" "$(status NoNewPrivs) $(status Seccomp)" "1 2"
for task in "/proc/$PG_PID/task"/*; do
    is "so in thread $(cat "$task/comm")" "$(status Seccomp "${PG_PID}/task/${task##*/}") $(status Uid "${PG_PID}/task/${task##*/}")" \
        "2 $NOBODY $NOBODY $NOBODY $NOBODY"
done
has "the log says so" "$(cat "$PG_LOG")" "uid $NOBODY, gid $NOGROUP; capabilities: none; system calls: filtered; core dumps: none"
is "nothing is warned of" "$(grep warning: "$PG_LOG" || true)" ""
has "so does a report" "$("$PODGLASS" report --socket "$SOCK")" 'runs with: uid .* capabilities: none; system calls: filtered'
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "requests pass" "$STATUS" 200
is "the socket is this user's" "$(stat -c '%u %a' "$SOCK") $(stat -c '%u %a' "$WORK/run")" "$NOBODY 600 $NOBODY 700"
runs "root may ask" get nodes
runs "the user may ask" as "$NOBODY" "$WORK/podglass" get nodes --socket "$SOCK"
STATUS=0
as 54321 "$WORK/podglass" get nodes --socket "$SOCK" >/dev/null 2>&1 || STATUS=$?
is "no other user may" "$STATUS" 5
STATUS=0
as "$NOBODY" cat "/proc/$PG_PID/environ" >/dev/null 2>&1 || STATUS=$?
is "nobody's other processes can not look into it" "$STATUS" 1

lab_manifest Local >"$WORK/lab.yaml"
reload
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "SIGHUP loads manifests this user may read" "$STATUS $XFF" "200 $ALICE"
lab_manifest Cluster >"$WORK/lab.yaml"
chmod 600 "$WORK/lab.yaml"
kill -HUP "$PG_PID"
wait_for 5 grep -q 'lab.yaml.*Permission denied' "$PG_LOG" || true
has "those it may not are told" "$(cat "$PG_LOG")" 'lab\.yaml.*Permission denied'
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "and the ones before stay" "$STATUS $XFF" "200 $ALICE"

runs "the access log has lines" wait_for 5 grep -q '"status":200' "$WORK/logs/access.log"
mv "$WORK/logs/access.log" "$WORK/logs/access.log.1"
chmod 644 "$WORK/lab.yaml"
reload
wait_for 5 test -e "$WORK/logs/access.log" || true
ask "$CLIENT" http://$VIP/after -H 'Host: shop.example.test'
runs "moved away and told, it goes on in a new file" wait_for 5 grep -qF "/after?ask=" "$WORK/logs/access.log"
is "which is this user's" "$(stat -c %u "$WORK/logs/access.log")" "$NOBODY"
mv "$WORK/logs/access.log" "$WORK/logs/access.log.2"
chown root "$WORK/logs"
reload
runs "where a new file can not be made, that is said" wait_for 5 grep -q 'access log .* can not be opened again: Permission denied' "$PG_LOG"
ask "$CLIENT" http://$VIP/later -H 'Host: shop.example.test'
runs "and lines go where they went" wait_for 5 grep -qF "/later?ask=" "$WORK/logs/access.log.2"
stop_podglass
is "the socket is gone" "$(find "$WORK/run" -name control.sock | wc -l)" 0
rmdir "$WORK/run"

# ---- root, if nobody else is named

PG_FLAGS=()
start_podglass
is "as root: user, capabilities, new privileges, system calls" "$(status Uid) $(capabilities) $(status NoNewPrivs) $(status Seccomp)" \
    "0 0 0 0 $NONE $NONE $NONE $NONE $NONE 1 2"
chmod 600 "$WORK/lab.yaml"
reload
ask "$CLIENT" http://$VIP/ -H 'Host: shop.example.test'
is "requests pass, files of root's are loaded again" "$STATUS" 200
stop_podglass

# ---- what will not work is said at the start

mkdir -m 755 "$WORK/roots"
SOCK=$WORK/roots/control.sock
PG_FLAGS=(--user "$NOBODY:54321")
start_podglass
is "a group of its own, and no other" "$(status Gid) $(status Groups)" "54321 54321 54321 54321 54321"
has "a manifest that can not be read again" "$(cat "$PG_LOG")" 'warning: .*lab\.yaml: Permission denied .* SIGHUP will not load it again'
has "a socket that will stay" "$(cat "$PG_LOG")" 'warning: .*/roots/: Permission denied .* the control socket will stay'
stop_podglass
is "it stayed" "$(find "$WORK/roots" -name control.sock | wc -l)" 1
chmod 644 "$WORK/lab.yaml"

# ---- for debugging

PG_FLAGS=(--user nobody --no-seccomp --dumpable)
start_podglass
runs "what stayed is replaced" get nodes
is "--no-seccomp: no filter, and still no privileges" "$(status Seccomp) $(capabilities) $(status NoNewPrivs)" "0 $NONE $NONE $NONE $NONE $NONE 1"
has "--no-seccomp: a report says so" "$("$PODGLASS" report --socket "$SOCK")" 'system calls: not filtered; core dumps: allowed'
runs "--dumpable: a process of the same user can look into it" as "$NOBODY" cat "/proc/$PG_PID/environ"
stop_podglass

# ---- a command keeps what it had

cat >"$WORK/command" <<'END'
trap 'exit 9' TERM
sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/uid \1/p; s/^NoNewPrivs:[[:space:]]*/new /p; s/^Seccomp:[[:space:]]*/filter /p' /proc/self/status | xargs
curl -s -m 10 -o /dev/null -w 'answer %{http_code}\n' -H 'Host: shop.example.test' http://203.0.113.10/
echo started
while :; do sleep 0.1; done
END
spawn "$NODE" command "$PODGLASS" run -f "$WORK/lab.yaml" --pods echo --user nobody -- sh "$WORK/command"
RUN_PID=$SPAWNED
runs "run --user -- CMD: the command starts" wait_for 20 grep -q started "$WORK/command.log"
has "the command is not confined" "$(cat "$WORK/command.log")" '^uid 0 new 0 filter 0$'
has "and is served" "$(cat "$WORK/command.log")" '^answer 200$'
is "podglass keeps one right, to tell the command of signals" \
    "$(status Uid "$RUN_PID") $(status CapEff "$RUN_PID") $(status CapBnd "$RUN_PID") $(status Seccomp "$RUN_PID")" \
    "$NOBODY $NOBODY $NOBODY $NOBODY 0000000000000020 $NONE 2"
kill -TERM "$RUN_PID"
STATUS=0
wait_for 10 not alive "$RUN_PID" || true
wait "$RUN_PID" || STATUS=$?
is "and does so" "$STATUS" 9

# ---- wrong use

STATUS=0
ERR=$("$PODGLASS" run -f "$WORK/lab.yaml" --tun pg7 --user no-such-user 2>&1) || STATUS=$?
is "--user nobody knows: exit status" "$STATUS" 2
has "--user nobody knows: it is named" "$ERR" 'no user no-such-user'
done_testing
